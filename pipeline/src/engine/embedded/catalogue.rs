//! What is in the store, as memory holds it: topics, partitions, committed offsets.
//!
//! Only the writer changes it, after the store has committed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use tokio::sync::watch;

use super::tail::PartitionKey;
use crate::engine::{Cleanup, EngineError, PartitionInfo, TopicInfo, TopicSpec};

/// A partition as of the last commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PartitionState {
    /// Oldest offset.
    pub(super) earliest: u64,
    /// Offset of the next record. The record before it is always there, if there ever was one.
    pub(super) end: u64,
    /// Bytes of its batches as stored.
    pub(super) bytes: u64,
}

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    /// Number in the store's keys.
    pub(super) id: u32,
    /// Name.
    pub(super) name: Arc<str>,
    /// Whether the latest record of each key stays.
    pub(super) compacted: bool,
    cleanup: Mutex<Cleanup>,
    partitions: Vec<Mutex<PartitionState>>,
    /// Changes with every commit that writes to the topic.
    changed: watch::Sender<()>,
}

impl Topic {
    pub(super) fn new(id: u32, spec: &TopicSpec, partitions: Vec<PartitionState>) -> Self {
        Self {
            id,
            name: spec.name.clone(),
            compacted: spec.cleanup == Cleanup::Compact,
            cleanup: Mutex::new(spec.cleanup),
            partitions: partitions.into_iter().map(Mutex::new).collect(),
            changed: watch::Sender::new(()),
        }
    }

    pub(super) fn partition_count(&self) -> u32 {
        self.partitions.len() as u32
    }

    /// State of a partition.
    pub(super) fn partition(&self, partition: u32) -> Result<PartitionState, EngineError> {
        let found = self.partitions.get(partition as usize);
        let state = found.ok_or_else(|| unknown(&self.name, partition))?;
        Ok(*lock(state))
    }

    pub(super) fn set_partition(&self, partition: u32, new: PartitionState) {
        if let Some(state) = self.partitions.get(partition as usize) {
            *lock(state) = new;
        }
    }

    pub(super) fn cleanup(&self) -> Cleanup {
        *lock(&self.cleanup)
    }

    pub(super) fn set_cleanup(&self, cleanup: Cleanup) {
        *lock(&self.cleanup) = cleanup;
    }

    /// Wakes who waits for records.
    pub(super) fn wake(&self) {
        self.changed.send_replace(());
    }

    /// Tells of commits that write to the topic, from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// What it was made as.
    pub(super) fn spec(&self) -> TopicSpec {
        TopicSpec {
            name: self.name.clone(),
            partitions: self.partition_count(),
            cleanup: self.cleanup(),
        }
    }

    fn info(&self) -> TopicInfo {
        let partitions = self.partitions.iter().map(|state| {
            let PartitionState { earliest, end, .. } = *lock(state);
            PartitionInfo { earliest, end }
        });
        TopicInfo { spec: self.spec(), partitions: partitions.collect() }
    }
}

/// Offsets of one group: of the first record that is not done.
pub(super) type GroupOffsets = HashMap<PartitionKey, u64>;

/// Topics and committed offsets.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    topics: RwLock<BTreeMap<Arc<str>, Arc<Topic>>>,
    offsets: RwLock<BTreeMap<Arc<str>, GroupOffsets>>,
}

impl Catalogue {
    pub(super) fn new(
        topics: impl IntoIterator<Item = Topic>,
        offsets: BTreeMap<Arc<str>, GroupOffsets>,
    ) -> Self {
        let topics = topics.into_iter();
        let by_name = topics.map(|topic| (topic.name.clone(), Arc::new(topic)));
        Self { topics: RwLock::new(by_name.collect()), offsets: RwLock::new(offsets) }
    }

    /// A topic by name.
    pub(super) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        read(&self.topics).get(name).cloned()
    }

    /// A topic that has the partition.
    pub(super) fn topic_with(&self, name: &str, partition: u32) -> Result<Arc<Topic>, EngineError> {
        self.topic(name)
            .filter(|topic| partition < topic.partition_count())
            .ok_or_else(|| unknown(name, partition))
    }

    /// All topics, by name.
    pub(super) fn topics(&self) -> Vec<Arc<Topic>> {
        read(&self.topics).values().cloned().collect()
    }

    pub(super) fn infos(&self) -> Vec<TopicInfo> {
        let topics = self.topics();
        topics.iter().map(|topic| topic.info()).collect()
    }

    pub(super) fn insert_topic(&self, topic: Topic) {
        write(&self.topics).insert(topic.name.clone(), Arc::new(topic));
    }

    /// Groups that have committed, by name.
    pub(super) fn groups(&self) -> Vec<Arc<str>> {
        read(&self.offsets).keys().cloned().collect()
    }

    /// What a group has committed.
    pub(super) fn offsets(&self, group: &str) -> GroupOffsets {
        read(&self.offsets).get(group).cloned().unwrap_or_default()
    }

    /// What a group has committed for a partition.
    pub(super) fn offset(&self, group: &str, key: PartitionKey) -> Option<u64> {
        read(&self.offsets).get(group)?.get(&key).copied()
    }

    pub(super) fn set_offset(&self, group: &Arc<str>, key: PartitionKey, next: u64) {
        let mut offsets = write(&self.offsets);
        if let Some(of_group) = offsets.get_mut(group) {
            of_group.insert(key, next);
        } else {
            offsets.insert(group.clone(), HashMap::from([(key, next)]));
        }
    }
}

pub(super) fn unknown(topic: &str, partition: u32) -> EngineError {
    EngineError::UnknownPartition { topic: topic.to_owned(), partition }
}

/// A panic while one of these locks is held leaves nothing half done: each holder writes one value.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
