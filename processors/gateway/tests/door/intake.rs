//! `POST /v1/logs` and the health routes, as a shipper sees them.

use std::sync::atomic::Ordering;

use hephaestus_gateway::http::GatewayLimits;
use hephaestus_pipeline::telemetry::traceparent::TraceContext;
use serde_json::json;

use crate::support::Door;

const TEXT: (&str, &str) = ("content-type", "text/plain; charset=utf-8");

fn values(door: &Door) -> Vec<Vec<u8>> {
    door.log.records().iter().map(|record| record.value.clone().unwrap().to_vec()).collect()
}

#[tokio::test]
async fn lines_become_records_as_they_came_keyed_by_their_source() {
    let door = Door::open(GatewayLimits::default()).await;
    let body: &[u8] = b"one\n\n\xff\xfe\0two\r\n  three";
    let answer = door.post("/v1/logs?source=shop/web-1/stderr", &[TEXT], body).await;

    let records = door.log.records();
    let partition = records[0].partition;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let expected =
        json!({"accepted": 4, "offsets": [{"partition": partition, "first": 0, "last": 3}]});
    assert_eq!(answer.json(), expected);
    assert_eq!(values(&door), [&b"one"[..], b"", b"\xff\xfe\0two\r", b"  three"]);
    for record in &records {
        assert_eq!(record.key.as_deref(), Some(&b"shop/web-1/stderr"[..]));
        let stage = record.headers.text("hephaestus-stage").unwrap();
        assert_eq!(stage, format!("gateway/{}", env!("CARGO_PKG_VERSION")));
        assert!(TraceContext::parse(record.headers.get("traceparent").unwrap()).is_some());
    }
}

#[tokio::test]
async fn each_line_starts_a_trace_unless_the_sender_has_one() {
    let door = Door::open(GatewayLimits::default()).await;
    let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    door.post("/v1/logs", &[TEXT], "a\nb").await;
    door.post("/v1/logs", &[TEXT, ("traceparent", sent)], "c\nd").await;
    door.post("/v1/logs", &[TEXT, ("traceparent", "junk")], "e").await;

    let records = door.log.records();
    let traces: Vec<&str> =
        records.iter().map(|record| record.headers.text("traceparent").unwrap()).collect();
    assert_ne!(traces[0], traces[1]);
    assert_eq!(traces[2..4], [sent, sent]);
    assert!(TraceContext::parse(traces[4].as_bytes()).is_some());
}

#[tokio::test]
async fn a_source_comes_from_the_query_the_header_or_the_sender() {
    let door = Door::open(GatewayLimits::default()).await;
    let header = ("x-hephaestus-source", "h/h/h");
    door.post("/v1/logs?source=q%2Fq%2Fq", &[TEXT, header], "1").await;
    door.post("/v1/logs", &[TEXT, header], "2").await;
    door.post("/v1/logs", &[TEXT], "3").await;
    let mut keys: Vec<(Vec<u8>, Vec<u8>)> = door
        .log
        .records()
        .iter()
        .map(|record| (record.value.clone().unwrap().into(), record.key.clone().unwrap().into()))
        .collect();
    keys.sort();
    let expected = [("1", "q/q/q"), ("2", "h/h/h"), ("3", "http/127.0.0.1/default")];
    assert_eq!(keys, expected.map(|(value, key)| (value.into(), key.into())));
}

#[tokio::test]
async fn formats_decide_what_a_line_is() {
    let cases: [(&str, &str, &[&str]); 4] = [
        ("application/x-ndjson", "{\"a\": 1}\n\n{\"b\":2}\n", &["{\"a\": 1}", "{\"b\":2}"]),
        ("application/json", "[{\"a\": 1}, {\"b\":2}]", &["{\"a\": 1}", "{\"b\":2}"]),
        ("application/json", "{\"a\":1}\n{\"b\":2}\n", &["{\"a\":1}", "{\"b\":2}"]),
        ("Text/Plain", "a\n\nb\n", &["a", "", "b"]),
    ];
    for (content_type, body, lines) in cases {
        let door = Door::open(GatewayLimits::default()).await;
        let answer = door.post("/v1/logs", &[("content-type", content_type)], body).await;
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.body);
        assert_eq!(values(&door), lines.iter().map(|l| l.as_bytes()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_cannot_be_accepted_says_why_and_leaves_nothing() {
    let limits = GatewayLimits {
        max_body_bytes: 1000,
        max_line_bytes: 100,
        max_body_lines: 500,
        ..GatewayLimits::default()
    };
    let door = Door::open(limits).await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let gzip = ("content-encoding", "gzip");
    let long = "x".repeat(1001);
    let long_line = format!("short\n{}\n", "x".repeat(101));
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);
    let many = "\n".repeat(501);
    let cases: [Case; 7] = [
        ("/v1/logs?source=shop", &[TEXT], "x", 400, "service/instance/stream"),
        ("/v1/logs?source=a/b/c%0A", &[TEXT], "x", 400, "control characters"),
        ("/v1/logs", &[form], "x", 415, "use text/plain, application/x-ndjson or application/json"),
        ("/v1/logs", &[TEXT, gzip], "x", 415, "send it plain"),
        ("/v1/logs", &[TEXT], &long, 413, "body is larger than 1000 bytes"),
        ("/v1/logs", &[TEXT], &many, 413, "body has more than 500 lines"),
        ("/v1/logs", &[TEXT], &long_line, 413, "line 2 has 101 bytes, more than the 100 allowed"),
    ];
    for (path, headers, body, status, message) in cases {
        let answer = door.post(path, headers, body.to_owned()).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert!(answer.error().contains(message), "{message}: {}", answer.body);
    }
    assert_eq!(door.get("/v1/logs").await.status, 405);
    assert!(door.get("/nowhere").await.error().contains("POST /v1/logs"));
    assert!(door.log.records().is_empty());
}

#[tokio::test]
async fn a_line_of_10_mib_is_accepted_whole() {
    let door = Door::open(GatewayLimits::default()).await;
    let line = "é".repeat(5 << 20);
    let answer = door.post("/v1/logs", &[TEXT], format!("a\n{line}\nb")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let lengths: Vec<usize> = values(&door).iter().map(Vec::len).collect();
    assert_eq!(lengths, [1, 10 << 20, 1]);
}

#[tokio::test]
async fn bytes_in_flight_are_bounded_and_senders_told_to_come_back() {
    let limits = GatewayLimits { max_in_flight_bytes: 4096, ..GatewayLimits::default() };
    let door = Door::open(limits).await;
    door.log.allowed.forget_permits(usize::MAX);
    let body = "x".repeat(3000);

    let stuck = door.post("/v1/logs", &[TEXT], body.clone());
    let refused = async {
        // The first request holds its bytes once it appends.
        door.log.begun.notified().await;
        let refused = door.post("/v1/logs", &[TEXT], body.clone()).await;
        door.log.allowed.add_permits(10);
        refused
    };
    let (first, refused) = tokio::join!(stuck, refused);
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(refused.error().contains("in flight"));
    assert_eq!(first.status, 200);
    let again = door.post("/v1/logs", &[TEXT], body).await;
    assert_eq!(again.status, 200);
    assert_eq!(door.log.records().len(), 2);
}

#[tokio::test]
async fn an_engine_that_fails_half_way_is_told_with_what_is_durable() {
    let limits = GatewayLimits { max_batch_lines: 2, ..GatewayLimits::default() };
    let door = Door::open(limits).await;
    door.log.fails_after.store(2, Ordering::SeqCst);
    let answer = door.post("/v1/logs", &[TEXT], "1\n2\n3\n4\n5\n6").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.json()["accepted"], 4);
    assert!(answer.error().contains("no space left on device"), "{}", answer.body);
    assert_eq!(door.log.records().len(), 4);
}

#[tokio::test]
async fn health_and_metrics_say_what_is() {
    let door = Door::open(GatewayLimits::default()).await;
    assert_eq!(door.get("/livez").await.status, 200);
    let starting = door.get("/readyz").await;
    assert_eq!(starting.status, 503);
    assert_eq!(starting.error(), "process: starting");

    let beat = door.health.register("intake");
    beat.ready();
    assert_eq!(door.get("/readyz").await.status, 200);
    drop(beat);
    let dead = door.get("/livez").await;
    assert_eq!(dead.status, 503);
    assert!(dead.error().contains("intake"), "{}", dead.body);

    door.post("/v1/logs", &[TEXT], "ab\nc").await;
    door.post("/v1/logs?source=x", &[TEXT], "ab\nc").await;
    let metrics = door.get("/metrics").await;
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    for line in [
        "hephaestus_loops_stuck 1",
        "hephaestus_gateway_lines_total 2",
        "hephaestus_gateway_bytes_total 3",
        "hephaestus_gateway_in_flight_bytes 0",
        "hephaestus_gateway_requests_total{status=\"200\"} 1",
        "hephaestus_gateway_requests_total{status=\"400\"} 1",
    ] {
        assert!(metrics.body.lines().any(|found| found == line), "{line}\n{}", metrics.body);
    }
}

#[tokio::test]
async fn a_request_that_is_open_when_the_door_closes_is_answered() {
    let mut door = Door::open(GatewayLimits::default()).await;
    door.log.allowed.forget_permits(usize::MAX);
    let close = async {
        door.log.begun.notified().await;
        door.stop.cancel();
        door.log.allowed.add_permits(1);
    };
    let (answer, ()) = tokio::join!(door.post("/v1/logs", &[TEXT], "last words"), close);
    assert_eq!(answer.status, 200);
    (&mut door.task).await.unwrap();
    assert!(tokio::net::TcpStream::connect(door.address).await.is_err());
}
