//! Where a registry keeps what it knows: records of a compacted topic, in the layout of
//! Confluent's `_schemas`.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

/// Topic that Confluent's registry keeps its records in.
pub const SCHEMAS_TOPIC: &str = "_schemas";

/// One record: for a key that stands twice the later record holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaRecord {
    /// The key as JSON.
    pub key: String,
    /// The value as JSON; `None` deletes.
    pub value: Option<String>,
}

/// The store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(pub String);

/// A compacted topic with a single partition. Only one registry writes to it at any time.
#[async_trait::async_trait]
pub trait SchemaStore: Send + Sync + 'static {
    /// Whether other registries may write to it, between one write of this one and the next. The
    /// store is read again before every change then, and for what is not found.
    fn is_shared(&self) -> bool {
        false
    }

    /// Waits until it is this registry's turn to write, for as long as that is worth it.
    ///
    /// # Errors
    /// Where it is another's.
    async fn turn(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Every record, the oldest first.
    ///
    /// # Errors
    /// Where the store cannot be read.
    async fn load(&self) -> Result<Vec<SchemaRecord>, StoreError>;

    /// Appends a record. It is durable when this returns.
    ///
    /// # Errors
    /// Where the record may not have been written; in a store that is shared also where it is not
    /// this registry's turn to write, or anything was written since the last [`SchemaStore::load`].
    async fn append(&self, record: SchemaRecord) -> Result<(), StoreError>;
}

/// Keeps records in memory: for tests, and for a registry that need not outlive its process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    records: Mutex<Vec<SchemaRecord>>,
}

#[async_trait::async_trait]
impl SchemaStore for MemoryStore {
    async fn load(&self) -> Result<Vec<SchemaRecord>, StoreError> {
        match self.records.lock() {
            Ok(records) => Ok(records.clone()),
            Err(error) => Err(StoreError(error.to_string())),
        }
    }

    async fn append(&self, record: SchemaRecord) -> Result<(), StoreError> {
        match self.records.lock() {
            Ok(mut records) => {
                records.push(record);
                Ok(())
            }
            Err(error) => Err(StoreError(error.to_string())),
        }
    }
}

/// The key of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "keytype")]
pub(super) enum Key {
    /// A version of a subject.
    #[serde(rename = "SCHEMA")]
    Schema { subject: String, version: u32, magic: u8 },
    /// A compatibility level; of everything where there is no subject.
    #[serde(rename = "CONFIG")]
    Config { subject: Option<String>, magic: u8 },
    /// The deletion of a subject up to a version.
    #[serde(rename = "DELETE_SUBJECT")]
    DeleteSubject { subject: String, magic: u8 },
    /// What other registries write and this one does not need.
    #[serde(other)]
    Other,
}

/// The value that belongs to [`Key::Schema`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SchemaValue {
    pub(super) subject: String,
    pub(super) version: u32,
    pub(super) id: u32,
    pub(super) schema: String,
    #[serde(default)]
    pub(super) deleted: bool,
}

/// The value that belongs to [`Key::Config`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigValue {
    pub(super) compatibility_level: String,
}

/// The value that belongs to [`Key::DeleteSubject`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeleteSubjectValue {
    pub(super) subject: String,
    pub(super) version: u32,
}
