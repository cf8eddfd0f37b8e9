//! A member's local copy of the group's keyed state, and how far in the changelog each partition of it is.
//!
//! The copy and its checkpoint are written in one transaction. It is never ahead of what is committed; where it may be
//! behind, the rest is read from the changelog. Losing it costs time, never data.

use std::{
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition,
    TableError, WriteTransaction,
};

use super::mailbox::nap;
use crate::{clock, engine::EngineError};

/// Memory for pages of the store, of each member, in bytes.
const CACHE_BYTES: usize = 16 << 20;
/// Time after which what was applied is made durable with the next commit; a crash reads so much of the changelog anew.
const SETTLE_INTERVAL: Duration = Duration::from_secs(5);
/// Bytes after which what was applied is made durable with the next commit: until then freed pages are not used again.
const SETTLE_BYTES: usize = 64 << 20;
/// Oldest checkpoint that a restore goes on from. A tombstone is purged a day after it was compacted
/// (`delete.retention.ms`); who missed it would keep the key.
const LONGEST_ABSENCE: Duration = Duration::from_secs(12 * 3600);
/// How long a copy is waited for that another has open: the member before this one may be about to close it.
const OPEN_PATIENCE: Duration = Duration::from_secs(10);
const OPEN_RETRY: Duration = Duration::from_millis(20);
/// Version of the layout.
const LAYOUT: &str = "1";

const IDENTITY: TableDefinition<'_, &str, &str> = TableDefinition::new("identity");
/// Partition to the changelog's next offset and the time of the note, in milliseconds since 1970.
const CHECKPOINTS: TableDefinition<'_, u32, (u64, i64)> = TableDefinition::new("checkpoints");

/// How far in the changelog a partition of the copy is, after changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checkpoint {
    /// Everything before this offset is in it.
    At(u64),
    /// As it was: what the changes come from lies behind it, and may be read once more.
    Kept,
    /// Not known: next time the changelog is read from its start.
    Unknown,
}

/// A change of an entry: its key, and its value or none where it is removed.
pub(super) type Entry = (Bytes, Option<Bytes>);

/// Whose state a copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) cluster: String,
    pub(super) topic: String,
}

/// The copy.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
    unsettled: Mutex<Unsettled>,
    /// Removed when the store is closed.
    temporary: Option<PathBuf>,
}

#[derive(Debug)]
struct Unsettled {
    since: Instant,
    bytes: usize,
}

/// A failure of the store stops the process: the copy can be made anew, the disk cannot.
fn broken(error: impl Into<redb::Error>) -> EngineError {
    EngineError::Fatal(format!("the local copy of the state failed: {}", error.into()))
}

fn table_name(partition: u32) -> String {
    format!("partition-{partition}")
}

impl Store {
    /// Opens or makes the copy in a file. One of another cluster or topic is thrown away.
    pub(super) fn open(path: &Path, identity: &Identity) -> Result<Self, EngineError> {
        Self::open_within(path, identity, OPEN_PATIENCE)
    }

    fn open_within(
        path: &Path,
        identity: &Identity,
        patience: Duration,
    ) -> Result<Self, EngineError> {
        let store = Self::create(path, patience)?;
        if store.identify(identity)? {
            return Ok(store);
        }
        tracing::info!(path = %path.display(), "local copy is of another state, it is made anew");
        drop(store);
        remove(path)?;
        let store = Self::create(path, patience)?;
        store.identify(identity)?;
        Ok(store)
    }

    /// Makes a copy in a file of its own that is removed when the store is closed.
    pub(super) fn temporary(identity: &Identity) -> Result<Self, EngineError> {
        let name = format!("hephaestus-state-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        let mut store = Self::create(&path, Duration::ZERO)?;
        store.temporary = Some(path);
        store.identify(identity)?;
        Ok(store)
    }

    fn create(path: &Path, patience: Duration) -> Result<Self, EngineError> {
        let create = || {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE_BYTES);
            builder.create(path)
        };
        let deadline = Instant::now() + patience;
        let mut created = create();
        while matches!(created, Err(DatabaseError::DatabaseAlreadyOpen))
            && Instant::now() < deadline
        {
            nap(OPEN_RETRY);
            created = create();
        }
        let database = match created {
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(EngineError::Fatal(format!(
                    "{} is in use by another process; give each a kafka.state_dir of its own",
                    path.display()
                )));
            }
            Err(error) if path.exists() => {
                tracing::warn!(path = %path.display(), %error, "local copy is broken, it is made anew");
                remove(path)?;
                create().map_err(broken)?
            }
            created => created.map_err(broken)?,
        };
        let unsettled = Unsettled { since: Instant::now(), bytes: 0 };
        Ok(Self { database, unsettled: Mutex::new(unsettled), temporary: None })
    }

    /// Notes whose state this is; false where it is another's.
    fn identify(&self, identity: &Identity) -> Result<bool, EngineError> {
        let transaction = self.begin()?;
        {
            let mut table = transaction.open_table(IDENTITY).map_err(broken)?;
            // Reading a table that was never made is an error.
            transaction.open_table(CHECKPOINTS).map_err(broken)?;
            let wanted = [
                ("layout", LAYOUT),
                ("cluster", identity.cluster.as_str()),
                ("topic", identity.topic.as_str()),
            ];
            for (name, value) in wanted {
                let known = table.get(name).map_err(broken)?.map(|known| known.value().to_owned());
                match known {
                    Some(known) if known != value => return Ok(false),
                    Some(_) => {}
                    None => {
                        table.insert(name, value).map_err(broken)?;
                    }
                }
            }
        }
        transaction.commit().map_err(broken)?;
        Ok(true)
    }

    fn begin(&self) -> Result<WriteTransaction, EngineError> {
        self.database.begin_write().map_err(broken)
    }

    /// Offset from which the changelog is still to be read, where the copy can be gone on with.
    pub(super) fn checkpoint(&self, partition: u32) -> Result<Option<u64>, EngineError> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let table = transaction.open_table(CHECKPOINTS).map_err(broken)?;
        let row = table.get(partition).map_err(broken)?;
        let Some((next, noted_ms)) = row.map(|row| row.value()) else { return Ok(None) };
        let age_ms = clock::now_ms().saturating_sub(noted_ms);
        let is_fresh = u128::try_from(age_ms).is_ok_and(|age| age <= LONGEST_ABSENCE.as_millis());
        Ok(is_fresh.then_some(next))
    }

    /// Empties a partition.
    pub(super) fn clear(&self, partition: u32) -> Result<(), EngineError> {
        let transaction = self.begin()?;
        let name = table_name(partition);
        let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(&name);
        transaction.delete_table(table).map_err(broken)?;
        {
            let mut checkpoints = transaction.open_table(CHECKPOINTS).map_err(broken)?;
            checkpoints.remove(partition).map_err(broken)?;
        }
        transaction.commit().map_err(broken)
    }

    /// Applies changes in order.
    pub(super) fn apply(
        &self,
        partition: u32,
        entries: &[Entry],
        checkpoint: Checkpoint,
    ) -> Result<(), EngineError> {
        let mut transaction = self.begin()?;
        let bytes: usize = entries
            .iter()
            .map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len))
            .sum();
        let durability = if self.is_due(bytes) { Durability::Immediate } else { Durability::None };
        transaction.set_durability(durability).map_err(broken)?;
        {
            let name = table_name(partition);
            let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(&name);
            let mut table = transaction.open_table(definition).map_err(broken)?;
            for (key, value) in entries {
                match value {
                    Some(value) => drop(table.insert(&key[..], &value[..]).map_err(broken)?),
                    None => drop(table.remove(&key[..]).map_err(broken)?),
                }
            }
            if checkpoint != Checkpoint::Kept {
                let mut checkpoints = transaction.open_table(CHECKPOINTS).map_err(broken)?;
                let next = match checkpoint {
                    Checkpoint::At(next) => checkpoints.insert(partition, (next, clock::now_ms())),
                    _ => checkpoints.remove(partition),
                };
                drop(next.map_err(broken)?);
            }
        }
        transaction.commit().map_err(broken)
    }

    fn is_due(&self, bytes: usize) -> bool {
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        unsettled.bytes += bytes;
        if unsettled.bytes < SETTLE_BYTES && unsettled.since.elapsed() < SETTLE_INTERVAL {
            return false;
        }
        *unsettled = Unsettled { since: Instant::now(), bytes: 0 };
        true
    }

    /// Makes everything durable, so that the next start finds it.
    pub(super) fn settle(&self) -> Result<(), EngineError> {
        if self.temporary.is_some() {
            return Ok(());
        }
        let mut transaction = self.begin()?;
        transaction.set_quick_repair(true);
        transaction.commit().map_err(broken)
    }

    /// Value of a key.
    pub(super) fn get(&self, partition: u32, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let name = table_name(partition);
        let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(&name);
        let table = match transaction.open_table(definition) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(broken(error)),
        };
        let value = table.get(key).map_err(broken)?;
        Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
    }

    /// Up to `limit` entries with keys greater than `after`, in key order.
    pub(super) fn scan(
        &self,
        partition: u32,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        let transaction = self.database.begin_read().map_err(broken)?;
        let name = table_name(partition);
        let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(&name);
        let table = match transaction.open_table(definition) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(broken(error)),
        };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = table.range::<&[u8]>((start, Bound::Unbounded)).map_err(broken)?;
        let mut entries = Vec::new();
        for row in range.take(limit) {
            let (key, value) = row.map_err(broken)?;
            let copy = Bytes::copy_from_slice;
            entries.push((copy(key.value()), copy(value.value())));
        }
        Ok(entries)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let Some(path) = &self.temporary else { return };
        if let Err(error) = std::fs::remove_file(path) {
            tracing::warn!(path = %path.display(), %error, "temporary copy of the state is left");
        }
    }
}

fn remove(path: &Path) -> Result<(), EngineError> {
    std::fs::remove_file(path)
        .map_err(|error| EngineError::Fatal(format!("cannot remove {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn identity(cluster: &str) -> Identity {
        Identity { cluster: cluster.to_owned(), topic: "stage-state".to_owned() }
    }

    fn entry(key: &'static str, value: Option<&'static str>) -> Entry {
        (Bytes::from_static(key.as_bytes()), value.map(|v| Bytes::from_static(v.as_bytes())))
    }

    #[test]
    fn what_was_applied_is_read_by_partition_and_in_key_order() {
        let store = Store::temporary(&identity("c")).unwrap();
        assert_eq!(store.get(0, b"a").unwrap(), None);
        store.apply(0, &[entry("b", Some("1")), entry("a", Some("1"))], Checkpoint::At(2)).unwrap();
        store.apply(1, &[entry("z", Some("9"))], Checkpoint::At(1)).unwrap();
        store.apply(0, &[entry("b", None), entry("c", Some("3"))], Checkpoint::At(5)).unwrap();
        assert_eq!(store.get(0, b"a").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(store.get(0, b"b").unwrap(), None);
        let keys = |after: Option<&[u8]>, limit| -> Vec<Bytes> {
            store.scan(0, after, limit).unwrap().into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(keys(None, 10), ["a", "c"]);
        assert_eq!(keys(None, 1), ["a"]);
        assert_eq!(keys(Some(b"a"), 10), ["c"]);
        assert_eq!(store.checkpoint(0).unwrap(), Some(5));
        store.clear(0).unwrap();
        assert_eq!(store.checkpoint(0).unwrap(), None);
        assert_eq!(store.scan(0, None, 10).unwrap(), []);
        assert_eq!(store.scan(1, None, 10).unwrap().len(), 1);
    }

    #[test]
    fn a_temporary_copy_goes_with_its_store() {
        let store = Store::temporary(&identity("c")).unwrap();
        let path = store.temporary.clone().unwrap();
        assert!(path.exists());
        drop(store);
        assert!(!path.exists());
    }

    #[test]
    fn a_copy_is_gone_on_with_only_where_it_is_known_to_be_right() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("copy");
        let store = Store::open(&path, &identity("c")).unwrap();
        store.apply(0, &[entry("a", Some("1"))], Checkpoint::At(7)).unwrap();
        store.apply(1, &[entry("a", Some("1"))], Checkpoint::At(7)).unwrap();
        // The outcome of this one was not known.
        store.apply(1, &[entry("a", Some("2"))], Checkpoint::Unknown).unwrap();
        store.settle().unwrap();
        let second = Store::open_within(&path, &identity("c"), Duration::ZERO);
        assert!(matches!(second, Err(EngineError::Fatal(_))), "opened twice");
        drop(store);
        let store = Store::open(&path, &identity("c")).unwrap();
        assert_eq!(store.checkpoint(0).unwrap(), Some(7));
        assert_eq!(store.checkpoint(1).unwrap(), None);
        assert_eq!(store.get(0, b"a").unwrap().as_deref(), Some(&b"1"[..]));
        drop(store);
        let store = Store::open(&path, &identity("another")).unwrap();
        assert_eq!(store.checkpoint(0).unwrap(), None);
        assert_eq!(store.get(0, b"a").unwrap(), None);
    }

    #[test]
    fn a_checkpoint_that_is_too_old_is_none() {
        let store = Store::temporary(&identity("c")).unwrap();
        store.apply(0, &[entry("a", Some("1"))], Checkpoint::At(7)).unwrap();
        let long_ago = clock::now_ms() - LONGEST_ABSENCE.as_millis() as i64 - 1;
        let transaction = store.begin().unwrap();
        transaction.open_table(CHECKPOINTS).unwrap().insert(0, (7, long_ago)).unwrap();
        transaction.commit().unwrap();
        assert_eq!(store.checkpoint(0).unwrap(), None);
    }

    #[test]
    fn a_broken_file_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("copy");
        std::fs::write(&path, b"this is no store, and long enough to be read as one").unwrap();
        let store = Store::open(&path, &identity("c")).unwrap();
        assert_eq!(store.checkpoint(0).unwrap(), None);
    }
}
