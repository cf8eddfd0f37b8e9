//! A topic as an engine is told: its definition in the words of Kafka's topic configuration.

use std::{collections::BTreeMap, time::Duration};

use crate::{Cleanup, TopicDef, Topology};

/// Keys of Kafka's topic configuration (Kafka's documentation, "Topic Configs").
pub mod config {
    /// What happens to old records: `delete`, `compact` or both.
    pub const CLEANUP_POLICY: &str = "cleanup.policy";
    /// How long a record stays, in milliseconds; -1 without end.
    pub const RETENTION_MS: &str = "retention.ms";
    /// Largest size of a partition in bytes; -1 without bound.
    pub const RETENTION_BYTES: &str = "retention.bytes";
    /// Copies that have to be written before a write is acknowledged.
    pub const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
    /// Largest batch in bytes; a batch may be one record.
    pub const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
    /// Size in bytes at which a segment is closed. Only closed ones are compacted.
    pub const SEGMENT_BYTES: &str = "segment.bytes";
}

/// What a batch takes besides its record, in bytes: its header, and the record's own lengths.
const BATCH_OVERHEAD: u64 = 1 << 10;
/// Kafka's default for the largest batch: producers gather small records to almost as much.
const DEFAULT_MAX_MESSAGE: u64 = 1_048_588;

/// Segments of compacted topics. With Kafka's default of 1 GiB, a stage would read up to as much
/// that is not compacted whenever it restores a partition's state.
const COMPACTED_SEGMENT_BYTES: u64 = 64 << 20;

/// What kind of engine is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A Kafka cluster.
    Cluster,
    /// The directory of the embedded engine, which has no replicas and grows no topic.
    Directory,
}

/// A topic as an engine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedTopic {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: u32,
    /// Copies of each partition, where the engine has copies.
    pub replication: Option<u16>,
    /// Configuration by Kafka's keys.
    pub configs: BTreeMap<String, String>,
}

/// A topic of a topology as an engine is told.
pub fn wanted(topology: &Topology, topic: &TopicDef, target: Target) -> WantedTopic {
    let is_cluster = target == Target::Cluster;
    let mut configs = cleanup_configs(topic.cleanup);
    if is_cluster {
        configs.extend(configs_of_cluster(topology, topic));
    }
    WantedTopic {
        name: topic.name.clone(),
        partitions: topic.partitions,
        replication: is_cluster.then_some(topology.replication_factor),
        configs,
    }
}

fn configs_of_cluster(topology: &Topology, topic: &TopicDef) -> BTreeMap<String, String> {
    let largest_record = topic.max_record_bytes.saturating_add(BATCH_OVERHEAD);
    let max_message = largest_record.clamp(DEFAULT_MAX_MESSAGE, i32::MAX as u64);
    let mut configs = BTreeMap::from([
        (config::MIN_INSYNC_REPLICAS.to_owned(), topology.min_insync_replicas.to_string()),
        (config::MAX_MESSAGE_BYTES.to_owned(), max_message.to_string()),
    ]);
    if topic.cleanup.is_compact() {
        configs.insert(config::SEGMENT_BYTES.to_owned(), COMPACTED_SEGMENT_BYTES.to_string());
    }
    configs
}

/// What happens to old records, in Kafka's words.
pub fn cleanup_configs(cleanup: Cleanup) -> BTreeMap<String, String> {
    let entry = |key: &str, value: String| (key.to_owned(), value);
    match cleanup {
        Cleanup::Compact => BTreeMap::from([entry(config::CLEANUP_POLICY, "compact".to_owned())]),
        Cleanup::Delete { retention, retention_bytes } => BTreeMap::from([
            entry(config::CLEANUP_POLICY, "delete".to_owned()),
            entry(config::RETENTION_MS, or_unbounded(milliseconds(retention))),
            entry(config::RETENTION_BYTES, or_unbounded(retention_bytes)),
        ]),
    }
}

/// Kafka's numbers are signed and -1 is no bound.
fn or_unbounded(bound: Option<u64>) -> String {
    match bound.and_then(|bound| i64::try_from(bound).ok()) {
        Some(bound) => bound.to_string(),
        None => "-1".to_owned(),
    }
}

/// `None` where it has no end.
fn milliseconds(duration: Duration) -> Option<u64> {
    u64::try_from(duration.as_millis()).ok()
}
