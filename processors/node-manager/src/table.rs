//! The table of nodes, and which of them owns a source.
//!
//! Promises: one owner for a source, the same whatever the order in which the nodes became known.

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobMatcher};
use hephaestus_schemas::{Node, NodeStatus};

/// Most bytes of one glob.
pub const MAX_GLOB_BYTES: usize = 512;

/// Compiles a glob: `*` and `?` do not cross a `/`, `**` does.
///
/// # Errors
/// Says what is wrong with it.
pub fn glob(text: &str) -> Result<GlobMatcher, String> {
    if text.is_empty() {
        return Err("a glob must not be empty; \"**\" matches all".to_owned());
    }
    if text.len() > MAX_GLOB_BYTES {
        return Err(format!("a glob has at most {MAX_GLOB_BYTES} bytes"));
    }
    let built = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
    match built {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(format!("not a glob: {}", error.kind())),
    }
}

/// One glob of a node, compiled.
#[derive(Debug, Clone)]
struct SourceGlob {
    /// Bytes before the first character with a meaning of its own.
    literal_bytes: usize,
    matcher: GlobMatcher,
}

#[derive(Debug, Clone)]
struct Entry {
    node: Node,
    globs: Vec<SourceGlob>,
}

/// The nodes that are known, by id.
#[derive(Debug, Clone, Default)]
pub struct NodeTable {
    entries: BTreeMap<String, Entry>,
}

impl NodeTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the latest state of a node, in place of what was known of it.
    /// Returns the globs that cannot be read; they own nothing.
    pub fn apply(&mut self, node: Node) -> Vec<String> {
        let mut globs = Vec::with_capacity(node.sources.len());
        let mut unreadable = Vec::new();
        for text in &node.sources {
            match glob(text) {
                Ok(matcher) => {
                    globs.push(SourceGlob { literal_bytes: literal_bytes(text), matcher });
                }
                Err(_) => unreadable.push(text.clone()),
            }
        }
        self.entries.insert(node.id.clone(), Entry { node, globs });
        unreadable
    }

    /// Forgets a node, as a tombstone in its topic asks.
    pub fn remove(&mut self, id: &str) {
        self.entries.remove(id);
    }

    /// The node of that id.
    pub fn get(&self, id: &str) -> Option<&Node> {
        self.entries.get(id).map(|entry| &entry.node)
    }

    /// Every node, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.entries.values().map(|entry| &entry.node)
    }

    /// Nodes that are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no node is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The node that owns a source: of those with a glob that matches, the one whose glob has the
    /// longest literal beginning, then the first by name. Retired nodes own nothing.
    pub fn owner_of(&self, source: &str) -> Option<&Node> {
        let mut owner: Option<(usize, &Node)> = None;
        for Entry { node, globs } in self.entries.values() {
            if node.status == NodeStatus::Retired {
                continue;
            }
            for glob in globs {
                // Entries come by name, so that only a longer beginning takes a source away.
                let is_closer = owner.is_none_or(|(bytes, _)| glob.literal_bytes > bytes);
                if is_closer && glob.matcher.is_match(source) {
                    owner = Some((glob.literal_bytes, node));
                }
            }
        }
        owner.map(|(_, node)| node)
    }
}

/// Bytes before the first character that means something to a glob; a glob without one, that
/// names exactly one source, comes before any other.
fn literal_bytes(glob: &str) -> usize {
    glob.find(['*', '?', '[', '{', '\\']).unwrap_or(usize::MAX)
}
