//! The shape of a template: what is left of it when the types of its masks, the values of its keys
//! and lists of values are forgotten. Patterns of one shape are one.
//! Promises: a pure function of the template; the shape of a shape is itself.

use std::borrow::Cow;

use crate::scan::{at, from, is_ident, run_end, slice, tail};

/// What stands for any value in a shape.
pub(super) const ANY: &str = "<*>";
/// Masks in one word from which on it is an identifier of many parts.
const MIN_PARTS: usize = 3;
/// Longest name in the angle brackets of a mask.
const MAX_MASK: usize = 32;
/// Words that a value in quotes may have.
const MAX_QUOTED_WORDS: usize = 12;

/// The words of a template's shape.
pub(super) fn words(template: &str) -> Vec<Cow<'_, str>> {
    let mut shape: Vec<Cow<'_, str>> = Vec::new();
    let mut words = template.split(' ');
    // Whether the word before ends in a value, so that a further one makes a list.
    let mut listed = false;
    while let Some(word) = words.next() {
        if let Some((start, quote)) = open_quote(word) {
            let closes = |word: &str| {
                let behind = word.rfind(quote).map(|found| tail(word, found + 1));
                behind.is_some_and(|behind| !behind.bytes().any(is_ident))
            };
            if let Some(rest) = words.clone().take(MAX_QUOTED_WORDS).position(closes) {
                let close = words.nth(rest).unwrap_or("");
                let behind = close.rfind(quote).map_or("", |found| tail(close, found));
                shape.push(Cow::Owned(format!("{start}{quote}{ANY}{behind}")));
                listed = false;
                continue;
            }
        }
        let general = general(word);
        let typed = word.contains('<') && !word.contains(ANY);
        if listed
            && typed
            && let Some(behind) = general.strip_prefix(ANY)
            && !behind.bytes().any(is_ident)
            && let Some(last) = shape.last_mut()
        {
            let list = last.trim_end_matches([',', ';']).len();
            last.to_mut().truncate(list);
            last.to_mut().push_str(behind);
        } else {
            shape.push(general);
        }
        let ends = |word: &Cow<'_, str>| word.trim_end_matches([',', ';']).ends_with(ANY);
        listed = typed && shape.last().is_some_and(ends);
    }
    shape
}

/// The words of a shape with the values of all keys forgotten; none where there are no such values.
pub(super) fn without_values(words: &[&str]) -> Option<Vec<String>> {
    let mut changed = false;
    let mut shape: Vec<String> = Vec::with_capacity(words.len());
    // Whether a word stands for the value of the key before it.
    let mut awaited = false;
    let mut index = 0;
    while let Some(word) = words.get(index) {
        let bytes = word.as_bytes();
        let mut text = String::with_capacity(word.len());
        let mut pos = 0;
        if awaited {
            pos = value_end(bytes, 0);
            text.push_str(ANY);
        }
        while pos < bytes.len() {
            let end = run_end(bytes, pos, |byte| byte != b'=');
            text.push_str(slice(word, pos, end));
            pos = end;
            if pos == bytes.len() {
                break;
            }
            text.push('=');
            pos += 1;
            let groups = matches!(at(bytes, pos), b'{' | b'[' | b'(');
            if is_assignment(bytes, pos - 1) && !groups && *word != "=" {
                let value_at = pos;
                pos = value_end(bytes, pos);
                text.push_str(ANY);
                // A value with fields in braces ends where they close.
                let open = depth(slice(word, value_at, bytes.len()));
                if open > 0
                    && let Some((last, behind)) = closing_word(words, index, open)
                {
                    text.push_str(behind);
                    index = last;
                    break;
                }
            }
        }
        let word = words.get(index).unwrap_or(word);
        let bytes = word.as_bytes();
        let next_is_key = words.get(index + 1).is_none_or(|next| next.contains('='));
        awaited = word.ends_with('=') && is_assignment(bytes, bytes.len() - 1) && !next_is_key;
        changed |= text != *word;
        shape.push(text);
        index += 1;
    }
    changed.then_some(shape)
}

/// How many braces a text leaves open.
fn depth(text: &str) -> i32 {
    text.bytes().fold(0, |depth, byte| match byte {
        b'{' => depth + 1,
        b'}' => depth - 1,
        _ => depth,
    })
}

/// The word behind `index` in which `open` braces close, and what stands behind them.
fn closing_word<'a>(words: &[&'a str], index: usize, open: i32) -> Option<(usize, &'a str)> {
    let mut depth = open;
    for (at, word) in words.iter().enumerate().skip(index + 1).take(MAX_QUOTED_WORDS) {
        for (pos, byte) in word.bytes().enumerate() {
            depth += i32::from(byte == b'{') - i32::from(byte == b'}');
            if depth == 0 {
                return Some((at, tail(word, pos + 1)));
            }
        }
    }
    None
}

/// A key whose value in quotes has several words: what stands before the quote, and the quote.
fn open_quote(word: &str) -> Option<(&str, char)> {
    let found = word.find("=\"").or_else(|| word.find("='"))?;
    let quote = char::from(at(word.as_bytes(), found + 1));
    let closed = tail(word, found + 2).contains(quote);
    (!closed).then_some((slice(word, 0, found + 1), quote))
}

/// A word without what is known to vary.
fn general(word: &str) -> Cow<'_, str> {
    let bytes = word.as_bytes();
    if let Some(text) = constant_value(word) {
        return Cow::Owned(text);
    }
    if memchr::memchr(b'<', bytes).is_none() {
        return Cow::Borrowed(word);
    }
    let mut text = String::with_capacity(word.len());
    let mut parts = 0;
    let mut pos = 0;
    while pos < bytes.len() {
        if let Some(end) = mask_end(bytes, pos) {
            parts += usize::from(!text.ends_with(','));
            push_any(&mut text);
            pos = end;
        } else {
            let end = run_end(bytes, pos + 1, |byte| byte != b'<');
            text.push_str(slice(word, pos, end));
            pos = end;
        }
    }
    let fields = text.bytes().any(|byte| matches!(byte, b'=' | b'(' | b'[' | b'{' | b'"' | b'\''));
    if parts >= MIN_PARTS && !fields {
        let marks = text.trim_end_matches(|mark: char| mark.is_ascii_punctuation() && mark != '>');
        let behind = tail(&text, marks.len()).to_owned();
        text = format!("{ANY}{behind}");
    }
    Cow::Owned(text)
}

/// Writes that anything may stand here; a list of values within a word is one value.
fn push_any(text: &mut String) {
    let list = text.trim_end_matches(['-', '.', ':', ',', '/', '+', '_', '~', '@', '#', '|', 'x']);
    if list.ends_with(ANY) {
        let length = list.len();
        text.truncate(length);
    } else {
        text.push_str(ANY);
    }
}

/// The shape of a word, or of a key's value, that only ever is a value.
fn constant_value(word: &str) -> Option<String> {
    let (key, value) = match word.rfind(['=', ':', '[', '{']) {
        Some(found) => (slice(word, 0, found + 1), tail(word, found + 1)),
        None => ("", word),
    };
    let marks = [',', ';', '.', ')', ']', '}'];
    let bare = value.trim_end_matches(marks);
    let behind = tail(value, bare.len());
    match bare {
        "true" | "false" | "True" | "False" | "TRUE" | "FALSE" | "null" | "nil" | "None" => {
            Some(format!("{key}{ANY}{behind}"))
        }
        "(null" => Some(format!("{key}{ANY}{}", behind.strip_prefix(')').unwrap_or(behind))),
        // Nothing stands where a value may.
        "(" if behind.starts_with(')') && key.is_empty() => Some(format!("({ANY}{behind}")),
        "" if behind.starts_with(']') && key == "[" => Some(format!("[{ANY}{behind}")),
        _ => None,
    }
}

/// The end of the mask at `pos`.
fn mask_end(bytes: &[u8], pos: usize) -> Option<usize> {
    let window = bytes.get(..bytes.len().min(pos + MAX_MASK)).unwrap_or(bytes);
    let end = run_end(window, pos + 1, |byte| is_ident(byte) || matches!(byte, b':' | b'*' | b'-'));
    let named = at(bytes, pos) == b'<' && end > pos + 1;
    (named && at(bytes, end) == b'>').then_some(end + 1)
}

/// Whether the `=` at `pos` stands behind a key, and is no comparison or arrow.
fn is_assignment(bytes: &[u8], pos: usize) -> bool {
    let before = if pos == 0 { b' ' } else { at(bytes, pos - 1) };
    let after = at(bytes, pos + 1);
    let keyed =
        is_ident(before) || matches!(before, b' ' | b'"' | b'\'' | b'-' | b']' | b')' | b'>');
    keyed && !matches!(after, b'=' | b'>' | b'~')
}

/// The end of the value at `pos`: a quoted text, or all up to a mark that parts fields.
fn value_end(bytes: &[u8], pos: usize) -> usize {
    let first = at(bytes, pos);
    if matches!(first, b'"' | b'\'')
        && let Some(length) = memchr::memchr(first, from(bytes, pos + 1))
    {
        return pos + length + 2;
    }
    let end =
        run_end(bytes, pos, |byte| !matches!(byte, b',' | b';' | b'&' | b')' | b']' | b'}' | b'|'));
    if end == bytes.len() && end > pos + 1 && at(bytes, end - 1) == b'.' { end - 1 } else { end }
}

/// What a word of a shape may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It can be a value.
    Plain,
    /// A name with a value in it.
    Partial,
    /// A value and nothing else.
    Whole,
    /// A key, whose value is forgotten, or a mark.
    Fixed,
}

/// The class of a word of a shape, and how many letters stand outside its masks.
pub(super) fn class(word: &str) -> (Class, usize) {
    let bytes = word.as_bytes();
    let mut letters = 0;
    let mut digits = 0;
    let mut masks = 0;
    let mut pos = 0;
    while pos < bytes.len() {
        let byte = at(bytes, pos);
        if byte == b'<' && slice(word, pos, pos + ANY.len()) == ANY {
            masks += 1;
            pos += ANY.len();
            continue;
        }
        letters += usize::from(byte.is_ascii_alphabetic() || byte >= 0x80);
        digits += usize::from(byte.is_ascii_digit());
        pos += 1;
    }
    let class = if word.contains('=') && letters > 0 {
        Class::Fixed
    } else if masks > 0 && letters == 0 {
        Class::Whole
    } else if masks > 0 {
        Class::Partial
    } else if letters + digits > 0 {
        Class::Plain
    } else {
        Class::Fixed
    };
    (class, letters)
}

/// Whether a word is a name of something, by its form, rather than a word of prose.
pub(super) fn is_name(word: &str) -> bool {
    let (class, letters) = class(word);
    if class == Class::Partial {
        return true;
    }
    if class != Class::Plain || letters == 0 {
        return false;
    }
    let bytes = word.trim_end_matches(|mark: char| mark.is_ascii_punctuation()).as_bytes();
    let inner = |pair: &[u8]| match pair {
        [_, b'.' | b'_' | b'/' | b'$' | b'@' | b'\\', _] => true,
        [before, after, _] => before.is_ascii_lowercase() && after.is_ascii_uppercase(),
        _ => false,
    };
    bytes.windows(3).any(inner) || bytes.iter().any(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn shape(template: &str) -> String {
        words(template).join(" ")
    }

    #[test]
    fn values_are_forgotten_and_words_are_kept() {
        let cases = [
            ("close <ip> by <num>", "close <*> by <*>"),
            ("registers <hex> <num> <hex>, done", "registers <*>, done"),
            ("open mode=fast, user=bob now", "open mode=fast, user=bob now"),
            ("drawn= false, moved =  true", "drawn= <*>, moved =  <*>"),
            ("lock tag=\"View Lock\", name=x", "lock tag=\"<*>\", name=x"),
            ("lock tag=\"<str>\", ws=null, name=x", "lock tag=\"<*>\", ws=<*>, name=x"),
            ("package P_KB<num>~<hex>~amd<num>~~<num>, state", "package <*>, state"),
            ("range <num>-<num> of node<num>", "range <*> of node<*>"),
            ("at f(<num>,<num>,<num>)", "at f(<*>)"),
            ("ready: true", "ready: <*>"),
            ("from <ip> () now", "from <*> (<*>) now"),
            ("user <*> <*> gone", "user <*> <*> gone"),
            ("a < b", "a < b"),
        ];
        for (template, expected) in cases {
            assert_eq!(shape(template), expected, "{template}");
        }
    }

    #[test]
    fn values_of_keys_can_be_forgotten() {
        let cases = [
            ("open mode=fast, user=bob now", "open mode=<*>, user=<*> now"),
            ("uid=<*> rhost= user=root", "uid=<*> rhost=<*> user=<*>"),
            ("drawn= no, moved = yes", "drawn=<*> <*>, moved = <*>"),
            ("state {a=b, c={d=e}}", "state {a=<*>, c={d=<*>}}"),
            ("at x=S{3 a}, y=T{u V{w}}), z", "at x=<*>, y=<*>), z"),
            ("at x=S{3 a", "at x=<*> a"),
            ("to=a&b=c;d='e f", "to=<*>&b=<*>;d=<*> f"),
        ];
        for (shape, expected) in cases {
            let words: Vec<&str> = shape.split(' ').collect();
            assert_eq!(without_values(&words).unwrap().join(" "), expected, "{shape}");
        }
        for shape in ["a <= b => c == d", "nothing here", "k=<*>"] {
            let words: Vec<&str> = shape.split(' ').collect();
            assert_eq!(without_values(&words), None, "{shape}");
        }
    }

    proptest! {
        #[test]
        fn a_shape_is_its_own_shape(parts in proptest::collection::vec(prop_oneof![
            Just("<num>"), Just("<secret:key>"), Just("a=b"), Just("="), Just("key="), Just("true"), Just("x<num>y"), Just("w,"),
            Just("<ip>,"), Just("q=\"a"), Just("b\","), Just("<"), Just("{k={v=<hex>}}"), Just("<num>~<num>~<num>z"), Just("(null)"), Just("=x"),
        ], 0..12)) {
            let once = shape(&parts.join(" "));
            prop_assert_eq!(shape(&once), once.clone());
            let words: Vec<&str> = once.split(' ').collect();
            if let Some(open) = without_values(&words) {
                let open = open.join(" ");
                prop_assert_eq!(shape(&open), open.clone());
                let words: Vec<&str> = open.split(' ').collect();
                prop_assert_eq!(without_values(&words), None);
            }
        }
    }
}
