//! Secrets told by the name they are given: `password=…`, `"token": "…"`, `--api-key …`, `<secret>…`.

use std::collections::BTreeSet;

use super::names::{self, Demand, Entry};
use super::quote::Quote;
use super::values::{bare_end, header_end, is_prose, is_secret};
use super::{Form, Span, personal, private_key, tag};
use crate::scan::{at, from, run_end, skip_spaces, slice};

/// Longest name that is looked at: what is tried at many positions looks only so far.
const MAX_NAME: usize = 96;
/// Longest name of a type around a value, as in `Some("…")`.
const MAX_WRAPPER: usize = 24;

/// Names of fields that hold secrets.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// Further ones, in small letters.
    extra: Vec<String>,
    /// Those that hold none after all, in small letters.
    allowed: BTreeSet<String>,
}

/// A name in a line, and what was found behind it.
struct Named<'a> {
    start: usize,
    end: usize,
    quote: Option<Quote>,
    text: &'a str,
}

/// How a value is given to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Equals,
    Colon,
    /// `--password x`.
    Space,
    /// `<password>x</password>`.
    Element,
    /// `name="PASSWORD" value="x"`.
    Pair,
    /// `("x-api-key", "x")`.
    Tuple,
}

impl Names {
    pub(super) fn new(extra: &[String], allowed: &[String]) -> Self {
        let lower = |names: &[String]| -> Vec<String> {
            let named = names.iter().filter(|name| !name.is_empty());
            named.map(|name| name.to_ascii_lowercase()).collect()
        };
        Self { extra: lower(extra), allowed: lower(allowed).into_iter().collect() }
    }

    /// Texts one of which stands in every name.
    pub(super) fn needles(&self) -> impl Iterator<Item = &str> {
        names::NEEDLES.into_iter().chain(self.extra.iter().map(String::as_str))
    }

    /// The value to mask, where the needle at `start..end` belongs to a name that holds a secret.
    pub(super) fn value(&self, line: &str, start: usize, end: usize) -> Option<Span<'static>> {
        let bytes = line.as_bytes();
        let name = named(line, start, end);
        // Most words that end so are given no value, which is told sooner than what they name.
        let (separator, behind) = separator(bytes, &name)?;
        let entry = self.entry(name.text)?;
        let value_at = opened(bytes, skip_spaces(bytes, behind));
        if tag::placeholder(bytes, value_at).is_some() || opens_more(bytes, value_at, &name, entry)
        {
            return None;
        }
        let kind = entry.kind;
        let quoted = Quote::at(bytes, value_at);
        let (start, end) = match quoted {
            Some((quote, start)) => (start, list_end(bytes, quote, quote.end(bytes, start))),
            None if separator == Separator::Element => {
                let end = memchr::memchr(b'<', from(bytes, value_at));
                (value_at, end.map_or(bytes.len(), |end| value_at + end))
            }
            None if name.quote.is_some() && is_number(at(bytes, value_at)) => {
                return number(bytes, value_at, &name, entry);
            }
            None if names::is_header(kind) => {
                (value_at, header_end(bytes, value_at, kind, separator == Separator::Equals))
            }
            None => (value_at, bare_end(bytes, value_at)),
        };
        let start = behind_scheme(line, start, end, kind);
        let value = slice(line, start, end);
        let is_bare = quoted.is_none() && separator != Separator::Element;
        let is_code = is_bare && (name.quote.is_some() || separator == Separator::Equals);
        if !is_secret(value, name.text)
            || (is_code && reads_as_code(value, at(bytes, end), name.quote.is_some()))
            || (is_bare && is_measure(value, name.start > 0 && at(bytes, name.start - 1) == b'/'))
        {
            return None;
        }
        let is_spaced = separator == Separator::Colon && value_at > behind;
        let has_scheme = start > value_at;
        if is_bare && (is_spaced || kind == names::COOKIE) && is_prose(value, kind, has_scheme) {
            return None;
        }
        // The texts of a tuple may be names all.
        let is_told =
            Demand::Random.is_met("", value) || names::is_header(kind) && value.contains('=');
        if separator == Separator::Tuple && !is_told {
            return None;
        }
        let kind = if private_key::is_key(value) { private_key::KIND } else { kind };
        entry.demand.is_met(name.text, value).then_some(Span::new(start, end, kind))
    }

    /// What a name holds, where that is a secret.
    fn entry(&self, name: &str) -> Option<Entry> {
        let entry = names::entry(name, &self.extra)?;
        let is_allowed = !self.allowed.is_empty()
            && self.allowed.contains(&name.trim_start_matches('-').to_ascii_lowercase());
        (!is_allowed).then_some(entry)
    }
}

/// The name that a needle at `start..end` is a part of.
fn named(line: &str, start: usize, end: usize) -> Named<'_> {
    let bytes = line.as_bytes();
    let highest = bytes.len().min(end + MAX_NAME);
    let name_end = run_end(bytes.get(..highest).unwrap_or(bytes), end, is_name_byte);
    let lowest = start.saturating_sub(MAX_NAME);
    let mut name_start = start;
    while name_start > lowest && is_name_byte(at(bytes, name_start - 1)) {
        name_start -= 1;
    }
    let text = slice(line, name_start, name_end);
    let quote = Quote::at(bytes, name_end).map(|(quote, _)| quote);
    Named { start: name_start, end: name_end, quote, text }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// What stands between a name and its value, and where that ends.
fn separator(bytes: &[u8], name: &Named<'_>) -> Option<(Separator, usize)> {
    let mut behind = name.quote.map_or(name.end, |quote| quote.behind(name.end));
    // `form["password"]`, `user[password]`, and the same in a URL.
    let is_inside = name.quote.is_some() || name.start > 0 && at(bytes, name.start - 1) == b'[';
    match from(bytes, behind) {
        [b']', ..] if is_inside => behind += 1,
        [b'%', b'5', b'D' | b'd', ..] => behind += 3,
        _ => {}
    }
    let is_flag = name.text.starts_with("--");
    let place = skip_spaces(bytes, behind);
    let rest = from(bytes, place);
    let length = match rest {
        [b':', b':', ..] => return None,
        [b'=', b'>' | b'=', ..] | [b':', b'=', ..] | [b'-', b'>', ..] if !is_flag => 2,
        [b'=' | b':', ..] => 1,
        [b'%', b'3', b'D' | b'd', ..] => 3,
        [b'\\', b'u', b'0', b'0', b'3', b'd' | b'D', ..] => 6,
        [b'>', ..] if is_element(bytes, name.start) => {
            return Some((Separator::Element, place + 1));
        }
        [b',', ..] if is_flag && name.quote.is_some() => {
            return Some((Separator::Space, place + 1));
        }
        [first, ..] if is_flag && place > behind && *first != b'-' => {
            return Some((Separator::Space, place));
        }
        // SQL's `WITH PASSWORD 'x'`.
        [b'\'', ..] if place > behind && name.text.eq_ignore_ascii_case("password") => {
            return Some((Separator::Space, place));
        }
        [b',', ..] if name.quote.is_some() && opens_tuple(bytes, name.start) => {
            return Some((Separator::Tuple, place + 1));
        }
        _ => return pair(bytes, behind, name).map(|end| (Separator::Pair, end)),
    };
    let separator = if at(rest, 0) == b':' { Separator::Colon } else { Separator::Equals };
    Some((separator, place + length))
}

/// Whether a name in quotes is the first of a tuple, of texts or of bytes as Python shows them.
fn opens_tuple(bytes: &[u8], name: usize) -> bool {
    let before = bytes.get(..name.saturating_sub(1)).unwrap_or(&[]);
    before.strip_suffix(b"b").unwrap_or(before).ends_with(b"(")
}

/// Whether a name is that of an element of XML.
fn is_element(bytes: &[u8], name: usize) -> bool {
    let mut pos = name;
    while pos > 0
        && name - pos < MAX_NAME
        && (is_name_byte(at(bytes, pos - 1)) || at(bytes, pos - 1) == b':')
    {
        pos -= 1;
    }
    pos > 0 && at(bytes, pos - 1) == b'<'
}

/// Where the name stands in quotes as the value of `name`: behind the `value=` or `"value":` of the
/// same entry.
fn pair(bytes: &[u8], behind: usize, name: &Named<'_>) -> Option<usize> {
    name.quote?;
    let is_between = |byte: u8| matches!(byte, b',' | b' ' | b'\t');
    let word = run_end(bytes, behind, is_between);
    let word = Quote::at(bytes, word).map_or(word, |(_, behind)| behind);
    let word_end = word + 5;
    if word == behind || !bytes.get(word..word_end)?.eq_ignore_ascii_case(b"value") {
        return None;
    }
    let word_end = Quote::at(bytes, word_end).map_or(word_end, |(_, behind)| behind);
    let place = skip_spaces(bytes, word_end);
    matches!(at(bytes, place), b'=' | b':').then_some(place + 1)
}

/// Behind what opens a value without being a part of it: `[`, `Some(`, `b` before a quote.
fn opened(bytes: &[u8], value_at: usize) -> usize {
    if at(bytes, value_at) == b'[' {
        return skip_spaces(bytes, value_at + 1);
    }
    let bounded = bytes.get(..bytes.len().min(value_at + MAX_WRAPPER)).unwrap_or(bytes);
    let word_end = run_end(bounded, value_at, |byte| byte.is_ascii_alphabetic());
    let inner = match (at(bytes, word_end), word_end - value_at) {
        (b'(', _) => word_end + 1,
        (b'"' | b'\'', 1 | 2) => {
            let is_prefix = bytes
                .get(value_at..word_end)
                .unwrap_or(&[])
                .iter()
                .all(|byte| b"bBrRuUN".contains(byte));
            return if is_prefix { word_end } else { value_at };
        }
        _ => return value_at,
    };
    if Quote::at(bytes, inner).is_some() { inner } else { value_at }
}

/// Whether what stands at `pos` is a structure rather than a value.
fn opens_more(bytes: &[u8], pos: usize, name: &Named<'_>, entry: Entry) -> bool {
    // ODBC writes a password in braces.
    let is_odbc =
        matches!(entry.kind, "secret:password") && name.quote.is_none() && pos == name.end + 1;
    match at(bytes, pos) {
        b'{' => !is_odbc || matches!(at(bytes, pos + 1), b'"' | b'}' | b'{' | b' '),
        b'[' | b'(' => true,
        _ => false,
    }
}

/// The end of a list in brackets whose first text ends at `end`; `end` itself where there is no list.
fn list_end(bytes: &[u8], quote: Quote, end: usize) -> usize {
    let mut last = end;
    loop {
        let comma = skip_spaces(bytes, quote.behind(last));
        let next = skip_spaces(bytes, comma + 1);
        let Some((opening, start)) = Quote::at(bytes, next) else { return last };
        if at(bytes, comma) != b',' || opening != quote {
            return last;
        }
        let next_end = quote.end(bytes, start);
        let behind = skip_spaces(bytes, quote.behind(next_end));
        // A name follows, not a further text.
        if !matches!(at(bytes, behind), b',' | b']') {
            return last;
        }
        last = next_end;
    }
}

fn is_number(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'-'
}

/// A number in JSON, which becomes a string; where quotes are escaped, the number 0.
fn number(bytes: &[u8], start: usize, name: &Named<'_>, entry: Entry) -> Option<Span<'static>> {
    let end = run_end(bytes, start, |byte| {
        byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E')
    });
    let text = std::str::from_utf8(bytes.get(start..end)?).ok()?;
    let is_whole = matches!(at(bytes, end), b',' | b'}' | b']' | b' ' | b'\t' | b'\\' | 0);
    let is_secret = is_whole && text.bytes().any(|byte| byte.is_ascii_digit());
    if !is_secret || !entry.demand.is_met(name.text, text) {
        return None;
    }
    let is_escaped = name.quote.is_some_and(Quote::is_escaped);
    let form = if is_escaped { Form::Zero } else { Form::Quoted };
    Some(Span { form, ..Span::new(start, end, entry.kind) })
}

/// Behind the scheme (`Bearer`, `Basic`, …) of an authorisation header; else `start` itself.
fn behind_scheme(line: &str, start: usize, end: usize, kind: &str) -> usize {
    let value = slice(line, start, end);
    if kind != names::AUTHORIZATION {
        return start;
    }
    let Some(space) = value.find(' ') else { return start };
    let is_scheme =
        slice(value, 0, space).bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_scheme { start + skip_spaces(value.as_bytes(), space) } else { start }
}

/// Whether a value without quotes is how long something took, or a status behind a path: `/oauth/token: 401`.
fn is_measure(value: &str, is_path: bool) -> bool {
    let bytes = value.as_bytes();
    let digits = run_end(bytes, 0, |byte| byte.is_ascii_digit());
    let end = run_end(bytes, digits, |byte| byte.is_ascii_digit() || byte == b'.');
    let is_status = is_path && end == 3 && value.len() == 3;
    // A number before one letter may be a password.
    let is_time = match from(bytes, end) {
        b"ns" | b"us" | b"ms" => true,
        unit => unit == b"s" && end > digits,
    };
    digits > 0 && (is_status || is_time)
}

/// Whether a value without quotes, before `next`, is an expression of a program: `get_token()`, `form["password"]`;
/// behind a name in quotes, whatever does not look random.
fn reads_as_code(value: &str, next: u8, is_quoted_name: bool) -> bool {
    let bytes = value.as_bytes();
    let path_end =
        run_end(bytes, 0, |byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.'));
    let closes = matches!(next, b')' | b']' | b'"' | b'\'');
    let is_expression = path_end > 0 && closes && matches!(at(bytes, path_end), b'(' | b'[');
    is_expression
        || (is_quoted_name && !Demand::Random.is_met("", value) && !personal::is_phone(value))
}
