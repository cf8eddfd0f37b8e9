//! What the runtime itself costs: a stage that copies, on an engine that only counts. One core's worth of figures.
//!
//! `cargo run --release -p hephaestus-pipeline --example runtime_rate`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use hephaestus_pipeline::{
    engine::{
        Commit, Committing, Engine, EngineError, GroupOffset, GroupSpec, Log, Member, Polled,
        StateReader, TopicInfo, TopicPartition, TopicSpec,
    },
    health::Health,
    record::{Headers, NewRecord, Record},
    runtime::{StageConfig, StageDeps, run_stage},
    stage::{Effects, Failure, Input, Output, Stage, StageSpec},
    telemetry::metrics::Metrics,
};
use hephaestus_schemas::codec::{Codec, CodecLimits, EncodeError};
use tokio_util::sync::CancellationToken;

const PARTITIONS: u32 = 4;
const RECORDS: u64 = 4_000_000;
const BATCH: usize = 1_000;
const SOURCES: usize = 16;

/// The bytes as they came.
struct Raw(Option<Bytes>);

impl Input for Raw {
    async fn decode(record: &Record, _codec: &Codec) -> Result<Self, Failure> {
        Ok(Self(record.value.clone()))
    }
}

struct Copied(Bytes, Option<Bytes>);

impl Output for Copied {
    fn topic(&self) -> &'static str {
        "copies"
    }

    fn key(&self) -> Bytes {
        self.0.clone()
    }

    fn encode(&self, _codec: &Codec) -> Result<Option<Bytes>, EncodeError> {
        Ok(self.1.clone())
    }
}

struct Copy;

impl Stage for Copy {
    type Input = Raw;
    type Output = Copied;
    type State = ();

    fn spec(&self) -> StageSpec {
        StageSpec {
            name: "copy",
            version: "1",
            reads: vec!["lines"],
            writes: vec!["copies"],
            tables: Vec::new(),
            stateful: false,
            max_run: 1_000,
            concurrency: 2,
        }
    }

    async fn register(&self, _codec: &Codec) -> Result<(), Failure> {
        Ok(())
    }

    async fn process(
        &self,
        record: &Record,
        input: Raw,
        _state: &mut (),
        effects: &mut Effects<Copied>,
    ) -> Result<(), Failure> {
        effects.emit(Copied(record.key.clone().unwrap_or_default(), input.0));
        Ok(())
    }
}

/// Hands out records for as long as there are some, and counts what is committed.
struct Counting {
    committed: Arc<AtomicU64>,
    done: CancellationToken,
}

struct CountingMember {
    records: Vec<Record>,
    assigned: bool,
    next: u64,
    committed: Arc<AtomicU64>,
    done: CancellationToken,
}

#[async_trait]
impl Member for CountingMember {
    async fn poll(&mut self, wait: Duration, max_bytes: usize) -> Result<Polled, EngineError> {
        if !self.assigned {
            self.assigned = true;
            return Ok(Polled::Assigned((0..PARTITIONS).collect()));
        }
        if max_bytes == 0 || self.next >= RECORDS {
            tokio::time::sleep(wait.min(Duration::from_millis(1))).await;
            return Ok(Polled::Nothing);
        }
        let partition = u32::try_from(self.next / BATCH as u64).unwrap() % PARTITIONS;
        let first = self.next;
        self.next += BATCH as u64;
        let records = self.records.iter().enumerate().map(|(index, record)| Record {
            offset: first + index as u64,
            partition,
            ..record.clone()
        });
        Ok(Polled::Records(records.collect()))
    }

    fn pause(&mut self, _partition: u32) {}

    fn resume(&mut self, _partition: u32) {}

    fn commit(&mut self, commit: Commit) -> Committing {
        let written = commit.records.len() as u64;
        let total = self.committed.fetch_add(written, Ordering::Relaxed) + written;
        if total >= RECORDS {
            self.done.cancel();
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn state(&self) -> Arc<dyn StateReader> {
        Arc::new(NoState)
    }

    async fn leave(self: Box<Self>) -> Result<(), EngineError> {
        Ok(())
    }
}

struct NoState;

#[async_trait]
impl StateReader for NoState {
    async fn get(&self, _partition: u32, _key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(None)
    }

    async fn scan(
        &self,
        _partition: u32,
        _after: Option<&[u8]>,
        _limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        Ok(Vec::new())
    }
}

fn nothing<T>() -> Result<T, EngineError> {
    Err(EngineError::Fatal("this engine only counts".to_owned()))
}

#[async_trait]
impl Log for Counting {
    async fn topics(&self) -> Result<Vec<TopicInfo>, EngineError> {
        nothing()
    }
    async fn append(&self, _: Vec<NewRecord>) -> Result<Vec<(u32, u64)>, EngineError> {
        nothing()
    }
    async fn read(&self, _: &TopicPartition, _: u64, _: usize) -> Result<Vec<Record>, EngineError> {
        nothing()
    }
    async fn wait(&self, _: &TopicPartition, _: u64, _: Duration) -> Result<bool, EngineError> {
        nothing()
    }
    async fn offset_at(&self, _: &TopicPartition, _: i64) -> Result<u64, EngineError> {
        nothing()
    }
    async fn groups(&self) -> Result<Vec<Arc<str>>, EngineError> {
        nothing()
    }
    async fn group_offsets(&self, _: &str) -> Result<Vec<GroupOffset>, EngineError> {
        nothing()
    }
}

#[async_trait]
impl Engine for Counting {
    async fn create_topics(&self, _: &[TopicSpec]) -> Result<(), EngineError> {
        nothing()
    }

    async fn join(&self, _: GroupSpec) -> Result<Box<dyn Member>, EngineError> {
        let records = (0..BATCH).map(|index| Record {
            topic: "lines".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: 1_700_000_000_000,
            key: Some(Bytes::from(format!("service/{}/stdout", index % SOURCES))),
            value: Some(Bytes::from(vec![b'x'; 200])),
            headers: Headers::default(),
        });
        Ok(Box::new(CountingMember {
            records: records.collect(),
            assigned: false,
            next: 0,
            committed: self.committed.clone(),
            done: self.done.clone(),
        }))
    }

    async fn close(&self) -> Result<(), EngineError> {
        Ok(())
    }
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let done = CancellationToken::new();
    let engine = Arc::new(Counting { committed: Arc::new(AtomicU64::new(0)), done: done.clone() });
    let limits = CodecLimits { max_value_bytes: 1 << 20 };
    let deps = StageDeps {
        engine,
        codec: Codec::connect("http://127.0.0.1:1", limits).unwrap(),
        metrics: Metrics::new().unwrap(),
        health: Health::new(),
    };
    let config =
        StageConfig { commit_interval: Duration::from_millis(100), ..StageConfig::default() };
    let stop = CancellationToken::new();
    let started = Instant::now();
    let before = cpu_seconds();
    let stage = tokio::spawn(run_stage(Arc::new(Copy), deps, config, stop.clone()));
    done.cancelled().await;
    let took = started.elapsed().as_secs_f64();
    let spent = cpu_seconds() - before;
    stop.cancel();
    stage.await.unwrap().unwrap();
    let records = RECORDS as f64;
    println!(
        "{:.0} records/s, {:.2} us of processor time each",
        records / took,
        spent / records * 1e6
    );
}
