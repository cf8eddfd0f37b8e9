//! The OpenTelemetry Collector: files that it tails and records that programs send to it, in both encodings of OTLP.

use std::fs;

use serde_json::{Value, json};

use crate::{
    Place,
    events::{Expected, inspected},
    lines::printed_events,
    support::text,
    tool::Tool,
};

/// The encodings of the exporter.
const ENCODINGS: [&str; 2] = ["otlp_proto", "otlp_json"];

/// Starts it, sends records to it, and says what has to come of them and of the files.
pub(crate) async fn publish(place: &Place<'_>) -> (Tool, Vec<Expected>) {
    let config = place.directory.join("collector.yaml");
    fs::write(&config, configuration(place)).unwrap();
    let mut tool = Tool::start("collector", place.directory, &["--config", text(&config)]);
    let mut expected = Vec::new();
    for (encoding, [shop, real, cart]) in ENCODINGS.iter().zip(SERVICES) {
        let address = tool.wait_for(|tool| listens(&tool.said(), encoding)).await;
        let request = reqwest::Client::new().post(format!("http://{address}/v1/logs"));
        let request = request.header("content-type", "application/json");
        let answer = request.body(sent(cart).to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        expected.push(Expected::of_service(shop, printed_events()).with("host", "web-4"));
        let real_events = inspected(&place.written.real_events);
        expected.push(Expected::of_service(real, real_events).with("host", "web-4"));
        expected.push(Expected::of_service(cart, sent_events()));
    }
    (tool, expected)
}

/// Services that it is told of, by encoding: those of the two files, and the one that sends.
const SERVICES: [[&str; 3]; 2] = [
    ["shop-by-proto", "real-by-proto", "cart-by-proto"],
    ["shop-by-json", "real-by-json", "cart-by-json"],
];

fn configuration(place: &Place<'_>) -> String {
    let Place { brokers, written, .. } = place;
    let (printed, real) = (text(&written.printed), text(&written.real));
    let [[shop_proto, real_proto, _], [shop_json, real_json, _]] = SERVICES;
    format!(
        r#"receivers:
  # Without the indentation of its lines, as by default.
  filelog/shop-by-proto:
    include: [{printed}]
    start_at: beginning
    resource: {{service.name: {shop_proto}, host.name: web-4}}
  filelog/real-by-proto:
    include: [{real}]
    start_at: beginning
    preserve_leading_whitespaces: true
    resource: {{service.name: {real_proto}, host.name: web-4}}
  filelog/shop-by-json:
    include: [{printed}]
    start_at: beginning
    preserve_leading_whitespaces: true
    resource: {{service.name: {shop_json}, host.name: web-4}}
  filelog/real-by-json:
    include: [{real}]
    start_at: beginning
    preserve_leading_whitespaces: true
    resource: {{service.name: {real_json}, host.name: web-4}}
  otlp/otlp_proto:
    protocols: {{http: {{endpoint: "127.0.0.1:0"}}}}
  otlp/otlp_json:
    protocols: {{http: {{endpoint: "127.0.0.1:0"}}}}
exporters:
  kafka/otlp_proto:
    brokers: ["{brokers}"]
    logs: {{topic: raw-logs, encoding: otlp_proto}}
    partition_logs_by_resource_attributes: true
  kafka/otlp_json:
    brokers: ["{brokers}"]
    logs: {{topic: raw-logs, encoding: otlp_json}}
    partition_logs_by_resource_attributes: true
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    logs/proto:
      receivers: [filelog/shop-by-proto, filelog/real-by-proto, otlp/otlp_proto]
      exporters: [kafka/otlp_proto]
    logs/json:
      receivers: [filelog/shop-by-json, filelog/real-by-json, otlp/otlp_json]
      exporters: [kafka/otlp_json]
"#
    )
}

/// Where its receiver of this name listens: it says so in its log.
fn listens(said: &str, name: &str) -> Option<String> {
    let lines = said.lines().filter(|line| line.contains("Starting HTTP server"));
    let line = lines.into_iter().find(|line| line.contains(&format!("\"otlp/{name}\"")))?;
    let (_, behind) = line.split_once("\"endpoint\": \"")?;
    let address = behind.split('"').next().unwrap();
    Some(address.replace("[::]", "127.0.0.1"))
}

/// What a program sends by OTLP: an ordinary record, and one with an exception.
fn sent(service: &str) -> Value {
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let trace = "Traceback (most recent call last):\n  File \"/srv/cart/pay.py\", line 3, in pay\n    \
                 write()\nOSError: disk full";
    json!({"resourceLogs": [{
        "resource": {"attributes": [attribute("service.name", service)]},
        "scopeLogs": [{"scope": {"name": "cart.pay"}, "logRecords": [
            {"timeUnixNano": "1795937400100000000", "severityNumber": 9, "severityText": "INFO",
                "body": {"stringValue": "order 17 paid"}},
            {"timeUnixNano": "1795937400250000000", "severityNumber": 17, "severityText": "ERROR",
                "body": {"stringValue": "charge failed"}, "traceId": "5b8efff798038103d269b633813fc60c",
                "spanId": "eee19b7ec3c1b174", "attributes": [
                    attribute("exception.type", "OSError"), attribute("exception.message", "disk full"),
                    attribute("exception.stacktrace", trace)]},
        ]}],
    }]})
}

/// What a person reads in it; the stack counts to the lines.
fn sent_events() -> Vec<Value> {
    vec![
        json!({"severity": "INFO", "time": "2026-11-29T07:30:00.1Z", "logger": "cart.pay",
            "message": "order 17 paid", "trace_id": null, "exception": null, "lines": 1}),
        json!({"severity": "ERROR", "time": "2026-11-29T07:30:00.25Z", "logger": "cart.pay",
            "message": "charge failed", "trace_id": "5b8efff798038103d269b633813fc60c",
            "exception": ["OSError: disk full", "pay:3"], "lines": 5}),
    ]
}
