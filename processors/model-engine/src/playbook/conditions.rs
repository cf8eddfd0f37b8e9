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

    /// Whether a handler around the place names one of these types: then the failure is expected.
    pub(crate) fn is_handled(&self, tree: &SourceTree<'_>, types: &[String]) -> bool {
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
                    if handles && names_one_of(tree.text_of(child), types) {
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
fn names_one_of(handler: &str, types: &[String]) -> bool {
    let head = handler.split(['{', '\n']).next().unwrap_or_default();
    let mut words = head.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words.any(|word| types.iter().any(|name| name == word))
}

/// What a fix captured at a place, once for each match that meets every condition.
pub(crate) fn candidates<'t>(
    tree: &'t SourceTree<'_>,
    fix: &Fix,
    suspect: &Bindings<'t>,
    place: &Place<'t>,
) -> Vec<Bindings<'t>> {
    let mut found = Vec::new();
    for captures in tree.matches(&fix.query, tree.root(), place.at.byte_range()) {
        if captures.get("at") != Some(&place.at) {
            continue;
        }
        let joined = suspect.joined(tree, &captures);
        let Some(mut bindings) = joined else {
            continue;
        };
        let holds =
            fix.conditions.iter().all(|condition| holds(tree, condition, &mut bindings, place));
        if holds {
            found.push(bindings);
        }
    }
    found
}

/// Whether a condition holds; what it captures is added to the bindings.
fn holds<'t>(
    tree: &'t SourceTree<'_>,
    condition: &Condition,
    bindings: &mut Bindings<'t>,
    place: &Place<'t>,
) -> bool {
    match condition {
        Condition::Present(scope, query) => {
            let found = joined_matches(tree, query, scope_of(tree, *scope, place), None, bindings);
            let Some((_, first)) = found.into_iter().next() else {
                return false;
            };
            *bindings = first;
            true
        }
        Condition::Absent(scope, query) => {
            joined_matches(tree, query, scope_of(tree, *scope, place), None, bindings).is_empty()
        }
        Condition::Encloses(query) => encloses(tree, query, bindings, place),
        Condition::Parent(capture, kinds) => {
            let parent = bindings.nodes.get(capture).and_then(Node::parent);
            parent.is_some_and(|parent| is_one_of(parent, kinds))
        }
        Condition::NotInside(capture, kinds) => {
            let Some(node) = bindings.nodes.get(capture) else {
                return false;
            };
            let ancestors = tree.ancestors(*node);
            let function = tree.function_of(&ancestors);
            !ancestors
                .iter()
                .take_while(|ancestor| **ancestor != function)
                .any(|ancestor| is_one_of(*ancestor, kinds))
        }
        Condition::AbsenceTolerated(capture) => {
            bindings.nodes.get(capture).is_some_and(|node| absence::is_tolerated(tree, *node))
        }
    }
}

/// Binds the innermost node that a query finds around the place, in its function.
fn encloses<'t>(
    tree: &'t SourceTree<'_>,
    query: &Query,
    bindings: &mut Bindings<'t>,
    place: &Place<'t>,
) -> bool {
    let around: Vec<Node<'t>> = place.within_function().collect();
    let range = Some(place.at.byte_range());
    let mut innermost: Option<(usize, Bindings<'t>)> = None;
    for (captures, joined) in joined_matches(tree, query, place.function, range, bindings) {
        let Some(node) = captures.get("around") else {
            continue;
        };
        let Some(distance) = around.iter().position(|ancestor| ancestor == node) else {
            continue;
        };
        if innermost.as_ref().is_none_or(|(best, _)| distance < *best) {
            innermost = Some((distance, joined));
        }
    }
    let Some((_, found)) = innermost else {
        return false;
    };
    *bindings = found;
    true
}

fn joined_matches<'t>(
    tree: &'t SourceTree<'_>,
    query: &Query,
    within: Node<'t>,
    range: Option<Range<usize>>,
    bindings: &Bindings<'t>,
) -> Vec<(Captures<'t>, Bindings<'t>)> {
    let range = range.unwrap_or_else(|| within.byte_range());
    let mut found = Vec::new();
    for captures in tree.matches(query, within, range) {
        if let Some(joined) = bindings.joined(tree, &captures) {
            found.push((captures, joined));
        }
    }
    found
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
