//! Blocks: their keyword arguments, as in `exponential_backoff(multiplier = 2, max = 30)`, and their parentheses.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Expr, ExprAssign, ExprCall, ExprClosure, Ident, parse_quote_spanned,
    spanned::Spanned,
    visit_mut::{self, VisitMut},
};

/// What a block takes by name.
struct Known {
    block: &'static str,
    /// Named forms of its positional arguments, in order.
    positions: &'static [&'static str],
    /// Settings, which are methods outside of attributes.
    settings: &'static [&'static str],
}

const EXPONENTIAL: &[&str] = &["multiplier", "min", "max", "exp_base"];
const BOUNDS: &[&str] = &["min", "max"];
const KNOWN: [Known; 9] = [
    Known {
        block: "exponential_backoff",
        positions: &[],
        settings: &["multiplier", "min", "max", "exp_base", "jitter"],
    },
    Known { block: "full_jitter", positions: &[], settings: EXPONENTIAL },
    Known { block: "decorrelated_jitter", positions: &[], settings: BOUNDS_AND_MULTIPLIER },
    Known { block: "incrementing", positions: &["start", "increment", "max"], settings: &[] },
    Known { block: "random_between", positions: &["a", "b"], settings: BOUNDS },
    Known { block: "fixed", positions: &["wait"], settings: BOUNDS },
    Known { block: "stop_after_retries", positions: &["n"], settings: &[] },
    Known { block: "stop_after_delay", positions: &["d"], settings: &[] },
    Known { block: "stop_before_delay", positions: &["d"], settings: &[] },
];
const BOUNDS_AND_MULTIPLIER: &[&str] = &["multiplier", "min", "max"];

/// What says the same whenever it is evaluated, where its arguments are literals.
const CONSTANT: &[&str] = &[
    "stop_after_retries",
    "stop_never",
    "no_wait",
    "fixed",
    "exponential_backoff",
    "incrementing",
    "random_between",
    "full_jitter",
    "decorrelated_jitter",
    "chain",
    "multiplier",
    "min",
    "max",
    "exp_base",
    "jitter",
    "Jitter",
    "None",
    "Full",
    "Decorrelated",
];

/// Blocks of one sort, and how each can be written.
pub(crate) type Calls = [(&'static str, &'static str)];

pub(crate) const STOPS: &Calls = &[
    ("stop_after_retries", "stop_after_retries(5)"),
    ("stop_after_delay", "stop_after_delay(60)"),
    ("stop_before_delay", "stop_before_delay(60)"),
    ("stop_never", "stop_never()"),
];
pub(crate) const WAITS: &Calls = &[
    ("no_wait", "no_wait()"),
    ("fixed", "fixed(2)"),
    ("exponential_backoff", "exponential_backoff()` or `exponential_backoff(min = 2, max = 30)"),
    ("incrementing", "incrementing(start = 1, increment = 2, max = 10)"),
    ("random_between", "random_between(0, 1)"),
    ("full_jitter", "full_jitter()` or `full_jitter(min = 2, max = 30)"),
    ("decorrelated_jitter", "decorrelated_jitter()` or `decorrelated_jitter(min = 2, max = 30)"),
    ("chain", "chain([fixed(1), fixed(5)])"),
];
pub(crate) const PREDICATES: &Calls = &[
    ("retry_on_error", "retry_on_error(my_predicate)"),
    ("retry_on_result", "retry_on_result(my_predicate)"),
    ("retry_on_status", "retry_on_status([429])"),
];

/// Turns keyword arguments into what they stand for, in every block of an expression.
pub(crate) fn with_keywords(mut expr: Expr) -> syn::Result<Expr> {
    let mut keywords = Keywords { error: None };
    keywords.visit_expr_mut(&mut expr);
    keywords.error.map_or(Ok(expr), Err)
}

/// Whether expressions are made of constant blocks and literals alone.
pub(crate) fn are_constant(krate: &syn::Path, expressions: TokenStream) -> bool {
    expressions.into_iter().all(|token| match token {
        TokenTree::Ident(name) => {
            CONSTANT.iter().any(|known| name == known) || krate.segments.iter().any(|segment| segment.ident == name)
        }
        TokenTree::Group(group) => are_constant(krate, group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => true,
    })
}

/// Refuses a block of this sort that is named but not called: `no_wait` instead of `no_wait()`. What may be an argument of
/// the function (`inputs`) is left alone.
pub(crate) fn all_called(expr: &Expr, calls: &Calls, inputs: &TokenStream) -> syn::Result<()> {
    let mut named = Vec::new();
    named_blocks(expr, &mut named);
    let errors = named.into_iter().filter(|name| !mentions(inputs.clone(), name)).filter_map(|name| {
        let (_, call) = calls.iter().find(|(block, _)| name == block)?;
        Some(syn::Error::new(name.span(), format!("`{name}` is a function that makes the block: write `{call}`")))
    });
    let all = errors.reduce(|mut all, error| {
        all.combine(error);
        all
    });
    all.map_or(Ok(()), Err)
}

/// The names that stand where a block is expected.
fn named_blocks<'e>(expr: &'e Expr, found: &mut Vec<&'e Ident>) {
    match expr {
        Expr::Path(_) => found.extend(block_name(expr)),
        Expr::Paren(inner) => named_blocks(&inner.expr, found),
        Expr::Group(inner) => named_blocks(&inner.expr, found),
        Expr::MethodCall(call) => named_blocks(&call.receiver, found),
        Expr::Binary(both) => [&both.left, &both.right].into_iter().for_each(|side| named_blocks(side, found)),
        Expr::Array(array) => array.elems.iter().for_each(|element| named_blocks(element, found)),
        Expr::Call(call) if block_name(&call.func).is_some_and(|name| name == "chain") => {
            call.args.iter().for_each(|arg| named_blocks(arg, found));
        }
        _ => {}
    }
}

/// Whether a name stands anywhere among these tokens.
pub(crate) fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}

struct Keywords {
    error: Option<syn::Error>,
}

impl VisitMut for Keywords {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        visit_mut::visit_expr_mut(self, expr);
        let Expr::Call(call) = expr else { return };
        if !call.args.iter().any(|arg| matches!(arg, Expr::Assign(_))) {
            return;
        }
        match settle(call) {
            Ok(settled) => *expr = settled,
            Err(error) => match &mut self.error {
                Some(errors) => errors.combine(error),
                none => *none = Some(error),
            },
        }
    }

    // What stands in a closure is the user's own code.
    fn visit_expr_closure_mut(&mut self, _: &mut ExprClosure) {}
}

// Input:
//     exponential_backoff(multiplier = 2, max = 30)
//     incrementing(1, max = 10, increment = 2)
//
// Output:
//     exponential_backoff().multiplier(2).max(30)
//     incrementing(1, 2, 10)
fn settle(call: &ExprCall) -> syn::Result<Expr> {
    let known = block_name(&call.func).and_then(|name| KNOWN.iter().find(|known| name == known.block));
    let (mut positional, named) = split(call)?;
    let mut settings = Vec::new();
    let (positions, allowed) = known.map_or((&[][..], None), |known| (known.positions, Some(known)));
    let mut slots: Vec<Option<Expr>> = vec![None; positions.len().saturating_sub(positional.len())];
    for (name, value) in named {
        let position = positions.iter().position(|position| name == position);
        match position.map(|at| at.checked_sub(positional.len())) {
            Some(Some(slot)) => slots[slot] = Some(value),
            Some(None) => {
                return Err(syn::Error::new(name.span(), format!("`{name}` is given twice: keep one of them")));
            }
            None => {
                check_setting(allowed, &name)?;
                settings.push((name, value));
            }
        }
    }
    for (slot, name) in slots.into_iter().zip(positions.iter().skip(positional.len())) {
        let missing = || syn::Error::new(call.func.span(), format!("`{name}` is missing: write `{name} = ..`"));
        positional.push(slot.ok_or_else(missing)?);
    }
    let func = &call.func;
    let made: Expr = parse_quote_spanned!(call.span()=> #func(#(#positional),*));
    Ok(settings.into_iter().fold(made, |made, (name, value)| parse_quote_spanned!(name.span()=> #made.#name(#value))))
}

type Named = Vec<(Ident, Expr)>;

/// Positional arguments first, then `name = value`, each name once.
fn split(call: &ExprCall) -> syn::Result<(Vec<Expr>, Named)> {
    let (mut positional, mut named) = (Vec::new(), Named::new());
    for arg in &call.args {
        match arg {
            Expr::Assign(ExprAssign { left, right, .. }) => {
                let name = match &**left {
                    Expr::Path(path) => path.path.get_ident().cloned(),
                    _ => None,
                };
                let name = name.ok_or_else(|| syn::Error::new(left.span(), "write `name = value`"))?;
                if named.iter().any(|(other, _)| *other == name) {
                    return Err(syn::Error::new(name.span(), format!("`{name}` is given twice: keep one of them")));
                }
                named.push((name, (**right).clone()));
            }
            other if named.is_empty() => positional.push(other.clone()),
            other => {
                return Err(syn::Error::new(other.span(), "a value without a name comes before those with one"));
            }
        }
    }
    Ok((positional, named))
}

/// A block under a name of the user's own takes whatever methods its type has.
fn check_setting(known: Option<&Known>, name: &Ident) -> syn::Result<()> {
    let Some(known) = known else { return Ok(()) };
    if known.settings.iter().any(|setting| name == setting) {
        return Ok(());
    }
    let all: Vec<String> = known.positions.iter().chain(known.settings).map(|setting| format!("`{setting}`")).collect();
    let message = format!("`{}` has no setting `{name}`; it takes {}", known.block, all.join(", "));
    Err(syn::Error::new(name.span(), message))
}

/// The last segment of the path that a call names.
pub(crate) fn block_name(func: &Expr) -> Option<&Ident> {
    match func {
        Expr::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}
