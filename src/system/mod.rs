//! A running pipeline: engine, registry, stages and doors of one process, wired as the topology says.

mod nodes;
mod observe;
pub(crate) mod schema_store;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use hephaestus_analyzer::Analyzer;
use hephaestus_change_requester::ChangeRequester;
use hephaestus_classifier::stage::ClassifierStage;
use hephaestus_gateway::{
    control,
    http::{GatewayState, admin_router, http_router},
    serve::{ServeLimits, serve},
};
use hephaestus_model_engine::{ModelProvider, PlaybookProvider};
use hephaestus_pipeline::{
    clock,
    engine::{Engine, Log, TopicSpec, embedded::EmbeddedEngine},
    health::Health,
    runtime::{StageDeps, StageError, run_stage},
    telemetry::metrics::Metrics,
};
use hephaestus_proposer::Proposer;
use hephaestus_schemas::codec::Codec;
use hephaestus_topology::nearest;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    access::refuse_kafka,
    codec::{REGISTRY_URL_FILE, serve_registry},
    config::Config,
    topology::to_spec,
    usage::WrongUsage,
};

/// Stages, in the order of the flow.
pub(crate) const STAGES: [&str; 4] = ["classifier", "analyzer", "proposer", "change-requester"];
/// How long a stop waits for each part, after the time to drain, before it goes on without it.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// What the door lets in, and where it is.
pub(crate) enum Door {
    /// Lines, health checks and monitoring.
    Intake(SocketAddr),
    /// Health checks and monitoring.
    Admin(SocketAddr),
}

/// A pipeline that runs in this process.
pub(crate) struct System {
    engine: Arc<EmbeddedEngine>,
    codec: Codec,
    address: SocketAddr,
    registry_url: String,
    directory: PathBuf,
    drain: Duration,
    stages: JoinSet<Result<(), StageError>>,
    doors: JoinSet<()>,
    stop_stages: CancellationToken,
    stop_doors: CancellationToken,
}

impl System {
    /// Starts the named stages and everything around them. Once it returns the door is open;
    /// `/readyz` says when every stage is ready.
    pub(crate) async fn start(config: &Config, stages: &[String], door: Door) -> Result<Self> {
        if let Some(unknown) = stages.iter().find(|stage| !STAGES.contains(&stage.as_str())) {
            let hint = nearest(unknown, STAGES);
            let hint = hint.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
            return Err(WrongUsage(format!("no stage {unknown:?}{hint}")).into());
        }
        refuse_kafka(config)?;
        let directory = config.dir()?;
        let engine = EmbeddedEngine::open(config.embedded(&directory)).await?;
        let topology = hephaestus_topology::pipeline(&config.profile())?;
        create_topics(&engine, topology.topics.iter().map(to_spec).collect()).await?;
        let log: Arc<dyn Log> = engine.clone();

        let stop_doors = CancellationToken::new();
        let mut doors = JoinSet::new();
        let registry_url = serve_registry(&log, config.registry_listen, &stop_doors).await?;
        let codec = Codec::connect(&registry_url, config.codec())?;
        nodes::publish(&log, &codec, &config.nodes(clock::now_micros())?).await?;
        std::fs::write(directory.join(REGISTRY_URL_FILE), &registry_url)
            .context("the registry's address cannot be written into the directory")?;

        let metrics = Metrics::new()?;
        let health = Health::new();
        let deps = StageDeps {
            engine: engine.clone(),
            codec: codec.clone(),
            metrics: metrics.clone(),
            health: health.clone(),
        };
        let stop_stages = CancellationToken::new();
        let mut running = JoinSet::new();
        spawn_stages(config, stages, &deps, &mut running, &stop_stages)?;
        let watched = observe::watch(log.clone(), metrics.clone(), stop_doors.clone());
        doors.spawn(watched);

        let state = GatewayState::new(log.clone(), health, metrics, config.gateway())?;
        let (listen, router) = match door {
            Door::Intake(listen) => (listen, http_router(state)),
            Door::Admin(listen) => (listen, admin_router(state)),
        };
        let listener = TcpListener::bind(listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        doors.spawn(serve(listener, router, ServeLimits::default(), stop_doors.clone()));
        let control = control::listen(&directory)?;
        doors.spawn(control::serve(control, log, stop_doors.clone()));

        Ok(Self {
            engine,
            codec,
            address,
            registry_url,
            directory,
            drain: config.limits.drain.into(),
            stages: running,
            doors,
            stop_stages,
            stop_doors,
        })
    }

    /// The engine's topics.
    pub(crate) fn log(&self) -> Arc<dyn Log> {
        self.engine.clone()
    }

    /// Encodes and decodes values.
    pub(crate) fn codec(&self) -> &Codec {
        &self.codec
    }

    /// Address of the door.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Address of the schema registry.
    pub(crate) fn registry_url(&self) -> &str {
        &self.registry_url
    }

    /// Waits until a stage stops on its own: an error, since none should.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match self.stages.join_next().await {
            Some(Ok(Ok(()))) => anyhow!("a stage stopped without being asked to"),
            Some(Ok(Err(error))) => error.into(),
            Some(Err(error)) => anyhow!("a stage was lost: {error}"),
            None => std::future::pending().await,
        }
    }

    /// Closes the door, drains the stages, and makes sure that everything is on disk.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.stop_stages.cancel();
        let patience = self.drain.saturating_add(STOP_GRACE);
        let mut outcome = Ok(());
        let drained = tokio::time::timeout(patience, async {
            while let Some(stage) = self.stages.join_next().await {
                if let Ok(Err(error)) = stage
                    && outcome.is_ok()
                {
                    outcome = Err(anyhow::Error::from(error));
                }
            }
        });
        if drained.await.is_err() {
            outcome = Err(anyhow!("the stages did not drain within {patience:?}"));
        }
        self.stop_doors.cancel();
        let closed = async { while self.doors.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_GRACE, closed).await.is_err() {
            tracing::warn!("open connections did not end in time");
        }
        let _ = std::fs::remove_file(self.directory.join(REGISTRY_URL_FILE));
        self.engine.close().await?;
        outcome
    }
}

/// Makes topics that are missing or different. Where all are there nothing is written, so that a
/// pipeline starts on a full disk too, says so to senders, and goes on once there is room.
async fn create_topics(engine: &Arc<EmbeddedEngine>, mut topics: Vec<TopicSpec>) -> Result<()> {
    let known = engine.topics().await?;
    topics.retain(|topic| known.iter().all(|known| known.spec != *topic));
    if !topics.is_empty() {
        engine.create_topics(&topics).await?;
    }
    Ok(())
}

fn spawn_stages(
    config: &Config,
    names: &[String],
    deps: &StageDeps,
    running: &mut JoinSet<Result<(), StageError>>,
    stop: &CancellationToken,
) -> Result<()> {
    let provider: Arc<dyn ModelProvider> = Arc::new(PlaybookProvider::new()?);
    let secret_keys = &config.classifier.secret_keys;
    for name in names {
        let (deps, limits, stop) = (deps.clone(), config.stage()?, stop.clone());
        match name.as_str() {
            "classifier" => {
                let stage = Arc::new(ClassifierStage::new(config.classifier.clone()));
                running.spawn(run_stage(stage, deps, limits, stop));
            }
            "analyzer" => {
                let stage = Arc::new(Analyzer::new(provider.clone(), secret_keys));
                running.spawn(run_stage(stage, deps, limits, stop));
            }
            "proposer" => {
                let stage = Arc::new(Proposer::new(provider.clone(), secret_keys));
                running.spawn(run_stage(stage, deps, limits, stop));
            }
            _ => {
                running.spawn(run_stage(Arc::new(ChangeRequester), deps, limits, stop));
            }
        }
    }
    Ok(())
}
