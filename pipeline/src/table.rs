//! Tables: compacted topics that every instance holds whole.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use dashmap::DashMap;
use hephaestus_schemas::{Value, codec::Codec};

use crate::{record::Record, stage::Failure};

/// What the runtime feeds a table's records to.
#[async_trait]
pub trait TableSink: Send + Sync {
    /// Topic of the table.
    fn topic(&self) -> &'static str;

    /// Takes in one record; a tombstone removes its key.
    ///
    /// # Errors
    /// Rejects a record that is no such value; retries where its schema cannot be looked up.
    async fn apply(&self, record: &Record, codec: &Codec) -> Result<(), Failure>;
}

/// A table of values by key. Cheap to clone; every clone sees the same entries.
#[derive(Debug)]
pub struct Table<V> {
    topic: &'static str,
    inner: Arc<Inner<V>>,
}

#[derive(Debug)]
struct Inner<V> {
    entries: DashMap<String, Arc<V>>,
    version: AtomicU64,
}

impl<V> Clone for Table<V> {
    fn clone(&self) -> Self {
        Self { topic: self.topic, inner: self.inner.clone() }
    }
}

impl<V: Value> Table<V> {
    /// An empty table over a topic.
    pub fn new(topic: &'static str) -> Self {
        let inner = Inner { entries: DashMap::new(), version: AtomicU64::new(0) };
        Self { topic, inner: Arc::new(inner) }
    }

    /// The entry of a key.
    pub fn get(&self, key: &str) -> Option<Arc<V>> {
        self.inner.entries.get(key).map(|entry| entry.value().clone())
    }

    /// All entries, in no order.
    pub fn values(&self) -> Vec<Arc<V>> {
        self.inner.entries.iter().map(|entry| entry.value().clone()).collect()
    }

    /// Grows with every change: what is derived from the table is stale when this has grown.
    pub fn version(&self) -> u64 {
        self.inner.version.load(Ordering::Acquire)
    }

    /// Sets or removes an entry.
    pub fn set(&self, key: &str, value: Option<V>) {
        match value {
            Some(value) => {
                self.inner.entries.insert(key.to_owned(), Arc::new(value));
            }
            None => {
                self.inner.entries.remove(key);
            }
        }
        self.inner.version.fetch_add(1, Ordering::AcqRel);
    }
}

#[async_trait]
impl<V: Value> TableSink for Table<V> {
    fn topic(&self) -> &'static str {
        self.topic
    }

    async fn apply(&self, record: &Record, codec: &Codec) -> Result<(), Failure> {
        let key = record.key.as_deref().map(String::from_utf8_lossy);
        let Some(key) = key else {
            return Err(Failure::reject("no-key", "a record of a table has no key"));
        };
        let value = match &record.value {
            Some(bytes) => Some(crate::stage::decode_value::<V>(bytes, codec).await?),
            None => None,
        };
        self.set(&key, value);
        Ok(())
    }
}
