//! What has to be done so that an engine and a registry have what a topology wants.
//!
//! Nothing is ever shrunk or deleted, and applying a plan leaves nothing for the next.

use std::collections::{BTreeMap, BTreeSet};

use hephaestus_schemas::{
    registry::Level,
    topics::{dead_letter_topic, state_topic},
};

use crate::{
    Change, Step, SubjectDef, Target, Topology, WantedTopic, config, units::counted, wanted,
};

/// Topics of Kafka's own begin with this.
const INTERNAL_PREFIX: &str = "__";

/// A topic as an engine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveTopic {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: u32,
    /// Copies of each partition, where the engine has copies.
    pub replication: Option<u16>,
    /// Configuration by Kafka's keys.
    pub configs: BTreeMap<String, String>,
}

/// A subject as a registry has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveSubject {
    /// The compatibility level of its own.
    pub level: Option<Level>,
    /// Whether the topology's schema is one of its versions.
    pub has_schema: bool,
    /// Why the registry would refuse the topology's schema at the level that holds now, in its own words.
    pub incompatible: Option<String>,
}

/// What exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// Topics.
    pub topics: Vec<LiveTopic>,
    /// Subjects by name, where a registry was asked.
    pub subjects: Option<BTreeMap<String, LiveSubject>>,
}

/// What a plan may do, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Kind of engine.
    pub target: Target,
    /// Whether topics may get more partitions, which moves keys to other partitions.
    pub grow: bool,
}

/// The steps that lead from what exists to a topology, in the order in which they are to be done.
pub fn plan(topology: &Topology, live: &Live, options: Options) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut growing = Vec::new();
    for topic in &topology.topics {
        let wanted = wanted(topology, topic, options.target);
        let Some(found) = live.topics.iter().find(|found| found.name == topic.name) else {
            steps.push(Step::Create(wanted));
            continue;
        };
        let before = steps.len() + growing.len();
        compare_partitions(topology, &wanted, found, options, &mut steps, &mut growing);
        compare_configs(&wanted, found, &mut steps);
        compare_replicas(&wanted, found, &mut steps);
        if steps.len() + growing.len() == before {
            steps.push(Step::Keep(topic.name.clone()));
        }
    }
    // State and dead letters come after what their stage reads. They grow before it, so that whatever
    // stops the apply half-way, no partition of an input is without its state.
    growing.reverse();
    steps.append(&mut growing);
    if let Some(known) = &live.subjects {
        for subject in &topology.subjects {
            compare_subject(subject, known.get(&subject.subject), &mut steps);
        }
    }
    for found in &live.topics {
        let is_internal = found.name.starts_with(INTERNAL_PREFIX);
        if !is_internal && topology.topic(&found.name).is_none() {
            steps.push(Step::Unknown(found.name.clone()));
        }
    }
    steps
}

fn compare_partitions(
    topology: &Topology,
    wanted: &WantedTopic,
    found: &LiveTopic,
    options: Options,
    steps: &mut Vec<Step>,
    growing: &mut Vec<Step>,
) {
    if found.partitions == wanted.partitions {
        return;
    }
    let refuse = |reason: String| Step::Refuse {
        topic: wanted.name.clone(),
        found: counted(found.partitions, "partition", "partitions"),
        wanted: wanted.partitions.to_string(),
        reason,
    };
    if found.partitions > wanted.partitions {
        let reason = "a topic is never shrunk: records would be lost";
        steps.push(refuse(reason.to_owned()));
        return;
    }
    if options.target == Target::Directory {
        let reason = "keys would move to other partitions and lose their order";
        steps.push(refuse(reason.to_owned()));
        return;
    }
    if topology.stages.iter().any(|stage| stage.tables.contains(&wanted.name.as_str())) {
        // Whoever reads it whole could not tell which of the two is the later.
        let reason = "the latest record of a key that moves would stay in its old partition for ever, beside the new one";
        steps.push(refuse(format!("{reason}; set its number under [partitions]")));
        return;
    }
    let means = what_growing_means(topology, &wanted.name);
    if options.grow {
        growing.push(Step::Grow {
            topic: wanted.name.clone(),
            from: found.partitions,
            to: wanted.partitions,
            means,
        });
    } else {
        steps.push(refuse(format!("it grows with --grow alone: {means}")));
    }
}

/// What more partitions of a topic mean for order and keyed state.
fn what_growing_means(topology: &Topology, topic: &str) -> String {
    for stage in &topology.stages {
        if state_topic(stage.name) == topic || dead_letter_topic(stage.name) == topic {
            return format!("follows what {} reads", stage.name);
        }
    }
    let mut states = Vec::new();
    let mut has_reader = false;
    for stage in &topology.stages {
        if !stage.reads.contains(&topic) {
            continue;
        }
        has_reader = true;
        if stage.stateful {
            states.push(state_topic(stage.name));
        }
    }
    if !has_reader {
        return "keys move to other partitions, records of a key are in order from then on alone"
            .to_owned();
    }
    let order = "keys move to other partitions: records of a key that are not handled yet may be handled out of order, so let the lag come to 0 first";
    if states.is_empty() {
        return order.to_owned();
    }
    let states = states.join(" and ");
    format!("{order}; what {states} holds of a key that moves is not found again")
}

fn compare_configs(wanted: &WantedTopic, found: &LiveTopic, steps: &mut Vec<Step>) {
    let mut changes = Vec::new();
    for (key, value) in &wanted.configs {
        let now = found.configs.get(key);
        if key == config::CLEANUP_POLICY {
            // An engine that does not say has Kafka's default.
            let now = now.map_or("delete", String::as_str);
            if policies(now) != policies(value) {
                steps.push(Step::Refuse {
                    topic: wanted.name.clone(),
                    found: format!("cleanup {now}"),
                    wanted: value.clone(),
                    reason: "records that were kept would be lost, or those that go would stay"
                        .to_owned(),
                });
            }
            continue;
        }
        if now == Some(value)
            || (key == config::MIN_INSYNC_REPLICAS && lacks_replicas(found, value))
        {
            continue;
        }
        changes.push(Change { key: key.clone(), from: now.cloned(), to: value.clone() });
    }
    if !changes.is_empty() {
        steps.push(Step::Configure { topic: wanted.name.clone(), changes });
    }
}

fn policies(list: &str) -> BTreeSet<&str> {
    list.split(',').map(str::trim).filter(|policy| !policy.is_empty()).collect()
}

/// Whether a topic has fewer replicas than should be in sync: it would take no record any more.
fn lacks_replicas(found: &LiveTopic, min_insync: &str) -> bool {
    match (found.replication, min_insync.parse::<u16>()) {
        (Some(replicas), Ok(min_insync)) => replicas < min_insync,
        _ => false,
    }
}

fn compare_replicas(topic: &WantedTopic, live: &LiveTopic, steps: &mut Vec<Step>) {
    let (Some(wanted), Some(found)) = (topic.replication, live.replication) else {
        return;
    };
    if wanted == found {
        return;
    }
    let min_insync = topic.configs.get(config::MIN_INSYNC_REPLICAS);
    let too_few_for = min_insync.filter(|min_insync| lacks_replicas(live, min_insync));
    steps.push(Step::Replicas {
        topic: topic.name.clone(),
        found,
        wanted,
        too_few_for: too_few_for.and_then(|min_insync| min_insync.parse().ok()),
    });
}

fn compare_subject(wanted: &SubjectDef, found: Option<&LiveSubject>, steps: &mut Vec<Step>) {
    let subject = || wanted.subject.clone();
    let register = Step::Register { subject: subject(), record: wanted.record };
    let set_level = |from| Step::SetLevel { subject: subject(), from, to: wanted.compatibility };
    let Some(found) = found else {
        // Not every registry gives a level to a subject that it does not know yet.
        steps.push(register);
        steps.push(set_level(None));
        return;
    };
    let has_level = found.level == Some(wanted.compatibility);
    if !has_level {
        steps.push(set_level(found.level));
    }
    if found.has_schema {
        if has_level {
            steps.push(Step::Keep(format!("subject {}", wanted.subject)));
        }
        return;
    }
    match &found.incompatible {
        // At another level the registry may think otherwise; it will say so.
        Some(reason) if has_level => steps.push(Step::Incompatible {
            subject: subject(),
            record: wanted.record,
            reason: reason.clone(),
        }),
        _ => steps.push(register),
    }
}
