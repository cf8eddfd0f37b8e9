//! Faults of the disk: what was acknowledged stays, and after a failed write or sync nothing is pretended.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use redb::{StorageBackend, backends::InMemoryBackend};
use tokio::time::timeout;

use super::{
    EmbeddedConfig, EmbeddedEngine,
    core::Core,
    store::{Store, StoreError},
};
use crate::{
    engine::{Cleanup, Engine, EngineError, Log, TopicPartition, TopicSpec},
    record::{Headers, NewRecord},
};

/// A disk that can be told to fail, and that outlives the engine.
#[derive(Debug, Default)]
struct Disk {
    bytes: InMemoryBackend,
    syncs: AtomicU64,
    fail_sync: AtomicBool,
    is_full: AtomicBool,
    failed: AtomicU64,
}

#[derive(Debug, Clone, Default)]
struct SharedDisk(Arc<Disk>);

impl SharedDisk {
    fn fail(&self, when: &AtomicBool, kind: io::ErrorKind) -> Result<(), io::Error> {
        if !when.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.0.failed.fetch_add(1, Ordering::SeqCst);
        Err(kind.into())
    }
}

impl StorageBackend for SharedDisk {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.bytes.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.fail(&self.0.is_full, io::ErrorKind::StorageFull)?;
        self.0.bytes.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.fail(&self.0.fail_sync, io::ErrorKind::Other)?;
        self.0.syncs.fetch_add(1, Ordering::SeqCst);
        self.0.bytes.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.fail(&self.0.is_full, io::ErrorKind::StorageFull)?;
        self.0.bytes.write(offset, data)
    }
}

fn open(disk: &SharedDisk) -> Arc<EmbeddedEngine> {
    let mut config = EmbeddedConfig::new(std::env::temp_dir());
    config.min_free_bytes = 0;
    let store = Store::open_on(disk.clone(), config.store_cache_bytes).unwrap();
    EmbeddedEngine::start(Core::new(config, None, store).unwrap()).unwrap()
}

fn record(value: &str) -> NewRecord {
    NewRecord {
        topic: "t".into(),
        partition: Some(0),
        timestamp_ms: 0,
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: Headers::default(),
    }
}

async fn values(engine: &EmbeddedEngine) -> Vec<String> {
    let place = TopicPartition { topic: "t".into(), partition: 0 };
    let records = engine.read(&place, 0, 1 << 20).await.unwrap();
    let value = |record: &crate::record::Record| record.value.clone().unwrap_or_default();
    records.iter().map(|record| String::from_utf8_lossy(&value(record)).into_owned()).collect()
}

async fn with_topic(disk: &SharedDisk) -> Arc<EmbeddedEngine> {
    let engine = open(disk);
    let cleanup = Cleanup::Delete { retention_ms: None, retention_bytes: None };
    let spec = TopicSpec { name: "t".into(), partitions: 1, cleanup };
    engine.create_topics(&[spec]).await.unwrap();
    engine
}

#[tokio::test]
async fn an_acknowledged_append_was_synced() {
    let disk = SharedDisk::default();
    let engine = with_topic(&disk).await;
    for _ in 0..3 {
        let before = disk.0.syncs.load(Ordering::SeqCst);
        engine.append(vec![record("a")]).await.unwrap();
        assert!(disk.0.syncs.load(Ordering::SeqCst) > before);
    }
}

#[tokio::test]
async fn appends_that_wait_share_a_sync() {
    let disk = SharedDisk::default();
    let engine = with_topic(&disk).await;
    let before = disk.0.syncs.load(Ordering::SeqCst);
    let append = |_| {
        let engine = engine.clone();
        async move { engine.append(vec![record("a")]).await.unwrap() }
    };
    let places = futures::future::join_all((0..200).map(append)).await;
    let syncs = disk.0.syncs.load(Ordering::SeqCst) - before;
    assert_eq!(places.len(), 200);
    assert!(syncs < 100, "{syncs} syncs for 200 appends");
}

async fn after_a_failure(disk: &SharedDisk, when: &AtomicBool) {
    let engine = with_topic(disk).await;
    engine.append(vec![record("acknowledged")]).await.unwrap();
    when.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        let result = engine.append(vec![record("lost")]).await;
        let Err(EngineError::Fatal(message)) = result else { panic!("{result:?}") };
        assert!(message.contains("restart to go on from the last commit"), "{message}");
    }
    assert!(disk.0.failed.load(Ordering::SeqCst) > 0, "the fault did not strike");
    // The disk works again, and still nothing is pretended: what it holds is not known.
    when.store(false, Ordering::SeqCst);
    engine.append(vec![record("lost")]).await.unwrap_err();
    engine.close().await.unwrap_err();
    drop(engine);

    let engine = open(disk);
    let first = values(&engine).await;
    assert_eq!(first[0], "acknowledged");
    engine.append(vec![record("after")]).await.unwrap();
    let last = values(&engine).await;
    assert_eq!(last.last().map(String::as_str), Some("after"));
    // An append whose sync failed may be there or not; no other is.
    assert!(last.len() <= 3, "{last:?}");
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_until_it_is_reopened() {
    let disk = SharedDisk::default();
    after_a_failure(&disk, &disk.0.fail_sync).await;
}

#[tokio::test]
async fn after_a_disk_that_filled_up_unseen_nothing_is_acknowledged_until_it_is_reopened() {
    let disk = SharedDisk::default();
    after_a_failure(&disk, &disk.0.is_full).await;
}

#[tokio::test]
async fn who_waits_while_a_write_fails_is_told_why_and_not_that_the_engine_is_closed() {
    let engine = with_topic(&SharedDisk::default()).await;
    let queue = engine.shared.queue.clone();
    let all = u32::try_from(queue.available_permits()).unwrap();
    let _others = queue.acquire_many_owned(all).await.unwrap();
    let mut waiting = pin!(engine.append(vec![record("waits")]));
    assert!(timeout(Duration::ZERO, &mut waiting).await.is_err(), "there was room");
    engine.shared.core.fail(&StoreError::Panic);
    engine.close().await.unwrap_err();
    let result = waiting.await;
    let Err(EngineError::Fatal(message)) = result else { panic!("{result:?}") };
    assert!(message.contains("restart to go on from the last commit"), "{message}");
}
