//! Secrets that their own shape gives away: JSON web tokens, bearer tokens, URLs and webhooks.

use super::Span;
use super::providers::is_random;
use super::quote::{Quote, behind_torn_escape, word_begins};
use crate::scan::{at, from, run_end, skip_spaces};

/// Bytes of a URL in which its password is looked for.
const MAX_AUTHORITY: usize = 512;
/// Bytes before an `@` in which the name of a data source is looked for.
const MAX_SOURCE: usize = 192;
/// Shortest name of a user in a URL that can be a token.
const MIN_USER_TOKEN: usize = 16;

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// A JSON web token (RFC 7519): parts of base64url, the first of which opens an object. Where there
/// is none, gives the end of what was looked at: no other begins in it.
pub(super) fn jwt(bytes: &[u8], start: usize) -> Result<Span<'static>, usize> {
    if !from(bytes, start).starts_with(b"eyJ") || !word_begins(bytes, start) {
        return Err(start);
    }
    let header_end = run_end(bytes, start, is_word);
    if header_end - start < 10 || at(bytes, header_end) != b'.' {
        return Err(header_end);
    }
    let mut end = run_end(bytes, header_end + 1, is_word);
    // One that is encrypted with a shared key has no second part.
    let is_direct = end == header_end + 1 && at(bytes, end) == b'.';
    if end - header_end < 5 && !is_direct {
        return Err(end);
    }
    // A signature; encrypted ones have three parts more (RFC 7516).
    for _ in 0..3 {
        let part_end = run_end(bytes, end + 1, is_word);
        if at(bytes, end) != b'.' || part_end == end + 1 {
            break;
        }
        end = part_end;
    }
    if end == header_end + 1 {
        return Err(end);
    }
    Ok(Span::new(start, end, "secret:jwt"))
}

/// The token behind `Bearer `, which ends at `end`.
pub(super) fn bearer(bytes: &[u8], start: usize, end: usize) -> Option<Span<'static>> {
    if !word_begins(bytes, start) {
        return None;
    }
    let start = skip_spaces(bytes, end);
    let end = run_end(bytes, start, |byte| {
        is_word(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=' | b'|' | b':')
    });
    let token = bytes.get(start..end)?;
    // `bearer authentication` is prose.
    let is_secret = token.len() >= 8 && is_random(token);
    is_secret.then_some(Span::new(start, end, "secret:authorization"))
}

/// The password in `user:password@` of a URL whose authority begins at `start`, or the token that
/// stands in the place of its user.
pub(super) fn url_password(bytes: &[u8], start: usize) -> Option<Span<'static>> {
    let bounded = bytes.get(..bytes.len().min(start + MAX_AUTHORITY))?;
    let is_url = |byte: u8| {
        !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`')
    };
    let host_end =
        run_end(bounded, start, |byte| is_url(byte) && !matches!(byte, b'/' | b'?' | b'#'));
    let authority = bounded.get(start..host_end)?;
    let colon = memchr::memchr(b':', authority);
    if let Some(sign) = memchr::memrchr(b'@', authority) {
        return match colon.filter(|colon| *colon < sign) {
            Some(colon)
                if colon + 1 < sign && authority.get(colon + 1..sign)? != b"x-oauth-basic" =>
            {
                Some(Span::new(start + colon + 1, start + sign, "secret:password"))
            }
            colon => {
                let user = authority.get(..colon.unwrap_or(sign))?;
                let is_token = user.len() >= MIN_USER_TOKEN && is_random(user);
                is_token.then_some(Span::new(start, start + user.len(), "secret:token"))
            }
        };
    }
    // A password with a slash in it that was not escaped, if what the colon opens is no port.
    let password = start + colon? + 1;
    let end = run_end(bounded, password, is_url);
    let sign = password + memchr::memchr(b'@', bounded.get(password..end)?)?;
    let is_port = bounded.get(password..host_end)?.iter().all(u8::is_ascii_digit);
    (!is_port).then_some(Span::new(password, sign, "secret:password"))
}

/// The password before the `@` at `sign` in the name of a data source without a scheme: `user:password@tcp(host)`, as
/// Go's driver for MySQL has it, and Oracle's `user/password@host`. It lies behind `done`.
pub(super) fn source_password(bytes: &[u8], sign: usize, done: usize) -> Option<Span<'static>> {
    let mut start = sign;
    let is_part = |byte: u8| {
        !byte.is_ascii_whitespace()
            && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'(' | b',')
    };
    while start > done && sign - start < MAX_SOURCE && is_part(at(bytes, start - 1)) {
        start -= 1;
    }
    let text = bytes.get(start..sign)?;
    let behind = from(bytes, sign + 1);
    let is_go =
        [&b"tcp("[..], b"tcp6(", b"unix("].iter().any(|network| behind.starts_with(network));
    let before = bytes.get(..start)?;
    let mark = if is_go {
        memchr::memchr(b':', text)?
    } else if before.ends_with(b"sqlplus ") {
        memchr::memchr(b'/', text)?
    } else {
        let user = memchr::memmem::find(text, b"oracle:thin:")? + "oracle:thin:".len();
        user + memchr::memchr(b'/', text.get(user..)?)?
    };
    let password = start + mark + 1;
    (password < sign).then_some(Span::new(password, sign, "secret:password"))
}

/// The password in quotes behind SQL's `IDENTIFIED BY`, which ends at `end`.
pub(super) fn identified(bytes: &[u8], end: usize) -> Option<Span<'static>> {
    let (quote, start) = Quote::at(bytes, skip_spaces(bytes, end))?;
    let end = quote.end(bytes, start);
    let is_said = end > start && super::tag::placeholder(bytes, start).is_none();
    is_said.then_some(Span::new(start, end, "secret:password"))
}

/// What stands behind the path of a webhook, by which alone whoever knows it may write there.
pub(super) fn webhook(bytes: &[u8], end: usize) -> Option<Span<'static>> {
    let path_end = run_end(bytes, end, |byte| is_word(byte) || byte == b'/');
    let path = bytes.get(end..path_end)?;
    let is_secret = path.len() >= 20 && is_random(path);
    is_secret.then_some(Span::new(end, path_end, "secret:webhook"))
}

/// A bot's token of Telegram: its number, a colon, and 35 characters that begin with `AA`. The
/// needle is the colon and those two.
pub(super) fn telegram(bytes: &[u8], colon: usize) -> Option<Span<'static>> {
    let mut start = colon;
    while start > 0 && colon - start < 12 && at(bytes, start - 1).is_ascii_digit() {
        start -= 1;
    }
    let end = run_end(bytes.get(..bytes.len().min(colon + 64))?, colon + 1, is_word);
    let is_token = (7..=11).contains(&(colon - start)) && (33..=40).contains(&(end - colon - 1));
    is_token.then_some(Span::new(start, end, "secret:telegram-token"))
}

/// Letters and digits, a mark, and many further characters: a client's secret of Azure (`…8Q~…`),
/// a token of Terraform Cloud (`….atlasv1.…`). `before` and `behind` are the fewest of each.
pub(super) fn around_mark(
    bytes: &[u8],
    mark: (usize, usize),
    (before, behind): (usize, usize),
    kind: &'static str,
) -> Option<Span<'static>> {
    const MAX_BEFORE: usize = 32;
    let is_part = |byte: u8| is_word(byte) || matches!(byte, b'~' | b'.');
    let mut start = mark.0;
    while start > 0 && mark.0 - start < MAX_BEFORE && is_part(at(bytes, start - 1)) {
        start -= 1;
    }
    let start = behind_torn_escape(bytes, start).min(mark.0);
    let look = bytes.get(..bytes.len().min(mark.1 + 128))?;
    let looked_end = run_end(look, mark.1, is_part);
    let enough = mark.0 - start >= before && looked_end - mark.1 >= behind;
    enough.then(|| Span::new(start, run_end(bytes, looked_end, is_part), kind))
}
