//! What the engine's parts share: store, catalogue, groups, tail cache, and whether it still works.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use tokio::{task, time::Instant};

use super::{
    EmbeddedConfig,
    batch::{Budget, Place},
    catalogue::{Catalogue, Topic},
    directory::{Directory, free_bytes},
    group::Groups,
    store::{Store, StoreError, max_body},
    tail::TailCache,
};
use crate::{engine::EngineError, record::Record};

/// See the module.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: EmbeddedConfig,
    pub(super) catalogue: Catalogue,
    pub(super) groups: Groups,
    pub(super) tail: TailCache,
    /// None once the engine is closed. Dropped before the directory is given back.
    store: RwLock<Option<Store>>,
    directory: Mutex<Option<Directory>>,
    /// Why nothing is written any more.
    failure: OnceLock<EngineError>,
}

impl Core {
    pub(super) fn new(
        config: EmbeddedConfig,
        directory: Option<Directory>,
        store: Store,
    ) -> Result<Self, StoreError> {
        let catalogue = store.load()?;
        Ok(Self {
            tail: TailCache::new(config.tail_cache_bytes),
            config,
            catalogue,
            groups: Groups::default(),
            store: RwLock::new(Some(store)),
            directory: Mutex::new(directory),
            failure: OnceLock::new(),
        })
    }

    /// Uses the store. May block on the disk.
    pub(super) fn with_store<T>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let store = store.as_ref().ok_or(StoreError::Closed)?;
        work(store)
    }

    /// Closes the store once nobody uses it, then gives the directory back.
    pub(super) fn close_store(&self) {
        let store = self.store.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(store);
        let directory = self.directory.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(directory);
    }

    /// Notes that writing failed: what the disk holds is no longer known, so nothing more is written.
    pub(super) fn fail(&self, error: &StoreError) -> EngineError {
        let failure = match error {
            StoreError::Closed => return self.gone(),
            error => EngineError::Fatal(format!(
                "writing to {} failed, restart to go on from the last commit: {error}",
                self.config.dir.display()
            )),
        };
        tracing::error!(%error, "store failed");
        self.failure.get_or_init(|| failure).clone()
    }

    /// Why nothing is written any more, if so.
    pub(super) fn failure(&self) -> Option<EngineError> {
        self.failure.get().cloned()
    }

    /// Why nothing is done any more, once it is closed: the failure, where it was closed for one.
    pub(super) fn gone(&self) -> EngineError {
        self.failure().unwrap_or_else(|| StoreError::Closed.into())
    }

    pub(super) fn check(&self) -> Result<(), EngineError> {
        self.failure().map_or(Ok(()), Err)
    }

    /// Whether that many bytes may be written now.
    pub(super) fn writable(&self, bytes: usize) -> Result<(), EngineError> {
        self.check()?;
        let dir = &self.config.dir;
        let free = free_bytes(dir).map_err(|error| {
            EngineError::Unavailable(format!(
                "cannot tell the free space of {}: {error}",
                dir.display()
            ))
        })?;
        // The store copies the pages it changes before it frees the old ones.
        let wanted = self.config.min_free_bytes.saturating_add(2 * bytes as u64);
        if free < wanted {
            return Err(EngineError::Unavailable(format!(
                "disk of {} is full: {free} bytes free, {wanted} needed",
                dir.display()
            )));
        }
        Ok(())
    }

    /// Records from an offset on, as [`crate::engine::Log::read`] has it.
    pub(super) async fn read(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        partition: u32,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Record>, EngineError> {
        let state = topic.partition(partition)?;
        let from = from.max(state.earliest);
        if from >= state.end {
            return Ok(Vec::new());
        }
        let offsets = from..state.end;
        let mut budget = Budget::of(max_bytes);
        let key = (topic.id, partition);
        if let Some(batches) = self.tail.get(key, from, max_bytes) {
            let mut records = Vec::new();
            for (base, batch) in batches {
                let place = Place { topic: &topic.name, partition, base };
                batch
                    .decode(&place, offsets.clone(), &mut budget, &mut records)
                    .map_err(|error| EngineError::Fatal(error.to_string()))?;
            }
            return Ok(records);
        }
        let topic = topic.clone();
        let max_body = max_body(self.config.max_record_bytes);
        self.blocking(move |store| store.read(&topic, partition, offsets, &mut budget, max_body))
            .await
    }

    /// Offset of the first record at or after a time; the end if there is none.
    pub(super) async fn offset_at(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        partition: u32,
        timestamp_ms: i64,
    ) -> Result<u64, EngineError> {
        let state = topic.partition(partition)?;
        let offsets = state.earliest..state.end;
        let topic = topic.clone();
        let max_body = max_body(self.config.max_record_bytes);
        let found = self
            .blocking(move |store| {
                store.offset_at(&topic, partition, offsets, timestamp_ms, max_body)
            })
            .await?;
        Ok(found.unwrap_or(state.end))
    }

    /// Latest value of a key of a compacted topic.
    pub(super) async fn get(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        partition: u32,
        key: &[u8],
    ) -> Result<Option<Bytes>, EngineError> {
        topic.partition(partition)?;
        let (topic, key) = (topic.clone(), key.to_vec());
        let max_body = max_body(self.config.max_record_bytes);
        self.blocking(move |store| store.get(&topic, partition, &key, max_body)).await
    }

    /// Up to `limit` keys after `after` with their latest values, in order.
    pub(super) async fn scan(
        self: &Arc<Self>,
        topic: &Arc<Topic>,
        partition: u32,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        topic.partition(partition)?;
        let (topic, after) = (topic.clone(), after.map(<[u8]>::to_vec));
        let max_body = max_body(self.config.max_record_bytes);
        self.blocking(move |store| store.scan(&topic, partition, after.as_deref(), limit, max_body))
            .await
    }

    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let core = self.clone();
        let done = task::spawn_blocking(move || core.with_store(work)).await;
        match done {
            Ok(Err(StoreError::Closed)) => Err(self.gone()),
            Ok(result) => result.map_err(EngineError::from),
            Err(error) => Err(EngineError::Fatal(format!("reading the store: {error}"))),
        }
    }
}

/// When a wait ends; however long it is.
pub(super) fn deadline(wait: Duration) -> Instant {
    const LONG: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    Instant::now() + wait.min(LONG)
}

/// Milliseconds since 1970 UTC.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or(Duration::ZERO).as_millis()).unwrap_or(i64::MAX)
}
