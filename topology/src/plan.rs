//! What has to be done so that an engine has the topics of a topology. Nothing is ever shrunk or deleted.

use std::fmt;

use crate::{Cleanup, TopicDef, Topology};

/// A topic as an engine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Existing {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: u32,
    /// What happens to old records, where the engine can say.
    pub cleanup: Option<Cleanup>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The topic is as it should be.
    Keep(String),
    /// The topic is missing and can be made.
    Create(TopicDef),
    /// The topic differs in what can be left as it is.
    Differs {
        /// Topic.
        topic: String,
        /// What it has.
        found: String,
        /// What it should have.
        wanted: String,
    },
    /// The topic differs in what cannot be changed without losing order or records.
    Refuse {
        /// Topic.
        topic: String,
        /// What it has.
        found: String,
        /// What it should have.
        wanted: String,
        /// Why it is not done.
        reason: &'static str,
    },
    /// The engine has a topic that the topology does not know; it stays.
    Unknown(String),
}

impl Step {
    /// Whether the plan cannot be applied because of this step.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refuse { .. })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep(topic) => write!(f, "= {topic}"),
            Self::Create(topic) => write!(
                f,
                "+ {} ({} partitions, {})",
                topic.name,
                topic.partitions,
                cleanup_name(topic.cleanup)
            ),
            Self::Differs { topic, found, wanted } => {
                write!(f, "~ {topic}: has {found}, wanted {wanted}; left as it is")
            }
            Self::Refuse { topic, found, wanted, reason } => {
                write!(f, "! {topic}: has {found}, wanted {wanted}; {reason}")
            }
            Self::Unknown(topic) => write!(f, "? {topic}: not of this topology; left as it is"),
        }
    }
}

fn cleanup_name(cleanup: Cleanup) -> &'static str {
    if cleanup.is_compact() { "compact" } else { "delete" }
}

/// The steps that lead from what an engine has to a topology, in its order.
pub fn plan(topology: &Topology, existing: &[Existing]) -> Vec<Step> {
    let mut steps = Vec::new();
    for topic in &topology.topics {
        let found = existing.iter().find(|found| found.name == topic.name);
        steps.push(match found {
            None => Step::Create(topic.clone()),
            Some(found) => compare(topic, found),
        });
    }
    for found in existing {
        if topology.topic(&found.name).is_none() {
            steps.push(Step::Unknown(found.name.clone()));
        }
    }
    steps
}

fn compare(topic: &TopicDef, found: &Existing) -> Step {
    if found.partitions != topic.partitions {
        let reason = if found.partitions > topic.partitions {
            "a topic is never shrunk: records would be lost"
        } else {
            "keys would move to other partitions and lose their order"
        };
        return Step::Refuse {
            topic: topic.name.clone(),
            found: format!("{} partitions", found.partitions),
            wanted: topic.partitions.to_string(),
            reason,
        };
    }
    let Some(cleanup) = found.cleanup else {
        return Step::Keep(topic.name.clone());
    };
    if cleanup.is_compact() != topic.cleanup.is_compact() {
        return Step::Refuse {
            topic: topic.name.clone(),
            found: format!("cleanup {}", cleanup_name(cleanup)),
            wanted: cleanup_name(topic.cleanup).to_owned(),
            reason: "records that were kept would be lost",
        };
    }
    if cleanup != topic.cleanup {
        return Step::Differs {
            topic: topic.name.clone(),
            found: retention(cleanup),
            wanted: retention(topic.cleanup),
        };
    }
    Step::Keep(topic.name.clone())
}

fn retention(cleanup: Cleanup) -> String {
    match cleanup {
        Cleanup::Compact => "the latest of each key".to_owned(),
        Cleanup::Delete { retention, retention_bytes } => {
            let bytes = retention_bytes.map_or_else(String::new, |n| format!(" and {n} bytes"));
            format!("a retention of {} s{bytes}", retention.as_secs())
        }
    }
}
