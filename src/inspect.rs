//! `hephaestus inspect`: classifies lines without a pipeline, one object an event.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use anyhow::{Context, Result};
use hephaestus_classifier::{Classifier, Inspected, Inspection, Summary};
use hephaestus_pipeline::clock;
use serde::Serialize;
use wide::u8x16;

use crate::{cli::InspectArgs, config::Config, output::Output};

/// Bytes read at once.
const PIECE_BYTES: usize = 256 << 10;
/// Bytes of lines that are written at once.
const BUFFERED: usize = 64 << 10;

/// Runs `inspect`.
pub(crate) fn run(arguments: &InspectArgs, config: &Config) -> Result<()> {
    let classifier = Classifier::new(config.classifier.clone());
    let (input, source): (Box<dyn Read>, String) = if arguments.file == Path::new("-") {
        (Box::new(std::io::stdin().lock()), "inspect/local/stdin".to_owned())
    } else {
        let name = arguments.file.display().to_string();
        let file = File::open(&arguments.file).with_context(|| name.clone())?;
        let stem = arguments.file.file_stem().unwrap_or_default().to_string_lossy();
        let part = hephaestus_gateway::source::part(&stem);
        (Box::new(file), format!("{part}/local/file"))
    };
    let mut input = BufReader::with_capacity(PIECE_BYTES, input);
    let mut out = Output::new();
    // The sink cannot fail: the first failure is kept, and nothing is written after it.
    let mut failure = None;
    let mut writer = Writer::default();
    let mut sink = |event: Inspected<'_>| {
        if failure.is_none() {
            failure = writer.line(&event).and_then(|()| writer.pass_on(&mut out, BUFFERED)).err();
        }
    };
    let mut inspection = Inspection::new(&classifier, &source, clock::now_ms());
    let read = inspection.read(&mut input, &mut sink);
    let summary = inspection.finish(&mut sink);
    if let Some(error) = failure {
        return Err(error);
    }
    writer.pass_on(&mut out, 0)?;
    if arguments.summary {
        out.json(&SummaryShown { summary: Counts::from(summary) })?;
    }
    out.flush()?;
    read.with_context(|| arguments.file.display().to_string())
}

/// Writes events as lines of JSON. The members are written one by one: this is most of what
/// `inspect` does beside classifying.
#[derive(Default)]
struct Writer {
    lines: Vec<u8>,
    time: TimeText,
}

impl Writer {
    /// Writes what it holds where that is more than `bound` bytes.
    fn pass_on(&mut self, out: &mut Output, bound: usize) -> Result<()> {
        if self.lines.len() > bound {
            out.bytes(&self.lines)?;
            self.lines.clear();
        }
        Ok(())
    }

    fn line(&mut self, event: &Inspected<'_>) -> Result<()> {
        let view = event.view;
        let line = &mut self.lines;
        line.extend_from_slice(b"{\"first_line\":");
        serde_json::to_writer(&mut *line, &event.first_line)?;
        line.extend_from_slice(b",\"last_line\":");
        serde_json::to_writer(&mut *line, &event.last_line)?;
        line.extend_from_slice(b",\"timestamp\":\"");
        self.time.write(view.timestamp, line);
        line.extend_from_slice(b"\",\"severity\":\"");
        line.extend_from_slice(view.severity.as_str().as_bytes());
        line.extend_from_slice(b"\",\"service\":\"");
        escape(view.service(), line);
        line.extend_from_slice(b"\",\"category\":\"");
        escape(view.category(), line);
        line.extend_from_slice(b"\",\"message\":\"");
        escape(&view.message, line);
        // Ids are hexadecimal digits.
        line.extend_from_slice(b"\",\"pattern_id\":\"");
        line.extend_from_slice(view.pattern_id().as_bytes());
        line.extend_from_slice(b"\",\"template\":\"");
        escape(view.template(), line);
        line.extend_from_slice(b"\",\"fingerprint\":\"");
        line.extend_from_slice(view.fingerprint().as_bytes());
        line.extend_from_slice(b"\",\"exception\":");
        match &view.exception {
            None => line.extend_from_slice(b"null,\"culprits\":[]}\n"),
            Some(exception) => {
                serde_json::to_writer(&mut *line, exception)?;
                line.extend_from_slice(b",\"culprits\":");
                serde_json::to_writer(&mut *line, &view.culprits)?;
                line.extend_from_slice(b"}\n");
            }
        }
        Ok(())
    }
}

/// Bytes that are looked at at once.
const BLOCK: usize = 16;

/// Writes a text as it stands between the quotes of a JSON string.
fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some((block, behind)) = rest.split_first_chunk() {
        // All of it, before it is known how much may stand: of a length that is known it is one store.
        out.extend_from_slice(block);
        rest = match escaped_bytes(block) {
            0 => behind,
            escaped => escape_first(rest, escaped, out),
        };
    }
    while !rest.is_empty() {
        let mut block = [b' '; BLOCK];
        if let Some(start) = block.get_mut(..rest.len()) {
            start.copy_from_slice(rest);
        }
        out.extend_from_slice(&block);
        rest = match escaped_bytes(&block) {
            0 => {
                out.truncate(out.len() - (BLOCK - rest.len()));
                &[]
            }
            escaped => escape_first(rest, escaped, out),
        };
    }
}

/// Which bytes of a block have to be escaped, one bit each: quotes, backslashes and control characters.
#[inline]
fn escaped_bytes(block: &[u8; BLOCK]) -> u32 {
    let bytes = u8x16::new(*block);
    let is_control = bytes.simd_lt(u8x16::splat(b' '));
    let is_mark = bytes.simd_eq(u8x16::splat(b'"')) | bytes.simd_eq(u8x16::splat(b'\\'));
    (is_control | is_mark).to_bitmask()
}

/// Takes back of the block just written what stands from the first escaped byte of `text` on, and writes that byte.
/// Returns what stands behind it.
#[inline]
fn escape_first<'t>(text: &'t [u8], escaped: u32, out: &mut Vec<u8>) -> &'t [u8] {
    let plain = escaped.trailing_zeros() as usize;
    out.truncate(out.len() - BLOCK + plain);
    let Some([byte, behind @ ..]) = text.get(plain..) else { return &[] };
    escape_byte(*byte, out);
    behind
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // Nearly always.
    if byte == b'"' {
        return out.extend_from_slice(b"\\\"");
    }
    match byte {
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        0..0x20 => {
            out.extend_from_slice(b"\\u00");
            out.extend([byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
        }
        _ => out.push(byte),
    }
}

/// Writes times as RFC 3339 with microseconds; events that follow one another often share the second,
/// whose text is kept.
#[derive(Default)]
struct TimeText {
    second: Option<i64>,
    /// `2024-01-31T10:11:12.`
    text: [u8; 20],
}

impl TimeText {
    /// `timestamp` is in microseconds since 1970 UTC.
    fn write(&mut self, timestamp: i64, out: &mut Vec<u8>) {
        let second = timestamp.div_euclid(1_000_000);
        if self.second != Some(second) {
            let Ok(time) = jiff::Timestamp::from_microsecond(timestamp) else {
                return out.extend_from_slice(timestamp.to_string().as_bytes());
            };
            let civil = jiff::tz::Offset::UTC.to_datetime(time);
            let Ok(year) = u32::try_from(civil.year()) else {
                return out.extend_from_slice(format!("{time:.6}").as_bytes());
            };
            let [a, b, c, d] = digits(year);
            let two = |value: i8| digits::<2>(value.unsigned_abs().into());
            let ([e, f], [g, h]) = (two(civil.month()), two(civil.day()));
            let ([i, j], [k, l], [m, n]) =
                (two(civil.hour()), two(civil.minute()), two(civil.second()));
            self.text =
                [a, b, c, d, b'-', e, f, b'-', g, h, b'T', i, j, b':', k, l, b':', m, n, b'.'];
            self.second = Some(second);
        }
        out.extend_from_slice(&self.text);
        out.extend_from_slice(&digits::<6>(timestamp.rem_euclid(1_000_000) as u32));
        out.push(b'Z');
    }
}

/// The last digits of a number.
fn digits<const WIDTH: usize>(value: u32) -> [u8; WIDTH] {
    let mut rest = value;
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

#[derive(Debug, Serialize)]
struct SummaryShown {
    summary: Counts,
}

#[derive(Debug, Serialize)]
struct Counts {
    lines: u64,
    events: u64,
    patterns: u64,
    aliases: BTreeMap<String, String>,
}

impl From<Summary> for Counts {
    fn from(summary: Summary) -> Self {
        let Summary { lines, events, patterns, aliases } = summary;
        Self { lines, events, patterns, aliases }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_are_written_as_json() {
        let every: String = (0..0x180).filter_map(char::from_u32).collect();
        let texts = ["", "plain <ip> é", "a \"b\" \\ c", "tab\there", "line\nfeed", &every];
        for text in texts {
            // Each byte comes to lie at each place of a word.
            for before in 0..8 {
                let text = "!".repeat(before) + text;
                let mut out = vec![b'"'];
                escape(&text, &mut out);
                out.push(b'"');
                assert_eq!(out, serde_json::to_vec(&text).unwrap());
            }
        }
    }

    #[test]
    fn times_have_six_decimals() {
        let mut text = TimeText::default();
        for timestamp in [
            0,
            1,
            -1,
            -1_000_000,
            -70_000_000_000_000_000,
            999_999,
            951_782_400_000_000,
            1_700_000_000_123_456,
            1_700_000_000_120_000,
            4_102_444_799_999_999,
        ] {
            let mut out = Vec::new();
            text.write(timestamp, &mut out);
            let expected = jiff::Timestamp::from_microsecond(timestamp).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("{expected:.6}"));
        }
    }
}
