//! What goes over the control socket besides records: questions, answers and errors, as JSON.

use std::time::Duration;

use hephaestus_pipeline::engine::{
    Cleanup, EngineError, GroupOffset, PartitionInfo, TopicInfo, TopicPartition, TopicSpec,
};
use serde::{Deserialize, Serialize};

/// Largest request and answer in bytes: a batch, or one record of the largest line with its headers.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// Most bytes that one read asks for; a single larger record still comes.
pub(super) const MAX_READ_BYTES: usize = 8 << 20;
/// Longest time that one request waits for a record; a longer wait is several requests.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(20);

pub(super) const TOPICS: &str = "/v1/topics";
pub(super) const APPEND: &str = "/v1/append";
pub(super) const READ: &str = "/v1/read";
pub(super) const WAIT: &str = "/v1/wait";
pub(super) const OFFSET_AT: &str = "/v1/offset-at";
pub(super) const GROUPS: &str = "/v1/groups";
pub(super) const GROUP_OFFSETS: &str = "/v1/group-offsets";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ReadRequest {
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) from: u64,
    pub(super) max_bytes: usize,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WaitRequest {
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) offset: u64,
    pub(super) wait_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OffsetAtRequest {
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) timestamp_ms: i64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GroupOffsetsRequest {
    pub(super) group: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Topic {
    name: String,
    compact: bool,
    retention_ms: Option<u64>,
    retention_bytes: Option<u64>,
    /// Earliest offset and end of each partition.
    partitions: Vec<(u64, u64)>,
}

impl From<TopicInfo> for Topic {
    fn from(info: TopicInfo) -> Self {
        let (compact, retention_ms, retention_bytes) = match info.spec.cleanup {
            Cleanup::Compact => (true, None, None),
            Cleanup::Delete { retention_ms, retention_bytes } => {
                (false, retention_ms, retention_bytes)
            }
        };
        let partitions = info.partitions.iter();
        Self {
            name: info.spec.name.to_string(),
            compact,
            retention_ms,
            retention_bytes,
            partitions: partitions.map(|partition| (partition.earliest, partition.end)).collect(),
        }
    }
}

impl From<Topic> for TopicInfo {
    fn from(topic: Topic) -> Self {
        let cleanup = if topic.compact {
            Cleanup::Compact
        } else {
            Cleanup::Delete {
                retention_ms: topic.retention_ms,
                retention_bytes: topic.retention_bytes,
            }
        };
        let partitions: Vec<PartitionInfo> = topic
            .partitions
            .into_iter()
            .map(|(earliest, end)| PartitionInfo { earliest, end })
            .collect();
        Self {
            spec: TopicSpec {
                name: topic.name.into(),
                partitions: u32::try_from(partitions.len()).unwrap_or(u32::MAX),
                cleanup,
            },
            partitions,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Offset {
    topic: String,
    partition: u32,
    next: u64,
    end: u64,
    lag_ms: u64,
}

impl From<GroupOffset> for Offset {
    fn from(offset: GroupOffset) -> Self {
        Self {
            topic: offset.partition.topic.to_string(),
            partition: offset.partition.partition,
            next: offset.next,
            end: offset.end,
            lag_ms: offset.lag_ms,
        }
    }
}

impl From<Offset> for GroupOffset {
    fn from(offset: Offset) -> Self {
        Self {
            partition: TopicPartition { topic: offset.topic.into(), partition: offset.partition },
            next: offset.next,
            end: offset.end,
            lag_ms: offset.lag_ms,
        }
    }
}

/// An [`EngineError`] on its way.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Failure {
    UnknownPartition { topic: String, partition: u32 },
    TopicDiffers { topic: String, found: String, wanted: String },
    RecordTooLarge { topic: String, size: usize, limit: usize },
    Unavailable { message: String },
    Fatal { message: String },
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::UnknownPartition { topic, partition } => {
                Self::UnknownPartition { topic, partition }
            }
            EngineError::TopicDiffers { topic, found, wanted } => {
                Self::TopicDiffers { topic, found, wanted }
            }
            EngineError::RecordTooLarge { topic, size, limit } => {
                Self::RecordTooLarge { topic, size, limit }
            }
            EngineError::Unavailable(message) => Self::Unavailable { message },
            EngineError::Fatal(message) => Self::Fatal { message },
        }
    }
}

impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::UnknownPartition { topic, partition } => {
                Self::UnknownPartition { topic, partition }
            }
            Failure::TopicDiffers { topic, found, wanted } => {
                Self::TopicDiffers { topic, found, wanted }
            }
            Failure::RecordTooLarge { topic, size, limit } => {
                Self::RecordTooLarge { topic, size, limit }
            }
            Failure::Unavailable { message } => Self::Unavailable(message),
            Failure::Fatal { message } => Self::Fatal(message),
        }
    }
}
