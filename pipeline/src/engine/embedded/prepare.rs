//! Turns records into what the writer stores: by partition, packed, compressed, sizes checked.
//!
//! It runs at the caller, so that encoding is spread over the caller's threads.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::Bytes;

use super::{
    batch::{Batch, Packer},
    catalogue::{Catalogue, Topic, unknown},
};
use crate::{
    engine::{EngineError, Records},
    partitioner::partition_for,
    record::NewRecord,
};

/// Records to be written, all or none.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// By partition, in the order in which the partitions came first.
    pub(super) parts: Vec<Part>,
    /// For each record its part and its place in it.
    pub(super) places: Vec<(u32, u32)>,
}

/// Records for one partition.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) topic: Arc<Topic>,
    pub(super) partition: u32,
    pub(super) entries: Entries,
}

/// What is stored.
#[derive(Debug)]
pub(super) enum Entries {
    /// Batches, each with its stored form.
    Batches(Vec<(Batch, Vec<u8>)>),
    /// Records of a compacted topic.
    Keyed(Vec<KeyedEntry>),
}

/// A record of a compacted topic.
#[derive(Debug)]
pub(super) struct KeyedEntry {
    pub(super) key: Bytes,
    pub(super) is_tombstone: bool,
    pub(super) stored: Vec<u8>,
}

/// Chooses the partition of records without a key: each append takes the next one.
#[derive(Debug, Default)]
pub(super) struct RoundRobin(AtomicU32);

impl RoundRobin {
    /// The next turn.
    pub(super) fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Bytes that a header counts beside its name and value.
const HEADER_OVERHEAD: usize = 16;

/// Prepares records. Those without key and partition go to partition `turn`, modulo the topic's number.
pub(super) fn prepare(
    records: &Records,
    catalogue: &Catalogue,
    turn: u32,
    max_record_bytes: usize,
) -> Result<Prepared, EngineError> {
    let mut grouped: Vec<(Arc<Topic>, u32, Vec<&NewRecord>)> = Vec::new();
    let mut index_of: HashMap<(u32, u32), usize> = HashMap::new();
    let mut places = Vec::with_capacity(records.len());
    let mut last_topic: Option<Arc<Topic>> = None;
    for record in records {
        // Empty headers take memory too: without counting them, the size of a record has no bound.
        let size = record.size() + record.headers.0.len() * HEADER_OVERHEAD;
        if size > max_record_bytes {
            return Err(EngineError::RecordTooLarge {
                topic: record.topic.to_string(),
                size,
                limit: max_record_bytes,
            });
        }
        let topic = match last_topic.take() {
            Some(topic) if topic.name == record.topic => topic,
            _ => {
                let found = catalogue.topic(&record.topic);
                found.ok_or_else(|| unknown(&record.topic, record.partition.unwrap_or(0)))?
            }
        };
        let partition = partition_of(record, &topic, turn)?;
        let part = *index_of.entry((topic.id, partition)).or_insert_with(|| {
            grouped.push((topic.clone(), partition, Vec::new()));
            grouped.len() - 1
        });
        if let Some((_, _, of_part)) = grouped.get_mut(part) {
            places.push((part as u32, of_part.len() as u32));
            of_part.push(record);
        }
        last_topic = Some(topic);
    }

    let mut parts = Vec::with_capacity(grouped.len());
    for (topic, partition, records) in grouped {
        let entries = if topic.compacted {
            Entries::Keyed(keyed_entries(&topic, &records)?)
        } else {
            Entries::Batches(batches(&records))
        };
        parts.push(Part { topic, partition, entries });
    }
    Ok(Prepared { parts, places })
}

fn partition_of(record: &NewRecord, topic: &Topic, turn: u32) -> Result<u32, EngineError> {
    let count = topic.partition_count();
    match (record.partition, &record.key) {
        (Some(partition), _) if partition < count => Ok(partition),
        (Some(partition), _) => Err(unknown(&topic.name, partition)),
        (None, Some(key)) => Ok(partition_for(key, count)),
        (None, None) => Ok(turn % count.max(1)),
    }
}

fn batches(records: &[&NewRecord]) -> Vec<(Batch, Vec<u8>)> {
    let mut packer = Packer::default();
    for record in records {
        packer.push(record);
    }
    let packed = packer.finish().into_iter();
    packed
        .map(|batch| {
            let stored = batch.to_stored();
            (batch, stored)
        })
        .collect()
}

fn keyed_entries(topic: &Topic, records: &[&NewRecord]) -> Result<Vec<KeyedEntry>, EngineError> {
    let mut entries = Vec::with_capacity(records.len());
    for record in records {
        let Some(key) = &record.key else {
            return Err(EngineError::Fatal(format!(
                "record without a key for compacted topic {:?}",
                topic.name
            )));
        };
        let mut packer = Packer::default();
        packer.push(record);
        for batch in packer.finish() {
            entries.push(KeyedEntry {
                key: key.clone(),
                is_tombstone: record.value.is_none(),
                stored: batch.to_stored(),
            });
        }
    }
    Ok(entries)
}
