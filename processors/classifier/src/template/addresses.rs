//! Network addresses inside a word: IPv4, IPv6 and hardware addresses, host names.

use super::words::{MAX_IPV6, push_mask, window};
use crate::scan::{at, is_ident, run_end};

/// The end of an IPv4 address at `pos`, without port.
pub(super) fn ipv4_end(bytes: &[u8], pos: usize) -> Option<usize> {
    let mut end = pos;
    for part in 0..4 {
        if part > 0 {
            if at(bytes, end) != b'.' {
                return None;
            }
            end += 1;
        }
        let digits_end = run_end(bytes, end, |byte| byte.is_ascii_digit());
        if !(1..=3).contains(&(digits_end - end)) {
            return None;
        }
        end = digits_end;
    }
    let next = at(bytes, end);
    let more = next == b'.' && at(bytes, end + 1).is_ascii_alphanumeric();
    (!more && !is_ident(next) && next != b'-').then_some(end)
}

/// An IPv4 address, with port or mask length.
pub(super) fn ipv4(bytes: &[u8], pos: usize, out: &mut String) -> Option<usize> {
    let end = ipv4_end(bytes, pos)?;
    push_mask(out, "<ip>");
    Some(port_end(bytes, end))
}

/// Behind a port or a mask length at `pos`, if there is one.
pub(super) fn port_end(bytes: &[u8], pos: usize) -> usize {
    if !matches!(at(bytes, pos), b':' | b'/') {
        return pos;
    }
    let end = run_end(bytes, pos + 1, |byte| byte.is_ascii_digit());
    let length = end - pos - 1;
    if (1..=5).contains(&length) && !is_ident(at(bytes, end)) { end } else { pos }
}

/// An IPv6 or a hardware address: groups of hexadecimal digits between colons.
pub(super) fn ipv6(bytes: &[u8], pos: usize, out: &mut String) -> Option<usize> {
    // Nearly all words end here: no colon stands behind their first digits.
    let group_end = run_end(window(bytes, pos, MAX_IPV6), pos, |byte| byte.is_ascii_hexdigit());
    if at(bytes, group_end) != b':' {
        return None;
    }
    let end =
        run_end(window(bytes, pos, MAX_IPV6), pos, |byte| byte.is_ascii_hexdigit() || byte == b':');
    let text = bytes.get(pos..end)?;
    let colons = text.iter().filter(|byte| **byte == b':').count();
    let shortened = memchr::memmem::find(text, b"::").is_some();
    if !(colons >= 5 || (shortened && colons >= 2)) || is_ident(at(bytes, end)) {
        return None;
    }
    let long = text.split(|byte| *byte == b':').any(|group| group.len() > 5);
    let digits = text.iter().any(u8::is_ascii_digit);
    if long || !digits {
        return None;
    }
    push_mask(out, "<ip>");
    Some(end)
}

/// The end of `:port` behind a host name.
pub(super) fn port_of_host(bytes: &[u8], pos: usize) -> Option<usize> {
    if at(bytes, pos) != b':' {
        return None;
    }
    let end = run_end(bytes, pos + 1, |byte| byte.is_ascii_digit());
    let length = end - pos - 1;
    ((2..=5).contains(&length) && !is_ident(at(bytes, end))).then_some(end)
}

/// Whether a dotted name is that of a host: it ends in a top-level domain.
pub(super) fn is_host(text: &str, dots: usize) -> bool {
    if dots == 0 {
        return false;
    }
    let last = text.rsplit('.').next().unwrap_or("");
    let generic = matches!(
        last,
        "com"
            | "net"
            | "org"
            | "edu"
            | "gov"
            | "mil"
            | "int"
            | "info"
            | "biz"
            | "io"
            | "dev"
            | "app"
            | "cloud"
            | "local"
            | "localdomain"
            | "internal"
            | "lan"
            | "corp"
            | "arpa"
    );
    let country = COUNTRIES.binary_search(&last).is_ok();
    generic || (country && dots >= 2) || (country && text.bytes().any(|byte| byte == b'-'))
}

/// Top-level domains of countries (IANA), sorted, without those that are rather the ending of a file's
/// name or a unit: `as`, `do`, `is`, `la`, `md`, `me`, `mk`, `ml`, `mo`, `ms`, `pm`, `ps`, `py`, `rs`, `sh`, `so`,
/// `st`, `tf`, `tm`, `to`, `vi`, `ws`.
const COUNTRIES: [&str; 221] = [
    "ac", "ad", "ae", "af", "ag", "ai", "al", "am", "ao", "aq", "ar", "at", "au", "aw", "ax", "az",
    "ba", "bb", "bd", "be", "bf", "bg", "bh", "bi", "bj", "bm", "bn", "bo", "br", "bs", "bt", "bw",
    "by", "bz", "ca", "cc", "cd", "cf", "cg", "ch", "ci", "ck", "cl", "cm", "cn", "co", "cr", "cu",
    "cv", "cw", "cx", "cy", "cz", "de", "dj", "dk", "dm", "dz", "ec", "ee", "eg", "er", "es", "et",
    "eu", "fi", "fj", "fk", "fm", "fo", "fr", "ga", "gd", "ge", "gf", "gg", "gh", "gi", "gl", "gm",
    "gn", "gp", "gq", "gr", "gt", "gu", "gw", "gy", "hk", "hm", "hn", "hr", "ht", "hu", "id", "ie",
    "il", "im", "in", "iq", "ir", "it", "je", "jm", "jo", "jp", "ke", "kg", "kh", "ki", "km", "kn",
    "kp", "kr", "kw", "ky", "kz", "lb", "lc", "li", "lk", "lr", "ls", "lt", "lu", "lv", "ly", "ma",
    "mc", "mg", "mh", "mm", "mn", "mp", "mq", "mr", "mt", "mu", "mv", "mw", "mx", "my", "mz", "na",
    "nc", "ne", "nf", "ng", "ni", "nl", "no", "np", "nr", "nu", "nz", "om", "pa", "pe", "pf", "pg",
    "ph", "pk", "pl", "pn", "pr", "pt", "pw", "qa", "re", "ro", "ru", "rw", "sa", "sb", "sc", "sd",
    "se", "sg", "si", "sk", "sl", "sm", "sn", "sr", "ss", "su", "sv", "sx", "sy", "sz", "tc", "td",
    "tg", "th", "tj", "tk", "tl", "tn", "tr", "tt", "tv", "tw", "tz", "ua", "ug", "uk", "us", "uy",
    "uz", "va", "vc", "ve", "vg", "vn", "vu", "wf", "ye", "yt", "za", "zm", "zw",
];
