//! What happens in a stage: each event emits its log line and its metric together.
//!
//! Messages may hold what strangers wrote: they are cut, and go to log lines, never to labels.

use std::time::Duration;

use super::metrics::StageMetrics;
use crate::record::Record;

/// Longest message that a log line holds, in bytes.
const LONGEST_MESSAGE: usize = 1024;
/// Most partitions that a log line names.
const MOST_PARTITIONS: usize = 64;

/// A record can never succeed; it goes to the dead letters with the next commit.
#[derive(Debug)]
pub struct RecordRejected<'a> {
    /// The record.
    pub record: &'a Record,
    /// Class of the failure.
    pub class: &'static str,
    /// What was wrong.
    pub message: &'a str,
}

impl RecordRejected<'_> {
    /// Emits the event.
    pub fn emit(self, metrics: &StageMetrics) {
        tracing::warn!(
            stage = metrics.stage(),
            topic = %self.record.topic,
            partition = self.record.partition,
            offset = self.record.offset,
            class = self.class,
            error = cut(self.message),
            "record rejected"
        );
        metrics.rejected(self.class);
    }
}

/// Work waits, because the world is at fault.
#[derive(Debug)]
pub struct RecordRetried<'a> {
    /// Partition of the work.
    pub partition: u32,
    /// Class of the failure.
    pub class: &'static str,
    /// What was wrong.
    pub message: &'a str,
    /// How long it waits.
    pub delay: Duration,
}

impl RecordRetried<'_> {
    /// Emits the event.
    pub fn emit(self, metrics: &StageMetrics) {
        tracing::warn!(
            stage = metrics.stage(),
            partition = self.partition,
            class = self.class,
            delay_ms = millis(self.delay),
            error = cut(self.message),
            "work is tried again"
        );
        metrics.retried(self.class);
    }
}

/// Effects became visible.
#[derive(Debug)]
pub struct Committed {
    /// Input records that are done.
    pub inputs: usize,
    /// Records written.
    pub outputs: usize,
    /// How long the commit took.
    pub took: Duration,
}

impl Committed {
    /// Emits the event.
    pub fn emit(self, metrics: &StageMetrics) {
        tracing::trace!(
            stage = metrics.stage(),
            inputs = self.inputs,
            outputs = self.outputs,
            took_ms = millis(self.took),
            "committed"
        );
        metrics.committed(self.inputs, self.outputs, self.took);
    }
}

/// A commit came too late: its partitions moved to another member.
#[derive(Debug)]
pub struct CommitFenced;

impl CommitFenced {
    /// Emits the event.
    pub fn emit(self, metrics: &StageMetrics) {
        tracing::info!(
            stage = metrics.stage(),
            "commit dropped, partitions moved to another member"
        );
        metrics.commit_fenced();
    }
}

/// A commit failed, and is tried again.
#[derive(Debug)]
pub struct CommitFailed<'a> {
    /// What the engine said.
    pub message: &'a str,
    /// How long it waits.
    pub delay: Duration,
}

impl CommitFailed<'_> {
    /// Emits the event.
    pub fn emit(self, metrics: &StageMetrics) {
        tracing::warn!(
            stage = metrics.stage(),
            delay_ms = millis(self.delay),
            error = cut(self.message),
            "commit is tried again"
        );
        metrics.commit_failed();
    }
}

/// Partitions came to this session.
#[derive(Debug)]
pub struct PartitionsAssigned<'a> {
    /// The partitions.
    pub partitions: &'a [u32],
}

impl PartitionsAssigned<'_> {
    /// Emits the event.
    pub fn emit(self, metrics: &StageMetrics) {
        tracing::info!(
            stage = metrics.stage(),
            count = self.partitions.len(),
            partitions = ?some(self.partitions),
            "partitions assigned"
        );
        metrics.assigned(self.partitions.len());
    }
}

/// Partitions left this session.
#[derive(Debug)]
pub struct PartitionsRevoked<'a> {
    /// The partitions.
    pub partitions: &'a [u32],
}

impl PartitionsRevoked<'_> {
    /// Emits the event.
    pub fn emit(self, metrics: &StageMetrics) {
        tracing::info!(
            stage = metrics.stage(),
            count = self.partitions.len(),
            partitions = ?some(self.partitions),
            "partitions revoked"
        );
        metrics.revoked(self.partitions.len());
    }
}

/// A session came to its end in order.
#[derive(Debug)]
pub struct Drained {
    /// How long it took.
    pub took: Duration,
    /// Units of work that did not end in time; they will be read again.
    pub abandoned: usize,
}

impl Drained {
    /// Emits the event. What is held is set to nothing when the metrics of the session are dropped.
    pub fn emit(self, metrics: &StageMetrics) {
        let took_ms = millis(self.took);
        if self.abandoned == 0 {
            tracing::info!(stage = metrics.stage(), took_ms, "drained");
            return;
        }
        tracing::warn!(
            stage = metrics.stage(),
            took_ms,
            abandoned = self.abandoned,
            "drained, with work left that will be read again"
        );
    }
}

/// A stage stops, because the program or its configuration is at fault.
#[derive(Debug)]
pub struct StageFailed<'a> {
    /// What was wrong.
    pub message: &'a str,
}

impl StageFailed<'_> {
    /// Emits the event.
    pub fn emit(self, metrics: &StageMetrics) {
        tracing::error!(stage = metrics.stage(), error = cut(self.message), "stage failed");
        metrics.failed();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn some(partitions: &[u32]) -> &[u32] {
    partitions.get(..MOST_PARTITIONS).unwrap_or(partitions)
}

fn cut(message: &str) -> &str {
    let mut end = message.len().min(LONGEST_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.get(..end).unwrap_or_default()
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
