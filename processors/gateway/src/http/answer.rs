//! Refusals as JSON: `{"error": "..."}`, with the status that tells a shipper whether to try again.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hephaestus_pipeline::engine::EngineError;
use serde_json::json;

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Status.
    pub status: StatusCode,
    /// What was wrong, and what would be right.
    pub message: String,
    /// Lines of the request that are durable all the same.
    pub accepted: u64,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal of what will never be accepted.
    pub fn new(status: StatusCode, message: impl ToString) -> Self {
        Self { status, message: message.to_string(), accepted: 0, retry_after: None }
    }

    /// A refusal of what may be accepted later.
    pub fn later(status: StatusCode, message: impl ToString, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(status, message) }
    }

    /// A refusal because something is not there now.
    pub fn unavailable(message: impl ToString) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// What an engine's error means to a sender.
    pub fn of_engine(error: &EngineError, retry_after: Duration) -> Self {
        match error {
            EngineError::RecordTooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error),
            _ => Self::later(StatusCode::SERVICE_UNAVAILABLE, error, retry_after),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut content = json!({ "error": self.message });
        if self.accepted > 0
            && let Some(object) = content.as_object_mut()
        {
            object.insert("accepted".to_owned(), self.accepted.into());
        }
        let mut response = (self.status, Json(content)).into_response();
        if let Some(after) = self.retry_after {
            let seconds = HeaderValue::from(after.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

pub(super) async fn not_found() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "no such route; there are POST /v1/logs, GET /livez, GET /readyz and GET /metrics",
    )
}

pub(super) async fn method_not_allowed() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method is not allowed here; lines go to POST /v1/logs, all else is GET",
    )
}
