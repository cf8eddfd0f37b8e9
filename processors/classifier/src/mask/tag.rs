//! Tags in placeholders: the same secret of one source is told apart from another, and not told.
//! Promises: a pure function of key, source, kind and value; never the key, never a part of the value.

use std::borrow::Cow;
use std::fmt;

use super::Span;
use crate::scan::{at, run_end, slice, tail};

/// Hexadecimal digits of a tag. Few: a tag tells values of one source apart, and narrows down a guess by little.
pub(super) const DIGITS: usize = 4;
/// Longest name in a placeholder, in bytes.
pub(super) const MAX_NAME: usize = 32;
/// What keys of tags are derived for (BLAKE3, section 2.3).
const CONTEXT: &str = "hephaestus 2026-11-29 tags of masked secrets";
/// Shortest value that nobody finds by trying, where it is random.
const MIN_UNGUESSABLE: usize = 20;
/// Kinds of personal data; the other kinds begin with `secret:`.
pub(super) const PERSONAL: [&str; 5] = ["email", "phone", "card", "iban", "national-id"];

/// Makes tags. Without a key of its own, the key follows from the source's name, which is no secret:
/// a value that can be guessed could then be found by trying, so that it gets no tag.
#[derive(Clone)]
pub(super) struct Tagger {
    root: [u8; blake3::KEY_LEN],
    has_key: bool,
}

impl fmt::Debug for Tagger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tagger").field("has_key", &self.has_key).finish_non_exhaustive()
    }
}

impl Tagger {
    pub(super) fn new(key: Option<&str>) -> Self {
        let root = blake3::derive_key(CONTEXT, key.unwrap_or_default().as_bytes());
        Self { root, has_key: key.is_some() }
    }

    /// The tag of a value of this kind in this source; none where it would help to guess the value.
    pub(super) fn tag(&self, source: &str, kind: &str, value: &str) -> Option<String> {
        if !self.has_key && is_guessable(kind, value) {
            return None;
        }
        let of_source = blake3::keyed_hash(&self.root, source.as_bytes());
        let mut hasher = blake3::Hasher::new_keyed(of_source.as_bytes());
        hasher.update(kind.as_bytes()).update(b"\0").update(value.as_bytes());
        let mut hex = hasher.finalize().to_hex().to_string();
        hex.truncate(DIGITS);
        Some(hex)
    }
}

/// Whether a value could be found by trying: what people choose, and numbers of few digits.
fn is_guessable(kind: &str, value: &str) -> bool {
    let chosen = PERSONAL.contains(&kind)
        || matches!(kind, "secret:password" | "secret:authorization" | "secret:private-key");
    let random = value.len() >= MIN_UNGUESSABLE
        && value.bytes().any(|byte| byte.is_ascii_digit())
        && value.bytes().any(|byte| byte.is_ascii_alphabetic());
    chosen || !random
}

/// Writes the placeholder of a span.
pub(super) fn write(out: &mut String, span: &Span<'_>, tag: Option<&str>) {
    out.push('<');
    out.push_str(span.kind);
    if let Some(tag) = tag {
        out.push(':');
        out.push_str(tag);
    }
    out.push('>');
}

/// A placeholder at `pos`: where its tag begins (with the colon; its end where there is none), and its end.
pub(crate) fn placeholder(bytes: &[u8], pos: usize) -> Option<(usize, usize)> {
    if at(bytes, pos) != b'<' {
        return None;
    }
    let word = |start: usize| {
        let highest = bytes.len().min(start + MAX_NAME);
        run_end(bytes.get(..highest).unwrap_or(bytes), start, is_name_byte)
    };
    let mut end = word(pos + 1);
    let name = bytes.get(pos + 1..end)?;
    if name == b"secret" && at(bytes, end) == b':' {
        let start = end + 1;
        end = word(start);
        if end == start {
            return None;
        }
    } else if !PERSONAL.iter().any(|kind| kind.as_bytes() == name) {
        return None;
    }
    if at(bytes, end) == b'>' {
        return Some((end, end + 1));
    }
    let tag_end = run_end(bytes.get(..bytes.len().min(end + 2 + DIGITS))?, end + 1, is_tag_byte);
    let tagged =
        at(bytes, end) == b':' && tag_end == end + 1 + DIGITS && at(bytes, tag_end) == b'>';
    tagged.then_some((end, tag_end + 1))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn is_tag_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')
}

/// Whether the text is one placeholder and nothing else.
pub(crate) fn is_placeholder(text: &str) -> bool {
    placeholder(text.as_bytes(), 0).is_some_and(|(_, end)| end == text.len())
}

/// The text with placeholders as they are without their tags: what ids are made of.
pub(crate) fn without_tags(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut clean = String::new();
    let mut done = 0;
    for pos in memchr::memchr_iter(b'<', bytes) {
        let Some((tag, end)) = placeholder(bytes, pos) else { continue };
        if tag + 1 < end {
            clean.push_str(slice(text, done, tag));
            done = end - 1;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(tail(text, done));
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TOKEN: &str = "0123456789abcdefghij";

    #[test]
    fn a_tag_depends_on_key_source_kind_and_value_and_shows_no_key() {
        let own = Tagger::new(Some("a key of one's own"));
        let tag = |tagger: &Tagger, source, kind, value| tagger.tag(source, kind, value).unwrap();
        let base = tag(&own, "a/b/c", "secret:jwt", TOKEN);
        assert_eq!(base.len(), DIGITS);
        assert_eq!(base, tag(&own.clone(), "a/b/c", "secret:jwt", TOKEN));
        assert_ne!(base, tag(&Tagger::new(Some("another")), "a/b/c", "secret:jwt", TOKEN));
        assert_ne!(base, tag(&Tagger::new(None), "a/b/c", "secret:jwt", TOKEN));
        assert_ne!(base, tag(&own, "a/b/d", "secret:jwt", TOKEN));
        assert_ne!(base, tag(&own, "a/b/c", "secret:token", TOKEN));
        assert_ne!(base, tag(&own, "a/b/c", "secret:jwt", "0123456789abcdefghix"));
        assert_eq!(format!("{own:?}"), "Tagger { has_key: true, .. }");
    }

    #[test]
    fn without_a_key_nothing_that_can_be_guessed_is_tagged() {
        let derived = Tagger::new(None);
        assert!(derived.tag("s", "secret:token", TOKEN).is_some());
        for (kind, value) in [
            ("secret:password", TOKEN),
            ("secret:token", "123456"),
            ("secret:token", "correcthorsebatterystaple"),
            ("email", "bob.builder.1970@example.org"),
            ("card", "4111111111111111"),
        ] {
            assert_eq!(derived.tag("s", kind, value), None, "{kind} {value}");
            assert!(Tagger::new(Some("k")).tag("s", kind, value).is_some());
        }
    }

    #[test]
    fn tags_are_taken_out_of_placeholders_and_of_nothing_else() {
        for (text, expected) in [
            ("a <secret:aws-key:4f3a> b", "a <secret:aws-key> b"),
            ("x<email:00ff>y<secret:jwt:abcd>", "x<email>y<secret:jwt>"),
            ("<secret:beef> <card> <name:4f3a>", "<secret:beef> <card> <name:4f3a>"),
            (
                "<secret:a:4f3> <secret:a:4f3aa> <secret::4f3a>",
                "<secret:a:4f3> <secret:a:4f3aa> <secret::4f3a>",
            ),
            ("<<email:1234>", "<<email>"),
            ("", ""),
        ] {
            assert_eq!(without_tags(text), expected);
        }
    }
}
