//! A member's producer, as a session uses it: one transaction a commit, or for clusters without them flush and commit.
//!
//! Every call lasts a second or so at most and can be made again, so that a member that is stopped never hangs in one. Where
//! librdkafka loses the answer to a call, that lasts 15 s once.

use std::{
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use rdkafka::{
    consumer::{CommitMode, Consumer, ConsumerGroupMetadata},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer, PurgeConfig},
    topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem},
};

use super::{
    batches::{BATCH_RECORDS, Routes, by_partition},
    consumer::GroupConsumer,
    delivery::{Delivered, ProducerCallbacks, lock},
    mailbox::nap,
    offsets::{Call, OffsetCalls},
    session::{Broker, Failure, Work},
};
use crate::{
    engine::{
        EngineError, Records, TopicPartition,
        kafka::{
            clients::Clients,
            context::has_lost_connection,
            error::{Trouble, classify, classify_code},
            message::{signed, to_headers},
        },
    },
    record::NewRecord,
};

/// How long one call may take before it is made again.
const CALL: Duration = Duration::from_secs(1);
/// How long a topic's number of partitions may take to be told; it is asked for once.
const METADATA: Duration = Duration::from_secs(5);
/// Step in which delivery is waited for. It is slept: the binding's poll spins through its last millisecond.
const FLUSH_STEP: Duration = Duration::from_micros(500);
/// How long a call of [`CALL`] may take before it is known to never return.
const LOST: Duration = Duration::from_secs(15);
const UNANSWERED: &str = "brokers have not answered for all records";
/// How long after their time-out records have been answered for or given up, at the latest.
const ANSWERED: Duration = Duration::from_secs(5);
/// How long answers on their way are waited for before an abort.
const ANSWERS: Duration = Duration::from_millis(100);
/// How long an abort may take before it is known to wait for reports that only polling takes.
const FIRST_ABORT: Duration = Duration::from_millis(5);
/// First pause before a call is made again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Time for the last records of a commit to be handed over. Where it passes before they are, the first of them go, and
/// librdkafka's thread spins while the rest stands behind them.
const LINGER_MS: u32 = 10;
/// Pause before a request is sent again; it doubles, up to librdkafka's second.
const RETRY_BACKOFF_MS: u32 = 10;
/// Largest batch, in bytes: as much as a topic takes by default, so that a commit needs few requests to a partition.
const BATCH_BYTES: usize = 900_000;
/// A member's producer.
pub(super) type SessionProducer = BaseProducer<ProducerCallbacks>;

/// A member's producer, and the group it commits for.
pub(super) struct MemberProducer {
    clients: Arc<Clients>,
    consumer: Weak<GroupConsumer>,
    /// Without one, commits are not transactions.
    transactional_id: Option<String>,
    state_topic: Option<Arc<str>>,
    delivered: Arc<Mutex<Delivered>>,
    producer: Option<Arc<SessionProducer>>,
    /// Adds offsets to its transactions.
    offset_calls: OffsetCalls,
    /// The producer is new, and its predecessor's transaction not settled yet.
    is_settling: bool,
    /// Something of this transaction was not answered for when its abort began.
    is_unanswered: bool,
    metadata: Option<Arc<ConsumerGroupMetadata>>,
    /// Offsets of a commit that is no transaction, until it is committed.
    offsets: Option<TopicPartitionList>,
    routes: Routes,
    /// When the last transaction was begun.
    begun: Instant,
}

impl MemberProducer {
    pub(super) fn new(
        clients: Arc<Clients>,
        consumer: Weak<GroupConsumer>,
        transactional_id: Option<String>,
        state_topic: Option<Arc<str>>,
    ) -> Self {
        Self {
            clients,
            consumer,
            transactional_id,
            state_topic,
            delivered: Arc::default(),
            producer: None,
            offset_calls: OffsetCalls::default(),
            is_settling: false,
            is_unanswered: false,
            metadata: None,
            offsets: None,
            routes: Routes::default(),
            begun: Instant::now(),
        }
    }

    /// The end of a partition, as a reader of committed records sees it; nothing where the brokers do not tell at once.
    pub(super) fn end_of(&self, topic: &str, partition: u32) -> Option<u64> {
        let client = self.producer.as_ref()?.client();
        let (_, end) = client.fetch_watermarks(topic, signed(partition), CALL).ok()?;
        u64::try_from(end).ok()
    }

    pub(super) fn state_topic(&self) -> Option<Arc<str>> {
        self.state_topic.clone()
    }

    /// Serves the client while there is nothing to commit.
    pub(super) fn idle(&self) {
        if let Some(producer) = &self.producer {
            producer.poll(Duration::ZERO);
        }
    }

    /// The offset that the group has committed in a partition; its beginning where there is none.
    pub(super) fn position(&self, partition: &TopicPartition) -> Result<u64, Trouble> {
        let list = self.committed(std::slice::from_ref(partition))?;
        let committed = list.elements().first().map(TopicPartitionListElem::offset);
        if let Some(Offset::Offset(next)) = committed {
            return Ok(u64::try_from(next).unwrap_or(0));
        }
        let ends =
            self.consumer()?.fetch_watermarks(&partition.topic, signed(partition.partition), CALL);
        let (low, _) = ends.map_err(|error| classify(&error))?;
        Ok(u64::try_from(low).unwrap_or(0))
    }

    /// Offsets that the group has committed, after every open transaction on them.
    pub(super) fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<TopicPartitionList, Trouble> {
        let mut list = TopicPartitionList::new();
        for TopicPartition { topic, partition } in partitions {
            list.add_partition(topic, signed(*partition));
        }
        let consumer = self.consumer()?;
        let list = consumer.committed_offsets(list, CALL).map_err(|error| classify(&error))?;
        for element in list.elements() {
            element.error().map_err(|error| classify(&error))?;
        }
        Ok(list)
    }

    fn make(&self) -> Result<SessionProducer, Trouble> {
        let mut own = self.clients.producer_settings();
        own.push(("linger.ms", LINGER_MS.to_string()));
        // While the transaction before is being ended, the next one's offsets are refused for a moment.
        own.push(("retry.backoff.ms", RETRY_BACKOFF_MS.to_string()));
        own.push(("batch.size", self.batch_bytes().to_string()));
        own.push(("batch.num.messages", BATCH_RECORDS.to_string()));
        own.push(("queue.buffering.max.messages", "1000000".to_owned()));
        let timeout_ms = self.clients.config().transaction_timeout.as_millis();
        own.push(("message.timeout.ms", timeout_ms.to_string()));
        own.push(("delivery.report.only.error", "true".to_owned()));
        if let Some(id) = &self.transactional_id {
            own.extend(self.clients.transactional_settings(id));
        }
        let context = ProducerCallbacks {
            engine: self.clients.context("session"),
            own: self.delivered.clone(),
        };
        self.clients.create(&own, context).map_err(|error| Trouble::Fatal(error.to_string()))
    }

    fn consumer(&self) -> Result<Arc<GroupConsumer>, Trouble> {
        let gone = || Trouble::Moved("the member has left its group".to_owned());
        self.consumer.upgrade().ok_or_else(gone)
    }

    fn producer(&self) -> Result<&Arc<SessionProducer>, Trouble> {
        let missing = || Trouble::Retriable("the producer is not made yet".to_owned());
        self.producer.as_ref().ok_or_else(missing)
    }

    /// Number of partitions of a topic.
    fn count_partitions(&self, topic: &Arc<str>) -> Result<u32, Failure> {
        // The consumer's connections are busy with fetches, which the broker holds back.
        let metadata = self.producer()?.client().fetch_metadata(Some(topic), METADATA);
        let metadata = metadata.map_err(|error| abortable(self.trouble(&error)))?;
        let unknown = || EngineError::UnknownPartition { topic: topic.to_string(), partition: 0 };
        let found = metadata.topics().iter().find(|found| found.name() == &**topic);
        let found = found.ok_or_else(|| Failure::Refused(unknown()))?;
        if let Some(error) = found.error() {
            let code = RDKafkaErrorCode::from(error);
            let is_unknown = matches!(
                code,
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic
            );
            if is_unknown {
                return Err(Failure::Refused(unknown()));
            }
            return Err(classify_code(code, &format!("topic {topic:?}: {code}")).into());
        }
        Ok(found.partitions().len() as u32)
    }

    /// Bytes of the largest batch.
    fn batch_bytes(&self) -> usize {
        BATCH_BYTES.min(self.clients.max_message_bytes())
    }

    /// Hands one record over, waiting for room in the queue.
    fn send(&self, record: &NewRecord, partition: Option<u32>) -> Result<(), Failure> {
        let producer = self.producer()?;
        let mut message =
            BaseRecord::<[u8], [u8]>::to(&record.topic).timestamp(record.timestamp_ms);
        message.partition = partition.map(signed);
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        if !record.headers.0.is_empty() {
            message = message.headers(to_headers(&record.headers));
        }
        loop {
            match producer.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                    message = refused;
                    self.step()?;
                }
                Err((error, _)) => return Err(abortable(self.trouble(&error)).into()),
            }
        }
    }

    /// What an error of the producer asks for.
    fn trouble(&self, error: &KafkaError) -> Trouble {
        let trouble = classify(error);
        let fatal = self.producer.as_ref().and_then(|producer| producer.client().fatal_error());
        let Some((code, reason)) = fatal else { return trouble };
        // It says so of every call from then on, whatever it was first.
        match classify_code(code, &format!("{code}: {reason}")) {
            Trouble::Fatal(message) => Trouble::Fatal(message),
            other => Trouble::Fenced(other.message().to_owned()),
        }
    }

    /// Whether everything that was produced has to be answered for by now.
    fn is_late(&self) -> bool {
        self.begun.elapsed() > self.clients.config().transaction_timeout.0 + ANSWERED
    }

    /// Takes the reports that are there, then sleeps for a moment.
    fn step(&self) -> Result<(), Trouble> {
        let producer = self.producer()?;
        loop {
            let before = producer.in_flight_count();
            producer.poll(Duration::ZERO);
            if producer.in_flight_count() >= before {
                break;
            }
        }
        self.check_deliveries()?;
        if producer.in_flight_count() > 0 {
            nap(FLUSH_STEP);
        }
        Ok(())
    }

    /// Whether every record that the brokers answered for was taken.
    fn check_deliveries(&self) -> Result<(), Trouble> {
        let delivered = lock(&self.delivered);
        let Some((code, topic, partition)) = &delivered.failure else { return Ok(()) };
        let message = format!("record for {topic}/{partition} was not taken: {code}");
        Err(match code {
            RDKafkaErrorCode::UnknownTopicOrPartition => Trouble::Fatal(message),
            code => abortable(classify_code(*code, &message)),
        })
    }

    /// Waits until the brokers have answered for everything that was produced.
    fn flush(&self) -> Result<(), Trouble> {
        let producer = self.producer()?;
        let deadline = Instant::now() + CALL;
        // The binding's own flush waits in steps of 100 ms.
        while producer.in_flight_count() > 0 {
            self.step()?;
            if Instant::now() > deadline {
                // One that is done for waits for answers for ever.
                if let Some((code, _)) = producer.client().fatal_error() {
                    return Err(self.trouble(&KafkaError::Global(code)));
                }
                return Err(Trouble::Retriable(UNANSWERED.to_owned()));
            }
        }
        self.check_deliveries()
    }

    fn list(&self, work: &Work) -> Result<TopicPartitionList, Trouble> {
        let mut list = TopicPartitionList::with_capacity(work.offsets.len());
        for (TopicPartition { topic, partition }, next) in &work.offsets {
            let mut element = list.add_partition(topic, signed(*partition));
            let offset = Offset::Offset(i64::try_from(*next).unwrap_or(i64::MAX));
            element.set_offset(offset).map_err(|error| classify(&error))?;
            element.set_metadata(&work.note);
        }
        Ok(list)
    }
}

impl Broker for MemberProducer {
    fn renew(&mut self) -> Result<(), Trouble> {
        if !self.is_settling {
            // The old one goes first: it throws away what it still has.
            self.producer = None;
            *lock(&self.delivered) = Delivered::default();
            self.producer = Some(Arc::new(self.make()?));
        }
        if self.transactional_id.is_none() {
            return Ok(());
        }
        let settled = self.producer()?.init_transactions(CALL).map_err(|e| self.trouble(&e));
        self.is_settling = matches!(settled, Err(Trouble::Retriable(_)));
        if settled.is_ok() {
            self.is_unanswered = false;
        }
        settled
    }

    fn has_lost_connection(&self) -> bool {
        let producer = self.producer.as_ref().filter(|_| self.transactional_id.is_some());
        producer.is_some_and(|producer| has_lost_connection(producer))
    }

    fn snapshot(&mut self) -> Result<(), Trouble> {
        let consumer = self.consumer()?;
        self.metadata = consumer.group_metadata().map(Arc::new);
        // A member that was put out has no generation until it joins again, and one without is not fenced.
        if consumer.assignment_lost() {
            return Err(Trouble::Moved("the group has put this member out".to_owned()));
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Trouble> {
        self.begun = Instant::now();
        *lock(&self.delivered) = Delivered::default();
        self.offsets = None;
        if self.transactional_id.is_none() {
            return Ok(());
        }
        self.producer()?.begin_transaction().map_err(|error| self.trouble(&error))
    }

    fn produce(&mut self, records: &Records) -> Result<(), Failure> {
        let mut routes = std::mem::take(&mut self.routes);
        let queues = by_partition(records, &mut routes, |topic| self.count_partitions(topic));
        self.routes = routes;
        let mut queues = queues?;
        // librdkafka has one request of a partition in flight, and its thread spins while records stand behind it that
        // have waited for as long as they may: each partition gets a batch, and the next when all are answered for.
        loop {
            for queue in &mut queues {
                let partition = queue.partition;
                for record in queue.next_batch(self.batch_bytes()) {
                    self.send(record, partition)?;
                }
            }
            queues.retain(|queue| !queue.is_empty());
            if queues.is_empty() {
                return Ok(());
            }
            while self.producer()?.in_flight_count() > 0 {
                self.step()?;
                if self.is_late() {
                    return Err(Trouble::Abortable(UNANSWERED.to_owned()).into());
                }
            }
        }
    }

    fn send_offsets(&mut self, work: &Work) -> Result<(), Trouble> {
        if work.offsets.is_empty() {
            return Ok(());
        }
        let list = self.list(work)?;
        if self.transactional_id.is_none() {
            // They are committed once the outputs are delivered.
            self.offsets = Some(list);
            return Ok(());
        }
        let Some(member) = self.metadata.clone() else {
            return Err(Trouble::Moved("the member is in no group".to_owned()));
        };
        let producer = self.producer()?.clone();
        let call = Call { producer, offsets: Arc::new(list), member, timeout: CALL };
        let sent = self.offset_calls.add(call, LOST)?;
        sent.map_err(|error| self.trouble(&error))
    }

    fn deliver(&mut self) -> Result<(), Trouble> {
        match self.flush() {
            Err(Trouble::Retriable(message)) if self.is_late() => Err(Trouble::Abortable(message)),
            delivered => delivered,
        }
    }

    fn commit(&mut self) -> Result<(), Trouble> {
        if self.transactional_id.is_some() {
            let committed = self.producer()?.commit_transaction(CALL);
            return committed.map_err(|error| self.trouble(&error));
        }
        let Some(offsets) = &self.offsets else { return Ok(()) };
        let committed = self.consumer()?.commit(offsets, CommitMode::Sync);
        committed.map_err(|error| classify(&error))
    }

    fn abort(&mut self) -> Result<(), Trouble> {
        self.offsets = None;
        let Some(producer) = &self.producer else { return Ok(()) };
        if self.transactional_id.is_none() {
            producer.purge(PurgeConfig::default().queue());
            self.drop_reports(producer, CALL);
            return Ok(());
        }
        if !self.is_settling {
            self.drop_reports(producer, ANSWERS);
            // librdkafka gives up what is queued where a transaction fails, and reports that before this is asked for.
            let is_unanswered = self.is_unanswered
                || lock(&self.delivered).is_given_up
                || producer.in_flight_count() > 0;
            // It throws away what is queued, and then waits for reports that nobody takes meanwhile.
            let begun = producer.abort_transaction(FIRST_ABORT).map_err(|e| self.trouble(&e));
            let aborted = match begun {
                Err(Trouble::Retriable(_)) => {
                    self.drop_reports(producer, CALL);
                    producer.abort_transaction(CALL).map_err(|error| self.trouble(&error))
                }
                ended => ended,
            };
            self.is_unanswered = is_unanswered;
            aborted?;
        }
        // librdkafka gives the numbers of records that it throws away to those that come next, as if the former had
        // never been sent. Where they were, and the answer was lost, the broker takes the latter for a repetition,
        // says that it has them, and drops them. A producer that is made anew numbers in an epoch of its own.
        if self.is_unanswered { self.renew() } else { Ok(()) }
    }

    fn was_committed(&mut self, work: &Work) -> Result<bool, Trouble> {
        let partitions: Vec<TopicPartition> =
            work.offsets.iter().map(|(partition, _)| partition.clone()).collect();
        if partitions.is_empty() {
            return Ok(false);
        }
        let list = self.committed(&partitions)?;
        Ok(list.elements().iter().any(|element| element.metadata() == work.note))
    }

    fn pause(&mut self, attempt: u32) {
        let doubled = FIRST_PAUSE.saturating_mul(1 << attempt.min(10).saturating_sub(1));
        let until = Instant::now() + doubled.min(LONGEST_PAUSE);
        match &self.producer {
            // Tokens, logs and reports are served meanwhile.
            Some(producer) => producer.poll(until.saturating_duration_since(Instant::now())),
            None => nap(doubled.min(LONGEST_PAUSE)),
        }
    }
}

impl MemberProducer {
    /// Takes reports of what is to be or was thrown away, for so long at most.
    fn drop_reports(&self, producer: &SessionProducer, patience: Duration) {
        let deadline = Instant::now() + patience;
        while producer.in_flight_count() > 0 && Instant::now() < deadline {
            // What they say of failures is of no interest any more.
            if self.step().is_err() {
                lock(&self.delivered).failure = None;
            }
        }
    }
}

/// While a transaction is open, what could be tried again is tried again in the next one.
fn abortable(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Retriable(message) => Trouble::Abortable(message),
        other => other,
    }
}
