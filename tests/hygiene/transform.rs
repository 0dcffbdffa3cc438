//! The textual transformation of a shape for another crate.

use std::{fs, path::Path};

/// The attributes that take `crate = path`.
const ATTRIBUTES: [&str; 12] = [
    "memorize",
    "fm_lru",
    "cached_singleton",
    "default_retry",
    "retry",
    "circuit_breaker",
    "rate_limit",
    "bulkhead",
    "timeout",
    "hedge",
    "fallback",
    "resilient",
];
/// The derives, and the helper attribute that takes `crate = path`.
const DERIVES: [(&str, &str); 2] = [("CacheKey", "cache_key"), ("Retryable", "retryable")];

/// A program of `tests/ui/pass`.
pub(crate) struct Shape {
    /// Its module: `memorize_plain`.
    pub(crate) name: String,
    pub(crate) source: String,
}

impl Shape {
    /// All of them, in order.
    pub(crate) fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui/pass");
        let mut shapes: Vec<Self> =
            files(&root).iter().flat_map(|part| files(part)).map(|file| Self::read(&file)).collect();
        shapes.sort_by(|one, other| one.name.cmp(&other.name));
        assert!(shapes.len() >= 15, "only {} shapes were found", shapes.len());
        shapes
    }

    fn read(file: &Path) -> Self {
        let word = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
        let name = format!("{}_{}", word(file.parent().expect("a folder")), word(file));
        Self { name, source: fs::read_to_string(file).expect("a shape") }
    }

    /// The shape as a module, for a crate where memory-core is called `root`.
    pub(crate) fn module(&self, root: Option<&str>, habits: Option<&[(&str, &str)]>) -> String {
        let mut source = words(&self.source, "crate::", &['$'], &format!("crate::{}::", self.name));
        source = source.replace(
            "\nasync fn main()",
            "\n/// Runs the shape.\n#[allow(clippy::missing_panics_doc)]\npub async fn main()",
        );
        source =
            source.replace("\nfn main()", "\n/// Runs the shape.\n#[allow(clippy::missing_panics_doc)]\npub fn main()");
        if let Some(root) = root {
            source = self.with_root(&source, root);
        }
        match habits {
            Some(habits) => with_shadows(&source, habits.iter().filter(|(shape, _)| *shape == self.name)),
            None => source,
        }
    }

    fn with_root(&self, source: &str, root: &str) -> String {
        // Without a prelude, crates are found by absolute paths only.
        let absolute = if source.contains("no_implicit_prelude") { "::" } else { "" };
        let (source, attributes) = attributes(source, &format!("{absolute}{root}"));
        let (source, passed) = passed_to_macros(&source, root);
        let (source, derives) = derives(&source, root);
        let expected = self.uses();
        assert_eq!(
            attributes + passed + derives,
            expected,
            "{}: not every attribute was given `crate = {root}`",
            self.name
        );
        // A module that a shape hides the crate behind keeps its name.
        let source = source.replace("mod memory_core", "mod memory\0core");
        let source = words(&source, "::memory_core::", &[], &format!("::{root}::"));
        words(&source, "memory_core", &[':'], root).replace('\0', "_")
    }

    /// How many attributes and derives stand in the shape, counted in another way than they are found.
    fn uses(&self) -> usize {
        let code = self.source.lines().filter(|line| !line.trim_start().starts_with("//"));
        let count = |line: &str| {
            let line = line.replace(' ', "");
            let is_start =
                |text: &str| line.starts_with(&format!("#[{text}]")) || line.starts_with(&format!("#[{text}("));
            let attribute = ATTRIBUTES.iter().any(|name| {
                let paths = ["", "memory_core::", "::memory_core::", "facade::inner::", "crate::facade::inner::"];
                paths.iter().any(|path| is_start(&format!("{path}{name}")))
            });
            let derive = line.starts_with("#[derive(") && DERIVES.iter().any(|(name, _)| line.contains(name));
            let passed = is_item_macro(&line) && ATTRIBUTES.iter().any(|name| line.contains(&format!(",{name}(")));
            usize::from(attribute) + usize::from(derive) + usize::from(passed)
        };
        code.map(count).sum()
    }
}

/// `#[memorize(expire = 60)]` becomes `#[memorize(crate = root, expire = 60)]`; an attribute that names a crate keeps it.
fn attributes(source: &str, root: &str) -> (String, usize) {
    let mut out = String::new();
    let mut found = 0;
    let mut rest = source;
    while let Some(at) = rest.find("#[") {
        out.push_str(&rest[..at + 2]);
        let is_comment = out.lines().next_back().is_some_and(|line| line.trim_start().starts_with("//"));
        rest = &rest[at + 2..];
        let path_end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        let (path, after) = rest.split_at(path_end);
        let name = path.rsplit("::").next().unwrap_or(path);
        if is_comment || !ATTRIBUTES.contains(&name) {
            continue;
        }
        found += 1;
        out.push_str(path);
        rest = after;
        let arguments = &after[..closing(after)];
        if arguments.contains("crate =") {
            continue;
        }
        match after.strip_prefix('(') {
            Some(inside) => {
                let comma = if inside.trim_start().starts_with(')') { "" } else { ", " };
                out.push_str(&format!("(crate = {root}{comma}"));
                rest = inside;
            }
            None => out.push_str(&format!("(crate = {root})")),
        }
    }
    out.push_str(rest);
    (out, found)
}

/// `retried!(name, Error, retry(stop = 3));` hands an attribute to a macro of the shape's own.
fn passed_to_macros(source: &str, root: &str) -> (String, usize) {
    let mut found = 0;
    let lines = source.lines().map(|line| {
        let name = ATTRIBUTES.iter().find(|name| is_item_macro(line) && line.contains(&format!(", {name}(")));
        name.map_or_else(
            || line.to_owned(),
            |name| {
                found += 1;
                line.replacen(&format!(", {name}("), &format!(", {name}(crate = {root}, "), 1)
            },
        )
    });
    let source = lines.collect::<Vec<_>>().join("\n") + "\n";
    (source, found)
}

fn is_item_macro(line: &str) -> bool {
    line.split_once("!(").is_some_and(|(name, _)| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
}

/// `#[derive(CacheKey)]` gets `#[cache_key(crate = root)]` behind it.
fn derives(source: &str, root: &str) -> (String, usize) {
    let mut found = 0;
    let mut lines: Vec<String> = Vec::new();
    let all: Vec<&str> = source.lines().collect();
    for (at, line) in all.iter().enumerate() {
        lines.push((*line).to_owned());
        if !line.trim_start().starts_with("#[derive(") {
            continue;
        }
        let Some((_, helper)) = DERIVES.iter().find(|(name, _)| line.contains(name)) else { continue };
        found += 1;
        if !all.get(at + 1).is_some_and(|next| next.contains("crate =")) {
            lines.push(format!("#[{helper}(crate = {root})]"));
        }
    }
    (lines.join("\n") + "\n", found)
}

/// The end of an attribute whose path has been read.
fn closing(text: &str) -> usize {
    let mut depth = 0_i32;
    for (at, char) in text.char_indices() {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | '}' => depth -= 1,
            ']' if depth == 0 => return at,
            ']' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Hides the standard crates behind modules of the user's: what the shape itself wants of them has to say `::std`.
fn with_shadows<'a>(source: &str, habits: impl Iterator<Item = &'a (&'a str, &'a str)>) -> String {
    let source = words(source, "std::", &[':'], "::std::");
    let inner = source.lines().take_while(|line| line.is_empty() || line.starts_with("#![") || line.starts_with("//"));
    let at = inner.map(|line| line.len() + 1).sum();
    let (head, rest) = source.split_at(at);
    let has = |name: &str| source.contains(&format!("\nmod {name} {{}}"));
    let shadow = |name: &str| if has(name) { String::new() } else { format!("mod {name} {{}}\n") };
    let allowed: String = habits.map(|(_, lint)| format!("#![expect({lint})]\n")).collect();
    format!("{head}{allowed}{}{}{rest}", shadow("core"), shadow("std"))
}

/// Replaces `word` where no letter, digit or one of `unless` stands before it.
fn words(source: &str, word: &str, unless: &[char], by: &str) -> String {
    let mut out = String::new();
    let mut rest = source;
    while let Some(at) = rest.find(word) {
        let before = rest[..at].chars().next_back().or_else(|| out.chars().next_back());
        let inside = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || unless.contains(&c));
        out.push_str(&rest[..at]);
        out.push_str(if inside { word } else { by });
        rest = &rest[at + word.len()..];
    }
    out.push_str(rest);
    out
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry").path()).collect()
}
