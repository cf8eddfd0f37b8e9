//! Messages of librdkafka to records: the bytes of a batch are copied into one allocation and shared.

use std::{collections::HashMap, ops::Range, sync::Arc};

use bytes::Bytes;
use rdkafka::message::{BorrowedMessage, Message};

use super::inbox::{Batch, weight};
use crate::{
    engine::kafka::message::each_header,
    record::{Headers, Record},
};

/// Header names that are kept for reuse; those of strangers could be without end.
const MAX_NAMES: usize = 64;
/// Longest header name that is kept for reuse.
const MAX_NAME_BYTES: usize = 64;
/// Room of the scratch buffer that is kept from batch to batch.
const SCRATCH_BYTES: usize = 512 << 10;

/// Gathers messages of one partition and gives them as records.
#[derive(Debug, Default)]
pub(crate) struct Batcher {
    scratch: Vec<u8>,
    spans: Vec<Span>,
    headers: Vec<(Arc<str>, Range<usize>)>,
    names: HashMap<Box<str>, Arc<str>>,
}

#[derive(Debug)]
struct Span {
    offset: i64,
    timestamp_ms: i64,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: usize,
}

impl Batcher {
    /// Adds a message.
    pub(crate) fn push(&mut self, message: &BorrowedMessage<'_>) {
        let key = message.key().map(|key| self.copy(key));
        let value = message.payload().map(|value| self.copy(value));
        let headers_before = self.headers.len();
        each_header(message, |name, value| {
            let (name, value) = (self.name(name), self.copy(value));
            self.headers.push((name, value));
        });
        self.spans.push(Span {
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
            key,
            value,
            headers: self.headers.len() - headers_before,
        });
    }

    /// Whether there is nothing to give.
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes gathered so far, about.
    pub(crate) fn bytes(&self) -> usize {
        self.scratch.len() + self.spans.len() * size_of::<Record>()
    }

    /// Gives what was gathered.
    pub(crate) fn finish(&mut self, topic: &Arc<str>, partition: u32) -> Batch {
        let chunk = Bytes::copy_from_slice(&self.scratch);
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH_BYTES);
        let slice = |range: Range<usize>| chunk.slice(range);
        let mut headers = self.headers.drain(..);
        let mut records = Vec::with_capacity(self.spans.len());
        let mut bytes = 0;
        for span in self.spans.drain(..) {
            let of_record = headers.by_ref().take(span.headers);
            let record = Record {
                topic: topic.clone(),
                partition,
                offset: u64::try_from(span.offset).unwrap_or(0),
                timestamp_ms: span.timestamp_ms,
                key: span.key.map(slice),
                value: span.value.map(slice),
                headers: Headers(of_record.map(|(name, value)| (name, slice(value))).collect()),
            };
            bytes += weight(&record);
            records.push(record);
        }
        Batch { records, bytes }
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.scratch.len();
        self.scratch.extend_from_slice(bytes);
        start..self.scratch.len()
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let shared: Arc<str> = name.into();
        if self.names.len() < MAX_NAMES && name.len() <= MAX_NAME_BYTES {
            self.names.insert(name.into(), shared.clone());
        }
        shared
    }
}
