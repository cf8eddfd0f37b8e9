//! Reads tables: whole before a stage starts, then as they change.

use std::{sync::Arc, time::Duration};

use hephaestus_schemas::codec::Codec;
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{EngineError, Log, TopicPartition},
    record::Record,
    stage::Failure,
    table::TableSink,
};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
/// Longest wait for a change; bounds how long a shutdown goes unnoticed.
const WAIT: Duration = Duration::from_secs(1);
/// Pause before a schema is looked up again, or the engine asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// How far a table has been read.
pub(crate) struct TableReader {
    log: Arc<dyn Log>,
    codec: Codec,
    sink: Arc<dyn TableSink>,
    positions: Vec<(TopicPartition, u64)>,
}

impl TableReader {
    /// Reads a table from its beginning to what is its end now.
    pub(crate) async fn load(
        log: Arc<dyn Log>,
        codec: Codec,
        sink: Arc<dyn TableSink>,
        shutdown: &CancellationToken,
    ) -> Result<Self, EngineError> {
        let topics = log.topics().await?;
        let topic = topics.into_iter().find(|topic| topic.spec.name.as_ref() == sink.topic());
        let Some(topic) = topic else {
            return Err(EngineError::UnknownPartition {
                topic: sink.topic().to_owned(),
                partition: 0,
            });
        };
        let mut reader = Self { log, codec, sink, positions: Vec::new() };
        for (partition, info) in (0..).zip(&topic.partitions) {
            let partition = TopicPartition { topic: topic.spec.name.clone(), partition };
            reader.positions.push((partition, info.earliest));
        }
        for (index, info) in topic.partitions.iter().enumerate() {
            while reader.position(index) < info.end && !shutdown.is_cancelled() {
                if reader.step(index, shutdown).await? == 0 {
                    break;
                }
            }
        }
        Ok(reader)
    }

    fn position(&self, index: usize) -> u64 {
        self.positions.get(index).map_or(u64::MAX, |(_, next)| *next)
    }

    /// Reads on in one partition; says how many records there were.
    async fn step(
        &mut self,
        index: usize,
        shutdown: &CancellationToken,
    ) -> Result<usize, EngineError> {
        let Some((partition, next)) = self.positions.get(index).cloned() else { return Ok(0) };
        let records = self.log.read(&partition, next, READ_BYTES).await?;
        for record in &records {
            self.apply(record, shutdown).await;
            if let Some((_, next)) = self.positions.get_mut(index) {
                *next = record.offset + 1;
            }
        }
        Ok(records.len())
    }

    async fn apply(&self, record: &Record, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.sink.apply(record, &self.codec).await {
                Ok(()) => return,
                Err(Failure::Retry { class, message, .. }) => {
                    tracing::warn!(table = self.sink.topic(), class, message, "table waits");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(failure) => {
                    tracing::error!(
                        table = self.sink.topic(),
                        partition = record.partition,
                        offset = record.offset,
                        error = %failure,
                        "record of a table cannot be read and is passed over"
                    );
                    return;
                }
            }
        }
    }

    /// Follows the table until shutdown.
    pub(crate) async fn follow(self, shutdown: CancellationToken) {
        let followers = (0..self.positions.len()).map(|index| {
            let reader = Self {
                log: self.log.clone(),
                codec: self.codec.clone(),
                sink: self.sink.clone(),
                positions: self.positions.clone(),
            };
            reader.follow_partition(index, shutdown.clone())
        });
        futures::future::join_all(followers).await;
    }

    async fn follow_partition(mut self, index: usize, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let Some((partition, next)) = self.positions.get(index).cloned() else { return };
            let waited = tokio::select! {
                () = shutdown.cancelled() => return,
                waited = self.log.wait(&partition, next, WAIT) => waited,
            };
            let read = match waited {
                Ok(false) => Ok(0),
                Ok(true) => self.step(index, &shutdown).await,
                Err(error) => Err(error),
            };
            if let Err(error) = read {
                tracing::warn!(table = self.sink.topic(), %error, "table cannot be followed for now");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
