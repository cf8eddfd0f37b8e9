//! The pipeline: every topic and every stage of the design, at the size of a profile.

use hephaestus_schemas::{
    Analysis, AuditEvent, ChangeRequest, ClassifiedLog, Decision, Node, Pattern, ProposedChange,
    StateEntry, Value,
    registry::MAX_SCHEMA_BYTES,
    topics::{
        ANALYSES, AUDIT, CHANGE_REQUESTS, CLASSIFIED_LOGS, DECISIONS, NODES, PATTERNS,
        PROPOSED_CHANGES, RAW_LOGS, dead_letter_topic, state_topic, subject,
    },
    value,
};

use crate::{
    Cleanup, MAX_PARTITIONS, MAX_REPLICAS, Profile, ProfileError, StageDef, SubjectDef, TopicDef,
    Topology, ValueType, nearest,
};

/// Room for the headers that a dead letter has besides those of its record, in bytes.
const DEAD_LETTER_HEADERS: u64 = 16 << 10;

/// A schema as a JSON string is up to six times as long; there is some more in its record.
const SCHEMA_RECORD_BYTES: u64 = 6 * MAX_SCHEMA_BYTES as u64 + (64 << 10);

/// Topic in which our registry keeps its schemas, as Confluent's does.
pub const SCHEMAS: &str = "_schemas";

/// Makes the pipeline's topology.
///
/// # Errors
/// Where the profile names a topic that does not exist, or a number out of bounds.
pub fn pipeline(profile: &Profile) -> Result<Topology, ProfileError> {
    let stages = stages();
    let mut topics = main_topics(profile);
    add_stage_topics(&stages, profile, &mut topics);
    topics.push(TopicDef {
        name: SCHEMAS.to_owned(),
        // The order of registrations is the order of the ids.
        partitions: 1,
        key: "subject and version",
        value: ValueType::Json,
        cleanup: Cleanup::Compact,
        max_record_bytes: SCHEMA_RECORD_BYTES,
    });
    let subjects = subjects(profile, &topics);
    check(profile, &topics)?;
    check_replicas(profile)?;
    check_subjects(profile, &subjects)?;
    Ok(Topology {
        topics,
        stages,
        outside: outside(),
        subjects,
        replication_factor: profile.replication_factor,
        min_insync_replicas: profile.min_insync_replicas,
    })
}

fn stages() -> Vec<StageDef> {
    vec![
        StageDef {
            name: "classifier",
            reads: vec![RAW_LOGS],
            writes: vec![CLASSIFIED_LOGS, PATTERNS],
            tables: vec![PATTERNS],
            stateful: true,
        },
        StageDef {
            name: "analyzer",
            reads: vec![CLASSIFIED_LOGS],
            writes: vec![ANALYSES],
            tables: vec![NODES],
            stateful: true,
        },
        StageDef {
            name: "proposer",
            reads: vec![ANALYSES],
            writes: vec![PROPOSED_CHANGES],
            tables: vec![NODES],
            stateful: false,
        },
        StageDef {
            name: "change-requester",
            reads: vec![PROPOSED_CHANGES, DECISIONS],
            writes: vec![CHANGE_REQUESTS],
            tables: Vec::new(),
            stateful: true,
        },
    ]
}

fn outside() -> Vec<StageDef> {
    let outsider = |name, reads: &[&'static str], writes: &[&'static str]| StageDef {
        name,
        reads: reads.to_vec(),
        writes: writes.to_vec(),
        tables: Vec::new(),
        stateful: false,
    };
    vec![
        outsider("log shippers", &[], &[RAW_LOGS]),
        outsider("gateway", &[PROPOSED_CHANGES], &[DECISIONS, AUDIT]),
        outsider("node-manager", &[], &[NODES]),
        outsider("schema registry", &[SCHEMAS], &[SCHEMAS]),
        outsider("downstream consumers", &[CHANGE_REQUESTS, AUDIT], &[]),
    ]
}

fn main_topics(profile: &Profile) -> Vec<TopicDef> {
    let logs = Cleanup::Delete {
        retention: profile.log_retention,
        retention_bytes: profile.log_retention_bytes,
    };
    let results = Cleanup::Delete { retention: profile.result_retention, retention_bytes: None };
    let audit = Cleanup::Delete { retention: profile.audit_retention, retention_bytes: None };
    let topic = |name: &str, key, value, cleanup| TopicDef {
        name: name.to_owned(),
        partitions: partitions_of(name, profile),
        key,
        value,
        cleanup,
        max_record_bytes: record_bound(name, profile),
    };
    vec![
        topic(RAW_LOGS, "source", ValueType::Bytes, logs),
        topic(CLASSIFIED_LOGS, "fingerprint", ValueType::Avro(ClassifiedLog::NAME), logs),
        topic(ANALYSES, "fingerprint", ValueType::Avro(Analysis::NAME), results),
        topic(PROPOSED_CHANGES, "repository", ValueType::Avro(ProposedChange::NAME), results),
        topic(CHANGE_REQUESTS, "repository", ValueType::Avro(ChangeRequest::NAME), results),
        topic(DECISIONS, "repository", ValueType::Avro(Decision::NAME), results),
        topic(NODES, "node id", ValueType::Avro(Node::NAME), Cleanup::Compact),
        topic(PATTERNS, "pattern id", ValueType::Avro(Pattern::NAME), Cleanup::Compact),
        topic(AUDIT, "actor", ValueType::Avro(AuditEvent::NAME), audit),
    ]
}

/// State and dead letters of each stage: as many partitions as what it reads, so that partition N
/// of all of them belongs to one member.
fn add_stage_topics(stages: &[StageDef], profile: &Profile, topics: &mut Vec<TopicDef>) {
    for stage in stages {
        let Some(input) = stage.reads.first() else {
            continue;
        };
        let partitions = partitions_of(input, profile);
        if stage.stateful {
            topics.push(TopicDef {
                name: state_topic(stage.name),
                partitions,
                key: "state key",
                value: ValueType::Avro(StateEntry::NAME),
                cleanup: Cleanup::Compact,
                max_record_bytes: profile.max_value_bytes,
            });
        }
        let inputs = stage.reads.iter().map(|input| record_bound(input, profile));
        let largest_input = inputs.max().unwrap_or(0);
        topics.push(TopicDef {
            name: dead_letter_topic(stage.name),
            partitions,
            key: "original key",
            value: ValueType::Bytes,
            cleanup: Cleanup::Delete { retention: profile.result_retention, retention_bytes: None },
            max_record_bytes: largest_input.saturating_add(DEAD_LETTER_HEADERS),
        });
    }
}

fn partitions_of(topic: &str, profile: &Profile) -> u32 {
    let set = profile.partitions.get(topic).copied();
    set.unwrap_or(profile.default_partitions)
}

fn record_bound(topic: &str, profile: &Profile) -> u64 {
    if topic == RAW_LOGS { profile.max_line_bytes } else { profile.max_value_bytes }
}

/// The schemas of all topics whose values are Avro.
fn subjects(profile: &Profile, topics: &[TopicDef]) -> Vec<SubjectDef> {
    let mut subjects = Vec::new();
    for topic in topics {
        let ValueType::Avro(record) = topic.value else {
            continue;
        };
        let Some((_, schema)) = value::ALL.iter().find(|(name, _)| *name == record) else {
            continue;
        };
        let subject = subject(&topic.name);
        let own = profile.subject_compatibility.get(&subject).copied();
        let compatibility = own.unwrap_or(profile.compatibility);
        subjects.push(SubjectDef { subject, record, schema, compatibility });
    }
    subjects
}

fn check_replicas(profile: &Profile) -> Result<(), ProfileError> {
    let (replicas, min_insync) = (profile.replication_factor, profile.min_insync_replicas);
    if replicas == 0 || replicas > MAX_REPLICAS {
        return Err(ProfileError::Replicas(replicas));
    }
    if min_insync == 0 || min_insync > replicas {
        return Err(ProfileError::InSync { min_insync, replicas });
    }
    Ok(())
}

fn check_subjects(profile: &Profile, subjects: &[SubjectDef]) -> Result<(), ProfileError> {
    for name in profile.subject_compatibility.keys() {
        if subjects.iter().any(|known| known.subject == *name) {
            continue;
        }
        let known = subjects.iter().map(|known| known.subject.as_str());
        let nearest = nearest(name, known).map(str::to_owned);
        return Err(ProfileError::UnknownSubject { name: name.clone(), nearest });
    }
    Ok(())
}

fn check(profile: &Profile, topics: &[TopicDef]) -> Result<(), ProfileError> {
    let given = profile.partitions.iter().map(|(name, count)| (name.as_str(), *count));
    for (name, partitions) in given.chain([("default", profile.default_partitions)]) {
        if partitions == 0 || partitions > MAX_PARTITIONS {
            return Err(ProfileError::Partitions { name: name.to_owned(), partitions });
        }
    }
    for name in profile.partitions.keys() {
        let settable = |topic: &&TopicDef| topic_is_settable(&topic.name);
        if topics.iter().filter(settable).any(|topic| topic.name == *name) {
            continue;
        }
        if topics.iter().any(|topic| topic.name == *name) {
            return Err(ProfileError::Derived { name: name.clone(), reason: derived_from(name) });
        }
        let names = topics.iter().filter(settable).map(|topic| topic.name.as_str());
        return Err(ProfileError::UnknownTopic {
            name: name.clone(),
            nearest: nearest(name, names).map(str::to_owned),
        });
    }
    Ok(())
}

fn topic_is_settable(name: &str) -> bool {
    name != SCHEMAS && !name.ends_with("-state") && !name.ends_with("-dead-letters")
}

fn derived_from(name: &str) -> String {
    if name == SCHEMAS {
        "it has one, so that schema ids have one order".to_owned()
    } else {
        "they follow the topics that the stage reads".to_owned()
    }
}
