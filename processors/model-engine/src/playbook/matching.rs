//! What a recipe captured, and how captures of several queries are joined.
//!
//! A name that is captured twice must have one text; the suspect place must be one node.

use std::collections::BTreeMap;

use tree_sitter::{Node, Query};

use super::compile::Suspect;
use crate::tree::{Captures, SourceTree};

/// Places of one line that are told apart.
const MAX_PLACES: usize = 64;
/// Lines that a suspect place may span.
const MAX_SUSPECT_LINES: usize = 12;

/// Nodes and texts by the name they were captured under.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bindings<'t> {
    /// Captured nodes.
    pub(crate) nodes: BTreeMap<String, Node<'t>>,
    /// Texts of the captured nodes and of the message's groups.
    pub(crate) texts: BTreeMap<String, String>,
}

impl<'t> Bindings<'t> {
    /// Joins the captures of a match; `None` where a name would have two texts.
    pub(crate) fn joined(&self, tree: &SourceTree<'_>, captures: &Captures<'t>) -> Option<Self> {
        let mut joined = self.clone();
        for (name, node) in captures {
            if name.starts_with('_') {
                continue;
            }
            let text = tree.text_of(*node);
            if name == "at"
                && let Some(bound) = self.nodes.get(name)
                && bound != node
            {
                return None;
            }
            if let Some(bound) = self.texts.get(name)
                && bound != text
            {
                return None;
            }
            joined.nodes.insert(name.clone(), *node);
            joined.texts.insert(name.clone(), text.to_owned());
        }
        Some(joined)
    }
}

/// The places of the culprit line that can raise a failure.
#[derive(Debug)]
pub(crate) enum Located<'t> {
    /// There is none: the recipe does not fit the code.
    Nowhere,
    /// There is exactly one.
    Once(Box<Bindings<'t>>),
    /// There are so many at least, and nothing tells them apart.
    Several(usize),
}

/// Finds the places of a line that can raise a failure.
///
/// `known` holds what the message says; `column` is where the runtime says it was, from 1.
pub(crate) fn located<'t>(
    tree: &'t SourceTree<'_>,
    suspect: &Suspect,
    known: &Bindings<'t>,
    line: u32,
    column: Option<i32>,
) -> Located<'t> {
    let Some(mut places) = places(tree, &suspect.query, known, line) else {
        return Located::Several(MAX_PLACES);
    };
    let row = row_of(line);
    if places.iter().any(|place| starts_on(place, row)) {
        places.retain(|place| starts_on(place, row));
    }
    if places.len() > 1
        && let Some(column) = column
    {
        narrow_by_column(tree, &mut places, line, column);
    }
    let count = places.len();
    match places.pop() {
        None => Located::Nowhere,
        Some(place) if count == 1 => Located::Once(Box::new(place)),
        Some(_) => Located::Several(count),
    }
}

/// Matches of a query whose `@at` covers the line, one for each node; `None` where there are too
/// many to look at.
fn places<'t>(
    tree: &'t SourceTree<'_>,
    query: &Query,
    known: &Bindings<'t>,
    line: u32,
) -> Option<Vec<Bindings<'t>>> {
    let Some(range) = tree.line_range(line) else {
        return Some(Vec::new());
    };
    let row = row_of(line);
    let mut found: Vec<Bindings<'t>> = Vec::new();
    let matches = tree.matches(query, tree.root(), range);
    if !matches.is_whole {
        return None;
    }
    for captures in matches.found {
        let Some(at) = captures.get("at").copied() else {
            continue;
        };
        let first = at.start_position().row;
        let last = at.end_position().row;
        if row < first || row > last || last - first >= MAX_SUSPECT_LINES {
            continue;
        }
        let seen = |place: &Bindings<'t>| place.nodes.get("at") == Some(&at);
        if found.iter().any(seen) {
            continue;
        }
        if let Some(joined) = known.joined(tree, &captures) {
            found.push(joined);
        }
        if found.len() >= MAX_PLACES {
            return None;
        }
    }
    Some(found)
}

fn row_of(line: u32) -> usize {
    usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1)
}

/// The node whose position a runtime reports.
fn point<'t>(place: &Bindings<'t>) -> Option<Node<'t>> {
    place.nodes.get("point").or(place.nodes.get("at")).copied()
}

fn starts_on(place: &Bindings<'_>, row: usize) -> bool {
    point(place).is_some_and(|node| node.start_position().row == row)
}

/// Keeps the places that start at a column, or else those that hold it, if there are any.
fn narrow_by_column(tree: &SourceTree<'_>, places: &mut Vec<Bindings<'_>>, line: u32, column: i32) {
    let Some(range) = tree.line_range(line) else {
        return;
    };
    // Runtimes count bytes, characters or UTF-16 units; they agree on ASCII alone.
    let line_text = tree.text.get(range.clone()).unwrap_or_default();
    let Some(offset) = usize::try_from(column).ok().and_then(|from_one| from_one.checked_sub(1))
    else {
        return;
    };
    if !line_text.is_ascii() {
        return;
    }
    let byte = range.start + offset;
    let starts = |place: &Bindings<'_>| point(place).is_some_and(|node| node.start_byte() == byte);
    let holds =
        |place: &Bindings<'_>| point(place).is_some_and(|node| node.byte_range().contains(&byte));
    if places.iter().any(starts) {
        places.retain(starts);
    } else if places.iter().any(holds) {
        places.retain(holds);
    }
}
