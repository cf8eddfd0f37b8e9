//! Dead letters: the original bytes, key and headers, and why the record could not be handled.

use std::sync::Arc;

use super::output::OutputHeaders;
use crate::{
    clock,
    record::{NewRecord, ORIGIN, Record, STAGE},
};

/// Longest message a dead letter carries, in bytes.
const MAX_MESSAGE: usize = 1_024;

/// Why a record is a dead letter.
pub(crate) struct Reason<'a> {
    pub(crate) stage: &'static str,
    pub(crate) class: &'static str,
    pub(crate) message: &'a str,
    pub(crate) attempts: u32,
}

/// The dead letter of a record.
pub(crate) fn letter(
    topic: &Arc<str>,
    output: &OutputHeaders,
    record: &Record,
    reason: &Reason<'_>,
) -> NewRecord {
    let mut headers = record.headers.clone();
    headers.0.retain(|(name, _)| name.as_ref() != ORIGIN && name.as_ref() != STAGE);
    headers.push(ORIGIN, record.origin().to_string());
    headers.push(STAGE, output.stage());
    headers.push("hephaestus-error-class", reason.class);
    headers.push("hephaestus-error-message", bounded(reason.message));
    headers.push("hephaestus-error-stage", reason.stage);
    headers.push("hephaestus-error-topic", record.topic.to_string());
    headers.push("hephaestus-error-partition", record.partition.to_string());
    headers.push("hephaestus-error-offset", record.offset.to_string());
    headers.push("hephaestus-error-timestamp", clock::now_ms().to_string());
    headers.push("hephaestus-error-attempts", reason.attempts.to_string());
    let value = record.value.as_deref().unwrap_or_default();
    if let Ok((schema, _)) = hephaestus_schemas::wire::split(value) {
        headers.push("hephaestus-error-schema-id", schema.to_string());
    }
    NewRecord {
        topic: topic.clone(),
        partition: Some(record.partition),
        timestamp_ms: record.timestamp_ms,
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
    }
}

fn bounded(message: &str) -> String {
    let end = message.floor_char_boundary(MAX_MESSAGE);
    message.get(..end).unwrap_or_default().to_owned()
}
