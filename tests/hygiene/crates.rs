//! The generated crates, and cargo on them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Instant,
};

use crate::transform::Shape;

/// One way to use the shapes.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    /// What memory-core is called there, where it has another name.
    pub(crate) root: Option<&'static str>,
    /// Where the standard crates are hidden: the lints that a shape's own code trips over, by shape.
    pub(crate) habits: Option<&'static [(&'static str, &'static str)]>,
    pub(crate) lints: &'static str,
}

/// The generated workspace.
pub(crate) struct House {
    folder: PathBuf,
}

impl House {
    /// Writes everything; files that stay as they are keep their time, so that cargo has less to do.
    pub(crate) fn make(shapes: &[Shape], variants: &[Variant]) -> Self {
        let house = Self { folder: workspace().join("target/hygiene") };
        let root = fs::read_to_string(workspace().join("Cargo.toml")).expect("the manifest");
        let shared = section(&root, "workspace.dependencies")
            .replace("path = \"", &format!("path = \"{}/", workspace().display()));
        let others = section(&root, "dev-dependencies");
        let others: Vec<&str> = others.lines().filter(|line| is_needed(line)).collect();
        let fill = |text: &str| {
            text.replace("{shared}", &shared)
                .replace("{others}", &others.join("\n"))
                .replace("{workspace}", &workspace().display().to_string())
        };
        house.write("Cargo.toml", &fill(&template("workspace.toml")));
        house.write("facade/Cargo.toml", &fill(&template("facade.toml")));
        house.write("facade/src/lib.rs", &template("facade.rs"));
        for variant in variants {
            house.write(&format!("{}/Cargo.toml", variant.name), &fill(&template(&format!("{}.toml", variant.name))));
            house.write_shapes(variant, shapes);
        }
        fs::copy(workspace().join("Cargo.lock"), house.folder.join("Cargo.lock")).expect("the lock file");
        house
    }

    fn write_shapes(&self, variant: &Variant, shapes: &[Shape]) {
        let mut modules = String::new();
        let mut arms = String::new();
        for shape in shapes {
            let name = &shape.name;
            self.write(&format!("{}/src/{name}.rs", variant.name), &shape.module(variant.root, variant.habits));
            modules.push_str(&format!("pub mod {name};\n"));
            arms.push_str(&format!("Some(\"{name}\") => {name}::main(),\n        "));
        }
        let main = template("program.rs")
            .replace("{lints}", variant.lints)
            .replace("{modules}", &modules)
            .replace("{arms}", &arms);
        self.write(&format!("{}/src/main.rs", variant.name), &main);
    }

    /// Builds a variant.
    pub(crate) fn build(&self, variant: &Variant) {
        self.cargo(&["build", "--quiet", "--package", variant.name]);
    }

    /// Lints a variant.
    pub(crate) fn clippy(&self, variant: &Variant) {
        self.cargo(&["clippy", "--quiet", "--no-deps", "--package", variant.name]);
    }

    /// Runs one shape of a variant.
    pub(crate) fn run(&self, variant: &Variant, shape: &Shape) {
        let program = self.target().join("debug").join(variant.name);
        let output = Command::new(program).arg(&shape.name).output().expect("the program runs");
        assert!(output.status.success(), "{}: {} failed:\n{}", variant.name, shape.name, told(&output));
        println!("{}: {} ran", variant.name, shape.name);
    }

    fn cargo(&self, arguments: &[&str]) {
        let start = Instant::now();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(arguments)
            .arg("--offline")
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", self.target())
            .env_remove("RUSTFLAGS")
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "cargo {} failed:\n{}", arguments.join(" "), told(&output));
        println!("cargo {}: {:?}", arguments.join(" "), start.elapsed());
    }

    fn target(&self) -> PathBuf {
        self.folder.join("target")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return;
        }
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
    }
}

/// What a shape may need: everything the tests have, but for memory-core itself and tools that no shape uses.
fn is_needed(line: &str) -> bool {
    let name = line.split([' ', '.', '=']).next().unwrap_or_default();
    !matches!(name, "" | "memory-core" | "memory-redis" | "trybuild" | "proptest" | "redis" | "allocation-counter")
}

/// The lines of a section of a manifest.
fn section(manifest: &str, name: &str) -> String {
    let lines = manifest.lines().skip_while(|line| *line != format!("[{name}]")).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !line.starts_with('[')).collect();
    assert!(!lines.is_empty(), "the manifest has no [{name}]");
    lines.join("\n")
}

fn template(name: &str) -> String {
    fs::read_to_string(workspace().join("tests/hygiene").join(name)).expect("a template")
}

fn told(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
