//! Sets up the log lines and traces of a process, once.
//!
//! Log lines go to standard error, as people or as machines read them.

use std::io::{self, IsTerminal};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::{Deserialize, Serialize};
use tracing::{Level, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::Targets, fmt::MakeWriter, layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{TelemetryGuard, otlp, traceparent};

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; in colour on a terminal.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Log lines and traces, as a configuration has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How log lines look.
    pub format: LogFormat,
    /// Which log lines are written, as `tracing` filters them: `info`, `warn,hephaestus_pipeline=debug`.
    pub filter: String,
    /// Base URL of an OTLP collector (HTTP, protobuf), such as `http://127.0.0.1:4318`; without
    /// it `OTEL_EXPORTER_OTLP_ENDPOINT` counts, and without both nothing is exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// Share of new traces that is exported, 0 to 1.
    pub sample_ratio: f64,
    /// What the traces are filed under.
    pub service_name: String,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            filter: "info".into(),
            otlp_endpoint: None,
            sample_ratio: 0.01,
            service_name: "hephaestus".into(),
        }
    }
}

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Not how `tracing` filters.
    #[error(
        "telemetry.filter {filter:?} is no filter ({message}); it looks like \"info\" or \"warn,hephaestus_pipeline=debug\""
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        message: String,
    },
    /// Not a ratio.
    #[error("telemetry.sample_ratio is {0}, wanted from 0 to 1")]
    SampleRatio(f64),
    /// Not a URL that can be exported to.
    #[error(
        "OTLP endpoint {url:?} is not usable; it looks like \"http://127.0.0.1:4318\" (for TLS put a collector beside the process)"
    )]
    Endpoint {
        /// What was given.
        url: String,
    },
    /// The exporter refused its settings.
    #[error("OTLP exporter: {message}")]
    Exporter {
        /// What it said.
        message: String,
    },
    /// A process sets up its telemetry once.
    #[error("telemetry is set up already")]
    Again,
}

/// Sets up the log lines and traces of this process. To be called once, before anything logs.
///
/// # Errors
/// Names the setting that is wrong; and where it was called before.
pub fn init(config: &TelemetryConfig) -> Result<TelemetryGuard, TelemetryError> {
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let variable = |name: &str| std::env::var(name).ok();
    let (subscriber, provider) = assemble(config, variable, colours, io::stderr)?;
    subscriber.try_init().map_err(|_| TelemetryError::Again)?;
    // Without an exporter a sampled trace is work for nothing.
    let ratio = if provider.is_some() { config.sample_ratio } else { 0.0 };
    traceparent::set_sample_ratio(ratio);
    Ok(TelemetryGuard::new(provider))
}

/// Everything but what is global to the process.
pub(super) fn assemble<W>(
    config: &TelemetryConfig,
    variable: impl Fn(&str) -> Option<String>,
    colours: bool,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync, Option<SdkTracerProvider>), TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    if !(0.0..=1.0).contains(&config.sample_ratio) {
        return Err(TelemetryError::SampleRatio(config.sample_ratio));
    }
    let filter = EnvFilter::builder().parse(&config.filter);
    let filter = filter.map_err(|error| TelemetryError::Filter {
        filter: config.filter.clone(),
        message: error.to_string(),
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.format {
        LogFormat::Human => lines.with_ansi(colours).with_filter(filter).boxed(),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_span_list(false);
            lines.with_filter(filter).boxed()
        }
    };

    let url = otlp::traces_url(config.otlp_endpoint.as_deref(), variable)?;
    let provider = url.map(|url| otlp::provider(config, &url)).transpose()?;
    let traces = provider.as_ref().map(|provider| {
        // The exporter's own client logs too; to export that would never end.
        let ours = Targets::new().with_target("hephaestus", Level::INFO);
        let tracer = provider.tracer("hephaestus");
        tracing_opentelemetry::layer().with_tracer(tracer).with_filter(ours)
    });
    let subscriber = tracing_subscriber::registry().with(lines).with(traces);
    Ok((subscriber, provider))
}

#[cfg(test)]
#[path = "setup_tests.rs"]
mod tests;
