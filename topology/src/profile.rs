//! How large and how safe a deployment is: partitions, replicas, retention. Two come ready made.

use std::{collections::BTreeMap, time::Duration};

use hephaestus_schemas::registry::Level;

/// Most partitions a topic may have: what one process still follows with ease.
pub const MAX_PARTITIONS: u32 = 1024;
/// Most replicas of a topic: more brokers than any cluster keeps of one partition.
pub const MAX_REPLICAS: u16 = 32;

/// Partitions, replicas and retention of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Partitions of a topic that is not named in `partitions`.
    pub default_partitions: u32,
    /// Partitions by topic; state and dead letters follow what their stage reads.
    pub partitions: BTreeMap<String, u32>,
    /// How long lines and events stay: `raw-logs` and `classified-logs`.
    pub log_retention: Duration,
    /// Largest size in bytes of a partition of `raw-logs` and `classified-logs`.
    pub log_retention_bytes: Option<u64>,
    /// How long analyses, proposals, decisions, change requests and dead letters stay.
    pub result_retention: Duration,
    /// How long the audit trail stays.
    pub audit_retention: Duration,
    /// Copies of each partition, on as many brokers.
    pub replication_factor: u16,
    /// Copies that have to be written before a write is acknowledged.
    pub min_insync_replicas: u16,
    /// Compatibility level of subjects that are not named in `subject_compatibility`.
    pub compatibility: Level,
    /// Compatibility level by subject.
    pub subject_compatibility: BTreeMap<String, Level>,
    /// Largest record of `raw-logs` in bytes, with key and headers.
    pub max_line_bytes: u64,
    /// Largest record of the other topics in bytes, with key and headers.
    pub max_value_bytes: u64,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const GIB: u64 = 1 << 30;

impl Profile {
    /// One machine, one broker: 4 partitions, a week of logs, at most 4 GiB of them a partition.
    pub fn development() -> Self {
        Self {
            default_partitions: 4,
            partitions: BTreeMap::new(),
            log_retention: 7 * DAY,
            log_retention_bytes: Some(4 * GIB),
            result_retention: 90 * DAY,
            audit_retention: 400 * DAY,
            replication_factor: 1,
            min_insync_replicas: 1,
            // Old and new stages run side by side during an upgrade, and what was written long ago is read again.
            compatibility: Level::FullTransitive,
            subject_compatibility: BTreeMap::new(),
            max_line_bytes: (16 << 20) + (64 << 10),
            max_value_bytes: 1_000_000 + (64 << 10),
        }
    }

    /// A cluster of three brokers or more, any one of which may be lost without losing a record or
    /// stopping a write: 12 partitions (to be shared by 2, 3, 4, 6 or 12 processes), a month of logs.
    pub fn production() -> Self {
        Self {
            default_partitions: 12,
            log_retention: 30 * DAY,
            log_retention_bytes: Some(32 * GIB),
            result_retention: 365 * DAY,
            audit_retention: 1096 * DAY,
            replication_factor: 3,
            min_insync_replicas: 2,
            ..Self::development()
        }
    }
}

/// Why no topology can be made of a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Partitions were set for a topic that does not exist.
    #[error("partitions are set for {name:?}, which is no topic{}", did_you_mean(.nearest.as_deref()))]
    UnknownTopic {
        /// Name that was given.
        name: String,
        /// The topic whose name is nearest.
        nearest: Option<String>,
    },
    /// Partitions were set for a topic whose number follows from another's.
    #[error("partitions of {name:?} cannot be set: {reason}")]
    Derived {
        /// Name that was given.
        name: String,
        /// What they follow from.
        reason: String,
    },
    /// A number of partitions out of bounds.
    #[error("{name} has {partitions} partitions, wanted 1 to {MAX_PARTITIONS}")]
    Partitions {
        /// Topic, or `default`.
        name: String,
        /// Number that was given.
        partitions: u32,
    },
    /// A compatibility level was set for a subject that does not exist.
    #[error("compatibility is set for {name:?}, which is no subject{}", did_you_mean(.nearest.as_deref()))]
    UnknownSubject {
        /// Name that was given.
        name: String,
        /// The subject whose name is nearest.
        nearest: Option<String>,
    },
    /// A number of replicas out of bounds.
    #[error("replication_factor is {0}, wanted 1 to {MAX_REPLICAS}")]
    Replicas(u16),
    /// More replicas in sync than there are, or none.
    #[error("min_insync_replicas is {min_insync}, wanted 1 to replication_factor, {replicas}")]
    InSync {
        /// Replicas that have to be in sync.
        min_insync: u16,
        /// Replicas that there are.
        replicas: u16,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// The candidate that a mistyped name is nearest to, where one is near enough to be meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const NEAR_ENOUGH: f64 = 0.7;
    const LONGEST_NAME: usize = 256;
    if name.len() > LONGEST_NAME {
        return None;
    }
    let mut best: Option<(&str, f64)> = None;
    for candidate in candidates {
        let similarity = strsim::jaro_winkler(name, candidate);
        let is_better = best.is_none_or(|(_, best)| similarity > best);
        if similarity >= NEAR_ENOUGH && is_better {
            best = Some((candidate, similarity));
        }
    }
    best.map(|(candidate, _)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn nearest_finds_what_was_meant_and_nothing_else() {
        let topics = ["raw-logs", "classified-logs", "analyses"];
        assert_eq!(nearest("raw-log", topics), Some("raw-logs"));
        assert_eq!(nearest("clasified-logs", topics), Some("classified-logs"));
        assert_eq!(nearest("weather", topics), None);
        assert_eq!(nearest(&"raw-logs".repeat(100_000), topics), None);
    }
}
