//! The engine alone: a stage that copies, run by the runtime in a process of its own, as the program runs its stages.

use std::sync::Arc;

use bytes::Bytes;
use hephaestus_pipeline::{
    config::Secret,
    engine::{
        Engine,
        kafka::{KafkaConfig, KafkaEngine},
    },
    health::Health,
    record::Record,
    runtime::{StageConfig, StageDeps, run_stage},
    stage::{Effects, Failure, Input, Output, Stage, StageSpec},
    telemetry::metrics::Metrics,
};
use hephaestus_schemas::{
    codec::{Codec, CodecLimits, EncodeError},
    topics::RAW_LOGS,
};
use tokio_util::sync::CancellationToken;

/// Name of the stage and its group.
pub(crate) const GROUP: &str = "copy";
/// Topic that it writes.
pub(crate) const COPIES: &str = "copies";
/// Topic of what it rejects.
pub(crate) const DEAD_LETTERS: &str = "copy-dead-letters";
/// First argument with which this program runs the stage.
pub(crate) const ARGUMENT: &str = "copying-stage";
/// Largest record.
const MAX_RECORD: usize = 1 << 20;
/// Inputs and outputs in flight, in bytes: what the program has by default on Kafka.
const IN_FLIGHT: usize = 64 << 20;

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
        COPIES
    }

    fn key(&self) -> Bytes {
        self.0.clone()
    }

    fn encode(&self, _codec: &Codec) -> Result<Option<Bytes>, EncodeError> {
        Ok(self.1.clone())
    }
}

struct Copying;

impl Stage for Copying {
    type Input = Raw;
    type Output = Copied;
    type State = ();

    fn spec(&self) -> StageSpec {
        StageSpec {
            name: GROUP,
            version: "1",
            reads: vec![RAW_LOGS],
            writes: vec![COPIES],
            tables: Vec::new(),
            stateful: false,
            max_run: 2_048,
            concurrency: 4,
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

/// Runs the stage until the process is killed, with the bounds that the program has by default, and with further
/// settings of librdkafka.
pub(crate) async fn run(servers: &str, settings: &[String]) {
    let mut config = KafkaConfig::default();
    for (name, value) in settings.iter().map(|setting| setting.split_once('=').unwrap()) {
        config.settings.insert(name.to_owned(), Secret::new(value));
    }
    let sessions = config.sessions;
    let engine = KafkaEngine::connect(servers, config, MAX_RECORD).await.unwrap();
    let limits = CodecLimits { max_value_bytes: MAX_RECORD };
    // Nothing is encoded, so that no registry is asked.
    let codec = Codec::connect("http://127.0.0.1:1", limits).unwrap();
    let engine: Arc<dyn Engine> = engine;
    let deps = StageDeps { engine, codec, metrics: Metrics::new().unwrap(), health: Health::new() };
    let defaults = StageConfig::default();
    let config = StageConfig {
        commit_interval: std::time::Duration::from_millis(100),
        max_in_flight_bytes: IN_FLIGHT / sessions,
        poll_bytes: defaults.poll_bytes / sessions,
        sessions,
        ..defaults
    };
    println!("ready");
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        terminate.recv().await;
        asked.cancel();
    });
    run_stage(Arc::new(Copying), deps, config, stop).await.unwrap();
}
