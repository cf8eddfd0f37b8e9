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
fn a_body_alone_is_read_as_the_line_that_it_is() {
    let raw = |line: &str| json!(line).to_string();
    let text = "2024-01-01T10:00:05Z ERROR [main] c.a.Shop - no \"stock\" of <7>";
    let trace = "Traceback (most recent call last):\n  File \"a.py\", line 3, in f\nKeyError: 'a'";
    // Go's encoder writes what HTML takes for a tag as escapes.
    let escaped = raw(text).replace('<', "\\u003c").replace('>', "\\u003e");
    let quoted = r#""bare" words "and quotes""#;
    let events = events(&[escaped, quoted.to_owned(), raw(trace)]);
    let [line, plain, failure] = <[ClassifiedLog; 3]>::try_from(events).unwrap();
    assert_eq!((line.message.as_str(), line.severity), ("no \"stock\" of <7>", Severity::Error));
    assert_eq!(line.timestamp, TEN + 5_000_000);
    assert_eq!(failure.exception.unwrap().type_name, "KeyError");
    assert_eq!(plain.message, quoted, "what only begins and ends so is no string of JSON");
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

/// A failure as a program prints it, and what it says before and after.
const PRINTED: [&str; 9] = [
    "2024-01-01 10:00:01,250 ERROR shop.pay: payment of order 17 failed",
    "Traceback (most recent call last):",
    "  File \"/srv/shop/pay.py\", line 12, in pay",
    "    charge(order)",
    "  File \"/srv/shop/bank.py\", line 40, in charge",
    "    raise Declined(\"card declined\")",
    "    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    "shop.bank.Declined: card declined",
    "2024-01-01 10:00:02,000 INFO shop.web: next",
];

/// The events of these records of one source, which may hold line feeds.
fn read(records: &[String]) -> Vec<hephaestus_classifier::Event> {
    let mut state = SourceState::default();
    let mut done = Vec::new();
    for (offset, record) in (0..).zip(records) {
        let line = RawLine { offset, bytes: record.as_bytes(), ..RawLine::default() };
        done.extend(CLASSIFIER.push(&mut state, "shop/web-1/log", line));
    }
    done.extend(CLASSIFIER.flush(&mut state, "shop/web-1/log"));
    done
}

/// Asserts that [`PRINTED`], as a shipper publishes it, is a failure and one more event.
fn assert_printed(name: &str, records: &[String]) {
    let events: Vec<ClassifiedLog> = read(records).into_iter().map(|event| *event.log).collect();
    let [failure, next] = <[ClassifiedLog; 2]>::try_from(events)
        .unwrap_or_else(|events| panic!("{name}: {events:#?}"));
    assert_eq!(failure.message, "payment of order 17 failed", "{name}");
    assert_eq!((failure.severity, failure.lines), (Severity::Error, 8), "{name}");
    assert_eq!(failure.timestamp, TEN + 1_250_000, "{name}");
    assert_eq!(failure.service, "shop", "{name}");
    let exception = failure.exception.expect(name);
    assert_eq!(exception.type_name, "shop.bank.Declined", "{name}");
    assert_eq!(exception.message, "card declined", "{name}");
    let functions: Vec<_> =
        exception.frames.iter().filter_map(|frame| frame.function.as_deref()).collect();
    assert_eq!(functions, ["charge", "pay"], "{name}");
    assert_eq!((next.message.as_str(), next.severity), ("next", Severity::Info), "{name}");
}

#[test]
fn a_traceback_line_by_line_behind_the_headers_of_a_syslog_daemon_is_one_event() {
    let stamp = "2024-01-01T10:00:03.015080+00:00";
    let wraps: [(&str, Wrap); 7] = [
        // A blank is put in where the line begins with none.
        (
            "rsyslog",
            Box::new(move |line| {
                let blank = if line.starts_with(' ') { "" } else { " " };
                format!("{stamp} web-1 shop:{blank}{line}\n")
            }),
        ),
        (
            "rsyslog, RFC 5424",
            Box::new(move |line| format!("<134>1 {stamp} web-1 shop - - - {line}\n")),
        ),
        (
            "rsyslog, RFC 5424 from a socket",
            Box::new(move |line| format!("<11>1 {stamp} web-1 shop 47 - -  {line}\n")),
        ),
        ("rsyslog, RFC 3164", Box::new(|line| format!("Jan  1 10:00:03 web-1 shop[47]: {line}\n"))),
        (
            "rsyslog, JSON",
            Box::new(move |line| {
                json!({"@timestamp": stamp, "@version": "1", "message": line, "sysloghost": "web-1", "severity": "info",
                "facility": "local0", "programname": "shop", "procid": "-"}).to_string()
            }),
        ),
        ("syslog-ng", Box::new(|line| format!("2024-01-01T10:00:03+00:00 web-1 shop: {line}"))),
        (
            "syslog-ng, JSON",
            Box::new(|line| {
                json!({"PROGRAM": "shop", "PRIORITY": "info", "MESSAGE": line, "HOST": "web-1", "DATE": "Jan  1 10:00:03"})
                .to_string()
            }),
        ),
    ];
    for (name, wrap) in wraps {
        assert_printed(name, &PRINTED.map(wrap));
    }
}

#[test]
fn a_message_of_several_lines_is_one_event_whatever_the_daemon_made_of_its_line_feeds() {
    let (first, last) = (PRINTED[..8].join("\n"), PRINTED[8].to_owned());
    let stamp = "2024-01-01T10:00:03.015080+00:00";
    let escaped = first.replace('\n', "#012");
    let of_json = |text: &str| {
        json!({"timereported": stamp, "msg": format!(" {text}"), "hostname": "web-1", "programname": "shop", "procid": "47"})
            .to_string()
    };
    let cases = [
        ("rsyslog", [&escaped, &last].map(|text| format!("{stamp} web-1 shop[47]: {text}\n"))),
        (
            "rsyslog, RFC 5424",
            [&escaped, &last].map(|text| format!("<11>1 {stamp} web-1 shop 47 - -  {text}\n")),
        ),
        ("rsyslog, JSON", [of_json(&escaped), of_json(&last)]),
        ("syslog-ng", [&first, &last].map(|text| format!("{stamp} web-1 shop[47]: {text}"))),
    ];
    for (name, records) in cases {
        let [failure, next] = <[_; 2]>::try_from(read(&records))
            .unwrap_or_else(|events| panic!("{name}: {events:#?}"));
        assert_eq!(
            (failure.log.message.as_str(), failure.log.lines),
            ("payment of order 17 failed", 8),
            "{name}"
        );
        assert_eq!(failure.log.exception.as_ref().unwrap().frames.len(), 2, "{name}");
        assert_eq!((failure.runs(), next.runs()), (vec![(0, 0)], vec![(1, 1)]), "{name}");
    }
}

#[test]
fn the_messages_of_a_syslog_daemon_are_not_joined_for_looking_alike() {
    let lines = [
        "2024-01-01T10:00:03+00:00 web-1 shop[47]: ValueError: no such item",
        // Another program, in the midst of the first one's trace.
        "2024-01-01T10:00:03+00:00 web-1 cart[12]: \tat a.B.c(B.java:1)",
        "Jun 14 15:16:01 combo kernel: Memory: 126312k/129720k available",
        "Jun 14 15:16:01 combo kernel:   DMA zone: 4096 pages, LIFO batch:1",
        "Jun 14 15:16:01 combo kernel:",
        "Jun 14 15:16:01 combo kernel: closed issue #012 and #013",
    ];
    let events = events(&lines.map(str::to_owned));
    let messages: Vec<&str> = events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(messages.len(), 6, "{messages:#?}");
    assert_eq!(messages[5], "closed issue #012 and #013");
    assert_eq!((&*events[0].service, &*events[0].attributes["process"]), ("shop", "47"));
}

#[test]
fn a_trace_that_lost_its_indentation_is_one_event() {
    // The collector's filelog receiver takes it off, unless told otherwise.
    assert_printed("python", &PRINTED.map(|line| line.trim_start().to_owned()).map(|line| {
        let kubernetes = json!({"container_name": "shop"});
        json!({"log": line, "stream": "stdout", "time": "2024-01-01T10:00:00Z", "kubernetes": kubernetes}).to_string()
    }));
    let java = [
        "2024-01-01 10:00:02.000 ERROR [main] c.a.Shop - no stock",
        "java.lang.IllegalStateException: no stock of item 7",
        "at com.acme.Shop.take(Shop.java:42)",
        "at com.acme.Shop.sell(Shop.java:17)",
        "Caused by: java.io.IOException: disk full",
        "at com.acme.Store.write(Store.java:9)",
        "... 2 more",
        "2024-01-01 10:00:03.000 INFO [main] c.a.Shop - next",
    ];
    let [failure, next] = <[ClassifiedLog; 2]>::try_from(events(&java.map(str::to_owned))).unwrap();
    let exception = failure.exception.unwrap();
    assert_eq!((exception.frames.len(), exception.cause.unwrap().frames.len()), (2, 1));
    assert_eq!((failure.message.as_str(), next.message.as_str()), ("no stock", "next"));
}

#[test]
fn a_panic_that_lost_its_indentation_is_one_event() {
    let go = [
        "panic: runtime error: index out of range [5] with length 3",
        "",
        "goroutine 1 [running]:",
        "main.pick(...)",
        "/srv/app/main.go:9",
        "main.main()",
        "/srv/app/main.go:5 +0x1d",
        "exit status 2",
        "2024/01/01 10:00:03 next",
    ];
    let rust = [
        "thread 'main' (7) panicked at src/pay.rs:9:5:",
        "no stock",
        "stack backtrace:",
        "0: rust_begin_unwind",
        "at /rustc/05f9846f8/library/std/src/panicking.rs:697:5",
        "1: core::panicking::panic_fmt",
        "at /rustc/05f9846f8/library/core/src/panicking.rs:75:14",
        "2: shop::pay",
        "at ./src/pay.rs:9:5",
        "3: shop::main",
        "at ./src/main.rs:3:1",
        "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.",
        "2024-01-01T10:00:03Z INFO next",
    ];
    let cases: [(&[&str], &str, [i32; 2]); 2] =
        [(&go, "index out of range", [9, 5]), (&rust, "no stock", [9, 3])];
    for (printed, message, lines) in cases {
        let printed: Vec<String> = printed.iter().map(|line| (*line).to_owned()).collect();
        let [failure, next] = <[ClassifiedLog; 2]>::try_from(events(&printed)).unwrap();
        let exception = failure.exception.unwrap();
        assert!(exception.message.contains(message), "{exception:?}");
        let found: Vec<i32> = exception.frames.iter().map(|frame| frame.line.unwrap()).collect();
        assert_eq!(found, lines);
        assert_eq!(next.message, "next");
    }
}
