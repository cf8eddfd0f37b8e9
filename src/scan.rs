//! Reads topics from one end to the other, in the order of time across their partitions.
//!
//! Holds at most one page of each partition, whatever the size of the topic.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use anyhow::{Result, anyhow};
use futures::{StreamExt, stream::FuturesUnordered};
use hephaestus_pipeline::{
    engine::{EngineError, Log, TopicInfo, TopicPartition, pages::Pages},
    record::Record,
};
use hephaestus_topology::nearest;

/// Bytes read at once from a partition.
const PAGE_BYTES: usize = 1 << 20;
/// How long one wait for new records lasts before it is asked again.
const WAIT: Duration = Duration::from_secs(20);

/// Where to start in each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// At the oldest record.
    Beginning,
    /// After the newest record.
    End,
    /// At an offset.
    Offset(u64),
    /// At the first record of a time, in milliseconds since 1970 UTC.
    Time(i64),
}

/// Finds a topic by name.
///
/// # Errors
/// Where there is none, with the name that is nearest.
pub(crate) async fn find_topic(log: &Arc<dyn Log>, name: &str) -> Result<TopicInfo> {
    let topics = log.topics().await?;
    if let Some(topic) = topics.iter().find(|topic| topic.spec.name.as_ref() == name) {
        return Ok(topic.clone());
    }
    let names = topics.iter().map(|topic| topic.spec.name.as_ref());
    let hint = match nearest(name, names) {
        Some(nearest) => format!("; did you mean {nearest:?}?"),
        None if topics.is_empty() => "; there are no topics yet".to_owned(),
        None => String::new(),
    };
    Err(anyhow!("no topic {name:?}{hint}"))
}

/// A topic that is being read.
pub(crate) struct Scan {
    log: Arc<dyn Log>,
    cursors: Vec<Cursor>,
}

struct Cursor {
    pages: Pages,
    /// Offset at which to stop; none when following.
    end: Option<u64>,
    page: VecDeque<Record>,
    /// Whether the last read brought nothing.
    is_dry: bool,
}

impl Cursor {
    fn is_done(&self) -> bool {
        self.page.is_empty() && self.end.is_some_and(|end| self.pages.next >= end)
    }

    async fn fill(&mut self, log: &Arc<dyn Log>) -> Result<(), EngineError> {
        if !self.page.is_empty() || self.is_dry || self.is_done() {
            return Ok(());
        }
        let records = self.pages.read(log.as_ref()).await?;
        self.is_dry = records.is_empty();
        let end = self.end.unwrap_or(u64::MAX);
        self.page.extend(records.into_iter().filter(|record| record.offset < end));
        Ok(())
    }
}

impl Scan {
    /// Starts to read a topic: up to what is there now, or on and on.
    pub(crate) async fn new(
        log: &Arc<dyn Log>,
        topic: &TopicInfo,
        start: Start,
        follow: bool,
    ) -> Result<Self> {
        let mut cursors = Vec::new();
        for (number, info) in (0..).zip(&topic.partitions) {
            let partition = TopicPartition { topic: topic.spec.name.clone(), partition: number };
            let next = match start {
                Start::Beginning => info.earliest,
                Start::End => info.end,
                Start::Offset(offset) => offset.max(info.earliest),
                Start::Time(at_ms) => log.offset_at(&partition, at_ms).await?,
            };
            let end = (!follow).then_some(info.end);
            let pages = Pages::new(partition, next, PAGE_BYTES);
            cursors.push(Cursor { pages, end, page: VecDeque::new(), is_dry: false });
        }
        Ok(Self { log: log.clone(), cursors })
    }

    /// The next record that is there already; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Record>> {
        let mut oldest: Option<(i64, usize)> = None;
        for (index, cursor) in self.cursors.iter_mut().enumerate() {
            cursor.fill(&self.log).await?;
            let Some(record) = cursor.page.front() else {
                continue;
            };
            let is_older = oldest.is_none_or(|(at_ms, _)| record.timestamp_ms < at_ms);
            if is_older {
                oldest = Some((record.timestamp_ms, index));
            }
        }
        let cursor = oldest.and_then(|(_, index)| self.cursors.get_mut(index));
        Ok(cursor.and_then(|cursor| cursor.page.pop_front()))
    }

    /// Waits until there is something to read; for those that follow.
    pub(crate) async fn wait(&mut self) -> Result<()> {
        self.skip_gaps().await?;
        if self.cursors.iter().any(|cursor| !cursor.page.is_empty()) {
            return Ok(());
        }
        let mut waits = FuturesUnordered::new();
        for cursor in &self.cursors {
            waits.push(self.log.wait(&cursor.pages.partition, cursor.pages.next, WAIT));
        }
        while let Some(passed) = waits.next().await {
            if passed? {
                break;
            }
        }
        drop(waits);
        for cursor in &mut self.cursors {
            cursor.is_dry = false;
        }
        Ok(())
    }

    /// Moves past offsets whose records are gone, so that no wait ends for nothing.
    async fn skip_gaps(&mut self) -> Result<()> {
        let topics = self.log.topics().await?;
        for cursor in &mut self.cursors {
            let TopicPartition { topic: name, partition } = &cursor.pages.partition;
            let topic = topics.iter().find(|topic| topic.spec.name == *name);
            let index = usize::try_from(*partition)?;
            let end =
                topic.and_then(|topic| topic.partitions.get(index)).map_or(0, |info| info.end);
            if end <= cursor.pages.next || !cursor.page.is_empty() {
                continue;
            }
            // Whatever lies below an end that was asked for first is read now, or is gone.
            let records = cursor.pages.read(self.log.as_ref()).await?;
            if records.is_empty() {
                cursor.pages.next = end;
            }
            cursor.page.extend(records);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
