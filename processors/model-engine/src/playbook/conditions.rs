//! Whether the conditions of a fix hold at a suspect place.
//!
//! Conditions only ever narrow: what they cannot decide within their bounds does not hold.

use std::ops::Range;

use tree_sitter::{Node, Query};

use super::compile::{Condition, Fix};
use super::matching::Bindings;
use super::recipe::Scope;
use crate::absence;
use crate::tree::{Captures, SourceTree};

/// Ways to meet the conditions of a fix that are looked at.
const MAX_WAYS: usize = 64;
/// Exceptions that a handler of a wider one is meant for too, each with the wider ones.
const WIDER: [(&str, &[&str]); 4] = [
    ("KeyError", &["LookupError"]),
    ("IndexError", &["LookupError"]),
    ("ZeroDivisionError", &["ArithmeticError"]),
    ("UnicodeDecodeError", &["UnicodeError", "ValueError"]),
];

/// A suspect place and what stands around it.
#[derive(Debug)]
pub(crate) struct Place<'t> {
    /// The suspect node.
    pub(crate) at: Node<'t>,
    /// Its ancestors, the innermost first.
    pub(crate) ancestors: Vec<Node<'t>>,
    /// The function it stands in, or the whole file.
    pub(crate) function: Node<'t>,
    /// The statement it stands in.
    pub(crate) statement: Node<'t>,
}

impl<'t> Place<'t> {
    /// The surroundings of a node; `None` where it stands in no statement.
    pub(crate) fn of(tree: &'t SourceTree<'_>, at: Node<'t>) -> Option<Self> {
        let ancestors = tree.ancestors(at);
        let function = tree.function_of(&ancestors);
        let statement = tree.statement_of(at, &ancestors)?;
        Some(Self { at, ancestors, function, statement })
    }

    /// Ancestors within the function, the innermost first, without the function itself.
    fn within_function(&self) -> impl Iterator<Item = Node<'t>> + '_ {
        let function = self.function;
        let ancestors = self.ancestors.iter().copied();
        ancestors.take_while(move |ancestor| *ancestor != function)
    }

    /// Whether a handler around the place is for this very type: then the failure is expected.
    pub(crate) fn is_handled(&self, tree: &SourceTree<'_>, type_name: &str) -> bool {
        let mut types = vec![type_name];
        for (narrow, wider) in WIDER {
            if narrow == type_name {
                types.extend(wider);
            }
        }
        let Some(handlers) = tree.language.handlers() else {
            return false;
        };
        let mut inner = self.at;
        for ancestor in self.within_function() {
            let guarded = handlers.attempts.contains(&ancestor.kind())
                && ancestor.child_by_field_name("body") == Some(inner);
            if guarded {
                let mut cursor = ancestor.walk();
                for child in ancestor.children(&mut cursor) {
                    let handles = handlers.handlers.contains(&child.kind());
                    if handles && names_one_of(tree.text_of(child), &types) {
                        return true;
                    }
                }
            }
            inner = ancestor;
        }
        false
    }
}

/// Whether the head of a handler names a type.
fn names_one_of(handler: &str, types: &[&str]) -> bool {
    let head = handler.split(['{', '\n']).next().unwrap_or_default();
    let mut words = head.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words.any(|word| types.contains(&word))
}

/// What a fix captured at a place, once for each way in which its conditions are met.
///
/// Several ways that lead to different edits are no fix, which the caller sees to.
pub(crate) fn candidates<'t>(
    tree: &'t SourceTree<'_>,
    fix: &Fix,
    suspect: &Bindings<'t>,
    place: &Place<'t>,
) -> Vec<Bindings<'t>> {
    let matches = tree.matches(&fix.query, tree.root(), place.at.byte_range());
    if !matches.is_whole {
        return Vec::new();
    }
    let mut found = Vec::new();
    for captures in matches.found {
        if captures.get("at") != Some(&place.at) {
            continue;
        }
        found.extend(suspect.joined(tree, &captures));
    }
    for condition in &fix.conditions {
        let mut held = Vec::new();
        for bindings in &found {
            held.extend(ways(tree, condition, bindings, place));
        }
        if held.len() > MAX_WAYS {
            return Vec::new();
        }
        found = held;
    }
    found
}

/// The ways in which a condition holds, with what each captures; none where it does not hold.
fn ways<'t>(
    tree: &'t SourceTree<'_>,
    condition: &Condition,
    bindings: &Bindings<'t>,
    place: &Place<'t>,
) -> Vec<Bindings<'t>> {
    let holds = match condition {
        Condition::Present(scope, query) => {
            let within = scope_of(tree, *scope, place);
            let Some(found) = joined_matches(tree, query, within, None, bindings) else {
                return Vec::new();
            };
            return found.into_iter().map(|(_, joined)| joined).collect();
        }
        Condition::Encloses(query) => {
            return encloses(tree, query, bindings, place).into_iter().collect();
        }
        Condition::Absent(scope, query) => {
            let within = scope_of(tree, *scope, place);
            let found = joined_matches(tree, query, within, None, bindings);
            found.is_some_and(|found| found.is_empty())
        }
        Condition::Parent(capture, kinds) => {
            let parent = bindings.nodes.get(capture).and_then(Node::parent);
            parent.is_some_and(|parent| is_one_of(parent, kinds))
        }
        Condition::NotInside(capture, kinds) => {
            let node = bindings.nodes.get(capture);
            node.is_some_and(|node| !is_inside(tree, *node, kinds))
        }
        Condition::AbsenceTolerated(capture) => {
            let node = bindings.nodes.get(capture);
            node.is_some_and(|node| absence::is_tolerated(tree, *node))
        }
    };
    if holds {
        return vec![bindings.clone()];
    }
    Vec::new()
}

/// Whether a node stands within one of some kinds, in its function.
fn is_inside(tree: &SourceTree<'_>, node: Node<'_>, kinds: &[String]) -> bool {
    let ancestors = tree.ancestors(node);
    let function = tree.function_of(&ancestors);
    let mut within = ancestors.iter().take_while(|ancestor| **ancestor != function);
    within.any(|ancestor| is_one_of(*ancestor, kinds))
}

/// Binds the innermost node that a query finds around the place, in its function.
fn encloses<'t>(
    tree: &'t SourceTree<'_>,
    query: &Query,
    bindings: &Bindings<'t>,
    place: &Place<'t>,
) -> Option<Bindings<'t>> {
    let around: Vec<Node<'t>> = place.within_function().collect();
    let range = Some(place.at.byte_range());
    let mut innermost: Option<(usize, Bindings<'t>)> = None;
    for (captures, joined) in joined_matches(tree, query, place.function, range, bindings)? {
        let node = captures.get("around")?;
        let Some(distance) = around.iter().position(|ancestor| ancestor == node) else {
            continue;
        };
        if innermost.as_ref().is_none_or(|(best, _)| distance < *best) {
            innermost = Some((distance, joined));
        }
    }
    innermost.map(|(_, found)| found)
}

/// Matches that agree with what is bound; `None` where there are too many to look at.
fn joined_matches<'t>(
    tree: &'t SourceTree<'_>,
    query: &Query,
    within: Node<'t>,
    range: Option<Range<usize>>,
    bindings: &Bindings<'t>,
) -> Option<Vec<(Captures<'t>, Bindings<'t>)>> {
    let range = range.unwrap_or_else(|| within.byte_range());
    let matches = tree.matches(query, within, range);
    if !matches.is_whole {
        return None;
    }
    let mut found = Vec::new();
    for captures in matches.found {
        if let Some(joined) = bindings.joined(tree, &captures) {
            found.push((captures, joined));
        }
    }
    Some(found)
}

fn scope_of<'t>(tree: &'t SourceTree<'_>, scope: Scope, place: &Place<'t>) -> Node<'t> {
    match scope {
        Scope::Statement => place.statement,
        Scope::Function => place.function,
        Scope::File => tree.root(),
    }
}

fn is_one_of(node: Node<'_>, kinds: &[String]) -> bool {
    kinds.iter().any(|kind| kind == node.kind())
}
