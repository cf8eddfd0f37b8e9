//! What is remembered of the source that a record's key names: of its own lines, and of each stream that a collector
//! wrote into records of that key. Promises: lines of two streams never mix; the sum is bounded as one event is.

use serde::{Deserialize, Serialize};

use super::{Assembled, Context, Lines, RawLine};
use crate::config::ClassifierConfig;
use crate::mask::Masker;
use crate::otlp;
use crate::parse::Format;

/// Streams in the records of one key that are remembered; the one that was silent the longest is forgotten first.
const MAX_STREAMS: usize = 64;

/// What is remembered between two records of one key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SourceState {
    lines: Lines,
    /// The streams inside of records, the one that spoke last at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    streams: Vec<Stream>,
}

/// A stream that a record names inside, and not by its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stream {
    /// Its name, `service/instance/stream`, masked.
    source: String,
    /// Time of the record of its last line, in milliseconds since 1970 UTC.
    last_ms: i64,
    lines: Lines,
}

impl SourceState {
    /// Whether nothing waits for a further line.
    pub fn is_idle(&self) -> bool {
        self.lines.is_idle() && self.streams.iter().all(|stream| stream.lines.is_idle())
    }

    /// Bytes it takes in memory, roughly.
    pub fn weight(&self) -> usize {
        let streams = self.streams.iter().map(|stream| {
            stream.source.len() + size_of::<Stream>() - size_of::<Lines>() + stream.lines.weight()
        });
        self.lines.weight() + streams.sum::<usize>()
    }

    /// Offset of the oldest record whose event is not complete.
    pub fn oldest_offset(&self) -> Option<u64> {
        let streams = self.streams.iter().filter_map(|stream| stream.lines.oldest_offset());
        self.lines.oldest_offset().into_iter().chain(streams).min()
    }

    /// Takes a record of `source`; hands every event that it completes to `sink`, with the name of its source and the
    /// lines before it.
    pub fn push(
        &mut self,
        source: &str,
        record: RawLine<'_>,
        masker: &Masker,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&str, &Assembled, &Context),
    ) {
        match otlp::read(record.bytes, record.format, source) {
            Some(entries) => {
                let record = RawLine { format: None, ..record };
                for entry in entries {
                    self.take_entry(record, entry, masker, config, sink);
                }
            }
            None => {
                let format = match record.format {
                    // It was said to be what it is not.
                    Some(Format::OtlpProto | Format::OtlpJson) => Some(Format::Plain),
                    format => format,
                };
                let record = RawLine { format, ..record };
                let sink = &mut |event: &Assembled, context: &Context| sink(source, event, context);
                self.lines.push(record, masker.of(source), config, sink);
            }
        }
        if !self.streams.is_empty() {
            self.bound(record.timestamp_ms, masker, config, sink);
        }
    }

    /// Completes what is pending, as when no further line came in time.
    pub fn flush(
        &mut self,
        source: &str,
        masker: &Masker,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&str, &Assembled, &Context),
    ) {
        self.lines
            .flush(masker.of(source), config, &mut |event, context| sink(source, event, context));
        for stream in &mut self.streams {
            stream.flush(masker, config, sink);
        }
    }

    fn take_entry(
        &mut self,
        record: RawLine<'_>,
        entry: otlp::Entry,
        masker: &Masker,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&str, &Assembled, &Context),
    ) {
        let masked = masker.mask(&entry.source, &mut 0).text;
        let known = self.streams.iter().rposition(|stream| stream.source == masked);
        match known {
            Some(index) => {
                if let Some(behind) = self.streams.get_mut(index..) {
                    behind.rotate_left(1);
                }
            }
            None => {
                if self.streams.len() >= MAX_STREAMS {
                    self.forget_oldest(masker, config, sink);
                }
                let source = masked.into_owned();
                let last_ms = record.timestamp_ms;
                self.streams.push(Stream { source, last_ms, lines: Lines::default() });
            }
        }
        let Some(Stream { source, last_ms, lines }) = self.streams.last_mut() else { return };
        let sink = &mut |event: &Assembled, context: &Context| sink(source, event, context);
        // Its silence is over, too late for what was pending.
        if is_over(*last_ms, record.timestamp_ms, config) {
            lines.flush(masker.of(source), config, sink);
        }
        *last_ms = record.timestamp_ms;
        lines.take_entry(record, entry, masker.of(source), config, sink);
    }

    /// Completes what waited too long, since a record of another stream puts off the timer of the key, and forgets
    /// streams for as long as all of them take more than an event may.
    fn bound(
        &mut self,
        now_ms: i64,
        masker: &Masker,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&str, &Assembled, &Context),
    ) {
        for stream in &mut self.streams {
            if is_over(stream.last_ms, now_ms, config) && !stream.lines.is_idle() {
                stream.flush(masker, config, sink);
            }
        }
        while self.weight() > config.max_event_bytes
            && self.streams.len() + usize::from(!self.lines.is_idle()) > 1
        {
            self.forget_oldest(masker, config, sink);
        }
    }

    fn forget_oldest(
        &mut self,
        masker: &Masker,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&str, &Assembled, &Context),
    ) {
        self.streams.remove(0).flush(masker, config, sink);
    }
}

impl Stream {
    fn flush(
        &mut self,
        masker: &Masker,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&str, &Assembled, &Context),
    ) {
        let Self { source, lines, .. } = self;
        lines.flush(masker.of(source), config, &mut |event, context| sink(source, event, context));
    }
}

/// Whether a stream whose last line came at `last_ms` was silent for longer than an event waits.
fn is_over(last_ms: i64, now_ms: i64, config: &ClassifierConfig) -> bool {
    let silent_ms = u64::try_from(now_ms.saturating_sub(last_ms)).unwrap_or(0);
    silent_ms > config.flush_timeout_ms
}
