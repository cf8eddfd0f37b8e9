//! Gets at the topics: those of a running pipeline through its socket, else the engine's directory itself.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Result, bail};
use hephaestus_gateway::control::RemoteLog;
use hephaestus_pipeline::engine::{Engine, EngineError, Log, embedded::EmbeddedEngine};
use tokio::time::Instant;

use crate::{cli::EngineKind, config::Config, usage::WrongUsage};

/// How long a directory that another process holds, and does not serve yet, is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two tries of a directory that another process holds.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// The topics of a directory.
pub(crate) struct Access {
    /// Reads and writes them.
    pub(crate) log: Arc<dyn Log>,
    /// The engine, where no running pipeline has it.
    pub(crate) engine: Option<Arc<dyn Engine>>,
    /// The directory.
    pub(crate) dir: PathBuf,
}

impl Access {
    /// Lets go of the directory once everything is on disk.
    pub(crate) async fn close(self) -> Result<()> {
        if let Some(engine) = self.engine {
            engine.close().await?;
        }
        Ok(())
    }
}

/// Lets go of a directory, where one was opened.
pub(crate) async fn close(access: Option<Access>) -> Result<()> {
    match access {
        Some(access) => access.close().await,
        None => Ok(()),
    }
}

/// Opens the topics of the configured directory, which has to exist.
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

/// Opens the topics of the configured directory, where it exists.
pub(crate) async fn open_if_there(config: &Config) -> Result<Option<Access>> {
    refuse_kafka(config)?;
    let dir = config.dir()?;
    if !dir.is_dir() {
        return Ok(None);
    }
    open_dir(&dir, config).await.map(Some)
}

/// Opens the topics of the configured directory, which is made where there is none.
pub(crate) async fn open_or_create(config: &Config) -> Result<Access> {
    refuse_kafka(config)?;
    open_dir(&config.dir()?, config).await
}

/// Says that the engine is not in this build, where that is so.
pub(crate) fn refuse_kafka(config: &Config) -> Result<()> {
    if config.engine == EngineKind::Kafka {
        return Err(WrongUsage("engine kafka is not in this build yet".to_owned()).into());
    }
    Ok(())
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
