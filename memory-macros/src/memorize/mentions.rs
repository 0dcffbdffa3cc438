//! Which names an expression mentions, without resolving it.

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::{
    Expr, Ident,
    visit::{self, Visit},
};

use super::params::bindings;

/// Whether an expression mentions the variable `name`: fields, methods, paths and the expression's own variables of the
/// same name don't count; a format string that captures it does.
pub(crate) fn mentions(expression: &TokenStream, name: &str) -> bool {
    let Ok(expr) = syn::parse2::<Expr>(expression.clone()) else { return in_tokens(expression, name) };
    let mut finder = Finder { name, shadowed: 0, found: false };
    finder.visit_expr(&expr);
    finder.found
}

/// Looks for a variable, and knows where another of the same name hides it.
struct Finder<'n> {
    name: &'n str,
    shadowed: usize,
    found: bool,
}

impl Finder<'_> {
    fn binds<'p>(&self, mut pats: impl Iterator<Item = &'p syn::Pat>) -> bool {
        pats.any(|pat| bindings(pat).iter().any(|bound| bound == self.name))
    }

    fn inside(&mut self, shadows: bool, look: impl FnOnce(&mut Self)) {
        self.shadowed += usize::from(shadows);
        look(self);
        self.shadowed -= usize::from(shadows);
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        self.found |= self.shadowed == 0 && path.qself.is_none() && path.path.is_ident(self.name);
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        let shadows = self.binds(closure.inputs.iter());
        self.inside(shadows, |finder| visit::visit_expr_closure(finder, closure));
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let shadows = self.binds(std::iter::once(&arm.pat));
        self.inside(shadows, |finder| visit::visit_arm(finder, arm));
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        let mut hidden = 0;
        for statement in &block.stmts {
            visit::visit_stmt(self, statement);
            if let syn::Stmt::Local(local) = statement
                && self.binds(std::iter::once(&local.pat))
            {
                hidden += 1;
                self.shadowed += 1;
            }
        }
        self.shadowed -= hidden;
    }

    fn visit_macro(&mut self, makro: &'ast syn::Macro) {
        self.found |= self.shadowed == 0 && in_tokens(&makro.tokens, self.name);
    }
}

/// The same for what is no expression, such as the inside of a macro call.
fn in_tokens(tokens: &TokenStream, name: &str) -> bool {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    (0..tokens.len()).any(|at| match &tokens[at] {
        TokenTree::Ident(ident) if ident == name => is_variable(&tokens, at),
        TokenTree::Ident(_) | TokenTree::Punct(_) => false,
        TokenTree::Group(group) => in_tokens(&group.stream(), name),
        TokenTree::Literal(literal) => captures(&literal.to_string(), name),
    })
}

/// An expression with another variable in the place of `self`, which can't be bound again.
pub(crate) fn with_self_as(name: &Ident, expression: TokenStream) -> TokenStream {
    let tokens: Vec<TokenTree> = expression.into_iter().collect();
    let renamed = tokens.iter().enumerate().map(|(at, token)| match token {
        TokenTree::Ident(ident) if ident == "self" && is_variable(&tokens, at) => {
            TokenTree::Ident(Ident::new(&name.to_string(), name.span().located_at(ident.span())))
        }
        TokenTree::Group(group) => {
            let mut renamed = Group::new(group.delimiter(), with_self_as(name, group.stream()));
            renamed.set_span(group.span());
            TokenTree::Group(renamed)
        }
        _ => token.clone(),
    });
    renamed.collect()
}

fn is_variable(tokens: &[TokenTree], at: usize) -> bool {
    let punct = |at: Option<usize>| match at.and_then(|at| tokens.get(at)) {
        Some(TokenTree::Punct(punct)) => Some(punct.as_char()),
        _ => None,
    };
    let before = |back: usize| punct(at.checked_sub(back));
    let field = before(1) == Some('.') && before(2) != Some('.');
    let in_path = before(1) == Some(':') && before(2) == Some(':');
    let starts_path_or_names_field = punct(Some(at + 1)) == Some(':');
    !(field || in_path || starts_path_or_names_field)
}

fn captures(literal: &str, name: &str) -> bool {
    literal.starts_with(['"', 'r'])
        && literal
            .match_indices(&format!("{{{name}"))
            .any(|(at, found)| literal[at + found.len()..].starts_with(['}', ':']) && !literal[..at].ends_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentioned(expression: &str, name: &str) -> bool {
        mentions(&expression.parse().unwrap(), name)
    }

    #[test]
    fn variables_are_told_from_fields_methods_and_paths() {
        for yes in [
            "id",
            "(id, lang)",
            "id.len()",
            "f(&id)",
            "0..id",
            "format!(\"{id}-x\")",
            "format!(\"{id:?}\")",
            "id.map(|id| id)",
            "{ let x = id; x }",
        ] {
            assert!(mentioned(yes, "id"), "{yes}");
        }
        for no in [
            "user.id",
            "user.id()",
            "id::of(user)",
            "my::id",
            "User { id: 1 }",
            "\"{id}\"",
            "format!(\"{{id}\")",
            "idea",
            "|id| id > 1",
            "f(|Some(id)| id)",
            "match x { id => id }",
            "{ let id = 1; id }",
        ] {
            assert!(!mentioned(no, "id"), "{no}");
        }
    }
}
