//! A log in memory whose faults a test can choose, and an HTTP client.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use hephaestus_gateway::{
    http::{GatewayLimits, GatewayState, http_router},
    serve::{ServeLimits, serve},
};
use hephaestus_pipeline::{
    engine::{
        Cleanup, EngineError, GroupOffset, Log, PartitionInfo, TopicInfo, TopicPartition, TopicSpec,
    },
    health::Health,
    partitioner::partition_for,
    record::{NewRecord, Record},
    telemetry::metrics::Metrics,
};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore, watch},
};
use tokio_util::sync::CancellationToken;

/// Topics of two partitions, in memory.
pub(crate) struct MemoryLog {
    partitions: Mutex<Vec<(TopicPartition, Vec<Record>)>>,
    grown: watch::Sender<()>,
    /// Appends that may go on; each takes one.
    pub(crate) allowed: Semaphore,
    /// Told of each append that has begun.
    pub(crate) begun: Notify,
    /// Appends after which the log is unavailable.
    pub(crate) fails_after: AtomicUsize,
}

const PARTITIONS: u32 = 2;
/// Largest record.
pub(crate) const RECORD_LIMIT: usize = 24 << 20;

impl MemoryLog {
    pub(crate) fn new(topics: &[&str]) -> Arc<Self> {
        let partitions = topics.iter().flat_map(|topic| {
            (0..PARTITIONS)
                .map(|partition| (TopicPartition { topic: (*topic).into(), partition }, Vec::new()))
        });
        Arc::new(Self {
            partitions: Mutex::new(partitions.collect()),
            grown: watch::Sender::new(()),
            allowed: Semaphore::new(1 << 20),
            begun: Notify::new(),
            fails_after: AtomicUsize::new(usize::MAX),
        })
    }

    /// Every record, by partition and offset.
    pub(crate) fn records(&self) -> Vec<Record> {
        let partitions = self.partitions.lock().unwrap();
        partitions.iter().flat_map(|(_, records)| records.clone()).collect()
    }

    fn unknown(partition: &TopicPartition) -> EngineError {
        EngineError::UnknownPartition {
            topic: partition.topic.to_string(),
            partition: partition.partition,
        }
    }

    fn with<T>(
        &self,
        partition: &TopicPartition,
        read: impl FnOnce(&[Record]) -> T,
    ) -> Result<T, EngineError> {
        let partitions = self.partitions.lock().unwrap();
        let found = partitions.iter().find(|(name, _)| name == partition);
        found.map(|(_, records)| read(records)).ok_or_else(|| Self::unknown(partition))
    }
}

#[async_trait]
impl Log for MemoryLog {
    async fn topics(&self) -> Result<Vec<TopicInfo>, EngineError> {
        let partitions = self.partitions.lock().unwrap();
        let mut topics: Vec<TopicInfo> = Vec::new();
        for (partition, records) in partitions.iter() {
            let info = PartitionInfo { earliest: 0, end: records.len() as u64 };
            match topics.last_mut() {
                Some(topic) if topic.spec.name == partition.topic => topic.partitions.push(info),
                _ => topics.push(TopicInfo {
                    spec: TopicSpec {
                        name: partition.topic.clone(),
                        partitions: PARTITIONS,
                        cleanup: Cleanup::Delete { retention_ms: Some(5), retention_bytes: None },
                    },
                    partitions: vec![info],
                }),
            }
        }
        Ok(topics)
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<(u32, u64)>, EngineError> {
        self.begun.notify_one();
        self.allowed.acquire().await.unwrap().forget();
        let left = self.fails_after.fetch_sub(1, Ordering::SeqCst);
        if left == 0 {
            self.fails_after.store(0, Ordering::SeqCst);
            return Err(EngineError::Unavailable("no space left on device".to_owned()));
        }
        let mut partitions = self.partitions.lock().unwrap();
        let mut places = Vec::new();
        for record in &records {
            if record.size() > RECORD_LIMIT {
                return Err(EngineError::RecordTooLarge {
                    topic: record.topic.to_string(),
                    size: record.size(),
                    limit: RECORD_LIMIT,
                });
            }
            let key = record.key.as_deref().unwrap_or_default();
            let chosen = record.partition.unwrap_or_else(|| partition_for(key, PARTITIONS));
            let partition = TopicPartition { topic: record.topic.clone(), partition: chosen };
            let place = partitions.iter().position(|(name, _)| *name == partition);
            places.push(place.ok_or_else(|| Self::unknown(&partition))?);
        }
        let mut written = Vec::new();
        for (place, record) in places.into_iter().zip(records) {
            let (partition, stored) = &mut partitions[place];
            let offset = stored.len() as u64;
            written.push((partition.partition, offset));
            stored.push(Record {
                topic: record.topic,
                partition: partition.partition,
                offset,
                timestamp_ms: record.timestamp_ms,
                key: record.key,
                value: record.value,
                headers: record.headers,
            });
        }
        self.grown.send_replace(());
        Ok(written)
    }

    async fn read(
        &self,
        partition: &TopicPartition,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Record>, EngineError> {
        self.with(partition, |records| {
            let mut size = 0;
            let wanted = records.iter().skip(usize::try_from(from).unwrap_or(usize::MAX));
            let fits = |record: &&Record| {
                let is_first = size == 0;
                size += record.size().max(1);
                is_first || size <= max_bytes
            };
            wanted.take_while(fits).cloned().collect()
        })
    }

    async fn wait(
        &self,
        partition: &TopicPartition,
        offset: u64,
        wait: Duration,
    ) -> Result<bool, EngineError> {
        let mut grown = self.grown.subscribe();
        let passed = async {
            loop {
                if self.with(partition, |records| records.len() as u64 > offset)? {
                    return Ok(true);
                }
                grown.changed().await.unwrap();
            }
        };
        tokio::time::timeout(wait, passed).await.unwrap_or(Ok(false))
    }

    async fn offset_at(
        &self,
        partition: &TopicPartition,
        timestamp_ms: i64,
    ) -> Result<u64, EngineError> {
        self.with(partition, |records| {
            let found = records.iter().position(|record| record.timestamp_ms >= timestamp_ms);
            found.unwrap_or(records.len()) as u64
        })
    }

    async fn groups(&self) -> Result<Vec<Arc<str>>, EngineError> {
        Ok(vec!["a group".into(), "größe".into()])
    }

    async fn group_offsets(&self, group: &str) -> Result<Vec<GroupOffset>, EngineError> {
        let partitions = self.partitions.lock().unwrap();
        let offsets = partitions.iter().map(|(partition, records)| GroupOffset {
            partition: partition.clone(),
            next: group.len() as u64,
            end: records.len() as u64,
            lag_ms: u64::from(partition.partition),
        });
        Ok(offsets.collect())
    }
}

/// A gateway on a port of its own, stopped when dropped.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) health: Health,
    pub(crate) stop: CancellationToken,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Door {
    pub(crate) async fn open(limits: GatewayLimits) -> Self {
        let log = MemoryLog::new(&["raw-logs"]);
        let health = Health::new();
        let metrics = Metrics::new().unwrap();
        let state = GatewayState::new(log.clone(), health.clone(), metrics, limits).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = serve(listener, http_router(state), ServeLimits::default(), stop.clone());
        let task = tokio::spawn(serving);
        Self { address, log, health, stop, task }
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        exchange(self.address, "POST", path, headers, body.into()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        exchange(self.address, "GET", path, &[], Bytes::new()).await
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().expect(&self.body).to_owned()
    }
}

pub(crate) async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "gateway");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(body)).unwrap()).await.unwrap();
    let status = response.status();
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}
