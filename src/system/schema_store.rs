//! Keeps the schema registry's records in the compacted topic `_schemas` of an engine.

use std::sync::Arc;

use hephaestus_pipeline::{
    clock,
    engine::{Log, TopicPartition},
    record::{Headers, NewRecord, Record},
};
use hephaestus_schemas::registry::{SCHEMAS_TOPIC, SchemaRecord, SchemaStore, StoreError};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// The topic `_schemas` of an engine.
pub(crate) struct TopicStore(pub(crate) Arc<dyn Log>);

impl TopicStore {
    async fn read_from(&self, from: u64) -> Result<Vec<Record>, StoreError> {
        let partition = TopicPartition { topic: SCHEMAS_TOPIC.into(), partition: 0 };
        let read = self.0.read(&partition, from, READ_BYTES).await;
        read.map_err(|error| StoreError(error.to_string()))
    }
}

#[async_trait::async_trait]
impl SchemaStore for TopicStore {
    async fn load(&self) -> Result<Vec<SchemaRecord>, StoreError> {
        let mut records = Vec::new();
        let mut next = 0;
        loop {
            let page = self.read_from(next).await?;
            let Some(last) = page.last() else { return Ok(records) };
            next = last.offset + 1;
            for record in &page {
                records.push(SchemaRecord {
                    key: text(record.key.as_deref().unwrap_or_default(), record)?,
                    value: record.value.as_deref().map(|value| text(value, record)).transpose()?,
                });
            }
        }
    }

    async fn append(&self, record: SchemaRecord) -> Result<(), StoreError> {
        let record = NewRecord {
            topic: SCHEMAS_TOPIC.into(),
            partition: Some(0),
            timestamp_ms: clock::now_ms(),
            key: Some(record.key.into()),
            value: record.value.map(Into::into),
            headers: Headers::default(),
        };
        let appended = self.0.append(vec![record]).await;
        appended.map(|_| ()).map_err(|error| StoreError(error.to_string()))
    }
}

fn text(bytes: &[u8], record: &Record) -> Result<String, StoreError> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned).map_err(|_| {
        StoreError(format!("record {} of {SCHEMAS_TOPIC} is not UTF-8", record.offset))
    })
}
