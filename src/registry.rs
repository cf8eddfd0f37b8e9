//! `hephaestus registry`: a schema registry with Confluent's routes, kept in the topic `_schemas`.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Result, anyhow};
use hephaestus_pipeline::engine::{Engine, Log, kafka::settings::Delivery};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    access,
    cli::EngineKind,
    codec::serve_registry,
    config::Config,
    output, signals,
    system::{schema_store::TopicStore, shared_schemas},
    topology,
};

/// Serves until it is asked to stop.
pub(crate) async fn run(listen: SocketAddr, config: &Config) -> Result<()> {
    match config.engine {
        EngineKind::Embedded => embedded(listen, config).await,
        EngineKind::Kafka => kafka(listen, config).await,
    }
}

async fn embedded(listen: SocketAddr, config: &Config) -> Result<()> {
    let access = access::open_or_create(config).await?;
    topology::ensure(config, &access).await?;
    let stop = CancellationToken::new();
    let (_, url) = serve_registry(TopicStore(access.log.clone()), listen, &stop).await?;
    say(&url)?;
    signals::stop_asked().await?;
    stop.cancel();
    access.close().await
}

/// One of several that may serve the same schemas.
async fn kafka(listen: SocketAddr, config: &Config) -> Result<()> {
    let engine = access::connect(config).await?;
    topology::ensure_schemas(config, &engine).await?;
    if config.kafka.delivery == Delivery::AtLeastOnce {
        tracing::warn!(
            "without transactions two registries can give one id out twice; run one alone"
        );
    }
    let engine: Arc<dyn Engine> = engine;
    let (store, writer) = shared_schemas::join(&engine).await?;
    let stop = CancellationToken::new();
    let mut writer = tokio::spawn(writer.run(stop.clone()));
    let (registry, url) = serve_registry(store, listen, &stop).await?;
    let log: Arc<dyn Log> = engine.clone();
    tokio::spawn(shared_schemas::follow(registry, log, stop.clone()));
    let asked = signals::listen()?;
    say(&url)?;
    let ended = tokio::select! {
        () = asked => None,
        ended = &mut writer => Some(ended),
    };
    stop.cancel();
    let ended = match ended {
        Some(ended) => ended,
        None => writer.await,
    };
    engine.close().await?;
    ended.map_err(|error| anyhow!("the registry's place in its group was lost: {error}"))??;
    Ok(())
}

fn say(url: &str) -> Result<()> {
    output::line(&json!({ "registry": url }).to_string())
}
