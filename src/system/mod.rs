//! A running pipeline: engine, registry, stages and doors of one process, wired as the topology says.

mod lag;
mod schema_store;
mod topics;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use hephaestus_analyzer::Analyzer;
use hephaestus_change_requester::ChangeRequester;
use hephaestus_classifier::{ClassifierConfig, stage::ClassifierStage};
use hephaestus_gateway::{
    control,
    http::{GatewayLimits, GatewayState, admin_router, http_router},
    serve::{ServeLimits, serve},
};
use hephaestus_model_engine::{ModelProvider, PlaybookProvider};
use hephaestus_pipeline::{
    engine::{
        Engine, Log,
        embedded::{EmbeddedConfig, EmbeddedEngine},
    },
    health::Health,
    runtime::{StageConfig, StageDeps, StageError, run_stage},
    telemetry::metrics::Metrics,
};
use hephaestus_proposer::Proposer;
use hephaestus_schemas::{
    Node,
    codec::{Codec, CodecLimits},
    registry::Registry,
    registry_http,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Stages, in the order of the flow.
pub(crate) const STAGES: [&str; 4] = ["classifier", "analyzer", "proposer", "change-requester"];
/// Name of the file in the directory that holds the address of the registry.
pub(crate) const REGISTRY_URL_FILE: &str = "registry.url";
/// How long a stop waits for each part before it goes on without it.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// What a system is made of.
pub(crate) struct Settings {
    /// Directory and bounds of the engine.
    pub(crate) engine: EmbeddedConfig,
    /// Address of the door.
    pub(crate) listen: SocketAddr,
    /// Address of the schema registry.
    pub(crate) registry_listen: SocketAddr,
    /// Stages to run; those of [`STAGES`] for the whole.
    pub(crate) stages: Vec<String>,
    /// Whether lines are taken in at the door.
    pub(crate) intake: bool,
    /// Partitions and retention.
    pub(crate) profile: hephaestus_topology::Profile,
    /// Nodes that the configuration names.
    pub(crate) nodes: Vec<Node>,
    /// Bounds of each stage's loop.
    pub(crate) stage: StageConfig,
    /// The classifier's configuration.
    pub(crate) classifier: ClassifierConfig,
    /// Bounds of the door.
    pub(crate) gateway: GatewayLimits,
    /// Largest value in bytes.
    pub(crate) max_value_bytes: usize,
}

/// A pipeline that runs in this process.
pub(crate) struct System {
    engine: Arc<EmbeddedEngine>,
    codec: Codec,
    address: SocketAddr,
    registry_url: String,
    directory: PathBuf,
    stages: JoinSet<Result<(), StageError>>,
    doors: JoinSet<()>,
    stop_stages: CancellationToken,
    stop_doors: CancellationToken,
}

impl System {
    /// Starts all parts. Once it returns the door is open; `/readyz` says when every stage is ready.
    pub(crate) async fn start(settings: Settings) -> Result<Self> {
        let directory = settings.engine.dir.clone();
        let engine = EmbeddedEngine::open(settings.engine.clone()).await?;
        let topology = hephaestus_topology::pipeline(&settings.profile)?;
        engine.create_topics(&topics::specs(&topology)).await?;
        let log: Arc<dyn Log> = engine.clone();

        let stop_doors = CancellationToken::new();
        let mut doors = JoinSet::new();
        let registry_url =
            serve_registry(&log, settings.registry_listen, &mut doors, &stop_doors).await?;
        std::fs::write(directory.join(REGISTRY_URL_FILE), &registry_url)
            .context("the registry's address cannot be written into the directory")?;
        let limits = CodecLimits { max_value_bytes: settings.max_value_bytes };
        let codec = Codec::connect(&registry_url, limits)?;
        topics::publish_nodes(&log, &codec, &settings.nodes).await?;

        let metrics = Metrics::new()?;
        let health = Health::new();
        let stop_stages = CancellationToken::new();
        let mut stages = JoinSet::new();
        let deps = StageDeps {
            engine: engine.clone(),
            codec: codec.clone(),
            metrics: metrics.clone(),
            health: health.clone(),
        };
        spawn_stages(&settings, &deps, &mut stages, &stop_stages)?;
        doors.spawn(lag::watch(log.clone(), metrics.clone(), stop_doors.clone()));

        let state = GatewayState::new(
            log.clone(),
            Arc::new(StageHealth(health)),
            metrics.registry().clone(),
            settings.gateway,
        )?;
        let router = if settings.intake { http_router(state) } else { admin_router(state) };
        let listener = TcpListener::bind(settings.listen).await;
        let listener =
            listener.with_context(|| format!("cannot listen on {}", settings.listen))?;
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
            stages,
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
        let mut outcome = Ok(());
        let drained = tokio::time::timeout(STOP_TIMEOUT, async {
            while let Some(stage) = self.stages.join_next().await {
                if let Ok(Err(error)) = stage
                    && outcome.is_ok()
                {
                    outcome = Err(anyhow::Error::from(error));
                }
            }
        });
        if drained.await.is_err() {
            outcome = Err(anyhow!("the stages did not drain within {STOP_TIMEOUT:?}"));
        }
        self.stop_doors.cancel();
        let closed = async { while self.doors.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIMEOUT, closed).await.is_err() {
            tracing::warn!("open connections did not end in time");
        }
        let _ = std::fs::remove_file(self.directory.join(REGISTRY_URL_FILE));
        self.engine.close().await?;
        outcome
    }
}

async fn serve_registry(
    log: &Arc<dyn Log>,
    listen: SocketAddr,
    doors: &mut JoinSet<()>,
    stop: &CancellationToken,
) -> Result<String> {
    let registry = Registry::open(schema_store::TopicStore(log.clone())).await?;
    let listener = TcpListener::bind(listen).await;
    let listener = listener
        .with_context(|| format!("the schema registry cannot listen on {listen}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = registry_http::router(registry);
    doors.spawn(serve(listener, router, ServeLimits::default(), stop.clone()));
    Ok(url)
}

fn spawn_stages(
    settings: &Settings,
    deps: &StageDeps,
    stages: &mut JoinSet<Result<(), StageError>>,
    stop: &CancellationToken,
) -> Result<()> {
    let provider: Arc<dyn ModelProvider> = Arc::new(PlaybookProvider::embedded()?);
    for name in &settings.stages {
        let (deps, config, stop) = (deps.clone(), settings.stage.clone(), stop.clone());
        match name.as_str() {
            "classifier" => {
                let stage = Arc::new(ClassifierStage::new(settings.classifier.clone())?);
                stages.spawn(run_stage(stage, deps, config, stop))
            }
            "analyzer" => {
                let stage = Arc::new(Analyzer::new(provider.clone()));
                stages.spawn(run_stage(stage, deps, config, stop))
            }
            "proposer" => {
                let stage = Arc::new(Proposer::new(provider.clone()));
                stages.spawn(run_stage(stage, deps, config, stop))
            }
            "change-requester" => {
                let stage = Arc::new(ChangeRequester::new());
                stages.spawn(run_stage(stage, deps, config, stop))
            }
            other => bail!("no stage {other:?}; the stages are {}", STAGES.join(", ")),
        };
    }
    Ok(())
}

/// The health of the stages, as the door shows it.
struct StageHealth(Health);

impl hephaestus_gateway::http::Health for StageHealth {
    fn live(&self) -> Result<(), String> {
        self.0.liveness().map_err(|stuck| join(&stuck))
    }

    fn ready(&self) -> Result<(), String> {
        self.0.readiness().map_err(|waiting| join(&waiting))
    }
}

fn join<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
