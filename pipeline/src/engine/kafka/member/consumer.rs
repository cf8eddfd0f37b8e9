//! The thread that owns a member's consumer: answers rebalances, moves fetched records into the inbox, closes.
//!
//! Each partition has a queue of its own in librdkafka. One that is full or paused is not read, its fetches cease, and
//! nothing that was fetched is thrown away; rebalances are answered all the while.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    consumer::{
        BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol, base_consumer::PartitionQueue,
    },
    error::KafkaError,
    topic_partition_list::{Offset, TopicPartitionList},
    types::RDKafkaRespErr,
};

use super::{
    assignment::Epoch,
    convert::Batcher,
    inbox::{Inbox, Start},
    mailbox::Bell,
    restorer::Restorer,
};
use crate::engine::{
    EngineError,
    kafka::{
        clients::Clients,
        context::Callbacks,
        error::{Trouble, classify},
        message::signed,
    },
};

/// Longest sleep of the thread: how late at most it hears of what rang no bell.
const NAP: Duration = Duration::from_millis(50);
/// Wait for one more event of the group when there was one.
const EVENT_WAIT: Duration = Duration::from_millis(1);
/// How often the group's queue is looked at though it rang no bell.
const EVENT_INTERVAL: Duration = Duration::from_millis(200);
/// Bytes that are moved from one partition before it is another's turn, about.
const BATCH_BYTES: usize = 128 << 10;
/// How long the consumer may take to leave the group.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// How long it may take to go to another offset.
const SEEK: Duration = Duration::from_secs(1);
/// Events answered in a row before records get their turn.
const MAX_EVENTS: usize = 64;

pub(super) type GroupConsumer = BaseConsumer<Callbacks<GroupContext>>;

/// What happens in a group, told on the thread that polls.
pub(super) struct GroupContext {
    inbox: Arc<Inbox>,
    /// Topics of the group; the first is the one that is subscribed.
    topics: Vec<Arc<str>>,
    consumer: OnceLock<Weak<GroupConsumer>>,
    rebalanced: Mutex<Vec<Rebalanced>>,
}

/// A rebalance that was answered.
enum Rebalanced {
    Assigned { partitions: Vec<u32>, epoch: Epoch, sources: Vec<Source> },
    Revoked(Vec<u32>),
}

/// One partition of one topic.
struct Source {
    topic: Arc<str>,
    partition: u32,
    epoch: Epoch,
    queue: PartitionQueue<Callbacks<GroupContext>>,
    /// There may be something in the queue.
    is_filled: Arc<AtomicBool>,
}

impl ConsumerContext for Callbacks<GroupContext> {
    fn rebalance(
        &self,
        consumer: &GroupConsumer,
        kind: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let partitions = self.partitions_of(list);
        let extended = self.extended(list, &partitions);
        let is_cooperative =
            matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let answered = if kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // Queues are split before anything can be fetched, so that nothing lands elsewhere.
            let epoch = self.inbox.assign(&partitions);
            let sources = self.split(&partitions, epoch);
            self.note(Rebalanced::Assigned { partitions, epoch, sources });
            if is_cooperative {
                consumer.incremental_assign(&extended)
            } else {
                consumer.assign(&extended)
            }
        } else {
            // From here on no commit on them passes; only then another may get them.
            self.inbox.revoke(&partitions);
            self.note(Rebalanced::Revoked(partitions));
            if is_cooperative {
                consumer.incremental_unassign(&extended)
            } else {
                consumer.unassign()
            }
        };
        if let Err(error) = answered {
            self.inbox.fail(EngineError::Fatal(format!("cannot follow the group: {error}")));
        }
    }
}

impl GroupContext {
    /// Partitions of the subscribed topic in a list.
    fn partitions_of(&self, list: &TopicPartitionList) -> Vec<u32> {
        let Some(subscribed) = self.topics.first() else { return Vec::new() };
        let elements = list.elements_for_topic(subscribed);
        elements.iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect()
    }

    /// The list with the same partitions of the group's other topics.
    fn extended(&self, list: &TopicPartitionList, partitions: &[u32]) -> TopicPartitionList {
        let mut extended = list.clone();
        for topic in self.topics.iter().skip(1) {
            for partition in partitions {
                extended.add_partition(topic, signed(*partition));
            }
        }
        extended
    }

    /// Queues of the partitions of every topic.
    fn split(&self, partitions: &[u32], epoch: Epoch) -> Vec<Source> {
        let mut sources = Vec::new();
        let Some(consumer) = self.consumer.get().and_then(Weak::upgrade) else { return sources };
        for topic in &self.topics {
            for partition in partitions {
                let queue = consumer.split_partition_queue(topic, signed(*partition));
                let Some(mut queue) = queue else { continue };
                let is_filled = Arc::new(AtomicBool::new(true));
                let (flag, bell) = (is_filled.clone(), self.inbox.bell.clone());
                queue.set_nonempty_callback(move || {
                    flag.store(true, Ordering::Release);
                    bell.ring();
                });
                let topic = topic.clone();
                sources.push(Source { topic, partition: *partition, epoch, queue, is_filled });
            }
        }
        sources
    }

    fn note(&self, rebalanced: Rebalanced) {
        let mut noted = self.rebalanced.lock().unwrap_or_else(PoisonError::into_inner);
        noted.push(rebalanced);
    }

    fn take_rebalanced(&self) -> Vec<Rebalanced> {
        let mut noted = self.rebalanced.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *noted)
    }
}

/// The consumer and its thread's state.
pub(super) struct Fetcher {
    consumer: Arc<GroupConsumer>,
    inbox: Arc<Inbox>,
    restorer: Restorer,
    stop: Arc<AtomicBool>,
    sources: Vec<Source>,
    batcher: Batcher,
    /// Something happened in the group.
    group_rang: Arc<AtomicBool>,
    last_event: Instant,
    /// Which source is read first; moves, so that none starves.
    turn: usize,
    instance: Option<String>,
}

/// What a consumer is made of.
pub(super) struct FetcherSettings {
    pub(super) topics: Vec<Arc<str>>,
    /// Settings of librdkafka beyond those of every client.
    pub(super) own: Vec<(&'static str, String)>,
    pub(super) instance: Option<String>,
}

impl Fetcher {
    /// Makes the consumer and subscribes. It joins the group once it runs.
    pub(super) fn new(
        clients: &Clients,
        settings: FetcherSettings,
        inbox: Arc<Inbox>,
        restorer: Restorer,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, EngineError> {
        let FetcherSettings { topics, own, instance } = settings;
        let Some(subscribed) = topics.first().cloned() else {
            return Err(EngineError::Fatal("a group names no topic to read".to_owned()));
        };
        let own_context = GroupContext {
            inbox: inbox.clone(),
            topics,
            consumer: OnceLock::new(),
            rebalanced: Mutex::default(),
        };
        let context = Callbacks { engine: clients.context("member"), own: own_context };
        let mut consumer: GroupConsumer = clients.create(&own, context)?;
        let group_rang = Arc::new(AtomicBool::new(true));
        let (flag, bell): (Arc<AtomicBool>, Arc<Bell>) = (group_rang.clone(), inbox.bell.clone());
        consumer.set_nonempty_callback(move || {
            flag.store(true, Ordering::Release);
            bell.ring();
        });
        let consumer = Arc::new(consumer);
        if consumer.context().consumer.set(Arc::downgrade(&consumer)).is_err() {
            return Err(EngineError::Fatal("a consumer was made twice".to_owned()));
        }
        let subscribing = consumer.subscribe(&[&subscribed]);
        subscribing.map_err(|error| EngineError::from(classify(&error)))?;
        Ok(Self {
            consumer,
            inbox,
            restorer,
            stop,
            sources: Vec::new(),
            batcher: Batcher::default(),
            group_rang,
            last_event: Instant::now(),
            turn: 0,
            instance,
        })
    }

    /// The consumer, for those who ask about the group; it is gone once the thread has ended.
    pub(super) fn consumer(&self) -> Weak<GroupConsumer> {
        Arc::downgrade(&self.consumer)
    }

    /// Runs until it is stopped, then leaves the group.
    pub(super) fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            self.serve_group();
            self.seek();
            let is_more = self.fetch();
            if !is_more {
                self.inbox.bell.wait(NAP);
            }
        }
        self.close();
    }

    /// Goes to where partitions begin that librdkafka began too early. What it fetched before is dropped.
    fn seek(&self) {
        for (partition, Start { topic, next }) in self.inbox.take_seeks() {
            tracing::warn!(topic = %topic, partition, next, "reading began before the committed offset, it is put right");
            let offset = Offset::Offset(i64::try_from(next).unwrap_or(i64::MAX));
            let sought = self.consumer.seek(&topic, signed(partition), offset, SEEK);
            if let Err(error) = sought {
                // The next batch that lies too early asks again.
                tracing::warn!(%error, partition, "cannot go on from the committed offset yet");
            }
        }
    }

    /// Answers what happens in the group.
    fn serve_group(&mut self) {
        let is_due = self.last_event.elapsed() >= EVENT_INTERVAL;
        if !self.group_rang.swap(false, Ordering::AcqRel) && !is_due {
            return;
        }
        self.last_event = Instant::now();
        for _ in 0..MAX_EVENTS {
            let polled = self.consumer.poll(EVENT_WAIT);
            let is_error = match polled {
                Some(Err(error)) => {
                    self.take_error(&error);
                    true
                }
                // Records come through the partitions' queues alone.
                Some(Ok(_)) => true,
                None => false,
            };
            let rebalanced = self.consumer.context().take_rebalanced();
            if rebalanced.is_empty() && !is_error {
                return;
            }
            for change in rebalanced {
                self.follow(change);
            }
        }
        self.group_rang.store(true, Ordering::Release);
    }

    fn follow(&mut self, change: Rebalanced) {
        match change {
            Rebalanced::Assigned { partitions, epoch, sources } => {
                tracing::debug!(?partitions, "the group gave partitions");
                self.sources.extend(sources);
                self.restorer.restore(partitions, epoch);
            }
            Rebalanced::Revoked(partitions) => {
                tracing::debug!(?partitions, "the group took partitions");
                self.sources.retain(|source| !partitions.contains(&source.partition));
            }
        }
    }

    /// Moves records into the inbox. True if more may be there.
    fn fetch(&mut self) -> bool {
        if self.sources.is_empty() {
            return false;
        }
        let mut is_more = false;
        let mut errors = Vec::new();
        let first = self.turn % self.sources.len();
        self.turn = self.turn.wrapping_add(1);
        let (later, earlier) = self.sources.split_at(first);
        for source in earlier.iter().chain(later) {
            if !source.is_filled.load(Ordering::Acquire) {
                continue;
            }
            let room = self.inbox.room(source.partition);
            if room == 0 {
                // The bell rings when there is room.
                continue;
            }
            source.is_filled.store(false, Ordering::Release);
            let wanted = room.min(BATCH_BYTES);
            loop {
                match source.queue.poll(Duration::ZERO) {
                    Some(Ok(message)) => self.batcher.push(&message),
                    Some(Err(error)) => errors.push(error),
                    None => break,
                }
                if self.batcher.bytes() >= wanted {
                    source.is_filled.store(true, Ordering::Release);
                    is_more = true;
                    break;
                }
            }
            if !self.batcher.is_empty() {
                let batch = self.batcher.finish(&source.topic, source.partition);
                self.inbox.push(source.partition, source.epoch, batch);
            }
        }
        for error in errors {
            self.take_error(&error);
        }
        is_more
    }

    fn take_error(&self, error: &KafkaError) {
        let Trouble::Fatal(message) = classify(error) else {
            // The client goes on by itself: brokers come back, offsets are reset, topics appear.
            tracing::warn!(error = %error, "consumer has trouble");
            return;
        };
        let code = error.rdkafka_error_code();
        let is_fenced = code == Some(rdkafka::error::RDKafkaErrorCode::FencedInstanceId);
        let message = match &self.instance {
            Some(instance) if is_fenced => format!(
                "another process runs as instance {instance:?}; give each process its own kafka.instance"
            ),
            _ => message,
        };
        self.inbox.fail(EngineError::Fatal(message));
    }

    /// Leaves the group. Whoever waits for the end of this thread has a deadline of its own.
    fn close(mut self) {
        self.sources.clear();
        self.restorer.stop();
        let Some(consumer) = Arc::into_inner(self.consumer) else {
            // A session asks it something right now and drops it then.
            return;
        };
        let deadline = Instant::now() + CLOSE_DEADLINE;
        if let Err(error) = consumer.close_queue() {
            tracing::warn!(%error, "consumer does not close");
            return;
        }
        while !consumer.closed() {
            // Gives back what was assigned.
            drop(consumer.poll(EVENT_WAIT * 10));
            drop(consumer.context().take_rebalanced());
            if Instant::now() > deadline {
                tracing::warn!(
                    "consumer does not leave its group in time; the broker will notice by itself"
                );
                return;
            }
        }
    }
}
