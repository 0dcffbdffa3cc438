//! What can't be seen from outside: the order of attributes, and how keyword arguments are spelled out.

use quote::quote;
use syn::parse_quote;

use super::{Attribute, blocks, expand};

fn expanded(args: proc_macro2::TokenStream, item: proc_macro2::TokenStream) -> String {
    expand(Attribute::DefaultRetry, args, item).to_string()
}

#[test]
fn memorize_goes_outside_and_everything_else_stays() {
    let out = expanded(
        quote!(attempts = 5),
        quote! {
            /// Documented.
            #[instrument]
            #[memory_core::memorize(expire = 60)]
            pub async fn f(a: u8) -> Result<u8, E> { Ok(a) }
        },
    );
    let expected = quote! {
        #[memory_core::memorize(expire = 60)]
        #[::memory_core::default_retry(attempts = 5)]
        /// Documented.
        #[instrument]
        pub async fn f(a: u8) -> Result<u8, E> { Ok(a) }
    };
    assert_eq!(out, expected.to_string());
}

#[test]
fn memorize_goes_outside_through_a_facade_too() {
    let out = expanded(
        quote!(crate = crate::facade, attempts = 5),
        quote!(
            #[memorize]
            fn f() -> Result<u8, E> {
                Ok(1)
            }
        ),
    );
    let expected = quote! {
        #[memorize]
        #[crate::facade::default_retry(crate = crate::facade, attempts = 5)]
        fn f() -> Result<u8, E> { Ok(1) }
    };
    assert_eq!(out, expected.to_string());
}

#[test]
fn every_mistake_is_reported_and_the_function_still_stands() {
    let out = expanded(
        quote!(attempts = 0, nonsense = 1),
        quote!(
            async fn f() -> Result<u8, E> {
                Ok(1)
            }
        ),
    );
    assert_eq!(out.matches("compile_error").count(), 2, "{out}");
    assert!(out.contains("async fn f"), "{out}");
}

#[test]
fn keyword_arguments_become_settings_and_positions() {
    let spelled = |expr| {
        let expr = blocks::with_keywords(expr).expect("valid");
        quote!(#expr).to_string()
    };
    assert_eq!(
        spelled(parse_quote!(a::exponential_backoff(max = 30, min = 2) + other(x = 1))),
        quote!(a::exponential_backoff().max(30).min(2) + other().x(1)).to_string()
    );
    assert_eq!(
        spelled(parse_quote!(chain([incrementing(1, max = 10, increment = 2), fixed(wait = 3)]))),
        quote!(chain([incrementing(1, 2, 10), fixed(3)])).to_string()
    );
    assert!(blocks::with_keywords(parse_quote!(incrementing(1, start = 1, increment = 1, max = 1))).is_err());
    assert!(blocks::with_keywords(parse_quote!(exponential_backoff(min = 1, min = 2))).is_err());
    assert!(blocks::with_keywords(parse_quote!(incrementing(max = 10, 2))).is_err());
}
