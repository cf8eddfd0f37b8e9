//! Turns the changes of a fix into one edit of the file.
//!
//! An edit stays near the culprit line, and the file parses after it as well as before.

use std::ops::Range;

use hephaestus_schemas::Edit;
use tree_sitter::Node;

use super::compile::{Change, Fix};
use super::conditions::Place;
use super::matching::Bindings;
use crate::edit;
use crate::tree::SourceTree;

/// Lines between the culprit line and the furthest line that is changed.
pub(crate) const MAX_REACH_LINES: usize = 40;

/// Text to put in the place of a range of bytes.
struct Patch {
    range: Range<usize>,
    text: String,
}

/// The edit of a fix; `None` where the change cannot be made cleanly.
pub(crate) fn edit_of(
    tree: &SourceTree<'_>,
    fix: &Fix,
    bindings: &Bindings<'_>,
    place: &Place<'_>,
) -> Option<Edit> {
    let mut patches = Vec::new();
    for change in &fix.changes {
        patches.push(patch_of(tree, change, bindings, place)?);
    }
    let patch = merged(tree.text, patches)?;
    let first = row_at(tree.text, patch.range.start);
    let last = row_at(tree.text, patch.range.end);
    let culprit = place.at.start_position().row;
    if culprit.abs_diff(first) > MAX_REACH_LINES || culprit.abs_diff(last) > MAX_REACH_LINES {
        return None;
    }
    let edit = edit::anchored(tree.path, tree.text, patch.range, &patch.text).ok()?;
    let changed = edit::applied(tree.text, &edit)?;
    let parsed = SourceTree::new(tree.path, &changed)?;
    (parsed.errors() <= tree.errors()).then_some(edit)
}

fn patch_of(
    tree: &SourceTree<'_>,
    change: &Change,
    bindings: &Bindings<'_>,
    place: &Place<'_>,
) -> Option<Patch> {
    match change {
        Change::Replace { capture, with, parenthesise } => {
            let node = bindings.nodes.get(capture)?;
            let mut text = with.render(&bindings.texts)?;
            if *parenthesise && !stands_clear(tree, *node) {
                text = format!("({text})");
            }
            Some(Patch { range: node.byte_range(), text })
        }
        Change::InsertBefore { capture, lines } => {
            let node = *bindings.nodes.get(capture)?;
            if node == place.statement && !is_reached_first(tree, place) {
                return None;
            }
            let start = node.start_byte();
            let indent = indentation(tree.text, start)?;
            let unit = indentation_unit(tree, node, indent);
            let line_break = line_break(tree.text);
            let mut text = String::new();
            for (level, line) in lines {
                text.push_str(&unit.repeat(*level));
                text.push_str(&line.render(&bindings.texts)?);
                text.push_str(line_break);
                text.push_str(indent);
            }
            Some(Patch { range: start..start, text })
        }
        Change::AppendArgument { capture, argument } => {
            let arguments = *bindings.nodes.get(capture)?;
            let count = u32::try_from(arguments.named_child_count()).ok()?;
            let last = arguments.named_child(count.checked_sub(1)?)?;
            if last.is_extra() {
                return None;
            }
            Some(Patch {
                range: last.end_byte()..last.end_byte(),
                text: format!(", {}", argument.render(&bindings.texts)?),
            })
        }
    }
}

/// One patch that does what several do; `None` where they overlap.
fn merged(text: &str, mut patches: Vec<Patch>) -> Option<Patch> {
    patches.sort_by_key(|patch| (patch.range.start, patch.range.end));
    let start = patches.first()?.range.start;
    let mut end = start;
    let mut merged = String::new();
    for patch in patches {
        merged.push_str(text.get(end..patch.range.start)?);
        merged.push_str(&patch.text);
        end = patch.range.end;
    }
    Some(Patch { range: start..end, text: merged })
}

/// Whether an expression of any precedence can stand in the place of a node as it is.
fn stands_clear(tree: &SourceTree<'_>, node: Node<'_>) -> bool {
    let delimited = tree.language.delimited();
    node.parent().is_some_and(|parent| delimited.contains(&parent.kind()))
}

/// Whether the place is evaluated exactly once each time its statement is reached.
fn is_reached_first(tree: &SourceTree<'_>, place: &Place<'_>) -> bool {
    let conditional = tree.language.conditional();
    if place.at == place.statement {
        return true;
    }
    for ancestor in &place.ancestors {
        if conditional.contains(&ancestor.kind()) {
            return false;
        }
        if *ancestor == place.statement {
            break;
        }
    }
    true
}

/// White space before a byte that is the first of its line; `None` where it is not the first.
fn indentation(text: &str, at: usize) -> Option<&str> {
    let before = text.get(..at)?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let indent = before.get(start..)?;
    let is_blank = indent.chars().all(|letter| letter == ' ' || letter == '\t');
    is_blank.then_some(indent)
}

/// One level of indentation, as the lines around a statement have it.
fn indentation_unit(tree: &SourceTree<'_>, statement: Node<'_>, indent: &str) -> String {
    if indent.contains('\t') {
        return "\t".to_owned();
    }
    let holder = statement.parent().and_then(|block| block.parent());
    let outer = holder.and_then(|holder| indentation(tree.text, holder.start_byte()));
    let width = outer.map_or(0, |outer| indent.len().saturating_sub(outer.len()));
    let default = match tree.language {
        crate::Language::JavaScript => 2,
        crate::Language::Go => return "\t".to_owned(),
        _ => 4,
    };
    " ".repeat(if (1..=8).contains(&width) { width } else { default })
}

/// The line break of a file: that of its first line.
fn line_break(text: &str) -> &'static str {
    let first = text.find('\n').unwrap_or_default();
    if first > 0 && text.as_bytes().get(first - 1) == Some(&b'\r') {
        return "\r\n";
    }
    "\n"
}

/// Row of a byte, from 0.
fn row_at(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count()
}
