//! From arguments as written to a plain configuration.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Expr, ExprClosure, Ident, Lit, LitStr, Path, ReturnType, Token, Type, UnOp, ext::IdentExt, parse::Parser,
    parse_quote, punctuated::Punctuated, spanned::Spanned,
};

use super::{
    batch::Batch,
    params::{Params, argument_of, bare, borrow},
    parse::{Flavor, Function},
};
use crate::{
    options::{Opt, Options, Value},
    place,
};

const KNOWN: [&str; 27] = [
    "expire",
    "namespace",
    "key",
    "skip",
    "batch",
    "cache_if",
    "cache_none",
    "cache_err",
    "memory_only",
    "version",
    "time_to_idle",
    "jitter",
    "tags",
    "stale_while_revalidate",
    "stale_if_error",
    "stale_on",
    "stale_on_none",
    "soft_timeout",
    "timeout",
    "refresh_ahead",
    "refresh_if",
    "cache",
    "in_place",
    "in_impl",
    "companions",
    "name",
    "crate",
];

/// What the arguments of one `#[memorize]` ask for.
pub(crate) struct Config {
    pub(crate) krate: Path,
    pub(crate) expire: Option<Life>,
    pub(crate) namespace: Option<Expr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<Expr>,
    pub(crate) key: Option<Expr>,
    /// Which parameters are left out of the key, by position.
    pub(crate) skip: Vec<usize>,
    pub(crate) skip_self: bool,
    pub(crate) batch: Option<Batch>,
    pub(crate) cache_if: Option<Expr>,
    pub(crate) cache_none: Option<Kept>,
    pub(crate) cache_err: Option<Kept>,
    pub(crate) memory_only: bool,
    pub(crate) idle: Option<Expr>,
    pub(crate) jitter: Option<Expr>,
    pub(crate) tags: Option<Tags>,
    pub(crate) stale_while_revalidate: Option<Expr>,
    pub(crate) stale_if_error: Option<Expr>,
    pub(crate) stale_on: Option<Expr>,
    pub(crate) stale_on_none: Option<Span>,
    pub(crate) soft_timeout: Option<Expr>,
    pub(crate) timeout: Option<Expr>,
    pub(crate) refresh_ahead: Option<Expr>,
    pub(crate) refresh_if: Option<Expr>,
    pub(crate) cache: Option<Expr>,
    pub(crate) in_place: bool,
    pub(crate) in_impl: bool,
    pub(crate) companions: Companions,
}

/// `expire = ..`.
pub(crate) enum Life {
    /// An expression.
    Value(Expr),
    /// `|v| ..`, over the returned value.
    Returned(ExprClosure),
}

/// `tags = ..`.
pub(crate) enum Tags {
    /// `[a, b]`, each an expression of its own type.
    Listed(Vec<Expr>),
    /// An expression that is a list.
    Value(Expr),
    /// `|v| ..`, over the returned value.
    Returned(ExprClosure),
}

/// `cache_none`, `cache_err`.
pub(crate) struct Kept {
    pub(crate) span: Span,
    /// An expiry of its own.
    pub(crate) life: Option<Expr>,
}

/// `companions = ..`.
pub(crate) enum Companions {
    /// Under the function's name.
    Default,
    /// Under another name.
    Named(Ident),
    /// None.
    Off,
}

impl Config {
    /// Validates `args`; what is valid survives the errors, so that companions exist and one mistake is one message.
    pub(crate) fn parse(
        args: TokenStream,
        function: &Function,
        params: &Params,
        absent: &[Ident],
    ) -> (Self, Option<syn::Error>) {
        let krate = krate(&args);
        let mut options = Options::parse("memorize", &KNOWN, args);
        let _ =
            take(&mut options, "crate", |opt| opt.assigned_with(Path::parse_mod_style, "crate = facade::memory_core"));
        let batch = take(&mut options, "batch", |opt| Batch::parse(opt, function, params, &krate));
        let mut config = Self {
            krate,
            expire: take(&mut options, "expire", life),
            namespace: take(&mut options, "namespace", namespace),
            name: take(&mut options, "name", name),
            version: take(&mut options, "version", version),
            key: None,
            skip: Vec::new(),
            skip_self: false,
            batch,
            cache_if: take(&mut options, "cache_if", |opt| opt.assigned("cache_if = |v| v.is_valid()")),
            cache_none: take(&mut options, "cache_none", kept),
            cache_err: take(&mut options, "cache_err", kept),
            memory_only: take(&mut options, "memory_only", Opt::flag).is_some(),
            idle: take(&mut options, "time_to_idle", |opt| expiry(opt, "time_to_idle = 30")),
            jitter: take(&mut options, "jitter", jitter),
            tags: take(&mut options, "tags", tags),
            stale_while_revalidate: take(&mut options, "stale_while_revalidate", |opt| {
                expiry(opt, "stale_while_revalidate = 30")
            }),
            stale_if_error: take(&mut options, "stale_if_error", |opt| expiry(opt, "stale_if_error = 3600")),
            stale_on: take(&mut options, "stale_on", |opt| opt.assigned("stale_on = is_retryable_error")),
            stale_on_none: take(&mut options, "stale_on_none", |opt| opt.flag().map(|()| opt.name.span())),
            soft_timeout: take(&mut options, "soft_timeout", |opt| timeout(opt, "soft_timeout = 0.2")),
            timeout: take(&mut options, "timeout", |opt| timeout(opt, "timeout = 2")),
            refresh_ahead: take(&mut options, "refresh_ahead", refresh_ahead),
            refresh_if: take(&mut options, "refresh_if", |opt| opt.assigned("refresh_if = force")),
            cache: take(&mut options, "cache", |opt| opt.assigned("cache = CACHE")),
            in_place: take(&mut options, "in_place", Opt::flag).is_some(),
            in_impl: take(&mut options, "in_impl", Opt::flag).is_some(),
            companions: take(&mut options, "companions", companions).unwrap_or(Companions::Default),
        };
        config.read_key(&mut options, params, absent);
        config.check(&mut options, function, params);
        config.place(&mut options, function);
        (config, options.into_errors())
    }

    /// The expressions that are asked about the returned value. They become the fields of one `Verdict`.
    pub(crate) fn judging(&self) -> Vec<TokenStream> {
        let expire = self.expire.as_ref().map(|life| match life {
            Life::Value(expr) => expr.to_token_stream(),
            Life::Returned(closure) => closure.to_token_stream(),
        });
        let kept = [&self.cache_none, &self.cache_err].into_iter().flatten().filter_map(|kept| kept.life.as_ref());
        let tags = self.tags.iter().flat_map(Tags::expressions);
        let rest = [
            &self.cache_if,
            &self.jitter,
            &self.idle,
            &self.stale_while_revalidate,
            &self.stale_if_error,
            &self.stale_on,
            &self.refresh_ahead,
        ];
        let rest = rest.into_iter().flatten();
        expire.into_iter().chain(kept.chain(rest).map(ToTokens::to_token_stream)).chain(tags).collect()
    }

    /// Whether anything is asked about the returned value.
    pub(crate) fn judges(&self) -> bool {
        self.stale_on_none.is_some() || self.tags.is_some() || !self.judging().is_empty()
    }

    fn read_key(&mut self, options: &mut Options, params: &Params, absent: &[Ident]) {
        let key = options.take("key");
        let skip = options.take("skip");
        if let (Some(_), Some(skip)) = (&key, &skip) {
            options.report(syn::Error::new(
                skip.name.span(),
                "`key` replaces all arguments, so there is nothing left to skip: remove `skip(..)` or `key = ..`",
            ));
        }
        self.key = key.and_then(|opt| options.keep(opt.assigned("key = (id, lang)")));
        let names = skip.and_then(|opt| options.keep(skipped(&opt))).unwrap_or_default();
        for name in names {
            let result = self.skip(&name, params, absent);
            options.keep(result);
        }
    }

    fn skip(&mut self, name: &Ident, params: &Params, absent: &[Ident]) -> syn::Result<()> {
        let twice = || syn::Error::new(name.span(), format!("`{name}` is skipped twice: name it once"));
        if name == "self" {
            if params.receiver.is_none() {
                return Err(syn::Error::new(name.span(), "this function has no `self` to skip"));
            }
            let again = std::mem::replace(&mut self.skip_self, true);
            return if again { Err(twice()) } else { Ok(()) };
        }
        let Some(at) = params.list.iter().position(|param| param.names.contains(name)) else {
            return if absent.contains(name) { Ok(()) } else { Err(unknown(name, params)) };
        };
        if params.list[at].names.len() > 1 {
            return Err(syn::Error::new(
                name.span(),
                format!("`{name}` is only part of its argument: say what identifies the call with `key = ..`"),
            ));
        }
        if self.batch.as_ref().is_some_and(|batch| batch.at == at) {
            return Err(in_the_keys(name));
        }
        if self.skip.contains(&at) {
            return Err(twice());
        }
        self.skip.push(at);
        Ok(())
    }

    /// Where `in_impl` was forgotten, the rest goes on as if it were there.
    fn place(&mut self, options: &mut Options, function: &Function) {
        if !(self.in_impl || function.mentions_self())
            && let Some(error) = place::forgotten_in_impl("memorize", &function.sig.ident)
        {
            options.report(error);
            self.in_impl = true;
        }
    }

    /// What can't be said of entries that are one for each id.
    fn check_batch(&self, options: &mut Options, params: &Params) {
        let Some(batch) = &self.batch else { return };
        if let Some(key) = &self.key {
            options.report(syn::Error::new(
                key.span(),
                "the id is the key of each entry of a batch, with all other arguments: remove `key`, or `skip(..)` some",
            ));
        }
        if let Some(kept) = &self.cache_err {
            options.report(syn::Error::new(
                kept.span,
                "a batch fails as a whole, so that no error belongs to an id: remove `cache_err`",
            ));
        }
        if params.list[batch.at].is_state {
            options.report(in_the_keys(&batch.name));
        }
    }

    fn check(&self, options: &mut Options, function: &Function, params: &Params) {
        if function.flavor() == Flavor::Sync {
            let limits = [("soft_timeout", &self.soft_timeout), ("timeout", &self.timeout)];
            for (name, limit) in limits.into_iter().filter_map(|(name, limit)| Some((name, limit.as_ref()?))) {
                options.report(syn::Error::new(
                    limit.span(),
                    format!("nothing can interrupt a function that is not `async`: make it async, or remove `{name}`"),
                ));
            }
        }
        if !self.memory_only {
            options.keep(check_static(function));
        }
        self.check_batch(options, params);
        if self.in_place && function.flavor() == Flavor::Sync {
            options.report(syn::Error::new(
                function.sig.ident.span(),
                "a function that is not `async` always runs in place: remove `in_place`",
            ));
        }
    }
}

/// The path that `crate = path` gives, or `::memory_core`.
pub(crate) fn krate(args: &TokenStream) -> Path {
    let tokens: Vec<TokenTree> = args.clone().into_iter().collect();
    let given = tokens.iter().position(|token| matches!(token, TokenTree::Ident(ident) if ident == "crate"));
    let path =
        given.filter(|at| at.checked_sub(1).is_none_or(|before| is_punct(&tokens[before], ','))).and_then(|at| {
            let value = tokens.get(at + 1).filter(|token| is_punct(token, '=')).map(|_| &tokens[at + 2..])?;
            let value = value.iter().take_while(|token| !is_punct(token, ',')).cloned().collect();
            Path::parse_mod_style.parse2(value).ok()
        });
    path.unwrap_or_else(|| parse_quote!(::memory_core))
}

fn is_punct(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

fn take<T>(options: &mut Options, name: &str, read: impl FnOnce(&Opt) -> syn::Result<T>) -> Option<T> {
    let opt = options.take(name)?;
    options.keep(read(&opt))
}

fn life(opt: &Opt) -> syn::Result<Life> {
    match expiry(opt, "expire = 60")? {
        Expr::Closure(closure) => Ok(Life::Returned(closure)),
        value => Ok(Life::Value(value)),
    }
}

/// An expression that is a length of time; literals are checked here, all else at run time.
fn expiry(opt: &Opt, example: &str) -> syn::Result<Expr> {
    let expr: Expr = opt.assigned(example)?;
    let name = &opt.name;
    match bare_literal(&expr) {
        Literal::Negative(span) => Err(syn::Error::new(
            span,
            format!("`{name}` can't be negative: write `{example}`, or 0 for \"not at all\""),
        )),
        Literal::NotANumber(span) => Err(syn::Error::new(
            span,
            format!("`{name}` takes seconds or a `Duration`: write `{example}` or `{name} = Duration::from_secs(60)`"),
        )),
        Literal::Nan(span) => Err(syn::Error::new(span, format!("NaN is not a length of time: write `{example}`"))),
        Literal::Number(_) | Literal::None => Ok(expr),
    }
}

/// An expression that is a length of time, and not none.
fn timeout(opt: &Opt, example: &str) -> syn::Result<Expr> {
    let expr = expiry(opt, example)?;
    match bare_literal(&expr) {
        Literal::Number(0.0) => Err(syn::Error::new(
            expr.span(),
            format!("no run ends in no time: write `{example}`, or remove `{}`", opt.name),
        )),
        _ => Ok(expr),
    }
}

fn tags(opt: &Opt) -> syn::Result<Tags> {
    let example = "tags = [\"loader\"]";
    match opt.assigned(example)? {
        Expr::Closure(closure) => Ok(Tags::Returned(closure)),
        Expr::Array(array) => Ok(Tags::Listed(array.elems.into_iter().collect())),
        Expr::Lit(lit) => Err(syn::Error::new(lit.span(), format!("tags are a list: write `{example}`"))),
        value => Ok(Tags::Value(value)),
    }
}

impl Tags {
    fn expressions(&self) -> Vec<TokenStream> {
        match self {
            Self::Listed(tags) => tags.iter().map(ToTokens::to_token_stream).collect(),
            Self::Value(value) => vec![value.to_token_stream()],
            Self::Returned(closure) => vec![closure.to_token_stream()],
        }
    }
}

enum Literal {
    None,
    Number(f64),
    Negative(Span),
    NotANumber(Span),
    Nan(Span),
}

fn bare_literal(expr: &Expr) -> Literal {
    match expr {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Int(int) => Literal::Number(int.base10_parse().unwrap_or(f64::MAX)),
            Lit::Float(float) => Literal::Number(float.base10_parse().unwrap_or(f64::MAX)),
            other => Literal::NotANumber(other.span()),
        },
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => match bare_literal(&unary.expr) {
            Literal::Number(number) if number > 0.0 => Literal::Negative(unary.span()),
            other => other,
        },
        Expr::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "NAN") => {
            Literal::Nan(path.span())
        }
        Expr::Paren(paren) => bare_literal(&paren.expr),
        Expr::Group(group) => bare_literal(&group.expr),
        _ => Literal::None,
    }
}

fn jitter(opt: &Opt) -> syn::Result<Expr> {
    share(opt, "`jitter` is the share of a life that chance may take, from 0 to 1", "jitter = 0.1")
}

fn refresh_ahead(opt: &Opt) -> syn::Result<Expr> {
    share(opt, "`refresh_ahead` is the share of a life after which it is refreshed, from 0 to 1", "refresh_ahead = 0.8")
}

/// An expression that is a part of a whole; literals are checked here.
fn share(opt: &Opt, meaning: &str, example: &str) -> syn::Result<Expr> {
    let expr: Expr = opt.assigned(example)?;
    let refused = |span| Err(syn::Error::new(span, format!("{meaning}: write `{example}`")));
    match bare_literal(&expr) {
        Literal::Number(number) if number > 1.0 => refused(expr.span()),
        Literal::Negative(span) | Literal::NotANumber(span) | Literal::Nan(span) => refused(span),
        Literal::Number(_) | Literal::None => Ok(expr),
    }
}

fn namespace(opt: &Opt) -> syn::Result<Expr> {
    let expr: Expr = opt.assigned("namespace = \"reports\"")?;
    match &expr {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Str(text) if !text.value().is_empty() => Ok(expr),
            Lit::Str(text) => {
                Err(syn::Error::new(text.span(), "the namespace is empty: give it a name, or leave it out"))
            }
            other => Err(syn::Error::new(other.span(), "a namespace is text: write `namespace = \"reports\"`")),
        },
        Expr::Path(_) => Ok(expr),
        other => Err(syn::Error::new(
            other.span(),
            "a namespace is fixed text: write `namespace = \"reports\"`, or name a `const`",
        )),
    }
}

fn name(opt: &Opt) -> syn::Result<LitStr> {
    let name: LitStr = opt.assigned("name = \"users.get\"")?;
    if name.value().is_empty() {
        return Err(syn::Error::new(name.span(), "the name is empty: write `name = \"users.get\"`, or leave it out"));
    }
    Ok(name)
}

fn version(opt: &Opt) -> syn::Result<Expr> {
    let expr: Expr = opt.assigned("version = 2")?;
    match &expr {
        Expr::Lit(lit) if !matches!(&lit.lit, Lit::Int(int) if int.base10_parse::<u64>().is_ok()) => {
            Err(syn::Error::new(expr.span(), "a version is a whole number: write `version = 2`"))
        }
        Expr::Unary(_) => Err(syn::Error::new(expr.span(), "a version is a whole number: write `version = 2`")),
        _ => Ok(expr),
    }
}

fn kept(opt: &Opt) -> syn::Result<Kept> {
    let life = match &opt.value {
        Value::Flag => None,
        _ => Some(expiry(opt, &format!("{} = 5", opt.name))?),
    };
    Ok(Kept { span: opt.name.span(), life })
}

fn companions(opt: &Opt) -> syn::Result<Companions> {
    let example = "companions = users_cache` or `companions = false";
    match opt.assigned::<Expr>(example)? {
        Expr::Lit(lit) if matches!(&lit.lit, Lit::Bool(on) if !on.value) => Ok(Companions::Off),
        Expr::Lit(lit) if matches!(&lit.lit, Lit::Bool(_)) => Ok(Companions::Default),
        Expr::Path(path) if path.path.get_ident().is_some() => {
            Ok(path.path.get_ident().cloned().map_or(Companions::Default, Companions::Named))
        }
        other => Err(syn::Error::new(other.span(), format!("`companions` takes a name or `false`: write `{example}`"))),
    }
}

fn skipped(opt: &Opt) -> syn::Result<Vec<Ident>> {
    let example =
        || syn::Error::new(opt.value_span(), "`skip` takes the names of arguments: write `skip(headers, self)`");
    let Value::List(tokens) = &opt.value else { return Err(example()) };
    let names = Punctuated::<Ident, Token![,]>::parse_terminated_with;
    let names = (|input: syn::parse::ParseStream<'_>| names(input, Ident::parse_any))
        .parse2(tokens.clone())
        .map_err(|_| example())?;
    if names.is_empty() {
        return Err(example());
    }
    Ok(names.into_iter().collect())
}

/// Refuses to leave the ids of a batch out of the keys.
fn in_the_keys(ids: &Ident) -> syn::Error {
    syn::Error::new(
        ids.span(),
        format!("`{ids}` is what tells the entries of this batch apart: it has to be in their keys"),
    )
}

fn unknown(name: &Ident, params: &Params) -> syn::Error {
    let receiver = params.receiver.iter().map(|_| "self".to_owned());
    let names: Vec<String> = receiver
        .chain(params.list.iter().flat_map(|param| &param.names).map(ToString::to_string))
        .map(|name| format!("`{name}`"))
        .collect();
    let arguments =
        if names.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", names.join(", ")) };
    syn::Error::new(name.span(), format!("this function has no argument `{name}` to skip; {arguments}"))
}

/// What a function may return.
pub(crate) fn check_return(function: &Function) -> syn::Result<()> {
    let ReturnType::Type(..) = &function.sig.output else { return Ok(()) };
    let returned = function.returned();
    if let Type::ImplTrait(ty) = bare(&returned) {
        return Err(syn::Error::new(
            ty.span(),
            "a cached value needs a type with a name: write the type instead of `impl ..` (an `async fn` for a future)",
        ));
    }
    match borrow(returned.to_token_stream()) {
        Some(span) => Err(syn::Error::new(
            span,
            "a cached value outlives the call: return an owned value, such as `String` instead of `&str`",
        )),
        None => Ok(()),
    }
}

/// A `&'static` value can be written down, but never read back; the compiler's own message hides that.
fn check_static(function: &Function) -> syn::Result<()> {
    let returned = function.returned();
    match innermost(&returned) {
        Type::Reference(ty) => Err(syn::Error::new(
            ty.span(),
            "a `&'static` value can't be read back from a cache such as Redis: return an owned value, or keep it in this \
             process with `memory_only`",
        )),
        _ => Ok(()),
    }
}

/// The value inside of `Result`, `Option` and `Json`, as far as they are spelled out.
fn innermost(ty: &Type) -> &Type {
    let ty = bare(ty);
    ["Result", "Option", "Json"].iter().find_map(|name| argument_of(ty, name)).map_or(ty, innermost)
}
