//! The loop of one session: polls, starts units, pauses and resumes.

mod commits;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hephaestus_schemas::StateEntry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::commits::Commits;
use super::{
    StageConfig, StageDeps, StageError,
    cache::Keyed,
    output::OutputHeaders,
    partition::PartitionWork,
    unit::{Ending, UnitDone, Workbench},
};
use crate::{
    clock,
    engine::{CommitError, EngineError, GroupSpec, Member, Polled},
    health::LoopHealth,
    stage::{Failure, Stage, StageSpec, decode_value},
    telemetry::{events, metrics::StageMetrics},
};

/// Longest wait in one turn of the loop: how often it shows that it is alive.
const BEAT: Duration = Duration::from_millis(500);
/// Pause before timers fire after a stall.
const TIMER_GRACE_MS: i64 = 1_000;
/// Time without a poll after which a loop counts as stalled.
const STALL: Duration = Duration::from_millis(700);
/// Entries of the changelog read at once when timers are restored; each may be as large as a value.
const RESTORE_PAGE: usize = 50;
/// Least time for the commit that ends a drain.
const LAST_COMMIT: Duration = Duration::from_secs(2);
/// Least bytes of a partition's share of the budget: below, one large record would pause it.
const LEAST_SHARE: usize = 64 << 10;

/// One session of a stage.
pub(crate) struct Driver<S: Stage> {
    spec: StageSpec,
    config: StageConfig,
    bench: Arc<Workbench<S>>,
    member: Box<dyn Member>,
    partitions: HashMap<u32, PartitionWork<S::State>>,
    running: JoinSet<UnitDone<S::State>>,
    metrics: StageMetrics,
    health: LoopHealth,
    shutdown: CancellationToken,
    next_epoch: u64,
    commits: Commits,
    /// When the last poll ended.
    last_poll: Instant,
    /// When a poll brought records last.
    last_records: Instant,
    /// Which partition comes first when units are started.
    turn: usize,
}

enum Event<St> {
    Shutdown,
    Done(Box<UnitDone<St>>),
    Committed(Result<(), CommitError>),
    Polled(Result<Polled, EngineError>),
}

impl<S: Stage> Driver<S> {
    /// Joins the group of the stage.
    pub(crate) async fn join(
        stage: Arc<S>,
        deps: &StageDeps,
        config: StageConfig,
        health: LoopHealth,
        shutdown: CancellationToken,
    ) -> Result<Self, StageError> {
        let spec = stage.spec();
        let state_topic = super::unit::state_topic(spec.name);
        let group = GroupSpec {
            group: spec.name.into(),
            topics: spec.reads.iter().map(|topic| Arc::from(*topic)).collect(),
            state_topic: spec.stateful.then(|| state_topic.clone()),
        };
        let member = deps.engine.join(group).await;
        let member = member.map_err(|error| StageError::Engine { stage: spec.name, error })?;
        let metrics = deps.metrics.stage(spec.name);
        let bench = Workbench {
            stage,
            name: spec.name,
            stateful: spec.stateful,
            headers: OutputHeaders::new(spec.name, spec.version, &spec.writes),
            codec: deps.codec.clone(),
            states: member.state(),
            metrics: metrics.clone(),
            state_topic,
            dead_letter_topic: hephaestus_schemas::topics::dead_letter_topic(spec.name).into(),
        };
        Ok(Self {
            spec,
            config,
            bench: Arc::new(bench),
            member,
            partitions: HashMap::new(),
            running: JoinSet::new(),
            metrics,
            health,
            shutdown,
            next_epoch: 0,
            commits: Commits::default(),
            last_poll: Instant::now(),
            last_records: Instant::now(),
            turn: 0,
        })
    }

    /// Runs until shutdown, then drains.
    pub(crate) async fn run(mut self) -> Result<(), StageError> {
        loop {
            let now = Instant::now();
            // Who waits for a commit that never ends has not come round, whatever else it does.
            if self.commits.is_prompt(now) {
                self.health.beat();
            }
            self.fire_timers();
            self.start_units(now);
            self.commit_if_due(now);
            self.balance();

            let wait = self.wait(Instant::now());
            let budget = self.poll_budget();
            let event = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => Event::Shutdown,
                Some(done) = self.running.join_next(), if !self.running.is_empty() => {
                    Event::Done(Box::new(self.joined(done)?))
                }
                outcome = self.commits.outcome() => Event::Committed(outcome),
                polled = self.member.poll(wait, budget) => Event::Polled(polled),
            };
            if matches!(event, Event::Polled(_)) {
                self.last_poll = Instant::now();
                self.commits.note_polled();
            }
            match event {
                Event::Shutdown => return self.drain().await,
                Event::Done(done) => {
                    self.finish(*done)?;
                    while let Some(done) = self.running.try_join_next() {
                        let done = self.joined(done)?;
                        self.finish(done)?;
                    }
                }
                Event::Committed(outcome) => drop(self.end_commit(outcome)?),
                Event::Polled(Ok(polled)) => {
                    self.health.ready();
                    self.take(polled).await?;
                }
                Event::Polled(Err(EngineError::Unavailable(message))) => {
                    tracing::warn!(stage = self.spec.name, message, "engine is unavailable");
                    tokio::time::sleep(self.config.retry.initial()).await;
                }
                Event::Polled(Err(error)) => {
                    return Err(StageError::Engine { stage: self.spec.name, error });
                }
            }
        }
    }

    fn fatal(&self, message: impl Into<String>) -> StageError {
        StageError::Fatal { stage: self.spec.name, message: message.into() }
    }

    fn joined(
        &self,
        done: Result<UnitDone<S::State>, tokio::task::JoinError>,
    ) -> Result<UnitDone<S::State>, StageError> {
        done.map_err(|error| self.fatal(format!("a unit of work was lost: {error}")))
    }

    fn fire_timers(&mut self) {
        let now_ms = clock::now_ms();
        // After a stall what a timer waits for may lie unread: it gets time to come in.
        let stalled = self.last_poll.elapsed() > STALL;
        for work in self.partitions.values_mut() {
            if stalled {
                let not_before_ms = now_ms + TIMER_GRACE_MS;
                work.timers_not_before_ms = work.timers_not_before_ms.max(not_before_ms);
            }
            work.fire_timers(now_ms);
        }
    }

    /// Starts units while there is room, one of each partition in turn.
    fn start_units(&mut self, now: Instant) {
        let share = self.share();
        let mut turns: Vec<u32> = self.partitions.keys().copied().collect();
        turns.sort_unstable();
        if !turns.is_empty() {
            self.turn = (self.turn + 1) % turns.len();
            turns.rotate_left(self.turn);
        }
        while !turns.is_empty() {
            turns.retain(|partition| {
                if self.running.len() >= self.spec.concurrency.max(1) {
                    return false;
                }
                let work = self.partitions.get_mut(partition);
                // Beyond its share a partition does only what lets go of something.
                let unit = work.and_then(|work| {
                    let head_only = work.bytes() >= share;
                    work.next_unit(self.spec.max_run, head_only, now)
                });
                let Some(unit) = unit else { return false };
                let bench = self.bench.clone();
                self.running.spawn(async move { bench.run(unit).await });
                true
            });
        }
    }

    fn finish(&mut self, done: UnitDone<S::State>) -> Result<(), StageError> {
        if let Ending::Fatal { message } = &done.ending {
            return Err(self.fatal(message.clone()));
        }
        let current = self.partitions.get_mut(&done.partition);
        let Some(work) = current.filter(|work| work.epoch == done.epoch) else { return Ok(()) };
        let retried = match &done.ending {
            Ending::Retry { class, message, .. } => Some((*class, message.clone())),
            Ending::Whole | Ending::Fatal { .. } => None,
        };
        let partition = done.partition;
        let now = Instant::now();
        let delay = work.finish(done, &self.config.retry, now);
        if let (Some((class, message)), Some(delay)) = (retried, delay) {
            events::RecordRetried { partition, class, message: &message, delay }
                .emit(&self.metrics);
        }
        self.commits.note_finished(now, self.config.commit_interval);
        Ok(())
    }

    async fn take(&mut self, polled: Polled) -> Result<(), StageError> {
        match polled {
            Polled::Nothing => {}
            Polled::Records(records) => {
                self.metrics.polled(records.len());
                self.last_records = Instant::now();
                let now_ms = clock::now_ms();
                for record in records {
                    if let Some(work) = self.partitions.get_mut(&record.partition) {
                        work.push_record(record, now_ms);
                    }
                }
            }
            Polled::Assigned(partitions) => {
                events::PartitionsAssigned { partitions: &partitions }.emit(&self.metrics);
                for partition in partitions {
                    let work = self.restore(partition).await?;
                    self.partitions.insert(partition, work);
                }
            }
            Polled::Revoked(partitions) => {
                // What was not committed is another's to read again.
                events::PartitionsRevoked { partitions: &partitions }.emit(&self.metrics);
                for partition in partitions {
                    self.partitions.remove(&partition);
                }
            }
        }
        Ok(())
    }

    /// The work of a partition that was assigned, with the timers that are set in it.
    async fn restore(&mut self, partition: u32) -> Result<PartitionWork<S::State>, StageError> {
        self.next_epoch += 1;
        let mut work = PartitionWork::new(partition, self.next_epoch, clock::now_ms());
        if !self.spec.stateful {
            return Ok(work);
        }
        let bench = self.bench.clone();
        let mut after: Option<Bytes> = None;
        let mut delays = self.config.retry.delays();
        loop {
            let page = match restore_page(&bench, partition, after.as_deref(), &mut work).await {
                Ok(page) => page,
                Err(Failure::Retry { message, .. }) if !self.shutdown.is_cancelled() => {
                    let delay = delays.next(None).unwrap_or(self.config.retry.max());
                    tracing::warn!(
                        stage = self.spec.name,
                        partition,
                        message,
                        "state is not read yet"
                    );
                    tokio::time::sleep(delay).await;
                    continue;
                }
                Err(failure) => return Err(self.fatal(failure.to_string())),
            };
            self.health.beat();
            if page.is_none() {
                return Ok(work);
            }
            after = page;
        }
    }

    fn in_flight_bytes(&self) -> usize {
        self.partitions.values().map(PartitionWork::bytes).sum()
    }

    /// A partition's share of the budget.
    fn share(&self) -> usize {
        let share = self.config.max_in_flight_bytes / self.partitions.len().max(1);
        share.max(LEAST_SHARE)
    }

    fn poll_budget(&self) -> usize {
        let free = self.config.max_in_flight_bytes.saturating_sub(self.in_flight_bytes());
        free.min(self.config.poll_bytes)
    }

    /// Pauses partitions that hold more than their share, such as those whose work is being retried.
    fn balance(&mut self) {
        let share = self.share();
        let (mut bytes, mut records, mut cached) = (0, 0, 0);
        for (partition, work) in &mut self.partitions {
            bytes += work.bytes();
            records += work.window.len();
            cached += work.cache.weight();
            if !work.paused && work.bytes() >= share {
                work.paused = true;
                self.member.pause(*partition);
            } else if work.paused && work.bytes() <= share / 2 {
                work.paused = false;
                self.member.resume(*partition);
            }
        }
        self.metrics.in_flight(bytes, records, cached);
    }

    /// How long the next poll may wait.
    fn wait(&self, now: Instant) -> Duration {
        let mut wait = BEAT;
        wait = wait.min(self.commit_wait(now).unwrap_or(wait));
        let now_ms = clock::now_ms();
        let is_full = self.running.len() >= self.spec.concurrency.max(1);
        for work in self.partitions.values() {
            if let Some(at) = work.next_retry().filter(|_| !is_full) {
                wait = wait.min(at.saturating_duration_since(now));
            }
            if let Some(at_ms) = work.next_timer_ms() {
                let in_ms = u64::try_from(at_ms.saturating_sub(now_ms)).unwrap_or(0);
                wait = wait.min(Duration::from_millis(in_ms));
            }
        }
        wait
    }

    /// Lets what runs come to its end, commits it, and leaves the group.
    async fn drain(mut self) -> Result<(), StageError> {
        let started = Instant::now();
        let deadline = tokio::time::Instant::from_std(started + self.config.drain_deadline);
        loop {
            self.health.beat();
            let joined = tokio::time::timeout_at(deadline, self.running.join_next()).await;
            let Ok(Some(done)) = joined else { break };
            let done = self.joined(done)?;
            self.finish(done)?;
        }
        let abandoned = self.running.len();
        self.running.abort_all();
        // What a commit that is cut off would have written is read again, or is whole on disk.
        let deadline = deadline.max(tokio::time::Instant::now() + LAST_COMMIT);
        let Ok(committed) = tokio::time::timeout_at(deadline, self.commit_all()).await else {
            let message = "the last commit did not come through before the deadline".to_owned();
            return Err(self.fatal(message));
        };
        committed?;
        events::Drained { took: started.elapsed(), abandoned }.emit(&self.metrics);
        let left = self.member.leave().await;
        self.health.finish();
        left.map_err(|error| StageError::Engine { stage: self.spec.name, error })
    }
}

/// Takes in the timers of one page of the changelog; gives its last key, nothing at the end.
async fn restore_page<S: Stage>(
    bench: &Workbench<S>,
    partition: u32,
    after: Option<&[u8]>,
    work: &mut PartitionWork<S::State>,
) -> Result<Option<Bytes>, Failure> {
    let page = bench.states.scan(partition, after, RESTORE_PAGE).await;
    let page = page.map_err(|error| match error {
        EngineError::Unavailable(message) => Failure::retry("state", message),
        error => Failure::Fatal { message: error.to_string() },
    })?;
    for (key, value) in &page {
        let entry: StateEntry = decode_value(value, &bench.codec).await?;
        if !entry.timers.is_empty() {
            let keyed = Keyed::<S::State>::restore(entry);
            let keyed = keyed.map_err(|error| Failure::Fatal {
                message: format!("state in partition {partition} cannot be read: {error}"),
            })?;
            work.timers.replace(key, &keyed.timers);
        }
    }
    Ok(page.last().map(|(key, _)| key.clone()))
}
