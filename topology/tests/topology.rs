//! The pipeline's topology is one that works, and what is wrong with another is found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, time::Duration};

use hephaestus_schemas::registry::Level;
use hephaestus_topology::{
    Cleanup, Figures, Format, Lag, Problem, Profile, ProfileError, TopicFigures, Topology,
    describe, pipeline, validate,
};

fn development() -> Topology {
    pipeline(&Profile::development()).unwrap()
}

fn with_partitions(partitions: &[(&str, u32)]) -> Result<Topology, ProfileError> {
    let mut profile = Profile::development();
    for (name, count) in partitions {
        profile.partitions.insert((*name).to_owned(), *count);
    }
    pipeline(&profile)
}

#[test]
fn the_pipeline_has_no_problem() {
    assert_eq!(validate(&development()), []);
}

#[test]
fn state_and_dead_letters_follow_what_their_stage_reads() {
    let topology = with_partitions(&[("raw-logs", 16)]).unwrap();
    for name in ["raw-logs", "classifier-state", "classifier-dead-letters"] {
        assert_eq!(topology.topic(name).unwrap().partitions, 16, "{name}");
    }
    assert_eq!(topology.topic("analyzer-state").unwrap().partitions, 4);
    assert_eq!(validate(&topology), []);
}

#[test]
fn inputs_of_one_stage_have_to_be_copartitioned() {
    let topology = with_partitions(&[("decisions", 2)]).unwrap();
    let problems = validate(&topology);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(
        problems[0].to_string(),
        "change-requester needs proposed-changes and decisions with the same number of partitions, found 4 and 2"
    );
}

#[test]
fn partitions_that_cannot_be_set_are_refused_by_name() {
    let cases: [(&str, u32, &str); 5] = [
        (
            "raw-log",
            8,
            r#"partitions are set for "raw-log", which is no topic; did you mean "raw-logs"?"#,
        ),
        ("zzz", 8, r#"partitions are set for "zzz", which is no topic"#),
        (
            "classifier-state",
            8,
            r#"partitions of "classifier-state" cannot be set: they follow the topics that the stage reads"#,
        ),
        (
            "_schemas",
            2,
            r#"partitions of "_schemas" cannot be set: it has one, so that schema ids have one order"#,
        ),
        ("audit", 0, "audit has 0 partitions, wanted 1 to 1024"),
    ];
    for (name, count, message) in cases {
        let error = with_partitions(&[(name, count)]).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn each_kind_of_problem_is_found() {
    type Break = fn(&mut Topology);
    let cases: [(Break, &str); 8] = [
        (
            |t| t.outside.retain(|o| o.name != "log shippers"),
            "classifier reads topic raw-logs, which nobody writes",
        ),
        (
            |t| t.outside.retain(|o| o.name != "downstream consumers"),
            "topic change-requests is written and nobody reads it",
        ),
        (
            |t| t.topics.retain(|topic| topic.name != "analyses"),
            "analyzer uses topic analyses, which does not exist",
        ),
        (
            |t| t.topics.retain(|topic| topic.name != "analyzer-state"),
            "analyzer uses topic analyzer-state, which does not exist",
        ),
        (
            |t| t.stages.retain(|stage| stage.name != "classifier"),
            "topic classifier-state is neither read nor written",
        ),
        (
            |t| {
                for topic in &mut t.topics {
                    if topic.name == "nodes" {
                        topic.cleanup = Cleanup::Delete {
                            retention: Duration::from_secs(1),
                            retention_bytes: None,
                        };
                    }
                }
            },
            "topic nodes has to be compacted: it is a table of analyzer",
        ),
        (
            |t| {
                let twin = t.topics[0].clone();
                t.topics.push(twin);
            },
            "topic raw-logs is defined twice",
        ),
        (
            |t| t.topics[0].name = "raw logs".to_owned(),
            "topic name \"raw logs\" has other characters than a-z, 0-9, '.', '_' and '-'",
        ),
    ];
    for (break_it, message) in cases {
        let mut topology = development();
        break_it(&mut topology);
        let problems: Vec<String> = validate(&topology).iter().map(Problem::to_string).collect();
        assert!(problems.iter().any(|p| p == message), "{message}: {problems:?}");
    }
}

#[test]
fn both_profiles_work_and_production_survives_a_broker() {
    let production = pipeline(&Profile::production()).unwrap();
    assert_eq!(validate(&production), []);
    let development = development();
    assert!(production.replication_factor > production.min_insync_replicas);
    assert_eq!((development.replication_factor, development.min_insync_replicas), (1, 1));
    for (larger, smaller) in production.topics.iter().zip(&development.topics) {
        assert!(larger.partitions > smaller.partitions || larger.name == "_schemas");
    }
}

#[test]
fn every_avro_topic_has_a_subject() {
    let mut profile = Profile::development();
    profile.subject_compatibility.insert("analyses-value".to_owned(), Level::Backward);
    let topology = pipeline(&profile).unwrap();
    let names: Vec<&str> = topology.subjects.iter().map(|s| s.subject.as_str()).collect();
    assert_eq!(names.len(), 11, "{names:?}");
    assert!(names.contains(&"change-requester-state-value"));
    for subject in &topology.subjects {
        let is_set = subject.subject == "analyses-value";
        let level = if is_set { Level::Backward } else { Level::FullTransitive };
        assert_eq!(subject.compatibility, level, "{}", subject.subject);
    }
}

#[test]
fn replicas_and_subjects_that_cannot_be_are_refused() {
    let development = Profile::development;
    let cases: [(Profile, &str); 5] = [
        (
            Profile { replication_factor: 0, ..development() },
            "replication_factor is 0, wanted 1 to 32",
        ),
        (
            Profile { min_insync_replicas: 2, ..development() },
            "min_insync_replicas is 2, wanted 1 to replication_factor, 1",
        ),
        (
            Profile { min_insync_replicas: 0, ..development() },
            "min_insync_replicas is 0, wanted 1 to replication_factor, 1",
        ),
        (
            Profile {
                subject_compatibility: BTreeMap::from([("analyses".to_owned(), Level::None)]),
                ..development()
            },
            r#"compatibility is set for "analyses", which is no subject; did you mean "analyses-value"?"#,
        ),
        (
            Profile {
                subject_compatibility: BTreeMap::from([("raw-logs-value".to_owned(), Level::None)]),
                ..development()
            },
            r#"compatibility is set for "raw-logs-value", which is no subject"#,
        ),
    ];
    for (profile, message) in cases {
        let error = pipeline(&profile).unwrap_err().to_string();
        assert!(error.starts_with(message), "{message}: {error}");
    }
}

#[test]
fn descriptions() {
    let topology = development();
    insta::assert_snapshot!("text", describe(&topology, None, Format::Text));
    insta::assert_snapshot!("mermaid", describe(&topology, None, Format::Mermaid));
    insta::assert_snapshot!("dot", describe(&topology, None, Format::Dot));
}

#[test]
fn descriptions_with_what_is_known_of_a_cluster() {
    let topology = development();
    let mut figures = Figures { place: "cluster abc".to_owned(), ..Figures::default() };
    for topic in topology.topics.iter().filter(|topic| topic.name != "audit") {
        let now = TopicFigures { partitions: topic.partitions + 1, records: 1000 };
        figures.topics.insert(topic.name.clone(), now);
    }
    let mut lag = |stage: &str, topic: &str, records, millis| {
        figures.lags.insert((stage.to_owned(), topic.to_owned()), Lag { records, millis });
    };
    lag("classifier", "raw-logs", 12, 3_500);
    lag("analyzer", "classified-logs", 0, 0);
    lag("proposer", "analyses", 7, 26 * 3_600_000);
    lag("change-requester", "decisions", 1, 20);
    let described = |format| describe(&topology, Some(&figures), format);
    insta::assert_snapshot!("live-text", described(Format::Text));
    insta::assert_snapshot!("live-mermaid", described(Format::Mermaid));
    insta::assert_snapshot!("live-dot", described(Format::Dot));
}
