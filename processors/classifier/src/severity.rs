//! Reads severities: words, single letters, numbers of pino and of syslog.
//! Promises: one table of words for every format.

use hephaestus_schemas::Severity;

use crate::scan::{at, from, run_end};

/// The severity a word names, in any case.
pub(crate) fn from_word(word: &[u8]) -> Option<Severity> {
    if word.len() < 3 || word.len() > 13 {
        return None;
    }
    let mut lower = [0u8; 13];
    for (target, source) in lower.iter_mut().zip(word) {
        *target = source.to_ascii_lowercase();
    }
    let lower = lower.get(..word.len()).unwrap_or(&[]);
    Some(match lower {
        b"trace" | b"finest" | b"finer" | b"verbose" | b"vrb" | b"trc" | b"trce" => Severity::Trace,
        b"debug" | b"fine" | b"dbg" | b"dbug" => Severity::Debug,
        b"info" | b"information" | b"informational" | b"notice" | b"inf" | b"config" => {
            Severity::Info
        }
        b"warn" | b"warning" | b"wrn" => Severity::Warn,
        b"error" | b"err" | b"severe" | b"failure" => Severity::Error,
        b"fatal" | b"critical" | b"crit" | b"alert" | b"emerg" | b"emergency" | b"panic"
        | b"ftl" => Severity::Fatal,
        _ => return None,
    })
}

/// The severity a single letter names, as Android and klog write it.
pub(crate) fn from_letter(letter: u8) -> Option<Severity> {
    Some(match letter {
        b'V' => Severity::Trace,
        b'D' => Severity::Debug,
        b'I' => Severity::Info,
        b'W' => Severity::Warn,
        b'E' => Severity::Error,
        b'F' => Severity::Fatal,
        _ => return None,
    })
}

/// The severity in a syslog priority (RFC 5424, section 6.2.1).
pub(crate) fn from_syslog(priority: u32) -> Severity {
    match priority % 8 {
        0..=2 => Severity::Fatal,
        3 => Severity::Error,
        4 => Severity::Warn,
        5 | 6 => Severity::Info,
        _ => Severity::Debug,
    }
}

/// The severity a number in JSON names: pino and bunyan use 10 to 60, syslog and GELF 0 to 7.
pub(crate) fn from_number(number: i64) -> Option<Severity> {
    Some(match number {
        0..=7 => from_syslog(number as u32),
        8..=19 => Severity::Trace,
        20..=29 => Severity::Debug,
        30..=39 => Severity::Info,
        40..=49 => Severity::Warn,
        50..=59 => Severity::Error,
        60..=99 => Severity::Fatal,
        _ => return None,
    })
}

/// The severity a number of OpenTelemetry names ("Logs Data Model", `SeverityNumber`): four to each, from 1.
pub(crate) fn from_open_telemetry(number: i64) -> Option<Severity> {
    Some(match number {
        1..=4 => Severity::Trace,
        5..=8 => Severity::Debug,
        9..=12 => Severity::Info,
        13..=16 => Severity::Warn,
        17..=20 => Severity::Error,
        21..=24 => Severity::Fatal,
        _ => return None,
    })
}

/// The severity that a message itself opens with, as `error: …`, `Fatal error: …` or `PHP Warning: …`.
pub(crate) fn hint(message: &str) -> Option<Severity> {
    let is_php = at(message.as_bytes(), 0) == b'P' && message.starts_with("PHP ");
    let bytes = from(message.as_bytes(), if is_php { 4 } else { 0 });
    let end = run_end(bytes, 0, |byte| byte.is_ascii_alphabetic());
    let word = bytes.get(..end)?;
    let behind = from(bytes, end);
    match (word, behind) {
        // .NET's console logger; elsewhere the word is a verb.
        (b"fail", [b':', ..]) => Some(Severity::Error),
        (_, [b':', ..]) => from_word(word),
        (b"Fatal" | b"fatal", _) if behind.starts_with(b" error:") => Some(Severity::Fatal),
        (b"Parse" | b"Compile" | b"Core", _) if behind.starts_with(b" error:") => {
            Some(Severity::Error)
        }
        _ => None,
    }
}
