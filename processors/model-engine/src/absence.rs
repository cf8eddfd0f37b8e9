//! Whether the code that uses a value can do without one: `None`, `null` or `undefined`.
//!
//! Conservative: what is not plainly a test, a default or a stored value is not tolerated.

mod javascript;
mod python;

use tree_sitter::Node;

use crate::Language;
use crate::tree::SourceTree;

/// Nodes of a function that are looked at for the uses of a name.
const MAX_NODES: usize = 50_000;
/// Uses of a name that are looked at.
const MAX_USES: usize = 64;
/// Parents that a value may be passed through.
const MAX_CLIMB: usize = 32;

/// Whether the answer is known for a language.
pub(crate) fn is_known(language: Language) -> bool {
    matches!(language, Language::Python | Language::JavaScript)
}

/// Whether whatever uses the value of an expression can do without one.
pub(crate) fn is_tolerated(tree: &SourceTree<'_>, expression: Node<'_>) -> bool {
    match tree.language {
        Language::Python => python::is_tolerated(tree, expression),
        Language::JavaScript => javascript::is_tolerated(tree, expression),
        Language::Java | Language::Go | Language::Rust => false,
    }
}
