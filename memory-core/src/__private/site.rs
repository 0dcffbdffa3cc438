//! The name of a memorized function, from the type that its expansion defines beside or inside it.

use std::any::type_name;

/// The name of a function whose companion type `M` has the function's own name.
pub fn companion_id<M>() -> &'static str {
    type_name::<M>()
}

/// The name of the function `name`, whose companion type `M` is called otherwise.
pub fn renamed_id<M>(name: &str) -> &'static str {
    Box::leak(format!("{}::{name}", parent(type_name::<M>())).into_boxed_str())
}

/// The name of the function `name`, beside whose body or hidden sibling the marker type `M` stands.
///
/// Called once per function, so the text may be kept for ever.
pub fn function_id<M>(name: &str) -> &'static str {
    Box::leak(id(type_name::<M>(), name).into_boxed_str())
}

/// `shop::Users::__fm_get_spec::Marker` and `shop::Users::get::{{closure}}::Marker` both stand for `shop::Users::get`.
fn id(marker: &str, name: &str) -> String {
    let mut path = parent(marker);
    while path.ends_with("::{{closure}}") {
        path = parent(path);
    }
    format!("{}::{name}", parent(path))
}

fn parent(path: &str) -> &str {
    path.rsplit_once("::").map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_function_does_not_show_where_its_marker_stands() {
        assert_eq!(id("shop::Users::__fm_get_spec::Marker", "get"), "shop::Users::get");
        assert_eq!(id("shop::Users::get::{{closure}}::Marker", "get"), "shop::Users::get");
        assert_eq!(id("<shop::Pg as shop::Repo>::get::Marker", "get"), "<shop::Pg as shop::Repo>::get");
    }
}
