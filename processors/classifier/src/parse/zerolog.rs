//! Stacks as zerolog's `pkgerrors.MarshalStack` writes them: a list of `{"func", "line", "source"}`, the innermost first.
//! Written as github.com/pkg/errors prints them, so that they are read in one place.

use std::fmt::Write as _;

use serde_json::Value;

/// The text of a stack; none where it is another list.
pub(super) fn stack(frames: &[Value]) -> Option<String> {
    let mut text = String::new();
    for frame in frames {
        let field = |name: &str| frame.get(name)?.as_str();
        let (function, line, source) = (field("func")?, field("line")?, field("source")?);
        // Names come without their package. These two are the runtime's, below every stack.
        let is_runtime = match function {
            "main" => source == "proc.go",
            "goexit" => source.starts_with("asm_"),
            _ => false,
        };
        let package = if is_runtime { "runtime." } else { "" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{package}{function}\n\t{source}:{line}");
    }
    (!text.is_empty()).then_some(text)
}
