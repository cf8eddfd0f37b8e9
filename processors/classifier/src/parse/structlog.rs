//! Exceptions as structlog's `dict_tracebacks` writes them: a list, the one that was raised last first, each followed by
//! what it came from. Written as the interpreter prints them, so that they are read in one place.

use std::fmt::Write as _;

use serde_json::Value;

/// The text of a list of exceptions; none where it is another list.
pub(super) fn traceback(exceptions: &[Value]) -> Option<String> {
    let mut text = String::new();
    let mut exceptions = exceptions.iter().rev().peekable();
    while let Some(exception) = exceptions.next() {
        let type_name = exception.get("exc_type")?.as_str()?;
        text.push_str("Traceback (most recent call last):\n");
        let frames = exception.get("frames").and_then(Value::as_array);
        for frame in frames.into_iter().flatten() {
            let field = |name: &str| frame.get(name).and_then(Value::as_str).unwrap_or_default();
            let line = frame.get("lineno").and_then(Value::as_u64).unwrap_or(0);
            let (file, function) = (field("filename"), field("name"));
            // Writing to a string does not fail.
            let _ = writeln!(text, "  File \"{file}\", line {line}, in {function}");
        }
        let message = exception.get("exc_value").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(text, "{type_name}: {message}");
        if exceptions.peek().is_some() {
            let is_cause = exception.get("is_cause").and_then(Value::as_bool).unwrap_or(false);
            text.push_str(if is_cause {
                "\nThe above exception was the direct cause of the following exception:\n\n"
            } else {
                "\nDuring handling of the above exception, another exception occurred:\n\n"
            });
        }
    }
    (!text.is_empty()).then_some(text)
}
