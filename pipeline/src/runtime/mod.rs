//! Runs a stage: takes its input in, runs units of work, and commits what they lead to.
//!
//! Delivery is exactly once; see `window` for what a commit covers, `unit` for what a failure leads to.

mod cache;
mod dead_letter;
mod driver;
mod output;
mod partition;
mod tables;
mod timers;
mod unit;
mod window;

use std::{sync::Arc, time::Duration};

use hephaestus_schemas::codec::Codec;
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{Engine, EngineError},
    health::{Health, LoopHealth},
    retry::RetryPolicy,
    stage::{Failure, Stage},
    telemetry::metrics::Metrics,
};

/// Longest time between two beats of a loop: tables are read whole before its first.
const LONGEST_BEAT: Duration = Duration::from_secs(60);

/// How a stage's loop is bounded.
#[derive(Debug, Clone)]
pub struct StageConfig {
    /// Bytes of inputs and outputs that may be in flight, over all partitions.
    pub max_in_flight_bytes: usize,
    /// Bytes asked for in one poll.
    pub poll_bytes: usize,
    /// Longest time that finished work waits for its commit.
    pub commit_interval: Duration,
    /// Bytes of keyed state held in memory, over all partitions.
    pub state_cache_bytes: usize,
    /// How long a stop waits for work that runs.
    pub drain_deadline: Duration,
    /// How long work that is to be retried waits.
    pub retry: RetryPolicy,
    /// How many sessions (group members) the stage runs side by side.
    pub sessions: usize,
}

impl Default for StageConfig {
    fn default() -> Self {
        Self {
            max_in_flight_bytes: 16 << 20,
            poll_bytes: 1 << 20,
            commit_interval: Duration::from_millis(5),
            state_cache_bytes: 16 << 20,
            drain_deadline: Duration::from_secs(10),
            retry: RetryPolicy::default(),
            sessions: 1,
        }
    }
}

/// What a stage runs on.
#[derive(Clone)]
pub struct StageDeps {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// Encodes and decodes values.
    pub codec: Codec,
    /// Metrics.
    pub metrics: Metrics,
    /// Readiness and liveness.
    pub health: Health,
}

/// Why a stage stopped on its own.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The program or its configuration is at fault.
    #[error("stage {stage}: {message}")]
    Fatal {
        /// Stage.
        stage: &'static str,
        /// What was wrong, and what would be right.
        message: String,
    },
    /// The engine gave up.
    #[error("stage {stage}: {error}")]
    Engine {
        /// Stage.
        stage: &'static str,
        /// What the engine said.
        #[source]
        error: EngineError,
    },
}

/// Runs a stage until `shutdown`, then drains it.
///
/// # Errors
/// On a fatal failure of the stage or the engine; nothing half-done is visible then.
pub async fn run_stage<S: Stage>(
    stage: Arc<S>,
    deps: StageDeps,
    config: StageConfig,
    shutdown: CancellationToken,
) -> Result<(), StageError> {
    let spec = stage.spec();
    // Registered before anything is waited for, so that readiness waits for it too.
    let sessions = 0..config.sessions.max(1);
    let loops: Vec<LoopHealth> =
        sessions.map(|_| deps.health.register_within(spec.name, LONGEST_BEAT)).collect();
    register(stage.as_ref(), spec.name, spec.stateful, &deps.codec, &config, &shutdown).await?;

    let mut followers = tokio::task::JoinSet::new();
    for sink in &spec.tables {
        let log: Arc<dyn crate::engine::Log> = deps.engine.clone();
        let reader =
            tables::TableReader::load(log, deps.codec.clone(), sink.clone(), &shutdown).await;
        let reader = reader.map_err(|error| StageError::Engine { stage: spec.name, error })?;
        followers.spawn(reader.follow(shutdown.clone()));
    }

    // One session that fails stops the others: the process is to stop as a whole.
    let stop = shutdown.child_token();
    let mut sessions = tokio::task::JoinSet::new();
    for health in loops {
        let driver =
            driver::Driver::join(stage.clone(), &deps, config.clone(), health, stop.clone())
                .await?;
        sessions.spawn(driver.run());
    }
    let mut outcome = Ok(());
    while let Some(ended) = sessions.join_next().await {
        let ended = ended.unwrap_or_else(|error| {
            Err(StageError::Fatal { stage: spec.name, message: format!("its loop ended: {error}") })
        });
        if outcome.is_ok() && ended.is_err() {
            outcome = ended;
        }
        stop.cancel();
    }
    followers.shutdown().await;
    outcome
}

async fn register<S: Stage>(
    stage: &S,
    name: &'static str,
    stateful: bool,
    codec: &Codec,
    config: &StageConfig,
    shutdown: &CancellationToken,
) -> Result<(), StageError> {
    let mut delays = config.retry.delays();
    loop {
        let mut registered = stage.register(codec).await;
        if registered.is_ok() && stateful {
            let topic = unit::state_topic(name);
            registered =
                crate::stage::register_value::<hephaestus_schemas::StateEntry>(&topic, codec).await;
        }
        let (message, after) = match registered {
            Ok(()) => return Ok(()),
            Err(Failure::Retry { message, after, .. }) => (message, after),
            Err(failure) => {
                return Err(StageError::Fatal { stage: name, message: failure.to_string() });
            }
        };
        let delay = delays.next(after).unwrap_or(config.retry.max());
        tracing::warn!(stage = name, message, ?delay, "schemas cannot be registered yet");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(delay) => {}
        }
    }
}
