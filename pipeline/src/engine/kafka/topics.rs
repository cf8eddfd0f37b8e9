//! Topics as the contract has them, and as Kafka configures them.

use std::collections::BTreeMap;

use super::{admin::NewKafkaTopic, clients::Clients, cluster::Shape};
use crate::engine::{Cleanup, EngineError, TopicSpec};

pub(super) const CLEANUP: &str = "cleanup.policy";
const RETENTION_MS: &str = "retention.ms";
const RETENTION_BYTES: &str = "retention.bytes";
const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
const MIN_INSYNC: &str = "min.insync.replicas";
/// Kafka's word for "no bound".
const UNBOUNDED: &str = "-1";

/// What a topic is made with.
pub(super) fn to_new(spec: &TopicSpec, clients: &Clients) -> NewKafkaTopic {
    let bound = |bound: Option<u64>| bound.map_or(UNBOUNDED.to_owned(), |bound| bound.to_string());
    let mut configs = BTreeMap::new();
    let mut set = |name: &str, value: String| drop(configs.insert(name.to_owned(), value));
    match spec.cleanup {
        Cleanup::Compact => set(CLEANUP, "compact".to_owned()),
        Cleanup::Delete { retention_ms, retention_bytes } => {
            set(CLEANUP, "delete".to_owned());
            set(RETENTION_MS, bound(retention_ms));
            set(RETENTION_BYTES, bound(retention_bytes));
        }
    }
    set(MAX_MESSAGE_BYTES, clients.max_message_bytes().to_string());
    if let Some(least) = clients.config().min_insync_replicas {
        set(MIN_INSYNC, least.to_string());
    }
    NewKafkaTopic {
        name: spec.name.to_string(),
        partitions: spec.partitions,
        replication: clients.config().replication_factor,
        configs,
    }
}

/// A topic as the contract has it.
pub(super) fn to_spec(shape: &Shape, configs: &BTreeMap<String, String>) -> TopicSpec {
    let bound = |name: &str| configs.get(name).and_then(|value| value.parse().ok());
    let is_compacted = configs.get(CLEANUP).is_some_and(|policy| policy.contains("compact"));
    let cleanup = if is_compacted {
        Cleanup::Compact
    } else {
        let (retention_ms, retention_bytes) = (bound(RETENTION_MS), bound(RETENTION_BYTES));
        Cleanup::Delete { retention_ms, retention_bytes }
    };
    TopicSpec { name: shape.name.as_str().into(), partitions: shape.partitions, cleanup }
}

/// Whether a topic that is there agrees with what is asked for, as far as its settings are known.
pub(super) fn compare_known(
    shape: &Shape,
    configs: &BTreeMap<String, String>,
    wanted: &TopicSpec,
) -> Result<(), EngineError> {
    let mut found = to_spec(shape, configs);
    if !configs.contains_key(CLEANUP) {
        found.cleanup = wanted.cleanup;
    }
    found.agrees_with(wanted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::engine::kafka::KafkaConfig;

    fn spec(cleanup: Cleanup) -> TopicSpec {
        TopicSpec { name: "t".into(), partitions: 3, cleanup }
    }

    #[test]
    fn what_a_topic_is_made_with_reads_back_as_what_was_asked_for() {
        let config = KafkaConfig { min_insync_replicas: Some(2), ..KafkaConfig::default() };
        let clients = Clients::new("localhost:1", config, 1 << 20).unwrap();
        for cleanup in [
            Cleanup::Compact,
            Cleanup::Delete { retention_ms: None, retention_bytes: Some(7) },
            Cleanup::Delete { retention_ms: Some(0), retention_bytes: None },
        ] {
            let spec = spec(cleanup);
            let new = to_new(&spec, &clients);
            assert_eq!(new.configs.get(MIN_INSYNC).map(String::as_str), Some("2"));
            let shape =
                Shape { name: new.name, partitions: new.partitions, replicas: 1, is_led: true };
            assert_eq!(to_spec(&shape, &new.configs), spec);
        }
    }
}
