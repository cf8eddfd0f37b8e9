//! Topics, stages and their wiring as code.
//!
//! One value says what exists; validating, describing and planning read that value and nothing else.

mod describe;
mod pipeline;
mod plan;
mod profile;
pub mod registry;
mod settings;
mod start;
mod step;
mod units;
mod validate;
mod wanted;

pub use describe::{Figures, Format, Lag, TopicFigures, describe};
pub use pipeline::{SCHEMAS, pipeline};
pub use plan::{Live, LiveSubject, LiveTopic, Options, plan};
pub use profile::{MAX_PARTITIONS, MAX_REPLICAS, Profile, ProfileError, nearest};
pub use settings::{Compatibility, DEFAULT, OtherCluster, ProfileName, Settings};
pub use start::{StartCheck, check_start};
pub use step::{Change, Step};
pub use validate::{Problem, validate};
pub use wanted::{Target, WantedTopic, cleanup_configs, config, wanted};

use std::time::Duration;

use hephaestus_schemas::registry::Level;

/// What the values of a topic are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// Whatever came, byte for byte.
    Bytes,
    /// JSON text.
    Json,
    /// Avro in the Confluent wire format: the record with this full name.
    Avro(&'static str),
}

impl ValueType {
    /// The name for people: the record's without its namespace.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Json => "JSON",
            Self::Avro(name) => name.rsplit('.').next().unwrap_or(name),
        }
    }
}

/// What happens to old records of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// They go when they are too old, or their partition too large.
    Delete {
        /// How long a record stays.
        retention: Duration,
        /// Largest size of a partition in bytes, where it has a bound.
        retention_bytes: Option<u64>,
    },
    /// The latest record of each key stays.
    Compact,
}

impl Cleanup {
    /// Whether the latest record of each key stays.
    pub fn is_compact(self) -> bool {
        matches!(self, Self::Compact)
    }
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDef {
    /// Name.
    pub name: String,
    /// Number of partitions, at least 1.
    pub partitions: u32,
    /// What its keys are: orders and shards.
    pub key: &'static str,
    /// What its values are.
    pub value: ValueType,
    /// What happens to old records.
    pub cleanup: Cleanup,
    /// Largest record in bytes, with key and headers.
    pub max_record_bytes: u64,
}

/// A subject of the schema registry: the schema of a topic's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectDef {
    /// Name, as [`hephaestus_schemas::topics::subject`] makes it.
    pub subject: String,
    /// Full name of the record.
    pub record: &'static str,
    /// The schema as JSON.
    pub schema: &'static str,
    /// Which changes of the schema the registry has to allow.
    pub compatibility: Level,
}

/// A stage, or one who stands outside the pipeline and reads or writes topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageDef {
    /// Name: of its group, and of its state and dead-letter topics.
    pub name: &'static str,
    /// Topics it reads record by record; they have the same number of partitions.
    pub reads: Vec<&'static str>,
    /// Topics it writes, besides its state and its dead letters.
    pub writes: Vec<&'static str>,
    /// Compacted topics it holds whole.
    pub tables: Vec<&'static str>,
    /// Whether it keeps state or timers by key.
    pub stateful: bool,
}

/// What exists and who reads and writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Topics, in the order of the flow.
    pub topics: Vec<TopicDef>,
    /// Stages, in the order of the flow.
    pub stages: Vec<StageDef>,
    /// Who writes and reads from outside the pipeline.
    pub outside: Vec<StageDef>,
    /// Subjects of the schema registry, in the order of their topics.
    pub subjects: Vec<SubjectDef>,
    /// Copies of each partition, on as many brokers.
    pub replication_factor: u16,
    /// Copies that have to be written before a write is acknowledged.
    pub min_insync_replicas: u16,
}

impl Topology {
    /// The topic of a name.
    pub fn topic(&self, name: &str) -> Option<&TopicDef> {
        self.topics.iter().find(|topic| topic.name == name)
    }

    /// The stage of a name.
    pub fn stage(&self, name: &str) -> Option<&StageDef> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}
