//! The thread of a session: takes commits in order, and brings the local copy of the state up to each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    assignment::Claims,
    inbox::Inbox,
    mailbox::{Mail, Mailbox},
    producer::MemberProducer,
    session::{Outcome, Session, Terms, Work},
    store::{Checkpoint, Entry, Store},
};
use crate::engine::{Commit, EngineError, TopicPartition, kafka::error::Trouble};

/// Commits that may wait: one, and those whose caller went away.
const MAX_WAITING: usize = 8;
/// How often an idle session serves its client: logs, tokens.
const IDLE: Duration = Duration::from_millis(500);
/// How often it is noted how far in the changelog the local copy is. After a crash so much of it is read anew.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);
/// How long a commit that is under way may still take once the member is stopped.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// A commit that is asked for.
pub(super) struct Order {
    pub(super) commit: Commit,
    pub(super) claims: Claims,
    /// Where the commit moves no offset: the input whose committed one is sent along.
    pub(super) witness: Option<TopicPartition>,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// Where commits are asked for.
pub(super) type Orders = Arc<Mailbox<Box<Order>>>;

/// The thread's state.
pub(super) struct Committer {
    orders: Orders,
    session: Session<MemberProducer>,
    inbox: Arc<Inbox>,
    store: Option<Arc<Store>>,
    stop: Arc<AtomicBool>,
    /// Makes the notes of this member's commits unlike those of any other.
    name: String,
    commits: u64,
    /// Partition of the changelog to when its end was asked for.
    asked: BTreeMap<u32, Instant>,
}

impl Committer {
    pub(super) fn new(
        producer: MemberProducer,
        inbox: Arc<Inbox>,
        store: Option<Arc<Store>>,
        instance: Option<String>,
        stop: Arc<AtomicBool>,
    ) -> (Self, Orders) {
        let orders: Orders = Arc::new(Mailbox::new(MAX_WAITING));
        let session = Session::new(producer, instance);
        let name = format!("{:016x}", fastrand::u64(..));
        let committer = Self {
            orders: orders.clone(),
            session,
            inbox,
            store,
            stop,
            name,
            commits: 0,
            asked: BTreeMap::new(),
        };
        (committer, orders)
    }

    /// Runs until the member is stopped or gone; the commits asked for before are done first.
    pub(super) fn run(mut self) {
        self.prepare();
        loop {
            match self.orders.pop(IDLE) {
                Mail::Item(order) => self.serve(*order),
                Mail::Nothing => self.session.broker.idle(),
                Mail::Closed => break,
            }
        }
        if let Some(store) = &self.store
            && let Err(error) = store.settle()
        {
            tracing::warn!(%error, "local copy of the state is not settled");
        }
    }

    /// Settles what a predecessor of the same name left open, so that nobody waits for it to expire.
    fn prepare(&mut self) {
        let stop = self.stop.clone();
        let is_stopped = move || stop.load(Ordering::Acquire);
        let terms = Terms { is_owned: &|| true, is_stopped: &is_stopped };
        match self.session.prepare(&terms) {
            Ok(()) => {}
            Err(Trouble::Fatal(message)) => self.inbox.fail(EngineError::Fatal(message)),
            // The first commit tries again.
            Err(trouble) => {
                tracing::warn!(error = trouble.message(), "producer is not ready yet");
            }
        }
    }

    fn serve(&mut self, order: Order) {
        let Order { commit, claims, witness, reply } = order;
        let inbox = self.inbox.clone();
        let stop = self.stop.clone();
        let started = Instant::now();
        let is_owned = move || inbox.holds_all(&claims);
        // A commit that is under way gets its time, counted from when it began or the stop came at the latest.
        let is_stopped = move || stop.load(Ordering::Acquire) && started.elapsed() > LAST_COMMIT;
        let terms = Terms { is_owned: &is_owned, is_stopped: &is_stopped };
        self.commits += 1;
        let note = format!("{}/{}", self.name, self.commits);
        let mut work = Work { records: commit.records, offsets: commit.offsets, note };
        if let Some(witness) = witness {
            match self.position(&witness) {
                Ok(next) => work.offsets.push((witness, next)),
                Err(outcome) => {
                    drop(reply.send(outcome));
                    return;
                }
            }
        }
        let noted = self.changelog_ends(&work);
        let mut outcome = self.session.run(&work, &terms);
        if let Err(error) = self.keep_state(&work, &outcome, &noted, is_owned()) {
            outcome = Outcome::Refused(error);
        }
        // Who asked may have gone; what is done is done.
        drop(reply.send(outcome));
    }

    /// The offset that the group has committed in a partition; its beginning where there is none.
    fn position(&self, partition: &TopicPartition) -> Result<u64, Outcome> {
        let position = self.session.broker.position(partition);
        position.map_err(|trouble| match trouble {
            Trouble::Fatal(message) => Outcome::Refused(EngineError::Fatal(message)),
            Trouble::Moved(_) => Outcome::Fenced,
            other => Outcome::Unavailable(other.message().to_owned()),
        })
    }

    /// Ends of the changelog's partitions that a commit writes to, where it is time to note them. That the commit then
    /// goes through says that nobody else has written there before.
    fn changelog_ends(&mut self, work: &Work) -> BTreeMap<u32, u64> {
        let mut ends = BTreeMap::new();
        let Some(state_topic) = self.session.broker.state_topic() else { return ends };
        let of_state = work.records.iter().filter(|record| record.topic == state_topic);
        let partitions: BTreeSet<u32> = of_state.filter_map(|record| record.partition).collect();
        for partition in partitions {
            let asked = self.asked.get(&partition);
            if asked.is_some_and(|asked| asked.elapsed() < CHECKPOINT_INTERVAL) {
                continue;
            }
            self.asked.insert(partition, Instant::now());
            // Brokers that do not answer for one keep nobody waiting for all.
            let Some(end) = self.session.broker.end_of(&state_topic, partition) else { break };
            ends.insert(partition, end);
        }
        ends
    }

    /// Brings the local copy up to a commit that went through; where that is not known, it is not relied on any more, nor
    /// where partitions moved meanwhile, so that another may have written there since. `noted` are ends of the changelog
    /// before the commit.
    fn keep_state(
        &self,
        work: &Work,
        outcome: &Outcome,
        noted: &BTreeMap<u32, u64>,
        is_owned: bool,
    ) -> Result<(), EngineError> {
        let (Some(store), Some(state_topic)) = (&self.store, self.session.broker.state_topic())
        else {
            return Ok(());
        };
        let is_current = match outcome {
            Outcome::Committed => is_owned,
            Outcome::Unknown | Outcome::Refused(_) => false,
            Outcome::Fenced | Outcome::Unavailable(_) => return Ok(()),
        };
        let mut entries: BTreeMap<u32, Vec<Entry>> = BTreeMap::new();
        for record in &work.records {
            if record.topic == state_topic
                && let (Some(partition), Some(key)) = (record.partition, &record.key)
            {
                let of_partition = entries.entry(partition).or_default();
                of_partition.push((key.clone(), record.value.clone()));
            }
        }
        for (partition, entries) in entries {
            if !is_current {
                store.apply(partition, &[], Checkpoint::Unknown)?;
                continue;
            }
            let end = noted.get(&partition);
            let checkpoint = end.map_or(Checkpoint::Kept, |end| Checkpoint::At(*end));
            store.apply(partition, &entries, checkpoint)?;
        }
        Ok(())
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        // Whoever still waits is told so, also where the thread panicked.
        self.orders.close();
        while let Mail::Item(order) = self.orders.pop(Duration::ZERO) {
            drop(order);
        }
    }
}
