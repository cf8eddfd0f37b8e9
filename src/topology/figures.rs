//! What is known of topics and stages that exist: for drawings, within a short wait, or not at all.

use std::time::Duration;

use anyhow::Result;
use hephaestus_gateway::control::RemoteLog;
use hephaestus_pipeline::{
    config::HumanDuration,
    engine::{Engine, Log},
};
use hephaestus_topology::{Figures, TopicFigures, Topology};

use super::cluster::for_looking;
use crate::{access, cli::EngineKind, config::Config, output::tell};

/// Longest wait for an engine: a drawing is of use without it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for one answer of a broker, in milliseconds.
const REQUEST_MS: u64 = 3_000;

/// Asks the configured engine, where it runs: a cluster, or the pipeline that has the directory.
pub(super) async fn gather(config: &Config, topology: &Topology) -> Option<Figures> {
    let asked = async {
        match config.engine {
            EngineKind::Embedded => of_directory(config, topology).await,
            EngineKind::Kafka => of_cluster(config, topology).await.map(Some),
        }
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(figures)) => figures,
        Ok(Err(error)) => {
            tell(format_args!("drawn without what exists: {error:#}"));
            None
        }
        Err(_) => {
            tell(format_args!("drawn without what exists: no answer within {PATIENCE:?}"));
            None
        }
    }
}

/// Nothing where no pipeline runs in the directory.
async fn of_directory(config: &Config, topology: &Topology) -> Result<Option<Figures>> {
    // Without a home directory there is none that could be in use.
    let Ok(dir) = config.dir() else {
        return Ok(None);
    };
    let Some(log) = RemoteLog::connect(&dir).await? else {
        return Ok(None);
    };
    let place = format!("a running pipeline in {}", dir.display());
    of_log(&log, topology, place).await.map(Some)
}

async fn of_cluster(config: &Config, topology: &Topology) -> Result<Figures> {
    let mut config = for_looking(config);
    // What librdkafka waits for, the program's end waits for as well.
    config.kafka.request_timeout = HumanDuration::from_millis(REQUEST_MS);
    let engine = access::connect(&config).await?;
    let id = engine.cluster_id().await?;
    let place = format!("cluster {id} at {}", config.brokers()?);
    let figures = of_log(engine.as_ref(), topology, place).await;
    engine.close().await?;
    figures
}

async fn of_log(log: &dyn Log, topology: &Topology, place: String) -> Result<Figures> {
    let mut figures = Figures { place, ..Figures::default() };
    for info in log.topics().await? {
        let records = info.partitions.iter().map(|part| part.end.saturating_sub(part.earliest));
        let partitions = u32::try_from(info.partitions.len()).unwrap_or(u32::MAX);
        let now = TopicFigures { partitions, records: records.sum() };
        figures.topics.insert(info.spec.name.to_string(), now);
    }
    for stage in &topology.stages {
        for offset in log.group_offsets(stage.name).await? {
            let key = (stage.name.to_owned(), offset.partition.topic.to_string());
            let lag = figures.lags.entry(key).or_default();
            lag.records = lag.records.saturating_add(offset.end.saturating_sub(offset.next));
            lag.millis = lag.millis.max(offset.lag_ms);
        }
    }
    Ok(figures)
}
