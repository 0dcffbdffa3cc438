//! What can't be seen from outside: the order of attributes, and how keyword arguments are spelled out.

use quote::quote;
use syn::parse_quote;

use super::{Attribute, blocks, expand};

fn expanded(args: proc_macro2::TokenStream, item: proc_macro2::TokenStream) -> String {
    expand(Attribute::DefaultRetry, args, item).to_string()
}

#[test]
fn memorize_stays_on_the_function_and_so_outside_of_the_retry() {
    let out = expanded(
        quote!(attempts = 5),
        quote! {
            #[memory_core::memorize(expire = 60)]
            pub async fn f(a: u8) -> Result<u8, E> { Ok(a) }
        },
    );
    let head = quote! {
        #[memory_core::memorize(expire = 60)]
        pub async fn f(a: u8) -> Result<u8, E>
    };
    assert!(out.contains(&head.to_string()), "{out}");
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

#[test]
fn a_block_that_is_named_but_not_called_is_found_where_a_block_is_expected() {
    let refused = |expr, calls, inputs| blocks::all_called(&expr, calls, &inputs).is_err();
    for (block, _) in blocks::WAITS {
        let name = quote::format_ident!("{block}");
        assert!(refused(parse_quote!(memory_core::#name), blocks::WAITS, quote!()), "{block}");
        assert!(!refused(parse_quote!(#name), blocks::WAITS, quote!(#name: &Wait)), "an argument: {block}");
    }
    assert!(refused(parse_quote!(stop_after_retries(5) & (stop_never)), blocks::STOPS, quote!()));
    assert!(refused(parse_quote!(chain([fixed(1), no_wait])), blocks::WAITS, quote!()));
    assert!(refused(parse_quote!(exponential_backoff.min(1)), blocks::WAITS, quote!()));
    assert!(!refused(parse_quote!(of_my_own(fixed)), blocks::WAITS, quote!()));
    assert!(!refused(parse_quote!(fixed), blocks::PREDICATES, quote!()), "a predicate of this name");
}
