//! Personal data without a check digit of its own: e-mail addresses and telephone numbers; and
//! numbers of persons behind their names.

use super::Span;
use super::quote::behind_torn_escape;
use crate::scan::{at, run_end};

/// Longest local part of an address (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// Longest domain (RFC 1035, section 2.3.4).
const MAX_DOMAIN: usize = 255;

/// Kinds of systemd's units, whose names may hold an `@` (systemd.unit(5)).
const UNITS: [&[u8]; 8] =
    [b"service", b"socket", b"timer", b"mount", b"target", b"slice", b"scope", b"path"];

/// An e-mail address around the `@` (or its escape) at `sign`; nothing before `done` is looked at.
pub(super) fn email(bytes: &[u8], sign: (usize, usize), done: usize) -> Option<Span<'static>> {
    let (sign, domain_at) = sign;
    let lowest = done.max(sign.saturating_sub(MAX_LOCAL));
    let mut start = sign;
    while start > lowest && is_local(at(bytes, start - 1)) {
        start -= 1;
    }
    start = behind_torn_escape(bytes, start).min(sign);
    while start < sign && !at(bytes, start).is_ascii_alphanumeric() {
        start += 1;
    }
    let mut end = domain_at;
    let highest = bytes.len().min(domain_at + MAX_DOMAIN);
    while end < highest && is_domain(at(bytes, end)) {
        end += 1;
    }
    while end > domain_at && !at(bytes, end - 1).is_ascii_alphanumeric() {
        end -= 1;
    }
    let domain = bytes.get(domain_at..end)?;
    let dot = memchr::memrchr(b'.', domain)?;
    let top = domain.get(dot + 1..)?;
    let is_top = top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic) && !UNITS.contains(&top);
    // F# numbers closures by their line: `handler@12.Invoke(unit)` is a call.
    let is_call = at(bytes, end) == b'(';
    // `git@host:path` is where a repository lies; `image@2x.png` is a file.
    let is_place = bytes.get(start..sign)? == b"git" && matches!(at(bytes, end), b':' | b'/');
    let is_scaled = at(domain, 0).is_ascii_digit() && domain.get(1..3) == Some(b"x.");
    let is_address = start < sign && dot > 0 && is_top && !is_call && !is_place && !is_scaled;
    is_address.then_some(Span::new(start, end, "email"))
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-')
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
}

/// Longest telephone number that is looked at, in bytes.
const MAX_PHONE: usize = 24;

/// How telephone numbers begin: `+` and a country's code, or an area's code in parentheses.
pub(super) fn phone_starts() -> impl Iterator<Item = String> {
    let spaced = ["+1 ", "+1-", "+1(", "+1.", "+7 ", "+7-", "+7("].map(str::to_owned).into_iter();
    let countries = (10..=99).map(|code| format!("+{code}"));
    spaced.chain(countries).chain((20..=99).map(|code| format!("({code}")))
}

/// A telephone number at `start`: international (ITU-T E.164), or of North America.
pub(super) fn phone(bytes: &[u8], start: usize) -> Option<Span<'static>> {
    let before = if start == 0 { 0 } else { at(bytes, start - 1) };
    if before.is_ascii_alphanumeric() || matches!(before, b'.' | b'_' | b')' | b'/' | b'+') {
        return None;
    }
    let look = bytes.get(..bytes.len().min(start + MAX_PHONE))?;
    let end = run_end(look, start + 1, |byte| {
        byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'.' | b'(' | b')')
    });
    // Another number may follow behind a space.
    let mut end = last_digit(bytes, start, end);
    while !is_number(bytes, start, end) {
        let space = memchr::memrchr(b' ', bytes.get(start..end)?)?;
        end = last_digit(bytes, start, start + space);
    }
    Some(Span::new(start, end, "phone"))
}

/// Whether the text from `start` to `end` is a telephone number.
fn is_number(bytes: &[u8], start: usize, end: usize) -> bool {
    let text = bytes.get(start..end).unwrap_or(&[]);
    let digits = digits_of(text);
    let is_number = match (at(text, 0), digits.as_slice()) {
        (b'+', [1, national @ ..]) => is_north_american(national),
        (b'+', [7, national @ ..]) => national.len() == 10 && national.first() != Some(&0),
        (b'+', digits) => (10..=13).contains(&digits.len()),
        (_, digits) => at(text, 4) == b')' && is_north_american(digits),
    };
    is_number && ends_number(bytes, end)
}

/// Behind the last digit of the text from `start` to `end`.
fn last_digit(bytes: &[u8], start: usize, mut end: usize) -> usize {
    while end > start && !at(bytes, end - 1).is_ascii_digit() {
        end -= 1;
    }
    end
}

fn ends_number(bytes: &[u8], end: usize) -> bool {
    let next = at(bytes, end);
    let goes_on = next == b'.' && at(bytes, end + 1).is_ascii_digit();
    !(crate::scan::is_ident(next) || goes_on)
}

fn digits_of(text: &[u8]) -> Vec<u8> {
    text.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect()
}

/// Area, exchange and number (NANP): neither of the first two begins with 0 or 1.
fn is_north_american(digits: &[u8]) -> bool {
    digits.len() == 10 && at(digits, 0) >= 2 && at(digits, 3) >= 2
}

/// Whether a value behind a telephone's name is a number of one.
pub(super) fn is_phone(value: &str) -> bool {
    let is_part = |byte: u8| {
        byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'.' | b'(' | b')' | b'+' | b'/')
    };
    value.bytes().all(is_part) && (7..=15).contains(&digits_of(value.as_bytes()).len())
}

/// Whether a value behind the name of a national id (any case) is one, by its own check digits.
pub(super) fn is_national_id(name: &str, value: &str) -> bool {
    let is_part =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'.' | b'/');
    if !value.bytes().all(is_part) {
        return false;
    }
    let digits = digits_of(value.as_bytes());
    match name {
        "cpf" => is_cpf(&digits),
        "bsn" => is_bsn(&digits),
        "dni" => is_dni(value, &digits),
        _ => {
            let area =
                digits.iter().take(3).fold(0u32, |area, digit| area * 10 + u32::from(*digit));
            digits.len() == 9 && !matches!(area, 0 | 666 | 900..)
        }
    }
}

/// Brazil's register of persons: two check digits modulo 11.
fn is_cpf(digits: &[u8]) -> bool {
    let check = |count: usize| {
        let weights = (2u32..).take(count).collect::<Vec<_>>().into_iter().rev();
        let sum: u32 =
            digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum();
        sum * 10 % 11 % 10 == u32::from(at(digits, count))
    };
    digits.len() == 11
        && digits.iter().any(|digit| Some(digit) != digits.first())
        && check(9)
        && check(10)
}

/// The citizen's number of the Netherlands: the elfproef.
fn is_bsn(digits: &[u8]) -> bool {
    if digits.len() != 9 {
        return false;
    }
    let weighted = |(index, digit): (usize, &u8)| match index {
        8 => -i32::from(*digit),
        _ => i32::from(*digit) * (9 - i32::try_from(index).unwrap_or(0)),
    };
    let sum: i32 = digits.iter().enumerate().map(weighted).sum();
    sum != 0 && sum % 11 == 0
}

/// Spain's identity number: eight digits and the letter that follows from them.
fn is_dni(value: &str, digits: &[u8]) -> bool {
    if digits.len() != 8 {
        return false;
    }
    let number = digits.iter().fold(0usize, |number, digit| number * 10 + usize::from(*digit));
    let letter = value.bytes().last().unwrap_or(0).to_ascii_uppercase();
    at(b"TRWAGMYFPDXBNJZSQVHLCKE", number % 23) == letter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telephone_numbers_are_told_from_other_numbers() {
        let phone = |text: &str| phone(text.as_bytes(), 0).map(|span| span.end);
        for number in [
            "+12125550173",
            "+1 (212) 555-0173",
            "+49 30 901820123",
            "+447911123456",
            "(212) 555-0173",
            "+7 912 345-67-89",
        ] {
            assert_eq!(phone(number), Some(number.len()), "{number}");
        }
        for other in [
            "+1718409600000",
            "+11125550173",
            "+1000",
            "+0200",
            "(404) 12",
            "(2024) 555-0173 x",
            "+123456789012345",
            "+4479111234x",
        ] {
            assert_eq!(phone(other), None, "{other}");
        }
    }

    #[test]
    fn national_ids_have_their_check_digits_right() {
        for (name, value, expected) in [
            ("ssn", "123456789", true),
            ("ssn", "000456789", false),
            ("cpf", "529.982.247-25", true),
            ("cpf", "529.982.247-26", false),
            ("bsn", "111222333", true),
            ("bsn", "111222334", false),
            ("dni", "12345678Z", true),
            ("dni", "12345678A", false),
        ] {
            assert_eq!(is_national_id(name, value), expected, "{name} {value}");
        }
    }

    #[test]
    fn digits_without_an_end_are_no_national_id() {
        let value = "9".repeat(60_000);
        for name in ["ssn", "cpf", "bsn", "dni"] {
            assert!(!is_national_id(name, &value), "{name}");
        }
    }
}
