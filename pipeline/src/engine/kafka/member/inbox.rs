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
            inner.paused.remove(partition);
        }
        drop(inner);
        self.news.notify_one();
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
    pub(super) fn push(&self, partition: u32, epoch: Epoch, batch: Batch) {
        let mut inner = self.lock();
        if !inner.assignment.holds(partition, epoch) {
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

    pub(super) fn ready(&self, partition: u32, epoch: Epoch) {
        let is_had = self.lock().assignment.ready(partition, epoch);
        if is_had {
            self.news.notify_one();
        }
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

impl Queue {
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
