//! Whether stages can start on what exists: what stops them, and what only differs.

use std::collections::BTreeSet;

use hephaestus_schemas::topics::{dead_letter_topic, state_topic};

use crate::{Change, Live, Options, Step, Target, Topology, config, plan};

/// What a plan for some stages' topics comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartCheck {
    /// What a stage cannot work with: topics that are missing, differ in partitions or cleanup, or
    /// take smaller records than it writes.
    pub stops: Vec<Step>,
    /// What differs and lets it work, such as retention.
    pub differs: Vec<Step>,
}

/// Compares what exists with what some stages, or some who stand outside, need.
pub fn check_start(topology: &Topology, live: &Live, users: &[&str]) -> StartCheck {
    let used = topics_of(topology, users);
    let mut needed = topology.clone();
    needed.topics.retain(|topic| used.contains(topic.name.as_str()));
    let mut topics = live.topics.clone();
    topics.retain(|topic| used.contains(topic.name.as_str()));
    // Each stage registers its schemas itself when it starts.
    let live = Live { topics, subjects: None };
    let options = Options { target: Target::Cluster, grow: false };
    let mut check = StartCheck::default();
    for step in plan(&needed, &live, options) {
        if stops(&step) {
            check.stops.push(step);
        } else if step.is_difference() {
            check.differs.push(step);
        }
    }
    check
}

/// Every topic that they read, hold or write.
fn topics_of(topology: &Topology, users: &[&str]) -> BTreeSet<String> {
    let mut topics = BTreeSet::new();
    for user in topology.stages.iter().chain(&topology.outside) {
        if !users.contains(&user.name) {
            continue;
        }
        let named = user.reads.iter().chain(&user.writes).chain(&user.tables);
        topics.extend(named.map(|topic| (*topic).to_owned()));
        if topology.stage(user.name).is_some() {
            topics.insert(dead_letter_topic(user.name));
        }
        if user.stateful {
            topics.insert(state_topic(user.name));
        }
    }
    topics
}

fn stops(step: &Step) -> bool {
    match step {
        Step::Create(_) => true,
        Step::Configure { changes, .. } => changes.iter().any(takes_smaller_records),
        step => step.is_refusal(),
    }
}

/// Whether records would be refused that should not be.
fn takes_smaller_records(change: &Change) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    let from = change.from.as_deref().and_then(number);
    match (from, number(&change.to)) {
        (Some(from), Some(to)) => change.key == config::MAX_MESSAGE_BYTES && from < to,
        _ => false,
    }
}
