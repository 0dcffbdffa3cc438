//! `#[memorize]`: parse → (put other attributes in order) → validate → expand.

mod batch;
mod expand;
mod mentions;
mod order;
mod params;
mod parse;
mod used;
mod validate;

use proc_macro2::TokenStream;

pub(crate) use self::validate::krate;
use self::{expand::Expansion, params::Params, parse::Function, validate::Config};

/// Expands `#[memorize(args)] item`.
pub(crate) fn memorize(args: TokenStream, item: TokenStream) -> TokenStream {
    match expanded(args, item.clone()) {
        Ok(tokens) => tokens,
        Err(error) => with_error(&error, item),
    }
}

fn expanded(args: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let mut function: Function = syn::parse2(item.clone())?;
    let (history, args) = order::history(args);
    if let Some(again) = order::reordered(&function, &history, &args) {
        return Ok(again);
    }
    let params = Params::of(&function)?;
    validate::check_return(&function)?;
    let (config, errors) = Config::parse(args, &function, &params, &history.absent);
    function.body = used::marked(&function, &params, &config);
    let one = config.batch.as_ref().map(|batch| batch.of_one(&function, &params));
    let expansion = Expansion::new(&function, &params, &config, one.as_ref())?;
    Ok(match errors {
        None => expansion.whole(),
        Some(error) => {
            let companions = expansion.muted();
            with_error(&error, quote::quote!(#item #companions))
        }
    })
}

/// The item stays, so that one mistake is one message.
fn with_error(error: &syn::Error, item: TokenStream) -> TokenStream {
    let mut tokens = error.to_compile_error();
    tokens.extend(item);
    tokens
}
