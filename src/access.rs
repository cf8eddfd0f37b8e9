//! Gets at the topics: on Kafka those of the cluster; else those of a running pipeline through its socket, or the
//! embedded engine's directory itself.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use hephaestus_gateway::control::RemoteLog;
use hephaestus_pipeline::engine::{
    Engine, EngineError, Log, embedded::EmbeddedEngine, kafka::KafkaEngine,
};
use tokio::time::Instant;

use crate::{cli::EngineKind, config::Config};

/// How long a directory that another process holds, and does not serve yet, is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two tries of a directory that another process holds.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// How long brokers may take to answer for the first time.
const BROKERS_TIMEOUT: Duration = Duration::from_secs(10);

/// The topics of a directory, or of a cluster.
pub(crate) struct Access {
    /// Reads and writes them.
    pub(crate) log: Arc<dyn Log>,
    /// The engine, where no running pipeline has it; on Kafka always.
    pub(crate) engine: Option<Arc<dyn Engine>>,
    /// The directory; empty on Kafka.
    pub(crate) dir: PathBuf,
}

impl Access {
    /// Lets go of the topics once everything is durable.
    pub(crate) async fn close(self) -> Result<()> {
        if let Some(engine) = self.engine {
            engine.close().await?;
        }
        Ok(())
    }
}

/// Opens the topics, which have to be there: the directory exists, or the brokers answer.
pub(crate) async fn open(config: &Config) -> Result<Access> {
    if let Some(access) = open_if_there(config).await? {
        return Ok(access);
    }
    let dir = config.dir()?;
    bail!(
        "no directory {}; `hephaestus up --dir {}` makes it, --dir names another",
        dir.display(),
        dir.display()
    );
}

/// Opens the topics, where there is a directory; on Kafka the brokers have to answer.
pub(crate) async fn open_if_there(config: &Config) -> Result<Option<Access>> {
    if config.engine == EngineKind::Kafka {
        return open_cluster(config).await.map(Some);
    }
    let dir = config.dir()?;
    if !dir.is_dir() {
        return Ok(None);
    }
    open_dir(&dir, config).await.map(Some)
}

/// Opens the topics of the cluster, or of the directory, which is made where there is none.
pub(crate) async fn open_or_create(config: &Config) -> Result<Access> {
    match config.engine {
        EngineKind::Kafka => open_cluster(config).await,
        EngineKind::Embedded => open_dir(&config.dir()?, config).await,
    }
}

async fn open_cluster(config: &Config) -> Result<Access> {
    let engine = connect(config).await?;
    let log: Arc<dyn Log> = engine.clone();
    Ok(Access { log, engine: Some(engine), dir: PathBuf::new() })
}

/// Connects to the configured brokers, and has them answer once.
///
/// # Errors
/// Where none is named, none answers in time, or they refuse.
pub(crate) async fn connect(config: &Config) -> Result<Arc<KafkaEngine>> {
    let brokers = config.brokers()?;
    let connecting = KafkaEngine::connect(brokers, config.kafka.clone(), config.max_record_bytes());
    match tokio::time::timeout(BROKERS_TIMEOUT, connecting).await {
        Ok(engine) => engine.with_context(|| format!("kafka at {brokers}")),
        Err(_) => bail!("kafka at {brokers}: no broker answers within {BROKERS_TIMEOUT:?}"),
    }
}

async fn open_dir(dir: &Path, config: &Config) -> Result<Access> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        if let Some(remote) = RemoteLog::connect(dir).await? {
            return Ok(Access { log: Arc::new(remote), engine: None, dir: dir.to_owned() });
        }
        match EmbeddedEngine::open(config.embedded(dir)).await {
            Ok(engine) => {
                let log: Arc<dyn Log> = engine.clone();
                return Ok(Access { log, engine: Some(engine), dir: dir.to_owned() });
            }
            // A pipeline that is starting or stopping, or another command: it will not be long.
            Err(error) if is_in_use(&error) && Instant::now() < deadline => {
                tokio::time::sleep(BUSY_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_in_use(error: &EngineError) -> bool {
    error.to_string().contains("is in use by")
}
