//! Members against librdkafka's mock cluster, which answers with the errors that it is given.
//!
//! It knows no generations and shows records before they are committed: what is tested is what becomes of a commit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    mocking::MockCluster,
    producer::{BaseRecord, DefaultProducerContext, Producer},
    types::{RDKafkaApiKey as Api, RDKafkaRespErr as Answer},
};

use super::{delivery::ProducerCallbacks, producer::SessionProducer};
use crate::{
    engine::{
        Commit, CommitError, EngineError, GroupSpec, Member, Polled, TopicPartition,
        kafka::{KafkaConfig, clients::Clients, context::has_lost_connection, settings::Delivery},
    },
    record::{Headers, NewRecord},
};

const PATIENCE: Duration = Duration::from_secs(30);
const PARTITIONS: u32 = 2;

struct Mock {
    cluster: MockCluster<'static, DefaultProducerContext>,
    config: KafkaConfig,
}

impl Mock {
    fn new() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        for topic in ["input", "output"] {
            cluster.create_topic(topic, PARTITIONS as i32, 1).unwrap();
        }
        Self { cluster, config: KafkaConfig::default() }
    }

    async fn join(&self) -> Box<dyn Member> {
        let servers = self.cluster.bootstrap_servers();
        let clients = Clients::new(&servers, self.config.clone(), 1 << 20).unwrap();
        let spec = GroupSpec { group: "g".into(), topics: vec!["input".into()], state_topic: None };
        super::join(Arc::new(clients), spec, PARTITIONS, 0).await.unwrap()
    }

    /// A member that has every partition.
    async fn owner(&self) -> Box<dyn Member> {
        let mut member = self.join().await;
        let mut owned = 0;
        while owned < PARTITIONS {
            match poll(&mut member).await {
                Polled::Assigned(partitions) => owned += partitions.len() as u32,
                Polled::Nothing | Polled::Records(_) => {}
                Polled::Revoked(partitions) => owned -= partitions.len() as u32,
            }
        }
        member
    }

    fn fail(&self, api: Api, answers: &[Answer]) {
        self.cluster.request_errors(api, answers);
    }
}

async fn poll(member: &mut Box<dyn Member>) -> Polled {
    let polling = member.poll(Duration::from_millis(200), 1 << 20);
    tokio::time::timeout(PATIENCE, polling).await.unwrap().unwrap()
}

fn record(topic: &str, partition: u32, value: impl Into<Vec<u8>>) -> NewRecord {
    NewRecord {
        topic: topic.into(),
        partition: Some(partition),
        timestamp_ms: 1_700_000_000_000,
        key: None,
        value: Some(Bytes::from(value.into())),
        headers: Headers::default(),
    }
}

fn commit(next: u64) -> Commit {
    let input = TopicPartition { topic: "input".into(), partition: 0 };
    Commit { records: vec![record("output", 0, "x")].into(), offsets: vec![(input, next)] }
}

async fn try_commit(member: &mut Box<dyn Member>, next: u64) -> Result<(), CommitError> {
    tokio::time::timeout(PATIENCE, member.commit(commit(next))).await.unwrap()
}

#[tokio::test]
async fn what_may_work_later_is_repeated_until_it_does() {
    let mock = Mock::new();
    let mut member = mock.owner().await;
    for (api, answer) in [
        (Api::AddPartitionsToTxn, Answer::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE),
        (Api::Produce, Answer::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION),
        (Api::TxnOffsetCommit, Answer::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS),
        (Api::EndTxn, Answer::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE),
        (Api::EndTxn, Answer::RD_KAFKA_RESP_ERR__TRANSPORT),
    ] {
        mock.fail(api, &[answer, answer]);
        try_commit(&mut member, 1).await.unwrap();
    }
}

/// One that is made anew for every transaction halves the throughput.
#[test]
fn a_producer_is_not_made_anew_where_its_connections_stay() {
    let mock = Mock::new();
    let servers = mock.cluster.bootstrap_servers();
    let clients = Clients::new(&servers, mock.config.clone(), 1 << 20).unwrap();
    let mut own = clients.producer_settings();
    own.extend(clients.transactional_settings("t"));
    let context = ProducerCallbacks { engine: clients.context("test"), own: Arc::default() };
    let producer: SessionProducer = clients.create(&own, context).unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    for _ in 0..20 {
        producer.begin_transaction().unwrap();
        let record = BaseRecord::<[u8], [u8]>::to("output").payload(&b"x"[..]).partition(0);
        producer.send(record).unwrap();
        producer.commit_transaction(PATIENCE).unwrap();
        assert!(!has_lost_connection(&producer));
    }
}

#[tokio::test]
async fn a_commit_whose_end_is_not_known_waits_for_it() {
    let mock = Mock::new();
    let mut member = mock.owner().await;
    try_commit(&mut member, 1).await.unwrap();
    // No answer comes for longer than one call lasts.
    mock.cluster.broker_round_trip_time(1, Duration::from_millis(1500)).unwrap();
    let started = Instant::now();
    let waiting = tokio::spawn(async move {
        try_commit(&mut member, 2).await.unwrap();
        member
    });
    tokio::time::sleep(Duration::from_millis(1600)).await;
    mock.cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
    waiting.await.unwrap();
    assert!(started.elapsed() > Duration::from_millis(1500), "no answer was late");
}

#[tokio::test]
async fn a_stale_generation_fences_the_commit() {
    let mock = Mock::new();
    let mut member = mock.owner().await;
    for answer in [
        Answer::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
        Answer::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
        Answer::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
    ] {
        mock.fail(Api::TxnOffsetCommit, &[answer]);
        let result = try_commit(&mut member, 1).await;
        assert!(matches!(result, Err(CommitError::Fenced)), "{answer:?}: {result:?}");
    }
    try_commit(&mut member, 1).await.unwrap();
}

#[tokio::test]
async fn an_abortable_error_aborts_and_the_same_goes_through_again() {
    let mock = Mock::new();
    let mut member = mock.owner().await;
    for api in [Api::AddOffsetsToTxn, Api::TxnOffsetCommit, Api::EndTxn] {
        mock.fail(api, &[Answer::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR]);
        let result = try_commit(&mut member, 1).await;
        let is_unavailable =
            matches!(result, Err(CommitError::Engine(EngineError::Unavailable(_))));
        assert!(is_unavailable, "{api:?}: {result:?}");
        try_commit(&mut member, 1).await.unwrap();
    }
}

#[tokio::test]
async fn a_fenced_producer_is_replaced() {
    let mock = Mock::new();
    let mut member = mock.owner().await;
    // The broker gave up on the transaction before its offsets came, or at its end. In the second case the member asks
    // for the group's offsets: the mock cluster does not keep those of transactions, so it did not go through.
    for (api, answer) in [
        (Api::TxnOffsetCommit, Answer::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH),
        (Api::EndTxn, Answer::RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
    ] {
        mock.fail(api, &[answer]);
        let result = try_commit(&mut member, 1).await;
        let is_unavailable =
            matches!(result, Err(CommitError::Engine(EngineError::Unavailable(_))));
        assert!(is_unavailable, "{api:?}: {result:?}");
        try_commit(&mut member, 1).await.unwrap();
    }
}

#[tokio::test]
async fn one_who_is_fenced_again_and_again_stops_and_names_the_instance() {
    let mut mock = Mock::new();
    mock.config.instance = Some("host-1".to_owned());
    let mut member = mock.owner().await;
    for _ in 0..20 {
        mock.fail(Api::TxnOffsetCommit, &[Answer::RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
        match try_commit(&mut member, 1).await {
            Err(CommitError::Engine(EngineError::Unavailable(_))) => {}
            Err(CommitError::Engine(EngineError::Fatal(message))) => {
                assert!(message.contains("host-1"), "{message}");
                return;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("goes on for ever");
}

#[tokio::test]
async fn what_is_not_allowed_is_fatal() {
    let mock = Mock::new();
    let mut member = mock.owner().await;
    for (api, answer) in [
        (Api::TxnOffsetCommit, Answer::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED),
        (Api::AddPartitionsToTxn, Answer::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED),
        (Api::Produce, Answer::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE),
    ] {
        mock.fail(api, &[answer]);
        let result = try_commit(&mut member, 1).await;
        let is_fatal = matches!(result, Err(CommitError::Engine(EngineError::Fatal(_))));
        assert!(is_fatal, "{api:?}: {result:?}");
    }
}

#[tokio::test]
async fn what_failed_while_offsets_were_on_their_way_is_told() {
    let mock = Mock::new();
    let mut member = mock.owner().await;
    // The partitions are refused while the group's coordinator is still looked for.
    mock.cluster.broker_round_trip_time(1, Duration::from_millis(50)).unwrap();
    let refusal = Answer::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    mock.fail(Api::AddPartitionsToTxn, &[refusal]);
    let result = try_commit(&mut member, 1).await;
    let is_fatal = matches!(result, Err(CommitError::Engine(EngineError::Fatal(_))));
    assert!(is_fatal, "{result:?}");
}

#[tokio::test]
async fn a_record_that_fits_nowhere_is_refused_before_anything_is_written() {
    let mock = Mock::new();
    let mut member = mock.owner().await;
    let with = |record: NewRecord| Commit { records: vec![record].into(), ..commit(1) };
    let refused = member.commit(with(record("nowhere", 0, "x"))).await;
    let unknown = |result: &Result<(), CommitError>| {
        matches!(result, Err(CommitError::Engine(EngineError::UnknownPartition { .. })))
    };
    assert!(unknown(&refused), "{refused:?}");
    let refused = member.commit(with(record("output", PARTITIONS, "x"))).await;
    assert!(unknown(&refused), "{refused:?}");
    let refused = member.commit(with(record("output", 0, vec![0; (1 << 20) + 1]))).await;
    let is_too_large =
        matches!(refused, Err(CommitError::Engine(EngineError::RecordTooLarge { .. })));
    assert!(is_too_large, "{refused:?}");
    try_commit(&mut member, 1).await.unwrap();
}

#[tokio::test]
async fn at_least_once_commits_offsets_after_outputs_and_is_fenced_too() {
    let mut mock = Mock::new();
    mock.config.delivery = Delivery::AtLeastOnce;
    let mut member = mock.owner().await;
    try_commit(&mut member, 1).await.unwrap();
    mock.fail(Api::OffsetCommit, &[Answer::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION]);
    let result = try_commit(&mut member, 2).await;
    assert!(matches!(result, Err(CommitError::Fenced)), "{result:?}");
}

/// Writes records through a member, which may write anywhere.
async fn fill(member: &mut Box<dyn Member>, records: usize) {
    let records = (0..records).map(|index| {
        let partition = index as u32 % PARTITIONS;
        record("input", partition, format!("{index:0100}"))
    });
    let commit = Commit { records: records.collect::<Vec<_>>().into(), offsets: Vec::new() };
    member.commit(commit).await.unwrap();
}

#[tokio::test]
async fn pauses_and_full_queues_lose_nothing_and_double_nothing() {
    const RECORDS: usize = 4000;
    let mut mock = Mock::new();
    // A few dozen records fill every queue.
    mock.config.fetch_queue = crate::config::ByteSize(64 << 10);
    let mut member = mock.owner().await;
    fill(&mut member, RECORDS).await;
    let mut next = [0; PARTITIONS as usize];
    let mut random = fastrand::Rng::with_seed(7);
    let mut paused = None;
    let mut turns = 0;
    let reading = async {
        while next.iter().sum::<u64>() < RECORDS as u64 {
            turns += 1;
            if turns % 5 == 0 {
                let partition = random.u32(..PARTITIONS);
                member.pause(partition);
                member.resume(1 - partition);
                paused = Some(partition);
            }
            let max_bytes = random.usize(0..20_000);
            let Polled::Records(records) =
                member.poll(Duration::from_millis(20), max_bytes).await.unwrap()
            else {
                member.resume(0);
                member.resume(1);
                paused = None;
                continue;
            };
            for record in records {
                assert_ne!(Some(record.partition), paused);
                let expected = &mut next[record.partition as usize];
                assert_eq!(record.offset, *expected);
                *expected += 1;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("records are missing");
}

#[tokio::test]
async fn a_poll_that_is_dropped_loses_nothing() {
    const RECORDS: usize = 500;
    let mock = Mock::new();
    let mut member = mock.owner().await;
    fill(&mut member, RECORDS).await;
    let mut seen = 0;
    while seen < RECORDS {
        tokio::select! {
            biased;
            polled = member.poll(Duration::from_secs(1), 2000) => {
                if let Polled::Records(records) = polled.unwrap() {
                    seen += records.len();
                }
            }
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(seen, RECORDS);
}

#[tokio::test]
async fn leaving_ends_though_no_broker_answers() {
    let mock = Mock::new();
    let member = mock.owner().await;
    mock.cluster.broker_down(-1).unwrap();
    let started = Instant::now();
    member.leave().await.unwrap();
    assert!(started.elapsed() < super::LEAVE_DEADLINE + Duration::from_secs(1));
}
