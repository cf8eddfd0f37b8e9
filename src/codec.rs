//! A codec for commands: against the configured registry on Kafka, that of the running pipeline, or one that is
//! served here from `_schemas`.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use hephaestus_gateway::serve::{ServeLimits, serve};
use hephaestus_schemas::{
    Codec,
    registry::{Registry, SchemaStore},
    registry_http,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{access::Access, cli::EngineKind, config::Config, system::schema_store::TopicStore};

/// File in the directory that holds the address of the running pipeline's registry.
pub(crate) const REGISTRY_URL_FILE: &str = "registry.url";
/// Longest address.
const MAX_URL_BYTES: usize = 1000;

/// A codec, and the registry behind it for as long as this is held.
pub(crate) struct OpenCodec {
    /// The codec.
    pub(crate) codec: Codec,
    stop: CancellationToken,
}

impl Drop for OpenCodec {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Opens the codec of the topics' values.
///
/// # Errors
/// Where the registry cannot be found or served.
pub(crate) async fn open(access: &Access, config: &Config) -> Result<OpenCodec> {
    let stop = CancellationToken::new();
    if config.engine == EngineKind::Kafka {
        let codec = Codec::connect_to(&config.registry_endpoint()?, config.codec())?;
        return Ok(OpenCodec { codec, stop });
    }
    let url = if access.engine.is_none() {
        published_url(access)?
    } else {
        let store = TopicStore(access.log.clone());
        serve_registry(store, SocketAddr::from(([127, 0, 0, 1], 0)), &stop).await?.1
    };
    let codec = Codec::connect(&url, config.codec())?;
    Ok(OpenCodec { codec, stop })
}

fn published_url(access: &Access) -> Result<String> {
    let path = access.dir.join(REGISTRY_URL_FILE);
    let text = std::fs::read_to_string(&path);
    let text =
        text.with_context(|| format!("address of the schema registry in {}", path.display()))?;
    Ok(text.trim().chars().take(MAX_URL_BYTES).collect())
}

/// Serves the registry that is kept in a store until `stop`; gives the registry and its address.
///
/// # Errors
/// Where its records cannot be read, or the address is taken.
pub(crate) async fn serve_registry(
    store: impl SchemaStore,
    listen: SocketAddr,
    stop: &CancellationToken,
) -> Result<(Registry, String)> {
    let registry = Registry::open(store).await?;
    let listener = TcpListener::bind(listen).await;
    let listener =
        listener.with_context(|| format!("the schema registry cannot listen on {listen}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = registry_http::router(registry.clone());
    tokio::spawn(serve(listener, router, ServeLimits::default(), stop.clone()));
    Ok((registry, url))
}
