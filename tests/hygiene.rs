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
const RENAMED: Variant = Variant { name: "renamed", root: Some("fm"), habits: None, lints: "" };
/// A crate that knows a facade only.
const FACADE: Variant = Variant { name: "through_facade", root: Some("umbrella::memory"), habits: None, lints: "" };
/// A crate that denies whatever can be denied, with modules of the user's that hide the standard ones.
const PEDANTIC: Variant = Variant { name: "pedantic", root: None, habits: Some(&HABITS), lints: STRICT };

const STRICT: &str = "#![deny(warnings, clippy::all, clippy::pedantic)]";

/// Lints that a shape trips over without any attribute of ours; none of these is allowed because of an expansion.
const HABITS: [(&str, &str); 10] = [
    ("cache_key_marked_fields", "clippy::redundant_closure_for_method_calls"),
    ("memorize_arguments", "clippy::many_single_char_names"),
    ("memorize_arguments", "clippy::too_many_arguments"),
    ("memorize_outcomes", "clippy::trivially_copy_pass_by_ref"),
    ("memorize_sync_functions", "clippy::needless_pass_by_value"),
    ("memorize_sync_functions", "clippy::unnecessary_operation"),
    ("retry_defaults", "clippy::needless_pass_by_value"),
    ("retry_derived", "clippy::items_after_statements"),
    ("retry_predicates_by_name", "clippy::redundant_closure_for_method_calls"),
    ("singleton_hostile_names", "clippy::let_and_return"),
];

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
