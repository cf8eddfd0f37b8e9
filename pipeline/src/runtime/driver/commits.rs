//! A session's commits: what is done is committed while further work goes on, one commit after the other.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::Driver;
use crate::{
    engine::{Commit, CommitError, Committing, EngineError, TopicPartition},
    record::NewRecord,
    retry::Delays,
    runtime::{StageError, partition::PartitionWork, window::Prefix},
    stage::Stage,
    telemetry::events,
};

/// Part of the commit interval without input after which a session has caught up and commits what it has: committing
/// whatever a poll happens to bring makes many small commits of a busy input.
const LULL: u32 = 10;
/// Part of the budget of bytes after which what is done is committed, so that there is room for more meanwhile.
const FULL: usize = 2;

/// How long a commit takes where nothing is wrong, far more than it should.
const PROMPT: Duration = Duration::from_secs(1);

/// When commits are due, and the one that is under way.
#[derive(Default)]
pub(super) struct Commits {
    /// When finished work is to be committed at the latest.
    due: Option<Instant>,
    /// Not before: the engine was unavailable.
    not_before: Option<Instant>,
    /// Not before a poll has told what was lost: until then the same commit would be refused again.
    is_fenced: bool,
    delays: Option<Delays>,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    prefixes: Vec<PartitionPrefix>,
    inputs: usize,
    outputs: usize,
    started: Instant,
    outcome: Committing,
}

/// What a commit covers of one assignment of a partition.
struct PartitionPrefix {
    partition: u32,
    epoch: u64,
    prefix: Prefix,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Committed,
    /// Partitions moved; what is kept is committed later.
    Fenced,
    /// The engine is unavailable.
    Later,
}

impl Commits {
    /// Notes that there is finished work, to be committed after `interval` at the latest.
    pub(super) fn note_finished(&mut self, now: Instant, interval: Duration) {
        if self.due.is_none() {
            self.due = Some(now + interval);
        }
    }

    /// Notes that a poll has ended, which tells first of what was lost.
    pub(super) fn note_polled(&mut self) {
        self.is_fenced = false;
    }

    /// Whether no commit takes its time.
    pub(super) fn is_prompt(&self, now: Instant) -> bool {
        let started = self.under_way.as_ref().map(|commit| commit.started);
        started.is_none_or(|started| now.saturating_duration_since(started) < PROMPT)
    }

    /// Waits for the commit under way; for ever where there is none.
    pub(super) async fn outcome(&mut self) -> Result<(), CommitError> {
        match &mut self.under_way {
            Some(commit) => (&mut commit.outcome).await,
            None => std::future::pending().await,
        }
    }
}

impl<S: Stage> Driver<S> {
    /// Begins a commit where one is due.
    pub(super) fn commit_if_due(&mut self, now: Instant) {
        if self.commit_is_due(now) {
            self.begin_commit();
        }
    }

    fn commit_is_due(&self, now: Instant) -> bool {
        let Some(due) = self.commits.due else { return false };
        let is_early = self.commits.not_before.is_some_and(|at| now < at);
        if self.commits.under_way.is_some() || self.commits.is_fenced || is_early {
            return false;
        }
        let has_caught_up = self.is_idle() && now >= self.lull_ends();
        let is_full = self.in_flight_bytes() >= self.config.max_in_flight_bytes / FULL;
        has_caught_up || now >= due || is_full
    }

    /// How long it is until a commit is due as things are; nothing where none will be.
    pub(super) fn commit_wait(&self, now: Instant) -> Option<Duration> {
        let due = self.commits.due.filter(|_| self.commits.under_way.is_none())?;
        let due = if self.is_idle() { due.min(self.lull_ends()) } else { due };
        let due = due.max(self.commits.not_before.unwrap_or(due));
        Some(due.saturating_duration_since(now))
    }

    /// Whether there is nothing to do with what was polled.
    fn is_idle(&self) -> bool {
        self.running.is_empty() && !self.partitions.values().any(PartitionWork::has_ready)
    }

    /// When no further record has come for so long that none is about to.
    fn lull_ends(&self) -> Instant {
        self.last_records + self.config.commit_interval / LULL
    }

    /// Begins to commit the prefixes that are done. False where there are none.
    fn begin_commit(&mut self) -> bool {
        self.commits.due = None;
        self.commits.not_before = None;
        let mut prefixes = Vec::new();
        for (partition, work) in &self.partitions {
            let (partition, epoch) = (*partition, work.epoch);
            let ready = work.window.ready();
            prefixes.extend(ready.map(|prefix| PartitionPrefix { partition, epoch, prefix }));
        }
        if prefixes.is_empty() {
            return false;
        }
        let commit = self.assemble(&prefixes);
        self.commits.under_way = Some(UnderWay {
            inputs: prefixes.iter().map(|covered| covered.prefix.length).sum(),
            outputs: commit.records.len(),
            prefixes,
            started: Instant::now(),
            outcome: self.member.commit(commit),
        });
        true
    }

    /// What the prefixes lead to. Of the entries of one state, the last alone is written.
    fn assemble(&self, prefixes: &[PartitionPrefix]) -> Commit {
        let mut commit = Commit::default();
        let mut entries: Vec<NewRecord> = Vec::new();
        for PartitionPrefix { partition, prefix, .. } in prefixes {
            let Some(work) = self.partitions.get(partition) else { continue };
            let mut places: HashMap<&Bytes, usize> = HashMap::new();
            for finished in prefix.units.iter().filter_map(|unit| work.window.result(*unit)) {
                commit.records.push_run(finished.records.clone());
                let Some(entry) = &finished.entry else { continue };
                let place = *places.entry(&finished.key).or_insert(entries.len());
                match entries.get_mut(place) {
                    Some(earlier) => *earlier = entry.clone(),
                    None => entries.push(entry.clone()),
                }
            }
            for (topic, next) in &prefix.offsets {
                let input = TopicPartition { topic: topic.clone(), partition: *partition };
                commit.offsets.push((input, *next));
            }
        }
        commit.records.extend(entries);
        commit
    }

    /// Takes in what became of the commit under way.
    pub(super) fn end_commit(
        &mut self,
        outcome: Result<(), CommitError>,
    ) -> Result<Ended, StageError> {
        let Some(commit) = self.commits.under_way.take() else { return Ok(Ended::Committed) };
        let now = Instant::now();
        match outcome {
            Ok(()) => {
                let UnderWay { inputs, outputs, started, .. } = commit;
                events::Committed { inputs, outputs, took: started.elapsed() }.emit(&self.metrics);
                self.commits.delays = None;
                self.release(&commit.prefixes);
                Ok(Ended::Committed)
            }
            Err(CommitError::Fenced) => {
                // The next polls say what was lost; the rest is committed without it.
                events::CommitFenced.emit(&self.metrics);
                self.commits.note_finished(now, self.config.commit_interval);
                self.commits.is_fenced = true;
                Ok(Ended::Fenced)
            }
            Err(CommitError::Engine(EngineError::Unavailable(message))) => {
                let retry = &self.config.retry;
                let delays = self.commits.delays.get_or_insert_with(|| retry.delays());
                let delay = delays.next(None).unwrap_or(retry.max());
                events::CommitFailed { message: &message, delay }.emit(&self.metrics);
                self.commits.note_finished(now, delay);
                self.commits.not_before = Some(now + delay);
                Ok(Ended::Later)
            }
            Err(CommitError::Engine(error)) => {
                Err(StageError::Engine { stage: self.spec.name, error })
            }
        }
    }

    /// Lets go of what was committed.
    fn release(&mut self, prefixes: &[PartitionPrefix]) {
        let cache_share = self.config.state_cache_bytes / self.partitions.len().max(1);
        for PartitionPrefix { partition, epoch, prefix } in prefixes {
            let work = self.partitions.get_mut(partition);
            // What was lost and won again since then is read anew, from behind the commit.
            if let Some(work) = work.filter(|work| work.epoch == *epoch) {
                work.release(prefix);
                work.cache.evict(cache_share);
            }
        }
    }

    /// Commits everything that is done, for as long as that takes.
    pub(super) async fn commit_all(&mut self) -> Result<(), StageError> {
        loop {
            if self.commits.under_way.is_none() && !self.begin_commit() {
                return Ok(());
            }
            let outcome = self.commits.outcome().await;
            match self.end_commit(outcome)? {
                Ended::Committed => {}
                Ended::Fenced => return Ok(()),
                Ended::Later => {
                    self.health.beat();
                    let until = self.commits.not_before.unwrap_or_else(Instant::now);
                    tokio::time::sleep_until(until.into()).await;
                }
            }
        }
    }
}
