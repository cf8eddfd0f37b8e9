//! What an engine is: topics, groups and atomic commits. `tests/conformance` defines it.
//!
//! The runtime sees an engine through these traits alone.

pub mod embedded;
pub mod kafka;
pub mod pages;
mod records;
mod topic;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

pub use records::Records;
pub use topic::{Cleanup, TopicSpec};

use crate::record::{NewRecord, Record};

/// A partition as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Oldest offset that is still there.
    pub earliest: u64,
    /// Offset that the next record will get: every committed record lies below it.
    pub end: u64,
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// What it was made as.
    pub spec: TopicSpec,
    /// Its partitions, in order.
    pub partitions: Vec<PartitionInfo>,
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition, from 0.
    pub partition: u32,
}

/// How far a group has come in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOffset {
    /// Partition.
    pub partition: TopicPartition,
    /// Offset of the first record that is not yet done.
    pub next: u64,
    /// End of the partition.
    pub end: u64,
    /// Milliseconds for which the first undone record has been waiting; 0 where there is none.
    pub lag_ms: u64,
}

/// Why an engine could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// No such topic or partition.
    #[error("no topic {topic:?} with a partition {partition}")]
    UnknownPartition {
        /// Topic that was asked for.
        topic: String,
        /// Partition that was asked for.
        partition: u32,
    },
    /// The topic exists and differs in what cannot be changed.
    #[error("topic {topic:?} has {found}, wanted {wanted}")]
    TopicDiffers {
        /// Topic.
        topic: String,
        /// What it has.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// A record passes the engine's bound; nothing of its batch was written.
    #[error("record of {size} bytes for topic {topic:?} passes the bound of {limit} bytes")]
    RecordTooLarge {
        /// Topic.
        topic: String,
        /// Size of the record in bytes.
        size: usize,
        /// The bound in bytes.
        limit: usize,
    },
    /// The same may work later.
    #[error("engine is unavailable: {0}")]
    Unavailable(String),
    /// It will not work without a change: the process should stop.
    #[error("{0}")]
    Fatal(String),
}

/// Why a commit did not happen. Nothing of it is visible to anyone.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Partitions moved to another member; the next polls say which. Those that are kept stay where they are,
    /// unless they are assigned anew, which rewinds them.
    #[error("partitions moved to another member of the group")]
    Fenced,
    /// The engine refused or failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A group to join.
#[derive(Debug, Clone)]
pub struct GroupSpec {
    /// Name of the group.
    pub group: Arc<str>,
    /// Topics to read. They have the same number of partitions, and partition N of each goes to one member.
    pub topics: Vec<Arc<str>>,
    /// Compacted topic that holds the group's keyed state; same number of partitions.
    pub state_topic: Option<Arc<str>>,
}

/// What a poll brought.
#[derive(Debug)]
pub enum Polled {
    /// These partitions (of every topic of the group) are this member's now. Reading starts at the committed offset.
    Assigned(Vec<u32>),
    /// These partitions are another's; uncommitted work on them is to be dropped.
    Revoked(Vec<u32>),
    /// Records, in offset order within each partition.
    Records(Vec<Record>),
    /// Nothing within the time given.
    Nothing,
}

/// What becomes visible at once, or not at all.
#[derive(Debug, Default)]
pub struct Commit {
    /// Outputs, changelog entries and dead letters.
    pub records: Records,
    /// For each input partition the offset of the first record that is not done.
    pub offsets: Vec<(TopicPartition, u64)>,
}

/// A commit under way, until it is known what became of it. Who drops it does not call it off.
pub type Committing = BoxFuture<'static, Result<(), CommitError>>;

/// One member of a group.
#[async_trait]
pub trait Member: Send {
    /// Waits up to `wait` for the next thing. Brings records of about `max_bytes`, at least one.
    /// With `max_bytes` 0 no records are brought, only changes of the assignment.
    async fn poll(&mut self, wait: Duration, max_bytes: usize) -> Result<Polled, EngineError>;

    /// Stops bringing records of a partition (of every topic), keeping it.
    fn pause(&mut self, partition: u32);

    /// Brings records of a paused partition again, from where it left off.
    fn resume(&mut self, partition: u32);

    /// Makes all of it visible and durable at once, for the partitions that are this member's at the call. The member can
    /// be polled meanwhile. One commit is under way at a time.
    fn commit(&mut self, commit: Commit) -> Committing;

    /// Reads the group's keyed state, as of the last commit.
    fn state(&self) -> Arc<dyn StateReader>;

    /// Leaves the group. What was not committed will be read again by another.
    async fn leave(self: Box<Self>) -> Result<(), EngineError>;
}

/// The keyed state of a group, as of the last commit.
#[async_trait]
pub trait StateReader: Send + Sync {
    /// Latest changelog value of a key.
    async fn get(&self, partition: u32, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// Up to `limit` entries of a partition with keys greater than `after`, in key order.
    async fn scan(
        &self,
        partition: u32,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError>;
}

/// Reading and writing topics outside a group.
#[async_trait]
pub trait Log: Send + Sync {
    /// The topics, by name.
    async fn topics(&self) -> Result<Vec<TopicInfo>, EngineError>;

    /// Writes records, atomically; durable when it returns. Gives partition and offset of each, in order.
    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<(u32, u64)>, EngineError>;

    /// Committed records from an offset on, up to about `max_bytes`, at least one if there is one; none at the end.
    /// An offset below the earliest reads from the earliest.
    async fn read(
        &self,
        partition: &TopicPartition,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Record>, EngineError>;

    /// Waits up to `wait` until the partition's end passes `offset`; says whether it has.
    async fn wait(
        &self,
        partition: &TopicPartition,
        offset: u64,
        wait: Duration,
    ) -> Result<bool, EngineError>;

    /// Offset of the first record written at or after a time; the end if there is none.
    async fn offset_at(
        &self,
        partition: &TopicPartition,
        timestamp_ms: i64,
    ) -> Result<u64, EngineError>;

    /// Groups that have committed, by name.
    async fn groups(&self) -> Result<Vec<Arc<str>>, EngineError>;

    /// How far a group has come.
    async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, EngineError>;
}

/// An engine.
#[async_trait]
pub trait Engine: Log {
    /// Makes topics that are missing; topics that are there must agree in partitions and compaction.
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), EngineError>;

    /// Joins a group.
    async fn join(&self, group: GroupSpec) -> Result<Box<dyn Member>, EngineError>;

    /// Stops background work once everything acknowledged is durable.
    async fn close(&self) -> Result<(), EngineError>;
}
