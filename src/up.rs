//! `hephaestus up` and `hephaestus run`: stages of one process, until they are asked to stop.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde::Serialize;

use crate::{
    config::Config,
    output::{Output, tell},
    signals,
    system::{Door, GATEWAY, STAGES, System},
};

/// What a script needs to talk to a pipeline that has started.
#[derive(Serialize)]
struct Started {
    listen: SocketAddr,
    registry: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    dir: Option<PathBuf>,
}

/// Runs every stage, and takes lines in.
pub(crate) async fn up(listen: Option<SocketAddr>, config: &Config) -> Result<()> {
    let door = Door::Intake(listen.unwrap_or(config.listen));
    run_until_asked(config, &STAGES.map(str::to_owned), door).await
}

/// Runs some stages; lines are taken in where the gateway is one of them.
pub(crate) async fn run(
    stages: &[String],
    listen: Option<SocketAddr>,
    config: &Config,
) -> Result<()> {
    let listen = listen.unwrap_or(config.listen);
    let takes_lines = stages.iter().any(|stage| stage == GATEWAY);
    let door = if takes_lines { Door::Intake(listen) } else { Door::Admin(listen) };
    run_until_asked(config, stages, door).await
}

async fn run_until_asked(config: &Config, stages: &[String], door: Door) -> Result<()> {
    let mut system = System::start(config, stages, door).await?;
    let started = Started {
        listen: system.address(),
        registry: system.registry_url().to_owned(),
        dir: system.directory().map(Path::to_owned),
    };
    // Whoever reads that it has started may stop it at once.
    let asked = signals::listen()?;
    tell(format_args!("listening on http://{}, stop with ctrl-c", started.listen));
    let mut out = Output::new();
    out.json(&started)?;
    out.flush()?;

    let outcome = tokio::select! {
        () = asked => Ok(()),
        error = system.failed() => Err(error),
    };
    let stopped = system.stop().await;
    outcome.and(stopped)
}
