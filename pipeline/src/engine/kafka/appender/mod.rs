//! Appends outside a group: concurrent ones share a transaction, and each is written whole or not at all.
//!
//! One thread with one producer. At least once, without transactions, an append that fails may have been written in part.

mod worker;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use tokio::{
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
};

use self::worker::Worker;
use super::{
    clients::Clients,
    cluster::{Cluster, unknown},
    reader::Reader,
};
use crate::{
    engine::{EngineError, TopicPartition},
    partitioner::partition_for,
    record::{NewRecord, Record},
};

/// Appends that wait at most.
const MOST_WAITING: usize = 1024;
/// Bytes that a record counts beside its payload.
const RECORD_OVERHEAD: usize = 96;

/// Appends records.
pub(super) struct Appender {
    clients: Arc<Clients>,
    cluster: Arc<Cluster>,
    reader: Reader,
    requests: mpsc::Sender<Request>,
    room: Arc<Semaphore>,
    room_bytes: usize,
    turn: AtomicU32,
    done: watch::Receiver<bool>,
}

type Places = Vec<(u32, u64)>;

/// Why an append did not succeed.
struct Refused {
    error: EngineError,
    /// Where its records lie if they were written after all: the answer to the commit was lost.
    perhaps: Option<Places>,
}

enum Request {
    Append(Append),
    /// Gets the producer ready.
    Prepare(oneshot::Sender<Result<(), EngineError>>),
    Stop,
}

struct Append {
    /// Each with its partition.
    records: Vec<(u32, NewRecord)>,
    bytes: usize,
    reply: oneshot::Sender<Result<Places, Refused>>,
    _room: OwnedSemaphorePermit,
}

impl Appender {
    pub(super) fn start(
        clients: Arc<Clients>,
        cluster: Arc<Cluster>,
        reader: Reader,
    ) -> Result<Self, EngineError> {
        let (requests, received) = mpsc::channel(MOST_WAITING);
        let (say_done, done) = watch::channel(false);
        let cannot = |error| EngineError::Fatal(format!("cannot start a thread: {error}"));
        let waiting =
            runtime::Builder::new_current_thread().enable_time().build().map_err(cannot)?;
        let worker = Worker::new(clients.clone(), cluster.clone());
        thread::Builder::new()
            .name("kafka-appender".to_owned())
            .spawn(move || {
                worker.run(&waiting, received);
                say_done.send_replace(true);
            })
            .map_err(cannot)?;
        let room_bytes = clients.config().produce_queue.as_usize().min(Semaphore::MAX_PERMITS >> 1);
        let room = Arc::new(Semaphore::new(room_bytes));
        let turn = AtomicU32::new(fastrand::u32(..));
        Ok(Self { clients, cluster, reader, requests, room, room_bytes, turn, done })
    }

    /// Gets the producer ready.
    ///
    /// # Errors
    /// Fatal where the cluster knows no transactions.
    pub(super) async fn prepare(&self) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Prepare(reply)).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Writes records; gives partition and offset of each.
    pub(super) async fn append(&self, records: Vec<NewRecord>) -> Result<Places, EngineError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let limit = self.clients.max_record_bytes();
        if let Some(large) = records.iter().find(|record| record.size() > limit) {
            let (topic, size) = (large.topic.to_string(), large.size());
            return Err(EngineError::RecordTooLarge { topic, size, limit });
        }
        let records = self.place(records).await?;
        let sizes = records.iter().map(|(_, record)| record.size() + RECORD_OVERHEAD);
        let bytes: usize = sizes.sum();
        let room = u32::try_from(bytes.min(self.room_bytes)).unwrap_or(u32::MAX);
        let room = self.room.clone().acquire_many_owned(room).await.map_err(|_| closed())?;
        let (reply, answer) = oneshot::channel();
        let first = records.first().map(|(_, record)| record.clone());
        let append = Append { records, bytes, reply, _room: room };
        self.requests.send(Request::Append(append)).await.map_err(|_| closed())?;
        match answer.await {
            Ok(Ok(places)) => Ok(places),
            Ok(Err(Refused { error, perhaps: None })) => Err(error),
            Ok(Err(Refused { error, perhaps: Some(places) })) => match first {
                Some(first) if self.was_written(&first, &places).await? => Ok(places),
                _ => Err(error),
            },
            Err(_) => Err(closed()),
        }
    }

    /// Whether a transaction whose commit was not answered was committed: the next producer with the same id gets ready
    /// only when the coordinator has decided, and then its records are there or they never will be.
    async fn was_written(&self, first: &NewRecord, places: &Places) -> Result<bool, EngineError> {
        let unsure = |error: EngineError| {
            EngineError::Unavailable(format!("appending: it may have been written or not; {error}"))
        };
        let Some((partition, offset)) = places.first() else { return Ok(false) };
        self.prepare().await.map_err(unsure)?;
        let partition = TopicPartition { topic: first.topic.clone(), partition: *partition };
        let found = self.reader.read(&partition, *offset, 0).await.map_err(unsure)?;
        let is_it = |found: &Record| {
            found.offset == *offset && found.key == first.key && found.value == first.value
        };
        Ok(found.first().is_some_and(is_it))
    }

    /// Gives each record its partition; records without a key go to one partition, each append to the next.
    async fn place(&self, records: Vec<NewRecord>) -> Result<Vec<(u32, NewRecord)>, EngineError> {
        let mut counts: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut placed = Vec::with_capacity(records.len());
        for record in records {
            let count = match counts.get(&record.topic) {
                Some(count) => *count,
                None => {
                    let partition = record.partition.unwrap_or(0);
                    let wanted = TopicPartition { topic: record.topic.clone(), partition };
                    self.cluster.check(&wanted).await?;
                    let count = self.cluster.count(&record.topic).await?;
                    let count = count.ok_or_else(|| unknown(&wanted))?;
                    counts.insert(record.topic.clone(), count);
                    count
                }
            };
            let partition = match (&record.partition, &record.key) {
                (Some(partition), _) => *partition,
                (None, Some(key)) => partition_for(key, count),
                (None, None) => turn % count.max(1),
            };
            if partition >= count {
                let wanted = TopicPartition { topic: record.topic.clone(), partition };
                return Err(unknown(&wanted));
            }
            placed.push((partition, record));
        }
        Ok(placed)
    }

    /// Takes no more appends; what is returned becomes true once those that were taken are decided.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.room.close();
        // Where the queue is full, the thread ends when the last sender is gone.
        let _ = self.requests.try_send(Request::Stop);
        self.done.clone()
    }
}

fn closed() -> EngineError {
    EngineError::Unavailable("the engine is closed".to_owned())
}
