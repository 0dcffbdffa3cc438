//! The function itself: its exact signature, around the call into the engine.

use proc_macro2::{Delimiter, Group, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, FnArg, parse_quote};

use super::{Expansion, Flavor, parts::is_lint, run::Mode, site};

impl Expansion<'_> {
    // Input:  #[doc = ".."] pub async fn get_user(State(db): State<Db>, Path(id): Path<u64>) -> R { BODY }
    // Output: #[doc = ".."] pub async fn get_user(db: State<Db>, id: Path<u64>) -> R { .. detached(..).await }
    pub(super) fn wrapper(&self) -> TokenStream {
        let function = self.function;
        let attrs = function.attrs.iter().map(on_wrapper);
        let (vis, default) = (&function.vis, &function.default);
        let mut sig = function.sig.clone();
        sig.inputs = self.inputs().collect();
        let run = self.run(&self.cache(), Mode::Memorized);
        let run = match self.flavor {
            Flavor::Boxed => {
                let private = &self.private;
                quote_spanned!(site()=> #private::boxed(async move { #run }))
            }
            _ => run,
        };
        let mut body = Group::new(Delimiter::Brace, run);
        body.set_span(function.body.span());
        // A call fills the cache, even where nobody uses what it returns; the lint sees no effect.
        let effect = (self.flavor == Flavor::Sync).then(|| quote!(#[allow(clippy::must_use_candidate)]));
        quote!(#(#attrs)* #effect #vis #default #sig #body)
    }

    /// The parameters, each under one name.
    pub(super) fn inputs(&self) -> impl Iterator<Item = FnArg> {
        let receiver = self.receiver().map(FnArg::Receiver);
        receiver.into_iter().chain(self.params.list.iter().map(|param| {
            let (ident, ty) = (&param.ident, &param.ty);
            parse_quote!(#ident: #ty)
        }))
    }
}

/// An expectation is met in the body, where it stays; here it only allows.
fn on_wrapper(attr: &Attribute) -> TokenStream {
    match attr.meta.require_list() {
        Ok(list) if is_lint(attr) && attr.path().is_ident("expect") => {
            let lints = without_reason(&list.tokens);
            quote!(#[allow(#lints)])
        }
        _ => attr.to_token_stream(),
    }
}

fn without_reason(lints: &TokenStream) -> TokenStream {
    let mut tokens = lints.clone().into_iter().peekable();
    let mut kept = TokenStream::new();
    while let Some(token) = tokens.next() {
        if token.to_string() == "reason" && tokens.peek().is_some_and(|next| next.to_string() == "=") {
            break;
        }
        kept.extend([token]);
    }
    kept
}
