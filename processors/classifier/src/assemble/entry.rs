//! Takes log records that came many in one record: lines of a stream, or events.

use super::{Assembled, Came, Context, Lines, RawLine};
use crate::config::ClassifierConfig;
use crate::envelope::{self, Opened};
use crate::mask::SourceMasker;
use crate::otlp::Entry;

impl Lines {
    /// Takes a log record of this stream.
    pub(super) fn take_entry(
        &mut self,
        record: RawLine<'_>,
        entry: Entry,
        masker: SourceMasker<'_>,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&Assembled, &Context),
    ) {
        let Entry { text, is_event, mut envelope, .. } = entry;
        if is_event {
            envelope.mask(masker);
            let came = Came { envelope: Some(&envelope), ..Came::of(record) };
            return self.take_event(came, &text, masker, config, sink);
        }
        let text = text.trim_end_matches(['\r', '\n']);
        // A collector that reads a container's file passes on what the runtime wrote.
        let reference = record.timestamp_ms.saturating_mul(1_000);
        let opened = match envelope::open(text, reference) {
            Some(mut opened) => {
                opened.envelope.complete(envelope);
                opened
            }
            None => Opened { text: text.into(), is_partial: false, envelope },
        };
        self.unwrap_line(record, opened, masker, config, sink);
    }

    /// Takes the lines of an event that nothing before it or behind it belongs to.
    fn take_event(
        &mut self,
        mut came: Came<'_>,
        text: &str,
        masker: SourceMasker<'_>,
        config: &ClassifierConfig,
        sink: &mut impl FnMut(&Assembled, &Context),
    ) {
        self.release(config, sink);
        self.emit(config, sink);
        for line in text.trim_end_matches(['\r', '\n']).split('\n') {
            self.with_line(came, line, masker, config, |lines, line| {
                let room = lines.pending.as_ref().map(|pending| {
                    (pending.lines < config.max_event_lines, pending.shape, pending.expects)
                });
                match room {
                    Some((true, shape, expects)) => lines.join(line, shape, expects, config),
                    _ => {
                        lines.emit(config, sink);
                        lines.begin(line);
                    }
                }
            });
            came.masked = 0;
        }
        self.emit(config, sink);
    }
}
