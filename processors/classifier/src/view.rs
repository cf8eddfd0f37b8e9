//! An event as it was classified, borrowing what it was read from.
//! Promises: what a reader does not ask for is not copied.

use std::borrow::Cow;
use std::rc::Rc;

use hephaestus_schemas::{ClassifiedLog, Exception, Frame, LogFields, Severity};

use crate::assemble::{Assembled, Context};
use crate::classify::Event;
use crate::envelope::Envelope;
use crate::known::Known;
use crate::parse::Parsed;
use crate::route;
use crate::scan::{cut, run_end, slice};

/// Bytes kept of one attribute.
pub(crate) const MAX_ATTRIBUTE: usize = 512;

/// An event, classified, with what it was read from borrowed: what a reader does not ask for is
/// not copied.
#[derive(Debug, Clone)]
pub struct View<'a> {
    pub(crate) event: &'a Assembled,
    pub(crate) context: &'a Context,
    pub(crate) source: &'a str,
    pub(crate) parsed: Parsed<'a>,
    pub(crate) known: Rc<Known>,
    /// Microseconds since 1970 UTC.
    pub timestamp: i64,
    /// How bad it is.
    pub severity: Severity,
    /// The event's own message.
    pub message: Cow<'a, str>,
    /// The exception in it.
    pub exception: Option<Exception>,
    /// Frames that may be to blame, the likeliest first.
    pub culprits: Vec<Frame>,
    pub(crate) with_context: bool,
    /// The event named no time, and no collector did.
    pub(crate) from_record: bool,
}

impl View<'_> {
    /// Offset of the first record.
    pub fn first_offset(&self) -> u64 {
        self.event.first_offset
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> u64 {
        self.event.last_offset
    }

    /// The message without its variables.
    pub fn template(&self) -> &str {
        &self.known.template
    }

    /// Id of the template.
    pub fn pattern_id(&self) -> &str {
        &self.known.pattern_id
    }

    /// The same as a number.
    pub(crate) fn pattern_number(&self) -> u64 {
        self.known.pattern
    }

    /// Id of this kind of event.
    pub fn fingerprint(&self) -> &str {
        &self.known.fingerprint
    }

    /// What kind of event it is.
    pub fn category(&self) -> &str {
        &self.known.category
    }

    /// Whether the event reports a failure.
    pub fn is_failing(&self) -> bool {
        self.severity >= Severity::Error || self.exception.is_some()
    }

    /// The service it comes from.
    pub fn service(&self) -> &str {
        service(&self.parsed, self.event.envelope.as_deref(), self.source)
    }

    /// The records it was read from, as runs of offsets, inclusive.
    pub fn runs(&self) -> Vec<(u64, u64)> {
        crate::assemble::runs(self.first_offset(), self.last_offset(), &self.event.gaps)
    }

    /// Trace context of the first record, or nothing.
    pub fn trace(&self) -> &str {
        &self.event.trace
    }

    /// The event as it is published, and its records, to be kept.
    pub fn to_event(&self) -> Event {
        Event {
            log: Box::new(self.to_log()),
            first_offset: self.first_offset(),
            last_offset: self.last_offset(),
            gaps: self.event.gaps.clone(),
            trace: self.event.trace.clone(),
        }
    }

    /// The event as it is published, to be kept.
    pub fn to_log(&self) -> ClassifiedLog {
        self.fields().to_log()
    }

    /// The event as it is published.
    pub fn fields(&self) -> LogFields<'_> {
        let known = &*self.known;
        LogFields {
            fingerprint: &known.fingerprint,
            pattern_id: &known.pattern_id,
            template: &known.template,
            source: self.source,
            service: self.service(),
            timestamp: self.timestamp,
            timestamp_from_record: self.from_record,
            severity: self.severity,
            category: &known.category,
            category_reason: &known.reason,
            message: &self.message,
            exception: self.exception.as_ref(),
            culprits: &self.culprits,
            context: if self.with_context { self.context.iter().collect() } else { Vec::new() },
            attributes: self.attributes(),
            lines: i32::try_from(self.event.lines).unwrap_or(i32::MAX),
            masked: i32::try_from(self.event.masked).unwrap_or(i32::MAX),
            truncated: self.event.truncated,
        }
    }

    /// Further fields, by name: what the line says goes before what a collector says.
    fn attributes(&self) -> Vec<(&str, &str)> {
        let wrapped = self.event.envelope.iter().flat_map(|envelope| &envelope.attributes);
        let wrapped = wrapped.rev().map(|(name, value)| (&**name, &**value));
        let own = self.parsed.attributes.iter().filter(|(_, value)| !value.is_empty());
        let own = own.map(|(name, value)| (*name, cut(value, MAX_ATTRIBUTE)));
        let route = self.parsed.request.as_ref();
        let route =
            route.map(|request| ("http_route", route::of_template(request, self.template())));
        let mut attributes: Vec<(&str, &str)> =
            route.into_iter().chain(own.rev()).chain(wrapped).collect();
        // Of those of one name the first is kept, which came last.
        attributes.sort_by_key(|(name, _)| *name);
        attributes.dedup_by_key(|(name, _)| *name);
        attributes
    }
}

/// The service an event comes from.
pub(crate) fn service<'a>(
    parsed: &'a Parsed<'_>,
    envelope: Option<&'a Envelope>,
    source: &'a str,
) -> &'a str {
    let wrapped = envelope.and_then(|envelope| envelope.service.as_deref());
    match parsed.service.as_deref().or(wrapped) {
        Some(service) => cut(service, MAX_ATTRIBUTE),
        None => slice(source, 0, run_end(source.as_bytes(), 0, |byte| byte != b'/')),
    }
}
