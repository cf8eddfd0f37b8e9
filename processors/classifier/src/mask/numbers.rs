//! Numbers that name a person or an account and prove it by their own digits: payment cards, IBAN,
//! social security numbers.

use super::Span;
use crate::scan::{Bytes, at, run_end};

/// Bytes of the shortest run of digits, spaces and dashes in a number that is looked for.
const MIN_RUN: usize = 10;
/// Fewest digits in a card number.
const MIN_DIGITS: usize = 13;
/// Most digits in a card number.
const MAX_DIGITS: usize = 19;

/// Adds the numbers of a line. Every tenth byte is looked at: a number has a longer run.
pub(super) fn find(bytes: &[u8], spans: &mut Vec<Span<'_>>) {
    let mut probe = MIN_RUN - 1;
    let mut done = 0;
    let mut found = 0;
    while probe < bytes.len() {
        if !is_run_byte(at(bytes, probe)) || !is_inside(bytes, probe) {
            probe += MIN_RUN;
            continue;
        }
        let lowest = done.max(probe.saturating_sub(MIN_RUN));
        let before = bytes.get(lowest..probe).unwrap_or(&[]);
        let start = lowest
            + before.iter().rposition(|byte| !is_run_byte(*byte)).map_or(0, |other| other + 1);
        let end = run_end(bytes, probe + 1, is_run_byte);
        if is_long(bytes, start, end) {
            if let Some(span) = iban(bytes, start, found) {
                done = span.end;
                found = span.end;
                probe = span.end + MIN_RUN - 1;
                spans.push(span);
                continue;
            }
            in_run(bytes, start, end, spans);
        }
        done = end;
        probe = end + MIN_RUN - 1;
    }
}

/// Whether a run that is long enough may lie around a byte: half of it then lies on one side.
fn is_inside(bytes: &[u8], pos: usize) -> bool {
    const HALF: usize = MIN_RUN / 2;
    let is_run = |start: usize| {
        bytes
            .get(start..start + HALF)
            .is_some_and(|half| half.iter().all(|byte| is_run_byte(*byte)))
    };
    is_run(pos + 1) || pos >= HALF && is_run(pos - HALF)
}

/// Whether a run is long enough between its first and its last digit.
fn is_long(bytes: &[u8], start: usize, end: usize) -> bool {
    let run = bytes.get(start..end).unwrap_or(&[]);
    let first = run.iter().position(u8::is_ascii_digit);
    let last = run.iter().rposition(u8::is_ascii_digit);
    first.zip(last).is_some_and(|(first, last)| last - first + 1 >= MIN_RUN)
}

/// The bytes of such a run.
static RUN: Bytes = Bytes::of(b"0123456789 -");

#[inline]
fn is_run_byte(byte: u8) -> bool {
    RUN.has(byte)
}

/// Looks for numbers in a run of digits, spaces and dashes.
fn in_run(bytes: &[u8], run_start: usize, run_end: usize, spans: &mut Vec<Span<'_>>) {
    let mut start = run_start;
    while start < run_end {
        let opens =
            at(bytes, start).is_ascii_digit() && (start == 0 || opens_number(at(bytes, start - 1)));
        if opens && let Some(span) = number_at(bytes, start, run_end) {
            start = span.end;
            spans.push(span);
            continue;
        }
        // Inside a group of digits and behind a dash no number begins.
        let rest = bytes.get(start..run_end).unwrap_or(&[]);
        start += rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len()) + 1;
    }
}

/// The card or social security number that starts at `start`.
fn number_at(bytes: &[u8], start: usize, run_end: usize) -> Option<Span<'static>> {
    match card_at(bytes, start, run_end) {
        Some(end) => Some(Span::new(start, end, "card")),
        None => {
            is_social_security(bytes, start).then(|| Span::new(start, start + 11, "national-id"))
        }
    }
}

fn opens_number(before: u8) -> bool {
    !before.is_ascii_alphanumeric() && !matches!(before, b'_' | b'-' | b'/' | b'.' | b'+')
}

/// The end of the card number that starts at `start`: digits in groups of at least four (or
/// without groups) that pass the sum and begin as a network's numbers do.
fn card_at(bytes: &[u8], start: usize, run_end: usize) -> Option<usize> {
    // No network's numbers begin otherwise.
    if !matches!(at(bytes, start), b'2'..=b'6') {
        return None;
    }
    let mut digits = [0u8; MAX_DIGITS];
    let mut count = 0;
    let mut group = 0;
    let mut pos = start;
    let mut end = start;
    let mut best = None;
    while pos < run_end && count < MAX_DIGITS {
        let byte = at(bytes, pos);
        if byte.is_ascii_digit() {
            *digits.get_mut(count)? = byte - b'0';
            count += 1;
            group += 1;
            end = pos + 1;
            if count >= MIN_DIGITS && closes(bytes, end) && is_card(digits.get(..count)?) {
                best = Some(end);
            }
        } else {
            if group < 4 || count >= MIN_DIGITS {
                break;
            }
            group = 0;
        }
        pos += 1;
    }
    best.filter(|best| *best <= end)
}

/// Whether a number can end before `pos`: no identifier and no fraction goes on there.
fn closes(bytes: &[u8], pos: usize) -> bool {
    let is_sentence_end = at(bytes, pos) == b'.' && matches!(at(bytes, pos + 1), 0 | b' ' | b'"');
    !crate::scan::is_ident(at(bytes, pos)) && at(bytes, pos) != b'.' || is_sentence_end
}

fn is_card(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(4).fold(0u32, |value, digit| value * 10 + u32::from(*digit));
    let known = match digits.len() {
        16 => {
            matches!(prefix, 4000..=4999 | 5100..=5599 | 2221..=2720 | 6011 | 6440..=6599 | 6200..=6299 | 3528..=3589)
        }
        15 => matches!(prefix, 3400..=3499 | 3700..=3799),
        14 => matches!(prefix, 3000..=3059 | 3600..=3699 | 3800..=3899),
        13 | 19 => matches!(prefix, 4000..=4999),
        _ => false,
    };
    known && luhn(digits)
}

/// Luhn's sum (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u8]) -> bool {
    let mut sum = 0u32;
    for (index, digit) in digits.iter().rev().enumerate() {
        let value = u32::from(*digit) << (index % 2);
        sum += if value > 9 { value - 9 } else { value };
    }
    sum.is_multiple_of(10)
}

/// Whether a social security number of the United States stands at `start`, with its dashes and in
/// the ranges that are given out (SSA, since 2011).
fn is_social_security(bytes: &[u8], start: usize) -> bool {
    let Some(text) = bytes.get(start..start + 11) else { return false };
    let shaped = text.iter().enumerate().all(|(index, byte)| match index {
        3 | 6 => *byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let (area, group, serial) = (text.get(..3), text.get(4..6), text.get(7..));
    let given = area != Some(b"000")
        && area != Some(b"666")
        && at(text, 0) != b'9'
        && group != Some(b"00")
        && serial != Some(b"0000");
    shaped && given && at(bytes, start + 11) != b'-' && closes(bytes, start + 11)
}

/// Longest IBAN, and the longest with a space behind every fourth character.
const MAX_IBAN: usize = 34;
const MAX_SPACED_IBAN: usize = MAX_IBAN + MAX_IBAN / 4;

/// The international account number (ISO 13616) that the run of digits at `run` belongs to. It lies behind
/// `found`, the end of the last one: that would be found again for ever.
fn iban(bytes: &[u8], run: usize, found: usize) -> Option<Span<'static>> {
    let is_part = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let mut start = run;
    while start > found && run - start < MAX_SPACED_IBAN {
        let before = at(bytes, start - 1);
        let is_inner_space = before == b' ' && start > 1 && is_part(at(bytes, start - 2));
        if !is_part(before) && !is_inner_space {
            break;
        }
        start -= 1;
    }
    // Words in capitals may stand before it.
    while start <= run {
        let begins = start == 0 || !crate::scan::is_ident(at(bytes, start - 1));
        if begins && let Some(end) = iban_at(bytes, start) {
            return Some(Span::new(start, end, "iban"));
        }
        start += 1;
    }
    None
}

fn iban_at(bytes: &[u8], start: usize) -> Option<usize> {
    let country = bytes.get(start..start + 2)?;
    let checked = bytes.get(start + 2..start + 4)?;
    if !checked.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = iban_length(country)?;
    let spaced = at(bytes, start + 4) == b' ';
    let mut text = [0u8; MAX_IBAN];
    let mut pos = start;
    for count in 0..length {
        if spaced && count > 0 && count % 4 == 0 {
            if at(bytes, pos) != b' ' {
                return None;
            }
            pos += 1;
        }
        let byte = at(bytes, pos);
        if !byte.is_ascii_uppercase() && !byte.is_ascii_digit() {
            return None;
        }
        *text.get_mut(count)? = byte;
        pos += 1;
    }
    let (head, account) = text.get(..length)?.split_at_checked(4)?;
    let remainder = account.iter().chain(head).fold(0u32, |remainder, byte| {
        if byte.is_ascii_digit() {
            (remainder * 10 + u32::from(byte - b'0')) % 97
        } else {
            (remainder * 100 + u32::from(byte - b'A') + 10) % 97
        }
    });
    (remainder == 1 && closes(bytes, pos)).then_some(pos)
}

/// Characters in an IBAN of a country (SWIFT's registry).
fn iban_length(country: &[u8]) -> Option<usize> {
    Some(match country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FO" | b"GL" | b"NL" | b"SD" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"XK" | b"MN" => 20,
        b"CH" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"CR" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"TL" | b"OM" | b"SO" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"LY" | b"PT" | b"ST" => 25,
        b"IS" | b"TR" => 26,
        b"BI" | b"DJ" | b"FR" | b"GR" | b"IT" | b"MC" | b"MR" | b"SM" => 27,
        b"AL" | b"AZ" | b"BY" | b"CY" | b"DO" | b"GT" | b"HU" | b"LB" | b"NI" | b"PL" | b"SV" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        b"RU" => 33,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Vec<(&str, &'static str)> {
        let mut spans = Vec::new();
        find(line.as_bytes(), &mut spans);
        spans
            .into_iter()
            .map(|span| {
                let kind =
                    ["card", "iban", "national-id"].into_iter().find(|kind| *kind == span.kind);
                (crate::scan::slice(line, span.start, span.end), kind.unwrap_or(""))
            })
            .collect()
    }

    #[test]
    fn numbers_that_prove_themselves_are_found() {
        for (text, kind) in [
            ("4111 1111 1111 1111", "card"),
            ("4111-1111-1111-1111", "card"),
            ("5555555555554444", "card"),
            ("378282246310005", "card"),
            ("DE89370400440532013000", "iban"),
            ("DE89 3704 0044 0532 0130 00", "iban"),
            ("GB82WEST12345698765432", "iban"),
            ("NL91ABNA0417164300", "iban"),
            ("NL91 ABNA 0417 1643 00", "iban"),
            ("FR1420041010050500013M02606", "iban"),
            ("NO9386011117947", "iban"),
            ("123-45-6789", "national-id"),
        ] {
            for (before, behind) in [
                ("", ""),
                ("paid with ", " now"),
                ("ERROR ACCOUNT ", ","),
                ("x=", ";"),
                ("{\"n\":\"", "\"}"),
            ] {
                let line = format!("{before}{text}{behind}");
                assert_eq!(found(&line), [(text, kind)], "{line}");
            }
        }
    }

    #[test]
    fn a_number_is_found_wherever_it_lies() {
        for number in
            ["4111111111111111", "4111 1111 1111 1111", "NL91ABNA0417164300", "536-22-8726"]
        {
            for before in 0..3 * MIN_RUN {
                for (open, close) in [("x", ""), ("x", "x y"), ("", " 1 x"), ("1", " 2")] {
                    let line = format!("{} {open}={number};{close}", "7x".repeat(before));
                    let all = found(&line);
                    assert!(all.iter().any(|(text, _)| *text == number), "{line}: {all:?}");
                }
            }
        }
    }

    #[test]
    fn digits_behind_an_account_number_do_not_lead_back_to_it() {
        let number = "NL91ABNA0417164300";
        let two = format!("{number} {number}");
        assert_eq!(found(&two), [(number, "iban"); 2]);
        for digits in ["1234567890", "123456789012345678901234567890", "4111 1111 1111 1111"] {
            let line = format!("{number} {digits}");
            let all = found(&line);
            assert_eq!(all.first(), Some(&(number, "iban")), "{line}");
            assert_eq!(all.len(), if digits.starts_with("4111") { 2 } else { 1 }, "{line}");
        }
    }

    #[test]
    fn numbers_that_look_alike_are_not() {
        for line in [
            "blk_38865049064139660 4111111111111112",
            "at 2024-01-01 10:00:00 4111-1111",
            "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000",
            "1123-45-6789 123-45-67890 a123-45-6789 123-45-6789-1",
            "DE88370400440532013000 XX89370400440532013000 ADE89370400440532013000",
            "0.4111111111111111 4111111111111111.5 order4111111111111111",
        ] {
            assert_eq!(found(line), [], "{line}");
        }
    }
}
