//! The public door: lines in at `POST /v1/logs`, health and metrics out.
//!
//! An answer of 200 means that every line of the request is durable.

mod answer;
mod intake;
mod metrics;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hephaestus_pipeline::{
    engine::Log,
    health::Health,
    telemetry::metrics::{CONTENT_TYPE, Metrics, MetricsError},
};

pub use answer::Refusal;
use metrics::GatewayMetrics;

use crate::budget::ByteBudget;

/// Bounds of what is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayLimits {
    /// Largest body in bytes.
    pub max_body_bytes: usize,
    /// Longest line in bytes.
    pub max_line_bytes: usize,
    /// Most lines of a body: an empty one takes far more on disk than the byte it was sent as.
    pub max_body_lines: usize,
    /// Bytes of bodies in memory at once; a request that would pass it is told to come back.
    pub max_in_flight_bytes: usize,
    /// Most lines written at once.
    pub max_batch_lines: usize,
    /// Bytes after which a batch is written.
    pub max_batch_bytes: usize,
    /// Longest silence within a body.
    pub body_timeout: Duration,
    /// What `Retry-After` asks for.
    pub retry_after: Duration,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 32 << 20,
            max_line_bytes: 16 << 20,
            max_body_lines: 1_000_000,
            max_in_flight_bytes: 32 << 20,
            max_batch_lines: 10_000,
            max_batch_bytes: 4 << 20,
            body_timeout: Duration::from_secs(30),
            retry_after: Duration::from_secs(1),
        }
    }
}

/// What the router works with.
#[derive(Clone)]
pub struct GatewayState {
    inner: Arc<Inner>,
}

struct Inner {
    log: Arc<dyn Log>,
    health: Health,
    process_metrics: Metrics,
    metrics: GatewayMetrics,
    limits: GatewayLimits,
    budget: ByteBudget,
}

impl GatewayState {
    /// Takes where lines are written, and the health and the metrics that the process shows.
    ///
    /// # Errors
    /// Where the gateway's own metrics cannot be made, which is a fault of the program.
    pub fn new(
        log: Arc<dyn Log>,
        health: Health,
        metrics: Metrics,
        limits: GatewayLimits,
    ) -> Result<Self, MetricsError> {
        let inner = Inner {
            log,
            health,
            process_metrics: metrics,
            metrics: GatewayMetrics::new()?,
            limits,
            budget: ByteBudget::new(limits.max_in_flight_bytes),
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// The routes that health checks and monitoring use: `/livez`, `/readyz`, `/metrics`.
pub fn admin_router(state: GatewayState) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .with_state(state)
}

/// All routes of the door: those of [`admin_router`] and `POST /v1/logs`.
pub fn http_router(state: GatewayState) -> Router {
    // The handler reads the body itself, against the budget.
    let intake = post(intake::post_logs).layer(DefaultBodyLimit::disable());
    Router::new().route("/v1/logs", intake).with_state(state.clone()).merge(admin_router(state))
}

async fn livez(State(state): State<GatewayState>) -> Response {
    match state.inner.health.liveness() {
        Ok(()) => well(),
        Err(stuck) => ill(&stuck),
    }
}

async fn readyz(State(state): State<GatewayState>) -> Response {
    match state.inner.health.readiness() {
        Ok(()) => well(),
        Err(not_ready) => ill(&not_ready),
    }
}

fn well() -> Response {
    (StatusCode::OK, "ok\n").into_response()
}

fn ill(reasons: &[impl ToString]) -> Response {
    let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    Refusal::unavailable(reasons.join("; ")).into_response()
}

async fn metrics(State(state): State<GatewayState>) -> Response {
    let process = &state.inner.process_metrics;
    process.health(&state.inner.health);
    match (process.render(), state.inner.metrics.render()) {
        (Ok(process), Ok(gateway)) => {
            ([(header::CONTENT_TYPE, CONTENT_TYPE)], process + &gateway).into_response()
        }
        (Err(error), _) | (_, Err(error)) => Refusal::unavailable(error).into_response(),
    }
}
