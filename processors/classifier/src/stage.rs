//! The stage: assembles the lines of each source, classifies events, and shares what is learned of patterns.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use hephaestus_pipeline::{
    clock,
    record::{Origin, Origins, Record, TRACEPARENT},
    stage::{
        Effects, Emitted, Failure, Input, Output, Stage, StageSpec, State, Timer, decode_value,
        register_value,
    },
    table::TableSink,
};
use hephaestus_schemas::{
    ClassifiedLog, LogFields, Pattern, Severity,
    codec::{Codec, EncodeError, Writer},
    topics, wire,
};
use prometheus::core::Collector;

use crate::rules::Idle;
use crate::scan::cut;
use crate::{
    Classifier, ClassifierConfig, Format, PatternTable, RawLine, SourceState, View, template,
};

/// Timer that completes what is pending of a source.
const FLUSH: &str = "flush";
/// Header by which a shipper says what its lines are.
pub const FORMAT: &str = "hephaestus-format";
/// Source of records without a key.
const UNKNOWN_SOURCE: &str = "unknown/unknown/unknown";
/// Records of a source handled between two snapshots of its state.
const MAX_RUN: usize = 2_048;
/// Sources handled at once: the work is the processor's alone.
const CONCURRENCY: usize = 4;
/// How long a pattern that was published may take to come back through the table.
const PUBLISH_AGAIN_MS: i64 = 5_000;

/// raw-logs to classified-logs.
pub struct ClassifierStage {
    classifier: Classifier,
    learned: Arc<Learned>,
    raw_logs: Arc<str>,
    /// A format that is not known was told of: once is enough for the log.
    told_of_format: AtomicBool,
    idle: Mutex<Idle>,
    /// Encodes events, once their schema is registered.
    writer: OnceLock<Writer<ClassifiedLog>>,
}

impl ClassifierStage {
    /// A classifier with these settings.
    pub fn new(config: ClassifierConfig) -> Self {
        let inner =
            Inner { table: PatternTable::new(config.max_patterns), waiting: HashMap::new() };
        Self {
            classifier: Classifier::new(config),
            learned: Arc::new(Learned(Mutex::new(inner))),
            raw_logs: topics::RAW_LOGS.into(),
            told_of_format: AtomicBool::new(false),
            idle: Mutex::default(),
            writer: OnceLock::new(),
        }
    }

    /// The metrics of this stage beside those that every stage has.
    pub fn metrics(&self) -> Vec<Box<dyn Collector>> {
        let rules = self.classifier.event_rules().metric();
        rules.into_iter().map(|metric| Box::new(metric) as Box<dyn Collector>).collect()
    }

    /// Tells of rules that match nothing for long.
    fn look_at_rules(&self) {
        let rules = self.classifier.event_rules();
        if rules.is_empty() {
            return;
        }
        let patience = self.classifier.config().idle_rule_after;
        let patience_ms = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        for rule in idle.look(rules, patience_ms, clock::now_ms()) {
            tracing::warn!(rule, %patience, "rule has matched nothing for long; is it still needed?");
        }
    }

    /// What a record's shipper says that it is. A name that is not known is told of, and its content tells.
    fn format(&self, record: &Record) -> Option<Format> {
        let name = record.headers.text(FORMAT)?;
        let format = Format::named(name);
        if format.is_none() && !self.told_of_format.swap(true, Ordering::Relaxed) {
            let known = Format::NAMED.map(|(name, _)| name).join(", ");
            tracing::warn!(
                header = FORMAT,
                name = ?cut(name, 64),
                origin = %record.origin(),
                "no such format, it is told by the content; known are {known}"
            );
        }
        format
    }

    /// What an event leads to.
    fn emit(&self, event: &Found<'_>, effects: &mut Effects<Written>) -> Result<(), Failure> {
        self.look_at_rules();
        let mut origins = Origins::default();
        for (first, last) in &event.runs {
            let (topic, partition) = (self.raw_logs.clone(), event.partition);
            origins.push(Origin { topic, partition, first: *first, last: *last });
        }
        let fields = &event.fields;
        let patterns = self.learned.observe(event.pattern, fields);
        let Some(writer) = self.writer.get() else {
            let message = "the schema of classified-logs is not registered".to_owned();
            return Err(Failure::Fatal { message });
        };
        let value = writer.encode_fields(fields);
        let value = value.map_err(|error| Failure::reject("encode", error))?;
        let key = Bytes::copy_from_slice(fields.fingerprint.as_bytes());
        effects.emitted.push(Emitted {
            value: Written::Event { key, value },
            origins: Some(origins.clone()),
            traceparent: (!event.trace.is_empty())
                .then(|| Bytes::copy_from_slice(event.trace.as_bytes())),
        });
        for pattern in patterns {
            effects.emit_from(Written::Pattern(pattern), origins.clone());
        }
        Ok(())
    }

    /// What an event of a source leads to.
    fn emit_view(
        &self,
        view: &View<'_>,
        partition: u32,
        effects: &mut Effects<Written>,
    ) -> Result<(), Failure> {
        let found = Found {
            fields: view.fields(),
            pattern: view.pattern_number(),
            runs: view.runs(),
            trace: view.trace(),
            partition,
        };
        self.emit(&found, effects)
    }
}

/// An event, and the records that it was found in.
struct Found<'a> {
    fields: LogFields<'a>,
    /// Id of its pattern.
    pattern: u64,
    runs: Vec<(u64, u64)>,
    /// Trace context of the first record, or nothing.
    trace: &'a str,
    partition: u32,
}

/// What is known of patterns, here and elsewhere.
struct Learned(Mutex<Inner>);

struct Inner {
    table: PatternTable,
    /// Patterns that were published and have not come back, and when they were (milliseconds).
    waiting: HashMap<String, (Pattern, i64)>,
}

impl Learned {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of an event's pattern, of which this is the id; gives what is to be published.
    fn observe(&self, id: u64, log: &LogFields<'_>) -> Vec<Pattern> {
        let mut inner = self.lock();
        let failing = log.severity >= Severity::Error || log.exception.is_some();
        let seen = inner.table.observe_number(id, log.template, log.timestamp, failing);
        for pattern in seen {
            inner.waiting.insert(pattern.id.clone(), (pattern, 0));
        }
        if inner.waiting.is_empty() {
            return Vec::new();
        }
        let now_ms = clock::now_ms();
        let mut patterns = Vec::new();
        for (pattern, published_ms) in inner.waiting.values_mut() {
            if now_ms - *published_ms >= PUBLISH_AGAIN_MS {
                *published_ms = now_ms;
                patterns.push(pattern.clone());
            }
        }
        patterns
    }
}

#[async_trait]
impl TableSink for Learned {
    fn topic(&self) -> &'static str {
        topics::PATTERNS
    }

    async fn apply(&self, record: &Record, codec: &Codec) -> Result<(), Failure> {
        let Some(value) = &record.value else { return Ok(()) };
        let pattern: Pattern = decode_value(value, codec).await?;
        let mut inner = self.lock();
        if inner.waiting.get(&pattern.id).is_some_and(|(waiting, _)| *waiting == pattern) {
            inner.waiting.remove(&pattern.id);
        }
        for pattern in inner.table.apply(&pattern) {
            inner.waiting.insert(pattern.id.clone(), (pattern, 0));
        }
        Ok(())
    }
}

/// What a record of `raw-logs` is.
#[derive(Debug, Clone, PartialEq)]
pub enum RawRecord {
    /// Lines, as they came.
    Lines,
    /// An event that another Hephaestus classified.
    Classified(Box<ClassifiedLog>),
}

impl Input for RawRecord {
    /// What is no event by its schema is taken for lines: nothing is rejected.
    async fn decode(record: &Record, codec: &Codec) -> Result<Self, Failure> {
        let bytes = record.value.as_deref().unwrap_or_default();
        let may_be_event = matches!(wire::split(bytes), Ok((_, [_, ..])));
        if !may_be_event || record.headers.text(FORMAT).is_some() {
            return Ok(Self::Lines);
        }
        match decode_value(bytes, codec).await {
            Ok(log) => Ok(Self::Classified(Box::new(log))),
            Err(Failure::Reject { .. }) => Ok(Self::Lines),
            Err(failure) => Err(failure),
        }
    }
}

/// What the classifier writes.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// An event: its fingerprint, and the event as it is written. It is encoded where it was read: to be kept until
    /// then, each of its texts would be copied.
    Event {
        /// Fingerprint.
        key: Bytes,
        /// The value, in the wire format.
        value: Bytes,
    },
    /// A pattern that is new, or an alias that was learned.
    Pattern(Pattern),
}

impl Output for Written {
    fn topic(&self) -> &'static str {
        match self {
            Self::Event { .. } => topics::CLASSIFIED_LOGS,
            Self::Pattern(_) => topics::PATTERNS,
        }
    }

    fn key(&self) -> Bytes {
        match self {
            Self::Event { key, .. } => key.clone(),
            Self::Pattern(pattern) => Bytes::copy_from_slice(pattern.id.as_bytes()),
        }
    }

    fn encode(&self, codec: &Codec) -> Result<Option<Bytes>, EncodeError> {
        match self {
            Self::Event { value, .. } => Ok(Some(value.clone())),
            Self::Pattern(pattern) => codec.encode(self.topic(), pattern).map(Some),
        }
    }
}

impl State for SourceState {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn weight(&self) -> usize {
        Self::weight(self)
    }
}

fn source_of(key: Option<&Bytes>) -> Cow<'_, str> {
    match key {
        Some(key) if !key.is_empty() => String::from_utf8_lossy(key),
        _ => UNKNOWN_SOURCE.into(),
    }
}

impl Stage for ClassifierStage {
    type Input = RawRecord;
    type Output = Written;
    type State = SourceState;

    fn spec(&self) -> StageSpec {
        StageSpec {
            name: "classifier",
            version: env!("CARGO_PKG_VERSION"),
            reads: vec![topics::RAW_LOGS],
            writes: vec![topics::CLASSIFIED_LOGS, topics::PATTERNS],
            tables: vec![self.learned.clone()],
            stateful: true,
            max_run: MAX_RUN,
            concurrency: CONCURRENCY,
        }
    }

    async fn register(&self, codec: &Codec) -> Result<(), Failure> {
        register_value::<ClassifiedLog>(topics::CLASSIFIED_LOGS, codec).await?;
        let writer = codec.writer::<ClassifiedLog>(topics::CLASSIFIED_LOGS);
        let writer = writer.map_err(|error| Failure::Fatal { message: error.to_string() })?;
        self.writer.get_or_init(|| writer);
        register_value::<Pattern>(topics::PATTERNS, codec).await
    }

    async fn process(
        &self,
        record: &Record,
        input: RawRecord,
        state: &mut SourceState,
        effects: &mut Effects<Written>,
    ) -> Result<(), Failure> {
        let trace = record.headers.text(TRACEPARENT).unwrap_or_default();
        if let RawRecord::Classified(log) = input {
            let log = self.classifier.accept(*log);
            let found = Found {
                fields: log.fields(),
                pattern: template::pattern_number(&log.template),
                runs: vec![(record.offset, record.offset)],
                trace,
                partition: record.partition,
            };
            return self.emit(&found, effects);
        }
        let line = RawLine {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            bytes: record.value.as_deref().unwrap_or_default(),
            trace,
            format: self.format(record),
        };
        let mut emitted = Ok(());
        self.classifier.push_with(state, &source_of(record.key.as_ref()), line, &mut |view| {
            if emitted.is_ok() {
                emitted = self.emit_view(view, record.partition, effects);
            }
        });
        emitted?;
        if state.is_idle() {
            effects.cancel_timer(FLUSH);
        } else {
            let timeout = self.classifier.config().flush_timeout_ms;
            let timeout = i64::try_from(timeout).unwrap_or(i64::MAX);
            effects.set_timer(FLUSH, clock::now_ms().saturating_add(timeout));
        }
        Ok(())
    }

    async fn on_timer(
        &self,
        timer: &Timer,
        state: &mut SourceState,
        effects: &mut Effects<Written>,
    ) -> Result<(), Failure> {
        let mut emitted = Ok(());
        self.classifier.flush_with(state, &source_of(Some(&timer.key)), &mut |view| {
            if emitted.is_ok() {
                emitted = self.emit_view(view, timer.partition, effects);
            }
        });
        emitted
    }
}

#[cfg(test)]
mod tests {
    use hephaestus_pipeline::record::Headers;

    use super::*;

    /// What a codec takes, by default and on an ordinary Kafka broker.
    const MAX_VALUE: usize = 1_000_000;

    #[test]
    fn a_shipper_says_in_a_header_what_its_lines_are() {
        let stage = ClassifierStage::new(ClassifierConfig::default());
        let mut record = Record {
            topic: topics::RAW_LOGS.into(),
            partition: 0,
            offset: 7,
            timestamp_ms: 0,
            key: None,
            value: None,
            headers: Headers::default(),
        };
        assert_eq!(stage.format(&record), None);
        record.headers.push(FORMAT, "yaml");
        assert_eq!(stage.format(&record), None, "what is not known is told by its content");
        record.headers = Headers::default();
        record.headers.push(FORMAT, "Logfmt");
        assert_eq!(stage.format(&record), Some(Format::Logfmt));
    }

    #[test]
    fn whatever_a_line_holds_the_state_of_its_source_can_be_written() {
        let classifier = Classifier::new(ClassifierConfig::default());
        for filling in [0u8, b'"', b'\\', 0xff, 0x1f, b'x'] {
            let mut state = SourceState::default();
            let mut push = |offset: u64, bytes: &[u8]| {
                let line = RawLine { offset, timestamp_ms: 0, bytes, ..RawLine::default() };
                classifier.push(&mut state, "s/i/o", line);
            };
            push(0, b"Traceback (most recent call last):");
            let mut line = b"    ".to_vec();
            line.resize(60_000, filling);
            // Every second record belongs to another source, as in a busy partition.
            (1..=5).for_each(|n| push(n * 2, &line));
            (6..9_000).for_each(|n| push(n * 2, b"    x"));
            assert!(!state.is_idle(), "{filling:#x} is pending");
            let json = serde_json::to_string(&state).unwrap_or_default();
            assert!((200_000..MAX_VALUE).contains(&json.len()), "{filling:#x}: {}", json.len());
        }
    }
}
