//! Uses of a value in Python that can do without one, that is with `None`.
//!
//! A value that is given a name is followed through the function, one step deep.

use tree_sitter::Node;

use super::{MAX_CLIMB, MAX_NODES, MAX_USES};
use crate::tree::{SourceTree, field_of, visit};

/// Whether whatever uses the value of an expression can do with `None`.
pub(super) fn is_tolerated(tree: &SourceTree<'_>, expression: Node<'_>) -> bool {
    let function = tree.function_of(&tree.ancestors(expression));
    tolerates(tree, function, expression, true)
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
            "parenthesized_expression" => {}
            "if_statement" | "elif_clause" | "while_statement" => {
                return field == Some("condition");
            }
            "not_operator" => return true,
            "conditional_expression" => {
                if parent.named_child(1) == Some(node) {
                    return true;
                }
            }
            "boolean_operator" => {
                let operator = parent.child_by_field_name("operator");
                if field == Some("left") && operator.is_some_and(|node| node.kind() == "or") {
                    return true;
                }
            }
            "comparison_operator" => return compares_anything(parent),
            "pair" => return field == Some("value") && is_in_dictionary(parent),
            "return_statement" => return returns_none(tree, function),
            "argument_list" => return is_asked_for_its_kind(tree, parent),
            "assignment" => {
                return follow_names
                    && field == Some("right")
                    && uses_tolerate(tree, function, parent);
            }
            _ => return false,
        }
        node = parent;
    }
    false
}

/// Whether every operator of a comparison takes any operand.
fn compares_anything(comparison: Node<'_>) -> bool {
    let mut cursor = comparison.walk();
    let mut operators = comparison.children_by_field_name("operators", &mut cursor);
    operators.all(|operator| matches!(operator.kind(), "==" | "!=" | "is" | "is not" | "<>"))
}

fn is_in_dictionary(pair: Node<'_>) -> bool {
    pair.parent().is_some_and(|parent| parent.kind() == "dictionary")
}

/// Whether a list of arguments is that of `isinstance` or `bool`.
fn is_asked_for_its_kind(tree: &SourceTree<'_>, arguments: Node<'_>) -> bool {
    let called = arguments.parent().and_then(|call| call.child_by_field_name("function"));
    called.is_some_and(|called| matches!(tree.text_of(called), "isinstance" | "bool"))
}

/// Whether a function says that it may return `None`, by its annotation or by a `return None`.
fn returns_none(tree: &SourceTree<'_>, function: Node<'_>) -> bool {
    if let Some(annotation) = function.child_by_field_name("return_type") {
        let text = tree.text_of(annotation);
        let names_none = text
            .split(|letter: char| !letter.is_alphanumeric())
            .any(|word| word == "Optional" || word == "None");
        return names_none && text != "None";
    }
    let mut found = false;
    visit(function, MAX_NODES, |node| {
        if node.kind() == "return_statement" {
            let value = node.named_child(0);
            found |= value.is_some_and(|value| value.kind() == "none");
        }
    });
    found
}

/// Whether every use of the name that an assignment gives can do with `None`.
fn uses_tolerate<'t>(tree: &'t SourceTree<'_>, function: Node<'t>, assignment: Node<'t>) -> bool {
    let Some(name) = assignment.child_by_field_name("left") else {
        return false;
    };
    let is_annotated = assignment.child_by_field_name("type").is_some();
    if name.kind() != "identifier" || is_annotated || function == tree.root() {
        return false;
    }
    let text = tree.text_of(name);
    let mut uses = Vec::new();
    let mut is_shared = false;
    let whole = visit(function, MAX_NODES, |node| {
        if matches!(node.kind(), "global_statement" | "nonlocal_statement") {
            is_shared |= tree.text_of(node).split([' ', ',']).any(|word| word == text);
        }
        if node.kind() == "identifier" && node != name && tree.text_of(node) == text {
            uses.push(node);
        }
    });
    if !whole || is_shared || uses.len() > MAX_USES {
        return false;
    }
    uses.into_iter().all(|used| {
        !is_read(used) || tolerates(tree, function, used, false) || is_guarded(tree, used, text)
    })
}

/// Whether an identifier reads a variable, rather than naming an attribute or being assigned.
fn is_read(identifier: Node<'_>) -> bool {
    let Some(parent) = identifier.parent() else {
        return false;
    };
    let field = field_of(parent, identifier);
    match parent.kind() {
        "attribute" => field == Some("object"),
        "keyword_argument" => field == Some("value"),
        "assignment" => field != Some("left"),
        _ => true,
    }
}

/// Whether a use is reached only where the name has a value.
fn is_guarded(tree: &SourceTree<'_>, used: Node<'_>, name: &str) -> bool {
    let mut inner = used;
    for ancestor in tree.ancestors(used) {
        let field = field_of(ancestor, inner);
        let guarded = match ancestor.kind() {
            "if_statement" | "elif_clause" => {
                field == Some("consequence")
                    && proves(tree, ancestor.child_by_field_name("condition"), name)
            }
            "while_statement" => {
                field == Some("body")
                    && proves(tree, ancestor.child_by_field_name("condition"), name)
            }
            "conditional_expression" => {
                ancestor.named_child(0) == Some(inner)
                    && proves(tree, ancestor.named_child(1), name)
            }
            "boolean_operator" => {
                let operator = ancestor.child_by_field_name("operator");
                field == Some("right")
                    && operator.is_some_and(|node| node.kind() == "and")
                    && proves(tree, ancestor.child_by_field_name("left"), name)
            }
            "block" => left_before(tree, ancestor, inner, name),
            "function_definition" | "lambda" => return false,
            _ => false,
        };
        if guarded {
            return true;
        }
        inner = ancestor;
    }
    false
}

/// Whether a statement before this one in its block leaves the block where the name has no value.
fn left_before(tree: &SourceTree<'_>, block: Node<'_>, statement: Node<'_>, name: &str) -> bool {
    let mut cursor = block.walk();
    for earlier in block.named_children(&mut cursor) {
        if earlier.start_byte() >= statement.start_byte() {
            return false;
        }
        if earlier.kind() != "if_statement" {
            continue;
        }
        let asks = disproves(tree, earlier.child_by_field_name("condition"), name);
        let consequence = earlier.child_by_field_name("consequence");
        let count = consequence.map_or(0, |block| block.named_child_count());
        let last_index = u32::try_from(count.saturating_sub(1)).unwrap_or_default();
        let last = consequence.and_then(|block| block.named_child(last_index));
        let leaves = last.is_some_and(|last| {
            matches!(
                last.kind(),
                "return_statement" | "raise_statement" | "continue_statement" | "break_statement"
            )
        });
        if asks && leaves {
            return true;
        }
    }
    false
}

/// Whether a condition that is true shows that a name has a value.
fn proves(tree: &SourceTree<'_>, condition: Option<Node<'_>>, name: &str) -> bool {
    let Some(condition) = condition else {
        return false;
    };
    let mut pending = vec![condition];
    for _ in 0..MAX_CLIMB {
        let Some(part) = pending.pop() else {
            return false;
        };
        let text = tree.text_of(part);
        match part.kind() {
            "identifier" if text == name => return true,
            "comparison_operator" if text == format!("{name} is not None") => return true,
            "parenthesized_expression" => pending.extend(part.named_child(0)),
            "boolean_operator" => {
                let operator = part.child_by_field_name("operator");
                if operator.is_some_and(|node| node.kind() == "and") {
                    pending.extend(part.child_by_field_name("left"));
                    pending.extend(part.child_by_field_name("right"));
                }
            }
            _ => {}
        }
    }
    false
}

/// Whether a condition is true wherever a name has no value.
fn disproves(tree: &SourceTree<'_>, condition: Option<Node<'_>>, name: &str) -> bool {
    let text = condition.map(|condition| tree.text_of(condition)).unwrap_or_default();
    text == format!("not {name}") || text == format!("{name} is None")
}
