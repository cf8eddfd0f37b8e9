//! From an assembled event to a `ClassifiedLog`.
//! Promises: a pure function of the event, its source's name and its context.

use std::borrow::Cow;
use std::rc::Rc;

use hephaestus_schemas::{ClassifiedLog, Exception, Severity};

use crate::assemble::{Assembled, Context, RawLine, SourceState};
use crate::category::Categories;
use crate::config::ClassifierConfig;
use crate::exception::{self, Rules};
use crate::known::{self, Known};
use crate::mask::Masker;
use crate::parse::{self, Format, Parsed};
use crate::rules::{EventRules, Facts};
use crate::scan::{cut, slice, tail};
use crate::view::{MAX_ATTRIBUTE, View, service};
use crate::{culprit, fingerprint, passed, route, template};

/// An event, classified, and the records it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What is published.
    pub log: Box<ClassifiedLog>,
    /// Offset of the first record.
    pub first_offset: u64,
    /// Offset of the last record.
    pub last_offset: u64,
    /// Runs of offsets between them that belong to other sources, inclusive.
    pub gaps: Vec<(u64, u64)>,
    /// Trace context of the first record, or nothing.
    pub trace: String,
}

impl Event {
    /// The records it was read from, as runs of offsets, inclusive.
    pub fn runs(&self) -> Vec<(u64, u64)> {
        crate::assemble::runs(self.first_offset, self.last_offset, &self.gaps)
    }
}

/// Turns records into events. It holds no state of a source and is shared by all of them.
#[derive(Debug, Clone)]
pub struct Classifier {
    config: ClassifierConfig,
    masker: Masker,
    rules: Rules,
    categories: Categories,
    event_rules: EventRules,
}

impl Classifier {
    /// A classifier with these settings.
    pub fn new(config: ClassifierConfig) -> Self {
        let masker = Masker::new(&config);
        let rules = Rules::new(&config.in_app, &config.not_in_app);
        let event_rules = EventRules::new(&config.rules);
        Self { config, masker, rules, categories: Categories::default(), event_rules }
    }

    /// The settings.
    pub fn config(&self) -> &ClassifierConfig {
        &self.config
    }

    /// The rules of the configuration, compiled.
    pub(crate) fn event_rules(&self) -> &EventRules {
        &self.event_rules
    }

    /// Takes a record of `source` (`service/instance/stream`) and returns the events it completes.
    pub fn push(&self, state: &mut SourceState, source: &str, record: RawLine<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        self.push_with(state, source, record, &mut |view| events.push(view.to_event()));
        events
    }

    /// As `push`, but hands a view of each event to `sink`.
    pub fn push_with(
        &self,
        state: &mut SourceState,
        source: &str,
        record: RawLine<'_>,
        sink: &mut impl FnMut(&View<'_>),
    ) {
        let format = record.format.or_else(|| self.config.format_of(source));
        let record = RawLine { format, ..record };
        state.push(source, record, &self.masker, &self.config, &mut |source, event, context| {
            sink(&self.view(source, event, context));
        });
    }

    /// Completes what is pending of a source: no further line came within the time-out.
    pub fn flush(&self, state: &mut SourceState, source: &str) -> Vec<Event> {
        let mut events = Vec::new();
        self.flush_with(state, source, &mut |view| events.push(view.to_event()));
        events
    }

    /// As `flush`, but hands a view of each event to `sink`.
    pub fn flush_with(
        &self,
        state: &mut SourceState,
        source: &str,
        sink: &mut impl FnMut(&View<'_>),
    ) {
        state.flush(source, &self.masker, &self.config, &mut |source, event, context| {
            sink(&self.view(source, event, context));
        });
    }

    /// What another Hephaestus classified, as it is published: masked again, its ids computed here, and
    /// the rules of the configuration applied.
    pub fn accept(&self, log: ClassifiedLog) -> ClassifiedLog {
        let mut log = passed::accept(log, &self.masker, &self.config);
        let known = Known {
            pattern: template::pattern_number(&log.template),
            template: std::mem::take(&mut log.template),
            pattern_id: std::mem::take(&mut log.pattern_id),
            fingerprint: std::mem::take(&mut log.fingerprint),
            category: std::mem::take(&mut log.category).into(),
            reason: std::mem::take(&mut log.category_reason).into(),
        };
        let facts = Facts {
            message: &log.message,
            service: &log.service,
            logger: log.attributes.get("logger").map(String::as_str),
            exception: log.exception.as_ref(),
            route: log.attributes.get("http_route").map(String::as_str),
        };
        let known = self.event_rules.apply(&facts, &known).unwrap_or(known);
        ClassifiedLog {
            template: known.template,
            pattern_id: known.pattern_id,
            fingerprint: known.fingerprint,
            category: known.category.into_owned(),
            category_reason: known.reason.into_owned(),
            ..log
        }
    }

    /// Classifies an event.
    pub fn classify(&self, source: &str, event: &Assembled, context: &Context) -> ClassifiedLog {
        self.view(source, event, context).to_log()
    }

    fn view<'a>(&self, source: &'a str, event: &'a Assembled, context: &'a Context) -> View<'a> {
        let record_micros = event.timestamp_ms.saturating_mul(1_000);
        // A line feed is looked for where there may be one.
        let (first_line, rest) =
            if event.lines == 1 { (&*event.text, "") } else { split_first_line(&event.text) };
        let mut parsed = match event.format {
            Some(format) => parse::parse_as(first_line, format, record_micros),
            // In no other line was one of an access log looked for.
            None if event.lines == 1 => {
                parse::parse_after(first_line, event.access.as_ref(), record_micros)
            }
            None => parse::parse(first_line, record_micros),
        };
        let wrapped = event.envelope.as_deref();
        if let Some(envelope) = wrapped {
            parsed.severity = parsed.severity.or(envelope.severity);
            if parsed.error_type.is_none() {
                parsed.error_type = envelope.error_type.as_deref().map(Cow::Borrowed);
                parsed.error_message = envelope.error_message.as_deref().map(Cow::Borrowed);
            }
        }
        let timestamp = parsed.timestamp.or(wrapped.and_then(|envelope| envelope.timestamp));
        let simple = rest.is_empty() && parsed.stack.is_none() && parsed.error_type.is_none();
        let recalled = if simple && parsed.request.is_none() {
            known::recall(&parsed.message, severity(&parsed, None))
        } else {
            None
        };
        // A line of an access log holds none.
        let without = recalled.is_some() || (simple && parsed.format == Format::Access);
        let found = if without { None } else { self.exception(&mut parsed, rest) };
        let message = message(&mut parsed, rest, found.as_ref());
        let exception = found.map(|found| found.exception);
        let severity = severity(&parsed, exception.as_ref());
        let failing = severity >= Severity::Error || exception.is_some();
        let known = match (&exception, &parsed.request) {
            (None, None) => {
                recalled.unwrap_or_else(|| known::of_message(&message, severity, &self.categories))
            }
            (None, Some(request)) => {
                let verdict = |template: &str| self.categories.of_request(template, request.status);
                known::of_request(failing, verdict, |template| {
                    route::write_template(request, template);
                })
            }
            (Some(exception), request) => {
                let mut template = String::new();
                match request {
                    Some(request) => route::write_template(request, &mut template),
                    None => template::template_into(&message, &mut template),
                }
                let verdict = self.categories.of_exception(exception);
                Rc::new(Known::new(template, fingerprint::of_exception(exception), verdict))
            }
        };
        let known = if self.event_rules.is_empty() {
            known
        } else {
            let service = service(&parsed, wrapped, source);
            self.ruled(known, &parsed, service, &message, exception.as_ref())
        };
        let culprits =
            exception.as_ref().map(|found| culprit::rank(found, &self.rules)).unwrap_or_default();
        View {
            event,
            context,
            source,
            timestamp: timestamp.unwrap_or(record_micros),
            from_record: timestamp.is_none(),
            known,
            severity,
            message,
            exception,
            culprits,
            with_context: failing || severity >= Severity::Warn,
            parsed,
        }
    }

    /// What is known of an event, as the rules of the configuration have it.
    fn ruled(
        &self,
        known: Rc<Known>,
        parsed: &Parsed<'_>,
        service: &str,
        message: &str,
        exception: Option<&Exception>,
    ) -> Rc<Known> {
        let route = parsed.request.as_ref().map(|request| {
            let mut text = String::new();
            route::write(request, &mut text);
            text
        });
        let logger = parsed.attributes.iter().find(|(name, _)| *name == "logger");
        let facts = Facts {
            message,
            service,
            logger: logger.map(|(_, logger)| cut(logger, MAX_ATTRIBUTE)),
            exception,
            route: route.as_deref(),
        };
        self.event_rules.apply(&facts, &known).map_or(known, Rc::new)
    }

    /// The exception in an event: in a field of its own, or in the text.
    fn exception(&self, parsed: &mut Parsed<'_>, rest: &str) -> Option<exception::Found> {
        if let Some(stack) = &parsed.stack
            && let Some(mut found) = exception::find(stack, &self.rules)
        {
            if let Some(type_name) = &parsed.error_type
                && (found.exception.type_name.is_empty() || found.exception.type_name == "Error")
            {
                found.exception.type_name = type_name.to_string();
            }
            // A stack of Go's has no message of its own.
            if found.exception.message.is_empty()
                && let Some(message) = &parsed.error_message
            {
                found.exception.message = cut(message, exception::MAX_MESSAGE).to_owned();
            }
            found.start = usize::MAX;
            return Some(found);
        }
        let found = if rest.is_empty() {
            exception::find(&parsed.message, &self.rules)
        } else {
            exception::find(&format!("{}{rest}", parsed.message), &self.rules)
        };
        if found.is_some() {
            return found;
        }
        let type_name = parsed.error_type.as_deref().filter(|name| !name.is_empty())?;
        let message = parsed.error_message.as_deref().unwrap_or("");
        let exception = Exception {
            type_name: cut(type_name, MAX_ATTRIBUTE).to_owned(),
            message: cut(message, exception::MAX_MESSAGE).to_owned(),
            ..Exception::default()
        };
        Some(exception::Found { exception, start: usize::MAX })
    }
}

/// The first line, and the rest with the line feed before it.
fn split_first_line(text: &str) -> (&str, &str) {
    match memchr::memchr(b'\n', text.as_bytes()) {
        Some(end) => (slice(text, 0, end), tail(text, end)),
        None => (text, ""),
    }
}

/// The event's own message: what stands before the trace, or else the exception's type and message.
fn message<'a>(
    parsed: &mut Parsed<'a>,
    rest: &str,
    found: Option<&exception::Found>,
) -> Cow<'a, str> {
    let own = std::mem::take(&mut parsed.message);
    let Some(found) = found else {
        return if rest.is_empty() { own } else { Cow::Owned(format!("{own}{rest}")) };
    };
    let whole: Cow<'_, str> = if rest.is_empty() || found.start == usize::MAX {
        own
    } else {
        Cow::Owned(format!("{own}{rest}"))
    };
    // pytest frames a test's name in underscores.
    let before = cut(&whole, found.start).trim().trim_matches('_').trim();
    let stripped = before.trim_end_matches([':', '-', ' ']);
    if stripped.is_empty() {
        let exception = &found.exception;
        return Cow::Owned(if exception.message.is_empty() {
            exception.type_name.clone()
        } else {
            format!("{}: {}", exception.type_name, exception.message)
        });
    }
    Cow::Owned(before.to_owned())
}

fn severity(parsed: &Parsed<'_>, exception: Option<&Exception>) -> Severity {
    if let Some(severity) = parsed.severity {
        return severity;
    }
    match exception {
        Some(exception) => match exception.type_name.as_str() {
            "fatal error" | "Fatal error" | "runtime error" => Severity::Fatal,
            "goroutine" => Severity::Info,
            _ => Severity::Error,
        },
        None => Severity::Info,
    }
}
