//! Reads the time stamps that logs carry, in any common form, to microseconds since 1970 UTC.
//! Promises: a pure function of the bytes and of a reference time that supplies a missing date or
//! year; a stamp without zone is UTC.

use crate::scan::{at, skip_spaces};

/// Microseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// How far a stamp without a year, or without a date, may lie after the reference time.
const FUTURE_SLACK: i64 = DAY / 2;

/// A time stamp found in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Microseconds since 1970 UTC.
    pub(crate) micros: i64,
    /// Position of the first byte behind it.
    pub(crate) end: usize,
    /// Whether it has the form of RFC 3164, after which a host name follows.
    pub(crate) syslog: bool,
    /// Whether it names a day, rather than a time of day alone.
    pub(crate) dated: bool,
    /// Whether it names a time of day, rather than a day alone.
    pub(crate) clocked: bool,
}

#[derive(Clone, Copy)]
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

#[derive(Clone, Copy)]
struct Clock {
    micros: i64,
    offset: i64,
    end: usize,
}

/// Days from 1970-01-01, for a date of the proleptic Gregorian calendar.
/// (Howard Hinnant, "chrono-compatible low-level date algorithms".)
fn days_from_civil(date: Date) -> i64 {
    let year = if date.month <= 2 { date.year - 1 } else { date.year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (date.month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The year of a time.
fn year_of(micros: i64) -> i64 {
    let days = micros.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let january_or_february = day_of_year >= 306;
    era * 400 + year_of_era + i64::from(january_or_february)
}

/// Reads up to `max` decimal digits: their value and how many there were.
#[inline]
fn digits(bytes: &[u8], pos: usize, max: usize) -> (i64, usize) {
    let mut value = 0i64;
    let mut count = 0;
    while count < max {
        let byte = at(bytes, pos + count);
        if !byte.is_ascii_digit() {
            break;
        }
        // An id may be a digit longer than any epoch.
        value = value.saturating_mul(10).saturating_add(i64::from(byte - b'0'));
        count += 1;
    }
    (value, count)
}

/// Exactly `count` digits, not followed by a further one.
fn exact(bytes: &[u8], pos: usize, count: usize) -> Option<i64> {
    let (value, found) = digits(bytes, pos, count + 1);
    (found == count).then_some(value)
}

/// Number of a month from its English name's first three letters, at least three letters long.
fn month(bytes: &[u8], pos: usize) -> Option<(i64, usize)> {
    const NAMES: [&[u8; 3]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let name = [at(bytes, pos) | 32, at(bytes, pos + 1) | 32, at(bytes, pos + 2) | 32];
    let index = NAMES.iter().position(|known| **known == name)?;
    (!at(bytes, pos + 3).is_ascii_alphanumeric()).then_some((index as i64 + 1, pos + 3))
}

fn weekday(bytes: &[u8], pos: usize) -> Option<usize> {
    let name = [at(bytes, pos) | 32, at(bytes, pos + 1) | 32, at(bytes, pos + 2) | 32];
    let known = matches!(&name, b"mon" | b"tue" | b"wed" | b"thu" | b"fri" | b"sat" | b"sun");
    if !known {
        return None;
    }
    let mut end = pos + 3;
    if at(bytes, end) == b',' {
        end += 1;
    }
    (at(bytes, end) == b' ').then(|| skip_spaces(bytes, end))
}

/// A zone at `pos`: its offset from UTC in microseconds, and its end.
fn zone(bytes: &[u8], pos: usize) -> (i64, usize) {
    let spaced = at(bytes, pos) == b' ';
    let start = if spaced { pos + 1 } else { pos };
    match at(bytes, start) {
        b'Z' if !at(bytes, start + 1).is_ascii_alphanumeric() => (0, start + 1),
        sign @ (b'+' | b'-') => {
            let Some(hours) = two(bytes, start + 1) else { return (0, pos) };
            let colon = usize::from(at(bytes, start + 3) == b':');
            let Some(minutes) = two(bytes, start + 3 + colon) else { return (0, pos) };
            let end = start + 5 + colon;
            if hours > 14 || minutes > 59 || at(bytes, end).is_ascii_alphanumeric() {
                return (0, pos);
            }
            let offset = (hours * 3600 + minutes * 60) * SECOND;
            (if sign == b'-' { -offset } else { offset }, end)
        }
        b'U' | b'G' if spaced => {
            let name = [at(bytes, start), at(bytes, start + 1), at(bytes, start + 2)];
            let ends = !at(bytes, start + 3).is_ascii_alphanumeric();
            if ends && (&name == b"UTC" || &name == b"GMT") { (0, start + 3) } else { (0, pos) }
        }
        _ => (0, pos),
    }
}

/// Two digits.
fn two(bytes: &[u8], pos: usize) -> Option<i64> {
    let (value, found) = digits(bytes, pos, 2);
    (found == 2).then_some(value)
}

/// A time of day: `h:m:s`, with a fraction behind `.`, `,` or `:`, and a zone. The parts may be
/// parted by dots as well. Seconds may be left out where `seconds_optional`.
fn clock(bytes: &[u8], pos: usize, seconds_optional: bool) -> Option<Clock> {
    let (hour, hour_digits) = digits(bytes, pos, 2);
    let separator = at(bytes, pos + hour_digits);
    if hour_digits == 0 || hour > 23 || !matches!(separator, b':' | b'.') {
        return None;
    }
    let minute_at = pos + hour_digits + 1;
    let (minute, minute_digits) = digits(bytes, minute_at, 2);
    if minute_digits == 0 || minute > 59 {
        return None;
    }
    let mut end = minute_at + minute_digits;
    let mut micros = (hour * 3600 + minute * 60) * SECOND;
    if at(bytes, end) == separator && at(bytes, end + 1).is_ascii_digit() {
        let (second, second_digits) = digits(bytes, end + 1, 2);
        if second > 60 {
            return None;
        }
        end += 1 + second_digits;
        micros += second * SECOND;
        let fraction_mark = matches!(at(bytes, end), b'.' | b',' | b':');
        if fraction_mark && at(bytes, end + 1).is_ascii_digit() {
            let (fraction, fraction_end) = fraction(bytes, end + 1);
            micros += fraction;
            end = fraction_end;
        }
    } else if !seconds_optional || separator == b'.' {
        return None;
    }
    if at(bytes, end).is_ascii_digit() {
        return None;
    }
    if let Some((noon, half_end)) = half_of_day(bytes, end)
        && (1..=12).contains(&hour)
    {
        micros += (hour % 12 + noon - hour) * 3600 * SECOND;
        end = half_end;
    }
    let (offset, end) = zone(bytes, end);
    Some(Clock { micros, offset, end })
}

/// `AM` or `PM` behind a time, a space before it perhaps: the hour at which that half of the day begins, and its end.
fn half_of_day(bytes: &[u8], pos: usize) -> Option<(i64, usize)> {
    let start = pos + usize::from(at(bytes, pos) == b' ');
    let noon = match at(bytes, start) {
        b'A' | b'a' => 0,
        b'P' | b'p' => 12,
        _ => return None,
    };
    let ends = matches!(at(bytes, start + 1), b'M' | b'm')
        && !at(bytes, start + 2).is_ascii_alphanumeric();
    ends.then_some((noon, start + 2))
}

/// Digits behind a decimal mark, as microseconds; digits past the sixth are passed over.
fn fraction(bytes: &[u8], pos: usize) -> (i64, usize) {
    let (value, found) = digits(bytes, pos, 6);
    let mut micros = value;
    for _ in found..6 {
        micros *= 10;
    }
    let mut end = pos + found;
    while at(bytes, end).is_ascii_digit() {
        end += 1;
    }
    (micros, end)
}

fn combine(date: Date, clock: Clock) -> Option<Stamp> {
    let midnight = midnight(date)?;
    let micros = midnight + clock.micros - clock.offset;
    Some(Stamp { micros, end: clock.end, syslog: false, dated: true, clocked: true })
}

fn midnight(date: Date) -> Option<i64> {
    let valid = (1..=12).contains(&date.month) && (1..=31).contains(&date.day);
    valid.then(|| days_from_civil(date) * DAY)
}

/// Completes a date without a year: the year of the reference, or the one before where the stamp
/// would otherwise lie in the future.
fn with_year(reference: i64, month: i64, day: i64, clock: Clock) -> Option<Stamp> {
    let year = year_of(reference);
    let stamp = combine(Date { year, month, day }, clock)?;
    if stamp.micros > reference + FUTURE_SLACK {
        return combine(Date { year: year - 1, month, day }, clock);
    }
    Some(stamp)
}

/// Reads a time stamp that starts at `pos`. `reference` (microseconds since 1970 UTC) supplies
/// what the stamp leaves out. Bare numbers count as a time only with `epochs`.
pub(crate) fn parse_at(bytes: &[u8], pos: usize, reference: i64, epochs: bool) -> Option<Stamp> {
    let first = at(bytes, pos);
    if first.is_ascii_digit() {
        return numeric(bytes, pos, reference, epochs);
    }
    if first.is_ascii_uppercase() {
        return named(bytes, pos, reference);
    }
    None
}

fn numeric(bytes: &[u8], pos: usize, reference: i64, epochs: bool) -> Option<Stamp> {
    let (value, count) = digits(bytes, pos, 20);
    let next = at(bytes, pos + count);
    match (count, next) {
        (4, b'-' | b'/' | b'.') => year_first(bytes, pos, value, next),
        (8, b'-' | b' ' | b'T' | b'_') => {
            let clock = clock(bytes, pos + 9, false).or_else(|| packed(bytes, pos + 9))?;
            let date = Date { year: value / 10_000, month: value / 100 % 100, day: value % 100 };
            if !(1970..2100).contains(&date.year) {
                return None;
            }
            combine(date, clock)
        }
        (6, b' ') => {
            let clock = packed(bytes, pos + 7)?;
            let date =
                Date { year: 2000 + value / 10_000, month: value / 100 % 100, day: value % 100 };
            combine(date, clock)
        }
        (1 | 2, b'/') => slashed(bytes, pos, value, count),
        (1 | 2, b'-') => {
            if let Some((month, end)) = month(bytes, pos + count + 1) {
                return day_month_year(bytes, value, month, end, b'-');
            }
            let month_day = two(bytes, pos + count + 1)?;
            (count == 2 && at(bytes, pos + 5) == b' ').then_some(())?;
            with_year(reference, value, month_day, clock(bytes, pos + 6, false)?)
        }
        (2, b'.') => dotted(bytes, pos, value, reference),
        (1 | 2, b' ') => {
            let (month, end) = month(bytes, pos + count + 1)?;
            day_month_year(bytes, value, month, end, b' ')
        }
        (1 | 2, b':') => time_of_day(bytes, pos, reference),
        (10 | 13 | 16 | 19, _) if epochs => epoch(bytes, pos, value, count),
        _ => None,
    }
}

/// `HHMMSS`.
fn packed(bytes: &[u8], pos: usize) -> Option<Clock> {
    let value = exact(bytes, pos, 6)?;
    let (hour, minute, second) = (value / 10_000, value / 100 % 100, value % 100);
    let valid = hour < 24 && minute < 60 && second < 61;
    let micros = (hour * 3600 + minute * 60 + second) * SECOND;
    valid.then_some(Clock { micros, offset: 0, end: pos + 6 })
}

/// `2015-07-29 17:41:44,747`, `2015-07-29T17:41:44Z`, `2005-06-03-15.42.50.675872`, `2015/07/29 …`.
fn year_first(bytes: &[u8], pos: usize, year: i64, separator: u8) -> Option<Stamp> {
    let (month, month_digits) = digits(bytes, pos + 5, 2);
    let day_at = pos + 5 + month_digits + 1;
    if month_digits == 0 || at(bytes, day_at - 1) != separator || !(1970..2100).contains(&year) {
        return None;
    }
    let (day, day_digits) = digits(bytes, day_at, 2);
    if day_digits == 0 {
        return None;
    }
    let end = day_at + day_digits;
    let date = Date { year, month, day };
    if matches!(at(bytes, end), b'T' | b't' | b' ' | b'-' | b'_' | b':' | b',') {
        let clock_at = skip_spaces(bytes, end + 1);
        if let Some(clock) = clock(bytes, clock_at, true) {
            return combine(date, clock);
        }
    }
    if at(bytes, end).is_ascii_alphanumeric() {
        return None;
    }
    let micros = midnight(date)?;
    Some(Stamp { micros, end, syslog: false, dated: true, clocked: false })
}

/// `17/06/09 20:10:40`, `10/Oct/2000:13:55:36 -0700`, `12/31/2024 10:11:12`, `5/1/2024, 10:11:12 PM`.
fn slashed(bytes: &[u8], pos: usize, first: i64, count: usize) -> Option<Stamp> {
    let second_at = pos + count + 1;
    if let Some((month, end)) = month(bytes, second_at) {
        return day_month_year(bytes, first, month, end, b'/');
    }
    let (second, second_count) = digits(bytes, second_at, 2);
    let third_at = second_at + second_count + 1;
    if second_count == 0 || at(bytes, third_at - 1) != b'/' {
        return None;
    }
    let (third, third_count) = digits(bytes, third_at, 5);
    let date = match third_count {
        2 if (count, second_count) == (2, 2) => {
            Date { year: 2000 + first, month: second, day: third }
        }
        4 if second <= 12 && first > 12 => Date { year: third, month: second, day: first },
        4 => Date { year: third, month: first, day: second },
        _ => return None,
    };
    let mut clock_at = third_at + third_count;
    if at(bytes, clock_at) == b',' {
        clock_at += 1;
    }
    if at(bytes, clock_at) != b' ' {
        return None;
    }
    combine(date, clock(bytes, clock_at + 1, false)?)
}

/// `10.30 16:49:06` (month first) and `30.10.2024 16:49:06` (day first).
fn dotted(bytes: &[u8], pos: usize, first: i64, reference: i64) -> Option<Stamp> {
    let second = two(bytes, pos + 3)?;
    match at(bytes, pos + 5) {
        b' ' => with_year(reference, first, second, clock(bytes, pos + 6, false)?),
        b'.' => {
            let year = exact(bytes, pos + 6, 4)?;
            let clock = clock(bytes, skip_spaces(bytes, pos + 10), false)?;
            combine(Date { year, month: second, day: first }, clock)
        }
        _ => None,
    }
}

/// The rest of a date whose day and month were read: separator, year, time.
fn day_month_year(bytes: &[u8], day: i64, month: i64, end: usize, separator: u8) -> Option<Stamp> {
    if at(bytes, end) != separator {
        return None;
    }
    let year = exact(bytes, end + 1, 4)?;
    let clock_at = end + 5;
    if !matches!(at(bytes, clock_at), b' ' | b':' | b'T') {
        return None;
    }
    combine(Date { year, month, day }, clock(bytes, clock_at + 1, false)?)
}

/// `12:00:00.123`: the day is the reference's, or the one before.
fn time_of_day(bytes: &[u8], pos: usize, reference: i64) -> Option<Stamp> {
    let clock = clock(bytes, pos, false)?;
    let today = reference.div_euclid(DAY) * DAY;
    let mut micros = today + clock.micros - clock.offset;
    if micros > reference + FUTURE_SLACK {
        micros -= DAY;
    }
    Some(Stamp { micros, end: clock.end, syslog: false, dated: false, clocked: true })
}

/// Seconds (with a fraction), milliseconds, microseconds or nanoseconds since 1970.
fn epoch(bytes: &[u8], pos: usize, value: i64, count: usize) -> Option<Stamp> {
    let micros = epoch_micros(value)?;
    let mut end = pos + count;
    let mut part = 0;
    if count == 10 && at(bytes, end) == b'.' && at(bytes, end + 1).is_ascii_digit() {
        (part, end) = fraction(bytes, end + 1);
    }
    if at(bytes, end).is_ascii_alphanumeric() {
        return None;
    }
    Some(Stamp { micros: micros + part, end, syslog: false, dated: true, clocked: true })
}

/// A number as a time, its unit told by its size; none where it lies outside 2001 to 2100.
pub(crate) fn epoch_micros(value: i64) -> Option<i64> {
    const FROM: i64 = 1_000_000_000;
    const TO: i64 = 4_102_444_800;
    if (FROM..TO).contains(&value) {
        Some(value * SECOND)
    } else if (FROM..TO).contains(&(value / 1_000)) {
        Some(value * 1_000)
    } else if (FROM..TO).contains(&(value / SECOND)) {
        Some(value)
    } else if (FROM..TO).contains(&(value / 1_000_000_000)) {
        Some(value / 1_000)
    } else {
        None
    }
}

/// `Jun 14 15:16:01`, `Sun Dec 04 04:47:44 2005`, `Sun, 04 Dec 2005 04:47:44 GMT`.
fn named(bytes: &[u8], pos: usize, reference: i64) -> Option<Stamp> {
    let after_weekday = weekday(bytes, pos);
    let start = after_weekday.unwrap_or(pos);
    if after_weekday.is_some() && at(bytes, start).is_ascii_digit() {
        let (day, count) = digits(bytes, start, 2);
        let (month, end) = month(bytes, start + count + 1)?;
        return day_month_year(bytes, day, month, end, at(bytes, start + count));
    }
    let (month, end) = month(bytes, start)?;
    if at(bytes, end) != b' ' {
        return None;
    }
    let day_at = skip_spaces(bytes, end);
    let (day, count) = digits(bytes, day_at, 2);
    let after_day = day_at + count;
    if count == 0 {
        return None;
    }
    // `Jan 02, 2024 10:11:12` and `Jan 02 2024 10:11:12`.
    let comma = usize::from(at(bytes, after_day) == b',');
    let year_at = after_day + comma + 1;
    if let Some(year) = exact(bytes, year_at, 4)
        && at(bytes, year_at + 4) == b' '
        && let Some(clock) = clock(bytes, skip_spaces(bytes, year_at + 4), false)
    {
        return combine(Date { year, month, day }, clock);
    }
    if at(bytes, after_day) != b' ' {
        return None;
    }
    let clock = clock(bytes, after_day + 1, false)?;
    let year_at = clock.end + 1;
    if at(bytes, clock.end) == b' '
        && let Some(year) = exact(bytes, year_at, 4)
        && (1970..2100).contains(&year)
        && !at(bytes, year_at + 4).is_ascii_alphanumeric()
    {
        let clock = Clock { end: year_at + 4, ..clock };
        return combine(Date { year, month, day }, clock);
    }
    let stamp = with_year(reference, month, day, clock)?;
    Some(Stamp { syslog: after_weekday.is_none(), ..stamp })
}

/// The month, day and time of a klog line (`I0102 15:04:05.678901`), the letter already passed.
pub(crate) fn klog_at(bytes: &[u8], pos: usize, reference: i64) -> Option<Stamp> {
    let value = exact(bytes, pos, 4)?;
    if at(bytes, pos + 4) != b' ' {
        return None;
    }
    with_year(reference, value / 100, value % 100, clock(bytes, pos + 5, false)?)
}

/// Reads a text that is nothing but a time stamp.
pub(crate) fn parse_whole(text: &str, reference: i64) -> Option<i64> {
    let trimmed = text.trim();
    let stamp = parse_at(trimmed.as_bytes(), 0, reference, true)?;
    (stamp.end == trimmed.len()).then_some(stamp.micros)
}

#[cfg(test)]
mod tests;
