//! Scans over partitions with gaps, as compaction and retention leave them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Mutex;

use async_trait::async_trait;
use hephaestus_pipeline::{
    engine::{Cleanup, GroupOffset, PartitionInfo, TopicSpec},
    record::{Headers, NewRecord},
};
use tokio::sync::watch;

use super::*;

/// Partitions of one topic: their records and their ends, which may lie beyond the last record.
struct Gaps {
    partitions: Mutex<Vec<(Vec<Record>, u64)>>,
    grown: watch::Sender<()>,
}

fn record(partition: u32, offset: u64, timestamp_ms: i64) -> Record {
    Record {
        topic: "t".into(),
        partition,
        offset,
        timestamp_ms,
        key: None,
        value: None,
        headers: Headers::default(),
    }
}

impl Gaps {
    fn new(partitions: Vec<(Vec<Record>, u64)>) -> Arc<Self> {
        Arc::new(Self { partitions: Mutex::new(partitions), grown: watch::Sender::new(()) })
    }

    fn grow(&self, record: Record) {
        let mut partitions = self.partitions.lock().unwrap();
        let (records, end) = &mut partitions[record.partition as usize];
        *end = record.offset + 1;
        records.push(record);
        drop(partitions);
        self.grown.send_replace(());
    }
}

#[async_trait]
impl Log for Gaps {
    async fn topics(&self) -> Result<Vec<TopicInfo>, EngineError> {
        let partitions = self.partitions.lock().unwrap();
        let infos = partitions.iter().map(|(_, end)| PartitionInfo { earliest: 0, end: *end });
        let spec = TopicSpec { name: "t".into(), partitions: 2, cleanup: Cleanup::Compact };
        Ok(vec![TopicInfo { spec, partitions: infos.collect() }])
    }

    async fn append(&self, _: Vec<NewRecord>) -> Result<Vec<(u32, u64)>, EngineError> {
        unreachable!("a scan writes nothing")
    }

    async fn read(
        &self,
        partition: &TopicPartition,
        from: u64,
        _: usize,
    ) -> Result<Vec<Record>, EngineError> {
        let partitions = self.partitions.lock().unwrap();
        let (records, _) = &partitions[partition.partition as usize];
        // Two at once, so that a scan has to ask again.
        Ok(records.iter().filter(|record| record.offset >= from).take(2).cloned().collect())
    }

    async fn wait(
        &self,
        partition: &TopicPartition,
        offset: u64,
        wait: Duration,
    ) -> Result<bool, EngineError> {
        let mut grown = self.grown.subscribe();
        let passed = async {
            while self.partitions.lock().unwrap()[partition.partition as usize].1 <= offset {
                grown.changed().await.unwrap();
            }
        };
        Ok(tokio::time::timeout(wait, passed).await.is_ok())
    }

    async fn offset_at(&self, _: &TopicPartition, _: i64) -> Result<u64, EngineError> {
        Ok(1)
    }

    async fn groups(&self) -> Result<Vec<Arc<str>>, EngineError> {
        Ok(Vec::new())
    }

    async fn group_offsets(&self, _: &str) -> Result<Vec<GroupOffset>, EngineError> {
        Ok(Vec::new())
    }
}

fn gaps() -> Arc<Gaps> {
    let first = vec![record(0, 0, 10), record(0, 2, 30), record(0, 3, 31), record(0, 7, 32)];
    let second = vec![record(1, 4, 20), record(1, 5, 31)];
    Gaps::new(vec![(first, 9), (second, 6)])
}

async fn scan(log: &Arc<Gaps>, start: Start, follow: bool) -> Scan {
    let log: Arc<dyn Log> = log.clone();
    let topic = find_topic(&log, "t").await.unwrap();
    Scan::new(&log, &topic, start, follow).await.unwrap()
}

async fn drain(scan: &mut Scan) -> Vec<(u32, u64)> {
    let mut found = Vec::new();
    while let Some(record) = scan.next().await.unwrap() {
        found.push((record.partition, record.offset));
    }
    found
}

#[tokio::test]
async fn partitions_are_merged_by_time_and_in_order_each() {
    let log = gaps();
    let all = drain(&mut scan(&log, Start::Beginning, false).await).await;
    assert_eq!(all, [(0, 0), (1, 4), (0, 2), (0, 3), (1, 5), (0, 7)]);
    let some = drain(&mut scan(&log, Start::Offset(4), false).await).await;
    assert_eq!(some, [(1, 4), (1, 5), (0, 7)]);
    let late = drain(&mut scan(&log, Start::Time(0), false).await).await;
    assert_eq!(late[0], (1, 4), "the log says where a time begins");
    assert_eq!(drain(&mut scan(&log, Start::End, false).await).await, []);
}

#[tokio::test]
async fn what_comes_after_the_start_is_for_those_who_follow() {
    let log = gaps();
    let mut bounded = scan(&log, Start::Beginning, false).await;
    let mut following = scan(&log, Start::Beginning, true).await;
    log.grow(record(0, 9, 40));
    assert_eq!(drain(&mut bounded).await.last(), Some(&(0, 7)));
    assert_eq!(drain(&mut following).await.last(), Some(&(0, 9)));
}

#[tokio::test]
async fn a_gap_at_the_end_wakes_nobody() {
    let log = gaps();
    let mut following = scan(&log, Start::Beginning, true).await;
    drain(&mut following).await;
    // Offset 8 of partition 0 is gone: its end lies beyond what can be read.
    let idle = tokio::time::timeout(Duration::from_millis(50), following.wait()).await;
    assert!(idle.is_err(), "the wait ended with nothing to read");
    log.grow(record(1, 6, 50));
    following.wait().await.unwrap();
    assert_eq!(drain(&mut following).await, [(1, 6)]);
}
