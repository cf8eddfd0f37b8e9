//! Topics as they are asked for, and whether they can be had.

use std::sync::Arc;

use super::EngineError;

/// Longest name of a topic: a file of Kafka's is named after it.
const MAX_NAME: usize = 249;
/// Most partitions of a topic.
const MAX_PARTITIONS: u32 = 10_000;

/// What happens to old records of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Records go when the partition passes one of the bounds.
    Delete {
        /// Longest age in milliseconds.
        retention_ms: Option<u64>,
        /// Largest size of a partition in bytes.
        retention_bytes: Option<u64>,
    },
    /// The latest record of each key stays.
    Compact,
}

/// A topic as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Name.
    pub name: Arc<str>,
    /// Number of partitions, at least 1.
    pub partitions: u32,
    /// What happens to old records.
    pub cleanup: Cleanup,
}

impl TopicSpec {
    /// Whether a topic may be made as it is asked for.
    pub(super) fn validate(&self) -> Result<(), EngineError> {
        let name = &self.name;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let is_dots = matches!(&**name, "." | "..");
        if name.is_empty() || name.len() > MAX_NAME || is_dots || !name.bytes().all(allowed) {
            let shown: String = name.chars().take(MAX_NAME).collect();
            return Err(EngineError::Fatal(format!(
                "{shown:?} is no name of a topic: 1 to {MAX_NAME} letters, digits, dots, underscores, dashes"
            )));
        }
        if self.partitions == 0 || self.partitions > MAX_PARTITIONS {
            return Err(EngineError::Fatal(format!(
                "topic {name:?} asks for {} partitions, 1 to {MAX_PARTITIONS} are possible",
                self.partitions
            )));
        }
        Ok(())
    }

    /// Whether a topic that is there agrees, in what cannot be changed, with what is asked for.
    pub(super) fn agrees_with(&self, wanted: &Self) -> Result<(), EngineError> {
        let differs = |found: String, wanted: String| {
            let topic = self.name.to_string();
            Err(EngineError::TopicDiffers { topic, found, wanted })
        };
        let count = |spec: &Self| format!("{} partitions", spec.partitions);
        if self.partitions != wanted.partitions {
            return differs(count(self), count(wanted));
        }
        let name = |spec: &Self| match spec.cleanup {
            Cleanup::Compact => "cleanup compact".to_owned(),
            Cleanup::Delete { .. } => "cleanup delete".to_owned(),
        };
        if name(self) != name(wanted) {
            return differs(name(self), name(wanted));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn spec(cleanup: Cleanup) -> TopicSpec {
        TopicSpec { name: "t".into(), partitions: 3, cleanup }
    }

    #[test]
    fn names_and_numbers_that_no_topic_can_have_are_refused() {
        let named = |name: &str| TopicSpec { name: name.into(), ..spec(Cleanup::Compact) };
        for good in ["t", "a.b_c-1", "...", &"x".repeat(MAX_NAME)] {
            assert!(named(good).validate().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", &"x".repeat(MAX_NAME + 1)] {
            assert!(named(bad).validate().unwrap_err().to_string().contains("no name"), "{bad}");
        }
        let sized = |partitions| TopicSpec { partitions, ..spec(Cleanup::Compact) }.validate();
        assert!(sized(1).is_ok() && sized(MAX_PARTITIONS).is_ok());
        assert!(sized(0).is_err() && sized(MAX_PARTITIONS + 1).is_err());
    }

    #[test]
    fn a_difference_is_told_both_ways() {
        let kept = spec(Cleanup::Delete { retention_ms: None, retention_bytes: None });
        let bounded = spec(Cleanup::Delete { retention_ms: Some(1), retention_bytes: None });
        assert!(kept.agrees_with(&bounded).is_ok());
        let message = kept.agrees_with(&spec(Cleanup::Compact)).unwrap_err().to_string();
        assert_eq!(message, "topic \"t\" has cleanup delete, wanted cleanup compact");
        let more = TopicSpec { partitions: 4, ..kept.clone() };
        let message = kept.agrees_with(&more).unwrap_err().to_string();
        assert_eq!(message, "topic \"t\" has 3 partitions, wanted 4 partitions");
    }
}
