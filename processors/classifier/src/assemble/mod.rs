//! Joins the lines of one source to events: tracebacks, panics, dumps, indented continuations.
//! Promises: the state holds no secret, is bounded, and can be stored and resumed between any two
//! records; what comes out depends on the source's lines alone.

mod clean;
mod context;
mod entry;
mod event;
mod join;
mod source;
mod unwrap;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::config::ClassifierConfig;
use crate::envelope::{self, Envelope};
use crate::mask::SourceMasker;
use crate::parse::{self, Format, Wrapped};
use crate::scan::{cut, holds};
use clean::{trim_blanks, with_plain_json, without_escapes};
pub use context::Context;
pub use event::Assembled;
pub(crate) use event::runs;
use join::{Decision, Shape, Waiting};
pub use source::SourceState;
use unwrap::Partial;

/// Lines held back while it is open whether they belong to the pending event.
const MAX_HELD_LINES: usize = 64;
/// Bytes held back likewise.
const MAX_HELD_BYTES: usize = 16 * 1024;
/// Bytes read past the bound of a line, so that a secret across the cut is still seen whole.
pub(crate) const MASK_SLACK: usize = 4096;

/// A record of a source: one line, or several parted by line feeds.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawLine<'a> {
    /// Its offset in its partition.
    pub offset: u64,
    /// Its time, in milliseconds since 1970 UTC.
    pub timestamp_ms: i64,
    /// What the shipper sent.
    pub bytes: &'a [u8],
    /// Its W3C trace context, or nothing.
    pub trace: &'a str,
    /// What it is, where its shipper says so; else it is told by its content.
    pub format: Option<Format>,
}

/// A line held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wrapped: Option<Wrapped>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    trace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    envelope: Option<Box<Envelope>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    /// Offsets of the records of its earlier parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<u64>,
    offset: u64,
    timestamp_ms: i64,
    masked: u32,
    truncated: bool,
}

/// What is remembered of one stream of lines between two of its records.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Lines {
    pending: Option<Assembled>,
    held: Vec<Held>,
    held_bytes: usize,
    context: Context,
    /// Lines of a private key still awaited.
    key_lines: u32,
    /// Lines of which the last part is awaited, one of each stream at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    partials: Vec<Partial>,
}

/// One masked line on its way into the state.
struct Line<'a> {
    text: &'a str,
    /// The syslog header before it.
    wrapped: Option<Wrapped>,
    /// The same message as the line before, whatever it holds.
    continues: bool,
    trace: &'a str,
    envelope: Option<&'a Envelope>,
    format: Option<Format>,
    parts: &'a [u64],
    offset: u64,
    timestamp_ms: i64,
    masked: u32,
    truncated: bool,
    inside_key: bool,
}

/// How a line came: in which records, at what time, wrapped in what.
#[derive(Clone, Copy)]
struct Came<'a> {
    /// Offsets of the records of its earlier parts.
    parts: &'a [u64],
    offset: u64,
    timestamp_ms: i64,
    trace: &'a str,
    /// Secrets that were masked already.
    masked: u32,
    envelope: Option<&'a Envelope>,
    format: Option<Format>,
    /// Whether something of it was left out.
    is_cut: bool,
    /// Whether it is of the same message as the line before.
    continues: bool,
}

impl<'a> Came<'a> {
    fn of(record: RawLine<'a>) -> Self {
        Self {
            parts: &[],
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            trace: record.trace,
            masked: 0,
            envelope: None,
            format: record.format,
            is_cut: false,
            continues: false,
        }
    }
}

impl<'a> Line<'a> {
    /// What a program wrote, without the header of a syslog daemon.
    fn inner(&self) -> &'a str {
        self.wrapped.map_or(self.text, |wrapped| wrapped.inner(self.text))
    }
}

impl Lines {
    /// Whether nothing waits for a further line.
    fn is_idle(&self) -> bool {
        self.pending.is_none() && self.held.is_empty() && self.partials.is_empty()
    }

    /// Bytes it takes in memory, roughly.
    fn weight(&self) -> usize {
        let pending = self.pending.as_ref().map_or(0, |pending| {
            let envelope = pending.envelope.as_deref().map_or(0, Envelope::weight);
            pending.text.len() + pending.trace.len() + envelope + pending.gaps.len() * 16
        });
        let context: usize = self.context.bytes();
        let partials: usize = self.partials.iter().map(Partial::weight).sum();
        pending + self.held_bytes + context + partials + size_of::<Self>()
    }

    /// Offset of the oldest record whose event is not complete.
    fn oldest_offset(&self) -> Option<u64> {
        let pending = self.pending.as_ref().map(|pending| pending.first_offset);
        pending.into_iter().chain(self.partials.iter().filter_map(Partial::first_offset)).min()
    }

    /// Takes a record; hands every event that it completes to `sink`, with the lines before it.
    fn push(
        &mut self,
        record: RawLine<'_>,
        masker: SourceMasker<'_>,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&Assembled, &Context),
    ) {
        let mut bytes = record.bytes;
        if let [rest @ .., b'\n'] = bytes {
            bytes = rest;
        }
        if !holds(bytes, b'\n') {
            return self.take(record, bytes, masker, config, sink);
        }
        let mut start = 0;
        // A syslog daemon sends a message as one record, with the line feeds that were in it.
        let mut is_message = false;
        for end in memchr::memchr_iter(b'\n', bytes).chain(std::iter::once(bytes.len())) {
            let line = bytes.get(start..end).unwrap_or(&[]);
            let is_wrapped =
                std::str::from_utf8(line).is_ok_and(|line| parse::wrapped(line).is_some());
            if is_message && !is_wrapped {
                let (text, is_cut) = bounded_text(line, config);
                let came = Came { is_cut, continues: true, ..Came::of(record) };
                self.take_text(came, &text, masker, config, sink);
            } else {
                self.take(record, line, masker, config, sink);
            }
            is_message |= is_wrapped;
            start = end + 1;
        }
    }

    /// Completes what is pending, as when no further line came in time.
    fn flush(
        &mut self,
        masker: SourceMasker<'_>,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&Assembled, &Context),
    ) {
        self.take_partials(masker, config, sink);
        // Releasing held lines makes the last of them pending, which is released in its turn.
        self.release(config, sink);
        self.emit(config, sink);
        debug_assert!(self.is_idle());
    }

    /// Cleans and masks a raw line, and takes it.
    fn take(
        &mut self,
        record: RawLine<'_>,
        raw: &[u8],
        masker: SourceMasker<'_>,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&Assembled, &Context),
    ) {
        let (text, is_cut) = bounded_text(raw, config);
        // A part of a line may end in blanks that belong to it.
        let clean = without_escapes(text.trim_end_matches(['\r', '\n']));
        let came = Came { is_cut, ..Came::of(record) };
        let opened = match record.format {
            Some(Format::Plain) => None,
            _ => envelope::open(&clean, record.timestamp_ms.saturating_mul(1_000)),
        };
        if let Some(opened) = opened {
            return self.unwrap_line(record, opened, masker, config, sink);
        }
        match parse::unescaped(&clean) {
            Some(text) => self.take_text(came, &text, masker, config, sink),
            None => self.with_clean(came, trim_blanks(&clean), masker, config, |lines, line| {
                lines.add(line, config, sink);
            }),
        }
    }

    /// Takes a text that was in an envelope: one line, or several.
    fn take_text(
        &mut self,
        mut came: Came<'_>,
        text: &str,
        masker: SourceMasker<'_>,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&Assembled, &Context),
    ) {
        for line in text.split('\n') {
            self.with_line(came, line, masker, config, |lines, line| lines.add(line, config, sink));
            came.masked = 0;
            came.continues = true;
        }
    }

    /// Bounds, cleans and masks a line of a text, and hands it to `take`.
    fn with_line(
        &mut self,
        came: Came<'_>,
        text: &str,
        masker: SourceMasker<'_>,
        config: &ClassifierConfig,
        take: impl FnOnce(&mut Self, &Line<'_>),
    ) {
        let bounded = cut(text, config.max_line_bytes + MASK_SLACK);
        let clean = without_escapes(bounded);
        let is_cut = came.is_cut || bounded.len() < text.len();
        self.with_clean(Came { is_cut, ..came }, trim_blanks(&clean), masker, config, take);
    }

    /// Masks a clean line, and hands it to `take`.
    fn with_clean(
        &mut self,
        came: Came<'_>,
        clean: &str,
        masker: SourceMasker<'_>,
        config: &ClassifierConfig,
        take: impl FnOnce(&mut Self, &Line<'_>),
    ) {
        let plain = with_plain_json(clean);
        let masked = masker.mask(&plain, &mut self.key_lines);
        let kept = cut(&masked.text, config.max_line_bytes);
        let is_syslog = !masked.inside_key && matches!(came.format, None | Some(Format::Syslog));
        let line = Line {
            text: kept,
            wrapped: if is_syslog { parse::wrapped(kept) } else { None },
            continues: came.continues,
            trace: came.trace,
            envelope: came.envelope,
            format: came.format,
            parts: came.parts,
            offset: came.offset,
            timestamp_ms: came.timestamp_ms,
            masked: came.masked.saturating_add(masked.count),
            truncated: came.is_cut || kept.len() < masked.text.len(),
            inside_key: masked.inside_key,
        };
        take(self, &line);
    }

    fn add(
        &mut self,
        line: &Line<'_>,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&Assembled, &Context),
    ) {
        let Some(pending) = &self.pending else {
            return self.open(line, config, sink);
        };
        if pending.lines < config.max_event_lines
            && let Some((text, shape, expects)) = join::of_logcat(pending, line.text)
        {
            return self.join(&Line { text, ..*line }, shape, expects, config);
        }
        let decision = if line.inside_key {
            Decision::Join(pending.shape, pending.expects)
        } else {
            let waiting = match self.held.last() {
                None => Waiting::Nothing,
                Some(_) if self.held.iter().all(|held| held.text.is_empty()) => Waiting::Blank,
                Some(_) => Waiting::Lines,
            };
            join::decide_line(pending, line, waiting)
        };
        let full = pending.lines >= config.max_event_lines;
        match decision {
            Decision::Join(shape, expects) if !full => self.join(line, shape, expects, config),
            Decision::Hold if !full => self.hold(line, config, sink),
            _ => {
                self.release(config, sink);
                self.emit(config, sink);
                self.open(line, config, sink);
            }
        }
    }

    /// Begins an event with a line; one that is known to be whole is completed at once.
    fn open(
        &mut self,
        line: &Line<'_>,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&Assembled, &Context),
    ) {
        self.begin(line);
        let is_access = self.pending.as_ref().is_some_and(|pending| pending.access.is_some());
        if is_access || join::is_object(line.text) {
            self.emit(config, sink);
        }
    }

    /// Begins an event with a line.
    fn begin(&mut self, line: &Line<'_>) {
        let (shape, expects) = join::open(line.inner());
        let shape =
            if shape == Shape::Blank && !line.text.is_empty() { Shape::Plain } else { shape };
        let mut event = Assembled {
            text: line.text.to_owned(),
            first_offset: line.parts.first().copied().unwrap_or(line.offset),
            last_offset: line.parts.first().copied().unwrap_or(line.offset),
            gaps: Vec::new(),
            trace: line.trace.to_owned(),
            envelope: line.envelope.cloned().map(Box::new),
            format: line.format,
            wrapped: line.wrapped,
            access: parse::access(line.text, line.timestamp_ms.saturating_mul(1_000)),
            timestamp_ms: line.timestamp_ms,
            lines: 1,
            masked: line.masked,
            truncated: line.truncated,
            shape,
            expects,
            extra: 0,
        };
        event.reach_all(line.parts);
        event.reach(line.offset);
        self.pending = Some(event);
    }

    fn join(&mut self, line: &Line<'_>, shape: Shape, expects: bool, config: &ClassifierConfig) {
        let Some(pending) = &mut self.pending else { return };
        for held in self.held.drain(..) {
            pending.reach_all(&held.parts);
            let text = held.wrapped.map_or(&*held.text, |wrapped| wrapped.inner(&held.text));
            pending.append(text, held.offset, held.masked, held.truncated, config);
        }
        self.held_bytes = 0;
        pending.reach_all(line.parts);
        pending.append(line.inner(), line.offset, line.masked, line.truncated, config);
        let follows_trace = shape == pending.shape && shape == Shape::PythonEnd;
        pending.extra = if follows_trace { pending.extra + 1 } else { 0 };
        pending.shape = shape;
        pending.expects = expects;
    }

    fn hold(
        &mut self,
        line: &Line<'_>,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&Assembled, &Context),
    ) {
        let weight = line.text.len() + line.envelope.map_or(0, Envelope::weight);
        let full = self.held.len() >= MAX_HELD_LINES || self.held_bytes + weight > MAX_HELD_BYTES;
        if full {
            self.release(config, sink);
            if let Some(pending) = &mut self.pending {
                pending.expects = false;
            }
            return self.add(line, config, sink);
        }
        self.held_bytes += weight;
        self.held.push(Held {
            text: line.text.to_owned(),
            wrapped: line.wrapped,
            trace: line.trace.to_owned(),
            envelope: line.envelope.cloned().map(Box::new),
            format: line.format,
            parts: line.parts.to_vec(),
            offset: line.offset,
            timestamp_ms: line.timestamp_ms,
            masked: line.masked,
            truncated: line.truncated,
        });
    }

    /// Gives up waiting: blank lines count to the pending event, the first other one ends it, and
    /// the rest are taken as if they came only now, with nothing expected any more.
    fn release(&mut self, config: &ClassifierConfig, sink: &mut impl FnMut(&Assembled, &Context)) {
        let held = std::mem::take(&mut self.held);
        self.held_bytes = 0;
        for line in held {
            let line_ref = Line {
                text: &line.text,
                wrapped: line.wrapped,
                continues: false,
                trace: &line.trace,
                envelope: line.envelope.as_deref(),
                format: line.format,
                parts: &line.parts,
                offset: line.offset,
                timestamp_ms: line.timestamp_ms,
                masked: line.masked,
                truncated: line.truncated,
                inside_key: false,
            };
            if let Some(pending) = &mut self.pending {
                pending.expects = false;
                let blank = line.text.is_empty();
                if blank {
                    pending.lines = pending.lines.saturating_add(1);
                    pending.reach_all(&line.parts);
                    pending.reach(line.offset);
                    continue;
                }
                if let Decision::Join(shape, _) =
                    join::decide_line(pending, &line_ref, Waiting::Nothing)
                {
                    self.join(&line_ref, shape, false, config);
                    continue;
                }
            }
            self.emit(config, sink);
            self.open(&line_ref, config, sink);
            if let Some(pending) = &mut self.pending {
                pending.expects = false;
            }
        }
    }

    fn emit(&mut self, config: &ClassifierConfig, sink: &mut impl FnMut(&Assembled, &Context)) {
        if let Some(event) = self.pending.take() {
            sink(&event, &self.context);
            self.context.add(event.text, event.lines, config);
        }
    }
}

/// A raw line as text, and whether it passed its bound and was cut.
fn bounded_text<'a>(raw: &'a [u8], config: &ClassifierConfig) -> (Cow<'a, str>, bool) {
    let bounded = raw.get(..config.max_line_bytes + MASK_SLACK).unwrap_or(raw);
    // Valid text, which is nearly all of it, is checked much faster than it is repaired.
    let text = match std::str::from_utf8(bounded) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bounded),
    };
    (text, bounded.len() < raw.len())
}
