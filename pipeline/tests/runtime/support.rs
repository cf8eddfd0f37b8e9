//! A small stage over an embedded engine in a directory of its own, with a registry on loopback.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use hephaestus_pipeline::{
    clock,
    engine::{
        Cleanup, Engine, Log, TopicPartition, TopicSpec,
        embedded::{EmbeddedConfig, EmbeddedEngine},
    },
    health::Health,
    record::{Headers, NewRecord, Record},
    runtime::{StageConfig, StageDeps, StageError, run_stage},
    stage::{Effects, Failure, Input, Output, Stage, StageSpec, State, Timer},
    table::TableSink,
    telemetry::metrics::Metrics,
};
use hephaestus_schemas::{
    codec::{Codec, CodecLimits, EncodeError},
    registry::{MemoryStore, Registry},
    registry_http,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const PARTITIONS: u32 = 4;

/// A text, as it came.
pub(crate) struct Text(pub(crate) String);

impl Input for Text {
    async fn decode(record: &Record, _codec: &Codec) -> Result<Self, Failure> {
        let bytes = record.value.as_deref().unwrap_or_default();
        let text = std::str::from_utf8(bytes);
        text.map(|text| Self(text.to_owned())).map_err(|error| Failure::reject("utf-8", error))
    }
}

/// What the stage writes: the text and how many the key had before.
pub(crate) struct Numbered {
    pub(crate) key: Bytes,
    pub(crate) text: String,
    pub(crate) number: u64,
}

impl Output for Numbered {
    fn topic(&self) -> &'static str {
        "out"
    }

    fn key(&self) -> Bytes {
        self.key.clone()
    }

    fn encode(&self, _codec: &Codec) -> Result<Option<Bytes>, EncodeError> {
        Ok(Some(format!("{}#{}", self.text, self.number).into()))
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Count(pub(crate) u64);

impl State for Count {
    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn weight(&self) -> usize {
        8
    }
}

/// Numbers the texts of each key. Texts that begin with a word of its language do more:
/// `reject`, `panic`, `fatal`, `retry N` (fails N times), `timer MS` (emits after a while).
pub(crate) struct Numberer {
    pub(crate) max_run: usize,
    pub(crate) tables: Vec<Arc<dyn TableSink>>,
    pub(crate) tries: AtomicU32,
}

impl Default for Numberer {
    fn default() -> Self {
        Self { max_run: 64, tables: Vec::new(), tries: AtomicU32::new(0) }
    }
}

impl Stage for Numberer {
    type Input = Text;
    type Output = Numbered;
    type State = Count;

    fn spec(&self) -> StageSpec {
        StageSpec {
            name: "numberer",
            version: "1",
            reads: vec!["in"],
            writes: vec!["out"],
            tables: self.tables.clone(),
            stateful: true,
            max_run: self.max_run,
            concurrency: 4,
        }
    }

    async fn register(&self, _codec: &Codec) -> Result<(), Failure> {
        Ok(())
    }

    async fn process(
        &self,
        record: &Record,
        Text(text): Text,
        state: &mut Count,
        effects: &mut Effects<Numbered>,
    ) -> Result<(), Failure> {
        // A failure after the state was touched must leave no trace of it.
        state.0 += 1;
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match word {
            "reject" => return Err(Failure::reject("asked", "as asked")),
            "panic" => panic!("as asked"),
            "fatal" => return Err(Failure::Fatal { message: "as asked".into() }),
            "retry" => {
                let times: u32 = rest.parse().unwrap();
                if self.tries.fetch_add(1, Ordering::SeqCst) < times {
                    return Err(Failure::retry("asked", "as asked"));
                }
            }
            "timer" => {
                effects.set_timer("later", clock::now_ms() + rest.parse::<i64>().unwrap());
                return Ok(());
            }
            _ => {}
        }
        let key = record.key.clone().unwrap_or_default();
        effects.emit(Numbered { key, text, number: state.0 });
        Ok(())
    }

    async fn on_timer(
        &self,
        timer: &Timer,
        state: &mut Count,
        effects: &mut Effects<Numbered>,
    ) -> Result<(), Failure> {
        state.0 += 1;
        let text = timer.name.clone();
        effects.emit(Numbered { key: timer.key.clone(), text, number: state.0 });
        Ok(())
    }
}

/// An engine and what a stage runs on.
pub(crate) struct Bench {
    pub(crate) engine: Arc<EmbeddedEngine>,
    pub(crate) codec: Codec,
    _directory: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let registry = Registry::open(MemoryStore::default()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            axum::serve(listener, registry_http::router(registry)).await.unwrap();
        });
        let codec = Codec::connect(&url, CodecLimits { max_value_bytes: 1 << 20 }).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let engine = open(directory.path()).await;
        Self { engine, codec, _directory: directory }
    }

    pub(crate) fn start(&self, stage: Numberer) -> Running {
        self.start_with(Arc::new(stage), self.engine.clone(), config())
    }

    pub(crate) fn start_with(
        &self,
        stage: Arc<Numberer>,
        engine: Arc<dyn Engine>,
        config: StageConfig,
    ) -> Running {
        let deps = StageDeps {
            engine,
            codec: self.codec.clone(),
            metrics: Metrics::new().unwrap(),
            health: Health::new(),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(run_stage(stage, deps, config, stop.clone()));
        Running { task, stop }
    }

    pub(crate) async fn send(&self, texts: &[(&str, &str)]) {
        let records = texts.iter().map(|(key, text)| NewRecord {
            topic: "in".into(),
            partition: None,
            timestamp_ms: clock::now_ms(),
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: Some(Bytes::copy_from_slice(text.as_bytes())),
            headers: Headers(vec![("sent-by".into(), "test".into())]),
        });
        self.engine.append(records.collect()).await.unwrap();
    }

    /// All records of a topic.
    pub(crate) async fn all(&self, topic: &str) -> Vec<Record> {
        let mut all = Vec::new();
        for partition in 0..PARTITIONS {
            let partition = TopicPartition { topic: topic.into(), partition };
            let mut next = 0;
            loop {
                let page = self.engine.read(&partition, next, 1 << 20).await.unwrap();
                let Some(last) = page.last() else { break };
                next = last.offset + 1;
                all.extend(page);
            }
        }
        all
    }

    /// Waits until a topic has that many records, and gives them.
    pub(crate) async fn wait_for(&self, topic: &str, count: usize) -> Vec<Record> {
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                let records = self.all(topic).await;
                if records.len() >= count {
                    return records;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("topic {topic} never had {count} records"))
    }

    /// The texts that were written for each key, in order.
    pub(crate) async fn written(&self) -> BTreeMap<String, Vec<String>> {
        let mut written: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for record in self.all("out").await {
            let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
            let text = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
            written.entry(key).or_default().push(text);
        }
        written
    }
}

async fn open(directory: &std::path::Path) -> Arc<EmbeddedEngine> {
    let engine = EmbeddedEngine::open(EmbeddedConfig::new(directory)).await.unwrap();
    let delete = Cleanup::Delete { retention_ms: None, retention_bytes: None };
    let topics = [
        ("in", delete),
        ("out", delete),
        ("numberer-dead-letters", delete),
        ("numberer-state", Cleanup::Compact),
        ("nodes", Cleanup::Compact),
    ];
    let specs = topics.map(|(name, cleanup)| TopicSpec {
        name: name.into(),
        partitions: PARTITIONS,
        cleanup,
    });
    engine.create_topics(&specs).await.unwrap();
    engine
}

/// Short pauses, so that tests are quick.
pub(crate) fn config() -> StageConfig {
    let retry = hephaestus_pipeline::retry::RetrySettings {
        initial: hephaestus_pipeline::config::HumanDuration::from_millis(10),
        max: hephaestus_pipeline::config::HumanDuration::from_millis(50),
        ..Default::default()
    };
    StageConfig {
        retry: hephaestus_pipeline::retry::RetryPolicy::new(retry).unwrap(),
        drain_deadline: Duration::from_secs(5),
        ..StageConfig::default()
    }
}

/// A stage that runs.
pub(crate) struct Running {
    pub(crate) task: JoinHandle<Result<(), StageError>>,
    pub(crate) stop: CancellationToken,
}

impl Running {
    /// Drains the stage.
    pub(crate) async fn drain(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Takes the stage away in the middle of whatever it does, as a crash would.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
