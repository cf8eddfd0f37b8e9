//! `POST /v1/logs`: a body of lines becomes records of `raw-logs`, answered once they are durable.

use std::time::Instant;

use axum::{
    Extension, Json,
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use hephaestus_pipeline::{
    clock,
    record::{NewRecord, TRACEPARENT},
    telemetry::traceparent::TraceContext,
};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};

use super::{GatewayLimits, GatewayState, Inner, Refusal};
use crate::{
    STAGE,
    budget::Taken,
    lines::{BodyFormat, split_body},
    raw::RawLines,
    serve::Peer,
    source,
};

/// Header that names the source of a body's lines.
pub(super) const SOURCE_HEADER: &str = "x-hephaestus-source";

/// Rough bytes that a line takes in memory besides its own: bounds batches of many short lines.
const LINE_OVERHEAD: usize = 256;

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    source: Option<String>,
}

/// The answer to accepted lines.
#[derive(Debug, Serialize)]
struct Accepted {
    accepted: u64,
    offsets: Vec<OffsetRun>,
}

/// A run of records of one partition of `raw-logs`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct OffsetRun {
    partition: u32,
    first: u64,
    last: u64,
}

pub(super) async fn post_logs(
    State(state): State<GatewayState>,
    peer: Option<Extension<Peer>>,
    parameters: Result<Query<Parameters>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let state = &state.inner;
    let started = Instant::now();
    let result = match parameters {
        Ok(Query(parameters)) => accept(state, peer, parameters, &headers, body).await,
        Err(rejection) => Err(Refusal::new(StatusCode::BAD_REQUEST, rejection.body_text())),
    };
    let response = match result {
        Ok(accepted) => Json(accepted).into_response(),
        Err(refusal) => {
            tracing::debug!(status = %refusal.status, reason = refusal.message, "lines refused");
            refusal.into_response()
        }
    };
    state.metrics.requests.with_label_values(&[response.status().as_str()]).inc();
    state.metrics.seconds.observe(started.elapsed().as_secs_f64());
    response
}

async fn accept(
    state: &Inner,
    peer: Option<Extension<Peer>>,
    parameters: Parameters,
    headers: &HeaderMap,
    body: Body,
) -> Result<Accepted, Refusal> {
    let source = source_of(parameters, headers, peer)?;
    let format = format_of(headers)?;
    let (body, _taken) = read_body(state, headers, body).await?;
    let _in_flight = InFlight::new(state, body.len());
    check_lines(state, &body, format)?;
    let trace = headers.get(TRACEPARENT).and_then(|value| TraceContext::parse(value.as_bytes()));
    let lines = RawLines::new(&source, STAGE, trace);
    write(state, &lines, &body, format).await
}

fn source_of(
    parameters: Parameters,
    headers: &HeaderMap,
    peer: Option<Extension<Peer>>,
) -> Result<String, Refusal> {
    let bad = |message: String| Refusal::new(StatusCode::BAD_REQUEST, message);
    let named = match (parameters.source, headers.get(SOURCE_HEADER)) {
        (Some(source), _) => Some(source),
        (None, Some(value)) => {
            let text = value.to_str().map_err(|_| bad(format!("{SOURCE_HEADER} is not ASCII")))?;
            Some(text.to_owned())
        }
        (None, None) => None,
    };
    let Some(source) = named else {
        let address = peer.and_then(|Extension(Peer(address))| address);
        return Ok(source::of_peer(address.map(|address| address.ip())));
    };
    source::check(&source).map_err(|error| bad(error.to_string()))?;
    Ok(source)
}

fn format_of(headers: &HeaderMap) -> Result<BodyFormat, Refusal> {
    let unsupported = |message: String| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let message = format!("content encoding {encoding:?} is not supported; send it plain");
        return Err(unsupported(message));
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(BodyFormat::Text);
    };
    let text = value.to_str().unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "text/plain" => Ok(BodyFormat::Text),
        "application/x-ndjson" | "application/jsonl" => Ok(BodyFormat::JsonLines),
        "application/json" => Ok(BodyFormat::Json),
        _ => Err(unsupported(format!(
            "content type {value:?} is not supported; use text/plain, application/x-ndjson or application/json"
        ))),
    }
}

/// Reads the body, with its bytes taken from the budget before they come.
async fn read_body(
    state: &Inner,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<(Bytes, Taken), Refusal> {
    let limits = &state.limits;
    let too_large = || {
        let limit = limits.max_body_bytes;
        let message = format!("body is larger than {limit} bytes; send it in parts");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.max_body_bytes) {
        return Err(too_large());
    }
    let reserved = announced.unwrap_or(limits.max_body_bytes);
    let Some(taken) = state.budget.try_take(reserved) else {
        return Err(Refusal::later(
            StatusCode::TOO_MANY_REQUESTS,
            "too many bytes in flight; try again later",
            limits.retry_after,
        ));
    };
    // Its bytes are taken from the budget already; growing would take as many again.
    let mut content = BytesMut::with_capacity(announced.unwrap_or_default());
    loop {
        let frame = tokio::time::timeout(limits.body_timeout, body.frame()).await;
        let frame = frame.map_err(|_| {
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "body did not arrive in time")
        })?;
        let Some(frame) = frame else {
            break;
        };
        let frame = frame.map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, format!("body broke off: {error}"))
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if content.len() + data.len() > limits.max_body_bytes {
            return Err(too_large());
        }
        content.extend_from_slice(&data);
    }
    Ok((content.freeze(), taken))
}

/// Refuses a body with a line that is too long, or with too many, before any of it is written.
fn check_lines(state: &Inner, body: &Bytes, format: BodyFormat) -> Result<(), Refusal> {
    let GatewayLimits { max_line_bytes, max_body_lines, .. } = state.limits;
    let too_large = |message: String| Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message);
    // A small body holds neither.
    if body.len() <= max_line_bytes.min(max_body_lines) {
        return Ok(());
    }
    for (index, line) in split_body(body, format).enumerate() {
        let number = index + 1;
        let length = line.len();
        if length > max_line_bytes {
            return Err(too_large(format!(
                "line {number} has {length} bytes, more than the {max_line_bytes} allowed"
            )));
        }
        if number > max_body_lines {
            return Err(too_large(format!(
                "body has more than {max_body_lines} lines; send it in parts"
            )));
        }
    }
    Ok(())
}

async fn write(
    state: &Inner,
    lines: &RawLines,
    body: &Bytes,
    format: BodyFormat,
) -> Result<Accepted, Refusal> {
    let limits = &state.limits;
    let now = clock::now_ms();
    let mut accepted = Accepted { accepted: 0, offsets: Vec::new() };
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    for line in split_body(body, format) {
        batch_bytes += line.len() + LINE_OVERHEAD;
        batch.push(lines.record(line, now));
        if batch.len() >= limits.max_batch_lines || batch_bytes >= limits.max_batch_bytes {
            append(state, std::mem::take(&mut batch), &mut accepted).await?;
            batch_bytes = 0;
        }
    }
    if !batch.is_empty() {
        append(state, batch, &mut accepted).await?;
    }
    Ok(accepted)
}

async fn append(
    state: &Inner,
    batch: Vec<NewRecord>,
    accepted: &mut Accepted,
) -> Result<(), Refusal> {
    let bytes: usize =
        batch.iter().filter_map(|record| record.value.as_ref()).map(Bytes::len).sum();
    let written = state.log.append(batch).await.map_err(|error| Refusal {
        accepted: accepted.accepted,
        ..Refusal::of_engine(&error, state.limits.retry_after)
    })?;
    accepted.accepted += written.len() as u64;
    state.metrics.lines.inc_by(written.len() as u64);
    state.metrics.bytes.inc_by(bytes as u64);
    for (partition, offset) in written {
        let next_to = |run: &&mut OffsetRun| run.partition == partition && run.last + 1 == offset;
        if let Some(run) = accepted.offsets.last_mut().filter(next_to) {
            run.last = offset;
        } else {
            accepted.offsets.push(OffsetRun { partition, first: offset, last: offset });
        }
    }
    Ok(())
}

/// Shows a body in the gauge for as long as it is held.
struct InFlight<'a> {
    state: &'a Inner,
    bytes: i64,
}

impl<'a> InFlight<'a> {
    fn new(state: &'a Inner, bytes: usize) -> Self {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        state.metrics.in_flight.add(bytes);
        Self { state, bytes }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.state.metrics.in_flight.sub(self.bytes);
    }
}
