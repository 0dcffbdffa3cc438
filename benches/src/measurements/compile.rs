//! What 200 annotated functions cost whoever builds them.

use std::{fmt::Write, fs, path::PathBuf, process::Command, time::Instant};

use crate::{
    report::{Goal, Row},
    rounds::{Effort, OURS, Samples},
};

const FUNCTIONS: usize = 200;
const ROUNDS: usize = 7;

/// A way to write a function, and what it depends on.
struct Way {
    name: &'static str,
    attribute: &'static str,
    dependency: &'static str,
}

/// The peers by what their attribute is called.
const WAYS: [Way; 4] = [
    Way {
        name: OURS,
        attribute: "#[memory_core::memorize(expire = 60)]",
        dependency: r#"memory-core = { path = "MEMORY_CORE", default-features = false, features = ["macros", "memory"] }"#,
    },
    Way {
        name: "concurrent_cached",
        attribute: "#[cached::macros::concurrent_cached(ttl_secs = 60)]",
        dependency: CACHED,
    },
    Way { name: "cached", attribute: "#[cached::macros::cached(ttl_secs = 60)]", dependency: CACHED },
    Way { name: "plain", attribute: "", dependency: "" },
];
const CACHED: &str = r#"cached = { version = "4.1.0", features = ["async", "proc_macro"] }"#;

/// Builds again after the body of one function has changed, in the dev profile.
pub(crate) fn of_200(effort: Effort) -> Vec<Row> {
    if effort.is_quick {
        // Building what they depend on takes longer than all the rest.
        return Vec::new();
    }
    let crates = Crates::write();
    let ways: Vec<&Way> =
        WAYS.iter().filter(|way| effort.contender.is_none_or(|contender| contender == way.name)).collect();
    let mut seconds = vec![Vec::new(); ways.len()];
    for round in 0..=ROUNDS {
        for (way, seconds) in ways.iter().zip(&mut seconds) {
            let took = crates.build(way, round);
            // The first build makes what the crate depends on, too.
            if round > 0 {
                seconds.push(took);
            }
        }
    }
    let samples: Vec<_> = ways.iter().zip(seconds).map(|(way, seconds)| Samples::new(way.name, seconds)).collect();
    let about =
        "building 200 annotated async fn(u64) -> u64 in one crate again after a change of one body, dev profile";
    vec![Row::new("compile_200", about, "s", &samples, vec![Goal::at_most(0.5, &["concurrent_cached"])])]
}

/// A workspace with one crate for each way.
struct Crates {
    root: PathBuf,
}

impl Crates {
    fn write() -> Self {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = here.join("target").join("compile_200");
        let memory_core = here.join("../memory-core");
        let members = WAYS.map(|way| format!("{:?}", package(&way))).join(", ");
        let workspace = format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n");
        for way in &WAYS {
            let package = package(way);
            let dependency = way.dependency.replace("MEMORY_CORE", &memory_core.display().to_string());
            let manifest = format!(
                "[package]\nname = \"{package}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
                 [dependencies]\ntokio = {{ version = \"1\", features = [\"rt\", \"sync\"] }}\n{dependency}\n"
            );
            fs::create_dir_all(root.join(&package).join("src")).expect("a directory");
            fs::write(root.join(&package).join("Cargo.toml"), manifest).expect("written");
            fs::write(root.join(&package).join("src/main.rs"), program(way, 0)).expect("written");
        }
        fs::write(root.join("Cargo.toml"), workspace).expect("written");
        // The versions that everything else here is measured with.
        fs::copy(here.join("Cargo.lock"), root.join("Cargo.lock")).expect("copied");
        Self { root }
    }

    /// Builds a crate, with a body that is another one each round; seconds.
    fn build(&self, way: &Way, round: usize) -> f64 {
        fs::write(self.root.join(package(way)).join("src/main.rs"), program(way, round)).expect("written");
        let began = Instant::now();
        let built = Command::new("cargo")
            .args(["build", "--quiet", "--package", &package(way)])
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.root.join("target"))
            .status();
        let took = began.elapsed().as_secs_f64();
        assert!(built.is_ok_and(|status| status.success()), "{} does not build", way.name);
        took
    }
}

fn package(way: &Way) -> String {
    format!("compile-200-{}", way.name.replace('_', "-"))
}

/// The functions, and a `main` that polls each.
fn program(way: &Way, round: usize) -> String {
    let mut program = String::new();
    for number in 0..FUNCTIONS {
        let summand = if number == 0 { round } else { number };
        let _ = writeln!(
            program,
            "{}\nasync fn function{number}(number: u64) -> u64 {{\n    number.wrapping_mul(3) + {summand}\n}}\n",
            way.attribute
        );
    }
    program
        .push_str("fn main() {\n    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();\n");
    program.push_str("    let sum = runtime.block_on(async {\n        let mut sum = 0;\n");
    for number in 0..FUNCTIONS {
        let _ = writeln!(program, "        sum += Box::pin(function{number}(sum)).await;");
    }
    program.push_str("        sum\n    });\n    println!(\"{sum}\");\n}\n");
    program
}
