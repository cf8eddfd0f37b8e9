//! Reads a partition page by page to its end.
//!
//! Offsets may have gaps, also at the end: what compaction removed, what marks the end of a transaction.

use crate::record::Record;

use super::{EngineError, Log, TopicPartition};

/// A partition that is read page by page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pages {
    /// Partition.
    pub partition: TopicPartition,
    /// Offset to read next.
    pub next: u64,
    /// Bytes asked for at once; a page has at least one record.
    pub page_bytes: usize,
}

impl Pages {
    /// Starts at an offset.
    pub fn new(partition: TopicPartition, next: u64, page_bytes: usize) -> Self {
        Self { partition, next, page_bytes }
    }

    /// The next page, in offset order; empty at the end, where it may be asked again later.
    ///
    /// # Errors
    /// As [`Log::read`]; the position stays, so that the same page can be asked for again.
    pub async fn read(&mut self, log: &dyn Log) -> Result<Vec<Record>, EngineError> {
        // An end in numbers is no end to go by: the last offsets may belong to no record.
        let page = log.read(&self.partition, self.next, self.page_bytes).await?;
        if let Some(last) = page.last() {
            self.next = last.offset.saturating_add(1);
        }
        Ok(page)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::{
        engine::{
            Cleanup, Engine, TopicSpec,
            embedded::{EmbeddedConfig, EmbeddedEngine},
        },
        record::{Headers, NewRecord},
    };

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

    async fn rest(pages: &mut Pages, log: &dyn Log) -> Vec<u64> {
        let mut offsets = Vec::new();
        loop {
            let page = pages.read(log).await.unwrap();
            if page.is_empty() {
                return offsets;
            }
            offsets.extend(page.iter().map(|record| record.offset));
        }
    }

    #[tokio::test]
    async fn every_record_comes_once_and_the_end_is_no_end_for_good() {
        let directory = tempfile::tempdir().unwrap();
        let engine = EmbeddedEngine::open(EmbeddedConfig::new(directory.path())).await.unwrap();
        let cleanup = Cleanup::Delete { retention_ms: None, retention_bytes: None };
        let spec = TopicSpec { name: "t".into(), partitions: 1, cleanup };
        engine.create_topics(&[spec]).await.unwrap();
        let records: Vec<NewRecord> = (0..10).map(|number| record(&number.to_string())).collect();
        engine.append(records).await.unwrap();
        let log: Arc<dyn Log> = engine.clone();

        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        // A byte at once is a record at once.
        let mut pages = Pages::new(partition, 3, 1);
        assert_eq!(rest(&mut pages, log.as_ref()).await, [3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(rest(&mut pages, log.as_ref()).await, [0; 0]);
        engine.append(vec![record("more")]).await.unwrap();
        assert_eq!(rest(&mut pages, log.as_ref()).await, [10]);

        let nowhere = TopicPartition { topic: "nowhere".into(), partition: 0 };
        let mut pages = Pages::new(nowhere, 0, 1);
        assert!(pages.read(log.as_ref()).await.is_err());
        assert_eq!(pages.next, 0);
        drop(log);
        engine.close().await.unwrap();
    }
}
