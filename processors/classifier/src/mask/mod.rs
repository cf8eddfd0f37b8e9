//! Masks secrets and personal data, line by line, before anything else sees the line.
//! Promises: typed placeholders, JSON stays JSON, no allocation for a clean line, linear time.

mod assign;
mod personal;
mod sieve;
mod tokens;

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input};

use crate::scan::{at, from};

use sieve::Sieve;

/// Stands for a masked private key.
pub(crate) const PRIVATE_KEY: &str = "<secret:private-key>";
/// Lines that a private key may take before its end is no longer waited for.
const MAX_KEY_LINES: u32 = 512;

/// A part of a line to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    placeholder: &'static str,
}

/// What a needle found in a line may be the beginning of.
#[derive(Debug, Clone, Copy)]
enum Needle {
    /// The name of a field that holds a secret.
    Key,
    /// A token that its prefix gives away; the index into `tokens::KINDS`.
    Token(usize),
    Jwt,
    Bearer,
    PemBegin,
    UrlAuthority,
    Email,
}

/// A line without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked<'a> {
    /// The line; borrowed where nothing was found.
    pub text: Cow<'a, str>,
    /// How many secrets were replaced.
    pub count: u32,
    /// Whether the line lies inside a private key that began on an earlier line.
    pub inside_key: bool,
}

/// Finds and replaces secrets; built once and shared by every source.
#[derive(Debug, Clone)]
pub struct Masker {
    /// None only where the needles could not be compiled, which their fixed table rules out.
    automaton: Option<AhoCorasick>,
    needles: Vec<Needle>,
    sieve: Sieve,
    /// Bytes of the longest needle.
    longest: usize,
    extra_keys: Vec<String>,
}

impl Masker {
    /// A masker for the built-in rules and for further names of fields (any case) that hold secrets.
    pub fn new(extra_keys: &[String]) -> Self {
        let mut texts: Vec<String> = Vec::new();
        let mut needles = Vec::new();
        let mut add = |text: &str, needle: Needle| {
            texts.push(text.to_owned());
            needles.push(needle);
        };
        for word in assign::NEEDLES {
            add(word, Needle::Key);
        }
        let extra_keys: Vec<String> = extra_keys
            .iter()
            .filter(|key| !key.is_empty())
            .map(|key| key.to_ascii_lowercase())
            .collect();
        for word in &extra_keys {
            add(word, Needle::Key);
        }
        for (index, kind) in tokens::KINDS.iter().enumerate() {
            add(kind.prefix, Needle::Token(index));
        }
        add("eyJ", Needle::Jwt);
        add("bearer ", Needle::Bearer);
        add("-----begin ", Needle::PemBegin);
        add("://", Needle::UrlAuthority);
        add("@", Needle::Email);
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&texts)
            .ok();
        let sieve = Sieve::new(&texts);
        let longest = texts.iter().map(String::len).max().unwrap_or(0);
        Self { automaton, needles, sieve, longest, extra_keys }
    }

    /// Masks one line. `key_lines` is the source's state: lines of a private key still awaited.
    pub fn mask<'a>(&self, line: &'a str, key_lines: &mut u32) -> Masked<'a> {
        if *key_lines > 0
            && let Some(rest) = inside_private_key(line, key_lines)
        {
            let text = Cow::Owned(format!("{PRIVATE_KEY}{rest}"));
            return Masked { text, count: 0, inside_key: true };
        }
        let mut spans = self.spans(line, key_lines);
        personal::cards(line.as_bytes(), &mut spans);
        if spans.is_empty() {
            return Masked { text: Cow::Borrowed(line), count: 0, inside_key: false };
        }
        spans.sort_by_key(|span| (span.start, usize::MAX - span.end));
        let (text, count) = replace(line, &spans);
        Masked { text: Cow::Owned(text), count, inside_key: false }
    }

    fn spans(&self, line: &str, key_lines: &mut u32) -> Vec<Span> {
        let bytes = line.as_bytes();
        let mut spans = Vec::new();
        let Some(automaton) = &self.automaton else { return spans };
        if !self.sieve.may_hold(bytes) {
            return spans;
        }
        let Some((first, last)) = self.sieve.range(bytes) else { return spans };
        // No needle begins outside the range, so that none is missed outside the searched part.
        let searched = Input::new(bytes).span(first..bytes.len().min(last + self.longest));
        let mut done = 0;
        for found in automaton.find_iter(searched) {
            if found.start() < done {
                continue;
            }
            let Some(needle) = self.needles.get(found.pattern().as_usize()) else { continue };
            let (start, end) = (found.start(), found.end());
            let span = match needle {
                Needle::Key => assign::value(line, start, end, &self.extra_keys),
                Needle::Token(index) => tokens::token(bytes, start, *index),
                Needle::Jwt => tokens::jwt(bytes, start),
                Needle::Bearer => tokens::bearer(bytes, start, end),
                Needle::PemBegin => private_key(bytes, start, key_lines),
                Needle::UrlAuthority => tokens::url_password(bytes, end),
                Needle::Email => personal::email(bytes, start, done),
            };
            if let Some(span) = span {
                done = span.end;
                spans.push(span);
            }
        }
        spans
    }
}

/// Writes `line` with its spans replaced; a span inside an earlier one is passed over.
fn replace(line: &str, spans: &[Span]) -> (String, u32) {
    let mut text = String::with_capacity(line.len() + 16);
    let mut done = 0;
    let mut count = 0;
    for span in spans {
        if span.start < done {
            continue;
        }
        text.push_str(crate::scan::slice(line, done, span.start));
        text.push_str(span.placeholder);
        done = span.end;
        count += 1;
    }
    text.push_str(crate::scan::tail(line, done));
    (text, count)
}

/// A private key that begins at `start`; where its end lies on a later line, that is noted.
fn private_key(bytes: &[u8], start: usize, key_lines: &mut u32) -> Option<Span> {
    const LABEL_MAX: usize = 64;
    let label_end = bytes.len().min(start + LABEL_MAX);
    let label = bytes.get(start..label_end)?;
    memchr::memmem::find(label, b"PRIVATE KEY")?;
    let rest = from(bytes, start);
    let end = if let Some(marker) = memchr::memmem::find(rest, b"-----END ") {
        let dashes_at = start + marker + 9;
        let closing = memchr::memmem::find(from(bytes, dashes_at), b"-----");
        closing.map_or(bytes.len(), |found| dashes_at + found + 5)
    } else if let Some(quote) = memchr::memchr(b'"', rest) {
        start + quote
    } else {
        *key_lines = MAX_KEY_LINES;
        bytes.len()
    };
    Some(Span { start, end, placeholder: PRIVATE_KEY })
}

/// For a line inside a private key: what stands behind the key's end on it. None where the line
/// cannot belong to a key, which ends the waiting.
fn inside_private_key<'a>(line: &'a str, key_lines: &mut u32) -> Option<&'a str> {
    let bytes = line.as_bytes();
    if let Some(marker) = memchr::memmem::find(bytes, b"-----END ") {
        *key_lines = 0;
        let dashes_at = marker + 9;
        let closing = memchr::memmem::find(from(bytes, dashes_at), b"-----");
        let end = closing.map_or(bytes.len(), |found| dashes_at + found + 5);
        return Some(crate::scan::tail(line, end));
    }
    let text = line.trim();
    let is_header = text.starts_with("Proc-Type:") || text.starts_with("DEK-Info:");
    let is_base64 =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
    if is_header || is_base64 {
        *key_lines -= 1;
        return Some("");
    }
    *key_lines = 0;
    None
}

/// Whether a word can begin at `pos`: what stands before is no part of an identifier.
fn word_begins(bytes: &[u8], pos: usize) -> bool {
    pos == 0 || !crate::scan::is_ident(at(bytes, pos - 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn mask(line: &str) -> String {
        Masker::new(&[]).mask(line, &mut 0).text.into_owned()
    }

    #[test]
    fn masks_what_is_secret() {
        let aws = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
        let github = ["ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"].concat();
        let slack = ["xoxb-", "123456789012-abcdefGHIJKL"].concat();
        let stripe = ["sk_live_", "4eC39HqLyjWDarjtT1zdp7dc"].concat();
        let google = ["AIza", "SyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe"].concat();
        let jwt = ["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0In0", "dozjgNryP4J3jVmN"].join(".");
        let cases = [
            (format!("key {aws} used"), "key <secret:aws-key> used"),
            (format!("push with {github}"), "push with <secret:github-token>"),
            (format!("slack={slack}"), "slack=<secret:slack-token>"),
            (format!("charge {stripe}"), "charge <secret:stripe-key>"),
            (format!("maps?key={google}"), "maps?key=<secret:google-key>"),
            (format!("got {jwt}."), "got <secret:jwt>."),
            (
                "Authorization: Bearer abcDEF123456.x".into(),
                "Authorization: Bearer <secret:authorization>",
            ),
            (
                "Authorization: Basic dXNlcjpwYXNz".into(),
                "Authorization: Basic <secret:authorization>",
            ),
            (
                "connect postgres://bob:hunter2@db:5432/x".into(),
                "connect postgres://bob:<secret:password>@db:5432/x",
            ),
            ("password=hunter2 user=bob".into(), "password=<secret:password> user=bob"),
            ("DB_PASSWORD='hun ter'".into(), "DB_PASSWORD='<secret:password>'"),
            (
                "GET /cb?access_token=abc123&state=1".into(),
                "GET /cb?access_token=<secret:token>&state=1",
            ),
            ("api-key: 0123abcd".into(), "api-key: <secret:key>"),
            ("mail to bob.b@example.org now".into(), "mail to <email> now"),
            ("card 4111 1111 1111 1111 ok".into(), "card <card> ok"),
            ("card=5555555555554444".into(), "card=<card>"),
            (
                "check pass; token=abcdef, password=hunter2; passed".into(),
                "check pass; token=<secret:token>, password=<secret:password>; passed",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(mask(&line), expected);
        }
    }

    #[test]
    fn leaves_ordinary_text_alone() {
        for line in [
            "Failed password for root from 10.0.0.1 port 22 ssh2",
            "Executing with tokens:",
            "token count is 5",
            "SyntaxError: Unexpected token: punc",
            "blk_38865049064139660 4111111111111112",
            "Listener@493 http://host:8080/a/b",
            "max_tokens=100 tokenizer=x secretary: y",
            "password: null",
            "basic authentication is off",
            "secret::vault::open",
            "risk-averse-and-quite-long-word-here",
        ] {
            assert_eq!(mask(line), line);
        }
    }

    #[test]
    fn json_stays_json() {
        let line = r#"{"password":"a\"b","token":12345,"api_key":null,"msg":"{\"secret\":\"x y\"}","n":1}"#;
        let masked = mask(line);
        let value: serde_json::Value = serde_json::from_str(&masked).unwrap();
        assert_eq!(value["password"], "<secret:password>");
        assert_eq!(value["token"], "<secret:token>");
        assert_eq!(value["msg"], r#"{"secret":"<secret:secret>"}"#);
        assert!(value["api_key"].is_null());
    }

    #[test]
    fn a_private_key_is_masked_over_its_lines() {
        let masker = Masker::new(&[]);
        let mut state = 0;
        let begin = ["-----BEGIN RSA ", "PRIVATE KEY-----"].concat();
        let end = ["-----END RSA ", "PRIVATE KEY-----"].concat();
        let lines = [begin.as_str(), "MIIEpAIBAAKCAQEA", "q8s7/+==", end.as_str(), "next"];
        let masked: Vec<String> =
            lines.iter().map(|line| masker.mask(line, &mut state).text.into_owned()).collect();
        assert_eq!(masked, [PRIVATE_KEY, PRIVATE_KEY, PRIVATE_KEY, PRIVATE_KEY, "next"]);
        assert_eq!(mask(&format!("k={begin}\\nMII\\n{end};")), format!("k={PRIVATE_KEY};"));
    }

    #[test]
    fn further_keys_can_be_named() {
        let masker = Masker::new(&["iban".to_owned()]);
        assert_eq!(masker.mask("IBAN=DE89 x", &mut 0).text, "IBAN=<secret:secret> x");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn never_panics_and_masks_once(line in "[a-z@:=\"'{}<> .\\\\/0-9-]{0,40}(password|token|://|eyJ)?[a-z@:=\"'{}<> .\\\\/0-9-]{0,40}") {
            let once = mask(&line);
            prop_assert_eq!(mask(&once), once.clone());
        }
    }
}
