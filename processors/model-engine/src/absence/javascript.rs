//! Uses of a value in JavaScript that can do without one, that is with `undefined`.
//!
//! An optional chain ends as a whole, so the use that counts is that of the whole chain.

use tree_sitter::Node;

use super::{MAX_CLIMB, MAX_NODES, MAX_USES};
use crate::tree::{SourceTree, field_of, visit};

/// Whether whatever uses the value of an expression, or of the chain it begins, can do with `undefined`.
pub(super) fn is_tolerated(tree: &SourceTree<'_>, expression: Node<'_>) -> bool {
    let function = tree.function_of(&tree.ancestors(expression));
    tolerates(tree, function, chain_of(expression), true)
}

/// The whole chain of members, calls and subscripts that an expression begins.
fn chain_of(expression: Node<'_>) -> Node<'_> {
    let mut node = expression;
    for _ in 0..MAX_CLIMB {
        let Some(parent) = node.parent() else {
            return node;
        };
        let continues = matches!(
            (parent.kind(), field_of(parent, node)),
            ("member_expression" | "subscript_expression", Some("object"))
                | ("call_expression", Some("function"))
        );
        if !continues {
            return node;
        }
        node = parent;
    }
    node
}

fn tolerates<'t>(
    tree: &'t SourceTree<'_>,
    function: Node<'t>,
    expression: Node<'t>,
    follow_names: bool,
) -> bool {
    let mut node = expression;
    for _ in 0..MAX_CLIMB {
        let Some(parent) = node.parent() else {
            return false;
        };
        let field = field_of(parent, node);
        match parent.kind() {
            "if_statement" | "while_statement" | "do_statement" => return true,
            "parenthesized_expression" => {}
            "unary_expression" => {
                let operator = parent.child_by_field_name("operator");
                return operator.is_some_and(|node| matches!(node.kind(), "!" | "typeof"));
            }
            "ternary_expression" => {
                if field == Some("condition") {
                    return true;
                }
            }
            "binary_expression" => {
                let operator = parent.child_by_field_name("operator").map(|node| node.kind());
                match (operator, field) {
                    (Some("===" | "!==" | "==" | "!="), _) => return true,
                    (Some("||" | "??"), Some("left")) => return true,
                    (Some("||" | "??" | "&&"), _) => {}
                    _ => return false,
                }
            }
            "pair" => return field == Some("value"),
            // The value is thrown away.
            "expression_statement" => return node.kind() == "call_expression",
            "arguments" => return is_called_boolean(tree, parent),
            "variable_declarator" => {
                return follow_names
                    && field == Some("value")
                    && uses_tolerate(tree, function, parent);
            }
            // `const x = a?.b` keeps its value unless the use is itself optional.
            "member_expression" => {
                return field == Some("object")
                    && parent.child_by_field_name("optional_chain").is_some();
            }
            _ => return false,
        }
        node = parent;
    }
    false
}

fn is_called_boolean(tree: &SourceTree<'_>, arguments: Node<'_>) -> bool {
    let called = arguments.parent().and_then(|call| call.child_by_field_name("function"));
    called.is_some_and(|called| tree.text_of(called) == "Boolean")
}

/// Whether every use of the name that a declaration gives can do with `undefined`.
fn uses_tolerate<'t>(tree: &'t SourceTree<'_>, function: Node<'t>, declarator: Node<'t>) -> bool {
    let Some(name) = declarator.child_by_field_name("name") else {
        return false;
    };
    if name.kind() != "identifier" || function == tree.root() {
        return false;
    }
    let text = tree.text_of(name);
    let mut uses = Vec::new();
    let whole = visit(function, MAX_NODES, |node| {
        let is_name = matches!(node.kind(), "identifier" | "shorthand_property_identifier");
        if is_name && node != name && tree.text_of(node) == text {
            uses.push(node);
        }
    });
    if !whole || uses.len() > MAX_USES {
        return false;
    }
    uses.into_iter().all(|used| {
        used.kind() == "shorthand_property_identifier"
            || tolerates(tree, function, used, false)
            || is_guarded(tree, used, text)
    })
}

/// Whether a use is reached only where the name is truthy.
fn is_guarded(tree: &SourceTree<'_>, used: Node<'_>, name: &str) -> bool {
    let mut inner = used;
    for ancestor in tree.ancestors(used) {
        let field = field_of(ancestor, inner);
        let asked = match (ancestor.kind(), field) {
            ("if_statement" | "ternary_expression", Some("consequence")) => {
                ancestor.child_by_field_name("condition")
            }
            ("binary_expression", Some("right")) => {
                let operator = ancestor.child_by_field_name("operator");
                operator
                    .filter(|node| node.kind() == "&&")
                    .and_then(|_| ancestor.child_by_field_name("left"))
            }
            _ => None,
        };
        if asked.is_some_and(|condition| is_just(tree, condition, name)) {
            return true;
        }
        inner = ancestor;
    }
    false
}

/// Whether a condition is a name and nothing else.
fn is_just(tree: &SourceTree<'_>, condition: Node<'_>, name: &str) -> bool {
    let text = tree.text_of(condition).trim_matches(['(', ')']);
    text == name
}
