//! The arguments of these attributes, checked one by one.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Expr, ItemFn, Lit, Path, Token,
    parse::{ParseStream, Parser},
    parse_quote,
    spanned::Spanned,
};

use super::{
    expand::{Around, Fallback, Guard, Work},
    order,
};
use crate::options::{Opt, Options, Value, until_comma};

/// Which of these attributes was written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    CircuitBreaker,
    RateLimit,
    Bulkhead,
    Timeout,
    Hedge,
    Fallback,
}

impl Policy {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CircuitBreaker => "circuit_breaker",
            Self::RateLimit => "rate_limit",
            Self::Bulkhead => "bulkhead",
            Self::Timeout => "timeout",
            Self::Hedge => "hedge",
            Self::Fallback => "fallback",
        }
    }

    fn of_guard(name: &Ident) -> Self {
        match name.to_string().as_str() {
            "circuit_breaker" => Self::CircuitBreaker,
            "rate_limit" => Self::RateLimit,
            _ => Self::Bulkhead,
        }
    }

    /// The settings of a guard: how each is called, and an example of it.
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::CircuitBreaker => &[
                ("failure_rate", "failure_rate = 0.5"),
                ("slow_call", "slow_call = 2"),
                ("slow_rate", "slow_rate = 0.8"),
                ("window_calls", "window_calls = 100"),
                ("window_time", "window_time = 30"),
                ("minimum_calls", "minimum_calls = 20"),
                ("open_for", "open_for = 30"),
                ("probes", "probes = 3"),
            ],
            Self::RateLimit => {
                &[("rate", "rate = 100"), ("per", "per = 1"), ("burst", "burst = 20"), ("max_wait", "max_wait = 0.5")]
            }
            Self::Bulkhead => &[
                ("max_concurrent", "max_concurrent = 10"),
                ("min_concurrent", "min_concurrent = 2"),
                ("max_queued", "max_queued = 20"),
                ("max_wait", "max_wait = 1"),
            ],
            Self::Hedge => &[
                ("after", "after = 0.1"),
                ("quantile", "quantile = 0.95"),
                ("max_hedges", "max_hedges = 1"),
                ("budget", "budget = &BUDGET"),
            ],
            Self::Timeout | Self::Fallback => &[],
        }
    }

    /// One of these settings has to be given; what to say where none is.
    fn needs(self) -> Option<(&'static [&'static str], &'static str)> {
        match self {
            Self::RateLimit => {
                Some((&["rate"], "a rate limit needs to know how many calls: write `rate_limit(rate = 100)`"))
            }
            Self::Bulkhead => Some((
                &["max_concurrent"],
                "a bulkhead needs to know how many calls at a time: write `bulkhead(max_concurrent = 10)`",
            )),
            Self::Hedge => Some((
                &["after", "quantile"],
                "a hedge needs to know when: write `hedge(after = 0.1)` or `hedge(quantile = 0.95)`",
            )),
            Self::CircuitBreaker | Self::Timeout | Self::Fallback => None,
        }
    }

    /// The type that has its settings.
    fn ty(self) -> Ident {
        super::local(match self {
            Self::CircuitBreaker => "CircuitBreaker",
            Self::RateLimit => "RateLimiter",
            Self::Hedge => "Hedge",
            _ => "Bulkhead",
        })
    }
}

/// What an attribute puts around the function; takes the other guards along.
pub(super) fn around(policy: Policy, args: TokenStream, function: &mut ItemFn) -> syn::Result<Around> {
    let mut around = Around { krate: parse_quote!(::memory_core), work: Work::Nothing, error: None };
    match policy {
        Policy::Timeout => timeout(args, function, &mut around)?,
        Policy::Fallback => around.work = Work::Fallback(fallback(args, &mut around)?),
        Policy::Hedge => {
            let hedge = guard(policy, args, &mut around);
            around.work = Work::Hedge(hedge);
        }
        _ => guards(vec![(Ident::new(policy.name(), Span::call_site()), args)], None, function, &mut around),
    }
    Ok(around)
}

fn guards(first: Vec<(Ident, TokenStream)>, limit: Option<Expr>, function: &mut ItemFn, around: &mut Around) {
    let mut all = first;
    all.extend(order::take_guards(function));
    let mut guards: Vec<Guard> = Vec::new();
    for (name, args) in all {
        let policy = Policy::of_guard(&name);
        if guards.iter().any(|other| other.policy == policy) {
            around.report(syn::Error::new(name.span(), format!("`{name}` stands here twice: keep one of them")));
            continue;
        }
        guards.push(guard(policy, args, around));
    }
    around.work = Work::Guards(guards, limit);
}

fn guard(policy: Policy, args: TokenStream, around: &mut Around) -> Guard {
    let mut known: Vec<&str> = policy.settings().iter().map(|(name, _)| *name).collect();
    if policy == Policy::CircuitBreaker {
        known.push("failure_on");
    }
    known.extend(["with", "crate"]);
    let mut options = Options::parse(policy.name(), &known, args);
    around.take_crate(&mut options);
    let failure_on: Option<Expr> = assigned(&mut options, "failure_on", "failure_on = |error| error.is_timeout()");
    let with: Option<Expr> = assigned(&mut options, "with", "with = &POLICY");
    let mut given = Vec::new();
    for (name, example) in policy.settings() {
        let Some(opt) = options.take(name) else { continue };
        if with.is_some() {
            let message = format!("`{name}` belongs to the policy that `with` names: set it there");
            options.report(syn::Error::new(opt.name.span(), message));
            continue;
        }
        let value = opt.assigned::<Expr>(example).and_then(|value| in_range(name, &value).map(|()| value));
        if let Some(value) = options.keep(value) {
            given.push((opt, value));
        }
    }
    if let (Some((first, _)), Some((second, _))) = (find(&given, "window_calls"), find(&given, "window_time")) {
        let message = format!("a window is one of calls or one of time: keep `{}` or `{}`", first.name, second.name);
        options.report(syn::Error::new(second.name.span(), message));
    }
    if let (Some(_), Some((second, _))) = (find(&given, "after"), find(&given, "quantile")) {
        let message = "a hedge comes after a time or after a quantile: keep `after` or `quantile`";
        options.report(syn::Error::new(second.name.span(), message));
    }
    if let (Some((_, least)), Some((_, most))) = (find(&given, "min_concurrent"), find(&given, "max_concurrent"))
        && literal(least) > literal(most)
        && literal(most).is_some()
    {
        options.report(syn::Error::new(least.span(), "`min_concurrent` is above `max_concurrent`: write less"));
    }
    if let Some((needed, message)) = policy.needs()
        && with.is_none()
        && !needed.iter().any(|name| find(&given, name).is_some())
        && !options.has_errors()
    {
        options.report(syn::Error::new(Span::call_site(), message));
    }
    let settings = given.iter().map(|(opt, value)| {
        let (name, span) = (&opt.name, value.span().resolved_at(Span::mixed_site()));
        quote_spanned!(span=> .#name(#value))
    });
    let settings = quote!(#(#settings)*);
    around.absorb(options);
    Guard { policy, ty: policy.ty(), settings, with, failure_on }
}

fn find<'a>(given: &'a [(Opt, Expr)], name: &str) -> Option<&'a (Opt, Expr)> {
    given.iter().find(|(opt, _)| opt.name == name)
}

/// The number that is written there.
fn literal(value: &Expr) -> Option<f64> {
    let Expr::Lit(literal) = value else { return None };
    match &literal.lit {
        Lit::Int(number) => number.base10_parse().ok(),
        Lit::Float(number) => number.base10_parse().ok(),
        _ => None,
    }
}

/// A literal that can't work is a mistake that need not wait for the run time.
fn in_range(name: &str, value: &Expr) -> syn::Result<()> {
    let Some(number) = literal(value) else { return Ok(()) };
    let refuse = |message: String| Err(syn::Error::new(value.span(), message));
    match name {
        "failure_rate" | "slow_rate" if !(number > 0.0 && number <= 1.0) => {
            refuse(format!("`{name}` is a share of the calls: write a number above 0 and up to 1"))
        }
        "quantile" if !(number > 0.0 && number < 1.0) => {
            refuse("`quantile` is a share of the calls: write a number between 0 and 1".to_owned())
        }
        "max_hedges" if number <= 0.0 => refuse("with `max_hedges = 0` there would be no hedge: write 1".to_owned()),
        "window_calls" | "window_time" | "minimum_calls" | "probes" | "rate" | "per" | "burst" | "max_concurrent"
        | "min_concurrent"
            if number <= 0.0 =>
        {
            refuse(format!("with `{name} = 0` there would be no call at all: write more than 0"))
        }
        _ => Ok(()),
    }
}

/// `#[timeout(30)]`, `#[timeout(attempt = 2)]`, or both, which become two attributes.
fn timeout(args: TokenStream, function: &mut ItemFn, around: &mut Around) -> syn::Result<()> {
    let example = "write `timeout(30)`, `timeout(attempt = 2)` or both";
    let (total, rest) = positional(args)?;
    let mut options = Options::parse("timeout", &["total", "attempt", "crate"], rest);
    around.take_crate(&mut options);
    let named: Option<Expr> = assigned(&mut options, "total", "total = 30");
    if let (Some(_), Some(named)) = (&total, &named) {
        options.report(syn::Error::new(named.span(), "the timeout is given twice: keep one of them"));
    }
    let total = total.or(named);
    let attempt: Option<Expr> = assigned(&mut options, "attempt", "attempt = 2");
    around.absorb(options);
    let krate = around.krate.clone();
    match (total, attempt) {
        (Some(total), Some(attempt)) => {
            // Before all others, so that what has put itself in order stays there.
            let both: [syn::Attribute; 2] = [
                parse_quote!(#[#krate::timeout(attempt = #attempt, crate = #krate)]),
                parse_quote!(#[#krate::timeout(#total, crate = #krate)]),
            ];
            function.attrs.splice(0..0, both);
        }
        (Some(total), None) => around.work = Work::Timeout(total),
        (None, Some(attempt)) => guards(Vec::new(), Some(attempt), function, around),
        (None, None) if around.error.is_some() => {}
        (None, None) => {
            return Err(syn::Error::new(Span::call_site(), format!("a timeout needs a length of time: {example}")));
        }
    }
    Ok(())
}

/// `#[fallback(EXPR)]`, `#[fallback(|error| EXPR)]`, with `on = predicate`.
fn fallback(args: TokenStream, around: &mut Around) -> syn::Result<Fallback> {
    let (instead, rest) = positional(args)?;
    let mut options = Options::parse("fallback", &["on", "crate"], rest);
    around.take_crate(&mut options);
    let on = assigned(&mut options, "on", "on = |error| error.is_timeout()");
    around.absorb(options);
    let message = "a fallback needs a value, or a closure that makes a `Result` of the error: \
                   write `fallback(Vec::new())` or `fallback(|error| ..)`";
    let instead = instead.ok_or_else(|| syn::Error::new(Span::call_site(), message))?;
    Ok(Fallback { instead, on })
}

/// The argument without a name, and the others.
fn positional(args: TokenStream) -> syn::Result<(Option<Expr>, TokenStream)> {
    use syn::ext::IdentExt;
    let parser = |input: ParseStream<'_>| {
        let (mut value, mut named) = (None, TokenStream::new());
        while !input.is_empty() {
            let fork = input.fork();
            if fork.call(Ident::parse_any).is_ok() && fork.peek(Token![=]) && !fork.peek(Token![==]) {
                let (name, equals) = (input.call(Ident::parse_any)?, input.parse::<Token![=]>()?);
                let given = until_comma(input)?;
                named.extend(quote!(#name #equals #given,));
            } else if value.is_some() {
                return Err(input.error("there is a value already: keep one of them"));
            } else {
                value = Some(input.parse::<Expr>()?);
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok((value, named))
    };
    parser.parse2(args)
}

/// What `#[resilient(..)]` stands for.
pub(super) fn stacked(args: TokenStream) -> syn::Result<Vec<TokenStream>> {
    let known = [
        "fallback",
        "memorize",
        "timeout",
        "retry",
        "default_retry",
        "hedge",
        "circuit_breaker",
        "rate_limit",
        "bulkhead",
        "crate",
    ];
    let mut options = Options::parse("resilient", &known, args);
    let krate: Path =
        assigned(&mut options, "crate", "crate = path::to::memory_core").unwrap_or(parse_quote!(::memory_core));
    let mut attributes = Vec::new();
    for name in &known[..known.len() - 1] {
        let Some(opt) = options.take(name) else { continue };
        let (name, comma) = (&opt.name, quote!(,));
        match &opt.value {
            Value::Flag => attributes.push(quote!(#[#krate::#name(crate = #krate)])),
            Value::List(args) => {
                let comma = (!args.is_empty() && !ends_with_comma(args)).then_some(comma);
                attributes.push(quote!(#[#krate::#name(#args #comma crate = #krate)]));
            }
            Value::Assigned(_) => {
                let message = format!("write the arguments of `{name}` in parentheses: `{name}(..)`");
                options.report(syn::Error::new(opt.name.span(), message));
            }
        }
    }
    match options.into_errors() {
        Some(error) => Err(error),
        None if attributes.is_empty() => Err(syn::Error::new(
            Span::call_site(),
            "`resilient` needs a policy: write `resilient(timeout(30), retry(..))`",
        )),
        None => Ok(attributes),
    }
}

fn ends_with_comma(args: &TokenStream) -> bool {
    args.clone().into_iter().last().is_some_and(|last| last.to_string() == ",")
}

fn assigned<T: syn::parse::Parse>(options: &mut Options, name: &str, example: &str) -> Option<T> {
    let value = options.take(name)?.assigned(example);
    options.keep(value)
}

impl Around {
    fn take_crate(&mut self, options: &mut Options) {
        if let Some(krate) = assigned(options, "crate", "crate = path::to::memory_core") {
            self.krate = krate;
        }
    }

    fn absorb(&mut self, options: Options) {
        if let Some(error) = options.into_errors() {
            self.report(error);
        }
    }

    fn report(&mut self, error: syn::Error) {
        match &mut self.error {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }
}
