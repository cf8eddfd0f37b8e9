//! Members on the cluster that HEPHAESTUS_TEST_KAFKA names: what the mock cluster cannot tell.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    topic_partition_list::TopicPartitionList,
};

use super::store::{Identity, Store};
use crate::{
    engine::{
        Cleanup, Commit, CommitError, Engine, GroupSpec, Log, Member, Polled, TopicPartition,
        TopicSpec,
        kafka::{KafkaConfig, KafkaEngine, clients::Clients, settings::GroupProtocol},
    },
    record::{Headers, NewRecord, Record},
};

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

struct Broker {
    servers: String,
    engine: Arc<KafkaEngine>,
    prefix: String,
    config: KafkaConfig,
}

/// None where there is no cluster to test on.
async fn broker(config: KafkaConfig) -> Option<Broker> {
    let Ok(servers) = std::env::var("HEPHAESTUS_TEST_KAFKA") else {
        assert!(std::env::var_os("HEPHAESTUS_TEST_REQUIRE").is_none(), "no cluster to test on");
        eprintln!("skipped: HEPHAESTUS_TEST_KAFKA names no cluster");
        return None;
    };
    let engine = KafkaEngine::connect(&servers, config.clone(), 1 << 20).await.unwrap();
    let prefix = format!("m{:016x}", fastrand::u64(..));
    Some(Broker { servers, engine, prefix, config })
}

impl Broker {
    async fn topic(&self, name: &str, partitions: u32, is_state: bool) -> Arc<str> {
        let name: Arc<str> = format!("{}-{name}", self.prefix).into();
        let kept = Cleanup::Delete { retention_ms: None, retention_bytes: None };
        let cleanup = if is_state { Cleanup::Compact } else { kept };
        let spec = TopicSpec { name: name.clone(), partitions, cleanup };
        self.engine.create_topics(&[spec]).await.unwrap();
        name
    }

    fn group(&self, topic: &Arc<str>, state_topic: Option<&Arc<str>>) -> GroupSpec {
        GroupSpec {
            group: format!("{}-g", self.prefix).into(),
            topics: vec![topic.clone()],
            state_topic: state_topic.cloned(),
        }
    }

    async fn values(&self, topic: &Arc<str>, partition: u32) -> Vec<String> {
        let place = TopicPartition { topic: topic.clone(), partition };
        let mut values = Vec::new();
        let mut from = 0;
        loop {
            let records = self.engine.read(&place, from, 1 << 20).await.unwrap();
            let Some(last) = records.last() else { return values };
            from = last.offset + 1;
            values.extend(records.iter().map(text));
        }
    }
}

fn text(record: &Record) -> String {
    String::from_utf8(record.value.clone().unwrap_or_default().to_vec()).unwrap()
}

fn record(topic: &Arc<str>, partition: u32, key: Option<&str>, value: &str) -> NewRecord {
    NewRecord {
        topic: topic.clone(),
        partition: Some(partition),
        timestamp_ms: 1_700_000_000_000,
        key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Headers::default(),
    }
}

/// Polls until it owns so many partitions.
async fn own(member: &mut Box<dyn Member>, partitions: usize) {
    let mut owned = 0;
    let owning = async {
        while owned < partitions {
            match member.poll(POLL, 0).await.unwrap() {
                Polled::Assigned(new) => owned += new.len(),
                Polled::Revoked(lost) => owned -= lost.len(),
                Polled::Records(_) | Polled::Nothing => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, owning).await.unwrap();
}

/// Copies record by record until it is told to leave.
async fn copy(
    mut member: Box<dyn Member>,
    output: Arc<str>,
    copied: Arc<AtomicUsize>,
    mut leave: tokio::sync::oneshot::Receiver<()>,
) {
    let mut pending: Vec<Record> = Vec::new();
    while leave.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
        match member.poll(POLL, 2000).await.unwrap() {
            Polled::Records(mut records) => pending.append(&mut records),
            Polled::Revoked(lost) => pending.retain(|record| !lost.contains(&record.partition)),
            Polled::Assigned(_) | Polled::Nothing => {}
        }
        if pending.is_empty() {
            continue;
        }
        let mut offsets: BTreeMap<u32, u64> = BTreeMap::new();
        let mut commit = Commit::default();
        for record in &pending {
            offsets.insert(record.partition, record.offset + 1);
            commit.records.push(super::broker_tests::record(
                &output,
                record.partition,
                None,
                &text(record),
            ));
        }
        for (partition, next) in offsets {
            let topic = pending[0].topic.clone();
            commit.offsets.push((TopicPartition { topic, partition }, next));
        }
        match member.commit(commit).await {
            Ok(()) => {
                copied.fetch_add(pending.len(), Ordering::SeqCst);
                pending.clear();
            }
            Err(CommitError::Fenced) => {}
            Err(error) => eprintln!("commit: {error}"),
        }
    }
    member.leave().await.unwrap();
}

/// Members come, go and are dropped in the middle of their work.
async fn members_come_and_go(config: KafkaConfig) {
    const PARTITIONS: u32 = 4;
    const RECORDS: usize = 1200;
    let Some(broker) = broker(config).await else { return };
    let input = broker.topic("input", PARTITIONS, false).await;
    let output = broker.topic("output", PARTITIONS, false).await;
    let copied = Arc::new(AtomicUsize::new(0));
    let mut leaving = Vec::new();
    let start = async |leaving: &mut Vec<_>| {
        let member = broker.engine.join(broker.group(&input, None)).await.unwrap();
        let (leave, told) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(copy(member, output.clone(), copied.clone(), told));
        leaving.push((leave, task));
    };
    start(&mut leaving).await;
    let mut written = 0;
    for round in 0..4 {
        let records = (0..RECORDS / 4).map(|index| {
            let number = written + index;
            record(&input, number as u32 % PARTITIONS, None, &format!("{number:05}"))
        });
        broker.engine.append(records.collect()).await.unwrap();
        written += RECORDS / 4;
        match round {
            0 | 2 => start(&mut leaving).await,
            // One is dropped wherever it is.
            1 => {
                let (_leave, task) = leaving.remove(0);
                task.abort();
                let _ = task.await;
            }
            _ => {
                let (leave, task) = leaving.remove(0);
                leave.send(()).unwrap();
                task.await.unwrap();
            }
        }
    }
    let done = async {
        loop {
            let mut there = 0;
            for partition in 0..PARTITIONS {
                there += broker.values(&output, partition).await.len();
            }
            if there >= RECORDS {
                return;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let done = tokio::time::timeout(PATIENCE, done).await;
    assert!(done.is_ok(), "{} of {RECORDS} were copied", copied.load(Ordering::SeqCst));
    for (leave, task) in leaving {
        leave.send(()).unwrap();
        task.await.unwrap();
    }
    for partition in 0..PARTITIONS {
        let wanted = broker.values(&input, partition).await;
        assert_eq!(broker.values(&output, partition).await, wanted, "partition {partition}");
    }
    broker.engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_is_copied_once_whoever_comes_and_goes() {
    members_come_and_go(KafkaConfig::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_is_copied_once_where_the_broker_assigns() {
    let group_protocol = GroupProtocol::Consumer;
    members_come_and_go(KafkaConfig { group_protocol, ..KafkaConfig::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_carry_the_note_of_their_commit() {
    let Some(broker) = broker(KafkaConfig::default()).await else { return };
    let input = broker.topic("input", 1, false).await;
    let spec = broker.group(&input, None);
    let mut member = broker.engine.join(spec.clone()).await.unwrap();
    own(&mut member, 1).await;
    let place = TopicPartition { topic: input.clone(), partition: 0 };
    let commit = Commit { offsets: vec![(place, 0)], ..Commit::default() };
    member.commit(commit).await.unwrap();
    let clients = Clients::new(&broker.servers, broker.config.clone(), 1 << 20).unwrap();
    let own =
        [("group.id", spec.group.to_string()), ("isolation.level", "read_committed".to_owned())];
    let asking: BaseConsumer = clients.client_config(&own).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(&input, 0);
    let committed = asking.committed_offsets(list, PATIENCE).unwrap();
    let note = committed.elements()[0].metadata().to_owned();
    assert!(note.ends_with("/1") && note.len() > 10, "{note:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_copy_is_gone_on_with_and_a_lost_one_is_read_anew() {
    let directory = tempfile::tempdir().unwrap();
    let state_dir = Some(directory.path().to_owned());
    let config =
        KafkaConfig { state_dir, instance: Some("i".to_owned()), ..KafkaConfig::default() };
    let Some(broker) = broker(config).await else { return };
    let input = broker.topic("input", 1, false).await;
    let state = broker.topic("state", 1, true).await;
    let spec = broker.group(&input, Some(&state));
    let entry = |key: &str, value: &str| record(&state, 0, Some(key), value);
    let path = directory.path().join(format!("{}-0.redb", spec.group));
    for round in 0..4 {
        let mut member = broker.engine.join(spec.clone()).await.unwrap();
        own(&mut member, 1).await;
        let reader = member.state();
        for earlier in 0..round {
            let value = reader.get(0, format!("k{earlier}").as_bytes()).await.unwrap();
            assert_eq!(value.as_deref(), Some(&b"v"[..]), "k{earlier} in round {round}");
        }
        let count = reader.get(0, b"count").await.unwrap().unwrap_or_default();
        assert_eq!(count.len(), round);
        let entries =
            vec![entry(&format!("k{round}"), "v"), entry("count", &"x".repeat(round + 1))];
        member.commit(Commit { records: entries.into(), offsets: Vec::new() }).await.unwrap();
        drop(reader);
        member.leave().await.unwrap();
        let cluster = broker.engine.cluster_id().await.unwrap();
        let identity = Identity { cluster, topic: state.to_string() };
        let store = Store::open(&path, &identity).unwrap();
        // The copy knows that it is up to this round's entries: those alone are read anew.
        let next = store.checkpoint(0).unwrap().unwrap();
        let place = TopicPartition { topic: state.clone(), partition: 0 };
        assert!(broker.engine.wait(&place, next, PATIENCE).await.unwrap());
        let last = broker.engine.read(&place, next, 1 << 20).await.unwrap();
        assert_eq!(last.iter().map(text).collect::<Vec<_>>(), ["v", &"x".repeat(round + 1)]);
        drop(store);
        if round == 1 {
            std::fs::remove_file(&path).unwrap();
        }
    }
}
