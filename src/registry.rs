//! `hephaestus registry`: a schema registry with Confluent's routes, kept in the topic `_schemas`.

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{access, codec::serve_registry, config::Config, output, signals, topology};

/// Serves until it is asked to stop.
pub(crate) async fn run(listen: SocketAddr, config: &Config) -> Result<()> {
    let access = access::open_or_create(config).await?;
    topology::ensure(config, &access).await?;
    let stop = CancellationToken::new();
    let url = serve_registry(&access.log, listen, &stop).await?;
    output::line(&json!({ "registry": url }).to_string())?;
    signals::stop_asked().await?;
    stop.cancel();
    access.close().await
}
