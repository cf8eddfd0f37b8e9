//! A plan says what differs, never shrinks or deletes, and leaves nothing for the next.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use hephaestus_schemas::registry::Level;
use hephaestus_topology::{
    Live, LiveSubject, LiveTopic, Options, Profile, StartCheck, Step, Target, Topology,
    check_start, pipeline, plan, wanted,
};
use proptest::prelude::*;

const CLUSTER: Options = Options { target: Target::Cluster, grow: false };
const GROWING: Options = Options { target: Target::Cluster, grow: true };
const DIRECTORY: Options = Options { target: Target::Directory, grow: false };

fn development() -> Topology {
    pipeline(&Profile::development()).unwrap()
}

/// What there is once a topology was applied.
fn as_live(topology: &Topology, target: Target) -> Live {
    let mut live = Live { topics: Vec::new(), subjects: Some(BTreeMap::new()) };
    for step in plan(topology, &live, Options { target, grow: false }) {
        do_step(&mut live, &step);
    }
    live
}

/// What an engine and a registry do with a step; what is asked of them is checked on the way.
fn do_step(live: &mut Live, step: &Step) {
    let topic = |live: &mut Live, name: &str| {
        live.topics.iter().position(|topic| topic.name == name).expect("the topic exists")
    };
    match step {
        Step::Create(wanted) => {
            assert!(live.topics.iter().all(|topic| topic.name != wanted.name));
            live.topics.push(LiveTopic {
                name: wanted.name.clone(),
                partitions: wanted.partitions,
                replication: wanted.replication,
                configs: wanted.configs.clone(),
            });
        }
        Step::Configure { topic: name, changes } => {
            let index = topic(live, name);
            for change in changes {
                assert_ne!(change.key, "cleanup.policy");
                let configs = &mut live.topics[index].configs;
                let before = configs.insert(change.key.clone(), change.to.clone());
                assert_eq!(before, change.from);
            }
        }
        Step::Grow { topic: name, from, to, .. } => {
            let index = topic(live, name);
            assert_eq!(live.topics[index].partitions, *from);
            assert!(to > from, "shrinks {name}");
            live.topics[index].partitions = *to;
        }
        Step::SetLevel { subject, from, to } => {
            let subjects = live.subjects.as_mut().unwrap();
            let known = subjects.get_mut(subject).expect("some registries want the schema first");
            assert_eq!(known.level, *from);
            known.level = Some(*to);
        }
        Step::Register { subject, .. } => {
            live.subjects.as_mut().unwrap().entry(subject.clone()).or_default().has_schema = true;
        }
        Step::Keep(_)
        | Step::Replicas { .. }
        | Step::Refuse { .. }
        | Step::Unknown(_)
        | Step::Incompatible { .. } => assert!(!step.is_change()),
    }
}

fn notable(steps: &[Step]) -> Vec<String> {
    let notable = steps.iter().filter(|step| !matches!(step, Step::Keep(_)));
    notable.map(ToString::to_string).collect()
}

fn topic<'a>(live: &'a mut Live, name: &str) -> &'a mut LiveTopic {
    live.topics.iter_mut().find(|topic| topic.name == name).unwrap()
}

#[test]
fn a_new_engine_gets_everything_and_an_equal_one_nothing() {
    let topology = development();
    for (options, subjects) in [(CLUSTER, true), (CLUSTER, false), (DIRECTORY, false)] {
        let empty = Live { topics: Vec::new(), subjects: subjects.then(BTreeMap::new) };
        let steps = plan(&topology, &empty, options);
        let registered = if subjects { 2 * topology.subjects.len() } else { 0 };
        assert_eq!(steps.len(), topology.topics.len() + registered);
        assert!(steps.iter().all(Step::is_change), "{steps:?}");

        let live = as_live(&topology, options.target);
        let steps = plan(&topology, &live, options);
        assert!(steps.iter().all(|step| matches!(step, Step::Keep(_))), "{steps:?}");
    }
}

#[test]
fn what_is_created_in_a_cluster_is_said_in_full() {
    let topology = pipeline(&Profile::production()).unwrap();
    let steps = plan(&topology, &Live::default(), CLUSTER);
    insta::assert_snapshot!("production", notable(&steps).join("\n"));
}

#[test]
fn a_batch_of_small_records_fits_where_records_are_small() {
    let profile = Profile { max_value_bytes: 1000, ..Profile::development() };
    let topology = pipeline(&profile).unwrap();
    let analyses = wanted(&topology, topology.topic("analyses").unwrap(), Target::Cluster);
    assert_eq!(analyses.configs["max.message.bytes"], "1048588");
}

#[test]
fn what_is_created_in_a_directory_has_no_replicas() {
    let steps = plan(&development(), &Live::default(), DIRECTORY);
    assert_eq!(steps[0].to_string(), "+ raw-logs (4 partitions, delete)");
    assert_eq!(steps[6].to_string(), "+ nodes (4 partitions, compact)");
}

#[test]
fn differences_are_said_with_what_becomes_of_them() {
    let topology = development();
    let mut live = as_live(&topology, Target::Cluster);
    let set = |live: &mut Live, name: &str, key: &str, value: &str| {
        topic(live, name).configs.insert(key.to_owned(), value.to_owned());
    };
    topic(&mut live, "raw-logs").partitions = 8;
    set(&mut live, "classified-logs", "cleanup.policy", "compact, delete");
    set(&mut live, "analyses", "retention.ms", "60000");
    topic(&mut live, "analyses").configs.remove("max.message.bytes");
    topic(&mut live, "proposed-changes").partitions = 2;
    topic(&mut live, "change-requester-state").partitions = 2;
    topic(&mut live, "nodes").partitions = 2;
    topic(&mut live, "audit").partitions = 1;
    topic(&mut live, "decisions").replication = Some(3);
    for name in ["orders", "__consumer_offsets"] {
        let other = LiveTopic { name: name.to_owned(), ..live.topics[0].clone() };
        live.topics.push(other);
    }
    let subjects = live.subjects.as_mut().unwrap();
    subjects.get_mut("analyses-value").unwrap().level = Some(Level::Backward);
    subjects.get_mut("nodes-value").unwrap().level = None;
    subjects.remove("patterns-value");
    let old = LiveSubject {
        level: Some(Level::FullTransitive),
        has_schema: false,
        incompatible: Some("reader field missing default value: node".to_owned()),
    };
    subjects.insert("audit-value".to_owned(), old);
    let steps = plan(&topology, &live, CLUSTER);
    insta::assert_snapshot!("differences", notable(&steps).join("\n"));
    let steps = plan(&topology, &live, GROWING);
    let grown: Vec<String> =
        notable(&steps).into_iter().filter(|step| step.starts_with('^')).collect();
    insta::assert_snapshot!("growing", grown.join("\n"));
}

#[test]
fn a_directory_grows_no_topic() {
    let topology = development();
    let mut live = as_live(&topology, Target::Directory);
    topic(&mut live, "raw-logs").partitions = 2;
    let options = Options { grow: true, ..DIRECTORY };
    let expected = "! raw-logs: has 2 partitions, wanted 4; keys would move to other partitions and lose their order";
    assert_eq!(notable(&plan(&topology, &live, options)), [expected]);
}

#[test]
fn a_topic_with_too_few_replicas_stays_writable() {
    let mut live = as_live(&development(), Target::Cluster);
    let topology = pipeline(&Profile {
        replication_factor: 3,
        min_insync_replicas: 2,
        ..Profile::development()
    })
    .unwrap();
    let steps = plan(&topology, &live, CLUSTER);
    assert!(steps.iter().all(|step| !step.is_change()), "{steps:?}");
    assert_eq!(
        steps[0].to_string(),
        "* raw-logs: has 1 replica, wanted 3; left as it is, kafka-reassign-partitions changes it, and min.insync.replicas can be 2 then"
    );
    topic(&mut live, "raw-logs").replication = Some(3);
    let steps = plan(&topology, &live, CLUSTER);
    assert_eq!(steps[0].to_string(), "~ raw-logs: min.insync.replicas 1 -> 2");
}

#[test]
fn a_level_that_changes_is_set_before_the_schema_is_judged() {
    let topology = development();
    let mut live = as_live(&topology, Target::Cluster);
    let old = LiveSubject {
        level: Some(Level::Backward),
        has_schema: false,
        incompatible: Some("no".to_owned()),
    };
    live.subjects.as_mut().unwrap().insert("analyses-value".to_owned(), old);
    let steps = notable(&plan(&topology, &live, CLUSTER));
    let expected = [
        "~ subject analyses-value: BACKWARD -> FULL_TRANSITIVE",
        "+ subject analyses-value (hephaestus.v1.Analysis)",
    ];
    assert_eq!(steps, expected);
}

fn profiles() -> impl Strategy<Value = Profile> {
    (any::<bool>(), 1..6_u32, 1..6_u32, 1..4_u16, 0..4_u16, 0..7_usize, 1..100_u64).prop_map(
        |(production, default, raw, replicas, fewer, level, days)| {
            let base = if production { Profile::production() } else { Profile::development() };
            Profile {
                default_partitions: default,
                partitions: BTreeMap::from([("raw-logs".to_owned(), raw)]),
                replication_factor: replicas,
                min_insync_replicas: replicas.saturating_sub(fewer).max(1),
                log_retention: std::time::Duration::from_secs(days * 86_400),
                compatibility: Level::ALL[level],
                ..base
            }
        },
    )
}

/// What another topology left behind, damaged here and there.
fn lives() -> impl Strategy<Value = Live> {
    let damage = (0..40_usize, 0..8_u8, 1..9_u32);
    (profiles(), any::<bool>(), prop::collection::vec(damage, 0..12)).prop_map(
        |(profile, asked, damages)| {
            let mut live = as_live(&pipeline(&profile).unwrap(), Target::Cluster);
            for (index, kind, number) in damages {
                let count = live.topics.len();
                if count == 0 {
                    break;
                }
                let index = index % count;
                let topic = &mut live.topics[index];
                match kind {
                    0 => drop(live.topics.remove(index)),
                    1 => topic.partitions = number,
                    2 => topic.replication = u16::try_from(number).ok(),
                    3 => topic.name = format!("other-{number}-{index}"),
                    4 => topic.configs = BTreeMap::new(),
                    5 => {
                        let value = (number * 1000).to_string();
                        topic.configs.insert("retention.ms".to_owned(), value);
                    }
                    6 => {
                        topic.configs.insert("cleanup.policy".to_owned(), "compact".to_owned());
                    }
                    _ => {
                        let subjects = live.subjects.as_mut().unwrap();
                        let name = subjects.keys().nth(index % subjects.len().max(1)).cloned();
                        match (name, number % 4) {
                            (Some(name), 0) => drop(subjects.remove(&name)),
                            (Some(name), 1) => subjects.get_mut(&name).unwrap().level = None,
                            (Some(name), 2) => subjects.get_mut(&name).unwrap().has_schema = false,
                            (Some(name), _) => {
                                let subject = subjects.get_mut(&name).unwrap();
                                subject.has_schema = false;
                                subject.incompatible = Some("no".to_owned());
                            }
                            (None, _) => {}
                        }
                    }
                }
            }
            if !asked {
                live.subjects = None;
            }
            live
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// `do_step` asserts that no step shrinks or deletes.
    #[test]
    fn applying_a_plan_leaves_nothing_to_change(profile in profiles(), live in lives(), grow: bool) {
        let topology = pipeline(&profile).unwrap();
        let options = Options { target: Target::Cluster, grow };
        let steps = plan(&topology, &live, options);
        let mut after = live.clone();
        for step in &steps {
            do_step(&mut after, step);
        }
        for topic in &live.topics {
            let kept = after.topics.iter().find(|kept| kept.name == topic.name).unwrap();
            prop_assert!(kept.partitions >= topic.partitions);
            prop_assert!(grow || kept.partitions == topic.partitions);
            prop_assert_eq!(kept.configs.get("cleanup.policy"), topic.configs.get("cleanup.policy"));
            let unknown = topology.topic(&topic.name).is_none();
            prop_assert!(!unknown || kept == topic);
        }
        let again = plan(&topology, &after, options);
        prop_assert!(again.iter().all(|step| !step.is_change()), "{again:?}");
        let refused = |steps: &[Step]| steps.iter().filter(|step| step.is_refusal()).count();
        prop_assert!(refused(&again) <= refused(&steps) + topology.subjects.len());
        if refused(&steps) == 0 && refused(&again) == 0 {
            for topic in &topology.topics {
                let wanted = wanted(&topology, topic, Target::Cluster);
                let found = after.topics.iter().find(|found| found.name == topic.name).unwrap();
                prop_assert_eq!(found.partitions, wanted.partitions);
            }
        }
    }

    #[test]
    fn whatever_exists_can_be_said_in_lines(profile in profiles(), live in lives()) {
        let topology = pipeline(&profile).unwrap();
        for step in plan(&topology, &live, CLUSTER) {
            prop_assert!(!step.to_string().contains('\n'));
        }
    }
}

#[test]
fn a_stage_starts_where_its_own_topics_fit() {
    let topology = development();
    let mut live = as_live(&topology, Target::Cluster);
    let all: Vec<&str> = topology.stages.iter().map(|stage| stage.name).collect();
    assert_eq!(check_start(&topology, &live, &all), StartCheck::default());

    // Other stages' topics, those of strangers, and retention keep no stage from starting.
    live.topics.retain(|topic| topic.name != "analyzer-state");
    topic(&mut live, "change-requests").partitions = 1;
    topic(&mut live, "audit").name = "stranger".to_owned();
    topic(&mut live, "raw-logs").configs.insert("retention.ms".to_owned(), "1".to_owned());
    let check = check_start(&topology, &live, &["classifier", "node-manager"]);
    assert_eq!(check.stops, []);
    let differs = notable(&check.differs);
    assert_eq!(differs, ["~ raw-logs: retention.ms 1 (0 s) -> 604800000 (7 d)"]);

    topic(&mut live, "raw-logs").configs.insert("max.message.bytes".to_owned(), "1".to_owned());
    let check = check_start(&topology, &live, &all);
    let stops: Vec<String> = notable(&check.stops);
    let expected = [
        "~ raw-logs: max.message.bytes 1 -> 16843776, retention.ms 1 (0 s) -> 604800000 (7 d)",
        "! change-requests: has 1 partition, wanted 4; it grows with --grow alone: keys move to other partitions, records of a key are in order from then on alone",
        "+ analyzer-state (4 partitions, 1 replica, compact, max.message.bytes 1066560, min.insync.replicas 1, segment.bytes 67108864 (64 MiB))",
    ];
    assert_eq!(stops, expected);
}
