//! What collectors publish: the line inside an envelope is read as if it had come by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{CLASSIFIER, inspect};
use hephaestus_classifier::{RawLine, SourceState};
use hephaestus_schemas::{ClassifiedLog, Severity};
use serde_json::json;

/// 2024-01-01T10:00:00Z, in microseconds.
const TEN: i64 = 1_704_103_200_000_000;

fn events(lines: &[String]) -> Vec<ClassifiedLog> {
    inspect(lines.join("\n").as_bytes()).into_iter().map(|event| event.log).collect()
}

/// Writes a line as a collector does.
type Wrap = Box<dyn Fn(&str) -> String>;

/// The same two lines of an application as each collector publishes them: one with a header of its own, one bare.
fn published(wrap: impl Fn(&str) -> String) -> Vec<ClassifiedLog> {
    events(&[
        wrap("2024-01-01T10:00:05Z ERROR [main] c.a.Shop - no stock of item 7"),
        wrap("bare words"),
    ])
}

#[test]
fn every_collector_s_envelope_is_opened() {
    let stamp = "2024-01-01T10:00:00.000000000Z";
    let cases: [(&str, Wrap, &str); 8] = [
        ("cri", Box::new(move |line| format!("{stamp} stdout F {line}")), "shop"),
        (
            "docker",
            Box::new(move |line| {
                json!({"log": format!("{line}\n"), "stream": "stdout", "time": stamp}).to_string()
            }),
            "shop",
        ),
        (
            "fluent-bit",
            Box::new(|line| {
                let kubernetes = json!({"pod_name": "cart-1", "namespace_name": "prod", "container_name": "cart"});
                json!({"date": 1_704_103_200.0, "log": line, "stream": "stdout", "kubernetes": kubernetes})
                    .to_string()
            }),
            "cart",
        ),
        (
            "vector",
            Box::new(move |line| {
                json!({"file": "/var/log/a", "host": "h1", "message": line, "source_type": "file",
                    "timestamp": stamp, "container_name": "cart"})
                .to_string()
            }),
            "cart",
        ),
        (
            "filebeat",
            Box::new(move |line| {
                json!({"@timestamp": stamp, "agent": {"type": "filebeat", "version": "8.12.0"},
                    "ecs": {"version": "8.0.0"}, "host": {"name": "h1"}, "input": {"type": "filestream"},
                    "log": {"offset": 12, "file": {"path": "/var/log/a"}}, "message": line,
                    "service": {"name": "cart"}})
                .to_string()
            }),
            "cart",
        ),
        (
            "journald",
            Box::new(|line| {
                json!({"MESSAGE": line, "PRIORITY": "6", "SYSLOG_IDENTIFIER": "cart", "_HOSTNAME": "h1",
                    "_PID": "77", "_SYSTEMD_UNIT": "cart.service", "__REALTIME_TIMESTAMP": "1704103200000000"})
                .to_string()
            }),
            "cart",
        ),
        (
            "journald, not UTF-8",
            Box::new(|line| {
                json!({"MESSAGE": line.as_bytes(), "PRIORITY": 6, "_SYSTEMD_UNIT": "cart.service",
                    "__REALTIME_TIMESTAMP": "1704103200000000"})
                .to_string()
            }),
            "cart",
        ),
        (
            "syslog-ng",
            Box::new(|line| {
                json!({"MESSAGE": line, "PRIORITY": "info", "PROGRAM": "cart", "PID": "77", "HOST": "h1",
                    "ISODATE": "2024-01-01T10:00:00+00:00"})
                .to_string()
            }),
            "cart",
        ),
    ];
    for (name, wrap, service) in cases {
        let [first, second] = <[ClassifiedLog; 2]>::try_from(published(wrap)).expect(name);
        assert_eq!(first.message, "no stock of item 7", "{name}");
        assert_eq!(first.severity, Severity::Error, "{name}: the line's own severity goes first");
        assert_eq!(first.timestamp, TEN + 5_000_000, "{name}: and its own time");
        assert_eq!(first.attributes["logger"], "c.a.Shop", "{name}");
        assert_eq!(first.service, service, "{name}");
        assert_eq!(
            (second.message.as_str(), second.service.as_str()),
            ("bare words", service),
            "{name}"
        );
        assert_eq!(second.timestamp, TEN, "{name}: else the collector's");
        assert!(!second.timestamp_from_record, "{name}");
        assert_eq!(second.severity, Severity::Info, "{name}");
    }
}

#[test]
fn what_a_collector_knows_is_kept() {
    let line = json!({"MESSAGE": "out of memory", "PRIORITY": "2", "SYSLOG_IDENTIFIER": "cart",
        "_HOSTNAME": "h1", "_PID": "77", "__REALTIME_TIMESTAMP": "1704103200000000"});
    let kubernetes =
        json!({"pod_name": "cart-1", "pod_namespace": "prod", "container_name": "cart"});
    let vector = json!({"message": "x", "source_type": "kubernetes_logs", "stream": "stderr",
        "kubernetes": kubernetes, "timestamp": "2024-01-01T10:00:00Z"});
    let [journal, pod] =
        <[ClassifiedLog; 2]>::try_from(events(&[line.to_string(), vector.to_string()])).unwrap();
    assert_eq!(journal.severity, Severity::Fatal);
    assert_eq!((&*journal.attributes["host"], &*journal.attributes["process"]), ("h1", "77"));
    assert_eq!((&*pod.attributes["pod"], &*pod.attributes["namespace"]), ("cart-1", "prod"));
    assert_eq!((&*pod.attributes["stream"], pod.service.as_str()), ("stderr", "cart"));
}

#[test]
fn a_traceback_in_single_envelopes_is_one_event() {
    let docker = |line: &str| {
        json!({"log": format!("{line}\n"), "stream": "stderr", "time": "2024-01-01T10:00:00Z"})
            .to_string()
    };
    let cri = |line: &str| format!("2024-01-01T10:00:00Z stderr F {line}");
    for wrap in [&docker as &dyn Fn(&str) -> String, &cri] {
        let lines = [
            "Traceback (most recent call last):",
            "  File \"/srv/app/a.py\", line 3, in f",
            "    g()",
            "KeyError: 'x'",
            "2024-01-01 10:00:01,000 INFO app: next",
        ];
        let events = events(&lines.map(wrap));
        let [failure, next] = <[ClassifiedLog; 2]>::try_from(events).unwrap();
        let exception = failure.exception.unwrap();
        assert_eq!((exception.type_name.as_str(), exception.frames.len()), ("KeyError", 1));
        assert_eq!((failure.lines, next.message.as_str()), (4, "app: next"));
    }
}

#[test]
fn a_line_in_an_envelope_that_is_json_itself_is_read_as_json() {
    let inner = json!({"level": "error", "msg": "pay failed", "logger": "pay", "trace_id": "abc"})
        .to_string();
    let line = format!("2024-01-01T10:00:00Z stdout F {inner}");
    let [event] = <[ClassifiedLog; 1]>::try_from(events(&[line])).unwrap();
    assert_eq!((event.message.as_str(), event.severity), ("pay failed", Severity::Error));
    assert_eq!((&*event.attributes["logger"], event.timestamp), ("pay", TEN));
}

#[test]
fn parts_of_a_line_are_put_together_by_stream_and_no_record_is_left_out() {
    let mut state = SourceState::default();
    let mut done = Vec::new();
    let lines = [
        "2024-01-01T10:00:00Z stdout P pay fai",
        "2024-01-01T10:00:00Z stderr F other",
        "2024-01-01T10:00:00Z stdout P led for ",
        "2024-01-01T10:00:01Z stdout F user 17",
    ];
    for (offset, line) in (10..).zip(lines) {
        let record =
            RawLine { offset, timestamp_ms: 0, bytes: line.as_bytes(), ..RawLine::default() };
        done.extend(CLASSIFIER.push(&mut state, "s/i/o", record));
        // It is stored and read back between any two records.
        state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
    }
    assert!(!state.is_idle());
    done.extend(CLASSIFIER.flush(&mut state, "s/i/o"));
    assert!(state.is_idle());
    let told: Vec<(&str, Vec<(u64, u64)>)> =
        done.iter().map(|event| (event.log.message.as_str(), event.runs())).collect();
    let expected =
        [("other", vec![(11, 11)]), ("pay failed for user 17", vec![(10, 10), (12, 13)])];
    assert_eq!(told, expected);
}

#[test]
fn a_part_that_stays_alone_is_a_line_of_its_own() {
    let events = events(&["2024-01-01T10:00:00Z stdout P half a li".to_owned()]);
    assert_eq!(events[0].message, "half a li");
}

#[test]
fn no_secret_is_in_the_state_or_the_event_though_it_was_cut() {
    let mut state = SourceState::default();
    let mut told = String::new();
    for (offset, line) in (0..).zip([
        "2024-01-01T10:00:00Z stdout P x password=hunter",
        "2024-01-01T10:00:00Z stdout F TAIL2 end",
    ]) {
        let record =
            RawLine { offset, timestamp_ms: 0, bytes: line.as_bytes(), ..RawLine::default() };
        let events = CLASSIFIER.push(&mut state, "s/i/o", record);
        told.push_str(&serde_json::to_string(&state).unwrap());
        told.push_str(&format!("{events:?}"));
    }
    told.push_str(&format!("{:?}", CLASSIFIER.flush(&mut state, "s/i/o")));
    assert!(!told.contains("hunter") && !told.contains("TAIL2"), "{told}");
    assert!(told.contains("x password=<secret:password> end"), "{told}");
}

#[test]
fn an_event_that_only_looks_like_an_envelope_is_read_as_what_it_is() {
    let line = json!({"log": "audit", "level": "warn", "message": "user left"}).to_string();
    let [event] = <[ClassifiedLog; 1]>::try_from(events(&[line])).unwrap();
    assert_eq!((event.message.as_str(), event.severity), ("user left", Severity::Warn));
    for broken in
        ["{\"MESSAGE\":7}", "{\"log\":{}}", "{\"source_type\":\"x\"}", "{\"agent\":\"filebeat\"}"]
    {
        assert_eq!(events(&[broken.to_owned()]).len(), 1, "{broken}");
    }
}
