//! The tables of the store, and reading them. Writing is in `writer` and `maintenance`.
//!
//! Every entry that holds records has a checksum of its own, which is verified when it is read.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction,
};

use super::{
    batch::{Batch, BatchError, Budget, Place},
    catalogue::{Catalogue, GroupOffsets, PartitionState, Topic},
    tail::PartitionKey,
};
use crate::{
    engine::{Cleanup, EngineError, TopicSpec},
    record::Record,
};

/// Topic name to: id, partitions, compacted, retention in milliseconds, retention in bytes.
type TopicRow = (u32, u32, bool, Option<u64>, Option<u64>);
/// Topic id, partition, key.
type KeyKey = (u32, u32, &'static [u8]);
/// Offset of a key's latest record, and when it was written if it is a tombstone.
type KeyRow = (u64, Option<i64>);
/// Topic id, partition, offset.
type OffsetKey = (u32, u32, u64);

const TOPICS: TableDefinition<'_, &str, TopicRow> = TableDefinition::new("topics");
/// To: earliest offset, end, bytes.
const PARTITIONS: TableDefinition<'_, PartitionKey, (u64, u64, u64)> =
    TableDefinition::new("partitions");
/// Offset of the first record to a batch. In a compacted topic each record is a batch.
const LOG: TableDefinition<'_, OffsetKey, &[u8]> = TableDefinition::new("log");
/// For topics that are not compacted, to: number of records, latest timestamp, bytes as stored.
/// Retention and look-ups by time read it and leave the batches alone.
const BATCHES: TableDefinition<'_, OffsetKey, (u32, i64, u64)> = TableDefinition::new("batches");
/// For compacted topics: topic id, partition, key to: offset of its latest record,
/// and when it was written, in milliseconds since 1970 UTC, if that is a tombstone.
const KEYS: TableDefinition<'_, KeyKey, KeyRow> = TableDefinition::new("keys");
/// Tombstones by the time they were written: that time, topic id, partition, offset to the key.
const TOMBSTONES: TableDefinition<'_, (i64, u32, u32, u64), &[u8]> =
    TableDefinition::new("tombstones");
/// Group, topic id, partition to the offset of the first record that is not done.
const OFFSETS: TableDefinition<'_, (&str, u32, u32), u64> = TableDefinition::new("offsets");

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("store: {0}")]
    Store(#[from] Box<redb::Error>),
    #[error("the engine is closed")]
    Closed,
    #[error("the writer panicked")]
    Panic,
    #[error("batch at topic {topic:?} partition {partition} offset {offset} is broken: {source}")]
    Batch { topic: String, partition: u32, offset: u64, source: BatchError },
}

macro_rules! from_store_errors {
    ($($error:ident)*) => {
        $(impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> Self {
                Self::Store(Box::new(error.into()))
            }
        })*
    };
}

from_store_errors!(DatabaseError TransactionError TableError StorageError CommitError CompactionError SetDurabilityError);

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Closed => Self::Unavailable(error.to_string()),
            error => Self::Fatal(error.to_string()),
        }
    }
}

/// The store.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
}

/// Most bytes that a batch of records within the bound takes when decompressed.
pub(super) fn max_body(max_record_bytes: usize) -> usize {
    max_record_bytes.saturating_mul(2).max(super::batch::BATCH_BYTES * 2)
}

impl Store {
    /// Opens or makes the store in a file.
    pub(super) fn open(path: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes);
        builder.set_repair_callback(|repair| {
            tracing::info!(progress = repair.progress(), "checking the store after a crash");
        });
        Self::start(builder.create(path)?)
    }

    /// Opens or makes the store on a backend.
    #[cfg(test)]
    pub(super) fn open_on(
        backend: impl redb::StorageBackend,
        cache_bytes: usize,
    ) -> Result<Self, StoreError> {
        let mut builder = Database::builder();
        builder.set_cache_size(cache_bytes);
        Self::start(builder.create_with_backend(backend)?)
    }

    fn start(database: Database) -> Result<Self, StoreError> {
        let store = Self { database };
        let transaction = store.begin()?;
        // Reading a table that was never made is an error: make them all.
        drop(Tables::open(&transaction)?);
        transaction.commit()?;
        Ok(store)
    }

    /// Gives free space back to the file system. Takes as long as copying what is stored.
    pub(super) fn compact(&mut self) -> Result<(), StoreError> {
        self.database.compact()?;
        Ok(())
    }

    /// Begins a transaction. When its commit returns, it is on disk, by one sync.
    pub(super) fn begin(&self) -> Result<WriteTransaction, StoreError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        Ok(transaction)
    }

    /// Notes on disk what a restart needs to know after a crash: without it, all that is stored is read once.
    /// It takes a second sync, so it is done when there is nothing else to do.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        let mut transaction = self.begin()?;
        transaction.set_quick_repair(true);
        transaction.commit()?;
        Ok(())
    }

    /// Everything that memory holds of the store.
    pub(super) fn load(&self) -> Result<Catalogue, StoreError> {
        let transaction = self.database.begin_read()?;
        let mut states: HashMap<PartitionKey, PartitionState> = HashMap::new();
        for row in transaction.open_table(PARTITIONS)?.iter()? {
            let (key, value) = row?;
            let (earliest, end, bytes) = value.value();
            let state = PartitionState { earliest, end, bytes };
            states.insert(key.value(), state);
        }
        let mut topics = Vec::new();
        for row in transaction.open_table(TOPICS)?.iter()? {
            let (name, value) = row?;
            let (id, spec) = topic_of_row(name.value(), value.value());
            let partitions = (0..spec.partitions)
                .map(|partition| states.get(&(id, partition)).copied().unwrap_or_default());
            topics.push(Topic::new(id, &spec, partitions.collect()));
        }
        let mut offsets: BTreeMap<Arc<str>, GroupOffsets> = BTreeMap::new();
        for row in transaction.open_table(OFFSETS)?.iter()? {
            let (key, next) = row?;
            let (group, topic, partition) = key.value();
            let of_group = offsets.entry(group.into()).or_default();
            of_group.insert((topic, partition), next.value());
        }
        Ok(Catalogue::new(topics, offsets))
    }

    /// Records with offsets in `offsets`, as far as `budget` goes.
    pub(super) fn read(
        &self,
        topic: &Topic,
        partition: u32,
        offsets: std::ops::Range<u64>,
        budget: &mut Budget,
        max_body: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let transaction = self.database.begin_read()?;
        let log = transaction.open_table(LOG)?;
        let mut first = offsets.start;
        if !topic.compacted {
            // The batch that holds the offset may begin before it.
            let mut before = log.range((topic.id, partition, 0)..=(topic.id, partition, first))?;
            if let Some(entry) = before.next_back() {
                first = entry?.0.value().2;
            }
        }
        let mut records = Vec::new();
        let range = (topic.id, partition, first)..(topic.id, partition, offsets.end);
        for entry in log.range(range)? {
            let (key, stored) = entry?;
            let (_, _, base) = key.value();
            let place = Place { topic: &topic.name, partition, base };
            Batch::from_stored(stored.value(), max_body)
                .and_then(|batch| batch.decode(&place, offsets.clone(), budget, &mut records))
                .map_err(|source| broken(topic, partition, base, source))?;
            if budget.is_used_up() {
                break;
            }
        }
        Ok(records)
    }

    /// Offset of the first record from `from` on that has the timestamp or a later one.
    pub(super) fn offset_at(
        &self,
        topic: &Topic,
        partition: u32,
        offsets: std::ops::Range<u64>,
        timestamp_ms: i64,
        max_body: usize,
    ) -> Result<Option<u64>, StoreError> {
        let Some(base) = self.first_candidate(topic, partition, &offsets, timestamp_ms)? else {
            return Ok(None);
        };
        // In a batch that has a late enough record; or, in a compacted topic, at the start.
        let mut from = base.max(offsets.start);
        while from < offsets.end {
            let mut budget = Budget::of(super::batch::BATCH_BYTES);
            let range = from..offsets.end;
            let records = self.read(topic, partition, range, &mut budget, max_body)?;
            let Some(last) = records.last() else {
                return Ok(None);
            };
            from = last.offset + 1;
            let found = records.iter().find(|record| record.timestamp_ms >= timestamp_ms);
            if let Some(record) = found {
                return Ok(Some(record.offset));
            }
        }
        Ok(None)
    }

    fn first_candidate(
        &self,
        topic: &Topic,
        partition: u32,
        offsets: &std::ops::Range<u64>,
        timestamp_ms: i64,
    ) -> Result<Option<u64>, StoreError> {
        if topic.compacted {
            return Ok(Some(offsets.start));
        }
        let transaction = self.database.begin_read()?;
        let batches = transaction.open_table(BATCHES)?;
        let range = (topic.id, partition, 0)..(topic.id, partition, offsets.end);
        for row in batches.range(range)? {
            let (key, value) = row?;
            let (_, _, base) = key.value();
            let (count, max_timestamp_ms, _) = value.value();
            let reaches = base + u64::from(count) > offsets.start;
            if reaches && max_timestamp_ms >= timestamp_ms {
                return Ok(Some(base));
            }
        }
        Ok(None)
    }

    /// Latest value of a key of a compacted topic.
    pub(super) fn get(
        &self,
        topic: &Topic,
        partition: u32,
        key: &[u8],
        max_body: usize,
    ) -> Result<Option<Bytes>, StoreError> {
        let transaction = self.database.begin_read()?;
        let keys = transaction.open_table(KEYS)?;
        let Some(found) = keys.get((topic.id, partition, key))? else {
            return Ok(None);
        };
        let (offset, tombstone) = found.value();
        if tombstone.is_some() {
            return Ok(None);
        }
        let log = transaction.open_table(LOG)?;
        value_at(&log, topic, partition, offset, max_body)
    }

    /// Up to `limit` keys after `after` with their latest values, in order.
    pub(super) fn scan(
        &self,
        topic: &Topic,
        partition: u32,
        after: Option<&[u8]>,
        limit: usize,
        max_body: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let transaction = self.database.begin_read()?;
        let keys = transaction.open_table(KEYS)?;
        let log = transaction.open_table(LOG)?;
        let mut found = Vec::new();
        let first = (topic.id, partition, after.unwrap_or_default());
        for row in keys.range(first..)? {
            if found.len() >= limit {
                break;
            }
            let (key, value) = row?;
            let (of_topic, of_partition, key) = key.value();
            if (of_topic, of_partition) != (topic.id, partition) {
                break;
            }
            let (offset, tombstone) = value.value();
            if tombstone.is_some() || after == Some(key) {
                continue;
            }
            if let Some(value) = value_at(&log, topic, partition, offset, max_body)? {
                found.push((Bytes::copy_from_slice(key), value));
            }
        }
        Ok(found)
    }
}

fn value_at(
    log: &impl ReadableTable<OffsetKey, &'static [u8]>,
    topic: &Topic,
    partition: u32,
    offset: u64,
    max_body: usize,
) -> Result<Option<Bytes>, StoreError> {
    let Some(stored) = log.get((topic.id, partition, offset))? else {
        return Ok(None);
    };
    let place = Place { topic: &topic.name, partition, base: offset };
    let mut records = Vec::with_capacity(1);
    let mut budget = Budget::of(0);
    Batch::from_stored(stored.value(), max_body)
        .and_then(|batch| batch.decode(&place, offset..offset + 1, &mut budget, &mut records))
        .map_err(|source| broken(topic, partition, offset, source))?;
    Ok(records.pop().and_then(|record| record.value))
}

fn broken(topic: &Topic, partition: u32, offset: u64, source: BatchError) -> StoreError {
    StoreError::Batch { topic: topic.name.to_string(), partition, offset, source }
}

fn topic_of_row(name: &str, row: TopicRow) -> (u32, TopicSpec) {
    let (id, partitions, compacted, retention_ms, retention_bytes) = row;
    let cleanup = if compacted {
        Cleanup::Compact
    } else {
        Cleanup::Delete { retention_ms, retention_bytes }
    };
    let spec = TopicSpec { name: name.into(), partitions, cleanup };
    (id, spec)
}

/// The row that holds a topic.
pub(super) fn topic_row(id: u32, spec: &TopicSpec) -> TopicRow {
    match spec.cleanup {
        Cleanup::Compact => (id, spec.partitions, true, None, None),
        Cleanup::Delete { retention_ms, retention_bytes } => {
            (id, spec.partitions, false, retention_ms, retention_bytes)
        }
    }
}

/// The tables of a transaction that writes.
pub(super) struct Tables<'a> {
    pub(super) topics: Table<'a, &'static str, TopicRow>,
    pub(super) partitions: Table<'a, PartitionKey, (u64, u64, u64)>,
    pub(super) log: Table<'a, OffsetKey, &'static [u8]>,
    pub(super) batches: Table<'a, OffsetKey, (u32, i64, u64)>,
    pub(super) keys: Table<'a, KeyKey, KeyRow>,
    pub(super) tombstones: Table<'a, (i64, u32, u32, u64), &'static [u8]>,
    pub(super) offsets: Table<'a, (&'static str, u32, u32), u64>,
}

impl<'a> Tables<'a> {
    /// Opens them, making those that are missing.
    pub(super) fn open(transaction: &'a WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            topics: transaction.open_table(TOPICS)?,
            partitions: transaction.open_table(PARTITIONS)?,
            log: transaction.open_table(LOG)?,
            batches: transaction.open_table(BATCHES)?,
            keys: transaction.open_table(KEYS)?,
            tombstones: transaction.open_table(TOMBSTONES)?,
            offsets: transaction.open_table(OFFSETS)?,
        })
    }

    /// Writes the state of a partition.
    pub(super) fn put_partition(
        &mut self,
        key: PartitionKey,
        state: &PartitionState,
    ) -> Result<(), StoreError> {
        let row = (state.earliest, state.end, state.bytes);
        self.partitions.insert(key, row)?;
        Ok(())
    }
}
