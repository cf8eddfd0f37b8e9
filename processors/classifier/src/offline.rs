//! Classifies a whole input at once, as `inspect` does.
//! Promises: one event after the other in bounded memory, with the lines each was read from.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use hephaestus_schemas::ClassifiedLog;

use crate::alias::PatternTable;
use crate::assemble::{RawLine, SourceState};
use crate::classify::Classifier;
use crate::view::View;

/// An event and its place in the input.
#[derive(Debug, Clone, PartialEq)]
pub struct InspectedEvent {
    /// Its first line, from 1.
    pub first_line: u64,
    /// Its last line.
    pub last_line: u64,
    /// The event.
    pub log: ClassifiedLog,
}

/// An event and its place in the input, as it is read.
#[derive(Debug, Clone, Copy)]
pub struct Inspected<'a> {
    /// Its first line, from 1.
    pub first_line: u64,
    /// Its last line.
    pub last_line: u64,
    /// The event.
    pub view: &'a View<'a>,
}

impl Inspected<'_> {
    /// The event, to be kept.
    pub fn into_owned(self) -> InspectedEvent {
        let log = self.view.to_log();
        InspectedEvent { first_line: self.first_line, last_line: self.last_line, log }
    }
}

/// What was seen of an input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Lines read.
    pub lines: u64,
    /// Events found.
    pub events: u64,
    /// Patterns found, aliases counted as the pattern they became.
    pub patterns: u64,
    /// Ids of patterns that turned out to be another, and that other's id.
    pub aliases: BTreeMap<String, String>,
}

/// Reads an input line by line and hands each event to `sink`. `reference_ms` (milliseconds since
/// 1970) stands in for the time of the records that there are none of.
pub struct Inspection<'a> {
    classifier: &'a Classifier,
    source: String,
    reference_ms: i64,
    state: SourceState,
    table: PatternTable,
    lines: u64,
    events: u64,
}

impl<'a> Inspection<'a> {
    /// An inspection of one source.
    pub fn new(classifier: &'a Classifier, source: &str, reference_ms: i64) -> Self {
        Self {
            classifier,
            source: source.to_owned(),
            reference_ms,
            state: SourceState::default(),
            table: PatternTable::new(classifier.config().max_patterns),
            lines: 0,
            events: 0,
        }
    }

    /// Takes one line, with or without its line feed.
    pub fn line(&mut self, bytes: &[u8], sink: &mut impl FnMut(Inspected<'_>)) {
        self.lines += 1;
        let record = RawLine {
            offset: self.lines,
            timestamp_ms: self.reference_ms,
            bytes,
            ..RawLine::default()
        };
        let (table, events) = (&mut self.table, &mut self.events);
        self.classifier.push_with(&mut self.state, &self.source, record, &mut |view| {
            *events += 1;
            sink(inspected(table, view));
        });
    }

    /// Takes a whole input that lies in memory.
    pub fn bytes(&mut self, input: &[u8], sink: &mut impl FnMut(Inspected<'_>)) {
        let input = input.strip_suffix(b"\n").unwrap_or(input);
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', input).chain(std::iter::once(input.len())) {
            self.line(input.get(start..end).unwrap_or(&[]), sink);
            start = end + 1;
        }
    }

    /// Takes an input to its end. A line longer than the bound is read on without being kept.
    ///
    /// # Errors
    /// What the input's reader reports.
    pub fn read(
        &mut self,
        input: &mut impl BufRead,
        sink: &mut impl FnMut(Inspected<'_>),
    ) -> io::Result<()> {
        // Past this the line is cut anyway; the rest is only counted as read.
        let bound =
            self.classifier.config().max_line_bytes.saturating_mul(2).saturating_add(64 * 1024);
        let mut line: Vec<u8> = Vec::new();
        loop {
            line.clear();
            let mut ended = false;
            let mut read_any = false;
            while !ended {
                let chunk = input.fill_buf()?;
                if chunk.is_empty() {
                    break;
                }
                let (taken, end) = match memchr::memchr(b'\n', chunk) {
                    Some(found) => (found, found + 1),
                    None => (chunk.len(), chunk.len()),
                };
                ended = end > taken;
                // A line that lies in one piece, as most do, is not copied.
                if ended && !read_any && taken <= bound {
                    self.line(chunk.get(..taken).unwrap_or(&[]), sink);
                    input.consume(end);
                    ended = false;
                    continue;
                }
                read_any = true;
                let room = bound.saturating_sub(line.len()).min(taken);
                line.extend_from_slice(chunk.get(..room).unwrap_or(&[]));
                input.consume(end);
            }
            if !read_any {
                return Ok(());
            }
            self.line(&line, sink);
        }
    }

    /// Ends the input: hands over what is pending, and says what was seen.
    pub fn finish(mut self, sink: &mut impl FnMut(Inspected<'_>)) -> Summary {
        let (table, events) = (&mut self.table, &mut self.events);
        self.classifier.flush_with(&mut self.state, &self.source, &mut |view| {
            *events += 1;
            sink(inspected(table, view));
        });
        Summary {
            lines: self.lines,
            events: self.events,
            patterns: self.table.canonical_count() as u64,
            aliases: self.table.aliases(),
        }
    }
}

fn inspected<'a>(table: &mut PatternTable, view: &'a View<'a>) -> Inspected<'a> {
    table.learn(view.pattern_number(), view.template(), view.timestamp, view.is_failing());
    Inspected { first_line: view.first_offset(), last_line: view.last_offset(), view }
}
