//! Which names an expression mentions, without resolving it.

use proc_macro2::{TokenStream, TokenTree};

/// Whether `tokens` mention the variable `name`: fields, methods and paths of the same name don't count; a format
/// string that captures it does.
pub(crate) fn mentions(tokens: &TokenStream, name: &str) -> bool {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    (0..tokens.len()).any(|at| match &tokens[at] {
        TokenTree::Ident(ident) if ident == name => is_variable(&tokens, at),
        TokenTree::Ident(_) | TokenTree::Punct(_) => false,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        TokenTree::Literal(literal) => captures(&literal.to_string(), name),
    })
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
        for yes in ["id", "(id, lang)", "id.len()", "f(&id)", "0..id", "format!(\"{id}-x\")", "format!(\"{id:?}\")"] {
            assert!(mentioned(yes, "id"), "{yes}");
        }
        for no in ["user.id", "user.id()", "id::of(user)", "my::id", "User { id: 1 }", "\"id\"", "\"{{id}\"", "idea"] {
            assert!(!mentioned(no, "id"), "{no}");
        }
    }
}
