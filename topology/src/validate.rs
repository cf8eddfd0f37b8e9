//! Whether a topology can work: each problem that `validate` finds is one that would stop a stage.

use std::collections::BTreeSet;

use hephaestus_schemas::topics::{dead_letter_topic, state_topic};

use crate::{MAX_PARTITIONS, StageDef, Topology};

/// Something wrong with a topology.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Problem {
    /// Two topics or stages of one name.
    #[error("{0} is defined twice")]
    Twice(String),
    /// A name that Kafka would not take.
    #[error("topic name {0:?} has other characters than a-z, 0-9, '.', '_' and '-'")]
    Name(String),
    /// A number of partitions out of bounds.
    #[error("topic {topic} has {partitions} partitions, wanted 1 to {MAX_PARTITIONS}")]
    Partitions {
        /// Topic.
        topic: String,
        /// What it has.
        partitions: u32,
    },
    /// A topic that is used and not defined.
    #[error("{user} uses topic {topic}, which does not exist")]
    Missing {
        /// Who uses it.
        user: String,
        /// Topic.
        topic: String,
    },
    /// A topic that is read and that nobody writes.
    #[error("{reader} reads topic {topic}, which nobody writes")]
    NoWriter {
        /// Who reads it.
        reader: String,
        /// Topic.
        topic: String,
    },
    /// A topic that nobody reads.
    #[error("topic {0} is written and nobody reads it")]
    NoReader(String),
    /// A topic that nobody uses.
    #[error("topic {0} is neither read nor written")]
    Orphan(String),
    /// Topics that have to have the same number of partitions.
    #[error(
        "{stage} needs {first} and {second} with the same number of partitions, found {first_has} and {second_has}"
    )]
    NotCopartitioned {
        /// Stage that needs it.
        stage: String,
        /// A topic it reads.
        first: String,
        /// Its partitions.
        first_has: u32,
        /// The other topic.
        second: String,
        /// Its partitions.
        second_has: u32,
    },
    /// A topic whose latest records by key have to stay.
    #[error("topic {topic} has to be compacted: it is {why}")]
    NotCompacted {
        /// Topic.
        topic: String,
        /// What it is.
        why: String,
    },
    /// A topic read record by record whose records may vanish before they are read.
    #[error("{stage} reads topic {topic} record by record, which is compacted")]
    Compacted {
        /// Stage that reads it.
        stage: String,
        /// Topic.
        topic: String,
    },
}

/// Every problem of a topology, sorted; none where it can work.
pub fn validate(topology: &Topology) -> Vec<Problem> {
    let mut problems = BTreeSet::new();
    check_names(topology, &mut problems);
    for stage in &topology.stages {
        check_stage(topology, stage, &mut problems);
    }
    check_use(topology, &mut problems);
    problems.into_iter().collect()
}

fn check_names(topology: &Topology, problems: &mut BTreeSet<Problem>) {
    let mut seen = BTreeSet::new();
    for topic in &topology.topics {
        if !seen.insert(topic.name.as_str()) {
            problems.insert(Problem::Twice(format!("topic {}", topic.name)));
        }
        if !is_topic_name(&topic.name) {
            problems.insert(Problem::Name(topic.name.clone()));
        }
        if topic.partitions == 0 || topic.partitions > MAX_PARTITIONS {
            problems.insert(Problem::Partitions {
                topic: topic.name.clone(),
                partitions: topic.partitions,
            });
        }
    }
    let mut seen = BTreeSet::new();
    for stage in topology.stages.iter().chain(&topology.outside) {
        if !seen.insert(stage.name) {
            problems.insert(Problem::Twice(format!("stage {}", stage.name)));
        }
    }
}

/// Names that both engines take. Kafka allows 249 characters; capitals only invite confusion.
fn is_topic_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    !name.is_empty()
        && name.len() <= 249
        && name != "."
        && name != ".."
        && name.chars().all(allowed)
}

fn check_stage(topology: &Topology, stage: &StageDef, problems: &mut BTreeSet<Problem>) {
    let state = stage.stateful.then(|| state_topic(stage.name));
    let dead_letters = (!stage.reads.is_empty()).then(|| dead_letter_topic(stage.name));
    let used = stage.reads.iter().chain(&stage.writes).chain(&stage.tables);
    let used = used.map(|name| (*name).to_owned());
    for topic in used.chain(state.clone()).chain(dead_letters) {
        if topology.topic(&topic).is_none() {
            problems.insert(Problem::Missing { user: stage.name.to_owned(), topic });
        }
    }
    let mut together = stage.reads.iter().map(|name| (*name).to_owned()).chain(state.clone());
    let first = together.next().and_then(|name| topology.topic(&name));
    for second in together.filter_map(|name| topology.topic(&name)) {
        if let Some(first) = first
            && first.partitions != second.partitions
        {
            problems.insert(Problem::NotCopartitioned {
                stage: stage.name.to_owned(),
                first: first.name.clone(),
                first_has: first.partitions,
                second: second.name.clone(),
                second_has: second.partitions,
            });
        }
    }
    let tables = stage.tables.iter();
    let tables = tables.map(|name| ((*name).to_owned(), format!("a table of {}", stage.name)));
    let state = state.map(|name| (name, format!("the state of {}", stage.name)));
    for (name, why) in tables.chain(state) {
        if topology.topic(&name).is_some_and(|topic| !topic.cleanup.is_compact()) {
            problems.insert(Problem::NotCompacted { topic: name, why });
        }
    }
    for name in &stage.reads {
        if topology.topic(name).is_some_and(|topic| topic.cleanup.is_compact()) {
            problems.insert(Problem::Compacted {
                stage: stage.name.to_owned(),
                topic: (*name).to_owned(),
            });
        }
    }
}

/// Whether each topic has somebody who writes it and somebody who reads it.
fn check_use(topology: &Topology, problems: &mut BTreeSet<Problem>) {
    let everyone = || topology.stages.iter().chain(&topology.outside);
    // A stage's own topics are read by the runtime on its restart and by people.
    let mut own_topics = BTreeSet::new();
    for stage in &topology.stages {
        own_topics.insert(dead_letter_topic(stage.name));
        if stage.stateful {
            own_topics.insert(state_topic(stage.name));
        }
    }
    for outsider in &topology.outside {
        for topic in outsider.reads.iter().chain(&outsider.writes) {
            if topology.topic(topic).is_none() {
                problems.insert(Problem::Missing {
                    user: outsider.name.to_owned(),
                    topic: (*topic).to_owned(),
                });
            }
        }
    }
    for topic in &topology.topics {
        let name = topic.name.as_str();
        if own_topics.contains(name) {
            continue;
        }
        let is_written = everyone().any(|stage| stage.writes.contains(&name));
        let reader =
            everyone().find(|stage| stage.reads.contains(&name) || stage.tables.contains(&name));
        match (is_written, reader) {
            (true, Some(_)) => {}
            (true, None) => {
                problems.insert(Problem::NoReader(name.to_owned()));
            }
            (false, Some(reader)) => {
                problems.insert(Problem::NoWriter {
                    reader: reader.name.to_owned(),
                    topic: name.to_owned(),
                });
            }
            (false, None) => {
                problems.insert(Problem::Orphan(name.to_owned()));
            }
        }
    }
}
