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
/// Longest name of a topic.
const MAX_NAME: usize = 249;
/// Most partitions of a topic.
const MAX_PARTITIONS: u32 = 1024;

/// Whether a topic may be made as it is asked for.
pub(super) fn validate(spec: &TopicSpec) -> Result<(), EngineError> {
    let name = &spec.name;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_dots = matches!(&**name, "." | "..");
    if name.is_empty() || name.len() > MAX_NAME || is_dots || !name.bytes().all(allowed) {
        let shown: String = name.chars().take(MAX_NAME).collect();
        return Err(EngineError::Fatal(format!(
            "{shown:?} is no name of a topic: 1 to {MAX_NAME} letters, digits, dots, underscores, dashes"
        )));
    }
    if spec.partitions == 0 || spec.partitions > MAX_PARTITIONS {
        return Err(EngineError::Fatal(format!(
            "topic {name:?} asks for {} partitions, 1 to {MAX_PARTITIONS} are possible",
            spec.partitions
        )));
    }
    Ok(())
}

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
    compare(&found, wanted)
}

/// Whether a topic that is there agrees with what is asked for.
pub(super) fn compare(found: &TopicSpec, wanted: &TopicSpec) -> Result<(), EngineError> {
    let topic = found.name.to_string();
    if found.partitions != wanted.partitions {
        let count = |partitions: u32| format!("{partitions} partitions");
        let (found, wanted) = (count(found.partitions), count(wanted.partitions));
        return Err(EngineError::TopicDiffers { topic, found, wanted });
    }
    let name = |spec: &TopicSpec| match spec.cleanup {
        Cleanup::Compact => "cleanup compact".to_owned(),
        Cleanup::Delete { .. } => "cleanup delete".to_owned(),
    };
    let (found, wanted) = (name(found), name(wanted));
    if found != wanted {
        return Err(EngineError::TopicDiffers { topic, found, wanted });
    }
    Ok(())
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

    #[test]
    fn a_difference_is_told_both_ways() {
        let kept = spec(Cleanup::Delete { retention_ms: None, retention_bytes: None });
        let bounded = spec(Cleanup::Delete { retention_ms: Some(1), retention_bytes: None });
        assert!(compare(&kept, &bounded).is_ok());
        let message = compare(&kept, &spec(Cleanup::Compact)).unwrap_err().to_string();
        assert_eq!(message, "topic \"t\" has cleanup delete, wanted cleanup compact");
        let more = TopicSpec { partitions: 4, ..kept.clone() };
        let message = compare(&kept, &more).unwrap_err().to_string();
        assert_eq!(message, "topic \"t\" has 3 partitions, wanted 4 partitions");
    }
}
