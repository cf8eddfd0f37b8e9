//! The template of a message: the message with its variables replaced by typed masks.
//! Promises: a pure function of the message, linear in its length, bounded in size.

mod addresses;
mod stamps;
mod values;
mod words;

use crate::mask::without_tags;
use crate::scan::{at, cut, skip_spaces, slice, token_end};
pub(crate) use stamps::Stamps;

/// Bytes of a message that its template is made of.
pub const MAX_SOURCE: usize = 4096;

/// The template of a message. Only its first line counts.
pub fn template(message: &str) -> String {
    let mut text = String::with_capacity(message.len().min(MAX_SOURCE) + 16);
    template_into(message, &mut text);
    text
}

/// Writes the template of a message behind what `out` holds.
pub fn template_into(message: &str, out: &mut String) {
    write(message, out, &mut Stamps::default());
}

/// As `template_into`; notes where time stamps were looked for.
pub(crate) fn write(message: &str, out: &mut String, stamps: &mut Stamps) {
    // Which secret stands in a message is one of its variables.
    let untagged = without_tags(first_line(message));
    let source = cut(&untagged, MAX_SOURCE).trim_end();
    let bytes = source.as_bytes();
    let mut pos = 0;
    while pos < bytes.len() {
        pos = skip_spaces(bytes, pos);
        if pos >= bytes.len() {
            break;
        }
        if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
        let word_at = out.len();
        pos = token(source, pos, out, stamps);
        collapse(out, word_at);
    }
    let trimmed = out.trim_end().len();
    out.truncate(trimmed);
}

/// The line that a template is made of.
fn first_line(message: &str) -> &str {
    let message = message.trim_start();
    let end = memchr::memchr(b'\n', message.as_bytes()).unwrap_or(message.len());
    slice(message, 0, end)
}

/// Drops a word with a value that is the same as the word before: a list of values is one value.
fn collapse(out: &mut String, word_at: usize) {
    let word = crate::scan::tail(out, word_at);
    if !word.ends_with('>') {
        return;
    }
    let before = slice(out, 0, word_at).trim_end();
    let Some(others) = before.strip_suffix(word) else { return };
    if word.starts_with('<') || others.is_empty() || others.ends_with(' ') {
        let length = before.len();
        out.truncate(length);
    }
}

/// Id of a pattern: the hash of its template.
pub fn pattern_id(template: &str) -> String {
    written_id(pattern_number(template))
}

/// Id of a pattern as it is written: 16 hexadecimal digits.
pub(crate) fn written_id(id: u64) -> String {
    format!("{id:016x}")
}

/// Id of a pattern as a number: the first eight bytes of the BLAKE3 hash of its template.
pub(crate) fn pattern_number(template: &str) -> u64 {
    let hash = blake3::hash(template.as_bytes());
    let (words, _) = hash.as_bytes().as_chunks::<8>();
    words.first().map_or(0, |first| u64::from_be_bytes(*first))
}

/// One token, or several that make one value (a date, a number with its unit); returns its end.
fn token(source: &str, start: usize, out: &mut String, stamps: &mut Stamps) -> usize {
    let bytes = source.as_bytes();
    let first = at(bytes, start);
    if let Some(end) = stamps.find(bytes, start) {
        out.push_str("<time>");
        return rest_of_token(source, end, out);
    }
    if matches!(first, b'[' | b'(')
        && let Some(end) = stamps.find(bytes, start + 1)
    {
        out.push(char::from(first));
        out.push_str("<time>");
        return rest_of_token(source, end, out);
    }
    let end = token_end(bytes, start);
    if words::is_user(out, slice(source, start, end)) {
        out.push_str("<user>");
        return end;
    }
    if (first.is_ascii_digit() || matches!(first, b'<' | b'(' | b'-' | b'+'))
        && let Some(end) = values::measured(source, start, end, out)
    {
        return end;
    }
    words::mask(slice(source, start, end), out);
    end
}

/// What stands behind a value up to the next space.
fn rest_of_token(source: &str, start: usize, out: &mut String) -> usize {
    let end = token_end(source.as_bytes(), start);
    words::mask(slice(source, start, end), out);
    end
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn masks_typed_values() {
        let cases = [
            (
                "Received block blk_-1608999687919862906 of size 91178 from /10.250.14.224",
                "Received block blk_<num> of size <num> from /<ip>",
            ),
            ("10.251.43.115:50010 is added", "<ip> is added"),
            (
                "connection from 24.54.76.216 (x.adelphia.net) at Fri Jun 17 07:07:00 2005",
                "connection from <ip> (<host>) at <time>",
            ),
            (
                "close, 403 bytes sent, 2854 bytes (2.78 KB) received, lifetime 00:01",
                "close, <size> sent, <size> received, lifetime <duration>",
            ),
            ("lifetime <1 sec", "lifetime <duration>"),
            ("took 15ms for 3.5 seconds", "took <duration> for <duration>"),
            ("open http://a.b/c?d=1 now", "open <url> now"),
            ("read /etc/httpd/conf/workers2.properties ok", "read <path> ok"),
            ("id=550e8400-e29b-41d4-a716-446655440000, x=0x1f", "id=<uuid>, x=<hex>"),
            (
                "jk2_init() Found child 32630 in slot 8",
                "jk<num>_init() Found child <num> in slot <num>",
            ),
            ("key 'abc' missing", "key '<str>' missing"),
            ("can't find child 5", "can't find child <num>"),
            ("[1, 2, 3] items", "[<num>] items"),
            ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "commit <hex>"),
            ("to db.example.com:5432 failed", "to <host> failed"),
            ("password <secret:password> for <email>", "password <secret:password> for <email>"),
            ("uid=0 user=root rhost=", "uid=<num> user=root rhost="),
            ("Task attempt_1445144423722_0020_m_000000_0 is : 0.19", "Task <id> is : <num>"),
            (
                "org.apache.hadoop.v2.app.MRAppMaster started",
                "org.apache.hadoop.v<num>.app.MRAppMaster started",
            ),
            ("at fe80::1ff:fe23:4567:890a port 80", "at <ip> port <num>"),
            ("file C:\\Users\\x\\a.txt gone", "file <path> gone"),
            (
                "session opened for user news by (uid=0)",
                "session opened for user <user> by (uid=<num>)",
            ),
            (
                "ask 10.0.0.1:50010 to delete blk_12345 blk_-23456 blk_3",
                "ask <ip> to delete blk_<num>",
            ),
            ("[Sun Dec 04 04:47:44 2005] up (2024-01-01 10:00:00)", "[<time>] up (<time>)"),
            ("generating core.7 and core.2275", "generating core.<num> and core.<num>"),
            ("Token{cfaddfa u0} and 9f4ef6", "Token{<hex> u<num>} and <hex>"),
            ("effaced facade", "effaced facade"),
            ("", ""),
        ];
        for (message, expected) in cases {
            assert_eq!(template(message), expected, "{message}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn never_panics_and_is_bounded(message in "\\PC{0,200}") {
            let text = template(&message);
            prop_assert!(text.len() <= message.len() * 6 + 16);
        }

        #[test]
        fn numbers_do_not_matter(a in 0u32..u32::MAX, b in 0u32..u32::MAX) {
            let of = |number: u32| template(&format!("worker {number} took {number} ms, left={number}"));
            prop_assert_eq!(of(a), of(b));
        }
    }
}
