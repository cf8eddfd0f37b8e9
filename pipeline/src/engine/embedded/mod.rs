//! The engine that needs nothing but a directory: one process, durable, on the embedded store redb.
//!
//! What is acknowledged is on disk. Memory is bounded by [`EmbeddedConfig`]. `examples/embedded_rate` measures it.

// Why redb, and what it was measured against, is noted in Cargo.toml. Records are packed into batches, since a B-tree
// entry for each is what costs; commits of all stages share one transaction and one fsync (`writer`). An LSM of value
// logs (fjall) was as fast, and rejected for the reports of stalls and lost inserts after a kill.

mod batch;
mod catalogue;
mod core;
mod directory;
#[cfg(test)]
mod faults;
mod group;
mod maintenance;
mod member;
mod prepare;
mod store;
mod tail;
mod writer;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    runtime,
    sync::{Semaphore, mpsc, oneshot},
    task,
};

use self::{
    core::{Core, deadline, now_ms},
    directory::Directory,
    group::Fence,
    member::EmbeddedMember,
    prepare::{Prepared, RoundRobin, prepare},
    store::{Store, StoreError},
    writer::{NewOffsets, Request, Write},
};
use crate::{
    engine::{
        CommitError, Engine, EngineError, GroupOffset, GroupSpec, Log, Member, Records, TopicInfo,
        TopicPartition, TopicSpec,
    },
    record::{NewRecord, Record},
};

/// Where the engine lives and how its memory and work are bounded.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// Directory, of this engine alone; made where it is missing.
    pub dir: PathBuf,
    /// Largest record: key, value and headers, in bytes.
    pub max_record_bytes: usize,
    /// Bytes that wait to be written at most; who appends more waits.
    pub writer_queue_bytes: usize,
    /// Bytes of recent records kept in memory for those who read at the end.
    pub tail_cache_bytes: usize,
    /// Bytes of the store's pages kept in memory, read and changed together.
    pub store_cache_bytes: usize,
    /// Bytes of the file system that are left free: below, nothing is accepted.
    pub min_free_bytes: u64,
    /// Time between two looks for what retention removes.
    pub retention_interval: Duration,
    /// How long a tombstone of a compacted topic stays for those who follow the topic.
    pub tombstone_retention: Duration,
}

impl EmbeddedConfig {
    /// Defaults that keep the engine's memory near 100 MiB under load.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_record_bytes: 16 * 1024 * 1024,
            writer_queue_bytes: 32 * 1024 * 1024,
            tail_cache_bytes: 24 * 1024 * 1024,
            store_cache_bytes: 32 * 1024 * 1024,
            min_free_bytes: 64 * 1024 * 1024,
            retention_interval: Duration::from_secs(30),
            tombstone_retention: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// The embedded engine. Dropping it without [`Engine::close`] loses nothing that was acknowledged.
pub struct EmbeddedEngine {
    shared: Arc<Shared>,
}

/// What the engine and its members hold. When the last of them is gone, the writer ends.
struct Shared {
    core: Arc<Core>,
    requests: mpsc::Sender<Request>,
    queue: Arc<Semaphore>,
    round_robin: RoundRobin,
}

/// Above this, encoding is done beside the asynchronous threads.
const ENCODE_INLINE_BYTES: usize = 512 * 1024;
/// Bytes that a record counts in the queue beside its payload.
const RECORD_OVERHEAD: usize = 64;
/// The store's file is rewritten when it is opened and this many times larger than what it holds.
const COMPACT_RATIO: u64 = 4;
/// Files below this are never rewritten.
const COMPACT_FROM_BYTES: u64 = 256 * 1024 * 1024;

impl EmbeddedEngine {
    /// Opens the engine in its directory.
    ///
    /// # Errors
    /// Fatal where the directory is in use, foreign, of a newer format, or cannot be read.
    pub async fn open(config: EmbeddedConfig) -> Result<Arc<Self>, EngineError> {
        let opened = task::spawn_blocking(move || {
            let directory = Directory::take(&config.dir)
                .map_err(|error| EngineError::Fatal(error.to_string()))?;
            let store = open_store(&directory.store(), config.store_cache_bytes)?;
            Ok(Core::new(config, Some(directory), store)?)
        });
        let core = opened.await.unwrap_or_else(|error| {
            Err(EngineError::Fatal(format!("opening the store: {error}")))
        })?;
        Self::start(core)
    }

    fn start(core: Core) -> Result<Arc<Self>, EngineError> {
        let core = Arc::new(core);
        let (requests, received) = mpsc::channel(writer::MAX_WAITING);
        let of_writer = core.clone();
        let cannot = |error| EngineError::Fatal(format!("cannot start the writer: {error}"));
        let waiting =
            runtime::Builder::new_current_thread().enable_time().build().map_err(cannot)?;
        thread::Builder::new()
            .name("embedded-writer".to_owned())
            .spawn(move || writer::run(&of_writer, &waiting, received))
            .map_err(cannot)?;
        let queue_bytes = core.config.writer_queue_bytes.min(Semaphore::MAX_PERMITS);
        let shared = Shared {
            queue: Arc::new(Semaphore::new(queue_bytes)),
            core,
            requests,
            round_robin: RoundRobin::default(),
        };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// Removes at once what retention and the purge of tombstones would remove at the time `now_ms`.
    ///
    /// # Errors
    /// Where the engine failed or is closed.
    pub async fn maintain(&self, now_ms: i64) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.shared.send(Request::Maintain { now_ms, reply }).await?;
        answer.await.unwrap_or_else(|_| Err(self.shared.core.gone()))
    }
}

fn open_store(path: &Path, cache_bytes: usize) -> Result<Store, StoreError> {
    let mut store = Store::open(path, cache_bytes)?;
    let file_bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    if file_bytes > COMPACT_FROM_BYTES && file_bytes / COMPACT_RATIO > stored_bytes(&store)? {
        tracing::info!(file_bytes, "giving free space of the store back");
        store.compact()?;
    }
    Ok(store)
}

fn stored_bytes(store: &Store) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for topic in store.load()?.topics() {
        for partition in 0..topic.partition_count() {
            bytes += topic.partition(partition).unwrap_or_default().bytes;
        }
    }
    Ok(bytes)
}

impl Shared {
    async fn send(&self, request: Request) -> Result<(), EngineError> {
        self.requests.send(request).await.map_err(|_| self.core.gone())
    }

    /// Writes records and offsets, all or none. Gives where the records lie.
    async fn write(
        &self,
        records: Records,
        offsets: Option<NewOffsets>,
        fence: impl FnOnce(&Prepared) -> Result<Option<Fence>, CommitError>,
    ) -> Result<Vec<(u32, u64)>, CommitError> {
        self.core.check()?;
        let payload: usize = records.iter().map(|record| record.size() + RECORD_OVERHEAD).sum();
        // Each record is held twice: as it is stored, and for the tail cache.
        let limit = self.core.config.writer_queue_bytes.min(u32::MAX as usize);
        let bytes = (RECORD_OVERHEAD + 2 * payload).min(limit.max(1));
        let permit = self.queue.clone().acquire_many_owned(bytes as u32).await;
        let permit = permit.map_err(|_| self.core.gone())?;

        let prepared = self.prepare(records, payload).await?;
        let fence = fence(&prepared)?;
        let Prepared { parts, places, .. } = prepared;
        let partitions: Vec<u32> = parts.iter().map(|part| part.partition).collect();
        let (reply, answer) = oneshot::channel();
        let write = Write { parts, offsets, fence, bytes, permit, reply };
        self.send(Request::Write(Box::new(write))).await?;
        let bases = answer.await.unwrap_or_else(|_| Err(self.core.gone().into()))?;
        let mut written = Vec::with_capacity(places.len());
        for (part, index) in places {
            let part = part as usize;
            if let (Some(partition), Some(base)) = (partitions.get(part), bases.get(part)) {
                written.push((*partition, base + u64::from(index)));
            }
        }
        Ok(written)
    }

    async fn prepare(&self, records: Records, payload: usize) -> Result<Prepared, EngineError> {
        let turn = self.round_robin.next();
        if payload <= ENCODE_INLINE_BYTES {
            let limit = self.core.config.max_record_bytes;
            return prepare(&records, &self.core.catalogue, turn, limit);
        }
        let core = self.core.clone();
        let prepared = task::spawn_blocking(move || {
            let limit = core.config.max_record_bytes;
            prepare(&records, &core.catalogue, turn, limit)
        });
        prepared
            .await
            .unwrap_or_else(|error| Err(EngineError::Fatal(format!("encoding records: {error}"))))
    }

    /// Waits until everything that was sent to the writer before is decided.
    async fn barrier(&self) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Barrier { reply }).await?;
        answer.await.map_err(|_| self.core.gone())
    }
}

#[async_trait]
impl Log for EmbeddedEngine {
    async fn topics(&self) -> Result<Vec<TopicInfo>, EngineError> {
        Ok(self.shared.core.catalogue.infos())
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<(u32, u64)>, EngineError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let written = self.shared.write(records.into(), None, |_| Ok(None)).await;
        written.map_err(|error| match error {
            CommitError::Engine(error) => error,
            CommitError::Fenced => {
                EngineError::Fatal("an append without a fence was fenced".into())
            }
        })
    }

    async fn read(
        &self,
        partition: &TopicPartition,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Record>, EngineError> {
        let core = &self.shared.core;
        let topic = core.catalogue.topic_with(&partition.topic, partition.partition)?;
        core.read(&topic, partition.partition, from, max_bytes).await
    }

    async fn wait(
        &self,
        partition: &TopicPartition,
        offset: u64,
        wait: Duration,
    ) -> Result<bool, EngineError> {
        let catalogue = &self.shared.core.catalogue;
        let topic = catalogue.topic_with(&partition.topic, partition.partition)?;
        let mut changes = topic.changes();
        let deadline = deadline(wait);
        loop {
            changes.borrow_and_update();
            if topic.partition(partition.partition)?.end > offset {
                return Ok(true);
            }
            match tokio::time::timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(self.shared.core.gone()),
                Err(_) => return Ok(false),
            }
        }
    }

    async fn offset_at(
        &self,
        partition: &TopicPartition,
        timestamp_ms: i64,
    ) -> Result<u64, EngineError> {
        let core = &self.shared.core;
        let topic = core.catalogue.topic_with(&partition.topic, partition.partition)?;
        core.offset_at(&topic, partition.partition, timestamp_ms).await
    }

    async fn groups(&self) -> Result<Vec<Arc<str>>, EngineError> {
        Ok(self.shared.core.catalogue.groups())
    }

    async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, EngineError> {
        let core = &self.shared.core;
        let committed = core.catalogue.offsets(group);
        let reading = core.groups.topics(group);
        let mut offsets = Vec::new();
        for topic in core.catalogue.topics() {
            let has_committed = committed.keys().any(|(id, _)| *id == topic.id);
            if !has_committed && !reading.contains(&topic.name) {
                continue;
            }
            for partition in 0..topic.partition_count() {
                let state = topic.partition(partition)?;
                let next = committed.get(&(topic.id, partition)).copied();
                // A partition that it has not committed for is read from the start.
                let next = next.unwrap_or(state.earliest);
                let first = core.read(&topic, partition, next, 0).await?;
                let waiting = first.first().map(|record| now_ms() - record.timestamp_ms);
                offsets.push(GroupOffset {
                    partition: TopicPartition { topic: topic.name.clone(), partition },
                    next,
                    end: state.end,
                    lag_ms: waiting.map_or(0, |ms| u64::try_from(ms).unwrap_or(0)),
                });
            }
        }
        Ok(offsets)
    }
}

#[async_trait]
impl Engine for EmbeddedEngine {
    async fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        let topics = topics.to_vec();
        self.shared.send(Request::CreateTopics { topics, reply }).await?;
        answer.await.unwrap_or_else(|_| Err(self.shared.core.gone()))
    }

    async fn join(&self, group: GroupSpec) -> Result<Box<dyn Member>, EngineError> {
        let member = EmbeddedMember::join(self.shared.clone(), group)?;
        Ok(Box::new(member))
    }

    async fn close(&self) -> Result<(), EngineError> {
        self.shared.queue.close();
        let (reply, answer) = oneshot::channel();
        if self.shared.send(Request::Close { reply }).await.is_err() {
            // Closed before; what failed before stays told.
            return self.shared.core.check();
        }
        let _ = answer.await;
        self.shared.core.check()
    }
}
