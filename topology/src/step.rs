//! The steps of a plan, and how they read. None of them takes a record away.

use std::{fmt, time::Duration};

use hephaestus_schemas::registry::Level;

use crate::{
    WantedTopic, config,
    units::{bytes, counted, duration},
};

/// A key of a topic's configuration that is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Key, in Kafka's words.
    pub key: String,
    /// What it is, where the engine says.
    pub from: Option<String>,
    /// What it is to be.
    pub to: String,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The topic or subject is as it should be.
    Keep(String),
    /// The topic is missing and can be made.
    Create(WantedTopic),
    /// The topic's configuration is to change.
    Configure {
        /// Topic.
        topic: String,
        /// What is to change, by key.
        changes: Vec<Change>,
    },
    /// The topic is to have more partitions.
    Grow {
        /// Topic.
        topic: String,
        /// Partitions that it has.
        from: u32,
        /// Partitions that it is to have.
        to: u32,
        /// What that means for order and keyed state.
        means: String,
    },
    /// The topic has another number of replicas: moving them is work for a tool of Kafka's.
    Replicas {
        /// Topic.
        topic: String,
        /// What it has.
        found: u16,
        /// What it should have.
        wanted: u16,
        /// `min.insync.replicas` that is wanted and that it has too few replicas for.
        too_few_for: Option<u16>,
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
        reason: String,
    },
    /// The engine has a topic that the topology does not know; it stays.
    Unknown(String),
    /// The subject's compatibility level is to be set.
    SetLevel {
        /// Subject.
        subject: String,
        /// The level of its own that it has.
        from: Option<Level>,
        /// The level that it is to have.
        to: Level,
    },
    /// The subject is to get its schema.
    Register {
        /// Subject.
        subject: String,
        /// Full name of the schema's record.
        record: &'static str,
    },
    /// The registry would refuse the subject's schema.
    Incompatible {
        /// Subject.
        subject: String,
        /// Full name of the schema's record.
        record: &'static str,
        /// The registry's own explanation.
        reason: String,
    },
}

impl Step {
    /// Whether the plan cannot be applied because of this step.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refuse { .. } | Self::Incompatible { .. })
    }

    /// Whether applying the plan changes something by this step.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Create(_)
            | Self::Configure { .. }
            | Self::Grow { .. }
            | Self::SetLevel { .. }
            | Self::Register { .. } => true,
            Self::Keep(_)
            | Self::Replicas { .. }
            | Self::Refuse { .. }
            | Self::Unknown(_)
            | Self::Incompatible { .. } => false,
        }
    }

    /// Whether what exists is other than what is wanted.
    pub fn is_difference(&self) -> bool {
        self.is_change() || self.is_refusal() || matches!(self, Self::Replicas { .. })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep(thing) => write!(f, "= {thing}"),
            Self::Create(topic) => write_create(topic, f),
            Self::Configure { topic, changes } => write_changes(topic, changes, f),
            Self::Grow { topic, from, to, means } => {
                write!(f, "^ {topic}: {from} -> {to} partitions; {means}")
            }
            Self::Replicas { topic, found, wanted, too_few_for } => {
                let has = counted(*found, "replica", "replicas");
                write!(f, "* {topic}: has {has}, wanted {wanted}; left as it is, ")?;
                write!(f, "kafka-reassign-partitions changes it")?;
                match too_few_for {
                    Some(in_sync) => write!(f, ", and min.insync.replicas can be {in_sync} then"),
                    None => Ok(()),
                }
            }
            Self::Refuse { topic, found, wanted, reason } => {
                write!(f, "! {topic}: has {found}, wanted {wanted}; {reason}")
            }
            Self::Unknown(topic) => write!(f, "? {topic}: not of this topology; left as it is"),
            Self::SetLevel { subject, from, to } => {
                let from = from.map_or("no compatibility level of its own", Level::as_str);
                write!(f, "~ subject {subject}: {from} -> {}", to.as_str())
            }
            Self::Register { subject, record } => write!(f, "+ subject {subject} ({record})"),
            Self::Incompatible { subject, record, reason } => {
                write!(f, "! subject {subject}: the registry refuses {record}: {reason}")
            }
        }
    }
}

fn write_create(topic: &WantedTopic, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let partitions = counted(topic.partitions, "partition", "partitions");
    write!(f, "+ {} ({partitions}", topic.name)?;
    if let Some(replicas) = topic.replication {
        write!(f, ", {}", counted(replicas, "replica", "replicas"))?;
    }
    let cleanup = topic.configs.get(config::CLEANUP_POLICY).map_or("delete", String::as_str);
    write!(f, ", {cleanup}")?;
    // In a directory there is nothing further to say.
    if topic.replication.is_some() {
        let others = topic.configs.iter().filter(|(key, _)| *key != config::CLEANUP_POLICY);
        for (key, value) in others {
            write!(f, ", {key} {}", Explained { key, value })?;
        }
    }
    write!(f, ")")
}

fn write_changes(topic: &str, changes: &[Change], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "~ {topic}: ")?;
    for (index, Change { key, from, to }) in changes.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{key} ")?;
        match from {
            Some(from) => write!(f, "{}", Explained { key, value: from })?,
            None => write!(f, "unset")?,
        }
        write!(f, " -> {}", Explained { key, value: to })?;
    }
    Ok(())
}

/// A value of a topic's configuration, with what it comes to where it counts milliseconds or bytes.
struct Explained<'a> {
    key: &'a str,
    value: &'a str,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value)?;
        let Ok(number) = self.value.parse::<u64>() else {
            return Ok(());
        };
        if self.key.ends_with(".ms") {
            return write!(f, " ({})", duration(Duration::from_millis(number)));
        }
        if self.key.ends_with(".bytes") && number >= 1 << 20 && number.is_multiple_of(1 << 20) {
            return write!(f, " ({})", bytes(number));
        }
        Ok(())
    }
}
