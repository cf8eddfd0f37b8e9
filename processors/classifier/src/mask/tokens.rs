//! Secrets that their own shape gives away: provider keys, JWT, bearer tokens, URL passwords.

use super::{Span, word_begins};
use crate::scan::{at, from, run_end};

/// A provider's token, told by its prefix.
pub(super) struct TokenKind {
    pub(super) prefix: &'static str,
    placeholder: &'static str,
    /// Fewest characters behind the prefix.
    min: usize,
}

const fn kind(prefix: &'static str, placeholder: &'static str, min: usize) -> TokenKind {
    TokenKind { prefix, placeholder, min }
}

/// Prefixes as the providers document them; a rule is data.
pub(super) const KINDS: [TokenKind; 24] = [
    kind("AKIA", "<secret:aws-key>", 16),
    kind("ASIA", "<secret:aws-key>", 16),
    kind("ghp_", "<secret:github-token>", 20),
    kind("gho_", "<secret:github-token>", 20),
    kind("ghu_", "<secret:github-token>", 20),
    kind("ghs_", "<secret:github-token>", 20),
    kind("ghr_", "<secret:github-token>", 20),
    kind("github_pat_", "<secret:github-token>", 20),
    kind("glpat-", "<secret:gitlab-token>", 16),
    kind("xoxb-", "<secret:slack-token>", 10),
    kind("xoxp-", "<secret:slack-token>", 10),
    kind("xoxa-", "<secret:slack-token>", 10),
    kind("xoxr-", "<secret:slack-token>", 10),
    kind("xoxs-", "<secret:slack-token>", 10),
    kind("xapp-", "<secret:slack-token>", 10),
    kind("sk_live_", "<secret:stripe-key>", 10),
    kind("rk_live_", "<secret:stripe-key>", 10),
    kind("sk_test_", "<secret:stripe-key>", 10),
    kind("AIza", "<secret:google-key>", 30),
    kind("ya29.", "<secret:google-token>", 20),
    kind("npm_", "<secret:npm-token>", 30),
    kind("hf_", "<secret:hf-token>", 30),
    kind("sk-", "<secret:api-key>", 20),
    kind("SG.", "<secret:sendgrid-key>", 30),
];

/// How far behind a prefix is looked before it is decided whether a secret stands there.
const MAX_LOOK: usize = 128;
/// The same for the header of a JWT, which is longer.
const MAX_JWT_HEADER: usize = 512;

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// A provider's token whose prefix stands at `start`.
pub(super) fn token(bytes: &[u8], start: usize, index: usize) -> Option<Span> {
    let kind = KINDS.get(index)?;
    let prefix = kind.prefix.as_bytes();
    if !from(bytes, start).starts_with(prefix) || !word_begins(bytes, start) {
        return None;
    }
    let dotted = matches!(kind.prefix, "SG." | "ya29.");
    let body = start + prefix.len();
    let is_body = |byte| is_token_byte(byte) || (dotted && byte == b'.');
    let end = run_end(bytes.get(..bytes.len().min(body + MAX_LOOK))?, body, is_body);
    if end - body < kind.min {
        return None;
    }
    // A long hyphenated word holds no digit; a key of that length does.
    let has_digit = bytes.get(body..end)?.iter().any(u8::is_ascii_digit);
    if !has_digit {
        return None;
    }
    let end = run_end(bytes, end, is_body);
    Some(Span { start, end, placeholder: kind.placeholder })
}

/// A JSON web token (RFC 7519): three parts of base64url, the first of which opens an object.
pub(super) fn jwt(bytes: &[u8], start: usize) -> Option<Span> {
    if !from(bytes, start).starts_with(b"eyJ") || !word_begins(bytes, start) {
        return None;
    }
    let header_end =
        run_end(bytes.get(..bytes.len().min(start + MAX_JWT_HEADER))?, start, is_token_byte);
    if header_end - start < 10 || at(bytes, header_end) != b'.' {
        return None;
    }
    let claims_end = run_end(bytes, header_end + 1, is_token_byte);
    if claims_end - header_end < 5 {
        return None;
    }
    let mut end = claims_end;
    if at(bytes, claims_end) == b'.' {
        let signature_end = run_end(bytes, claims_end + 1, is_token_byte);
        if signature_end > claims_end + 1 {
            end = signature_end;
        }
    }
    Some(Span { start, end, placeholder: "<secret:jwt>" })
}

/// The token behind `Bearer `, which ends at `end`.
pub(super) fn bearer(bytes: &[u8], start: usize, end: usize) -> Option<Span> {
    if !word_begins(bytes, start) {
        return None;
    }
    let token_end = run_end(bytes, end, |byte| {
        is_token_byte(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=')
    });
    let token = bytes.get(end..token_end)?;
    // `bearer authentication` is prose; a token holds a digit.
    let secret = token.len() >= 8 && token.iter().any(u8::is_ascii_digit);
    secret.then_some(Span { start: end, end: token_end, placeholder: "<secret:authorization>" })
}

/// The password in `user:password@` of a URL whose authority begins at `start`.
pub(super) fn url_password(bytes: &[u8], start: usize) -> Option<Span> {
    let end = run_end(bytes, start, |byte| {
        !byte.is_ascii_whitespace()
            && !matches!(byte, b'/' | b'"' | b'\'' | b'?' | b'#' | b'<' | b'>')
    });
    let authority = bytes.get(start..end)?;
    let at_sign = memchr::memrchr(b'@', authority)?;
    let colon = memchr::memchr(b':', authority.get(..at_sign)?)?;
    let secret = colon + 1 < at_sign;
    secret.then_some(Span {
        start: start + colon + 1,
        end: start + at_sign,
        placeholder: "<secret:password>",
    })
}
