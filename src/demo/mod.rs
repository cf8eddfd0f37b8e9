//! `hephaestus demo`: a small service with real defects, its real logs, and what the pipeline makes of them.
//!
//! Everything outside this folder runs as it does in production.

mod logs;
mod repository;
mod summary;
mod tally;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use hephaestus_gateway::raw::RawLines;
use hephaestus_node_manager::NodeConfig;
use hephaestus_pipeline::{clock, engine::Log, telemetry::TelemetryConfig};
use hephaestus_schemas::Codec;
use indicatif::{ProgressBar, ProgressStyle};

use self::{logs::LOGS, tally::Tally};
use crate::{
    cli::EngineKind,
    config::Config,
    output::{line, tell},
    system::{Door, STAGES, System},
    usage::WrongUsage,
};

/// Node of the sample service.
const NODE: &str = "bookshop";
/// Where the sample service was deployed when its logs were written.
const SOURCE_ROOT: &str = "/srv/bookshop";
/// Lines that are published at once.
const BATCH_LINES: usize = 500;
/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Longest time without progress before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the demo's lines are said to come from.
const SHIPPED_BY: &str = concat!("demo/", env!("CARGO_PKG_VERSION"));

/// What the demo says of its own accord is enough, unless somebody asks for more.
pub(crate) fn telemetry(config: &TelemetryConfig) -> TelemetryConfig {
    let is_default = config.filter == TelemetryConfig::default().filter;
    let filter = if is_default { "warn".to_owned() } else { config.filter.clone() };
    TelemetryConfig { filter, ..config.clone() }
}

/// Runs the demo. Data goes to standard output, what is for people to standard error.
pub(crate) async fn run(json: bool, config: &Config) -> Result<()> {
    if config.engine == EngineKind::Kafka {
        return Err(WrongUsage(
            "demo runs on the embedded engine alone, in a directory of its own; on kafka, `up` and `ship`"
                .to_owned(),
        )
        .into());
    }
    let started = Instant::now();
    let directory = make_directory(config.dir.clone())?;
    let repository_path = directory.join(NODE);
    let commits = repository::create(&repository_path)?;
    tell(format_args!("directory   {}", directory.display()));
    tell(format_args!("repository  {} ({commits} commits)", repository_path.display()));

    let config = Config {
        dir: Some(directory.join("pipeline")),
        node: vec![node(&repository_path)?],
        ..config.clone()
    };
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let stages = STAGES.map(str::to_owned);
    let mut system = System::start(&config, &stages, Door::Intake(anywhere)).await?;
    let log = system.log();
    let codec = system.codec().clone();
    let outcome = tokio::select! {
        outcome = watch(log, codec, &repository_path, started) => outcome,
        error = system.failed() => Err(error),
    };
    let stopped = system.stop().await;
    let (report, json_line) = outcome?;
    stopped?;
    if !json {
        line(&report)?;
    }
    line(&json_line)
}

fn make_directory(wanted: Option<PathBuf>) -> Result<PathBuf> {
    let Some(directory) = wanted else {
        let made = tempfile::Builder::new().prefix("hephaestus-demo-").tempdir()?;
        return Ok(made.keep());
    };
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("directory {} cannot be made", directory.display()))?;
    if std::fs::read_dir(&directory)?.next().is_some() {
        bail!("directory {} is not empty; name a new one", directory.display());
    }
    Ok(directory.canonicalize()?)
}

fn node(repository: &Path) -> Result<NodeConfig> {
    let repository = repository.to_str().context("the directory's name is not UTF-8")?;
    let text = toml::toml! {
        name = "bookshop"
        sources = ["bookshop/*/*"]
        base_branch = "main"
        mode = "deploy"
        threshold_count = 5
        threshold_window = "1m"
        allowed_paths = ["bookshop/**"]
    };
    let mut table = text;
    table.insert("repository".to_owned(), repository.into());
    table.insert("source_root".to_owned(), SOURCE_ROOT.into());
    Ok(table.try_into()?)
}

/// Publishes the logs, waits for what becomes of them, and puts it together.
async fn watch(
    log: Arc<dyn Log>,
    codec: Codec,
    repository: &Path,
    started: Instant,
) -> Result<(String, String)> {
    let mut tally = Tally::new(log.clone(), codec).await?;
    let shipped: u64 = LOGS.iter().map(|log| log.text.lines().count() as u64).sum();

    let bar = ProgressBar::new(shipped);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} lines  {msg}")?);
    let mut publish = Some(tokio::spawn(publish(log.clone())));
    let mut last_change = Instant::now();
    let mut last_seen = String::new();
    loop {
        tally.update().await?;
        let opened = tally.opened.len();
        let seen = format!(
            "{} patterns, {} incidents, {} proposals, {opened} change requests",
            tally.patterns(),
            tally.analyses.len(),
            tally.proposals.len(),
        );
        bar.set_position(tally.lines);
        bar.set_message(seen.clone());
        if let Some(done) = publish.take_if(|publish| publish.is_finished()) {
            done.await??;
        }
        let published = publish.is_none();
        let all_lines = tally.lines + tally.dead_letters >= shipped;
        if published && all_lines && is_idle(&log).await? && tally.is_settled() {
            break;
        }
        let seen = format!("{} {seen}", tally.lines);
        if seen != last_seen {
            last_seen = seen;
            last_change = Instant::now();
        } else if last_change.elapsed() > PATIENCE {
            bail!("nothing has moved for {PATIENCE:?}: {last_seen}");
        }
        tokio::time::sleep(LOOK).await;
    }
    tally.update().await?;
    bar.finish_and_clear();
    summary::make(&tally, shipped, repository, started.elapsed()).await
}

async fn publish(log: Arc<dyn Log>) -> Result<()> {
    for sample in LOGS {
        let lines = RawLines::new(sample.source, SHIPPED_BY, None);
        let mut batch = Vec::with_capacity(BATCH_LINES);
        for line in sample.text.lines() {
            batch.push(lines.record(line.as_bytes().to_vec().into(), clock::now_ms()));
            if batch.len() == BATCH_LINES {
                log.append(std::mem::take(&mut batch)).await?;
            }
        }
        log.append(batch).await?;
    }
    Ok(())
}

/// Whether every stage has done all that there is.
async fn is_idle(log: &Arc<dyn Log>) -> Result<bool> {
    for stage in STAGES {
        let offsets = log.group_offsets(stage).await?;
        if offsets.iter().any(|offset| offset.next < offset.end) {
            return Ok(false);
        }
    }
    Ok(true)
}
