//! Export of traces by OTLP over HTTP, where an endpoint is set.
//!
//! The exporter has a thread of its own, with a blocking client: there is no Tokio reactor on it.

use std::time::Duration;

use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};

use super::{TelemetryConfig, TelemetryError};

/// Longest time that the end of a process waits for the last spans to be exported.
pub const EXPORT_SHUTDOWN_BOUND: Duration = Duration::from_secs(5);
/// Longest time of one export.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(4);
/// Most spans that wait for their export; further ones are dropped.
const QUEUED_SPANS: usize = 4096;
/// Most spans of one export.
const BATCH_SPANS: usize = 512;
/// Time between two exports.
const EXPORT_INTERVAL: Duration = Duration::from_secs(2);

/// Path of a collector for traces, below its base URL.
const TRACES_PATH: &str = "/v1/traces";
/// Base URL of a collector; the configuration comes first.
const BASE_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Full URL for traces; comes before the base URL.
const TRACES_VARIABLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// Where traces go: the URL, or none where nothing is set.
///
/// The configuration comes first, then the standard's variables. A URL that is set empty counts as not set.
pub(super) fn traces_url(
    configured: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, TelemetryError> {
    let set = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let traces = variable(TRACES_VARIABLE).as_deref().and_then(set);
    let base = variable(BASE_VARIABLE).as_deref().and_then(set);
    let (url, path) = match (configured.and_then(set), traces, base) {
        (Some(url), _, _) | (None, None, Some(url)) => (url, TRACES_PATH),
        (None, Some(url), _) => (url, ""),
        (None, None, None) => return Ok(None),
    };
    if !url.starts_with("http://") {
        return Err(TelemetryError::Endpoint { url });
    }
    Ok(Some(format!("{}{path}", url.trim_end_matches('/'))))
}

/// The provider of traces that exports to a URL.
pub(super) fn provider(
    config: &TelemetryConfig,
    url: &str,
) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(url)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| TelemetryError::Exporter { message: error.to_string() })?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(QUEUED_SPANS)
        .with_max_export_batch_size(BATCH_SPANS)
        .with_scheduled_delay(EXPORT_INTERVAL)
        .build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    let resource = Resource::builder().with_service_name(config.service_name.clone()).build();
    // A span with a parent is sampled as that is: one record is followed everywhere or nowhere.
    let ratio = Sampler::TraceIdRatioBased(config.sample_ratio);
    Ok(SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(Sampler::ParentBased(Box::new(ratio)))
        .with_resource(resource)
        .build())
}

/// Keeps telemetry going. When it is dropped, or shut down, the last spans are exported.
#[derive(Debug)]
#[must_use = "telemetry ends when this is dropped"]
pub struct TelemetryGuard {
    provider: Option<SdkTracerProvider>,
}

impl TelemetryGuard {
    pub(super) fn new(provider: Option<SdkTracerProvider>) -> Self {
        Self { provider }
    }

    /// Whether traces are exported.
    pub fn exports(&self) -> bool {
        self.provider.is_some()
    }

    /// Exports the last spans, for [`EXPORT_SHUTDOWN_BOUND`] at most, on a thread of its own:
    /// on one of the runtime it could wait for itself.
    pub async fn shutdown(mut self) {
        let Some(provider) = self.provider.take() else { return };
        let ended = tokio::task::spawn_blocking(move || end(&provider));
        if tokio::time::timeout(EXPORT_SHUTDOWN_BOUND * 2, ended).await.is_err() {
            tracing::warn!("export of traces does not end, the last spans are lost");
        }
    }
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        let Some(provider) = self.provider.take() else { return };
        let ended = std::thread::spawn(move || end(&provider));
        let _ = ended.join();
    }
}

/// Bounded: the provider waits for its thread no longer than it is told to.
fn end(provider: &SdkTracerProvider) {
    if let Err(error) = provider.shutdown_with_timeout(EXPORT_SHUTDOWN_BOUND) {
        tracing::warn!(%error, "last spans could not be exported");
    }
}

#[cfg(test)]
#[path = "otlp_tests.rs"]
mod tests;
