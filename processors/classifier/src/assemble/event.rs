//! An event while its lines come: it grows within its bound, and knows which records it reaches.

use serde::{Deserialize, Serialize};

use super::join::Shape;
use crate::config::ClassifierConfig;
use crate::envelope::Envelope;
use crate::parse::{Access, Format, Wrapped};
use crate::scan::cut;

/// An event: the masked lines that belong together, and where they came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Assembled {
    /// The lines, parted by line feeds.
    pub text: String,
    /// Offset of the record of the first line.
    pub first_offset: u64,
    /// Offset of the record of the last line.
    pub last_offset: u64,
    /// Runs of offsets between the first and the last that belong to other sources, inclusive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<(u64, u64)>,
    /// Trace context of the first line's record, or nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace: String,
    /// What the collector wrapped around the first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Box<Envelope>>,
    /// What the first line is, where its shipper or the configuration says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The syslog header before the first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wrapped: Option<Wrapped>,
    /// The parts of its line where that is one of an access log: it is complete then, and never kept.
    #[serde(skip)]
    pub(crate) access: Option<Access>,
    /// Time of the first line's record, in milliseconds since 1970 UTC.
    pub timestamp_ms: i64,
    /// Lines, blank ones behind the event included.
    pub lines: u32,
    /// Secrets that were masked.
    pub masked: u32,
    /// Whether a line or the event passed its bound and was cut.
    pub truncated: bool,
    pub(super) shape: Shape,
    /// Whether its message or frames are still to come.
    pub(super) expects: bool,
    /// Lines behind the trace that were taken for a part of it.
    pub(super) extra: u32,
}

impl Assembled {
    /// The first line, as its program wrote it.
    pub(super) fn own_line(&self) -> &str {
        let first = self.text.split('\n').next().unwrap_or("");
        self.wrapped.map_or(first, |wrapped| wrapped.inner(first))
    }

    /// Adds a record. It may lie before others: the parts of a line wait for its end while lines of other
    /// streams go on.
    pub(super) fn reach(&mut self, offset: u64) {
        if offset < self.first_offset {
            if offset + 1 < self.first_offset {
                self.gaps.insert(0, (offset + 1, self.first_offset - 1));
            }
            self.first_offset = offset;
            return;
        }
        if offset <= self.last_offset {
            return self.fill(offset);
        }
        let next = self.last_offset.saturating_add(1);
        if offset > next {
            self.gaps.push((next, offset - 1));
        }
        self.last_offset = offset;
    }

    /// Takes a record out of the gap that it lies in.
    fn fill(&mut self, offset: u64) {
        let index = self.gaps.partition_point(|(_, to)| *to < offset);
        let Some((from, to)) = self.gaps.get(index).copied().filter(|(from, _)| *from <= offset)
        else {
            return;
        };
        let before = (from < offset).then(|| (from, offset - 1));
        let after = (offset < to).then(|| (offset + 1, to));
        self.gaps.splice(index..=index, before.into_iter().chain(after));
    }

    pub(super) fn reach_all(&mut self, offsets: &[u64]) {
        offsets.iter().for_each(|offset| self.reach(*offset));
    }

    pub(super) fn append(
        &mut self,
        text: &str,
        offset: u64,
        masked: u32,
        truncated: bool,
        config: &ClassifierConfig,
    ) {
        self.lines = self.lines.saturating_add(1);
        self.reach(offset);
        self.masked = self.masked.saturating_add(masked);
        self.truncated |= truncated;
        // A private key is one placeholder, however many lines it took.
        if text == crate::mask::PRIVATE_KEY && self.text.ends_with(text) {
            return;
        }
        let room = config.max_event_bytes.saturating_sub(self.text.len() + 1);
        let kept = cut(text, room);
        self.truncated |= kept.len() < text.len();
        if self.shape == Shape::Blank {
            self.text.clear();
        } else if room > 0 {
            // The header of an entry of logcat and its first line are read as one.
            let is_header = self.shape == Shape::Logcat && self.lines == 2;
            self.text.push(if is_header { ' ' } else { '\n' });
        }
        self.text.push_str(kept);
    }
}

/// The offsets from `first` to `last` without the gaps, as runs, inclusive.
pub(crate) fn runs(first: u64, last: u64, gaps: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut runs = Vec::with_capacity(gaps.len() + 1);
    let mut start = first;
    for (from, to) in gaps {
        runs.push((start, from.saturating_sub(1)));
        start = to.saturating_add(1);
    }
    runs.push((start, last));
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_event_knows_its_records_in_whatever_order_they_came(
            offsets in proptest::collection::vec(0u64..24, 1..12),
        ) {
            let first = offsets.first().copied().unwrap_or(0);
            let mut event =
                Assembled { first_offset: first, last_offset: first, ..Assembled::default() };
            event.reach_all(&offsets);
            let found: Vec<u64> = runs(event.first_offset, event.last_offset, &event.gaps)
                .into_iter()
                .flat_map(|(first, last)| first..=last)
                .collect();
            let mut expected = offsets.clone();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(found, expected);
        }
    }
}
