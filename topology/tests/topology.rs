//! The pipeline's topology is one that works, and what is wrong with another is found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use hephaestus_topology::{
    Cleanup, Existing, Format, Problem, Profile, ProfileError, Step, Topology, describe, pipeline,
    plan, validate,
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

fn as_existing(topology: &Topology) -> Vec<Existing> {
    let existing = topology.topics.iter().map(|topic| Existing {
        name: topic.name.clone(),
        partitions: topic.partitions,
        cleanup: Some(topic.cleanup),
    });
    existing.collect()
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
fn a_new_engine_gets_every_topic_and_an_equal_one_none() {
    let topology = development();
    let steps = plan(&topology, &[]);
    assert_eq!(steps.len(), topology.topics.len());
    assert!(steps.iter().all(|step| matches!(step, Step::Create(_))));

    let steps = plan(&topology, &as_existing(&topology));
    assert!(steps.iter().all(|step| matches!(step, Step::Keep(_))));
}

#[test]
fn a_plan_says_what_differs_and_refuses_to_shrink() {
    let topology = development();
    let mut existing = as_existing(&topology);
    existing[0].partitions = 8;
    existing[1].cleanup = Some(Cleanup::Compact);
    existing[2].cleanup =
        Some(Cleanup::Delete { retention: Duration::from_secs(60), retention_bytes: None });
    existing[3].partitions = 2;
    existing.push(Existing { name: "other".to_owned(), partitions: 1, cleanup: None });
    let steps = plan(&topology, &existing);
    let notable: Vec<String> =
        steps.iter().filter(|step| !matches!(step, Step::Keep(_))).map(Step::to_string).collect();
    let expected = [
        "! raw-logs: has 8 partitions, wanted 4; a topic is never shrunk: records would be lost",
        "! classified-logs: has cleanup compact, wanted delete; records that were kept would be lost",
        "~ analyses: has a retention of 60 s, wanted a retention of 7776000 s; left as it is",
        "! proposed-changes: has 2 partitions, wanted 4; keys would move to other partitions and lose their order",
        "? other: not of this topology; left as it is",
    ];
    assert_eq!(notable, expected);
    assert_eq!(steps.iter().filter(|step| step.is_refusal()).count(), 3);
}

#[test]
fn descriptions() {
    let topology = development();
    insta::assert_snapshot!("text", describe(&topology, Format::Text));
    insta::assert_snapshot!("mermaid", describe(&topology, Format::Mermaid));
    insta::assert_snapshot!("dot", describe(&topology, Format::Dot));
}
