//! What the gateway counts, in a registry of its own.

use hephaestus_pipeline::telemetry::metrics::MetricsError;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// Metrics of the gateway.
#[derive(Debug, Clone)]
pub(super) struct GatewayMetrics {
    registry: Registry,
    /// Requests to `POST /v1/logs`, by status.
    pub(super) requests: IntCounterVec,
    /// Lines that were accepted.
    pub(super) lines: IntCounter,
    /// Bytes of the lines that were accepted.
    pub(super) bytes: IntCounter,
    /// Bytes of bodies in memory.
    pub(super) in_flight: IntGauge,
    /// Seconds from the head of a request to its answer.
    pub(super) seconds: Histogram,
}

impl GatewayMetrics {
    /// Registers them.
    pub(super) fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let requests = Opts::new(
            "hephaestus_gateway_requests_total",
            "requests with lines, by status of the answer",
        );
        let seconds = HistogramOpts::new(
            "hephaestus_gateway_request_seconds",
            "seconds from the head of a request to its answer",
        );
        let metrics = Self {
            requests: IntCounterVec::new(requests, &["status"])?,
            lines: IntCounter::new(
                "hephaestus_gateway_lines_total",
                "lines accepted: they are durable",
            )?,
            bytes: IntCounter::new(
                "hephaestus_gateway_bytes_total",
                "bytes of the lines accepted",
            )?,
            in_flight: IntGauge::new(
                "hephaestus_gateway_in_flight_bytes",
                "bytes of request bodies in memory",
            )?,
            seconds: Histogram::with_opts(seconds)?,
            registry,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.lines.clone()))?;
        metrics.registry.register(Box::new(metrics.bytes.clone()))?;
        metrics.registry.register(Box::new(metrics.in_flight.clone()))?;
        metrics.registry.register(Box::new(metrics.seconds.clone()))?;
        Ok(metrics)
    }

    /// As Prometheus reads them.
    pub(super) fn render(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_is_documented_word_for_word() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        let metrics = GatewayMetrics::new().unwrap();
        metrics.requests.with_label_values(&["200"]);
        let families = metrics.registry.gather();
        assert_eq!(families.len(), 5);
        for family in families {
            let (name, help) = (family.name(), family.help());
            let is_documented =
                |line: &str| line.starts_with(&format!("- `{name}` (")) && line.ends_with(help);
            assert!(docs.lines().any(is_documented), "{name}: {help}");
        }
    }
}
