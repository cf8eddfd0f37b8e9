//! What another Hephaestus classified, sent into `raw-logs`: it keeps what it says and is trusted in nothing.
//! Promises: masked as lines are, bounded, with ids that are computed here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use hephaestus_schemas::{ClassifiedLog, Exception, Frame, Severity};

use crate::assemble::MASK_SLACK;
use crate::config::ClassifierConfig;
use crate::exception::{MAX_CHAIN, MAX_FRAMES, MAX_MESSAGE};
use crate::mask::Masker;
use crate::scan::cut;
use crate::{culprit, fingerprint, template};

/// Bytes kept of a name: a type, a function, a source, an attribute.
const MAX_NAME: usize = 512;
/// Attributes kept.
const MAX_ATTRIBUTES: usize = 64;

/// Masks texts and counts what was masked.
struct Cleaner<'a> {
    masker: &'a Masker,
    masked: u32,
}

/// The event as it is published: masked again, bounded, its ids computed from what it says.
pub(crate) fn accept(
    mut log: ClassifiedLog,
    masker: &Masker,
    config: &ClassifierConfig,
) -> ClassifiedLog {
    let mut cleaner = Cleaner { masker, masked: 0 };
    log.truncated |= log.message.len() > config.max_event_bytes;
    cleaner.text(&mut log.message, config.max_event_bytes);
    cleaner.text(&mut log.template, config.max_event_bytes);
    let names = [&mut log.source, &mut log.service, &mut log.category, &mut log.category_reason];
    for name in names {
        cleaner.text(name, MAX_NAME);
    }
    let mut link = log.exception.as_mut();
    for _ in 1..MAX_CHAIN {
        let Some(exception) = link else { break };
        cleaner.exception(exception);
        link = exception.cause.as_deref_mut();
    }
    if let Some(last) = link {
        cleaner.exception(last);
        last.cause = None;
    }
    log.culprits.truncate(culprit::MAX_CULPRITS);
    log.culprits.iter_mut().for_each(|frame| cleaner.frame(frame));
    log.context.truncate(config.context_lines);
    log.context.iter_mut().for_each(|line| cleaner.text(line, config.context_line_bytes));
    let attributes = std::mem::take(&mut log.attributes);
    for (mut name, mut value) in attributes.into_iter().take(MAX_ATTRIBUTES) {
        cleaner.attribute(&mut name, &mut value);
        log.attributes.insert(name, value);
    }
    log.lines = log.lines.max(1);
    let masked = i32::try_from(cleaner.masked).unwrap_or(i32::MAX);
    log.masked = log.masked.max(0).saturating_add(masked);
    if log.template.is_empty() {
        log.template = template::template(&log.message);
    }
    log.pattern_id = template::pattern_id(&log.template);
    log.fingerprint = match &log.exception {
        Some(exception) => fingerprint::of_exception(exception),
        None => fingerprint::of_line(&log.template, log.severity >= Severity::Error),
    };
    log
}

impl Cleaner<'_> {
    fn exception(&mut self, exception: &mut Exception) {
        self.text(&mut exception.type_name, MAX_NAME);
        self.text(&mut exception.message, MAX_MESSAGE);
        exception.frames.truncate(MAX_FRAMES);
        exception.frames.iter_mut().for_each(|frame| self.frame(frame));
    }

    fn frame(&mut self, frame: &mut Frame) {
        let names = [&mut frame.function, &mut frame.module, &mut frame.file];
        for name in names.into_iter().flatten() {
            self.text(name, MAX_NAME);
        }
    }

    /// Masks and cuts an attribute. Its name may say that the value is a secret, which the value alone does not.
    fn attribute(&mut self, name: &mut String, value: &mut String) {
        self.text(name, MAX_NAME);
        self.text(value, MAX_NAME);
        let pair = serde_json::json!({ name.as_str(): value.as_str() }).to_string();
        let masked = self.masker.mask(&pair, &mut 0);
        if masked.count == 0 {
            return;
        }
        self.masked = self.masked.saturating_add(masked.count);
        // Placeholders leave JSON what it is; a pair that cannot be read is not shown.
        let read: BTreeMap<String, String> = serde_json::from_str(&masked.text).unwrap_or_default();
        (*name, *value) = read.into_iter().next().unwrap_or_default();
    }

    /// Masks each line of a text, and cuts it: a secret across the cut is still seen whole.
    fn text(&mut self, text: &mut String, max: usize) {
        let looked_at = cut(text, max + MASK_SLACK).len();
        text.truncate(looked_at);
        // A private key reaches over lines.
        let mut key_lines = 0;
        let mut lines = Vec::new();
        let mut is_changed = false;
        for line in text.split('\n') {
            let masked = self.masker.mask(line, &mut key_lines);
            self.masked = self.masked.saturating_add(masked.count);
            is_changed |= matches!(masked.text, Cow::Owned(_));
            lines.push(masked.text);
        }
        if is_changed {
            *text = lines.join("\n");
        }
        let kept = cut(text, max).len();
        text.truncate(kept);
    }
}
