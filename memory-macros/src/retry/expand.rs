//! What the attributes turn a function into.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Block, Expr, ExprClosure, FnArg, Ident, ItemFn, Pat, ReturnType, Stmt, Type,
    ext::IdentExt,
    parse_quote,
    spanned::Spanned,
    visit_mut::{self, VisitMut},
};

use super::{
    blocks::{block_name, mentions},
    parse::Config,
    shape::{self, Argument, Kind, Myself, Shape},
};

// Input:
//     #[default_retry(attempts = 5, retry_on = predicate, before_sleep = hook)]
//     async fn f(a: A, b: &mut B) -> Result<T, E> { BODY }
//
// Output:
//     async fn f(a: A, b: &mut B) -> Result<T, E> {
//         static RETRIED: LazyLock<Site> = ..;    // the budget, the counters
//         let mut attempts = RETRIED.begin();     // Plan::new(STOP, WAIT).of(&RETRIED).begin(), where it is not made of constants
//         loop {
//             let wait = {                        // a scope: nothing of the attempt lives on during the wait
//                 let fresh0 = owned(Copies(&a).duplicate());
//                 let attempt = pin!(async { let a = fresh0; let b = &mut *b; BODY });
//                 let (outcome, back) = outcome(attempts.run(attempt).await);
//                 let again = asks(&outcome, predicate);
//                 match attempts.next(again, || hint, || plan) {    // how long the error asks to wait; what to go by
//                     Next::Done => break back(outcome),
//                     Next::Exhausted => break back(outcome),
//                     Next::After(wait) => {
//                         before_sleep(&outcome, attempts.made(), wait, hook);
//                         wait
//                     }
//                 }
//             };
//             pause(wait).await;
//         }
//     }
/// The function, with a body that calls the one that was written.
pub(crate) fn function(config: &Config, shape: &Shape, mut function: ItemFn) -> TokenStream {
    let names = Names::new(config);
    if !matches!(shape.myself, Myself::Captured) {
        ReplaceSelf(&names.this).visit_block_mut(&mut function.block);
    }
    let retried = Expansion { config, shape, names: &names, function: &function }.retried();
    rename_arguments(&mut function, shape);
    let tokens = match shape.kind {
        Kind::Async | Kind::Blocking => retried,
        Kind::Future => {
            // What the body was, an `async fn` may not be able to be.
            function.attrs.push(parse_quote!(#[allow(clippy::manual_async_fn)]));
            quote!(async move { #retried })
        }
        Kind::Boxed => {
            let private = &names.private;
            quote!(#private::std::boxed::Box::pin(async move { #retried }))
        }
    };
    let brace_token = function.block.brace_token;
    *function.block = Block { brace_token, stmts: vec![Stmt::Expr(Expr::Verbatim(tokens), None)] };
    quote!(#function)
}

/// What the body of a function needs to run more than once at a time.
pub(crate) struct Again {
    /// What each run consumes, made before it.
    pub(crate) fresh: TokenStream,
    /// The bindings at the head of the body.
    pub(crate) bindings: TokenStream,
}

impl Again {
    /// Gives the arguments names that can be cloned; an exclusive reference can't be lent to two runs at once.
    pub(crate) fn of(function: &mut ItemFn, krate: &syn::Path) -> syn::Result<Self> {
        let (mut config, _) = super::parse::config(super::Attribute::Retry, TokenStream::new(), function);
        config.krate = krate.clone();
        let shape = shape::of(function, &config)?;
        if let Some(exclusive) = function.sig.inputs.iter().find(|input| is_exclusive(input)) {
            let message = "a hedged call runs beside the first one: a `&mut` can't be lent to both";
            return Err(syn::Error::new_spanned(exclusive, message));
        }
        let names = Names::new(&config);
        if !matches!(shape.myself, Myself::Captured) {
            ReplaceSelf(&names.this).visit_block_mut(&mut function.block);
        }
        let expansion = Expansion { config: &config, shape: &shape, names: &names, function };
        let again = Self { fresh: expansion.fresh_arguments(), bindings: expansion.bindings() };
        rename_arguments(function, &shape);
        Ok(again)
    }
}

fn is_exclusive(input: &FnArg) -> bool {
    match input {
        FnArg::Receiver(receiver) => match &receiver.kind {
            syn::ReceiverKind::Reference(_, _, mutability) => mutability.is_some(),
            syn::ReceiverKind::Typed(_, ty) => matches!(&**ty, Type::Reference(ty) if ty.mutability.is_some()),
            _ => false,
        },
        FnArg::Typed(arg) => matches!(crate::plain_fn::bare(&arg.ty), Type::Reference(ty) if ty.mutability.is_some()),
    }
}

/// The local names of the expansion: invisible to the body that was written.
struct Names {
    private: TokenStream,
    this: Ident,
    attempts: Ident,
    attempt: Ident,
    outcome: Ident,
    back: Ident,
    again: Ident,
    wait: Ident,
    error: Ident,
}

impl Names {
    /// The path to the run-time support, pointing at what the user wrote: there an unmet bound is reported.
    fn private_at(&self, span: Span) -> TokenStream {
        let at = |mut token: TokenTree| {
            token.set_span(token.span().located_at(span));
            token
        };
        self.private.clone().into_iter().map(at).collect()
    }

    fn new(config: &Config) -> Self {
        let krate = &config.krate;
        let local = |name| Ident::new(name, Span::mixed_site());
        Self {
            private: quote!(#krate::__private::retry),
            this: local("this"),
            attempts: local("attempts"),
            attempt: local("attempt"),
            outcome: local("outcome"),
            back: local("back"),
            again: local("again"),
            wait: local("wait"),
            error: local("error"),
        }
    }
}

struct Expansion<'a> {
    config: &'a Config,
    shape: &'a Shape,
    names: &'a Names,
    function: &'a ItemFn,
}

impl Expansion<'_> {
    /// The loop, as the statements of a block.
    fn retried(&self) -> TokenStream {
        let Names { private, attempts, outcome, back, again, wait, .. } = self.names;
        let ((begun, late), fresh, attempt) = (self.begun(), self.fresh_arguments(), self.attempt());
        let (judgement, exhausted, hook, pause) = (self.judgement(), self.exhausted(), self.hook(), self.pause());
        let (site, delay) = (self.site(), self.delay());
        quote! {
            #site
            let mut #attempts = #begun;
            loop {
                let #wait = {
                    #fresh
                    #attempt
                    let #again = #judgement;
                    match #attempts.next(#again, || #delay, || #late) {
                        #private::Next::Done => break #back(#outcome),
                        #private::Next::Exhausted => #exhausted,
                        #private::Next::After(#wait) => {
                            #hook
                            #wait
                        }
                    }
                };
                #pause
            }
        }
    }

    /// How the call begins, and the plan that it gets when its first attempt has failed. What is no constant is evaluated once,
    /// when the call begins.
    fn begun(&self) -> (TokenStream, TokenStream) {
        let (private, plan, site) = (&self.names.private, self.plan(), Ident::new("RETRIED", Span::mixed_site()));
        if self.config.is_constant() {
            (quote!(#site.begin()), quote!(#private::std::option::Option::Some(#plan)))
        } else {
            (quote!(#plan.begin()), quote!(#private::std::option::Option::None))
        }
    }

    fn plan(&self) -> TokenStream {
        let private = &self.names.private;
        let Config { stop, wait, jitter, deadline, attempt_timeout, max_delay, budget, seed, .. } = self.config;
        let (jitter, seed) = (jitter.iter(), seed.iter());
        let (deadline, max_delay, budget) = (deadline.iter(), max_delay.iter(), budget.iter());
        let timeout = attempt_timeout.iter().map(|(_, timeout)| timeout);
        let site = Ident::new("RETRIED", Span::mixed_site());
        quote! {
            #private::Plan::new(#stop, #wait).of(&#site)
                #(.jitter(#jitter))* #(.seed(#seed))* #(.deadline(#deadline))* #(.attempt_timeout(#timeout))*
                #(.max_delay(#max_delay))* #(.budget(#budget))*
        }
    }

    /// What all calls share: the budget, and the counters under the function's path.
    fn site(&self) -> TokenStream {
        let private = &self.names.private;
        let (site, name) = (Ident::new("RETRIED", Span::mixed_site()), self.function.sig.ident.unraw().to_string());
        quote! {
            static #site: #private::std::sync::LazyLock<#private::Site> = #private::std::sync::LazyLock::new(
                || #private::Site::new(#private::std::concat!(#private::std::module_path!(), "::", #name))
            );
        }
    }

    /// How long the error asks to wait.
    fn delay(&self) -> TokenStream {
        let Names { private, outcome, error, .. } = self.names;
        if let Some(delay) = &self.config.delay {
            return quote_spanned!(delay.span().resolved_at(Span::mixed_site())=> #private::delay(&#outcome, #delay));
        }
        quote! {
            match &#outcome {
                #private::std::result::Result::Ok(_) => #private::std::option::Option::None,
                #private::std::result::Result::Err(#error) => {
                    #[allow(unused_imports)]
                    use #private::{HintOfError as _, HintOfLocal as _, HintOfNone as _, HintOfShared as _};
                    (&&&&#private::Hint(#error)).delay()
                }
            }
        }
    }

    /// What the next run of the body consumes.
    fn fresh_arguments(&self) -> TokenStream {
        let this = &self.names.this;
        let clone = |fresh: TokenStream, original: TokenStream, span: Span| {
            let (private, span) = (self.names.private_at(span), span.resolved_at(Span::mixed_site()));
            quote_spanned! {span=>
                let #fresh = {
                    #[allow(unused_imports)]
                    use #private::{CannotDuplicate as _, DuplicateInside as _};
                    #private::owned(#private::Copies(&#original).duplicate())
                };
            }
        };
        let myself = match &self.shape.myself {
            Myself::Captured => TokenStream::new(),
            Myself::Cloned(receiver) => {
                let mutable = receiver.mutability;
                clone(quote!(#mutable #this), quote!(self), receiver.self_token.span)
            }
            Myself::Reborrowed => quote!(let #this = &mut *self;),
        };
        let arguments = self.shape.arguments.iter().enumerate().filter_map(|(at, argument)| match argument {
            Argument::Cloned { name, pattern } => {
                let fresh = fresh(at);
                Some(clone(quote!(#fresh), quote!(#name), pattern.span()))
            }
            Argument::Reborrowed { .. } | Argument::Kept { .. } => None,
        });
        quote!(#myself #(#arguments)*)
    }

    /// The bindings at the head of the body.
    fn bindings(&self) -> TokenStream {
        let bindings = self.shape.arguments.iter().enumerate().filter_map(|(at, argument)| match argument {
            Argument::Cloned { pattern, .. } => {
                let fresh = fresh(at);
                let unused = self.is_mentioned(pattern).then(|| quote!(#[allow(unused_variables)]));
                Some(quote!(#unused #[allow(clippy::no_effect_underscore_binding)] let #pattern = #fresh;))
            }
            Argument::Reborrowed { name, mutable } => {
                let mutable = mutable.then(|| quote!(mut));
                Some(quote!(let #mutable #name = &mut *#name;))
            }
            Argument::Kept { rebound } => rebound.as_ref().map(|name| quote!(let mut #name = #name;)),
        });
        quote!(#(#bindings)*)
    }

    /// Whether an expression of the attribute uses an argument, which the body then need not.
    fn is_mentioned(&self, pattern: &Pat) -> bool {
        let Pat::Ident(pattern) = pattern else { return false };
        let Config { stop, wait, predicate, attempt_timeout, deadline, before_sleep, reraise, .. } = self.config;
        let Config { delay, max_delay, budget, seed, .. } = self.config;
        let timeout = attempt_timeout.as_ref().map(|(_, timeout)| timeout);
        let reraise = reraise.as_ref().map(|(_, reraise)| reraise);
        let written = quote! {
            #stop #wait #predicate #timeout #deadline #before_sleep #reraise #delay #max_delay #budget #seed
        };
        mentions(written, &pattern.ident)
    }

    /// One run of the body; ends with `outcome` bound to a `Result`, and `back` to what makes the returned type of one.
    fn attempt(&self) -> TokenStream {
        let Names { outcome, back, .. } = self.names;
        let (start, run) = self.run();
        let ty = self.output();
        let span = ty.as_ref().or(self.returned()).map_or_else(Span::call_site, Spanned::span);
        let ty = ty.map(|ty| quote!(: #ty));
        let private = self.names.private_at(span);
        let span = span.resolved_at(Span::mixed_site());
        let ended = Ident::new("ended", span);
        let checked = quote_spanned!(span=> #private::outcome(#ended));
        quote! {
            #start
            #[allow(clippy::redundant_closure_call)]
            let #ended #ty = #run;
            let (#outcome, #back) = #checked;
        }
    }

    /// What starts the body, and what it ends with.
    fn run(&self) -> (TokenStream, TokenStream) {
        let attempt = &self.names.attempt;
        // The statements without their braces: a block of its own would have braces that a lint calls unneeded.
        let (bindings, body) = (self.bindings(), &self.function.block.stmts);
        let start = match self.shape.kind {
            Kind::Blocking => {
                let returned = self.nameable_returned();
                let attempts = &self.names.attempts;
                let run = quote!(#attempts.run_blocking(|| -> #returned { #bindings #(#body)* }));
                return (TokenStream::new(), run);
            }
            Kind::Async => {
                let typed = self.typed();
                quote!(async { #typed #bindings #(#body)* })
            }
            Kind::Boxed | Kind::Future => quote!((|| { #bindings #(#body)* })()),
        };
        let private = &self.names.private;
        let pinned = quote!(#private::std::pin::pin!(#start));
        (quote!(#[allow(clippy::redundant_closure_call)] let #attempt = #pinned;), self.awaited())
    }

    /// What the future resolves to that the function makes; nothing else would tell the type of its error.
    fn output(&self) -> Option<Type> {
        let mut output = match self.shape.kind {
            Kind::Boxed | Kind::Future => shape::output(self.returned()?)?.clone(),
            Kind::Async | Kind::Blocking => return None,
        };
        EraseImplTrait.visit_type_mut(&mut output);
        Some(output)
    }

    /// Where the error type is written, as far as that can be seen.
    fn error_span(&self) -> Span {
        let ty = self.output().or_else(|| self.returned().cloned());
        ty.map_or_else(Span::call_site, |ty| shape::error_type(&ty).unwrap_or(&ty).span())
    }

    /// The attempt, awaited within its limits.
    fn awaited(&self) -> TokenStream {
        let Names { attempts, attempt, .. } = self.names;
        let span = self.config.attempt_timeout.as_ref().map_or_else(Span::call_site, |(span, _)| *span);
        let ended = &Ident::new("ended", span.resolved_at(Span::mixed_site()));
        let private = self.names.private_at(span);
        let limit = match (&self.config.attempt_timeout, &self.config.deadline) {
            (None, None) => return quote!(#attempts.run(#attempt).await),
            (Some(_), _) => {
                quote_spanned!(span.resolved_at(Span::mixed_site())=> #private::must_expire((&#ended).expires()))
            }
            (None, Some(_)) => quote!(#private::may_expire((&#ended).expires())),
        };
        let span = span.resolved_at(Span::mixed_site());
        let limit = quote_spanned! {span=>
            |#ended| {
                #[allow(unused_imports)]
                use #private::{ExpiresUnsaid as _, NeverExpires as _};
                #limit
            }
        };
        quote!(#attempts.within(#attempt, #limit).await)
    }

    /// Makes the type of an `async` block known before its first `?` or coercion.
    fn typed(&self) -> TokenStream {
        let returned = self.nameable_returned();
        quote! {
            #[allow(unknown_lints, unreachable_code, clippy::all, clippy::pedantic, clippy::restriction)]
            if false {
                let returned: #returned = loop {};
                return returned;
            }
        }
    }

    fn returned(&self) -> Option<&Type> {
        match &self.function.sig.output {
            ReturnType::Type(_, ty) => Some(ty),
            ReturnType::Default => None,
        }
    }

    /// The return type with `_` for every `impl Trait`, which can't be written in a body.
    fn nameable_returned(&self) -> Type {
        let mut ty = self.returned().cloned().unwrap_or(parse_quote!(()));
        EraseImplTrait.visit_type_mut(&mut ty);
        ty
    }

    /// Whether the predicate asks for another call.
    fn judgement(&self) -> TokenStream {
        let Names { private, outcome, error, .. } = self.names;
        let Some(predicate) = &self.config.predicate else {
            let span = self.error_span();
            let (private, span) = (self.names.private_at(span), span.resolved_at(Span::mixed_site()));
            return quote_spanned! {span=>
                match &#outcome {
                    #private::std::result::Result::Ok(_) => false,
                    #private::std::result::Result::Err(#error) => {
                        #[allow(unused_imports)]
                        use #private::{AskAny as _, AskError as _, AskLocal as _, AskRetryable as _, AskShared as _};
                        #private::judged((&&&&&#private::Ask(#error)).ask())
                    }
                }
            };
        };
        let mut predicate = predicate.clone();
        TypedClosures { names: self.names }.visit_expr_mut(&mut predicate);
        let asks = match &predicate {
            Expr::Closure(closure) if !is_typed(closure) => quote!(asks_typed),
            _ => quote!(asks),
        };
        quote_spanned!(predicate.span().resolved_at(Span::mixed_site())=> #private::#asks(&#outcome, #predicate))
    }

    /// Where the retries are exhausted.
    fn exhausted(&self) -> TokenStream {
        let Names { attempts, outcome, back, .. } = self.names;
        let Some((_, reraise)) = &self.config.reraise else { return quote!(break #back(#outcome)) };
        let span = self.error_span();
        let private = self.names.private_at(span);
        quote_spanned! {span.resolved_at(Span::mixed_site())=> {
            #[allow(unused_imports)]
            use #private::NeverWraps as _;
            let wrap = #private::wrapper(#private::error_type(&#outcome).wraps());
            break #back(#attempts.give_up(#outcome, #reraise, wrap));
        }}
    }

    fn hook(&self) -> TokenStream {
        let Names { private, attempts, outcome, wait, .. } = self.names;
        let hook = self.config.before_sleep.iter();
        quote!(#(#private::before_sleep(&#outcome, #attempts.made(), #wait, #hook);)*)
    }

    fn pause(&self) -> TokenStream {
        let Names { private, wait, .. } = self.names;
        match self.shape.kind {
            Kind::Blocking => quote!(#private::pause_blocking(#wait);),
            _ => quote!(#private::pause(#wait).await;),
        }
    }
}

/// The clone of the argument at this place.
fn fresh(at: usize) -> Ident {
    format_ident!("fresh{at}", span = Span::mixed_site())
}

/// Every argument gets a plain name; the patterns stand at the head of the body.
fn rename_arguments(function: &mut ItemFn, shape: &Shape) {
    let typed = function.sig.inputs.iter_mut().filter_map(|arg| match arg {
        FnArg::Typed(arg) => Some(arg),
        FnArg::Receiver(receiver) => {
            receiver.mutability = None;
            None
        }
    });
    for (arg, argument) in typed.zip(&shape.arguments) {
        let name = match argument {
            Argument::Cloned { name, .. } | Argument::Reborrowed { name, .. } => name,
            Argument::Kept { rebound: Some(name) } => name,
            Argument::Kept { rebound: None } => continue,
        };
        *arg.pat = Pat::Verbatim(quote!(#name));
    }
}

/// Whether every parameter of a closure has a type, so that nothing has to be told to it.
fn is_typed(closure: &ExprClosure) -> bool {
    closure.inputs.iter().all(|input| matches!(input, Pat::Type(_)))
}

/// Lets `retry_on_error(|error| ..)` know what the error is, and `retry_on_result(|value| ..)` the value.
struct TypedClosures<'a> {
    names: &'a Names,
}

impl VisitMut for TypedClosures<'_> {
    fn visit_expr_call_mut(&mut self, call: &mut syn::ExprCall) {
        let Names { private, outcome, .. } = self.names;
        let typed = match block_name(&call.func).map(Ident::to_string).as_deref() {
            Some("retry_on_error") => quote!(of_error),
            Some("retry_on_result") => quote!(of_value),
            _ => return visit_mut::visit_expr_call_mut(self, call),
        };
        for arg in &mut call.args {
            if matches!(arg, Expr::Closure(closure) if !is_typed(closure)) {
                *arg = parse_quote!(#private::#typed(&#outcome, #arg));
            }
        }
    }

    fn visit_expr_closure_mut(&mut self, _: &mut ExprClosure) {}
}

pub(crate) struct EraseImplTrait;

impl VisitMut for EraseImplTrait {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::ImplTrait(_) = ty {
            *ty = parse_quote!(_);
        } else {
            visit_mut::visit_type_mut(self, ty);
        }
    }
}

/// Puts another name in the place of `self`, in macros too, but not in items with a `self` of their own.
struct ReplaceSelf<'a>(&'a Ident);

impl ReplaceSelf<'_> {
    fn renamed(&self, span: Span) -> Ident {
        let mut this = self.0.clone();
        this.set_span(span.resolved_at(Span::mixed_site()));
        this
    }

    fn replace(&self, tokens: TokenStream) -> TokenStream {
        let mut tokens = tokens.into_iter().peekable();
        let mut out = TokenStream::new();
        while let Some(token) = tokens.next() {
            out.extend([match token {
                // `self::path` names a module.
                TokenTree::Ident(ident) if ident == "self" && !is_colon(tokens.peek()) => {
                    TokenTree::Ident(self.renamed(ident.span()))
                }
                TokenTree::Group(group) => {
                    let mut replaced = proc_macro2::Group::new(group.delimiter(), self.replace(group.stream()));
                    replaced.set_span(group.span());
                    TokenTree::Group(replaced)
                }
                other => other,
            }]);
        }
        out
    }
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

impl VisitMut for ReplaceSelf<'_> {
    fn visit_expr_path_mut(&mut self, path: &mut syn::ExprPath) {
        if path.path.is_ident("self") {
            let this = self.renamed(path.span());
            path.path = parse_quote!(#this);
        }
    }

    fn visit_macro_mut(&mut self, call: &mut syn::Macro) {
        call.tokens = self.replace(std::mem::take(&mut call.tokens));
    }

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}
