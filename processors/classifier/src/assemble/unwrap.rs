//! Takes lines out of the envelopes of collectors, and puts the parts of a line together again.

use serde::{Deserialize, Serialize};

use super::{Assembled, Came, Context, Lines, RawLine};
use crate::config::ClassifierConfig;
use crate::envelope::{Envelope, Opened};
use crate::mask::SourceMasker;
use crate::parse::Format;
use crate::scan::{cut, run_end, tail};

/// Parts of one line: runtimes cut at some 16 KiB, so that a line within its bound has few.
const MAX_PARTS: usize = 64;

/// The first parts of a line of one stream, of which the last is still to come. Bounded as lines are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Partial {
    /// Masked: the state leaves the process.
    text: String,
    masked: u32,
    /// A secret reaches up to the end, so that what follows at once belongs to it.
    ends_in_secret: bool,
    /// Of the records of its parts.
    offsets: Vec<u64>,
    timestamp_ms: i64,
    envelope: Envelope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
}

impl Partial {
    pub(super) fn weight(&self) -> usize {
        self.text.len() + size_of::<Self>()
    }

    pub(super) fn first_offset(&self) -> Option<u64> {
        self.offsets.first().copied()
    }

    fn append(&mut self, text: &str, masker: SourceMasker<'_>, config: &ClassifierConfig) {
        let text = if self.ends_in_secret { tail(text, end_of_secret(text)) } else { text };
        // What passes the bound of a line would be cut off in any case.
        let room = (config.max_line_bytes + super::MASK_SLACK).saturating_sub(self.text.len());
        let whole = self.text.len();
        // A secret that began in an earlier part is seen whole; what lies further back was looked at.
        let open = cut(&self.text, whole.saturating_sub(super::MASK_SLACK)).len();
        let mut last = self.text.split_off(open);
        last.push_str(cut(text, room));
        let masked = masker.mask(&last, &mut 0);
        let placeholder = masked.text.rfind('<').map_or("", |open| tail(&masked.text, open));
        self.ends_in_secret = crate::mask::is_placeholder(placeholder);
        self.masked = self.masked.saturating_add(masked.count);
        self.text.push_str(&masked.text);
    }
}

fn end_of_secret(text: &str) -> usize {
    run_end(text.as_bytes(), 0, |byte| !matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b',' | b'&'))
}

impl Lines {
    /// Takes what was in an envelope.
    pub(super) fn unwrap_line(
        &mut self,
        record: RawLine<'_>,
        opened: Opened<'_>,
        masker: SourceMasker<'_>,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&Assembled, &Context),
    ) {
        let Opened { text, is_partial, mut envelope } = opened;
        envelope.mask(masker);
        let stream = envelope.stream();
        let known = self.partials.iter().position(|partial| partial.envelope.stream() == stream);
        let mut partial = match known {
            Some(index) => self.partials.swap_remove(index),
            None if !is_partial => {
                let came = Came { envelope: Some(&envelope), ..Came::of(record) };
                return self.take_text(came, &text, masker, config, sink);
            }
            None => Partial {
                text: String::new(),
                masked: 0,
                ends_in_secret: false,
                offsets: Vec::new(),
                timestamp_ms: record.timestamp_ms,
                envelope,
                format: record.format,
            },
        };
        partial.append(&text, masker, config);
        partial.offsets.push(record.offset);
        if is_partial && partial.offsets.len() < MAX_PARTS {
            self.partials.push(partial);
        } else {
            self.take_partial(partial, record.trace, masker, config, sink);
        }
    }

    /// Takes the lines whose last parts did not come.
    pub(super) fn take_partials(
        &mut self,
        masker: SourceMasker<'_>,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&Assembled, &Context),
    ) {
        for partial in std::mem::take(&mut self.partials) {
            self.take_partial(partial, "", masker, config, sink);
        }
    }

    fn take_partial(
        &mut self,
        partial: Partial,
        trace: &str,
        masker: SourceMasker<'_>,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&Assembled, &Context),
    ) {
        let Some((last, parts)) = partial.offsets.split_last() else { return };
        let came = Came {
            parts,
            offset: *last,
            timestamp_ms: partial.timestamp_ms,
            trace,
            masked: partial.masked,
            envelope: Some(&partial.envelope),
            format: partial.format,
            is_cut: false,
            continues: false,
        };
        self.take_text(came, &partial.text, masker, config, sink);
    }
}
