//! A request for the end of a transaction that comes late, when the next transaction is under way.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hephaestus_pipeline::{
    engine::{
        Cleanup, Commit, Engine, GroupSpec, Member, Polled, TopicPartition, TopicSpec,
        kafka::{KafkaConfig, KafkaEngine},
    },
    record::{Headers, NewRecord},
};

use crate::{
    broker::Broker,
    can_run,
    observer::Observer,
    proxy::{Counts, Mode, Proxy},
};

/// Longest time until something has happened.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(1);
/// How long nothing is awaited: the broker answers for the end of a transaction before it has marked the partitions.
const NOTHING: Duration = Duration::from_millis(500);
const MAX_RECORD_BYTES: usize = 1 << 20;
const INPUT: &str = "input";
const OUTPUT: &str = "output";

/// Key of the request that ends a transaction, in the Kafka protocol.
const END_TXN: u16 = 26;

/// Waits until the proxy has done something.
async fn until(proxy: &Proxy, is_done: impl Fn(Counts) -> bool) {
    let waiting = async {
        while !is_done(proxy.counts()) {
            tokio::time::sleep(LOOK).await;
        }
    };
    let counts = || proxy.counts();
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{:?}", counts()));
}

/// The commit that says that the records before an offset are done.
fn commit(value: &'static str, next: u64) -> Commit {
    let record = NewRecord {
        topic: OUTPUT.into(),
        partition: Some(0),
        timestamp_ms: 1_700_000_000_000,
        key: None,
        value: Some(Bytes::from_static(value.as_bytes())),
        headers: Headers::default(),
    };
    let input = TopicPartition { topic: INPUT.into(), partition: 0 };
    Commit { records: vec![record].into(), offsets: vec![(input, next)] }
}

async fn join(engine: &KafkaEngine) -> Box<dyn Member> {
    let group = GroupSpec { group: "g".into(), topics: vec![INPUT.into()], state_topic: None };
    let mut member = engine.join(group).await.unwrap();
    let joining = async {
        loop {
            if let Polled::Assigned(_) = member.poll(LOOK, 0).await.unwrap() {
                return member;
            }
        }
    };
    tokio::time::timeout(PATIENCE, joining).await.unwrap()
}

/// What a consumer of committed records reads that is new, once there is anything or within a time.
async fn committed(observer: &mut Observer, patience: Duration) -> Vec<String> {
    let started = Instant::now();
    let text = |value: Option<Bytes>| String::from_utf8(value.unwrap_or_default().into()).unwrap();
    loop {
        let records = tokio::task::block_in_place(|| observer.read(OUTPUT)).unwrap();
        if !records.is_empty() || started.elapsed() >= patience {
            return records.into_iter().map(|record| text(record.value)).collect();
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_transaction_that_comes_late_does_not_end_the_next_one() {
    if !can_run() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let broker = Broker::start(&directory.path().join("kafka")).await.unwrap();
    let servers = broker.bootstrap_servers();
    let engine: Arc<KafkaEngine> =
        KafkaEngine::connect(&servers, KafkaConfig::default(), MAX_RECORD_BYTES).await.unwrap();
    let cleanup = Cleanup::Delete { retention_ms: None, retention_bytes: None };
    let topic = |name: &str| TopicSpec { name: name.into(), partitions: 1, cleanup };
    engine.create_topics(&[topic(INPUT), topic(OUTPUT)]).await.unwrap();
    let mut observer = Observer::new(&servers);
    let mut member = join(&engine).await;

    // The request to end the first transaction stays on its way, and another one does it.
    broker.proxy.set(Mode::Late(END_TXN), 1);
    let first = member.commit(commit("first", 0));
    let (first, ()) = tokio::join!(first, async {
        until(&broker.proxy, |counts| counts.kept > 0).await;
        broker.proxy.set(Mode::Pass, 1);
    });
    first.unwrap();
    let kept = broker.proxy.counts().kept;
    assert_eq!(committed(&mut observer, PATIENCE).await, ["first"]);

    // Everything of the second one is there but the request to end it.
    broker.proxy.set(Mode::Hold(END_TXN), 1);
    let second = member.commit(commit("second", 0));
    let (second, ()) = tokio::join!(second, async {
        until(&broker.proxy, |counts| counts.held > 0).await;
        assert_eq!(broker.proxy.counts().late, 0);
        broker.proxy.release();
        until(&broker.proxy, |counts| counts.late == kept).await;
        let visible = committed(&mut observer, NOTHING).await;
        assert!(visible.is_empty(), "{visible:?} was committed by a request that is not its own");
        broker.proxy.heal();
    });
    second.unwrap();
    assert_eq!(committed(&mut observer, PATIENCE).await, ["second"]);
    member.leave().await.unwrap();
    engine.close().await.unwrap();
}
