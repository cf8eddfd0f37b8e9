//! Counts the syntax errors of a file, for the gate that asks whether a change still parses.
//!
//! Bounded in size and in steps; of an unknown language there is no opinion.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{ParseOptions, Parser, Point, Tree};

use crate::Language;
use crate::budget::MAX_PARSED_BYTES;

/// Time after which parsing one file is given up.
pub const MAX_PARSE_TIME: Duration = Duration::from_secs(2);
/// Nodes that are looked at while errors are counted.
pub const MAX_ERROR_NODES: usize = 1_000_000;

/// What parsing a file showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyntaxReport {
    /// Language of the file; `None` where it is not known, which is no opinion.
    pub language: Option<Language>,
    /// Whether the file was parsed: false for unknown languages and beyond the bounds.
    pub checked: bool,
    /// Syntax errors: nodes that fit nowhere, and tokens that are missing.
    pub errors: usize,
    /// Line of the first error, from 1.
    pub first_error_line: Option<u32>,
}

/// Counts the syntax errors of a file.
pub fn check(path: &str, text: &str) -> SyntaxReport {
    let Some(language) = Language::of_path(path) else {
        return SyntaxReport::default();
    };
    let unchecked = SyntaxReport { language: Some(language), ..SyntaxReport::default() };
    let Some(tree) = parsed(language, text) else {
        return unchecked;
    };
    let (errors, first_error_line) = count_errors(&tree);
    SyntaxReport { checked: true, errors, first_error_line, ..unchecked }
}

/// Parses a text; `None` beyond the bounds of size and time.
pub(crate) fn parsed(language: Language, text: &str) -> Option<Tree> {
    if text.len() > MAX_PARSED_BYTES {
        return None;
    }
    let mut parser = Parser::new();
    parser.set_language(&language.grammar()).ok()?;
    let deadline = Instant::now() + MAX_PARSE_TIME;
    let mut keep_going = |_: &tree_sitter::ParseState| {
        if Instant::now() < deadline { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut keep_going);
    let bytes = text.as_bytes();
    let mut read = |at: usize, _: Point| bytes.get(at..).unwrap_or_default();
    parser.parse_with_options(&mut read, None, Some(options))
}

/// Number of errors in a tree, and the line of the first, from 1.
pub(crate) fn count_errors(tree: &Tree) -> (usize, Option<u32>) {
    let mut errors = 0;
    let mut first = None;
    let mut cursor = tree.walk();
    for _ in 0..MAX_ERROR_NODES {
        let node = cursor.node();
        if node.is_error() || node.is_missing() {
            errors += 1;
            let line = u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX);
            first = Some(first.unwrap_or(line));
        }
        if node.has_error() && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return (errors, first);
            }
        }
    }
    (errors, first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_file_has_no_errors_in_any_language() {
        for (path, text) in [
            ("a.py", "def f(x):\n    return x\n"),
            ("A.java", "class A { int f(int x) { return x; } }"),
            ("a.js", "const f = (x) => x?.y ?? [];\n"),
            ("a.go", "package a\n\nfunc f(x int) int { return x }\n"),
            ("a.rs", "fn f(x: u32) -> u32 { x }\n"),
        ] {
            let report = check(path, text);
            assert!(report.checked, "{path}");
            assert_eq!((report.errors, report.first_error_line), (0, None), "{path}");
        }
    }

    #[test]
    fn a_broken_file_names_the_line() {
        for (path, text) in [
            ("a.py", "x = 1\ny = (2\n"),
            ("A.java", "class A {\n int f( { return 1; }\n}"),
            ("a.js", "let x = 1;\nlet y = ;\n"),
            ("a.go", "package a\nfunc f( { }\n"),
            ("a.rs", "fn a() {}\nfn f( -> { }\n"),
        ] {
            let report = check(path, text);
            assert!(report.errors > 0, "{path}");
            assert_eq!(report.first_error_line, Some(2), "{path}: {report:?}");
        }
    }

    #[test]
    fn there_is_no_opinion_on_unknown_languages_and_huge_files() {
        assert_eq!(check("a.txt", "(((("), SyntaxReport::default());
        let huge = "x = 1\n".repeat(MAX_PARSED_BYTES / 6 + 1);
        let report = check("a.py", &huge);
        assert_eq!((report.checked, report.errors), (false, 0));
    }

    #[test]
    fn deep_nesting_ends_in_time() {
        let deep = "(".repeat(200_000);
        let started = Instant::now();
        let report = check("a.py", &deep);
        assert!(report.errors > 0 || !report.checked);
        assert!(started.elapsed() < MAX_PARSE_TIME * 5);
    }
}
