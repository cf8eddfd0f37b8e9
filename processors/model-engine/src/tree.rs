//! Ways through a syntax tree that are bounded and never recurse.
//!
//! A node's ancestors are found from the root once, since `Node::parent` starts there every time.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use tree_sitter::{Node, Query, QueryCursor, QueryCursorOptions, StreamingIterator, Tree};

use crate::Language;
use crate::syntax;

/// Depth up to which ancestors are looked at.
pub(crate) const MAX_DEPTH: usize = 400;
/// Matches of one query that are looked at.
const MAX_MATCHES: usize = 4096;
/// Unfinished matches a query may hold at once.
const MAX_PENDING_MATCHES: u32 = 512;
/// Calls of the progress callback after which a query is given up.
const MAX_QUERY_STEPS: u32 = 100_000;

/// A file with its syntax tree.
pub(crate) struct SourceTree<'a> {
    /// Language of the file.
    pub(crate) language: Language,
    /// Path in the repository.
    pub(crate) path: &'a str,
    /// Text.
    pub(crate) text: &'a str,
    tree: Tree,
}

/// The matches of a query.
pub(crate) struct Matches<'t> {
    /// In the order they were found.
    pub(crate) found: Vec<Captures<'t>>,
    /// Whether these are all of them, rather than those within the bounds.
    pub(crate) is_whole: bool,
}

/// The captures of one match, by name; where a name captured several nodes, the first.
pub(crate) type Captures<'t> = BTreeMap<String, Node<'t>>;

impl<'a> SourceTree<'a> {
    /// Parses a file; `None` for an unknown language or beyond the bounds.
    pub(crate) fn new(path: &'a str, text: &'a str) -> Option<Self> {
        let language = Language::of_path(path)?;
        let tree = syntax::parsed(language, text)?;
        Some(Self { language, path, text, tree })
    }

    /// The whole file.
    pub(crate) fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }

    /// Syntax errors in the file.
    pub(crate) fn errors(&self) -> usize {
        syntax::count_errors(&self.tree).0
    }

    /// Text of a node.
    pub(crate) fn text_of(&self, node: Node<'_>) -> &'a str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// Bytes of a line, from 1, without its line break.
    pub(crate) fn line_range(&self, line: u32) -> Option<Range<usize>> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let mut start = 0;
        for (number, piece) in self.text.split_inclusive('\n').enumerate() {
            if number == index {
                let kept = piece.trim_end_matches(['\n', '\r']).len();
                return Some(start..start + kept);
            }
            start += piece.len();
        }
        None
    }

    /// Ancestors of a node, the innermost first; empty beyond the bound of depth.
    pub(crate) fn ancestors<'t>(&'t self, node: Node<'t>) -> Vec<Node<'t>> {
        let mut path = Vec::new();
        let mut current = self.root();
        while current != node {
            path.push(current);
            if path.len() > MAX_DEPTH {
                return Vec::new();
            }
            let Some(next) = current.child_with_descendant(node) else {
                return Vec::new();
            };
            current = next;
        }
        path.reverse();
        path
    }

    /// The innermost function a node stands in, or the whole file.
    pub(crate) fn function_of<'t>(&'t self, ancestors: &[Node<'t>]) -> Node<'t> {
        let functions = self.language.functions();
        ancestors
            .iter()
            .find(|ancestor| functions.contains(&ancestor.kind()))
            .copied()
            .unwrap_or_else(|| self.root())
    }

    /// The innermost statement of a block that holds a node.
    pub(crate) fn statement_of<'t>(
        &self,
        node: Node<'t>,
        ancestors: &[Node<'t>],
    ) -> Option<Node<'t>> {
        let blocks = self.language.blocks();
        let mut inner = node;
        for ancestor in ancestors {
            if blocks.contains(&ancestor.kind()) {
                return Some(inner);
            }
            inner = *ancestor;
        }
        None
    }

    /// Matches of a query below a node that touch a byte range, in the order they are found.
    pub(crate) fn matches<'t>(
        &'t self,
        query: &Query,
        within: Node<'t>,
        range: Range<usize>,
    ) -> Matches<'t> {
        let mut cursor = QueryCursor::new();
        cursor.set_match_limit(MAX_PENDING_MATCHES);
        cursor.set_byte_range(range);
        let mut steps = 0u32;
        let mut keep_going = |_: &tree_sitter::QueryCursorState| {
            steps += 1;
            if steps < MAX_QUERY_STEPS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let options = QueryCursorOptions::new().progress_callback(&mut keep_going);
        let names = query.capture_names();
        let mut found = Vec::new();
        let mut is_whole = true;
        let mut matches = cursor.matches_with_options(query, within, self.text.as_bytes(), options);
        while let Some(matched) = matches.next() {
            if found.len() >= MAX_MATCHES {
                is_whole = false;
                break;
            }
            let mut captures = Captures::new();
            for capture in matched.captures() {
                if let Some(name) = names.get(capture.index as usize) {
                    captures.entry((*name).to_owned()).or_insert(capture.node);
                }
            }
            found.push(captures);
        }
        drop(matches);
        is_whole &= steps < MAX_QUERY_STEPS && !cursor.did_exceed_match_limit();
        Matches { found, is_whole }
    }
}

/// Visits a node and everything below it, in order; stops after `limit` nodes and then says false.
pub(crate) fn visit<'t>(top: Node<'t>, limit: usize, mut each: impl FnMut(Node<'t>)) -> bool {
    let mut cursor = top.walk();
    for _ in 0..limit {
        each(cursor.node());
        if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return true;
            }
        }
    }
    false
}

/// Name of the field by which a parent holds a child.
pub(crate) fn field_of<'t>(parent: Node<'t>, child: Node<'t>) -> Option<&'t str> {
    let mut cursor = parent.walk();
    if !cursor.goto_first_child() {
        return None;
    }
    loop {
        if cursor.node() == child {
            return cursor.field_name();
        }
        if !cursor.goto_next_sibling() {
            return None;
        }
    }
}
