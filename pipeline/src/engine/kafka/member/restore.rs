//! Brings the local copy of a partition's state up to its changelog before the partition is served.
//!
//! The inputs' committed offsets come first: they wait for open transactions. Then the changelog's end is noted, whoever
//! wrote it, and everything committed below it is read. A partition that is lost meanwhile is dropped. Without a
//! changelog, the offsets alone are waited for.

mod offsets;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult},
    message::Message,
    topic_partition_list::{Offset, TopicPartitionList},
};

use super::{
    assignment::Epoch,
    inbox::{Inbox, Start, weight_of_entry},
    mailbox::{Mail, Mailbox},
    restorer::{Job, Restorer, jobs},
    store::{Checkpoint, Entry, Store},
};
use crate::engine::{
    EngineError,
    kafka::{
        clients::Clients,
        context::EngineContext,
        error::{Trouble, classify},
        message::signed,
    },
};

/// Partitions whose changelogs are read at the same time, by one member.
const MAX_READING: usize = 8;
/// How long one question to the brokers may take.
const CALL: Duration = Duration::from_secs(5);
/// Pause after a question that was not answered.
const RETRY: Duration = Duration::from_millis(250);
/// Pause while a transaction in the changelog is still open.
const OPEN_RETRY: Duration = Duration::from_millis(20);
/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(2);
/// How long after the transactions' time-out the brokers have ended each that was left open, at the latest.
const CLEANING: Duration = Duration::from_secs(60);
/// How often one that they have not ended is told of.
const REMIND: Duration = Duration::from_secs(60);
/// Changes that are applied at once, in bytes, about.
const APPLY_BYTES: usize = 4 << 20;
/// Longest wait for more of a changelog.
const READ_WAIT: Duration = Duration::from_millis(100);

type Reader = BaseConsumer<EngineContext>;

/// What a partition waits for.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The inputs' committed offsets.
    Offsets,
    /// The end of the changelog.
    Mark,
    /// The end of every transaction below the mark.
    Open { mark: u64, low: u64 },
    /// A free place among those that are read.
    Place { mark: u64, next: u64 },
    /// The rest of the changelog.
    Reading { mark: u64, first: u64, next: u64, records: u64 },
}

struct Restoring {
    epoch: Epoch,
    stage: Stage,
    /// Where the inputs begin, once the committed offsets are known.
    starts: Vec<Start>,
    /// When it began, or was last told to take too long.
    since: Instant,
    not_before: Instant,
    /// Read, and not yet in the copy.
    pending: Vec<Entry>,
}

/// The thread that restores.
pub(super) struct RestoreThread {
    jobs: Arc<Mailbox<Job>>,
    is_stopped: bool,
    inbox: Arc<Inbox>,
    topics: Vec<Arc<str>>,
    changelog: Option<Changelog>,
    /// Reads what is committed, and asks for the group's offsets.
    reader: Reader,
    /// Sees what is not committed yet.
    tail: Reader,
    partitions: BTreeMap<u32, Restoring>,
    pending_bytes: usize,
    told: Instant,
    /// No transaction is open for longer, unless the brokers have forgotten it.
    longest_open: Duration,
}

/// What a restore is made of.
pub(super) struct RestoreSettings {
    pub(super) group: Arc<str>,
    pub(super) topics: Vec<Arc<str>>,
    pub(super) changelog: Option<Changelog>,
}

/// A group's state: its topic, and the local copy.
#[derive(Clone)]
pub(super) struct Changelog {
    pub(super) topic: Arc<str>,
    pub(super) store: Arc<Store>,
}

impl RestoreThread {
    /// Makes the clients, and the handle that gives work to the thread.
    pub(super) fn new(
        clients: &Clients,
        settings: RestoreSettings,
        inbox: Arc<Inbox>,
    ) -> Result<(Self, Restorer), EngineError> {
        let RestoreSettings { group, topics, changelog } = settings;
        let reader = [
            // To ask for the group's offsets; without a subscription it is no member.
            ("group.id", group.to_string()),
            ("isolation.level", "read_committed".to_owned()),
            ("enable.partition.eof", "true".to_owned()),
            // How long the end of a changelog may take to be told.
            ("fetch.wait.max.ms", "20".to_owned()),
            ("enable.auto.commit", "false".to_owned()),
            ("enable.auto.offset.store", "false".to_owned()),
            ("auto.offset.reset", "earliest".to_owned()),
            ("fetch.queue.backoff.ms", "5".to_owned()),
            ("queued.max.messages.kbytes", (APPLY_BYTES * 2 / 1024).to_string()),
        ];
        let tail = [
            ("isolation.level", "read_uncommitted".to_owned()),
            ("enable.auto.commit", "false".to_owned()),
        ];
        let make = |own: &[(&str, String)]| -> Result<Reader, EngineError> {
            clients.create(own, clients.context("restore"))
        };
        let (jobs, restorer) = jobs();
        let thread = Self {
            jobs,
            is_stopped: false,
            inbox,
            topics,
            changelog,
            reader: make(&reader)?,
            tail: make(&tail)?,
            partitions: BTreeMap::new(),
            pending_bytes: 0,
            told: Instant::now(),
            longest_open: clients.config().transaction_timeout.0 + CLEANING,
        };
        Ok((thread, restorer))
    }

    /// Runs until the handle is dropped.
    pub(super) fn run(mut self) {
        while !self.is_stopped {
            self.take_jobs();
            if let Err(error) = self.step() {
                self.inbox.fail(error);
                return;
            }
        }
        if let Some(Changelog { store, .. }) = &self.changelog
            && let Err(error) = store.settle()
        {
            tracing::warn!(%error, "local copy of the state is not settled");
        }
    }

    /// Takes new partitions, and drops those that were lost.
    fn take_jobs(&mut self) {
        let is_reading =
            self.partitions.values().any(|state| matches!(state.stage, Stage::Reading { .. }));
        let wait = if self.partitions.is_empty() {
            CALL
        } else if is_reading {
            Duration::ZERO
        } else {
            OPEN_RETRY
        };
        let mut mail = self.jobs.pop(wait);
        loop {
            match mail {
                Mail::Item(Job { partitions, epoch }) => {
                    for partition in partitions {
                        self.forget(partition);
                        let restoring = Restoring {
                            epoch,
                            stage: Stage::Offsets,
                            starts: Vec::new(),
                            since: Instant::now(),
                            not_before: Instant::now(),
                            pending: Vec::new(),
                        };
                        self.partitions.insert(partition, restoring);
                    }
                }
                Mail::Nothing => break,
                Mail::Closed => {
                    self.is_stopped = true;
                    return;
                }
            }
            mail = self.jobs.pop(Duration::ZERO);
        }
        let lost: Vec<u32> = (self.partitions.iter())
            .filter(|(partition, state)| !self.inbox.holds(**partition, state.epoch))
            .map(|(partition, _)| *partition)
            .collect();
        for partition in lost {
            self.forget(partition);
        }
    }

    /// Stops to restore a partition. What is in the copy and noted there is right, and gone on with another time.
    fn forget(&mut self, partition: u32) {
        let Some(restoring) = self.partitions.remove(&partition) else { return };
        if matches!(restoring.stage, Stage::Reading { .. }) {
            self.unassign(partition);
        }
    }

    fn step(&mut self) -> Result<(), EngineError> {
        self.ask_for_offsets()?;
        self.note_marks()?;
        if let Some(changelog) = self.changelog.clone() {
            self.ask_for_ends(&changelog)?;
            self.begin_reading(&changelog)?;
            self.read(&changelog)?;
        }
        self.tell_progress();
        Ok(())
    }

    /// Partitions in a stage whose time has come.
    fn due(&self, is_stage: impl Fn(&Stage) -> bool) -> Vec<u32> {
        let now = Instant::now();
        let due = self.partitions.iter();
        let due =
            due.filter(|(_, restoring)| is_stage(&restoring.stage) && restoring.not_before <= now);
        due.map(|(partition, _)| *partition).collect()
    }

    fn set(&mut self, partition: u32, stage: Stage, pause: Duration) {
        if let Some(restoring) = self.partitions.get_mut(&partition) {
            restoring.stage = stage;
            restoring.not_before = Instant::now() + pause;
        }
    }

    fn put_off(
        &mut self,
        partitions: &[u32],
        what: &str,
        error: &KafkaError,
    ) -> Result<(), EngineError> {
        if let Trouble::Fatal(message) = classify(error) {
            return Err(EngineError::Fatal(message));
        }
        tracing::debug!(%error, ?partitions, "{what}");
        for partition in partitions {
            if let Some(restoring) = self.partitions.get_mut(partition) {
                restoring.not_before = Instant::now() + RETRY;
            }
        }
        Ok(())
    }

    /// Waits until no transaction is open below the mark, then looks how much is to be read.
    fn ask_for_ends(&mut self, changelog: &Changelog) -> Result<(), EngineError> {
        for partition in self.due(|stage| matches!(stage, Stage::Open { .. })) {
            let Some(Restoring { stage: Stage::Open { mark, low }, .. }) =
                self.partitions.get(&partition)
            else {
                continue;
            };
            let (mark, low) = (*mark, *low);
            let stable = self.reader.fetch_watermarks(&changelog.topic, signed(partition), CALL);
            match stable {
                Ok((_, stable)) if unsigned(stable) < mark => {
                    self.set(partition, Stage::Open { mark, low }, OPEN_RETRY);
                }
                Ok(_) => {
                    let checkpoint = changelog.store.checkpoint(partition)?;
                    // One beyond the end, or before the beginning, is of another changelog or of too long ago.
                    let next = checkpoint.filter(|next| (low..=mark).contains(next));
                    if next.is_none() {
                        changelog.store.clear(partition)?;
                    }
                    let next = next.unwrap_or(low);
                    self.set(partition, Stage::Place { mark, next }, Duration::ZERO);
                }
                Err(error) => {
                    self.put_off(&[partition], "end of the changelog is not known yet", &error)?;
                }
            }
        }
        Ok(())
    }

    fn begin_reading(&mut self, changelog: &Changelog) -> Result<(), EngineError> {
        let is_reading = |stage: &Stage| matches!(stage, Stage::Reading { .. });
        let mut reading = self.partitions.values().filter(|r| is_reading(&r.stage)).count();
        for partition in self.due(|stage| matches!(stage, Stage::Place { .. })) {
            let Some(Restoring { stage: Stage::Place { mark, next }, .. }) =
                self.partitions.get(&partition)
            else {
                continue;
            };
            let (mark, next) = (*mark, *next);
            if next >= mark {
                self.finish(changelog, partition, mark)?;
                continue;
            }
            if reading >= MAX_READING {
                break;
            }
            let assigned = self.assign(changelog, partition, next);
            if let Err(error) = assigned {
                self.put_off(&[partition], "changelog is not read yet", &error)?;
                continue;
            }
            reading += 1;
            tracing::debug!(partition, records_at_most = mark - next, "restoring state");
            let stage = Stage::Reading { mark, first: next, next, records: 0 };
            self.set(partition, stage, Duration::ZERO);
        }
        Ok(())
    }

    fn assign(&self, changelog: &Changelog, partition: u32, next: u64) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        let offset = Offset::Offset(i64::try_from(next).unwrap_or(i64::MAX));
        list.add_partition_offset(&changelog.topic, signed(partition), offset)?;
        self.reader.incremental_assign(&list)
    }

    fn unassign(&self, partition: u32) {
        let Some(changelog) = &self.changelog else { return };
        let mut list = TopicPartitionList::new();
        list.add_partition(&changelog.topic, signed(partition));
        if let Err(error) = self.reader.incremental_unassign(&list) {
            tracing::debug!(%error, partition, "changelog was not being read");
        }
    }

    /// Reads for a while.
    fn read(&mut self, changelog: &Changelog) -> Result<(), EngineError> {
        if !self.partitions.values().any(|state| matches!(state.stage, Stage::Reading { .. })) {
            return Ok(());
        }
        let until = Instant::now() + READ_WAIT;
        let mut ended: Vec<u32> = Vec::new();
        while self.pending_bytes < APPLY_BYTES && ended.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match self.reader.poll(left) {
                Some(Ok(message)) => {
                    let copied = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
                    let offset = unsigned(message.offset());
                    let found = u32::try_from(message.partition()).ok();
                    let restoring = found.and_then(|found| self.partitions.get_mut(&found));
                    let Some(restoring) = restoring else { continue };
                    let Stage::Reading { next, records, .. } = &mut restoring.stage else {
                        continue;
                    };
                    *next = offset + 1;
                    *records += 1;
                    // A changelog's records have keys; one without is nobody's.
                    let Some(key) = message.key().map(copied) else { continue };
                    let entry = (key, message.payload().map(copied));
                    self.pending_bytes += weight_of_entry(&entry);
                    restoring.pending.push(entry);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ended.extend(u32::try_from(partition).ok());
                }
                Some(Err(error)) => {
                    if let Trouble::Fatal(message) = classify(&error) {
                        return Err(EngineError::Fatal(message));
                    }
                    tracing::debug!(%error, "changelog is read with trouble");
                }
                None => break,
            }
        }
        self.apply(changelog)?;
        for partition in ended {
            let restoring = self.partitions.get(&partition);
            let Some(Stage::Reading { mark, next, .. }) = restoring.map(|r| r.stage) else {
                continue;
            };
            self.unassign(partition);
            self.finish(changelog, partition, next.max(mark))?;
        }
        Ok(())
    }

    /// Puts what was read into the copy.
    fn apply(&mut self, changelog: &Changelog) -> Result<(), EngineError> {
        if self.pending_bytes == 0 {
            return Ok(());
        }
        for (partition, restoring) in &mut self.partitions {
            let Stage::Reading { next, .. } = restoring.stage else { continue };
            if !restoring.pending.is_empty() {
                let entries = std::mem::take(&mut restoring.pending);
                changelog.store.apply(*partition, &entries, Checkpoint::At(next))?;
            }
        }
        self.pending_bytes = 0;
        Ok(())
    }

    /// The copy is complete up to `next`: the partition can be served.
    fn finish(
        &mut self,
        changelog: &Changelog,
        partition: u32,
        next: u64,
    ) -> Result<(), EngineError> {
        changelog.store.apply(partition, &[], Checkpoint::At(next))?;
        if let Some(Stage::Reading { records, .. }) =
            self.partitions.get(&partition).map(|restoring| restoring.stage)
        {
            tracing::info!(topic = %changelog.topic, partition, records, "state is restored");
        }
        self.serve(partition);
        Ok(())
    }

    fn tell_progress(&mut self) {
        if self.told.elapsed() < PROGRESS {
            return;
        }
        self.told = Instant::now();
        let topic = self.changelog.as_ref().map_or("", |changelog| &changelog.topic);
        for (partition, restoring) in &mut self.partitions {
            match restoring.stage {
                Stage::Offsets | Stage::Mark | Stage::Open { .. }
                    if restoring.since.elapsed() > self.longest_open + REMIND =>
                {
                    restoring.since =
                        Instant::now().checked_sub(self.longest_open).unwrap_or(restoring.since);
                    tracing::warn!(
                        topic,
                        partition,
                        "state waits for a transaction that is open for longer than any may be: the brokers have \
                         lost its end, kafka-transactions.sh find-hanging finds it"
                    );
                }
                Stage::Reading { mark, first, next, records } => {
                    let percent = 100 * (next - first) / (mark - first).max(1);
                    tracing::info!(topic, partition, records, percent, "restoring state");
                }
                Stage::Offsets | Stage::Mark | Stage::Open { .. } => {
                    tracing::info!(
                        topic,
                        partition,
                        "state waits for open transactions of the last owner"
                    );
                }
                Stage::Place { .. } => {}
            }
        }
    }
}

fn unsigned(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
