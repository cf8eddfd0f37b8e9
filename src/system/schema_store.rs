//! Keeps the schema registry's records in the compacted topic `_schemas` of an engine.

use std::sync::Arc;

use hephaestus_pipeline::{
    clock,
    engine::{Log, TopicPartition, pages::Pages},
    record::{Headers, NewRecord, Record},
};
use hephaestus_schemas::registry::{SCHEMAS_TOPIC, SchemaRecord, SchemaStore, StoreError};

/// Bytes read at once.
pub(super) const READ_BYTES: usize = 1 << 20;

/// The topic `_schemas` of an engine that nobody else writes to.
pub(crate) struct TopicStore(pub(crate) Arc<dyn Log>);

#[async_trait::async_trait]
impl SchemaStore for TopicStore {
    async fn load(&self) -> Result<Vec<SchemaRecord>, StoreError> {
        load(self.0.as_ref(), &mut Pages::new(partition(), 0, READ_BYTES)).await
    }

    async fn append(&self, record: SchemaRecord) -> Result<(), StoreError> {
        let appended = self.0.append(vec![new_record(record)]).await;
        appended.map(|_| ()).map_err(|error| StoreError(error.to_string()))
    }
}

/// The one partition of `_schemas`.
pub(super) fn partition() -> TopicPartition {
    TopicPartition { topic: SCHEMAS_TOPIC.into(), partition: 0 }
}

/// Reads on to the end.
pub(super) async fn load(
    log: &dyn Log,
    pages: &mut Pages,
) -> Result<Vec<SchemaRecord>, StoreError> {
    let mut records = Vec::new();
    loop {
        let page = pages.read(log).await.map_err(|error| StoreError(error.to_string()))?;
        if page.is_empty() {
            return Ok(records);
        }
        for record in &page {
            records.push(SchemaRecord {
                key: text(record.key.as_deref().unwrap_or_default(), record)?,
                value: record.value.as_deref().map(|value| text(value, record)).transpose()?,
            });
        }
    }
}

/// A record as an engine takes it.
pub(super) fn new_record(record: SchemaRecord) -> NewRecord {
    NewRecord {
        topic: SCHEMAS_TOPIC.into(),
        partition: Some(0),
        timestamp_ms: clock::now_ms(),
        key: Some(record.key.into()),
        value: record.value.map(Into::into),
        headers: Headers::default(),
    }
}

fn text(bytes: &[u8], record: &Record) -> Result<String, StoreError> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned).map_err(|_| {
        StoreError(format!("record {} of {SCHEMAS_TOPIC} is not UTF-8", record.offset))
    })
}
