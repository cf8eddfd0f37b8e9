//! What lies between a member's threads and its driver: the assignment, fetched records and failures.
//!
//! Records lie by partition, within a bound in bytes; a revocation takes them out. A poll that is dropped loses nothing.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    assignment::{Assignment, Change, Claims, Epoch},
    mailbox::Bell,
    store::Entry,
};
use crate::{
    engine::{EngineError, Polled},
    record::Record,
};

/// What a record takes beside key, value and headers.
const RECORD_OVERHEAD: usize = size_of::<Record>() + 32;

/// Bytes that a record takes in a queue.
pub(super) fn weight(record: &Record) -> usize {
    record.size() + RECORD_OVERHEAD
}

/// Bytes that a change of the state takes in a queue.
pub(super) fn weight_of_entry(entry: &Entry) -> usize {
    entry.0.len() + entry.1.as_ref().map_or(0, Bytes::len) + size_of::<Entry>()
}

/// Records of one partition, as fetched.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    pub(super) bytes: usize,
}

/// Where an input begins for a partition: the offset that the group had committed when the partition was assigned.
///
/// librdkafka 2.12 forgets it where another rebalance comes while it waits for an open transaction, and begins at the
/// oldest record (`rd_kafka_assignment_apply_offsets`, the branch for `UNSTABLE_OFFSET_COMMIT`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) topic: Arc<str>,
    pub(super) next: u64,
}

/// Shared by the threads of a member and its driver.
#[derive(Debug)]
pub(super) struct Inbox {
    inner: Mutex<Inner>,
    /// Wakes the driver.
    news: Notify,
    /// Wakes the consumer's thread.
    pub(super) bell: Arc<Bell>,
    /// Bytes that may lie here, about.
    budget: usize,
}

#[derive(Debug, Default)]
struct Inner {
    assignment: Assignment,
    queues: BTreeMap<u32, Queue>,
    /// Of partitions that are ready.
    starts: BTreeMap<u32, Vec<Start>>,
    /// Where the consumer has to go on, since it began too early.
    seeks: BTreeMap<u32, Start>,
    paused: BTreeSet<u32>,
    failure: Option<EngineError>,
    /// Which partition is served first; moves, so that none starves.
    turn: usize,
    /// The consumer's thread found a queue full and wants to know of room.
    wants_room: bool,
}

#[derive(Debug, Default)]
struct Queue {
    batches: VecDeque<Batch>,
    bytes: usize,
}

impl Inbox {
    pub(super) fn new(budget: usize) -> Self {
        Self {
            inner: Mutex::default(),
            news: Notify::new(),
            bell: Arc::new(Bell::default()),
            budget,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- for the consumer's thread ---

    pub(super) fn assign(&self, partitions: &[u32]) -> Epoch {
        self.lock().assignment.assign(partitions)
    }

    pub(super) fn revoke(&self, partitions: &[u32]) {
        let mut inner = self.lock();
        inner.assignment.revoke(partitions);
        for partition in partitions {
            inner.queues.remove(partition);
            inner.starts.remove(partition);
            inner.seeks.remove(partition);
            inner.paused.remove(partition);
        }
        drop(inner);
        self.news.notify_one();
    }

    /// Where the consumer has to go on. Who asks does so before it reads on.
    pub(super) fn take_seeks(&self) -> BTreeMap<u32, Start> {
        std::mem::take(&mut self.lock().seeks)
    }

    /// Bytes that a partition may still bring: its share of the budget, less what lies here of it.
    pub(super) fn room(&self, partition: u32) -> usize {
        let mut inner = self.lock();
        let share = self.budget / inner.assignment.len().max(1);
        let used = inner.queues.get(&partition).map_or(0, |queue| queue.bytes);
        let room = share.saturating_sub(used);
        if room == 0 {
            inner.wants_room = true;
        }
        room
    }

    /// Adds records of a partition; those of one that is no longer had are dropped.
    pub(super) fn push(&self, partition: u32, epoch: Epoch, mut batch: Batch) {
        let mut inner = self.lock();
        if !inner.assignment.holds(partition, epoch) {
            return;
        }
        let early = inner.starts.get(&partition).and_then(|starts| batch.begin(starts));
        if let Some(early) = early.filter(|_| batch.records.is_empty()) {
            inner.seeks.insert(partition, early);
            return;
        }
        let queue = inner.queues.entry(partition).or_default();
        queue.bytes += batch.bytes;
        queue.batches.push_back(batch);
        drop(inner);
        self.news.notify_one();
    }

    /// Tells the driver's next poll of a failure.
    pub(super) fn fail(&self, error: EngineError) {
        let mut inner = self.lock();
        // What stops the process is not hidden by what comes later.
        if !matches!(inner.failure, Some(EngineError::Fatal(_))) {
            inner.failure = Some(error);
        }
        drop(inner);
        self.news.notify_one();
    }

    // --- for the restorer ---

    /// Notes that a partition can be served, from these offsets on.
    pub(super) fn ready(&self, partition: u32, epoch: Epoch, starts: Vec<Start>) {
        let mut inner = self.lock();
        if !inner.assignment.ready(partition, epoch) {
            return;
        }
        if let Some(queue) = inner.queues.get_mut(&partition) {
            let early = queue.begin(&starts);
            inner.seeks.extend(early.map(|early| (partition, early)));
        }
        inner.starts.insert(partition, starts);
        drop(inner);
        self.news.notify_one();
        self.bell.ring();
    }

    pub(super) fn holds(&self, partition: u32, epoch: Epoch) -> bool {
        self.lock().assignment.holds(partition, epoch)
    }

    // --- for the session ---

    pub(super) fn claim(&self, partitions: impl IntoIterator<Item = u32>) -> Option<Claims> {
        self.lock().assignment.claim(partitions)
    }

    pub(super) fn holds_all(&self, claims: &Claims) -> bool {
        self.lock().assignment.holds_all(claims)
    }

    pub(super) fn any_served(&self) -> Option<u32> {
        self.lock().assignment.any_served()
    }

    // --- for the driver ---

    pub(super) fn is_told(&self, partition: u32) -> bool {
        self.lock().assignment.is_told(partition)
    }

    /// Waits up to `wait` for the next thing.
    pub(super) async fn poll(
        &self,
        wait: Duration,
        max_bytes: usize,
    ) -> Result<Polled, EngineError> {
        let deadline = tokio::time::Instant::now() + wait.min(LONGEST_WAIT);
        loop {
            if let Some(polled) = self.take(max_bytes)? {
                return Ok(polled);
            }
            // A permit is kept when news come between the look and the wait.
            if tokio::time::timeout_at(deadline, self.news.notified()).await.is_err() {
                // What came at the last moment is told by this poll.
                return Ok(self.take(max_bytes)?.unwrap_or(Polled::Nothing));
            }
        }
    }

    /// The next thing, if there is one.
    fn take(&self, max_bytes: usize) -> Result<Option<Polled>, EngineError> {
        let mut inner = self.lock();
        if let Some(error) = inner.failure.take() {
            if matches!(error, EngineError::Fatal(_)) {
                inner.failure = Some(error.clone());
            }
            return Err(error);
        }
        match inner.assignment.next_change() {
            Some(Change::Revoked(partitions)) => {
                for partition in &partitions {
                    inner.paused.remove(partition);
                }
                return Ok(Some(Polled::Revoked(partitions)));
            }
            Some(Change::Assigned(partitions)) => return Ok(Some(Polled::Assigned(partitions))),
            None => {}
        }
        let records = inner.take_records(max_bytes);
        let rings = !records.is_empty() && std::mem::take(&mut inner.wants_room);
        drop(inner);
        if rings {
            self.bell.ring();
        }
        Ok((!records.is_empty()).then_some(Polled::Records(records)))
    }

    pub(super) fn pause(&self, partition: u32) {
        let mut inner = self.lock();
        if inner.assignment.is_told(partition) {
            inner.paused.insert(partition);
        }
    }

    pub(super) fn resume(&self, partition: u32) {
        if self.lock().paused.remove(&partition) {
            self.news.notify_one();
        }
    }
}

/// Longest wait of a poll; a driver waits far less.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

impl Inner {
    /// Records of about `max_bytes`, at least one, in turn from the partitions that are served and not paused.
    fn take_records(&mut self, max_bytes: usize) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        if max_bytes == 0 {
            return records;
        }
        let mut turns: Vec<u32> = Vec::new();
        for (partition, queue) in &self.queues {
            let is_open = !self.paused.contains(partition) && self.assignment.is_served(*partition);
            if is_open && !queue.batches.is_empty() {
                turns.push(*partition);
            }
        }
        if turns.is_empty() {
            return records;
        }
        let first = self.turn % turns.len();
        turns.rotate_left(first);
        self.turn = self.turn.wrapping_add(1);
        let mut left = max_bytes;
        // A batch of each in turn.
        while left > 0 && !turns.is_empty() {
            turns.retain(|partition| {
                let queue = self.queues.get_mut(partition);
                queue.is_some_and(|queue| queue.take_batch(&mut left, &mut records))
            });
        }
        records
    }
}

impl Batch {
    /// Drops what lies before the start of its topic; gives that start where there was something.
    fn begin(&mut self, starts: &[Start]) -> Option<Start> {
        let first = self.records.first()?;
        let start = starts.iter().find(|start| start.topic == first.topic)?;
        if first.offset >= start.next {
            return None;
        }
        self.records.retain(|record| record.offset >= start.next);
        self.bytes = self.records.iter().map(weight).sum();
        Some(start.clone())
    }
}

impl Queue {
    /// Drops what lies before the starts; gives one before which the consumer still is.
    fn begin(&mut self, starts: &[Start]) -> Option<Start> {
        let mut early = None;
        for batch in &mut self.batches {
            early = batch.begin(starts).filter(|_| batch.records.is_empty()).or(early);
        }
        self.batches.retain(|batch| !batch.records.is_empty());
        self.bytes = self.batches.iter().map(|batch| batch.bytes).sum();
        let has_passed = |early: &Start| {
            let mut records = self.batches.iter().filter_map(|batch| batch.records.first());
            records.any(|record| record.topic == early.topic)
        };
        early.filter(|early| !has_passed(early))
    }

    /// Moves a batch, or what of it is within `left`, or one record where there is none yet. True if more is there.
    fn take_batch(&mut self, left: &mut usize, records: &mut Vec<Record>) -> bool {
        if *left == 0 {
            return false;
        }
        let Some(mut batch) = self.batches.pop_front() else { return false };
        let mut bytes = batch.bytes;
        if batch.bytes > *left {
            let mut taken = 0;
            bytes = 0;
            for record in &batch.records {
                let weight = weight(record);
                let is_first = taken == 0 && records.is_empty();
                if bytes + weight > *left && !is_first {
                    break;
                }
                taken += 1;
                bytes += weight;
            }
            if taken == 0 {
                // One record larger than what is left: it is the first of a later poll.
                self.batches.push_front(batch);
                return false;
            }
            let rest = batch.records.split_off(taken);
            if !rest.is_empty() {
                let rest = Batch { records: rest, bytes: batch.bytes.saturating_sub(bytes) };
                self.batches.push_front(rest);
            }
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        *left = left.saturating_sub(bytes);
        if records.is_empty() {
            *records = batch.records;
        } else {
            records.append(&mut batch.records);
        }
        !self.batches.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::record::Headers;

    fn batch(offsets: std::ops::Range<u64>) -> Batch {
        let record = |offset| Record {
            topic: "in".into(),
            partition: 0,
            offset,
            timestamp_ms: 0,
            key: None,
            value: None,
            headers: Headers::default(),
        };
        let records: Vec<Record> = offsets.map(record).collect();
        Batch { bytes: records.iter().map(weight).sum(), records }
    }

    fn at(next: u64) -> Vec<Start> {
        vec![Start { topic: "in".into(), next }]
    }

    async fn brought(inbox: &Inbox) -> Vec<u64> {
        loop {
            match inbox.poll(Duration::ZERO, usize::MAX).await.unwrap() {
                Polled::Records(records) => return records.iter().map(|r| r.offset).collect(),
                Polled::Nothing => return Vec::new(),
                Polled::Assigned(_) | Polled::Revoked(_) => {}
            }
        }
    }

    #[tokio::test]
    async fn what_was_committed_before_the_assignment_is_not_brought_again() {
        let inbox = Inbox::new(1 << 20);
        let epoch = inbox.assign(&[0]);
        // Fetched before the committed offset was known.
        inbox.push(0, epoch, batch(0..3));
        inbox.push(0, epoch, batch(3..7));
        inbox.ready(0, epoch, at(5));
        assert!(inbox.take_seeks().is_empty(), "it has come past the start already");
        inbox.push(0, epoch, batch(7..9));
        assert_eq!(brought(&inbox).await, [5, 6, 7, 8]);
    }

    #[tokio::test]
    async fn a_consumer_that_began_too_early_is_told_where_to_go_on() {
        let inbox = Inbox::new(1 << 20);
        let epoch = inbox.assign(&[0]);
        inbox.push(0, epoch, batch(0..3));
        inbox.ready(0, epoch, at(500));
        assert_eq!(inbox.take_seeks(), BTreeMap::from([(0, at(500).remove(0))]));
        assert!(brought(&inbox).await.is_empty());
        // It could not go there yet, and is told again.
        inbox.push(0, epoch, batch(3..6));
        assert_eq!(inbox.take_seeks().len(), 1);
        inbox.push(0, epoch, batch(500..502));
        assert!(inbox.take_seeks().is_empty());
        assert_eq!(brought(&inbox).await, [500, 501]);
        assert!(inbox.room(0) > 0);
    }

    #[tokio::test]
    async fn a_later_assignment_has_a_start_of_its_own() {
        let inbox = Inbox::new(1 << 20);
        let epoch = inbox.assign(&[0]);
        inbox.ready(0, epoch, at(500));
        inbox.push(0, epoch, batch(0..3));
        inbox.revoke(&[0]);
        assert!(inbox.take_seeks().is_empty());
        let again = inbox.assign(&[0]);
        inbox.ready(0, again, at(0));
        inbox.push(0, again, batch(0..2));
        assert_eq!(brought(&inbox).await, [0, 1]);
    }
}
