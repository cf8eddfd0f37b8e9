//! The languages that are parsed, and what recipes need to know of each.
//!
//! Kinds are those of the tree-sitter grammars; tests hold every name to its grammar.

use hephaestus_schemas::Frame;
use serde::Deserialize;

/// A language that can be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Python 3.
    Python,
    /// Java.
    Java,
    /// JavaScript, with JSX.
    JavaScript,
    /// Go.
    Go,
    /// Rust.
    Rust,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 5] = [Self::Python, Self::Java, Self::JavaScript, Self::Go, Self::Rust];

    /// The language of a path, by the ending of its name.
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let (_, ending) = name.rsplit_once('.')?;
        match ending {
            "py" | "pyi" | "pyw" => Some(Self::Python),
            "java" => Some(Self::Java),
            "js" | "mjs" | "cjs" | "jsx" => Some(Self::JavaScript),
            "go" => Some(Self::Go),
            "rs" => Some(Self::Rust),
            _ => None,
        }
    }

    /// Name of the language, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Java => "java",
            Self::JavaScript => "javascript",
            Self::Go => "go",
            Self::Rust => "rust",
        }
    }

    /// The grammar.
    pub(crate) fn grammar(self) -> tree_sitter::Language {
        match self {
            Self::Python => tree_sitter_python::LANGUAGE.into(),
            Self::Java => tree_sitter_java::LANGUAGE.into(),
            Self::JavaScript => tree_sitter_javascript::LANGUAGE.into(),
            Self::Go => tree_sitter_go::LANGUAGE.into(),
            Self::Rust => tree_sitter_rust::LANGUAGE.into(),
        }
    }

    /// Kinds of nodes whose body runs when it is called, not where it stands.
    pub(crate) fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Python => &["function_definition", "lambda"],
            Self::Java => &[
                "method_declaration",
                "constructor_declaration",
                "lambda_expression",
                "static_initializer",
            ],
            Self::JavaScript => &[
                "function_declaration",
                "function_expression",
                "arrow_function",
                "method_definition",
                "generator_function",
                "generator_function_declaration",
            ],
            Self::Go => &["function_declaration", "method_declaration", "func_literal"],
            Self::Rust => &["function_item", "closure_expression"],
        }
    }

    /// Kinds of nodes whose children are statements, one after the other.
    pub(crate) fn blocks(self) -> &'static [&'static str] {
        match self {
            Self::Python => &["block", "module"],
            Self::Java => &["block", "constructor_body"],
            Self::JavaScript => &["statement_block", "program"],
            Self::Go => &["statement_list"],
            Self::Rust => &["block"],
        }
    }

    /// Kinds of nodes in which a part is evaluated only under a condition, or again and again.
    ///
    /// A statement put before such a node does not stand before that evaluation.
    pub(crate) fn conditional(self) -> &'static [&'static str] {
        match self {
            Self::Python => &[
                "elif_clause",
                "while_statement",
                "boolean_operator",
                "conditional_expression",
                "lambda",
                "list_comprehension",
                "set_comprehension",
                "dictionary_comprehension",
                "generator_expression",
                "case_clause",
            ],
            Self::Java => &[
                "while_statement",
                "for_statement",
                "do_statement",
                "ternary_expression",
                "lambda_expression",
                "switch_expression",
            ],
            Self::JavaScript => &[
                "while_statement",
                "for_statement",
                "do_statement",
                "ternary_expression",
                "arrow_function",
                "function_expression",
            ],
            Self::Go => &["for_statement", "func_literal", "expression_switch_statement"],
            Self::Rust => &["while_expression", "closure_expression", "match_arm"],
        }
    }

    /// Kinds of parents in which a child of any precedence stands clear without parentheses.
    pub(crate) fn delimited(self) -> &'static [&'static str] {
        match self {
            Self::Python => &[
                "return_statement",
                "assignment",
                "augmented_assignment",
                "expression_statement",
                "argument_list",
                "keyword_argument",
                "parenthesized_expression",
                "pair",
                "list",
                "block",
            ],
            Self::Java => &[
                "return_statement",
                "variable_declarator",
                "assignment_expression",
                "argument_list",
                "parenthesized_expression",
                "expression_statement",
            ],
            Self::JavaScript => &[
                "return_statement",
                "variable_declarator",
                "assignment_expression",
                "arguments",
                "parenthesized_expression",
                "expression_statement",
                "pair",
                "array",
                "template_substitution",
            ],
            Self::Go | Self::Rust => &["parenthesized_expression", "argument_list", "arguments"],
        }
    }

    /// The field that holds the guarded part of a `try`, and the kinds of its node and its handlers.
    pub(crate) fn handlers(self) -> Option<Handlers> {
        match self {
            Self::Python => {
                Some(Handlers { attempts: &["try_statement"], handlers: &["except_clause"] })
            }
            Self::Java => Some(Handlers {
                attempts: &["try_statement", "try_with_resources_statement"],
                handlers: &["catch_clause"],
            }),
            Self::JavaScript | Self::Go | Self::Rust => None,
        }
    }

    /// Whether a frame belongs to the machinery that raises a failure rather than to any code.
    pub(crate) fn is_runtime_frame(self, frame: &Frame) -> bool {
        let function = frame.function.as_deref().unwrap_or_default();
        let module = frame.module.as_deref().unwrap_or_default();
        match self {
            Self::Python | Self::Java | Self::JavaScript => false,
            Self::Go => {
                function == "panic"
                    || function.starts_with("panic(")
                    || function.starts_with("runtime.")
                    || module == "runtime"
            }
            // Methods of the standard library's traits are printed as `<Type as Trait>::method`.
            Self::Rust => {
                let is_of_library = ["core::", "std::", "alloc::", "rust_", "__rust", "<"]
                    .iter()
                    .any(|start| function.starts_with(start) || module.starts_with(start));
                is_of_library && !frame.in_app
            }
        }
    }
}

/// How a language handles what was raised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handlers {
    /// Kinds of nodes whose field `body` is guarded.
    pub(crate) attempts: &'static [&'static str],
    /// Kinds of their children that handle.
    pub(crate) handlers: &'static [&'static str],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_its_language() {
        assert_eq!(Language::of_path("shop/app.py"), Some(Language::Python));
        assert_eq!(Language::of_path("a.b\\C.java"), Some(Language::Java));
        assert_eq!(Language::of_path("src/x.mjs"), Some(Language::JavaScript));
        assert_eq!(Language::of_path("Makefile"), None);
        assert_eq!(Language::of_path("dir.py/readme"), None);
    }

    #[test]
    fn every_kind_is_one_of_its_grammar() {
        for language in Language::ALL {
            let grammar = language.grammar();
            let mut kinds = Vec::new();
            kinds.extend(language.functions());
            kinds.extend(language.blocks());
            kinds.extend(language.conditional());
            if let Some(handlers) = language.handlers() {
                kinds.extend(handlers.attempts);
                kinds.extend(handlers.handlers);
            }
            for kind in kinds {
                assert_ne!(grammar.id_for_node_kind(kind, true), 0, "{language:?} {kind}");
            }
        }
    }
}
