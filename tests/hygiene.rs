//! The shapes that compile (`tests/ui/pass`) do so from other crates too: one that renames memory-core, one that has it from a
//! facade, and one that denies every lint, with `mod core {}` and `mod std {}` in scope.
//!
//! The crates are made under `target/hygiene` from the templates in `tests/hygiene`.

#[path = "hygiene/crates.rs"]
mod crates;
#[path = "hygiene/transform.rs"]
mod transform;

use std::time::Instant;

use crates::{House, Variant};
use transform::Shape;

/// A crate that calls memory-core `fm`.
const RENAMED: Variant = Variant { name: "renamed", root: Some("fm"), shadows: false, lints: "" };
/// A crate that knows a facade only.
const FACADE: Variant = Variant { name: "through_facade", root: Some("umbrella::memory"), shadows: false, lints: "" };
/// A crate that denies whatever can be denied, with modules of the user's that hide the standard ones.
const PEDANTIC: Variant = Variant { name: "pedantic", root: None, shadows: true, lints: STRICT };

/// What is allowed are habits of the shapes themselves.
const STRICT: &str = "#![deny(warnings, clippy::all, clippy::pedantic)]";

#[test]
fn shapes_compile_and_run_from_crates_that_rename_or_re_export_memory_core_and_under_strict_lints() {
    let start = Instant::now();
    let shapes = Shape::all();
    let house = House::make(&shapes, &[RENAMED, FACADE, PEDANTIC]);
    for variant in [RENAMED, FACADE] {
        house.build(&variant);
        for shape in &shapes {
            house.run(&variant, shape);
        }
    }
    house.clippy(&PEDANTIC);
    println!("{} shapes, 3 crates, {:?}", shapes.len(), start.elapsed());
}
