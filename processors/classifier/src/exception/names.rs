//! The first line of an exception: its type and message, behind the prefixes runtimes print.

use crate::scan::{at, cut, run_end, slice, tail};

/// The first line of an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) type_name: &'a str,
    pub(crate) message: &'a str,
}

/// Reads `Type: message` or `Type` at the beginning of a line. The type is a dotted name, or a
/// simple name that ends as names of exceptions do.
pub(crate) fn header(line: &str) -> Option<Header<'_>> {
    let line = behind_prefix(line.trim_start());
    let bytes = line.as_bytes();
    let first = at(bytes, 0);
    if !(first.is_ascii_alphabetic() || first == b'_') {
        return None;
    }
    let end = run_end(bytes, 0, |byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'.' | b'$' | b'/' | b'@')
            || byte >= 0x80
    });
    let name = slice(line, 0, end);
    // Node prints `TypeError [ERR_X]: message`.
    let mut pos = end;
    if at(bytes, pos) == b' ' && at(bytes, pos + 1) == b'[' {
        let close = run_end(bytes, pos + 2, |byte| {
            byte.is_ascii_uppercase() || byte == b'_' || byte.is_ascii_digit()
        });
        if at(bytes, close) == b']' {
            pos = close + 1;
        }
    }
    // .NET prints `SqlException (0x80131904): message`.
    if at(bytes, pos) == b' ' && at(bytes, pos + 1) == b'(' {
        let close = run_end(bytes, pos + 2, |byte| byte.is_ascii_hexdigit() || byte == b'x');
        if close > pos + 2 && at(bytes, close) == b')' {
            pos = close + 1;
        }
    }
    let closes = pos >= line.trim_end().len();
    let colon = at(bytes, pos) == b':' && matches!(at(bytes, pos + 1), b' ' | 0 | b'\n' | b'\r');
    if !(closes || colon) || name.ends_with('.') || name.contains("..") {
        return None;
    }
    if !is_type_name(name) {
        return None;
    }
    let message = if closes { "" } else { tail(line, pos + 1).trim() };
    Some(Header { type_name: name, message })
}

/// The words of a line, parted by blanks or bars, as far as an exception is looked for in it, and where each begins.
pub(crate) fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = 0;
    cut(line, 1024).split([' ', '|']).map(move |word| {
        let position = next;
        next += word.len() + 1;
        (position, word)
    })
}

/// Where in a line dotted names of exceptions begin.
pub(crate) fn dotted(line: &str) -> impl Iterator<Item = usize> {
    let is_name = |word: &str| {
        let name = word.trim_end_matches(':');
        name.contains('.') && is_exception_name(name)
    };
    words(line).filter(move |(_, word)| is_name(word)).map(|(position, _)| position)
}

/// Passes over what runtimes print before the type.
fn behind_prefix(line: &str) -> &str {
    if !matches!(at(line.as_bytes(), 0), b'C' | b'S' | b'U' | b'W' | b'[' | b'E') {
        return line;
    }
    let mut rest = line;
    for prefix in [
        "Caused by: ",
        "Suppressed: ",
        "Uncaught ",
        "Unhandled rejection ",
        "Unhandled exception. ",
        "Unhandled Exception: ",
        "Wrapped by: ",
        "[cause]: ",
    ] {
        if let Some(behind) = rest.strip_prefix(prefix) {
            rest = behind;
        }
    }
    if let Some(behind) = rest.strip_prefix("Exception in thread \"")
        && let Some(quote) = behind.find("\" ")
    {
        rest = tail(behind, quote + 2);
    }
    rest
}

/// A dotted name whose last part is a class, or a simple name of an exception.
fn is_type_name(name: &str) -> bool {
    let simple = name
        .rsplit(['.', '$'])
        .find(|part| !part.bytes().all(|byte| byte.is_ascii_digit()))
        .unwrap_or("");
    let is_class = simple.as_bytes().first().is_some_and(u8::is_ascii_uppercase);
    let dotted = name.contains('.') && !name.ends_with('.');
    (dotted && is_class) || is_exception_name(name)
}

/// Whether a type's last part ends as names of exceptions do.
pub(crate) fn is_exception_name(name: &str) -> bool {
    const ENDINGS: [&str; 12] = [
        "Error",
        "Exception",
        "Failure",
        "Throwable",
        "Fault",
        "Interrupt",
        "Warning",
        "Iteration",
        "Exit",
        "Panic",
        "Timeout",
        "Violation",
    ];
    let mark = name.bytes().rposition(|byte| matches!(byte, b'.' | b'$' | b'/'));
    let simple = mark.map_or(name, |mark| tail(name, mark + 1));
    let opens = simple.as_bytes().first().is_some_and(u8::is_ascii_uppercase);
    let numbered = simple.trim_end_matches(|char: char| char.is_ascii_digit());
    opens && ENDINGS.iter().any(|ending| numbered.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headers() {
        let cases = [
            ("ValueError: bad", Some(("ValueError", "bad"))),
            ("java.lang.NullPointerException", Some(("java.lang.NullPointerException", ""))),
            ("Exception in thread \"main\" a.B: x: y", Some(("a.B", "x: y"))),
            ("TypeError [ERR_X]: m", Some(("TypeError", "m"))),
            ("a.SqlException (0x80131904): m", Some(("a.SqlException", "m"))),
            ("a.SocketException (111): m", Some(("a.SocketException", "m"))),
            ("Caused by: a.b.CException: d", Some(("a.b.CException", "d"))),
            ("KeyboardInterrupt", Some(("KeyboardInterrupt", ""))),
            ("Error at line 5", None),
            ("Hello world", None),
            ("Server: started", None),
            ("10.0.0.1: refused", None),
        ];
        for (line, expected) in cases {
            let found = header(line).map(|header| (header.type_name, header.message));
            assert_eq!(found, expected, "{line}");
        }
    }
}
