//! An event as it is written, without being made: most are read from a line, written, and forgotten.

use crate::{ClassifiedLog, Exception, Frame, Severity};

/// The fields of a [`ClassifiedLog`], under the same names, with their texts lying elsewhere.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct LogFields<'a> {
    pub fingerprint: &'a str,
    pub pattern_id: &'a str,
    pub template: &'a str,
    pub source: &'a str,
    pub service: &'a str,
    pub timestamp: i64,
    pub timestamp_from_record: bool,
    pub severity: Severity,
    pub category: &'a str,
    pub category_reason: &'a str,
    pub message: &'a str,
    pub exception: Option<&'a Exception>,
    pub culprits: &'a [Frame],
    pub context: Vec<&'a str>,
    /// Sorted by name, and no name twice.
    pub attributes: Vec<(&'a str, &'a str)>,
    pub lines: i32,
    pub masked: i32,
    pub truncated: bool,
}

impl ClassifiedLog {
    /// Its fields, borrowed.
    pub fn fields(&self) -> LogFields<'_> {
        LogFields {
            fingerprint: &self.fingerprint,
            pattern_id: &self.pattern_id,
            template: &self.template,
            source: &self.source,
            service: &self.service,
            timestamp: self.timestamp,
            timestamp_from_record: self.timestamp_from_record,
            severity: self.severity,
            category: &self.category,
            category_reason: &self.category_reason,
            message: &self.message,
            exception: self.exception.as_ref(),
            culprits: &self.culprits,
            context: self.context.iter().map(String::as_str).collect(),
            attributes: self.attributes.iter().map(|(name, value)| (&**name, &**value)).collect(),
            lines: self.lines,
            masked: self.masked,
            truncated: self.truncated,
        }
    }
}

impl LogFields<'_> {
    /// The event, to be kept.
    pub fn to_log(&self) -> ClassifiedLog {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        ClassifiedLog {
            fingerprint: self.fingerprint.to_owned(),
            pattern_id: self.pattern_id.to_owned(),
            template: self.template.to_owned(),
            source: self.source.to_owned(),
            service: self.service.to_owned(),
            timestamp: self.timestamp,
            timestamp_from_record: self.timestamp_from_record,
            severity: self.severity,
            category: self.category.to_owned(),
            category_reason: self.category_reason.to_owned(),
            message: self.message.to_owned(),
            exception: self.exception.cloned(),
            culprits: self.culprits.to_vec(),
            context: self.context.iter().map(|line| (*line).to_owned()).collect(),
            attributes: self.attributes.iter().map(owned).collect(),
            lines: self.lines,
            masked: self.masked,
            truncated: self.truncated,
        }
    }
}
