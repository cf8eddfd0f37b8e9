//! The thread that appends: gathers what waits to transactions, and tells each append what became of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Message as _},
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig},
    util::Timeout,
};
use tokio::{runtime, sync::mpsc};

use super::{Append, MOST_WAITING, Places, Refused, Request, closed};
use crate::{
    engine::{
        EngineError, TopicPartition,
        kafka::{
            clients::Clients,
            cluster::{Cluster, Edge},
            context::{Callbacks, has_lost_connection},
            error::{Trouble, classify, classify_code},
            message::{signed, to_headers},
        },
    },
    record::NewRecord,
};

/// Bytes of one transaction, about: what comes later waits for the next.
const TRANSACTION_BYTES: usize = 8 << 20;
/// One step of waiting for acknowledgements: rdkafka's poll always takes all of its time.
const STEP: Duration = Duration::from_millis(1);
/// One step of getting the producer ready, between which tokens are served.
const INIT_STEP: Duration = Duration::from_millis(500);
/// Without appends the producer's events are served this often.
const IDLE: Duration = Duration::from_secs(1);
/// How long an append waits until what it wrote can be read.
const STABLE_BOUND: Duration = Duration::from_millis(500);
/// So often a batch is tried where one of its appends spoils the transaction of the others, or the producer must be new.
const MOST_TRIES: usize = 4;

/// Where each record of the batch went, or why it did not.
type Outcome = Option<Result<u64, RDKafkaErrorCode>>;

/// What became of each record of the batch.
#[derive(Default)]
struct Outcomes(Mutex<Vec<Outcome>>);

impl Outcomes {
    fn lock(&self) -> MutexGuard<'_, Vec<Outcome>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProducerContext for Callbacks<Outcomes> {
    /// Index in the batch.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let outcome = match result {
            Ok(message) => Ok(u64::try_from(message.offset()).unwrap_or_default()),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        };
        if let Some(slot) = self.lock().get_mut(index) {
            *slot = Some(outcome);
        }
    }
}

type AppendProducer = BaseProducer<Callbacks<Outcomes>>;

/// The thread's state.
pub(super) struct Worker {
    clients: Arc<Clients>,
    cluster: Arc<Cluster>,
    transactional_id: String,
    producer: Option<AppendProducer>,
}

/// The places of each append.
fn split(batch: &[Append], mut places: Places) -> Vec<Places> {
    let mut parts = Vec::with_capacity(batch.len());
    for append in batch {
        let rest = places.split_off(append.records.len().min(places.len()));
        parts.push(std::mem::replace(&mut places, rest));
    }
    parts
}

/// Why a batch was not written.
enum Failed {
    /// These appends of the batch can never be written, each with the reason; the others can.
    Spoilt(Vec<(usize, EngineError)>),
    /// A new producer may do it: nothing of this was written.
    Renew(EngineError),
    /// It may be written or not; where it is, there.
    Unknown(EngineError, Places),
    /// Nothing of it was written.
    All(EngineError),
}

impl Worker {
    pub(super) fn new(clients: Arc<Clients>, cluster: Arc<Cluster>) -> Self {
        // Of this process alone: nobody else may end its transactions.
        let transactional_id = format!("hephaestus-append-{:016x}", fastrand::u64(..));
        Self { clients, cluster, transactional_id, producer: None }
    }

    /// Writes what comes until it is told to stop.
    pub(super) fn run(mut self, waiting: &runtime::Runtime, mut received: mpsc::Receiver<Request>) {
        let mut is_stopping = false;
        while !is_stopping {
            let next =
                waiting.block_on(async { tokio::time::timeout(IDLE, received.recv()).await });
            let mut request = match next {
                Ok(Some(request)) => request,
                Ok(None) => return,
                Err(_) => {
                    self.serve();
                    continue;
                }
            };
            let (mut batch, mut bytes) = (Vec::new(), 0);
            loop {
                match request {
                    Request::Append(append) => {
                        bytes += append.bytes;
                        batch.push(append);
                    }
                    Request::Prepare(reply) => {
                        let _ = reply.send(self.ready());
                    }
                    Request::Stop => is_stopping = true,
                }
                if bytes >= TRANSACTION_BYTES || batch.len() >= MOST_WAITING {
                    break;
                }
                match received.try_recv() {
                    Ok(more) => request = more,
                    Err(_) => break,
                }
            }
            self.write(batch);
        }
        // What was sent before the end is decided too.
        received.close();
        while let Ok(request) = received.try_recv() {
            if let Request::Append(append) = request {
                self.write(vec![append]);
            }
        }
    }

    /// Serves log lines, errors and requests for tokens.
    fn serve(&self) {
        if let Some(producer) = &self.producer {
            producer.poll(Duration::ZERO);
        }
    }

    /// Makes the producer where there is none.
    fn ready(&mut self) -> Result<(), EngineError> {
        if self.producer.is_some() {
            return Ok(());
        }
        let mut settings = self.clients.producer_settings();
        settings.push(("linger.ms", "1".to_owned()));
        if self.clients.is_exactly_once() {
            settings.extend(self.clients.transactional_settings(&self.transactional_id));
        }
        let context =
            Callbacks { engine: self.clients.context("appender"), own: Outcomes::default() };
        let producer: AppendProducer = self.clients.create(&settings, context)?;
        if self.clients.is_exactly_once() {
            let deadline = Instant::now() + self.clients.request_timeout();
            loop {
                producer.poll(Duration::ZERO);
                let Err(error) = producer.init_transactions(INIT_STEP) else { break };
                let trouble = classify(&error);
                let may_repeat = matches!(trouble, Trouble::Retriable(_) | Trouble::Fenced(_));
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnsupportedFeature) {
                    return Err(EngineError::Fatal(
                        "the brokers know no transactions: set kafka.delivery = \"at-least-once\", or update them"
                            .to_owned(),
                    ));
                }
                if !may_repeat || Instant::now() >= deadline {
                    return Err(self.clients.error("getting ready to write", &error));
                }
            }
        }
        self.producer = Some(producer);
        Ok(())
    }

    /// Writes a batch, without the appends that spoil it.
    fn write(&mut self, mut batch: Vec<Append>) {
        // Who asked may have gone meanwhile; what nobody waits for is still written.
        for left in (0..MOST_TRIES).rev() {
            if batch.is_empty() {
                return;
            }
            let error = match self.try_write(&batch) {
                Ok(places) => {
                    self.wait_until_stable(&batch, &places);
                    let places = split(&batch, places);
                    for (append, places) in batch.into_iter().zip(places) {
                        let _ = append.reply.send(Ok(places));
                    }
                    return;
                }
                Err(Failed::Spoilt(spoilt)) => {
                    // From the last on, so that indexes stay right.
                    for (index, error) in spoilt.into_iter().rev() {
                        if index < batch.len() {
                            let refused = Refused { error, perhaps: None };
                            let _ = batch.remove(index).reply.send(Err(refused));
                        }
                    }
                    continue;
                }
                Err(Failed::Renew(error)) => {
                    self.producer = None;
                    if left > 0 {
                        continue;
                    }
                    error
                }
                Err(Failed::Unknown(error, places)) => {
                    self.producer = None;
                    let places = split(&batch, places);
                    for (append, places) in batch.into_iter().zip(places) {
                        let error = error.clone();
                        let refused = Refused { error, perhaps: Some(places) };
                        let _ = append.reply.send(Err(refused));
                    }
                    return;
                }
                Err(Failed::All(error)) => error,
            };
            for append in batch {
                let refused = Refused { error: error.clone(), perhaps: None };
                let _ = append.reply.send(Err(refused));
            }
            return;
        }
        for append in batch {
            let message = "appends of others kept failing in the same transaction".to_owned();
            let refused = Refused { error: EngineError::Unavailable(message), perhaps: None };
            let _ = append.reply.send(Err(refused));
        }
    }

    /// The coordinator acknowledges a commit before each partition has its mark: waits for the marks, so that who
    /// appended reads what it wrote. Transactions of others may hold them back; that is not waited for long.
    fn wait_until_stable(&self, batch: &[Append], places: &Places) {
        if !self.clients.is_exactly_once() {
            return;
        }
        let mut last: BTreeMap<TopicPartition, u64> = BTreeMap::new();
        let records = batch.iter().flat_map(|append| &append.records);
        for ((_, record), (partition, offset)) in records.zip(places) {
            let partition = TopicPartition { topic: record.topic.clone(), partition: *partition };
            let known = last.entry(partition).or_default();
            *known = (*known).max(*offset);
        }
        let deadline = Instant::now() + STABLE_BOUND;
        loop {
            let partitions: Vec<TopicPartition> = last.keys().cloned().collect();
            let Ok(ends) = self.cluster.edges_now(&partitions, Edge::End) else { return };
            for (partition, end) in partitions.iter().zip(ends) {
                if last.get(partition).is_some_and(|offset| end > *offset) {
                    last.remove(partition);
                }
            }
            if last.is_empty() {
                return;
            }
            if Instant::now() >= deadline {
                tracing::debug!(partitions = last.len(), "what was appended cannot be read yet");
                return;
            }
            thread::park_timeout(STEP);
        }
    }

    fn try_write(&mut self, batch: &[Append]) -> Result<Places, Failed> {
        self.ready().map_err(Failed::All)?;
        let Some(producer) = self.producer.take() else {
            return Err(Failed::All(closed()));
        };
        if !self.clients.is_exactly_once() {
            let written = self.send(&producer, batch);
            let written = written.and_then(|()| self.places(&producer, batch));
            self.producer = Some(producer);
            return written;
        }
        producer.begin_transaction().map_err(|error| self.renew(&error))?;
        let sent = self.send(&producer, batch);
        let sent = sent.and_then(|()| self.places(&producer, batch));
        match sent.and_then(|places| self.commit(&producer, places)) {
            Ok(places) => {
                // A request that comes late would end the next transaction, half made: see `Session::prepare`.
                let may_go_on = !has_lost_connection(&producer);
                self.producer = may_go_on.then_some(producer);
                Ok(places)
            }
            // librdkafka gives the numbers of records that it gave up to the next ones, which a broker that has the
            // former takes for their repetition and drops. A new producer numbers in an epoch of its own.
            Err(failed) => {
                if !matches!(failed, Failed::Unknown(..)) {
                    self.abort(&producer);
                }
                Err(failed)
            }
        }
    }

    /// Hands all records to librdkafka and waits until each is acknowledged or given up.
    fn send(&self, producer: &AppendProducer, batch: &[Append]) -> Result<(), Failed> {
        let count: usize = batch.iter().map(|append| append.records.len()).sum();
        {
            let mut outcomes = producer.context().lock();
            outcomes.clear();
            outcomes.resize(count, None);
        }
        let deadline = Instant::now() + self.clients.config().transaction_timeout.0;
        let mut index = 0;
        for (number, append) in batch.iter().enumerate() {
            for (partition, record) in &append.records {
                self.send_one(producer, *partition, record, index, deadline).map_err(|error| {
                    match self.spoils(record, error.rdkafka_error_code()) {
                        Some(reason) => Failed::Spoilt(vec![(number, reason)]),
                        None => self.all(&error),
                    }
                })?;
                index += 1;
            }
        }
        while producer.in_flight_count() > 0 {
            producer.poll(STEP);
            if Instant::now() >= deadline + self.clients.request_timeout() {
                let message = "appending: no acknowledgement in time".to_owned();
                return Err(Failed::All(EngineError::Unavailable(message)));
            }
        }
        Ok(())
    }

    fn send_one(
        &self,
        producer: &AppendProducer,
        partition: u32,
        record: &NewRecord,
        index: usize,
        deadline: Instant,
    ) -> Result<(), KafkaError> {
        let mut new: BaseRecord<'_, [u8], [u8], usize> =
            BaseRecord::with_opaque_to(&record.topic, index)
                .partition(signed(partition))
                // librdkafka takes 0 for now.
                .timestamp(record.timestamp_ms.max(1))
                .headers(to_headers(&record.headers));
        if let Some(key) = &record.key {
            new = new.key(key);
        }
        if let Some(value) = &record.value {
            new = new.payload(value);
        }
        loop {
            let Err((error, back)) = producer.send(new) else { return Ok(()) };
            let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            if !is_full || Instant::now() >= deadline {
                return Err(error);
            }
            producer.poll(STEP);
            new = back;
        }
    }

    /// Where the records went; or which appends can never be written.
    fn places(&self, producer: &AppendProducer, batch: &[Append]) -> Result<Places, Failed> {
        let outcomes = std::mem::take(&mut *producer.context().lock());
        let mut outcomes = outcomes.into_iter();
        let mut places = Vec::with_capacity(outcomes.len());
        let mut spoilt = Vec::new();
        let mut failed = None;
        for (number, append) in batch.iter().enumerate() {
            let mut reason = None;
            for (partition, record) in &append.records {
                match outcomes.next().flatten() {
                    Some(Ok(offset)) => places.push((*partition, offset)),
                    Some(Err(code)) => {
                        reason = reason.or_else(|| self.spoils(record, Some(code)));
                        failed = failed.or(Some(code));
                    }
                    None => failed = failed.or(Some(RDKafkaErrorCode::Fail)),
                }
            }
            spoilt.extend(reason.map(|reason| (number, reason)));
        }
        match failed {
            None => Ok(places),
            Some(_) if !spoilt.is_empty() => Err(Failed::Spoilt(spoilt)),
            Some(code) => Err(self.all(&KafkaError::MessageProduction(code))),
        }
    }

    /// Why a record can never be written, where that is what a code says.
    fn spoils(&self, record: &NewRecord, code: Option<RDKafkaErrorCode>) -> Option<EngineError> {
        let topic = record.topic.to_string();
        match code? {
            RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize => {
                let limit = self.clients.max_record_bytes();
                Some(EngineError::RecordTooLarge { topic, size: record.size(), limit })
            }
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition => Some(EngineError::UnknownPartition {
                topic,
                partition: record.partition.unwrap_or(0),
            }),
            RDKafkaErrorCode::InvalidRecord if record.key.is_none() => Some(EngineError::Fatal(
                format!("record without a key for compacted topic {topic:?}"),
            )),
            code => match classify_code(code, &format!("topic {topic:?}: {code}")) {
                Trouble::Fatal(message) => Some(EngineError::Fatal(message)),
                _ => None,
            },
        }
    }

    fn all(&self, error: &KafkaError) -> Failed {
        match classify(error) {
            Trouble::Fenced(_) => self.renew(error),
            _ => Failed::All(self.clients.error("appending", error)),
        }
    }

    fn renew(&self, error: &KafkaError) -> Failed {
        Failed::Renew(self.clients.error("appending", error))
    }

    fn commit(&self, producer: &AppendProducer, places: Places) -> Result<Places, Failed> {
        let deadline = Instant::now() + self.clients.request_timeout();
        loop {
            let Err(error) = producer.commit_transaction(Timeout::After(self.step(deadline)))
            else {
                return Ok(places);
            };
            match classify(&error) {
                Trouble::Retriable(_) if Instant::now() < deadline => producer.poll(Duration::ZERO),
                Trouble::Abortable(_) | Trouble::Moved(_) => {
                    return Err(Failed::All(EngineError::Unavailable(
                        self.clients.scrub(&format!("appending: {error}")),
                    )));
                }
                _ => {
                    let message = self.clients.scrub(&format!("appending: {error}"));
                    return Err(Failed::Unknown(EngineError::Unavailable(message), places));
                }
            }
        }
    }

    /// Ends the transaction, so that readers need not wait until the next producer does: it has the same id.
    fn abort(&self, producer: &AppendProducer) {
        let deadline = Instant::now() + self.clients.request_timeout();
        // librdkafka waits for what is in flight, and rdkafka does not tell it what was acknowledged meanwhile.
        producer.purge(PurgeConfig::default().queue());
        while producer.in_flight_count() > 0 && Instant::now() < deadline {
            producer.poll(STEP);
        }
        while let Err(error) = producer.abort_transaction(Timeout::After(self.step(deadline))) {
            let may_repeat = matches!(classify(&error), Trouble::Retriable(_));
            if !may_repeat || Instant::now() >= deadline {
                return;
            }
            producer.poll(STEP);
        }
    }

    fn step(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1))
    }
}
