//! What these attributes turn a function into.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Block, Expr, ItemFn, Path, ReturnType, Stmt, Type, ext::IdentExt, parse_quote, spanned::Spanned,
    visit_mut::VisitMut,
};

use super::{local, parse::Policy};
use crate::{
    plain_fn::located,
    retry::{
        expand::{Again, EraseImplTrait},
        shape::{self, Kind},
    },
};

/// What one attribute puts around a function.
pub(super) struct Around {
    /// The path to `memory_core`.
    pub(super) krate: Path,
    pub(super) work: Work,
    /// What is wrong with its arguments; the rest is valid.
    pub(super) error: Option<syn::Error>,
}

pub(super) enum Work {
    /// Circuit breaker, rate limit and bulkhead, and how long an attempt may take.
    Guards(Vec<Guard>, Option<Expr>),
    Hedge(Guard),
    Timeout(Expr),
    Fallback(Fallback),
    /// Other attributes do it.
    Nothing,
}

/// A policy with state.
pub(super) struct Guard {
    pub(super) policy: Policy,
    /// Its type.
    pub(super) ty: Ident,
    /// The calls of its builder.
    pub(super) settings: TokenStream,
    /// The one that is shared.
    pub(super) with: Option<Expr>,
    pub(super) failure_on: Option<Expr>,
}

pub(super) struct Fallback {
    pub(super) instead: Expr,
    /// Of which errors; `None`: of all.
    pub(super) on: Option<Expr>,
}

impl Around {
    /// Where a limit of time is written.
    pub(super) fn limit_span(&self) -> Option<Span> {
        match &self.work {
            Work::Timeout(limit) | Work::Guards(_, Some(limit)) => Some(limit.span()),
            _ => None,
        }
    }
}

// Input:
//     #[circuit_breaker(probes = 1)] #[bulkhead(with = &ROOM)]
//     async fn f(a: A) -> Result<T, E> { BODY }
//
// Output:
//     #[bulkhead(__taken)]
//     async fn f(a: A) -> Result<T, E> {
//         static POLICIES: LazyLock<Site> = LazyLock::new(
//             || Site::new("crate::f").circuit_breaker(CircuitBreaker::builder().probes(1)).bulkhead_with(&ROOM)
//         );
//         POLICIES.run(async { BODY }, |error| Failing(error).is_failure(), |refusal| of_refusal(refusal)).await
//     }
/// The function, with a body that runs the one that was written behind the policies.
pub(super) fn function(around: &Around, mut function: ItemFn) -> syn::Result<TokenStream> {
    let kind = shape::kind(&function);
    let expansion = Expansion { kind, krate: &around.krate, private: private(&around.krate), function: &function };
    let support = expansion.private.clone();
    let body = match &around.work {
        Work::Guards(guards, limit) => expansion.guarded(guards, limit.as_ref()),
        Work::Timeout(limit) => expansion.timed(limit),
        Work::Fallback(fallback) => expansion.with_fallback(fallback),
        Work::Hedge(hedge) => {
            let again = Again::of(&mut function, &around.krate)?;
            Expansion { kind, krate: &around.krate, private: support.clone(), function: &function }
                .hedged(hedge, &again)
        }
        Work::Nothing => return Ok(quote!(#function)),
    };
    let tokens = match kind {
        Kind::Async | Kind::Blocking => body,
        Kind::Future => quote!(async move { #body }),
        Kind::Boxed => quote!(#support::std::boxed::Box::pin(async move { #body })),
    };
    if kind == Kind::Future {
        // What the body was, an `async fn` may not be able to be.
        function.attrs.push(parse_quote!(#[allow(clippy::manual_async_fn)]));
    }
    let brace_token = function.block.brace_token;
    *function.block = Block { brace_token, stmts: vec![Stmt::Expr(Expr::Verbatim(tokens), None)] };
    Ok(quote!(#function))
}

fn private(krate: &Path) -> TokenStream {
    quote!(#krate::__private::resilience)
}

struct Expansion<'a> {
    kind: Kind,
    krate: &'a Path,
    /// The path to the run-time support.
    private: TokenStream,
    function: &'a ItemFn,
}

impl Expansion<'_> {
    fn guarded(&self, guards: &[Guard], limit: Option<&Expr>) -> TokenStream {
        let limit = limit.map(|limit| {
            let span = limit.span().resolved_at(Span::mixed_site());
            quote_spanned!(span=> .attempt_timeout(#limit))
        });
        let policies = guards.iter().map(|guard| self.policy(guard));
        let site = self.site(&quote!(#(#policies)* #limit));
        let (is_failure, attempt) = (self.is_failure(guards), self.attempt());
        let call = if self.kind == Kind::Blocking { "run_blocking" } else { "run" };
        let awaited = (self.kind != Kind::Blocking).then(|| quote!(.await));
        let run = self.called(call, &quote!(#attempt, #is_failure));
        quote!(#site #run #awaited)
    }

    /// A call of the site; an error type that refusals can't become is reported where it is written.
    fn called(&self, method: &str, args: &TokenStream) -> TokenStream {
        let (site, method, refusal) = (site_name(), local(method), local("refusal"));
        let span = self.error_span();
        let at = located(&self.private, span);
        let refuse = quote_spanned!(span.resolved_at(Span::mixed_site())=> |#refusal| #at::of_refusal(#refusal));
        quote!(#site.#method(#args, #refuse))
    }

    /// The step that adds a policy to the site.
    fn policy(&self, Guard { policy, ty, settings, with, .. }: &Guard) -> TokenStream {
        let (krate, method) = (self.krate, policy.name());
        match with {
            Some(with) => {
                let span = with.span().resolved_at(Span::mixed_site());
                let method = Ident::new(&format!("{method}_with"), span);
                quote_spanned!(span=> .#method(#with))
            }
            None => {
                let method = local(method);
                quote!(.#method(#krate::#ty::builder() #settings))
            }
        }
    }

    /// What tells the breaker which errors are failures.
    fn is_failure(&self, guards: &[Guard]) -> TokenStream {
        let (private, error) = (&self.private, local("error"));
        match guards.iter().find_map(|guard| guard.failure_on.as_ref()) {
            Some(predicate) => {
                let span = predicate.span().resolved_at(Span::mixed_site());
                quote_spanned!(span=> |#error| #private::asks(#error, #predicate))
            }
            None => quote! {
                |#error| {
                    #[allow(unused_imports)]
                    use #private::probes::*;
                    (&&&#private::Failing(#error)).is_failure()
                }
            },
        }
    }

    fn timed(&self, limit: &Expr) -> TokenStream {
        let span = limit.span().resolved_at(Span::mixed_site());
        let site = self.site(&quote_spanned!(span=> .timeout(#limit)));
        let run = self.called("within", &self.attempt());
        quote!(#site #run.await)
    }

    fn hedged(&self, hedge: &Guard, Again { fresh, bindings }: &Again) -> TokenStream {
        let site = self.site(&self.policy(hedge));
        let (body, typed) = (&self.function.block.stmts, self.typed());
        let call = match self.kind {
            Kind::Async | Kind::Blocking => quote!(async move { #typed #bindings #(#body)* }),
            Kind::Boxed | Kind::Future => {
                let output = self.output();
                quote! {
                    async move {
                        #[allow(clippy::redundant_closure_call)]
                        let returned: #output = (move || { #bindings #(#body)* })().await;
                        returned
                    }
                }
            }
        };
        let run = self.called("hedged", &quote!(|| { #fresh #call }));
        quote!(#site #run.await)
    }

    fn with_fallback(&self, Fallback { instead, on }: &Fallback) -> TokenStream {
        let (private, error, value) = (&self.private, local("error"), local("value"));
        let (site, place, attempt) = (self.site(&TokenStream::new()), site_name(), self.attempt());
        let (outcome, span) = (local("outcome"), instead.span().resolved_at(Span::mixed_site()));
        let answer = match instead {
            Expr::Closure(closure) => {
                let awaited = closure.asyncness.is_some().then(|| quote_spanned!(span=> .await));
                quote_spanned!(span=> #private::instead(#error, #closure) #awaited)
            }
            value => quote_spanned!(span=> #private::std::result::Result::Ok(#value)),
        };
        let condition = on.as_ref().map(|on| {
            let span = on.span().resolved_at(Span::mixed_site());
            quote_spanned!(span=> if #private::asks(&#error, #on))
        });
        let otherwise = condition
            .is_some()
            .then(|| quote!(#private::std::result::Result::Err(#error) => #private::std::result::Result::Err(#error),));
        let ended = if self.kind == Kind::Blocking { quote!((#attempt)()) } else { quote!(#attempt.await) };
        let bound = if matches!(instead, Expr::Closure(_)) || condition.is_some() { quote!(#error) } else { quote!(_) };
        quote! {
            #site
            #[allow(clippy::redundant_closure_call)]
            let #outcome = #ended;
            match #outcome {
                #private::std::result::Result::Ok(#value) => #private::std::result::Result::Ok(#value),
                #private::std::result::Result::Err(#bound) #condition => {
                    #place.falls_back();
                    #answer
                }
                #otherwise
            }
        }
    }

    /// The body: a future, or a closure where it blocks.
    fn attempt(&self) -> TokenStream {
        let (body, returned) = (&self.function.block.stmts, self.returned());
        match self.kind {
            Kind::Blocking => quote!(|| -> #returned { #(#body)* }),
            Kind::Async => {
                let typed = self.typed();
                quote!(async { #typed #(#body)* })
            }
            Kind::Boxed | Kind::Future => {
                let output = self.output();
                quote! {
                    async move {
                        #[allow(clippy::redundant_closure_call)]
                        let returned: #output = (|| { #(#body)* })().await;
                        returned
                    }
                }
            }
        }
    }

    /// Makes the type of an `async` block known before its first `?` or coercion.
    fn typed(&self) -> TokenStream {
        let returned = self.returned();
        quote! {
            #[allow(unknown_lints, unreachable_code, clippy::all, clippy::pedantic, clippy::restriction)]
            if false {
                let returned: #returned = loop {};
                return returned;
            }
        }
    }

    /// What the future resolves to that the function makes; nothing else would tell the type of its error.
    fn output(&self) -> Type {
        let mut ty = match &self.function.sig.output {
            ReturnType::Type(_, ty) => shape::output(ty).cloned().unwrap_or(parse_quote!(_)),
            ReturnType::Default => parse_quote!(_),
        };
        EraseImplTrait.visit_type_mut(&mut ty);
        ty
    }

    /// The name that the policies have in the log.
    fn name(&self) -> TokenStream {
        let (private, name) = (&self.private, self.function.sig.ident.unraw().to_string());
        quote!(#private::std::concat!(#private::std::module_path!(), "::", #name))
    }

    /// What all calls share.
    fn site(&self, policies: &TokenStream) -> TokenStream {
        let (private, name, place) = (&self.private, self.name(), site_name());
        quote! {
            static #place: #private::std::sync::LazyLock<#private::Site> =
                #private::std::sync::LazyLock::new(|| #private::Site::new(#name) #policies);
        }
    }

    /// The return type with `_` for every `impl Trait`, which can't be written in a body.
    fn returned(&self) -> Type {
        let mut ty = match &self.function.sig.output {
            ReturnType::Type(_, ty) => (**ty).clone(),
            ReturnType::Default => parse_quote!(()),
        };
        EraseImplTrait.visit_type_mut(&mut ty);
        ty
    }

    /// Where the error type is written, as far as that can be seen: there an unmet bound is reported.
    fn error_span(&self) -> Span {
        let ReturnType::Type(_, returned) = &self.function.sig.output else { return Span::call_site() };
        let ty = match self.kind {
            Kind::Boxed | Kind::Future => shape::output(returned).unwrap_or(returned),
            Kind::Async | Kind::Blocking => returned,
        };
        shape::error_type(ty).unwrap_or(ty).span()
    }
}

/// Statics are visible to the body, so this is no name that it could mean.
fn site_name() -> Ident {
    local("__POLICIES")
}
