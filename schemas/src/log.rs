//! What the classifier makes of a log: events, their exceptions, and patterns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Severity, in the short names of the OpenTelemetry log model.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Finest detail.
    Trace,
    /// For developers.
    Debug,
    /// Ordinary life.
    #[default]
    Info,
    /// Unusual, not yet a failure.
    Warn,
    /// A failure.
    Error,
    /// The process cannot go on.
    Fatal,
}

impl Severity {
    /// The name as it stands in Avro and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// One frame of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Frame {
    /// Function or method, as the runtime prints it.
    pub function: Option<String>,
    /// Module or package; in Java the class's full name.
    pub module: Option<String>,
    /// File, as the runtime prints it.
    pub file: Option<String>,
    /// Line in the file, from 1.
    pub line: Option<i32>,
    /// Column in the line, from 1.
    pub column: Option<i32>,
    /// Whether the frame belongs to the application rather than to a library or the runtime.
    #[serde(default)]
    pub in_app: bool,
}

/// An exception, a panic or an error with its stack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Exception {
    /// Type, as the runtime prints it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Message, with secrets masked.
    #[serde(default)]
    pub message: String,
    /// Frames, the innermost (where it was raised) first.
    #[serde(default)]
    pub frames: Vec<Frame>,
    /// The exception that caused this one.
    pub cause: Option<Box<Exception>>,
}

impl Exception {
    /// Length of the chain of causes below this one.
    pub fn causes(&self) -> usize {
        let mut length = 0;
        let mut cause = &self.cause;
        while let Some(exception) = cause {
            length += 1;
            cause = &exception.cause;
        }
        length
    }
}

/// One event read from a log: a line, or several that belong together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClassifiedLog {
    /// Stable id of this kind of failure: a pure function of the event.
    pub fingerprint: String,
    /// Id of the template: a pure function of the message.
    pub pattern_id: String,
    /// The message with its variables masked.
    pub template: String,
    /// The stream of lines the event was read from: `service/instance/stream`.
    pub source: String,
    /// Service that wrote the event.
    pub service: String,
    /// When it happened, in microseconds since 1970 UTC.
    pub timestamp: i64,
    /// Whether the event named no time, so that the time of its record was taken.
    #[serde(default)]
    pub timestamp_from_record: bool,
    /// Severity.
    pub severity: Severity,
    /// Category, such as defect, dependency or noise.
    pub category: String,
    /// Why it was put in that category.
    #[serde(default)]
    pub category_reason: String,
    /// The message, with secrets and personal data masked.
    pub message: String,
    /// The exception, where the event holds one.
    pub exception: Option<Exception>,
    /// Frames in which the defect may lie, the likeliest first.
    #[serde(default)]
    pub culprits: Vec<Frame>,
    /// The lines of the source that came just before, the oldest first, masked.
    #[serde(default)]
    pub context: Vec<String>,
    /// Further fields: logger, host, process, thread, trace_id, span_id, http_status, http_route.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Raw lines the event was read from.
    #[serde(default = "one")]
    pub lines: i32,
    /// Secrets that were masked in the event.
    #[serde(default)]
    pub masked: i32,
    /// Whether the event passed the size bound and was cut.
    #[serde(default)]
    pub truncated: bool,
}

/// The default of a count that cannot be nought, as the schema gives it.
fn one() -> i32 {
    1
}

/// A log template, and of which pattern it is an alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern {
    /// Id of the pattern.
    pub id: String,
    /// Template: the message with its variables masked.
    pub template: String,
    /// Id of the pattern that this one turned out to be.
    pub alias_of: Option<String>,
    /// Time of its first event, in microseconds since 1970 UTC.
    pub first_seen: i64,
}
