//! The arguments of both attributes, checked one by one and brought to one form.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Expr, ItemFn, Lit, LitBool, LitInt, LitStr, Path, parse_quote, spanned::Spanned};

use super::{
    Attribute,
    blocks::{self, PREDICATES, STOPS, WAITS},
};
use crate::options::{Opt, Options};

const COMMON: [&str; 10] = [
    "attempt_timeout",
    "deadline",
    "before_sleep",
    "jitter",
    "seed",
    "delay",
    "max_delay",
    "budget",
    "reraise",
    "crate",
];
const RETRY: [&str; 3] = ["stop", "wait", "retry"];
const DEFAULT_RETRY: [&str; 5] = ["attempts", "wait_min", "wait_max", "multiplier", "retry_on"];

/// What an attribute asks for.
pub(crate) struct Config {
    /// The path to `memory_core`.
    pub(crate) krate: Path,
    /// A `Stop`.
    pub(crate) stop: TokenStream,
    /// A `Wait`.
    pub(crate) wait: TokenStream,
    /// Which outcomes to repeat; `None`: the error is judged by its type.
    pub(crate) predicate: Option<Expr>,
    /// Where `attempt_timeout` is written, and its value.
    pub(crate) attempt_timeout: Option<(Span, Expr)>,
    pub(crate) deadline: Option<Expr>,
    pub(crate) before_sleep: Option<Expr>,
    /// How long an error asks to wait; `None`: it is looked through.
    pub(crate) delay: Option<Expr>,
    pub(crate) max_delay: Option<Expr>,
    /// What the retries are paid from; `None`: a budget of the function's own.
    pub(crate) budget: Option<Expr>,
    pub(crate) seed: Option<Expr>,
    /// A variant of `Jitter`.
    pub(crate) jitter: Option<TokenStream>,
    /// Absent, or where it is written and what it says at run time.
    pub(crate) reraise: Option<(Span, Expr)>,
}

impl Config {
    /// Whether the plan is the same for every call, and nothing in it asks when a call began.
    pub(crate) fn is_constant(&self) -> bool {
        let Self { stop, wait, jitter, seed, max_delay, .. } = self;
        let is_timed = self.attempt_timeout.is_some() || self.deadline.is_some() || self.reraise.is_some();
        !is_timed
            && self.budget.is_none()
            && blocks::are_constant(&self.krate, quote!(#stop #wait #jitter #seed #max_delay))
    }
}

/// The valid part of the arguments, and what is wrong with the rest.
pub(crate) fn config(attribute: Attribute, args: TokenStream, function: &ItemFn) -> (Config, Option<syn::Error>) {
    let own: &[&str] = if attribute == Attribute::Retry { &RETRY } else { &DEFAULT_RETRY };
    let known: Vec<&str> = own.iter().chain(&COMMON).copied().collect();
    let mut options = Options::parse(attribute.name(), &known, args);

    let krate = value(&mut options, "crate", "crate = path::to::memory_core").unwrap_or(parse_quote!(::memory_core));
    let inputs = function.sig.inputs.to_token_stream();
    let blocks = Blocks { krate: &krate, options: &mut options, inputs: &inputs };
    let (stop, wait, predicate) = match attribute {
        Attribute::Retry => blocks.written(),
        Attribute::DefaultRetry => blocks.implied(),
    };
    let attempt_timeout = spanned(&mut options, "attempt_timeout", "attempt_timeout = 2");
    let deadline = value(&mut options, "deadline", "deadline = 30");
    let before_sleep =
        value(&mut options, "before_sleep", "before_sleep = |attempt, error, wait| eprintln!(\"{error}\")");
    let delay = value(&mut options, "delay", "delay = |error| error.retry_after()");
    let max_delay = value(&mut options, "max_delay", "max_delay = 60");
    let budget = value(&mut options, "budget", "budget = &BUDGET");
    let seed = value(&mut options, "seed", "seed = 7");
    let jitter = options.take("jitter").and_then(|opt| {
        let jitter = jitter(&opt, &krate);
        options.keep(jitter)
    });
    let reraise = spanned(&mut options, "reraise", "reraise = false").filter(|(_, value)| !is_true(value));

    let config = Config {
        krate,
        stop,
        wait,
        predicate,
        attempt_timeout,
        deadline,
        before_sleep,
        delay,
        max_delay,
        budget,
        seed,
        jitter,
        reraise,
    };
    (config, options.into_errors())
}

/// The three things that the two attributes spell differently.
struct Blocks<'a> {
    krate: &'a Path,
    options: &'a mut Options,
    /// The arguments of the function, which a block may mention.
    inputs: &'a TokenStream,
}

impl Blocks<'_> {
    /// `#[retry(stop = .., wait = .., retry = ..)]`
    fn written(mut self) -> (TokenStream, TokenStream, Option<Expr>) {
        let krate = self.krate;
        let stop = self
            .block("stop", "stop = stop_after_retries(5)", STOPS)
            .map_or_else(|| quote_at(&parse_quote!(#krate::stop_after_retries(3))), |stop| quote_at(&stop));
        let wait = self
            .block("wait", "wait = exponential_backoff(min = 2, max = 30)", WAITS)
            .map_or_else(|| quote_at(&parse_quote!(#krate::no_wait())), |wait| quote_at(&wait));
        let predicate = self.block("retry", "retry = retry_on_error(my_predicate)", PREDICATES);
        (stop, wait, predicate)
    }

    /// `#[default_retry(attempts = .., wait_min = .., wait_max = .., multiplier = .., retry_on = ..)]`
    fn implied(mut self) -> (TokenStream, TokenStream, Option<Expr>) {
        let krate = self.krate;
        let attempts = self
            .options
            .take("attempts")
            .and_then(|opt| {
                let attempts = attempts(&opt);
                self.options.keep(attempts)
            })
            .unwrap_or(parse_quote!(3));
        let mut number = |name, example, default| value::<Expr>(self.options, name, example).unwrap_or(default);
        let min = number("wait_min", "wait_min = 2", parse_quote!(2));
        let max = number("wait_max", "wait_max = 10", parse_quote!(10));
        let multiplier = number("multiplier", "multiplier = 1", parse_quote!(1));
        let predicate = self.block("retry_on", "retry_on = my_predicate", PREDICATES);
        let stop = quote_spanned!(attempts.span()=> #krate::stop_after_retries(#attempts));
        let wait = parse_quote!(#krate::exponential_backoff().multiplier(#multiplier).min(#min).max(#max));
        (stop, quote_at(&wait), predicate)
    }

    /// An expression in which blocks, some of them of this sort, take keyword arguments.
    fn block(&mut self, name: &str, example: &str, calls: &blocks::Calls) -> Option<Expr> {
        let block = self.options.take(name)?.assigned(example).and_then(blocks::with_keywords);
        let called = block.and_then(|block| blocks::all_called(&block, calls, self.inputs).map(|()| block));
        self.options.keep(called)
    }
}

/// A run-time expression; a literal 0 would mean no call at all.
fn attempts(opt: &Opt) -> syn::Result<Expr> {
    let attempts: Expr = opt.assigned("attempts = 3")?;
    let zero = |number: &LitInt| number.base10_digits().bytes().all(|digit| digit == b'0');
    match &attempts {
        Expr::Lit(literal) if matches!(&literal.lit, Lit::Int(number) if zero(number)) => Err(syn::Error::new(
            attempts.span(),
            "`attempts` counts all calls, the first one included: write 1 for a single call",
        )),
        _ => Ok(attempts),
    }
}

fn jitter(opt: &Opt, krate: &Path) -> syn::Result<TokenStream> {
    let name: LitStr = opt.assigned("jitter = \"full\"")?;
    let variant = match name.value().as_str() {
        "none" => "None",
        "full" => "Full",
        "decorrelated" => "Decorrelated",
        other => {
            let message = format!("there is no jitter `{other}`: write \"none\", \"full\" or \"decorrelated\"");
            return Err(syn::Error::new(name.span(), message));
        }
    };
    let variant = syn::Ident::new(variant, name.span());
    Ok(quote!(#krate::Jitter::#variant))
}

fn is_true(value: &Expr) -> bool {
    matches!(value, Expr::Lit(literal) if matches!(literal.lit, Lit::Bool(LitBool { value: true, .. })))
}

fn value<T: syn::parse::Parse>(options: &mut Options, name: &str, example: &str) -> Option<T> {
    let value = options.take(name)?.assigned(example);
    options.keep(value)
}

fn spanned(options: &mut Options, name: &str, example: &str) -> Option<(Span, Expr)> {
    let opt = options.take(name)?;
    let value = opt.assigned(example).map(|value| (opt.name.span(), value));
    options.keep(value)
}

fn quote_at(expr: &Expr) -> TokenStream {
    quote!(#expr)
}
