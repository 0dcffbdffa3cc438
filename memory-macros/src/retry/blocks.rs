//! Keyword arguments: `exponential_backoff(multiplier = 2, max = 30)`.

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

/// Turns keyword arguments into what they stand for, in every block of an expression.
pub(crate) fn with_keywords(mut expr: Expr) -> syn::Result<Expr> {
    let mut keywords = Keywords { error: None };
    keywords.visit_expr_mut(&mut expr);
    keywords.error.map_or(Ok(expr), Err)
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
