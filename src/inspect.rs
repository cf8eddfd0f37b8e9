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

use crate::{cli::InspectArgs, config::Config, output::Output};

/// Bytes read at once.
const PIECE_BYTES: usize = 256 << 10;

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
            failure = writer.line(&event).and_then(|line| out.bytes(line)).err();
        }
    };
    let mut inspection = Inspection::new(&classifier, &source, clock::now_ms());
    let read = inspection.read(&mut input, &mut sink);
    let summary = inspection.finish(&mut sink);
    if let Some(error) = failure {
        return Err(error);
    }
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
    line: Vec<u8>,
    time: TimeText,
}

impl Writer {
    fn line(&mut self, event: &Inspected<'_>) -> Result<&[u8]> {
        let view = &event.view;
        let line = &mut self.line;
        line.clear();
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
        serde_json::to_writer(&mut *line, &view.exception)?;
        line.extend_from_slice(b",\"culprits\":");
        serde_json::to_writer(&mut *line, &view.culprits)?;
        line.extend_from_slice(b"}\n");
        Ok(line)
    }
}

/// Writes a text as it stands between the quotes of a JSON string.
fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some((plain, [byte, behind @ ..])) = rest.split_at_checked(plain_run(rest)) {
        out.extend_from_slice(plain);
        escape_byte(*byte, out);
        rest = behind;
    }
    out.extend_from_slice(rest);
}

/// How many bytes stand before the first that has to be escaped. Eight are asked about at once.
fn plain_run(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (word, start) in words.iter().zip((0..).step_by(8)) {
        let plain = plain_bytes(u64::from_le_bytes(*word));
        if plain < word.len() {
            return start + plain;
        }
    }
    let is_escaped = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    bytes.len() - rest.len() + rest.iter().position(is_escaped).unwrap_or(rest.len())
}

/// How many of eight bytes stand before the first that is a quote, a backslash or a control character.
fn plain_bytes(word: u64) -> usize {
    const BYTES: u64 = u64::MAX / 0xff;
    // Sets the highest bit of a byte that is less, and of no byte before the first such.
    let below = |word: u64, bound: u64| word.wrapping_sub(BYTES * bound) & !word;
    let is = |byte: u8| below(word ^ (BYTES * u64::from(byte)), 1);
    let escaped = (below(word, 0x20) | is(b'"') | is(b'\\')) & (BYTES * 0x80);
    (escaped.trailing_zeros() / u8::BITS) as usize
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
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

/// Writes times as RFC 3339 with microseconds; events that follow one another mostly share the
/// second, whose text is kept.
#[derive(Default)]
struct TimeText {
    second: Option<i64>,
    text: String,
}

impl TimeText {
    /// `timestamp` is in microseconds since 1970 UTC.
    fn write(&mut self, timestamp: i64, out: &mut Vec<u8>) {
        let second = timestamp.div_euclid(1_000_000);
        if self.second != Some(second) {
            let Ok(time) = jiff::Timestamp::from_second(second) else {
                return out.extend_from_slice(timestamp.to_string().as_bytes());
            };
            self.text = format!("{time:.0}");
            self.second = Some(second);
        }
        let text = self.text.strip_suffix('Z').unwrap_or(&self.text);
        out.extend_from_slice(text.as_bytes());
        let mut rest = timestamp.rem_euclid(1_000_000);
        let mut digits = *b".000000Z";
        for digit in digits.iter_mut().skip(1).take(6).rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&digits);
    }
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
        for timestamp in
            [0, 1, -1, -1_000_000, 999_999, 1_700_000_000_123_456, 1_700_000_000_120_000]
        {
            let mut out = Vec::new();
            text.write(timestamp, &mut out);
            let expected = jiff::Timestamp::from_microsecond(timestamp).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("{expected:.6}"));
        }
    }
}
