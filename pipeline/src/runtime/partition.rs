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
    /// Timers that a predecessor left fire no earlier: the lines they wait for may be on their way.
    pub(crate) timers_not_before_ms: i64,
    queues: HashMap<Bytes, Queue, RandomState>,
    ready: VecDeque<Bytes>,
    waiting: BTreeSet<(Instant, Bytes)>,
    bytes: usize,
    pub(crate) paused: bool,
}

impl<S: State> PartitionWork<S> {
    pub(crate) fn new(partition: u32, epoch: u64, timers_not_before_ms: i64) -> Self {
        Self {
            partition,
            epoch,
            window: Window::default(),
            cache: StateCache::default(),
            timers: Timers::default(),
            timers_not_before_ms,
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
    pub(crate) fn push_record(&mut self, record: Record) {
        let key = record.key.clone().unwrap_or_default();
        self.bytes += record.size();
        let seq = self.window.push(Some((&record.topic, record.offset)));
        self.enqueue(&key, seq, Work::Record(record));
    }

    /// Queues the timers that are due.
    pub(crate) fn fire_timers(&mut self, now_ms: i64) {
        if self.paused || now_ms < self.timers_not_before_ms {
            return;
        }
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
