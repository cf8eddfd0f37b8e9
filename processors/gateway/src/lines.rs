//! Splits what was sent into lines: bodies that are there whole, and streams that come in pieces.
//!
//! No byte of a line is changed; only the newline that ends it goes. Linear in the input.

use bytes::{Bytes, BytesMut};

/// How a body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// One line of text after the other; an empty line is a line.
    Text,
    /// One JSON value a line; empty lines mean nothing.
    JsonLines,
    /// One JSON value, or an array of them; whatever else is taken as [`BodyFormat::JsonLines`].
    Json,
}

/// The lines of a whole body, without copying.
pub fn split_body(body: &Bytes, format: BodyFormat) -> Lines {
    let rest = body.clone();
    match format {
        BodyFormat::Text => Lines::Lines { rest, keep_empty: true },
        BodyFormat::JsonLines => Lines::Lines { rest, keep_empty: false },
        BodyFormat::Json => {
            if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err() {
                return split_body(body, BodyFormat::JsonLines);
            }
            let value = body.slice_ref(body.trim_ascii());
            match array_content(&value) {
                Some(content) => Lines::Elements { rest: content },
                None => Lines::One(Some(value)),
            }
        }
    }
}

/// The inside of a JSON array, where the value is one.
fn array_content(value: &Bytes) -> Option<Bytes> {
    let content = value.strip_prefix(b"[")?.strip_suffix(b"]")?;
    Some(value.slice_ref(content.trim_ascii()))
}

/// Lines of a body, one at a time.
#[derive(Debug)]
pub enum Lines {
    /// Ended by newlines.
    Lines {
        /// What is left.
        rest: Bytes,
        /// Whether empty lines count.
        keep_empty: bool,
    },
    /// Elements of a valid JSON array, separated by commas.
    Elements {
        /// What is left.
        rest: Bytes,
    },
    /// A single value.
    One(Option<Bytes>),
}

impl Iterator for Lines {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Lines { rest, keep_empty } => loop {
                if rest.is_empty() {
                    return None;
                }
                let line = match rest.iter().position(|byte| *byte == b'\n') {
                    Some(end) => {
                        let line = rest.split_to(end);
                        let _newline = rest.split_to(1);
                        line
                    }
                    None => std::mem::take(rest),
                };
                if *keep_empty || !line.trim_ascii().is_empty() {
                    return Some(line);
                }
            },
            Self::Elements { rest } => {
                if rest.is_empty() {
                    return None;
                }
                let end = element_end(rest);
                let element = rest.split_to(end);
                let _comma = rest.split_to(rest.len().min(1));
                Some(element.slice_ref(element.trim_ascii()))
            }
            Self::One(value) => value.take(),
        }
    }
}

/// Where the first element of a valid JSON array's content ends: at a comma outside of everything.
fn element_end(content: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for (index, byte) in content.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return index,
            _ => {}
        }
    }
    content.len()
}

/// A line read from a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamLine {
    /// The line.
    Line(Bytes),
    /// A line longer than the bound; its bytes were dropped.
    TooLong,
}

/// Makes lines of a stream that comes in pieces, holding at most one line of bounded length.
#[derive(Debug)]
pub struct LineSplitter {
    partial: BytesMut,
    is_too_long: bool,
    max_line_bytes: usize,
}

impl LineSplitter {
    /// Takes the longest line in bytes.
    pub fn new(max_line_bytes: usize) -> Self {
        Self { partial: BytesMut::new(), is_too_long: false, max_line_bytes }
    }

    /// Takes the next piece; adds the lines that it ends.
    pub fn push(&mut self, piece: &[u8], lines: &mut Vec<StreamLine>) {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.extend(line);
            lines.push(self.take());
            rest = after.get(1..).unwrap_or_default();
        }
        self.extend(rest);
    }

    /// The last line, where it was not ended by a newline.
    pub fn finish(&mut self) -> Option<StreamLine> {
        if self.partial.is_empty() && !self.is_too_long {
            return None;
        }
        Some(self.take())
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.partial.len() + bytes.len() > self.max_line_bytes {
            self.is_too_long = true;
            self.partial = BytesMut::new();
        }
        if !self.is_too_long {
            self.partial.extend_from_slice(bytes);
        }
    }

    fn take(&mut self) -> StreamLine {
        if std::mem::take(&mut self.is_too_long) {
            return StreamLine::TooLong;
        }
        StreamLine::Line(self.partial.split().freeze())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(body: &str, format: BodyFormat) -> Vec<String> {
        split_body(&Bytes::copy_from_slice(body.as_bytes()), format)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn text_keeps_empty_lines_and_carriage_returns() {
        let cases: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("a", &["a"]),
            ("a\n", &["a"]),
            ("a\n\nb\r\n", &["a", "", "b\r"]),
            ("\n", &[""]),
            ("  x", &["  x"]),
        ];
        for (body, lines) in cases {
            assert_eq!(split(body, BodyFormat::Text), lines, "{body:?}");
        }
    }

    #[test]
    fn json_lines_skip_empty_lines_and_keep_broken_ones() {
        let lines = split("{\"a\": 1}\n\n \n{broken\n", BodyFormat::JsonLines);
        assert_eq!(lines, ["{\"a\": 1}", "{broken"]);
    }

    #[test]
    fn json_is_a_value_an_array_or_lines() {
        let cases: [(&str, &[&str]); 7] = [
            (" {\"a\":\n 1} ", &["{\"a\":\n 1}"]),
            ("[]", &[]),
            (
                r#"[ {"a": "],["} , [1,[2]] ,"q\",\\", 3 ]"#,
                &[r#"{"a": "],["}"#, "[1,[2]]", r#""q\",\\""#, "3"],
            ),
            ("{\"a\":1}\n{\"b\":2}", &["{\"a\":1}", "{\"b\":2}"]),
            ("[1,2", &["[1,2"]),
            ("", &[]),
            ("\"[1,2]\"", &["\"[1,2]\""]),
        ];
        for (body, lines) in cases {
            assert_eq!(split(body, BodyFormat::Json), lines, "{body:?}");
        }
    }

    #[test]
    fn a_line_over_the_bound_is_dropped_alone() {
        let mut splitter = LineSplitter::new(4);
        let mut lines = Vec::new();
        for piece in ["ab", "cd\nabc", "de", "fgh\nx\n", "toolong"] {
            splitter.push(piece.as_bytes(), &mut lines);
        }
        lines.extend(splitter.finish());
        let line = |text: &'static str| StreamLine::Line(Bytes::from_static(text.as_bytes()));
        assert_eq!(lines, [line("abcd"), StreamLine::TooLong, line("x"), StreamLine::TooLong]);
        assert_eq!(splitter.finish(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn elements_of_an_array_are_what_serde_finds(strings in proptest::collection::vec("[a-z\\[\\],\"\\\\{} ]{0,6}", 0..6)) {
            let values: Vec<serde_json::Value> = strings
                .iter()
                .map(|text| serde_json::json!({ text.as_str(): [text, 1] }))
                .collect();
            let body = serde_json::to_string(&values).unwrap();
            let found: Vec<serde_json::Value> = split(&body, BodyFormat::Json)
                .iter()
                .map(|element| serde_json::from_str(element).unwrap())
                .collect();
            prop_assert_eq!(found, values);
        }

        #[test]
        fn pieces_do_not_matter(body in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200), cuts in proptest::collection::vec(1_usize..20, 1..40)) {
            let whole: Vec<StreamLine> = split_body(&Bytes::from(body.clone()), BodyFormat::Text)
                .map(StreamLine::Line)
                .collect();
            let mut splitter = LineSplitter::new(1 << 20);
            let mut lines = Vec::new();
            let mut rest = body.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                splitter.push(piece, &mut lines);
                rest = after;
            }
            lines.extend(splitter.finish());
            prop_assert_eq!(lines, whole);
        }
    }
}
