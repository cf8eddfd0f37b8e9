#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io;

use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message;
use tokio::sync::mpsc;

use super::*;
use crate::{
    record::{Headers, Record, TRACEPARENT},
    telemetry::{carried, setup, span_for_record, traceparent::TraceContext},
};

const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// An OTLP collector: its base URL, and the bodies that were posted to it.
async fn collector() -> (String, mpsc::Receiver<Bytes>) {
    let (sender, receiver) = mpsc::channel(64);
    let take = async |State(sender): State<mpsc::Sender<Bytes>>, body: Bytes| {
        sender.send(body).await.unwrap();
    };
    let router = Router::new().route("/v1/traces", post(take)).with_state(sender);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, receiver)
}

fn record(topic: &str, offset: u64, traceparent: &[u8]) -> Record {
    let mut headers = Headers::default();
    headers.push(TRACEPARENT, traceparent.to_vec());
    Record {
        topic: topic.into(),
        partition: 2,
        offset,
        timestamp_ms: 0,
        key: None,
        value: None,
        headers,
    }
}

/// What a stage does around its work: gives the header of what it writes.
fn handle(stage: &'static str, record: &Record) -> bytes::Bytes {
    let context = TraceContext::of(record);
    let span = span_for_record(stage, record, &context);
    span.in_scope(|| carried(&span, &context).format())
}

fn spans(bodies: &mut mpsc::Receiver<Bytes>) -> Vec<Span> {
    let mut spans = Vec::new();
    while let Ok(body) = bodies.try_recv() {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        for resource in request.resource_spans {
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    spans
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_record_is_followed_through_every_stage() {
    let (url, mut bodies) = collector().await;
    let config = TelemetryConfig {
        otlp_endpoint: Some(url),
        sample_ratio: 0.0,
        ..TelemetryConfig::default()
    };
    let (subscriber, provider) = setup::assemble(&config, |_| None, false, io::sink).unwrap();
    let guard = TelemetryGuard::new(provider);
    assert!(guard.exports());
    tracing::subscriber::with_default(subscriber, || {
        let classified = handle("classifier", &record("raw-logs", 7, SAMPLED.as_bytes()));
        handle("analyzer", &record("classified-logs", 8, &classified));
        let unsampled = handle("classifier", &record("raw-logs", 9, UNSAMPLED.as_bytes()));
        assert_eq!(unsampled, UNSAMPLED, "an unsampled trace is carried on as it is");
    });
    guard.shutdown().await;

    let mut spans = spans(&mut bodies);
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["classifier", "analyzer"]);
    let sampled = TraceContext::parse(SAMPLED.as_bytes()).unwrap();
    for span in &spans {
        assert_eq!(span.trace_id, sampled.trace_id.to_be_bytes());
    }
    assert_eq!(spans[0].parent_span_id, sampled.span_id.to_be_bytes());
    assert_eq!(
        spans[1].parent_span_id, spans[0].span_id,
        "the second stage is a child of the first"
    );
    let offset = spans[1].attributes.iter().find(|attribute| attribute.key == "messaging.offset");
    let offset = offset.and_then(|attribute| attribute.value.clone()?.value);
    assert_eq!(offset, Some(Value::IntValue(8)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_spans_are_exported_when_the_guard_is_dropped_on_the_runtime() {
    let (url, mut bodies) = collector().await;
    let variable = |name: &str| (name == BASE_VARIABLE).then(|| url.clone());
    let config = TelemetryConfig::default();
    let (subscriber, provider) = setup::assemble(&config, variable, false, io::sink).unwrap();
    let guard = TelemetryGuard::new(provider);
    tracing::subscriber::with_default(subscriber, || {
        handle("classifier", &record("raw-logs", 7, SAMPLED.as_bytes()));
    });
    drop(guard);
    assert_eq!(spans(&mut bodies).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_gone_holds_nothing_up() {
    // The port was free a moment ago, and nobody listens on it.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let config = TelemetryConfig { otlp_endpoint: Some(url), ..TelemetryConfig::default() };
    let (subscriber, provider) = setup::assemble(&config, |_| None, false, io::sink).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        handle("classifier", &record("raw-logs", 7, SAMPLED.as_bytes()));
    });
    let started = std::time::Instant::now();
    TelemetryGuard::new(provider).shutdown().await;
    assert!(started.elapsed() < EXPORT_SHUTDOWN_BOUND * 2, "{:?}", started.elapsed());
}

#[test]
fn the_configuration_comes_before_the_variables() {
    let none = |_: &str| None;
    let both = |name: &str| match name {
        BASE_VARIABLE => Some("http://base:4318/".to_owned()),
        TRACES_VARIABLE => Some("http://traces:1/t".to_owned()),
        _ => None,
    };
    let base = |name: &str| both(name).filter(|_| name == BASE_VARIABLE);
    let url = |configured, variable: &dyn Fn(&str) -> Option<String>| {
        traces_url(configured, variable).unwrap()
    };
    assert_eq!(url(None, &none), None);
    assert_eq!(url(Some(" "), &none), None);
    assert_eq!(url(Some("http://c:4318"), &both).unwrap(), "http://c:4318/v1/traces");
    assert_eq!(url(None, &both).unwrap(), "http://traces:1/t");
    assert_eq!(url(None, &base).unwrap(), "http://base:4318/v1/traces");
    for wrong in ["https://c:4318", "c:4318", "grpc://c"] {
        let error = traces_url(Some(wrong), none).unwrap_err().to_string();
        assert!(error.contains("looks like \"http://127.0.0.1:4318\""), "{error}");
    }
}
