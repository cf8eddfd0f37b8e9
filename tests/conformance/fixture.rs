//! How the cases reach an engine, and what they share.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use hephaestus_pipeline::{
    engine::{
        Cleanup, Commit, CommitError, Engine, GroupSpec, Member, PartitionInfo, Polled,
        TopicPartition, TopicSpec,
        embedded::{EmbeddedConfig, EmbeddedEngine},
    },
    record::{Headers, NewRecord, Record},
};
use tempfile::TempDir;

/// Whatever takes longer than this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// One poll.
const POLL: Duration = Duration::from_millis(200);

/// An engine under test.
#[async_trait]
pub(crate) trait EngineFixture: Send + Sync {
    /// The engine.
    fn engine(&self) -> Arc<dyn Engine>;

    /// Closes the engine and opens it again on the same data.
    async fn restart(&self);

    /// Lets retention, compaction and the purge of tombstones do what they would have done by `now_ms`.
    /// False where the engine cannot be made to.
    async fn maintain(&self, now_ms: i64) -> bool;

    /// Largest record in bytes.
    fn max_record_bytes(&self) -> usize;

    /// Turns a name into one that no other test uses.
    fn name(&self, name: &str) -> Arc<str>;
}

/// The embedded engine in a directory of its own.
pub(crate) struct EmbeddedFixture {
    config: EmbeddedConfig,
    engine: Mutex<Option<Arc<EmbeddedEngine>>>,
    _directory: TempDir,
}

/// An embedded engine with defaults, but no maintenance of its own accord.
pub(crate) async fn embedded() -> EmbeddedFixture {
    let directory = tempfile::tempdir().unwrap();
    let mut config = EmbeddedConfig::new(directory.path().join("engine"));
    config.retention_interval = Duration::from_secs(24 * 3600);
    let engine = EmbeddedEngine::open(config.clone()).await.unwrap();
    EmbeddedFixture { config, engine: Mutex::new(Some(engine)), _directory: directory }
}

/// The same, for the list of cases.
pub(crate) async fn some_embedded() -> Option<EmbeddedFixture> {
    Some(embedded().await)
}

impl EmbeddedFixture {
    pub(crate) fn embedded_engine(&self) -> Arc<EmbeddedEngine> {
        self.engine.lock().unwrap().clone().unwrap()
    }
}

#[async_trait]
impl EngineFixture for EmbeddedFixture {
    fn engine(&self) -> Arc<dyn Engine> {
        self.embedded_engine()
    }

    async fn restart(&self) {
        let engine = self.engine.lock().unwrap().take().unwrap();
        engine.close().await.unwrap();
        let engine = EmbeddedEngine::open(self.config.clone()).await.unwrap();
        *self.engine.lock().unwrap() = Some(engine);
    }

    async fn maintain(&self, now_ms: i64) -> bool {
        self.embedded_engine().maintain(now_ms).await.unwrap();
        true
    }

    fn max_record_bytes(&self) -> usize {
        self.config.max_record_bytes
    }

    fn name(&self, name: &str) -> Arc<str> {
        name.into()
    }
}

/// A topic that keeps everything.
pub(crate) fn kept(name: &Arc<str>, partitions: u32) -> TopicSpec {
    let cleanup = Cleanup::Delete { retention_ms: None, retention_bytes: None };
    TopicSpec { name: name.clone(), partitions, cleanup }
}

/// A compacted topic.
pub(crate) fn compacted(name: &Arc<str>, partitions: u32) -> TopicSpec {
    TopicSpec { name: name.clone(), partitions, cleanup: Cleanup::Compact }
}

/// Makes a topic that keeps everything, and gives its name.
pub(crate) async fn topic(fixture: &dyn EngineFixture, name: &str, partitions: u32) -> Arc<str> {
    let name = fixture.name(name);
    fixture.engine().create_topics(&[kept(&name, partitions)]).await.unwrap();
    name
}

/// Makes a compacted topic, and gives its name.
pub(crate) async fn compacted_topic(
    fixture: &dyn EngineFixture,
    name: &str,
    partitions: u32,
) -> Arc<str> {
    let name = fixture.name(name);
    fixture.engine().create_topics(&[compacted(&name, partitions)]).await.unwrap();
    name
}

pub(crate) fn at(topic: &Arc<str>, partition: u32) -> TopicPartition {
    TopicPartition { topic: topic.clone(), partition }
}

/// A record for a partition.
pub(crate) fn record(topic: &Arc<str>, partition: u32, value: impl Into<Vec<u8>>) -> NewRecord {
    NewRecord {
        topic: topic.clone(),
        partition: Some(partition),
        timestamp_ms: 1_700_000_000_000,
        key: None,
        value: Some(Bytes::from(value.into())),
        headers: Headers::default(),
    }
}

/// A record with a key; without a value it is a tombstone.
pub(crate) fn keyed(topic: &Arc<str>, partition: u32, key: &str, value: Option<&str>) -> NewRecord {
    NewRecord {
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
        ..record(topic, partition, "")
    }
}

pub(crate) async fn append(
    fixture: &dyn EngineFixture,
    records: Vec<NewRecord>,
) -> Vec<(u32, u64)> {
    fixture.engine().append(records).await.unwrap()
}

/// A partition as it is.
pub(crate) async fn info(
    fixture: &dyn EngineFixture,
    topic: &Arc<str>,
    partition: u32,
) -> PartitionInfo {
    let topics = fixture.engine().topics().await.unwrap();
    let found = topics.iter().find(|found| found.spec.name == *topic).unwrap();
    found.partitions[partition as usize]
}

/// All records of a partition.
pub(crate) async fn read_all(
    fixture: &dyn EngineFixture,
    topic: &Arc<str>,
    partition: u32,
) -> Vec<Record> {
    let mut from = 0;
    let mut all: Vec<Record> = Vec::new();
    loop {
        let engine = fixture.engine();
        let mut records = engine.read(&at(topic, partition), from, 1 << 20).await.unwrap();
        let Some(last) = records.last() else { return all };
        assert!(last.offset >= from);
        from = last.offset + 1;
        all.append(&mut records);
    }
}

/// Values of all records of a partition, as text.
pub(crate) async fn values(
    fixture: &dyn EngineFixture,
    topic: &Arc<str>,
    partition: u32,
) -> Vec<String> {
    let records = read_all(fixture, topic, partition).await;
    records.iter().map(text).collect()
}

/// Waits until a partition holds as many records as wanted, and holds that they are those: what was committed comes
/// whole, and may come a moment after the commit.
pub(crate) async fn assert_values(
    fixture: &dyn EngineFixture,
    topic: &Arc<str>,
    partition: u32,
    wanted: &[&str],
) {
    let settled = async {
        loop {
            let found = values(fixture, topic, partition).await;
            if found.len() >= wanted.len() {
                return found;
            }
            assert!(found.is_empty() || found == wanted[..found.len()], "{found:?}");
            let place = at(topic, partition);
            let end = info(fixture, topic, partition).await.end;
            fixture.engine().wait(&place, end, POLL).await.unwrap();
        }
    };
    let found = tokio::time::timeout(PATIENCE, settled).await;
    assert_eq!(found.expect("nothing was committed"), wanted);
}

pub(crate) fn text(record: &Record) -> String {
    String::from_utf8(record.value.clone().unwrap_or_default().to_vec()).unwrap()
}

pub(crate) fn group(
    group: &Arc<str>,
    topics: &[&Arc<str>],
    state_topic: Option<&Arc<str>>,
) -> GroupSpec {
    GroupSpec {
        group: group.clone(),
        topics: topics.iter().map(|topic| (*topic).clone()).collect(),
        state_topic: state_topic.cloned(),
    }
}

/// A member that keeps account of what it owns and has read.
pub(crate) struct Client {
    pub(crate) member: Box<dyn Member>,
    pub(crate) owned: BTreeSet<u32>,
    pub(crate) records: Vec<Record>,
}

impl Client {
    pub(crate) async fn join(fixture: &dyn EngineFixture, spec: GroupSpec) -> Self {
        let member = fixture.engine().join(spec).await.unwrap();
        Self { member, owned: BTreeSet::new(), records: Vec::new() }
    }

    /// Polls once.
    pub(crate) async fn step(&mut self, max_bytes: usize) {
        match self.member.poll(POLL, max_bytes).await.unwrap() {
            Polled::Assigned(partitions) => {
                for partition in partitions {
                    assert!(self.owned.insert(partition), "partition {partition} came twice");
                }
            }
            Polled::Revoked(partitions) => {
                for partition in partitions {
                    assert!(self.owned.remove(&partition), "partition {partition} was not owned");
                    // As a stage does: what is not committed is dropped.
                    self.records.retain(|record| record.partition != partition);
                }
            }
            Polled::Records(mut records) => {
                assert!(!records.is_empty());
                for record in &records {
                    assert!(self.owned.contains(&record.partition), "not owned: {record:?}");
                }
                self.records.append(&mut records);
            }
            Polled::Nothing => {}
        }
    }

    /// Polls until it owns exactly these partitions.
    pub(crate) async fn own(&mut self, partitions: &[u32]) {
        let wanted: BTreeSet<u32> = partitions.iter().copied().collect();
        let settled = async {
            while self.owned != wanted {
                self.step(0).await;
            }
        };
        let settled = tokio::time::timeout(PATIENCE, settled).await.is_ok();
        assert!(settled, "owns {:?}, wanted {wanted:?}", self.owned);
    }

    /// Polls until it has read that many records.
    pub(crate) async fn read(&mut self, count: usize) {
        let done = async {
            while self.records.len() < count {
                self.step(1 << 20).await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, done).await.is_ok();
        assert!(done, "read {} records, wanted {count}", self.records.len());
        assert_eq!(self.records.len(), count, "{:?}", self.values());
    }

    /// Values read, in the order of partition and offset.
    pub(crate) fn values(&self) -> Vec<String> {
        let mut records: Vec<&Record> = self.records.iter().collect();
        records.sort_by_key(|record| (record.partition, record.topic.clone(), record.offset));
        records.into_iter().map(text).collect()
    }

    /// Offsets behind everything read.
    pub(crate) fn offsets(&self) -> Vec<(TopicPartition, u64)> {
        let mut offsets: Vec<(TopicPartition, u64)> = Vec::new();
        for record in &self.records {
            let partition = at(&record.topic, record.partition);
            let next = record.offset + 1;
            match offsets.iter_mut().find(|(known, _)| *known == partition) {
                Some((_, known)) => *known = next.max(*known),
                None => offsets.push((partition, next)),
            }
        }
        offsets
    }

    /// Commits what was read, together with `records`.
    pub(crate) async fn commit(&mut self, records: Vec<NewRecord>) -> Result<(), CommitError> {
        let offsets = self.offsets();
        self.member.commit(Commit { records: records.into(), offsets }).await?;
        self.records.clear();
        Ok(())
    }
}

/// Polls both until each owns something and together they own all partitions.
pub(crate) async fn share(first: &mut Client, second: &mut Client, partitions: u32) {
    let settled = async {
        loop {
            let both = first.owned.len() + second.owned.len();
            let disjoint = first.owned.is_disjoint(&second.owned);
            let each = !first.owned.is_empty() && !second.owned.is_empty();
            if both == partitions as usize && disjoint && each {
                return;
            }
            first.step(0).await;
            second.step(0).await;
        }
    };
    let settled = tokio::time::timeout(PATIENCE, settled).await.is_ok();
    assert!(settled, "{:?} and {:?}", first.owned, second.owned);
}
