//! A log over the control socket is the log itself.

use std::{os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use hephaestus_gateway::control::{self, RemoteLog, SOCKET_FILE};
use hephaestus_pipeline::{
    engine::{EngineError, Log, TopicPartition},
    record::{Headers, NewRecord},
};
use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::MemoryLog;

/// A control socket that is served.
struct Server {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    fn start(dir: &Path, log: Arc<MemoryLog>) -> Self {
        let socket = control::listen(dir).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(control::serve(socket, log, stop.clone()));
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

const TOPICS: [&str; 3] = ["a", "b", "missing"];

#[derive(Debug, Clone)]
enum Operation {
    Topics,
    Append(Vec<NewRecord>),
    Read(TopicPartition, u64, usize),
    Wait(TopicPartition, u64),
    OffsetAt(TopicPartition, i64),
    Groups,
    GroupOffsets(String),
}

fn partition() -> impl Strategy<Value = TopicPartition> {
    (0..TOPICS.len(), 0_u32..3)
        .prop_map(|(topic, partition)| TopicPartition { topic: TOPICS[topic].into(), partition })
}

fn bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..30).prop_map(Bytes::from)
}

prop_compose! {
    fn record()(
        topic in 0..TOPICS.len() * 4,
        partition in proptest::option::of(0_u32..2),
        timestamp_ms in -5_i64..50,
        key in proptest::option::of(bytes()),
        value in proptest::option::of(bytes()),
        header in proptest::option::of(("[a-zé]{1,5}", bytes())),
    ) -> NewRecord {
        let headers = header.map(|(name, value)| (name.into(), value));
        NewRecord {
            topic: TOPICS.get(topic).unwrap_or(&"a").to_owned().into(),
            partition,
            timestamp_ms,
            key,
            value,
            headers: Headers(headers.into_iter().collect()),
        }
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        1 => Just(Operation::Topics),
        4 => proptest::collection::vec(record(), 0..6).prop_map(Operation::Append),
        4 => (partition(), 0_u64..12, 0_usize..200).prop_map(|(p, from, max)| Operation::Read(p, from, max)),
        1 => (partition(), 0_u64..4).prop_map(|(p, offset)| Operation::Wait(p, offset)),
        2 => (partition(), -10_i64..60).prop_map(|(p, at)| Operation::OffsetAt(p, at)),
        1 => Just(Operation::Groups),
        1 => "\\PC{0,6}".prop_map(Operation::GroupOffsets),
    ]
}

async fn run(log: &dyn Log, operation: &Operation) -> String {
    match operation.clone() {
        Operation::Topics => format!("{:?}", log.topics().await),
        Operation::Append(records) => format!("{:?}", log.append(records).await),
        Operation::Read(partition, from, max_bytes) => {
            format!("{:?}", log.read(&partition, from, max_bytes).await)
        }
        Operation::Wait(partition, offset) => {
            format!("{:?}", log.wait(&partition, offset, Duration::from_millis(2)).await)
        }
        Operation::OffsetAt(partition, at) => format!("{:?}", log.offset_at(&partition, at).await),
        Operation::Groups => format!("{:?}", log.groups().await),
        Operation::GroupOffsets(group) => format!("{:?}", log.group_offsets(&group).await),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn answers_are_those_of_the_log_itself(operations in proptest::collection::vec(operation(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let direct = MemoryLog::new(&["a", "b"]);
            let server = Server::start(dir.path(), MemoryLog::new(&["a", "b"]));
            let remote = RemoteLog::connect(dir.path()).await.unwrap().unwrap();
            for operation in &operations {
                let expected = run(direct.as_ref(), operation).await;
                assert_eq!(run(&remote, operation).await, expected, "{operation:?}");
            }
            server.stop().await;
        });
    }
}

fn new_record(value: impl Into<Bytes>) -> NewRecord {
    NewRecord {
        topic: "a".into(),
        partition: Some(0),
        timestamp_ms: 0,
        key: None,
        value: Some(value.into()),
        headers: Headers::default(),
    }
}

fn first_partition() -> TopicPartition {
    TopicPartition { topic: "a".into(), partition: 0 }
}

async fn connect(dir: &Path) -> Option<RemoteLog> {
    RemoteLog::connect(dir).await.unwrap()
}

#[tokio::test]
async fn a_wait_ends_with_the_record_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let log = MemoryLog::new(&["a"]);
    let server = Server::start(dir.path(), log.clone());
    let remote = Arc::new(connect(dir.path()).await.unwrap());
    let partition = first_partition();
    let waiting = tokio::spawn({
        let remote = remote.clone();
        let partition = partition.clone();
        async move { remote.wait(&partition, 0, Duration::from_secs(60)).await }
    });
    assert!(!remote.wait(&partition, 0, Duration::from_millis(5)).await.unwrap());
    assert!(!waiting.is_finished());
    log.append(vec![new_record("x")]).await.unwrap();
    assert!(waiting.await.unwrap().unwrap());
    server.stop().await;
}

#[tokio::test]
async fn stopping_ends_waits_and_removes_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), MemoryLog::new(&["a"]));
    let remote = connect(dir.path()).await.unwrap();
    let partition = first_partition();
    let wait = remote.wait(&partition, 0, Duration::from_secs(600));
    let (waited, ()) = tokio::join!(wait, server.stop());
    assert!(matches!(waited, Err(EngineError::Unavailable(_))), "{waited:?}");
    assert!(!dir.path().join(SOCKET_FILE).exists());
    assert!(connect(dir.path()).await.is_none());
    let gone = remote.topics().await.unwrap_err();
    assert!(matches!(gone, EngineError::Unavailable(_)), "{gone:?}");
}

#[tokio::test]
async fn a_large_line_passes_and_one_over_the_bound_is_refused_by_the_engine() {
    let dir = tempfile::tempdir().unwrap();
    let log = MemoryLog::new(&["a"]);
    let server = Server::start(dir.path(), log.clone());
    let remote = connect(dir.path()).await.unwrap();
    let line = Bytes::from(vec![b'x'; 16 << 20]);
    remote.append(vec![new_record(line.clone())]).await.unwrap();
    let read = remote.read(&first_partition(), 0, 1000).await.unwrap();
    assert_eq!(read[0].value.as_ref().map(Bytes::len), Some(line.len()));

    let too_large = remote.append(vec![new_record(vec![0; 25 << 20])]).await.unwrap_err();
    assert!(matches!(too_large, EngineError::RecordTooLarge { .. }), "{too_large:?}");
    let far_too_large = remote.append(vec![new_record(vec![0; 65 << 20])]).await.unwrap_err();
    assert!(far_too_large.to_string().contains("control socket's bound"), "{far_too_large}");
    server.stop().await;
}

#[tokio::test]
async fn the_socket_is_for_its_user_alone_and_a_stale_one_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    // As a killed process leaves it: bound, and nobody there.
    drop(std::os::unix::net::UnixListener::bind(dir.path().join(SOCKET_FILE)).unwrap());
    assert!(connect(dir.path()).await.is_none());
    let server = Server::start(dir.path(), MemoryLog::new(&["a"]));
    let mode = dir.path().join(SOCKET_FILE).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(connect(dir.path()).await.is_some());
    server.stop().await;
}

#[tokio::test]
async fn a_directory_with_a_long_path_is_served_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir.path().join("d".repeat(120));
    std::fs::create_dir(&long).unwrap();
    assert!(connect(&long).await.is_none());
    let server = Server::start(&long, MemoryLog::new(&["a"]));
    let remote = connect(&long).await.unwrap();
    assert_eq!(remote.topics().await.unwrap().len(), 1);
    server.stop().await;
    assert!(connect(&long).await.is_none());
    assert_eq!(std::fs::read_dir(&long).unwrap().count(), 0);
}
