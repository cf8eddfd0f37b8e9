//! Personal data: e-mail addresses, and payment card numbers checked by Luhn's sum.

use super::Span;
use crate::scan::at;

/// Longest local part of an address (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// Longest domain (RFC 1035, section 2.3.4).
const MAX_DOMAIN: usize = 255;

/// An e-mail address around the `@` at `sign`; nothing before `done` is looked at.
pub(super) fn email(bytes: &[u8], sign: usize, done: usize) -> Option<Span> {
    let lowest = done.max(sign.saturating_sub(MAX_LOCAL));
    let mut start = sign;
    while start > lowest && is_local(at(bytes, start - 1)) {
        start -= 1;
    }
    while start < sign && !at(bytes, start).is_ascii_alphanumeric() {
        start += 1;
    }
    let mut end = sign + 1;
    let highest = bytes.len().min(sign + 1 + MAX_DOMAIN);
    while end < highest && is_domain(at(bytes, end)) {
        end += 1;
    }
    while end > sign + 1 && !at(bytes, end - 1).is_ascii_alphanumeric() {
        end -= 1;
    }
    let domain = bytes.get(sign + 1..end)?;
    let dot = memchr::memrchr(b'.', domain)?;
    let top = domain.get(dot + 1..)?;
    let is_top = top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic);
    // F# numbers closures by their line: `handler@12.Invoke(unit)` is a call.
    let is_call = at(bytes, end) == b'(';
    (start < sign && dot > 0 && is_top && !is_call).then_some(Span {
        start,
        end,
        placeholder: "<email>",
    })
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-')
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
}

/// Fewest digits in a card number.
const MIN_DIGITS: usize = 13;
/// Most digits in a card number.
const MAX_DIGITS: usize = 19;

/// Adds the card numbers of a line. Every thirteenth byte is looked at: a number is longer.
pub(super) fn cards(bytes: &[u8], spans: &mut Vec<Span>) {
    let mut probe = MIN_DIGITS - 1;
    while probe < bytes.len() {
        if !is_card_byte(at(bytes, probe)) {
            probe += MIN_DIGITS;
            continue;
        }
        let mut start = probe;
        while start > 0 && probe - start < MIN_DIGITS && is_card_byte(at(bytes, start - 1)) {
            start -= 1;
        }
        let mut end = probe + 1;
        while end < bytes.len() && is_card_byte(at(bytes, end)) {
            end += 1;
        }
        card_in(bytes, start, end, spans);
        probe = end + MIN_DIGITS - 1;
    }
}

fn is_card_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b' ' || byte == b'-'
}

/// Looks for a card number in a run of digits, spaces and dashes.
fn card_in(bytes: &[u8], run_start: usize, run_end: usize, spans: &mut Vec<Span>) {
    let mut start = run_start;
    while start < run_end {
        let opens =
            at(bytes, start).is_ascii_digit() && (start == 0 || opens_number(at(bytes, start - 1)));
        if !opens {
            // Inside a group of digits no number begins.
            start = group_end(bytes, start).max(start + 1);
            continue;
        }
        match card_at(bytes, start, run_end) {
            Some(end) => {
                spans.push(Span { start, end, placeholder: "<card>" });
                start = end;
            }
            None => start = group_end(bytes, start),
        }
    }
}

/// The end of the digits at `pos`.
fn group_end(bytes: &[u8], pos: usize) -> usize {
    crate::scan::run_end(bytes, pos, |byte| byte.is_ascii_digit())
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
            let closes = !crate::scan::is_ident(at(bytes, end)) && at(bytes, end) != b'.'
                || is_sentence_end(bytes, end);
            if count >= MIN_DIGITS && closes && is_card(digits.get(..count)?) {
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

fn is_sentence_end(bytes: &[u8], pos: usize) -> bool {
    at(bytes, pos) == b'.' && matches!(at(bytes, pos + 1), 0 | b' ')
}

fn is_card(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(4).fold(0u32, |value, digit| value * 10 + u32::from(*digit));
    let known = match digits.len() {
        16 => {
            matches!(prefix, 4000..=4999 | 5100..=5599 | 2221..=2720 | 6011 | 6500..=6599 | 3528..=3589)
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
