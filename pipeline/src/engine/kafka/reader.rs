//! Reads committed records of any partition, from any offset: one consumer for all, a queue for each partition.
//!
//! What was appended is seen by the next read. A partition at its end costs no work but what the broker's answers take.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer as _, base_consumer::PartitionQueue},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::{sync::Notify, task, time::timeout_at};

use super::{
    clients::Clients,
    cluster::{Cluster, Edge},
    context::EngineContext,
    error::{Trouble, classify},
    message::{signed, to_record},
    polled::Consumer,
};
use crate::{
    engine::{EngineError, TopicPartition},
    record::Record,
};

/// Fetched and not yet read of each partition, in bytes.
pub(super) const PARTITION_QUEUE: usize = 256 << 10;
/// The same for who looks at one record only.
pub(super) const PEEK_QUEUE: usize = 16 << 10;
/// How long the broker may hold an answer back; so long a read at the end may take where control records end a partition.
const FETCH_WAIT: Duration = Duration::from_millis(50);
/// Partitions that stay assigned while nobody reads them.
const MOST_IDLE: usize = 64;
/// Partitions that are read at the same time; more are refused.
const MOST_HELD: usize = 4096;
/// After this time without a read a partition is no longer fetched.
const IDLE: Duration = Duration::from_secs(15);
/// Who waits looks again after this time, in case a wake-up was missed.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// One step of a blocking poll.
const STEP: Duration = Duration::from_millis(50);

/// Reads partitions.
#[derive(Clone)]
pub(super) struct Reader {
    shared: Arc<Shared>,
}

struct Shared {
    clients: Arc<Clients>,
    cluster: Arc<Cluster>,
    slots: Mutex<Slots>,
}

type Slots = HashMap<TopicPartition, Arc<Slot>>;

/// A partition that is assigned, or about to be.
struct Slot {
    partition: TopicPartition,
    queue: PartitionQueue<EngineContext>,
    /// Something came into the queue.
    arrived: Arc<Notify>,
    position: Mutex<Position>,
    used: Mutex<Instant>,
}

/// Where the queue stands.
#[derive(Default)]
struct Position {
    is_assigned: bool,
    /// The queue goes on at this offset; none where it must be set anew.
    next: Option<u64>,
    /// Taken from the queue, not yet read.
    peeked: Option<Record>,
    /// The last record that was read or peeked.
    seen: Option<u64>,
    /// The last stable offset, as last asked for: it only grows.
    end: u64,
    /// What `end` was when the queue was placed: an end that the queue tells of lies there or behind.
    end_when_placed: u64,
    /// From the first to before the second offset there is no record.
    empty: Option<(u64, u64)>,
}

/// What a queue gave.
enum Taken {
    Record(Record),
    /// There was nothing more when the broker answered.
    End,
    Nothing,
}

/// Settings of a consumer for a [`Reader`] that holds about `queue_bytes` of each partition.
pub(super) fn settings(clients: &Clients, queue_bytes: usize) -> Vec<(&'static str, String)> {
    let mut settings = clients.consumer_settings(queue_bytes);
    settings.push(("enable.partition.eof", "true".to_owned()));
    settings.push(("fetch.wait.max.ms", FETCH_WAIT.as_millis().to_string()));
    settings
}

impl Reader {
    /// Reads with the cluster's consumer.
    pub(super) fn start(clients: Arc<Clients>, cluster: Arc<Cluster>) -> Self {
        let shared = Arc::new(Shared { clients, cluster, slots: Mutex::default() });
        let weak: Weak<Shared> = Arc::downgrade(&shared);
        task::spawn(async move {
            loop {
                tokio::time::sleep(IDLE / 3).await;
                let Some(shared) = weak.upgrade() else { return };
                let _ = task::spawn_blocking(move || shared.let_go_of_idle()).await;
            }
        });
        Self { shared }
    }

    /// Records from an offset on: about `max_bytes`, at least one where there is one.
    pub(super) async fn read(
        &self,
        partition: &TopicPartition,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Record>, EngineError> {
        let slot = self.shared.clone().slot(partition).await?;
        let shared = self.shared.clone();
        blocking(move || shared.read(&slot, from, max_bytes)).await
    }

    /// Waits until there is a record at or beyond `offset`.
    pub(super) async fn wait(
        &self,
        partition: &TopicPartition,
        offset: u64,
        wait: Duration,
    ) -> Result<bool, EngineError> {
        let deadline = tokio::time::Instant::now() + wait;
        let slot = self.shared.clone().slot(partition).await?;
        let mut is_first = true;
        loop {
            let arrived = slot.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            let (shared, of_call) = (self.shared.clone(), slot.clone());
            let there = blocking(move || shared.look(&of_call, offset, is_first)).await?;
            is_first = false;
            let now = tokio::time::Instant::now();
            if there || now >= deadline {
                return Ok(there);
            }
            let _ = timeout_at(deadline.min(now + LOOK_AGAIN), arrived).await;
        }
    }

    /// Gives up all partitions, so that their consumer can be closed.
    pub(super) fn stop(&self) {
        self.shared.slots().clear();
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, EngineError> {
    let done = task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(EngineError::Fatal(format!("reading: {error}"))))
}

impl Shared {
    /// The partition's place here; the least used one goes where there are many.
    async fn slot(self: Arc<Self>, partition: &TopicPartition) -> Result<Arc<Slot>, EngineError> {
        if let Some(slot) = self.slots().get(partition) {
            slot.touch();
            return Ok(slot.clone());
        }
        self.cluster.check(partition).await?;
        let partition = partition.clone();
        blocking(move || self.add(partition)).await
    }

    fn add(&self, partition: TopicPartition) -> Result<Arc<Slot>, EngineError> {
        let consumer = self.cluster.polled().consumer()?;
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&partition) {
            slot.touch();
            return Ok(slot.clone());
        }
        if slots.len() >= MOST_IDLE {
            self.let_go(&mut slots, |_| true, MOST_IDLE - 1);
        }
        if slots.len() >= MOST_HELD {
            let message = format!("{MOST_HELD} partitions are read at the same time");
            return Err(EngineError::Unavailable(message));
        }
        let number = signed(partition.partition);
        let queue = consumer.split_partition_queue(&partition.topic, number);
        let mut queue = queue.ok_or_else(|| EngineError::UnknownPartition {
            topic: partition.topic.to_string(),
            partition: partition.partition,
        })?;
        let arrived = Arc::new(Notify::new());
        let of_queue = arrived.clone();
        queue.set_nonempty_callback(move || of_queue.notify_waiters());
        let slot = Arc::new(Slot {
            partition: partition.clone(),
            queue,
            arrived,
            position: Mutex::default(),
            used: Mutex::new(Instant::now()),
        });
        slots.insert(partition, slot.clone());
        Ok(slot)
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn let_go_of_idle(&self) {
        let mut slots = self.slots();
        self.let_go(&mut slots, |slot| slot.idle_for() >= IDLE, 0);
    }

    /// Unassigns slots that nobody uses and that `may_go`, the least used first, until `keep` are left.
    fn let_go(&self, slots: &mut Slots, may_go: impl Fn(&Slot) -> bool, keep: usize) {
        let idle = slots.values().filter(|slot| Arc::strong_count(slot) == 1 && may_go(slot));
        let mut idle: Vec<(Duration, TopicPartition)> =
            idle.map(|slot| (slot.idle_for(), slot.partition.clone())).collect();
        idle.sort_by(|(one, _), (other, _)| other.cmp(one));
        idle.truncate(slots.len().saturating_sub(keep));
        if idle.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for (_, partition) in idle {
            let slot = slots.remove(&partition);
            let is_assigned = slot.is_some_and(|slot| slot.position().is_assigned);
            if is_assigned {
                list.add_partition(&partition.topic, signed(partition.partition));
            }
        }
        if list.count() > 0
            && let Ok(consumer) = self.cluster.polled().consumer()
            && let Err(error) = consumer.incremental_unassign(&list)
        {
            tracing::debug!(%error, "cannot give partitions up");
        }
    }

    fn read(&self, slot: &Slot, from: u64, max_bytes: usize) -> Result<Vec<Record>, EngineError> {
        let mut position = slot.position();
        let mut records = Vec::new();
        if !self.peek(slot, &mut position, from)? {
            return Ok(records);
        }
        let mut bytes = 0;
        // What is known to be there is waited for, so that a read brings all of it.
        let mut patience = Instant::now() + 2 * FETCH_WAIT;
        loop {
            let next = match position.peeked.take() {
                Some(record) => Taken::Record(record),
                None if position.is_at_end() => self.take(slot, Duration::ZERO)?,
                None => self.take(slot, STEP)?,
            };
            let record = match next {
                Taken::Record(record) if record.offset < from => continue,
                Taken::Record(record) => record,
                Taken::End => {
                    position.note_end();
                    break;
                }
                Taken::Nothing if position.is_at_end() || Instant::now() >= patience => break,
                Taken::Nothing => continue,
            };
            let size = record.size();
            if !records.is_empty() && bytes + size > max_bytes {
                position.peeked = Some(record);
                break;
            }
            bytes += size;
            position.next = Some(record.offset + 1);
            position.seen = Some(record.offset);
            records.push(record);
            if bytes >= max_bytes {
                break;
            }
            patience = Instant::now() + 2 * FETCH_WAIT;
        }
        slot.touch();
        Ok(records)
    }

    /// Whether there is a record at or beyond `offset`. The first look asks the broker; later ones see what has come.
    fn look(&self, slot: &Slot, offset: u64, is_first: bool) -> Result<bool, EngineError> {
        let mut position = slot.position();
        slot.touch();
        if position.seen.is_some_and(|seen| seen >= offset) {
            return Ok(true);
        }
        let is_there = position.next == Some(offset) && position.is_assigned;
        if is_first || !is_there {
            if self.peek(slot, &mut position, offset)? {
                return Ok(true);
            }
            // From here on what comes is fetched; behind the end nothing can be.
            if offset <= position.end {
                self.place(slot, &mut position, offset)?;
            }
            return Ok(false);
        }
        loop {
            match self.take(slot, Duration::ZERO)? {
                Taken::Record(record) if record.offset >= offset => {
                    position.seen = Some(record.offset);
                    position.peeked = Some(record);
                    return Ok(true);
                }
                Taken::Record(_) => {}
                Taken::End => position.note_end(),
                Taken::Nothing => return Ok(false),
            }
        }
    }

    /// Gets the first record at or beyond `from`, and keeps it; false where there is none yet.
    fn peek(&self, slot: &Slot, position: &mut Position, from: u64) -> Result<bool, EngineError> {
        let holds = |position: &Position| {
            position.next == Some(from)
                && position.peeked.as_ref().is_some_and(|r| r.offset >= from)
        };
        if holds(position) {
            return Ok(true);
        }
        if position.has_nothing_from(from) {
            position.end = self.cluster.edge_now(&slot.partition, Edge::End)?;
        }
        if position.has_nothing_from(from) {
            return Ok(false);
        }
        let mut is_fresh = self.place(slot, position, from)?;
        let begun = Instant::now();
        let deadline = begun + self.clients.request_timeout();
        loop {
            let is_late = match self.take(slot, STEP)? {
                Taken::Record(record) if record.offset >= from => {
                    position.seen = Some(record.offset);
                    position.peeked = Some(record);
                    return Ok(true);
                }
                Taken::End => {
                    position.note_end();
                    if position.has_nothing_from(from) {
                        return Ok(false);
                    }
                    // That end may be older than what was asked of the broker since.
                    true
                }
                // An end is told once: it may have been told before what was asked of the broker just now.
                Taken::Record(_) | Taken::Nothing => begun.elapsed() >= 2 * FETCH_WAIT,
            };
            if is_late && !is_fresh {
                position.next = None;
                is_fresh = self.place(slot, position, from)?;
            }
            if Instant::now() >= deadline {
                position.next = None;
                return Err(EngineError::Unavailable(format!(
                    "no record from offset {from} to {} of partition {} of topic {:?} came within {:?}",
                    position.end,
                    slot.partition.partition,
                    slot.partition.topic,
                    self.clients.request_timeout()
                )));
            }
        }
    }

    /// Makes the queue go on at an offset; false where it does already.
    fn place(&self, slot: &Slot, position: &mut Position, from: u64) -> Result<bool, EngineError> {
        if position.is_assigned && position.next == Some(from) && position.peeked.is_none() {
            return Ok(false);
        }
        let consumer = self.cluster.polled().consumer()?;
        let offset = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        let topic = &*slot.partition.topic;
        let number = signed(slot.partition.partition);
        position.next = None;
        position.peeked = None;
        position.seen = None;
        let failed = |error: &KafkaError| self.clients.error("reading", error);
        if !position.is_assigned {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(topic, number, offset).map_err(|error| failed(&error))?;
            consumer.incremental_assign(&list).map_err(|error| failed(&error))?;
            position.is_assigned = true;
        } else {
            self.seek(&consumer, slot, offset)?;
        }
        position.next = Some(from);
        position.end_when_placed = position.end;
        Ok(true)
    }

    /// A partition that was assigned a moment ago cannot be moved yet: that is tried again.
    fn seek(&self, consumer: &Consumer, slot: &Slot, offset: Offset) -> Result<(), EngineError> {
        let deadline = Instant::now() + self.clients.request_timeout();
        let number = signed(slot.partition.partition);
        loop {
            let timeout = self.clients.request_timeout();
            match consumer.seek(&slot.partition.topic, number, offset, timeout) {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= deadline => {
                    return Err(self.clients.error("reading", &error));
                }
                // Waits a little, for what is dropped by the seek anyway.
                Err(_) => drop(self.take(slot, STEP)?),
            }
        }
    }

    fn take(&self, slot: &Slot, wait: Duration) -> Result<Taken, EngineError> {
        match slot.queue.poll(wait) {
            None => Ok(Taken::Nothing),
            Some(Ok(message)) => {
                Ok(Taken::Record(to_record(slot.partition.topic.clone(), &message)))
            }
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(Taken::End),
            Some(Err(error)) => self.troubled(slot, &error),
        }
    }

    fn troubled(&self, slot: &Slot, error: &KafkaError) -> Result<Taken, EngineError> {
        let unknown = [
            RDKafkaErrorCode::UnknownTopicOrPartition,
            RDKafkaErrorCode::UnknownTopic,
            RDKafkaErrorCode::UnknownPartition,
        ];
        if error.rdkafka_error_code().is_some_and(|code| unknown.contains(&code)) {
            self.cluster.forget(&slot.partition.topic);
            return Err(EngineError::UnknownPartition {
                topic: slot.partition.topic.to_string(),
                partition: slot.partition.partition,
            });
        }
        match classify(error) {
            Trouble::Fatal(_) => Err(self.clients.error("reading", error)),
            // librdkafka tries again by itself.
            _ => Ok(Taken::Nothing),
        }
    }
}

impl Position {
    /// Whether it is known that no record lies between an offset and the end.
    fn has_nothing_from(&self, from: u64) -> bool {
        let is_empty = self.empty.is_some_and(|(first, end)| first <= from && self.end <= end);
        from >= self.end || is_empty
    }

    /// Whether all that is known to be there was read.
    fn is_at_end(&self) -> bool {
        self.next.is_none_or(|next| self.has_nothing_from(next))
    }

    /// The queue told that there is nothing more where it stands.
    fn note_end(&mut self) {
        if let Some(next) = self.next
            && next < self.end_when_placed
        {
            self.empty = Some((next, self.end_when_placed));
        }
    }
}

impl Slot {
    fn position(&self) -> MutexGuard<'_, Position> {
        // After a panic the place is unknown.
        self.position.lock().unwrap_or_else(|poisoned| {
            let mut position = poisoned.into_inner();
            position.next = None;
            position.peeked = None;
            position
        })
    }

    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn idle_for(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}
