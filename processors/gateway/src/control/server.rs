//! Serves a log on the control socket.

use std::{path::Path, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use hephaestus_pipeline::engine::{EngineError, Log, TopicPartition};
use serde::Serialize;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::{
    protocol::{
        APPEND, Failure, GROUP_OFFSETS, GROUPS, GroupOffsetsRequest, MAX_MESSAGE_BYTES,
        MAX_READ_BYTES, MAX_WAIT, OFFSET_AT, Offset, OffsetAtRequest, READ, ReadRequest, TOPICS,
        Topic, WAIT, WaitRequest,
    },
    socket::{self, BoundSocket, SocketError},
    wire,
};
use crate::{budget::ByteBudget, serve::ServeLimits};

/// Bytes of requests in memory at once; further ones wait.
const MAX_IN_FLIGHT_BYTES: usize = 64 << 20;

const LIMITS: ServeLimits = ServeLimits {
    max_connections: 64,
    head_timeout: Duration::from_secs(600),
    drain_timeout: Duration::from_secs(5),
};

/// A bound control socket; its files go when it is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    bound: BoundSocket,
}

impl ControlSocket {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.bound.path
    }
}

#[derive(Clone)]
struct Control {
    log: Arc<dyn Log>,
    budget: ByteBudget,
    stop: CancellationToken,
}

/// Makes the control socket of the engine's directory. The caller holds the engine's lock on the
/// directory.
///
/// # Errors
/// Where the socket cannot be made.
pub fn listen(dir: &Path) -> Result<ControlSocket, SocketError> {
    let (listener, bound) = socket::bind(dir)?;
    Ok(ControlSocket { listener, bound })
}

/// Serves a log on the control socket until `stop` is cancelled: then what was asked is answered,
/// no further records are waited for, and the socket goes.
pub async fn serve(socket: ControlSocket, log: Arc<dyn Log>, stop: CancellationToken) {
    let ControlSocket { listener, bound } = socket;
    let budget = ByteBudget::new(MAX_IN_FLIGHT_BYTES);
    let router = router(Control { log, budget, stop: stop.clone() });
    crate::serve::serve(listener, router, LIMITS, stop).await;
    drop(bound);
}

fn router(control: Control) -> Router {
    Router::new()
        .route(TOPICS, post(topics))
        .route(APPEND, post(append))
        .route(READ, post(read))
        .route(WAIT, post(wait))
        .route(OFFSET_AT, post(offset_at))
        .route(GROUPS, post(groups))
        .route(GROUP_OFFSETS, post(group_offsets))
        .layer(middleware::from_fn_with_state(control.clone(), take_budget))
        .layer(DefaultBodyLimit::max(MAX_MESSAGE_BYTES))
        .with_state(control)
}

/// Holds a request back until the budget has room for its body.
async fn take_budget(State(control): State<Control>, request: Request, next: Next) -> Response {
    let length = request.headers().get(axum::http::header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let _taken = control.budget.take(length.unwrap_or(MAX_MESSAGE_BYTES)).await;
    next.run(request).await
}

fn answer<T: Serialize>(result: Result<T, EngineError>) -> Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(error) => refuse(error),
    }
}

fn refuse(error: EngineError) -> Response {
    let status = match &error {
        EngineError::UnknownPartition { .. } => StatusCode::NOT_FOUND,
        EngineError::TopicDiffers { .. } => StatusCode::CONFLICT,
        EngineError::RecordTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        EngineError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        EngineError::Fatal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(Failure::from(error))).into_response()
}

async fn topics(State(control): State<Control>) -> Response {
    let topics = control.log.topics().await;
    answer(topics.map(|topics| topics.into_iter().map(Topic::from).collect::<Vec<_>>()))
}

async fn append(State(control): State<Control>, body: Bytes) -> Response {
    match wire::decode_new(body) {
        Ok(records) => answer(control.log.append(records).await),
        Err(error) => refuse(EngineError::Fatal(error.to_string())),
    }
}

async fn read(State(control): State<Control>, Json(request): Json<ReadRequest>) -> Response {
    let partition = TopicPartition { topic: request.topic.into(), partition: request.partition };
    let max_bytes = request.max_bytes.min(MAX_READ_BYTES);
    match control.log.read(&partition, request.from, max_bytes).await {
        Ok(records) => wire::encode(&records).into_response(),
        Err(error) => refuse(error),
    }
}

async fn wait(State(control): State<Control>, Json(request): Json<WaitRequest>) -> Response {
    let partition = TopicPartition { topic: request.topic.into(), partition: request.partition };
    let wait = Duration::from_millis(request.wait_ms).min(MAX_WAIT);
    let passed = tokio::select! {
        passed = control.log.wait(&partition, request.offset, wait) => passed,
        () = control.stop.cancelled() => Err(EngineError::Unavailable("pipeline is stopping".to_owned())),
    };
    answer(passed)
}

async fn offset_at(
    State(control): State<Control>,
    Json(request): Json<OffsetAtRequest>,
) -> Response {
    let partition = TopicPartition { topic: request.topic.into(), partition: request.partition };
    answer(control.log.offset_at(&partition, request.timestamp_ms).await)
}

async fn groups(State(control): State<Control>) -> Response {
    let groups = control.log.groups().await;
    answer(groups.map(|groups| groups.iter().map(ToString::to_string).collect::<Vec<_>>()))
}

async fn group_offsets(
    State(control): State<Control>,
    Json(request): Json<GroupOffsetsRequest>,
) -> Response {
    let offsets = control.log.group_offsets(&request.group).await;
    answer(offsets.map(|offsets| offsets.into_iter().map(Offset::from).collect::<Vec<_>>()))
}
