//! A running pipeline: engine, registry, stages and doors of one process, wired as the topology says.

mod nodes;
mod observe;
pub(crate) mod schema_store;
pub(crate) mod shared_schemas;
mod stages;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use hephaestus_gateway::{
    control,
    http::{GatewayState, admin_router, http_router},
    serve::{ServeLimits, serve},
};
use hephaestus_pipeline::{
    clock,
    engine::{Engine, Log, TopicSpec, embedded::EmbeddedEngine},
    health::Health,
    runtime::{StageDeps, StageError},
    telemetry::metrics::Metrics,
};
use hephaestus_schemas::codec::Codec;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::schema_store::TopicStore;
pub(crate) use self::stages::{GATEWAY, STAGES};
use crate::{
    access,
    cli::EngineKind,
    codec::{REGISTRY_URL_FILE, serve_registry},
    config::{Config, LAST_COMMIT},
    topology::{self, to_spec},
};

/// How long a stop waits for each part, after the time to drain, before it goes on without it.
const STOP_GRACE: Duration = LAST_COMMIT;

/// What the door lets in, and where it is.
pub(crate) enum Door {
    /// Lines, health checks and monitoring.
    Intake(SocketAddr),
    /// Health checks and monitoring.
    Admin(SocketAddr),
}

/// What stages run on: topics, and the schemas of what is in them.
struct Ground {
    engine: Arc<dyn Engine>,
    codec: Codec,
    registry_url: String,
    /// Directory of the embedded engine.
    directory: Option<PathBuf>,
}

/// A pipeline that runs in this process.
pub(crate) struct System {
    ground: Ground,
    address: SocketAddr,
    drain: Duration,
    stages: JoinSet<Result<(), StageError>>,
    doors: JoinSet<()>,
    stop_stages: CancellationToken,
    stop_doors: CancellationToken,
}

impl System {
    /// Starts the named stages and everything around them. Once it returns the door is open;
    /// `/readyz` says when every stage is ready.
    pub(crate) async fn start(config: &Config, names: &[String], door: Door) -> Result<Self> {
        stages::check_names(names)?;
        let stop_doors = CancellationToken::new();
        let mut doors = JoinSet::new();
        let ground = match config.engine {
            EngineKind::Embedded => embedded(config, &stop_doors).await?,
            EngineKind::Kafka => kafka(config, names).await?,
        };
        let log = ground.log();
        publish_nodes(config, &ground).await?;
        let stages = stages::make(names, config)?;
        for stage in &stages {
            stage.register(&ground.codec).await?;
        }
        if let Some(directory) = &ground.directory {
            std::fs::write(directory.join(REGISTRY_URL_FILE), &ground.registry_url)
                .context("the registry's address cannot be written into the directory")?;
        }

        let metrics = Metrics::new()?;
        for stage in &stages {
            stage.show(&metrics)?;
        }
        let health = Health::new();
        let deps = StageDeps {
            engine: ground.engine.clone(),
            codec: ground.codec.clone(),
            metrics: metrics.clone(),
            health: health.clone(),
        };
        let stop_stages = CancellationToken::new();
        let mut running = JoinSet::new();
        for stage in stages {
            stage.spawn(deps.clone(), config.stage()?, &mut running, stop_stages.clone());
        }
        let watch = observe::Watch {
            log: log.clone(),
            metrics: metrics.clone(),
            groups: watched_groups(config, names),
            door: matches!(door, Door::Intake(_)).then(|| health.register(GATEWAY)),
        };
        doors.spawn(watch.run(stop_doors.clone()));

        let state = GatewayState::new(log.clone(), health, metrics, config.gateway())?;
        let (listen, router) = match door {
            Door::Intake(listen) => (listen, http_router(state)),
            Door::Admin(listen) => (listen, admin_router(state)),
        };
        let listener = TcpListener::bind(listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        doors.spawn(serve(listener, router, ServeLimits::default(), stop_doors.clone()));
        if let Some(directory) = &ground.directory {
            let control = control::listen(directory)?;
            doors.spawn(control::serve(control, log, stop_doors.clone()));
        }

        Ok(Self {
            ground,
            address,
            drain: config.limits.drain.into(),
            stages: running,
            doors,
            stop_stages,
            stop_doors,
        })
    }

    /// The engine's topics.
    pub(crate) fn log(&self) -> Arc<dyn Log> {
        self.ground.log()
    }

    /// Encodes and decodes values.
    pub(crate) fn codec(&self) -> &Codec {
        &self.ground.codec
    }

    /// Address of the door.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Address of the schema registry.
    pub(crate) fn registry_url(&self) -> &str {
        &self.ground.registry_url
    }

    /// Directory of the embedded engine.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.ground.directory.as_deref()
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
        if let Some(directory) = &self.ground.directory {
            let _ = std::fs::remove_file(directory.join(REGISTRY_URL_FILE));
        }
        self.ground.engine.close().await?;
        outcome
    }
}

impl Ground {
    fn log(&self) -> Arc<dyn Log> {
        self.engine.clone()
    }
}

/// A directory, its topics made where they are missing, and a registry of its own.
async fn embedded(config: &Config, stop: &CancellationToken) -> Result<Ground> {
    let directory = config.dir()?;
    let engine = EmbeddedEngine::open(config.embedded(&directory)).await?;
    let topology = hephaestus_topology::pipeline(&config.profile())?;
    create_topics(&engine, topology.topics.iter().map(to_spec).collect()).await?;
    let store = TopicStore(engine.clone());
    let (_, registry_url) = serve_registry(store, config.registry_listen, stop).await?;
    let codec = Codec::connect(&registry_url, config.codec())?;
    Ok(Ground { engine, codec, registry_url, directory: Some(directory) })
}

/// A cluster whose topics are as they should be, and its registry.
async fn kafka(config: &Config, stages: &[String]) -> Result<Ground> {
    let endpoint = config.registry_endpoint()?;
    let engine = access::connect(config).await?;
    topology::check_at_start(config, engine.as_ref(), stages).await?;
    let codec = Codec::connect_to(&endpoint, config.codec())?;
    Ok(Ground { engine, codec, registry_url: endpoint.url, directory: None })
}

/// Publishes the configured nodes. On Kafka a process without any leaves them to those that have some:
/// a door, or a stage that needs none, is configured without.
async fn publish_nodes(config: &Config, ground: &Ground) -> Result<()> {
    let nodes = config.nodes(clock::now_micros())?;
    if config.engine == EngineKind::Kafka && nodes.is_empty() {
        return Ok(());
    }
    nodes::publish(&ground.log(), &ground.codec, &nodes).await
}

/// Groups whose lag this process shows: on Kafka, where others show theirs, those of its own stages.
fn watched_groups(config: &Config, names: &[String]) -> Option<Vec<Arc<str>>> {
    if config.engine == EngineKind::Embedded {
        return None;
    }
    let stages = names.iter().filter(|name| *name != GATEWAY);
    Some(stages.map(|name| name.as_str().into()).collect())
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
