//! The arguments of an attribute, parsed with their spans: `name`, `name = value`, `name(tokens)`.
//!
//! One parser for all attributes: unknown, duplicate and malformed arguments are errors at their own span, and the valid
//! rest survives so that one mistake is one message.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::{
    Ident, Token,
    parse::{ParseStream, Parser},
    spanned::Spanned,
};

/// One argument as written.
pub(crate) struct Opt {
    pub(crate) name: Ident,
    pub(crate) value: Value,
}

/// What follows an argument's name.
pub(crate) enum Value {
    /// Nothing: `cache_none`.
    Flag,
    /// `= tokens`, up to the next comma outside brackets (and outside a closure's parameters).
    Assigned(TokenStream),
    /// `(tokens)`.
    List(TokenStream),
}

/// All arguments of one attribute, and the errors met so far.
pub(crate) struct Options {
    opts: Vec<Opt>,
    errors: Option<syn::Error>,
}

impl Options {
    /// Parses the arguments of `attribute`; `known` are the names it takes.
    pub(crate) fn parse(attribute: &str, known: &[&str], args: TokenStream) -> Self {
        let mut options = Self { opts: Vec::new(), errors: None };
        let parsed = (|input: ParseStream<'_>| options.parse_all(attribute, known, input)).parse2(args);
        if let Err(error) = parsed {
            options.report(error);
        }
        options
    }

    fn parse_all(&mut self, attribute: &str, known: &[&str], input: ParseStream<'_>) -> syn::Result<()> {
        while !input.is_empty() {
            let opt = parse_opt(attribute, input)?;
            if let Err(error) = self.check(attribute, known, &opt) {
                self.report(error);
            } else {
                self.opts.push(opt);
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    }

    fn check(&self, attribute: &str, known: &[&str], opt: &Opt) -> syn::Result<()> {
        let name = opt.name.to_string();
        if !known.contains(&name.as_str()) {
            return Err(syn::Error::new(opt.name.span(), unknown(attribute, known, &name)));
        }
        if self.opts.iter().any(|other| other.name == name) {
            return Err(syn::Error::new(opt.name.span(), format!("`{name}` is given twice: keep one of them")));
        }
        Ok(())
    }

    /// Takes an argument out, where it was given.
    pub(crate) fn take(&mut self, name: &str) -> Option<Opt> {
        let at = self.opts.iter().position(|opt| opt.name == name)?;
        Some(self.opts.remove(at))
    }

    /// Adds an error to those that will be reported together.
    pub(crate) fn report(&mut self, error: syn::Error) {
        match &mut self.errors {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        }
    }

    /// Keeps the value, or reports the error.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.report(error)).ok()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors.is_some()
    }

    /// All errors met, as one.
    pub(crate) fn into_errors(self) -> Option<syn::Error> {
        self.errors
    }
}

impl Opt {
    /// Where to point for a mistake in the value.
    pub(crate) fn value_span(&self) -> Span {
        match &self.value {
            Value::Assigned(tokens) | Value::List(tokens) if !tokens.is_empty() => tokens.span(),
            _ => self.name.span(),
        }
    }

    /// The value after `=`, parsed as `T`; `example` is what to write instead (`expire = 60`).
    pub(crate) fn assigned<T: syn::parse::Parse>(&self, example: &str) -> syn::Result<T> {
        self.assigned_with(T::parse, example)
    }

    /// The value after `=`, parsed by `parser`.
    pub(crate) fn assigned_with<P: Parser>(&self, parser: P, example: &str) -> syn::Result<P::Output> {
        match &self.value {
            Value::Assigned(tokens) if !tokens.is_empty() => parser
                .parse2(tokens.clone())
                .map_err(|error| syn::Error::new(error.span(), format!("{error}; write `{example}`"))),
            _ => Err(syn::Error::new(self.name.span(), format!("`{}` needs a value: write `{example}`", self.name))),
        }
    }

    /// Nothing may follow the name.
    pub(crate) fn flag(&self) -> syn::Result<()> {
        match self.value {
            Value::Flag => Ok(()),
            _ => Err(syn::Error::new(self.value_span(), format!("`{0}` takes no value: write `{0}` alone", self.name))),
        }
    }
}

fn parse_opt(attribute: &str, input: ParseStream<'_>) -> syn::Result<Opt> {
    use syn::ext::IdentExt;
    if !(input.peek(Ident::peek_any)) {
        return Err(input.error(format!("expected the name of an argument of `{attribute}`, as in `name = value`")));
    }
    let name = input.call(Ident::parse_any)?;
    let value = if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        Value::Assigned(until_comma(input)?)
    } else if input.peek(syn::token::Paren) {
        let content;
        syn::parenthesized!(content in input);
        Value::List(content.parse()?)
    } else {
        Value::Flag
    };
    Ok(Opt { name, value })
}

/// The tokens up to the next comma that separates arguments: the commas of a closure's parameters and of
/// turbofish generics are part of an expression, so a whole expression is tried first.
pub(crate) fn until_comma(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let fork = input.fork();
    if fork.parse::<syn::Expr>().is_ok() && (fork.is_empty() || fork.peek(Token![,])) {
        let expr: syn::Expr = input.parse()?;
        return Ok(quote::ToTokens::into_token_stream(expr));
    }
    let mut tokens = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        tokens.extend([input.parse::<TokenTree>()?]);
    }
    Ok(tokens)
}

fn unknown(attribute: &str, known: &[&str], name: &str) -> String {
    match known.iter().min_by_key(|candidate| distance(candidate, name)) {
        Some(close) if distance(close, name) <= 2 => {
            format!("`{attribute}` has no argument `{name}`: did you mean `{close}`?")
        }
        _ => format!("`{attribute}` has no argument `{name}`; it takes {}", list(known)),
    }
}

fn list(known: &[&str]) -> String {
    known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Edit distance, for suggestions.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.chars().count()]
}
