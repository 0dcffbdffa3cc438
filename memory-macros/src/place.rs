//! Where a function stands that says neither `self` nor `Self`, as far as its source tells.
//!
//! An attribute is shown nothing but the function. What it puts beside a free one can't stand in an `impl`: the compiler
//! refuses each of these items by itself, and in none of its messages is the word that was forgotten. So the source is read,
//! for that message alone: nothing that compiles depends on what is found here, and where anything is uncertain (a call of a
//! macro around it, another attribute that may move it, an editor that shows no source) nothing is found.
//!
//! A function at the margin costs nothing, another one a look at its line: the lines of a file are gone through once. Only where
//! something stands below what looks like an `impl`, which is where a message is due, the file is read as tokens.

use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    path::{Path, PathBuf},
    rc::Rc,
};

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

/// Attributes that leave a function where it is written.
const HARMLESS: [&str; 9] = ["doc", "cfg", "allow", "warn", "deny", "expect", "forbid", "deprecated", "async_trait"];

/// What may stand before `impl` and `trait`.
const MODIFIERS: [&str; 5] = ["pub", "default", "unsafe", "const", "auto"];

/// That the function of this name should have been told to be an associated one, where it certainly is.
pub(crate) fn forgotten_in_impl(attribute: &str, name: &Ident) -> Option<syn::Error> {
    is_associated(name).unwrap_or(false).then(|| {
        let message = format!(
            "`{name}` is an associated function, which `{attribute}` can't see where it says neither `self` nor `Self`: \
             add `in_impl`, as in `#[{attribute}(in_impl)]`"
        );
        syn::Error::new(name.span(), message)
    })
}

/// `None`: there is no source to look at. (The spans are the compiler's, which `unwrap` gives, where it is at hand.)
fn is_associated(name: &Ident) -> Option<bool> {
    if !proc_macro::is_available() || Span::call_site().unwrap().column() == 1 {
        return None;
    }
    let span = name.span().unwrap();
    let source = Source::of(&span.local_file()?)?;
    let (line, name) = (source.lines.get(span.line().checked_sub(1)?)?, name.to_string());
    Some(line.is_below_impl && source.has_function(line, span.column(), &name) && source.is_associated(&name))
}

/// A file.
struct Source {
    text: String,
    lines: Vec<Line>,
    /// By name, whether all functions of that name stand directly in an `impl` or a `trait`.
    associated: OnceCell<HashMap<String, bool>>,
}

/// A line of a file.
struct Line {
    /// Where it begins.
    start: usize,
    /// Whether the nearest line above that is indented less looks as if it began an `impl` or a `trait`.
    is_below_impl: bool,
}

thread_local! {
    /// The file looked at last: one function comes after the other.
    static LAST: RefCell<Option<(PathBuf, Rc<Source>)>> = const { RefCell::new(None) };
}

impl Source {
    fn of(path: &Path) -> Option<Rc<Self>> {
        LAST.with_borrow_mut(|last| {
            if let Some((_, source)) = last.as_ref().filter(|(known, _)| known == path) {
                return Some(source.clone());
            }
            let source = Rc::new(Self::new(std::fs::read_to_string(path).ok()?));
            *last = Some((path.to_owned(), source.clone()));
            Some(source)
        })
    }

    fn new(text: String) -> Self {
        let lines = lines(&text);
        Self { text, lines, associated: OnceCell::new() }
    }

    /// Whether `fn NAME` is what is written in this line, its name in this column.
    fn has_function(&self, line: &Line, column: usize, name: &str) -> bool {
        let line = self.text[line.start..].lines().next().unwrap_or_default();
        let at = column.checked_sub(1).and_then(|column| line.char_indices().nth(column));
        at.is_some_and(|(at, _)| line[at..].starts_with(name) && line[..at].trim_end().ends_with("fn"))
    }

    fn is_associated(&self, name: &str) -> bool {
        let all = self.associated.get_or_init(|| self.text.parse().map(functions).unwrap_or_default());
        all.get(name).copied().unwrap_or(false)
    }
}

fn lines(text: &str) -> Vec<Line> {
    // The lines that the one at hand is indented below.
    let mut above: Vec<(usize, bool)> = Vec::new();
    let mut start = 0;
    let line = |line: &str| {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if !code.is_empty() {
            above.truncate(above.partition_point(|(other, _)| *other < indent));
        }
        let known = Line { start, is_below_impl: above.last().is_some_and(|(_, looks_like_impl)| *looks_like_impl) };
        start += line.len();
        if !code.is_empty() {
            // An opening brace has a line of its own below a `where`.
            above.push((indent, code.trim_end() == "{" || code.contains("impl") || code.contains("trait")));
        }
        known
    };
    text.split_inclusive('\n').map(line).collect()
}

/// The functions of a file by name, and whether all of that name stand directly in an `impl` or a `trait`.
fn functions(file: TokenStream) -> HashMap<String, bool> {
    let mut functions = HashMap::new();
    collect(file, Place::Free, &mut functions);
    functions
}

fn collect(tokens: TokenStream, place: Place, functions: &mut HashMap<String, bool>) {
    // What was seen of the item at hand.
    let mut head = Vec::new();
    for token in tokens {
        match &token {
            TokenTree::Group(group) => collect(group.stream(), inside(place, &head, group), functions),
            TokenTree::Ident(name) if head.last().is_some_and(|last| is_word(last, "fn")) => {
                *functions.entry(name.to_string()).or_insert(true) &= place == Place::Associated;
            }
            _ => {}
        }
        if ends_item(&token) {
            head.clear();
        } else {
            head.push(token);
        }
    }
}

/// What some tokens are directly inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A file, a module, a body.
    Free,
    /// An `impl` or a `trait`.
    Associated,
    /// Something that may put them elsewhere.
    Uncertain,
}

/// What the inside of a group is that stands behind `head`.
fn inside(place: Place, head: &[TokenTree], group: &Group) -> Place {
    let is_call = matches!(head, [.., bang] | [.., bang, TokenTree::Ident(_)] if is_punct(bang, '!'));
    if place == Place::Uncertain || group.delimiter() != Delimiter::Brace || is_call {
        return Place::Uncertain;
    }
    begun(head)
}

/// What the braces of an item are that begins like this.
fn begun(head: &[TokenTree]) -> Place {
    match head {
        [hash, TokenTree::Group(attribute), rest @ ..] if is_punct(hash, '#') => {
            if is_harmless(attribute) {
                begun(rest)
            } else {
                Place::Uncertain
            }
        }
        [hash, bang, TokenTree::Group(_), rest @ ..] if is_punct(hash, '#') && is_punct(bang, '!') => begun(rest),
        // `pub(crate)`
        [TokenTree::Group(_), rest @ ..] => begun(rest),
        [word, rest @ ..] if MODIFIERS.iter().any(|modifier| is_word(word, modifier)) => begun(rest),
        [word, ..] if is_word(word, "impl") || is_word(word, "trait") => Place::Associated,
        _ => Place::Free,
    }
}

fn is_harmless(attribute: &Group) -> bool {
    let first = attribute.stream().into_iter().next();
    first.is_some_and(|first| HARMLESS.iter().any(|harmless| is_word(&first, harmless)))
}

fn ends_item(token: &TokenTree) -> bool {
    is_punct(token, ';') || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

fn is_punct(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn associated(source: &str) -> bool {
        Source::new(source.to_owned()).is_associated("count")
    }

    #[test]
    fn a_function_directly_in_an_impl_or_a_trait_is_associated() {
        for yes in [
            "impl Users { fn count() {} }",
            "mod a { pub(crate) unsafe trait Users { async fn other() {} #[memorize] async fn count() -> u8; } }",
            "#![allow(x)] /// Text.\n#[async_trait::async_trait] impl<T> Users<T> where T: Fn() -> u8 { fn count() {} }",
            "fn main() { let a = 1; impl !A for B {} impl Users { fn count() {} } } fn other() {}",
            "trait A { fn count(); } impl A for B { fn count() {} }",
        ] {
            assert!(associated(yes), "{yes}");
        }
    }

    #[test]
    fn what_is_elsewhere_or_uncertain_is_not() {
        for no in [
            "fn count() {}",
            "impl Users { fn other() { fn count() {} } }",
            "impl Users {} fn count() {}",
            "fn other() -> impl Users { fn count() {} }",
            "impl Users { fn count() {} } mod tests { fn count() {} }",
            "lift! { impl Users { fn count() {} } }",
            "macro_rules! lift { () => { impl Users { fn count() {} } } }",
            "#[lift] impl Users { fn count() {} }",
            "#[lift] mod a { impl Users { fn count() {} } }",
            "const TEXT: &str = \"impl Users { fn count() {} }\";",
            "impl Users { fn counted() {} }",
            "impl Users { fn count() {} ",
        ] {
            assert!(!associated(no), "{no}");
        }
    }

    #[test]
    fn only_what_is_indented_below_an_impl_is_looked_at() {
        let below = |source: &str| lines(source).last().is_some_and(|line| line.is_below_impl);
        assert!(below("impl Users {\n    fn other() {\n    }\n\n    /// Text.\n    #[memorize]\n    fn count() {}"));
        assert!(below("impl<T> Users<T>\nwhere\n    T: Send,\n{\n    fn count() {}"));
        assert!(!below("impl Users {\n    fn other() {\n        fn count() {}"));
        assert!(!below("impl Users {}\n\nfn count() {}"));
        assert!(!below("mod tests {\n    fn count() {}"));
    }

    #[test]
    fn a_function_is_where_its_name_is() {
        let source = Source::new("// \u{e9}\r\n/* \u{e9} */ fn count() {}\r\n".to_owned());
        let has = |line: usize, column, name| source.has_function(&source.lines[line - 1], column, name);
        assert!(has(2, 12, "count"));
        assert!(!has(2, 11, "count") && !has(2, 12, "other") && !has(1, 12, "count") && !has(2, 99, "count"));
    }
}
