//! Telemetry: log lines, traces and metrics of a process.
//!
//! Log lines go to standard error; standard output is never touched.

pub mod catalogue;
pub mod events;
pub mod metrics;
mod otlp;
mod setup;
mod span;
pub mod traceparent;

pub use otlp::{EXPORT_SHUTDOWN_BOUND, TelemetryGuard};
pub use setup::{LogFormat, TelemetryConfig, TelemetryError, init};
pub use span::{carried, span_for_record};
