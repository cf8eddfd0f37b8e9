//! The load: lines of several sources and records that nobody can read, each with its id inside, and a producer
//! that writes them and knows what was acknowledged.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hephaestus_schemas::topics::{CLASSIFIED_LOGS, RAW_LOGS};
use rdkafka::{
    ClientConfig, ClientContext, Message, Statistics,
    error::RDKafkaErrorCode,
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    oracle::{Acknowledged, Deliveries, Id},
    schedule::Chance,
};

/// Sources of lines; the word is what the failures of each have to themselves.
const WORDS: [&str; 12] = [
    "cart", "stock", "orders", "payment", "search", "mail", "login", "upload", "invoice", "basket",
    "coupon", "delivery",
];
/// First number of the sources of records that nobody can read.
const GARBAGE: u32 = 1_000;
/// How many there are.
const GARBAGE_SOURCES: u32 = 3;
/// One record in so many is one of those.
const GARBAGE_IN: u64 = 20;
/// Time of the first line of each source, and between two of them.
const FIRST_LINE_MS: i64 = 1_735_725_600_000;
const BETWEEN_LINES_MS: i64 = 5;
/// Most records handed to the producer and not acknowledged.
const MAX_IN_FLIGHT: u64 = 500;
/// How often records are handed over.
const TICK: Duration = Duration::from_millis(20);
/// What a producer says of records that it gives up with everything else.
const GIVEN_UP: [RDKafkaErrorCode; 4] = [
    RDKafkaErrorCode::Fatal,
    RDKafkaErrorCode::OutOfOrderSequenceNumber,
    RDKafkaErrorCode::PurgeQueue,
    RDKafkaErrorCode::PurgeInflight,
];
/// How long the producer tries to deliver a record: longer than any fault.
const DELIVERY_TIMEOUT_MS: &str = "300000";

/// Whether a record is one that nobody can read.
pub(crate) fn is_garbage(id: Id) -> bool {
    id.source >= GARBAGE
}

/// Every source.
pub(crate) fn sources() -> impl Iterator<Item = u32> {
    (0..WORDS.len() as u32).chain(GARBAGE..GARBAGE + GARBAGE_SOURCES)
}

/// Topic and key of the records of a source.
pub(crate) fn address(source: u32) -> (&'static str, String) {
    match WORDS.get(source as usize) {
        Some(word) => (RAW_LOGS, format!("{word}/web-{source}/app")),
        None => (CLASSIFIED_LOGS, format!("garbage-{source}")),
    }
}

/// A record: an event of its own, of one line or several, or bytes that are no value.
pub(crate) fn value(id: Id) -> String {
    let Some(word) = WORDS.get(id.source as usize) else {
        return format!("garbage {id}");
    };
    let at_ms = FIRST_LINE_MS + i64::from(id.number) * BETWEEN_LINES_MS;
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap();
    let at = at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
    match id.source % 4 {
        0 => format!(r#"{{"time":"{at}","level":"error","msg":"the {word} of {id} is broken"}}"#),
        1 => format!("{at} ERROR shop.{word} - the {word} of {id} was refused"),
        2 => format!(
            "{at} ERROR shop.{word} - the {word} of {id} failed\njava.lang.IllegalStateException: no {word}\n\
             \tat com.shop.{word}.Take.take(Take.java:17)\n\tat com.shop.{word}.Main.run(Main.java:4)"
        ),
        _ if id.number.is_multiple_of(3) => {
            format!("{at} INFO shop.{word} - the {word} of {id} is well")
        }
        _ => format!("{at} FATAL shop.{word} - the {word} of {id} is gone"),
    }
}

/// What was issued, acknowledged and found.
pub(crate) struct Books {
    pub(crate) lines: Deliveries,
    pub(crate) garbage: Deliveries,
    /// Why records were not acknowledged.
    pub(crate) failures: Vec<String>,
    /// Why the producer had to be made anew. What it had under way then counts as never acknowledged, there or not.
    pub(crate) renewals: Vec<String>,
}

impl Books {
    /// Those that a record belongs to.
    pub(crate) fn of(&mut self, id: Id) -> &mut Deliveries {
        if is_garbage(id) { &mut self.garbage } else { &mut self.lines }
    }
}

/// What the load is to do.
enum Wish {
    /// Issue so many records a second.
    Run(u64),
    /// Issue nothing.
    Pause(oneshot::Sender<()>),
    /// Issue one record of each source, then nothing.
    OneEach(oneshot::Sender<()>),
}

/// A running load.
pub(crate) struct Load {
    notes: Arc<Notes>,
    wishes: mpsc::Sender<Wish>,
    done: watch::Receiver<Done>,
    task: JoinHandle<()>,
}

impl Load {
    /// A producer that pauses.
    pub(crate) fn start(bootstrap_servers: &str, seed: u64) -> Self {
        let books = Books {
            lines: Deliveries::new(RAW_LOGS),
            garbage: Deliveries::new(CLASSIFIED_LOGS),
            failures: Vec::new(),
            renewals: Vec::new(),
        };
        let (doing, done) = watch::channel(Done::default());
        let notes = Notes { books: Mutex::new(books), throttled: AtomicU64::new(0), doing };
        let notes = Arc::new(notes);
        let (wishes, wished) = mpsc::channel(1);
        let work = Work {
            bootstrap_servers: bootstrap_servers.to_owned(),
            producer: producer(bootstrap_servers, &notes),
            notes: notes.clone(),
            chance: Chance(seed),
            next: sources().map(|source| Id { source, number: 0 }).collect(),
            issued: 0,
        };
        let task = tokio::spawn(work.run(wished));
        Self { notes, wishes, done, task }
    }

    /// Issues so many records a second.
    pub(crate) async fn run(&self, a_second: u64) {
        self.wishes.send(Wish::Run(a_second)).await.unwrap();
    }

    /// Stops issuing, and waits until each record that was issued is acknowledged or failed.
    pub(crate) async fn pause(&mut self) {
        let (heard, is_heard) = oneshot::channel();
        self.wishes.send(Wish::Pause(heard)).await.unwrap();
        is_heard.await.unwrap();
        self.all_done().await;
    }

    /// Issues one record of each source, pauses, and waits for them likewise.
    pub(crate) async fn one_each(&mut self) {
        let (heard, is_heard) = oneshot::channel();
        self.wishes.send(Wish::OneEach(heard)).await.unwrap();
        is_heard.await.unwrap();
        self.all_done().await;
    }

    async fn all_done(&mut self) {
        let issued = {
            let books = self.books();
            books.lines.totals().0 + books.garbage.totals().0
        };
        self.done.wait_for(|done| done.acknowledged + done.failed >= issued).await.unwrap();
    }

    /// Records acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.done.borrow().acknowledged
    }

    /// Waits until so many are acknowledged.
    pub(crate) async fn wait_for(&mut self, acknowledged: u64) {
        self.done.wait_for(|done| done.acknowledged >= acknowledged).await.unwrap();
    }

    /// How many reports say that the broker asked to send less.
    pub(crate) fn throttled(&self) -> u64 {
        self.notes.throttled.load(Ordering::Relaxed)
    }

    /// What was issued, acknowledged and found.
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.notes.books.lock().unwrap()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What came of the records that were issued.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    acknowledged: u64,
    failed: u64,
}

/// What the producer says, on threads of its own.
struct Notes {
    books: Mutex<Books>,
    throttled: AtomicU64,
    doing: watch::Sender<Done>,
}

struct Context(Arc<Notes>);

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let mut windows = statistics.brokers.values().filter_map(|broker| broker.throttle.as_ref());
        if windows.any(|window| window.max > 0) {
            self.0.throttled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Id>;

    fn delivery(&self, result: &DeliveryResult<'_>, id: Box<Id>) {
        let mut books = self.0.books.lock().unwrap();
        match result {
            Ok(message) => {
                let partition = u32::try_from(message.partition()).unwrap();
                let offset = u64::try_from(message.offset()).ok();
                books.of(*id).acknowledge(*id, Acknowledged { partition, offset });
                self.0.doing.send_modify(|done| done.acknowledged += 1);
            }
            Err((error, _)) => {
                let is_given_up =
                    error.rdkafka_error_code().is_some_and(|code| GIVEN_UP.contains(&code));
                if !is_given_up {
                    books.failures.push(format!("{id}: {error}"));
                }
                self.0.doing.send_modify(|done| done.failed += 1);
            }
        }
    }
}

fn producer(bootstrap_servers: &str, notes: &Arc<Notes>) -> ThreadedProducer<Context> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("client.id", "load")
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "5")
        .set("message.timeout.ms", DELIVERY_TIMEOUT_MS)
        .set("request.timeout.ms", "5000")
        .set("socket.timeout.ms", "6000")
        .set("reconnect.backoff.max.ms", "500")
        .set("statistics.interval.ms", "250")
        .create_with_context(Context(notes.clone()))
        .unwrap()
}

struct Work {
    bootstrap_servers: String,
    producer: ThreadedProducer<Context>,
    notes: Arc<Notes>,
    chance: Chance,
    /// What comes next of each source.
    next: Vec<Id>,
    issued: u64,
}

impl Work {
    async fn run(mut self, mut wishes: mpsc::Receiver<Wish>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut each_tick = 0;
        loop {
            tokio::select! {
                Some(wish) = wishes.recv() => match wish {
                    Wish::Run(a_second) => {
                        each_tick = (a_second * TICK.as_millis() as u64 / 1_000).max(1);
                    }
                    Wish::Pause(heard) => {
                        each_tick = 0;
                        let _ = heard.send(());
                    }
                    Wish::OneEach(heard) => {
                        each_tick = 0;
                        (0..self.next.len()).for_each(|index| self.issue(index));
                        let _ = heard.send(());
                    }
                },
                _ = tick.tick() => {
                    let done = *self.notes.doing.borrow();
                    let in_flight = self.issued - done.acknowledged - done.failed;
                    for _ in 0..each_tick.min(MAX_IN_FLIGHT.saturating_sub(in_flight)) {
                        let index = self.any_source();
                        self.issue(index);
                    }
                }
            }
        }
    }

    fn any_source(&mut self) -> usize {
        if self.chance.once_in(GARBAGE_IN) {
            return WORDS.len() + self.chance.below(u64::from(GARBAGE_SOURCES)) as usize;
        }
        self.chance.below(WORDS.len() as u64) as usize
    }

    fn issue(&mut self, index: usize) {
        let id = self.next[index];
        self.next[index].number += 1;
        self.issued += 1;
        self.notes.books.lock().unwrap().of(id).issue(id);
        let (topic, key) = address(id.source);
        let value = value(id);
        // The producer's queue is larger than what may be in flight, so it is never full.
        while let Err((error, _)) = self
            .producer
            .send(BaseRecord::with_opaque_to(topic, Box::new(id)).key(&key).payload(&value))
        {
            // librdkafka gives up a producer whose numbering differs from the broker's.
            let Some((code, why)) = self.producer.client().fatal_error() else {
                panic!("{id} cannot be produced: {error}");
            };
            self.notes.books.lock().unwrap().renewals.push(format!("{code}: {why}"));
            self.producer = producer(&self.bootstrap_servers, &self.notes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use hephaestus_classifier::{Classifier, ClassifierConfig, RawLine, SourceState};

    use super::*;

    /// The rest of the suite rests on this: whatever the time between two records, each is an event of its own.
    #[test]
    fn each_line_is_one_event_with_its_id_and_each_source_has_failures_of_its_own() {
        let classifier = Classifier::new(ClassifierConfig::default());
        let mut sources_of: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        for source in sources().filter(|source| *source < GARBAGE) {
            for is_flushed in [false, true] {
                let mut state = SourceState::default();
                let mut events = Vec::new();
                let (_, key) = address(source);
                for number in 0..12 {
                    let text = value(Id { source, number });
                    let line = RawLine {
                        offset: number.into(),
                        timestamp_ms: 0,
                        bytes: text.as_bytes(),
                        ..RawLine::default()
                    };
                    events.extend(classifier.push(&mut state, &key, line));
                    if is_flushed {
                        events.extend(classifier.flush(&mut state, &key));
                    }
                }
                events.extend(classifier.flush(&mut state, &key));
                assert_eq!(events.len(), 12, "{source}");
                for (number, event) in (0..).zip(&events) {
                    assert_eq!(Id::find(&event.log.message), Some(Id { source, number }));
                    assert_eq!(event.runs(), [(number.into(), number.into())]);
                    let fingerprint = event.log.fingerprint.clone();
                    sources_of.entry(fingerprint).or_default().insert(source);
                }
            }
        }
        assert!(sources_of.values().all(|sources| sources.len() == 1), "{sources_of:?}");
    }
}
