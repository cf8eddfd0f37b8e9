//! The work of one assigned partition: queues by key, what is in flight, state and timers.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use foldhash::quality::RandomState;

use super::{
    cache::StateCache,
    timers::Timers,
    unit::{Ending, Unit, UnitDone, Work},
    window::{Prefix, Seq, Window},
};
use crate::{
    record::{NewRecord, Record},
    retry::{Delays, RetryPolicy},
    stage::{State, Timer},
};

/// Pause in the input of a partition that changed hands before it fires the timers of its predecessor: the records
/// that they wait for may be unread. The first fetch from a busy broker takes its time.
const TAKEOVER_GRACE_MS: i64 = 2_000;
/// Longest time that timers wait for a backlog of records that were written before.
const LONGEST_CATCH_UP_MS: i64 = 60_000;

/// What a finished unit leads to, until it is committed.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) key: Bytes,
    pub(crate) records: Arc<Vec<NewRecord>>,
    /// The changelog's entry.
    pub(crate) entry: Option<NewRecord>,
    bytes: usize,
    has_state: bool,
}

#[derive(Default)]
struct Queue {
    work: VecDeque<(Seq, Work)>,
    attempts: u32,
    delays: Option<Delays>,
}

/// One assigned partition.
pub(crate) struct PartitionWork<S> {
    partition: u32,
    /// Distinguishes assignments of the same partition, so that late results are dropped.
    pub(crate) epoch: u64,
    pub(crate) window: Window<Finished>,
    pub(crate) cache: StateCache<S>,
    pub(crate) timers: Timers,
    /// Timers fire no earlier: the records they wait for may be on their way.
    pub(crate) timers_not_before_ms: i64,
    /// When it was assigned, while what its predecessor left unread still comes in.
    catching_up_since_ms: Option<i64>,
    queues: HashMap<Bytes, Queue, RandomState>,
    ready: VecDeque<Bytes>,
    waiting: BTreeSet<(Instant, Bytes)>,
    bytes: usize,
    pub(crate) paused: bool,
}

impl<S: State> PartitionWork<S> {
    pub(crate) fn new(partition: u32, epoch: u64, now_ms: i64) -> Self {
        Self {
            partition,
            epoch,
            window: Window::default(),
            cache: StateCache::default(),
            timers: Timers::default(),
            timers_not_before_ms: now_ms + TAKEOVER_GRACE_MS,
            catching_up_since_ms: Some(now_ms),
            queues: HashMap::default(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            bytes: 0,
            paused: false,
        }
    }

    /// Bytes in flight: inputs and what was made of them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes in a record.
    pub(crate) fn push_record(&mut self, record: Record, now_ms: i64) {
        self.note_progress(record.timestamp_ms, now_ms);
        let key = record.key.clone().unwrap_or_default();
        self.bytes += record.size();
        let seq = self.window.push(Some((&record.topic, record.offset)));
        self.enqueue(&key, seq, Work::Record(record));
    }

    /// Holds timers back for as long as records come in that were written before the partition was assigned.
    fn note_progress(&mut self, written_ms: i64, now_ms: i64) {
        let Some(since_ms) = self.catching_up_since_ms else { return };
        if written_ms >= since_ms || now_ms > since_ms + LONGEST_CATCH_UP_MS {
            self.catching_up_since_ms = None;
            return;
        }
        self.timers_not_before_ms = self.timers_not_before_ms.max(now_ms + TAKEOVER_GRACE_MS);
    }

    /// Queues the timers that are due.
    pub(crate) fn fire_timers(&mut self, now_ms: i64) {
        if self.paused || now_ms < self.timers_not_before_ms {
            return;
        }
        self.catching_up_since_ms = None;
        while let Some((at_ms, key, name)) = self.timers.pop_due(now_ms) {
            let timer = Timer { partition: self.partition, key: key.clone(), name, at_ms };
            let work = Work::Timer(timer);
            self.bytes += work.size();
            let seq = self.window.push(None);
            self.enqueue(&key, seq, work);
        }
    }

    /// When the next timer is due, in milliseconds since 1970 UTC.
    pub(crate) fn next_timer_ms(&self) -> Option<i64> {
        if self.paused {
            return None;
        }
        self.timers.next().map(|at_ms| at_ms.max(self.timers_not_before_ms))
    }

    /// When the next key ends its back-off.
    pub(crate) fn next_retry(&self) -> Option<Instant> {
        self.waiting.first().map(|(at, _)| *at)
    }

    fn enqueue(&mut self, key: &Bytes, seq: Seq, work: Work) {
        // A queue lives while it has work, waiting or running.
        if let Some(queue) = self.queues.get_mut(key) {
            queue.work.push_back((seq, work));
            return;
        }
        // A copy: what outlives the work (state, timers) must not hold the buffer that the record came in.
        let key = Bytes::copy_from_slice(key);
        let work = VecDeque::from([(seq, work)]);
        self.queues.insert(key.clone(), Queue { work, ..Queue::default() });
        self.ready.push_back(key);
    }

    /// The next unit that may run, of at most `max_run` pieces of work; with `head_only` the one alone
    /// that everything in flight waits for.
    pub(crate) fn next_unit(
        &mut self,
        max_run: usize,
        head_only: bool,
        now: Instant,
    ) -> Option<Unit<S>> {
        while let Some((at, _)) = self.waiting.first()
            && *at <= now
        {
            if let Some((_, key)) = self.waiting.pop_first() {
                self.ready.push_back(key);
            }
        }
        let place = if head_only { self.head()? } else { 0 };
        let key = self.ready.remove(place)?;
        let keyed = self.cache.get(&key);
        let queue = self.queues.get_mut(&key)?;
        let length = queue.work.len().min(max_run.max(1));
        Some(Unit {
            partition: self.partition,
            epoch: self.epoch,
            work: queue.work.drain(..length).collect(),
            attempts: queue.attempts,
            key,
            keyed,
        })
    }

    /// Place among the ready keys of the one whose work the window begins with.
    fn head(&self) -> Option<usize> {
        let first = self.window.first_undone()?;
        self.ready.iter().position(|key| {
            let queue = self.queues.get(key);
            queue.and_then(|queue| queue.work.front()).is_some_and(|(seq, _)| *seq == first)
        })
    }

    /// Takes in what a unit led to. A back-off that begins is given back, with its length.
    pub(crate) fn finish(
        &mut self,
        done: UnitDone<S>,
        retry: &RetryPolicy,
        now: Instant,
    ) -> Option<std::time::Duration> {
        let written = done.records.iter().chain(&done.entry);
        let made: usize = written.map(NewRecord::size).sum();
        self.bytes += made;
        if !done.done.is_empty() {
            let has_state = done.keyed.is_some();
            if let Some(keyed) = done.keyed {
                self.timers.replace(&done.key, &keyed.timers);
                self.cache.put(done.key.clone(), keyed);
            }
            let finished = Finished {
                key: done.key.clone(),
                records: Arc::new(done.records),
                entry: done.entry,
                bytes: made + done.done_bytes,
                has_state,
            };
            self.window.finish(&done.done, finished);
        }

        let queue = self.queues.entry(done.key.clone()).or_default();
        if !done.done.is_empty() {
            queue.attempts = 0;
            queue.delays = None;
        }
        for work in done.rest.into_iter().rev() {
            queue.work.push_front(work);
        }
        if let Ending::Retry { after, .. } = done.ending {
            queue.attempts = queue.attempts.saturating_add(1);
            let delays = queue.delays.get_or_insert_with(|| retry.delays());
            let delay = delays.next(after).unwrap_or(retry.max());
            self.waiting.insert((now + delay, done.key));
            return Some(delay);
        }
        if queue.work.is_empty() {
            self.queues.remove(&done.key);
        } else {
            self.ready.push_back(done.key);
        }
        None
    }

    /// Lets go of a prefix that was committed.
    pub(crate) fn release(&mut self, prefix: &Prefix) {
        for finished in self.window.release(prefix) {
            self.bytes = self.bytes.saturating_sub(finished.bytes);
            if finished.has_state {
                self.cache.committed(&finished.key);
            }
        }
    }

    /// Whether a unit could run now.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::record::Headers;

    const ASSIGNED_MS: i64 = 100_000;

    fn record(offset: u64, timestamp_ms: i64) -> Record {
        Record {
            topic: "t".into(),
            partition: 0,
            offset,
            timestamp_ms,
            key: Some(Bytes::from_static(b"source")),
            value: None,
            headers: Headers::default(),
        }
    }

    /// A partition with a timer that was due before it was assigned.
    fn taken_over() -> PartitionWork<()> {
        let mut work = PartitionWork::new(0, 1, ASSIGNED_MS);
        let due = [("flush".to_owned(), ASSIGNED_MS - 1)].into();
        work.timers.replace(&Bytes::from_static(b"source"), &due);
        work
    }

    fn has_fired(work: &PartitionWork<()>) -> bool {
        work.timers.next().is_none()
    }

    #[test]
    fn a_predecessors_timer_waits_until_its_backlog_is_read() {
        let mut work = taken_over();
        let mut now_ms = ASSIGNED_MS;
        for offset in 0..5 {
            now_ms += TAKEOVER_GRACE_MS - 1;
            work.fire_timers(now_ms);
            assert!(!has_fired(&work), "fired in the middle of the backlog");
            work.push_record(record(offset, ASSIGNED_MS - 500), now_ms);
        }
        work.fire_timers(now_ms + TAKEOVER_GRACE_MS);
        assert!(has_fired(&work));
    }

    #[test]
    fn fresh_records_hold_no_timer_back() {
        let mut work = taken_over();
        for step in 1..=TAKEOVER_GRACE_MS {
            work.push_record(
                record(u64::try_from(step).unwrap(), ASSIGNED_MS + step),
                ASSIGNED_MS + step,
            );
        }
        work.fire_timers(ASSIGNED_MS + TAKEOVER_GRACE_MS);
        assert!(has_fired(&work));
    }

    #[test]
    fn what_outlives_a_record_does_not_hold_its_buffer() {
        let buffer = Bytes::from(vec![b'x'; 1 << 16]);
        let mut work: PartitionWork<()> = PartitionWork::new(0, 1, ASSIGNED_MS);
        let key = Some(buffer.slice(..6));
        work.push_record(Record { key, ..record(0, ASSIGNED_MS) }, ASSIGNED_MS);
        let unit = work.next_unit(1, false, Instant::now()).unwrap();
        assert_ne!(unit.key.as_ptr(), buffer.as_ptr());
    }
}
