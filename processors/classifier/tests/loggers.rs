//! JSON lines of the common loggers, in the shape that each documents.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::inspect;
use hephaestus_schemas::{ClassifiedLog, Severity};

/// 2024-01-01T10:00:00Z, in microseconds.
const TEN: i64 = 1_704_103_200_000_000;

fn read(line: &str) -> ClassifiedLog {
    let mut events = inspect(line.as_bytes());
    assert_eq!(events.len(), 1, "{line}");
    events.remove(0).log
}

#[test]
fn message_time_severity_and_logger_are_found() {
    // Each says at ten that no stock is left; the last column is the logger.
    let cases = [
        (
            "pino",
            r#"{"level":50,"time":1704103200000,"pid":7,"hostname":"h1","msg":"no stock"}"#,
            "",
        ),
        (
            "bunyan",
            r#"{"name":"shop.cart","hostname":"h1","pid":7,"level":50,"msg":"no stock","time":"2024-01-01T10:00:00.000Z","v":0}"#,
            "shop.cart",
        ),
        (
            "winston",
            r#"{"level":"error","message":"no stock","timestamp":"2024-01-01T10:00:00.000Z"}"#,
            "",
        ),
        ("logrus", r#"{"level":"error","msg":"no stock","time":"2024-01-01T10:00:00Z"}"#, ""),
        (
            "zap",
            r#"{"level":"error","ts":1704103200.0,"logger":"shop.cart","caller":"cart/cart.go:12","msg":"no stock"}"#,
            "shop.cart",
        ),
        ("slog", r#"{"time":"2024-01-01T10:00:00Z","level":"ERROR","msg":"no stock","id":7}"#, ""),
        (
            "slog, between levels",
            r#"{"time":"2024-01-01T10:00:00Z","level":"ERROR+2","msg":"no stock"}"#,
            "",
        ),
        ("zerolog", r#"{"level":"error","time":1704103200,"message":"no stock"}"#, ""),
        (
            "log4j2 JsonTemplateLayout, ECS",
            r#"{"@timestamp":"2024-01-01T10:00:00.000Z","ecs.version":"1.2.0","log.level":"ERROR","message":"no stock","process.thread.name":"main","log.logger":"com.acme.Shop"}"#,
            "com.acme.Shop",
        ),
        (
            "log4j2 JsonLayout",
            r#"{"instant":{"epochSecond":1704103200,"nanoOfSecond":0},"thread":"main","level":"ERROR","loggerName":"com.acme.Shop","message":"no stock","endOfBatch":false,"threadId":1}"#,
            "com.acme.Shop",
        ),
        (
            "logstash-logback-encoder",
            r#"{"@timestamp":"2024-01-01T10:00:00.000Z","@version":"1","message":"no stock","logger_name":"com.acme.Shop","thread_name":"main","level":"ERROR","level_value":40000}"#,
            "com.acme.Shop",
        ),
        (
            "log4j2 JsonTemplateLayout, LogstashJsonEventLayoutV1",
            r#"{"@version":1,"message":"no stock","@timestamp":"2024-01-01T10:00:00.000Z","level":"ERROR","logger_name":"com.acme.Shop","thread_name":"main","source_host":"h1"}"#,
            "com.acme.Shop",
        ),
        (
            "log4j2 JsonTemplateLayout, GelfLayout",
            r#"{"version":"1.1","host":"h1","short_message":"no stock","timestamp":1704103200.000,"level":3,"_logger":"com.acme.Shop","_thread":"main"}"#,
            "com.acme.Shop",
        ),
        (
            ".NET's JSON console",
            r#"{"Timestamp":"2024-01-01T10:00:00.0000000Z","EventId":0,"LogLevel":"Error","Category":"Acme.Worker","Message":"no stock","State":{"Message":"no stock"}}"#,
            "Acme.Worker",
        ),
        (
            "Serilog, its JsonFormatter",
            r#"{"Timestamp":"2024-01-01T10:00:00.0000000+00:00","Level":"Error","MessageTemplate":"no stock","Properties":{"Id":7}}"#,
            "",
        ),
        (
            "MongoDB",
            r#"{"t":{"$date":"2024-01-01T10:00:00.000+00:00"},"s":"E","c":"STORAGE","id":22435,"ctx":"thread7","msg":"no stock","attr":{"error":1}}"#,
            "",
        ),
        (
            "log4j2 JsonLayout, without its instant",
            r#"{"timeMillis":1704103200000,"thread":"main","level":"ERROR","loggerName":"com.acme.Shop","message":"no stock"}"#,
            "com.acme.Shop",
        ),
        (
            "Serilog, compact, with its template alone",
            r#"{"@t":"2024-01-01T10:00:00.0000000Z","@mt":"no stock","@l":"Error","SourceContext":"Shop.Cart"}"#,
            "Shop.Cart",
        ),
        (
            "Serilog, compact",
            r#"{"@t":"2024-01-01T10:00:00.0000000Z","@m":"no stock","@i":"a1b2","@l":"Error","SourceContext":"Shop.Cart"}"#,
            "Shop.Cart",
        ),
        (
            "structlog",
            r#"{"event":"no stock","level":"error","timestamp":"2024-01-01T10:00:00Z","logger":"shop"}"#,
            "shop",
        ),
        (
            "python-json-logger",
            r#"{"asctime":"2024-01-01 10:00:00,000","levelname":"ERROR","name":"shop","message":"no stock"}"#,
            "shop",
        ),
        (
            "tracing-subscriber",
            r#"{"timestamp":"2024-01-01T10:00:00.000000Z","level":"ERROR","fields":{"message":"no stock","id":7},"target":"shop::cart","span":{"name":"pay"}}"#,
            "shop::cart",
        ),
        (
            "GELF",
            r#"{"version":"1.1","host":"h1","short_message":"no stock","timestamp":1704103200.0,"level":3,"_logger":"shop"}"#,
            "shop",
        ),
    ];
    for (name, line, logger) in cases {
        let event = read(line);
        assert_eq!(event.message, "no stock", "{name}");
        assert_eq!((event.timestamp, event.timestamp_from_record), (TEN, false), "{name}");
        assert_eq!(event.severity, Severity::Error, "{name}");
        assert_eq!(event.attributes.get("logger").map_or("", String::as_str), logger, "{name}");
    }
}

#[test]
fn exceptions_in_fields_of_their_own_are_found() {
    let cases = [
        (
            "pino",
            r#"{"level":50,"time":1704103200000,"err":{"type":"TypeError","message":"x","stack":"TypeError: x\n    at show (/srv/app/server.js:12:7)"},"msg":"failed"}"#,
            ("TypeError", 1),
        ),
        (
            "bunyan",
            r#"{"name":"shop","level":50,"err":{"message":"x","name":"RangeError","stack":"RangeError: x\n    at show (/srv/app/a.js:1:7)"},"msg":"failed","time":"2024-01-01T10:00:00Z","v":0}"#,
            ("RangeError", 1),
        ),
        (
            "winston",
            r#"{"level":"error","message":"failed","stack":"Error: x\n    at show (/srv/app/a.js:1:7)"}"#,
            ("Error", 1),
        ),
        (
            "zap",
            r#"{"level":"error","ts":1704103200.0,"msg":"failed","error":"no route","stacktrace":"main.pay\n\t/src/pay.go:9\nmain.main\n\t/src/main.go:5"}"#,
            ("error", 2),
        ),
        (
            "zerolog",
            r#"{"level":"error","stack":[{"func":"(*Store).Open","line":"20","source":"store.go"},{"func":"load.func1","line":"24","source":"load.go"},{"func":"main","line":"250","source":"proc.go"},{"func":"goexit","line":"1594","source":"asm_amd64.s"}],"error":"no route","time":1704103200,"message":"failed"}"#,
            ("error", 4),
        ),
        (
            "log4j2 JsonTemplateLayout, ECS",
            r#"{"@timestamp":"2024-01-01T10:00:00.000Z","log.level":"ERROR","message":"failed","error.type":"java.io.IOException","error.message":"x","error.stack_trace":"java.io.IOException: x\n\tat com.acme.A.b(A.java:3)\n"}"#,
            ("java.io.IOException", 1),
        ),
        (
            "logstash-logback-encoder",
            r#"{"@timestamp":"2024-01-01T10:00:00.000Z","message":"failed","level":"ERROR","stack_trace":"java.io.IOException: x\n\tat com.acme.A.b(A.java:3)\n\tat com.acme.A.c(A.java:4)\n"}"#,
            ("java.io.IOException", 2),
        ),
        (
            "log4j2 JsonLayout",
            r#"{"level":"ERROR","message":"failed","thrown":{"name":"java.io.IOException","message":"x","extendedStackTrace":"java.io.IOException: x\n\tat com.acme.A.b(A.java:3)\n"}}"#,
            ("java.io.IOException", 1),
        ),
        (
            "Serilog, compact",
            r#"{"@t":"2024-01-01T10:00:00Z","@mt":"failed","@l":"Error","@x":"System.IO.IOException: x\n   at Acme.Store.Write(String path) in /src/Store.cs:line 42"}"#,
            ("System.IO.IOException", 1),
        ),
        (
            "structlog",
            r#"{"event":"failed","level":"error","exception":"Traceback (most recent call last):\n  File \"/srv/app/a.py\", line 3, in f\n    g()\nKeyError: 'x'"}"#,
            ("KeyError", 1),
        ),
        (
            "structlog, dict_tracebacks",
            r#"{"event":"failed","level":"error","exception":[{"exc_type":"KeyError","exc_value":"'x'","is_cause":false,"frames":[{"filename":"/srv/app/a.py","lineno":3,"name":"f"},{"filename":"/srv/app/a.py","lineno":9,"name":"g"}]},{"exc_type":"ValueError","exc_value":"y","is_cause":true,"frames":[]}]}"#,
            ("KeyError", 2),
        ),
        (
            "python-json-logger",
            r#"{"levelname":"ERROR","message":"failed","exc_info":"Traceback (most recent call last):\n  File \"/srv/app/a.py\", line 3, in f\n    g()\nKeyError: 'x'"}"#,
            ("KeyError", 1),
        ),
        (
            "GELF",
            r#"{"version":"1.1","host":"h1","short_message":"failed","full_message":"java.io.IOException: x\n\tat com.acme.A.b(A.java:3)","level":3}"#,
            ("java.io.IOException", 1),
        ),
    ];
    for (name, line, (type_name, frames)) in cases {
        let event = read(line);
        let exception = event.exception.unwrap_or_else(|| panic!("{name}: no exception"));
        assert_eq!(
            (exception.type_name.as_str(), exception.frames.len()),
            (type_name, frames),
            "{name}"
        );
        assert_eq!(event.message, "failed", "{name}");
    }
}

#[test]
fn the_stack_of_a_go_logger_has_the_message_of_its_error() {
    let zap = r#"{"level":"error","ts":1704103200.0,"msg":"failed","error":"no route","stacktrace":"main.pay\n\t/src/pay.go:9\nmain.main\n\t/src/main.go:5"}"#;
    // zerolog strips the packages of the functions.
    let zerolog = r#"{"level":"error","stack":[{"func":"(*Store).Open","line":"20","source":"store.go"},{"func":"load.func1","line":"24","source":"load.go"},{"func":"main","line":"250","source":"proc.go"},{"func":"goexit","line":"1594","source":"asm_amd64.s"}],"error":"no route","time":1704103200,"message":"failed"}"#;
    for line in [zap, zerolog] {
        assert_eq!(read(line).exception.unwrap().message, "no route", "{line}");
    }
    let event = read(zerolog);
    let frames: Vec<_> = event.exception.as_ref().unwrap().frames.iter().collect();
    let read_of = |index: usize| {
        let frame: &hephaestus_schemas::Frame = frames[index];
        (frame.module.as_deref(), frame.function.as_deref().unwrap(), frame.line, frame.in_app)
    };
    assert_eq!(read_of(0), (None, "(*Store).Open", Some(20), true));
    assert_eq!(read_of(1), (None, "load.func1", Some(24), true));
    assert_eq!(read_of(2), (Some("runtime"), "runtime.main", Some(250), false));
    assert_eq!(read_of(3), (Some("runtime"), "runtime.goexit", Some(1594), false));
    assert_eq!(event.culprits[0].file.as_deref(), Some("store.go"));
}

#[test]
fn identities_of_traces_and_requests_are_found() {
    let cases = [
        (
            r#"{"msg":"x","trace_id":"4bf9","span_id":"00f0"}"#,
            vec![("trace_id", "4bf9"), ("span_id", "00f0")],
        ),
        (
            r#"{"msg":"x","trace.id":"4bf9","span.id":"00f0"}"#,
            vec![("trace_id", "4bf9"), ("span_id", "00f0")],
        ),
        (
            r#"{"message":"x","trace":{"id":"4bf9"},"transaction":{"id":"7"}}"#,
            vec![("trace_id", "4bf9")],
        ),
        (
            r#"{"@m":"x","@tr":"4bf9","@sp":"00f0"}"#,
            vec![("trace_id", "4bf9"), ("span_id", "00f0")],
        ),
        (
            r#"{"message":"x","http":{"request":{"method":"GET"},"response":{"status_code":502}},"url":{"path":"/a"}}"#,
            vec![("http_method", "GET"), ("http_status", "502"), ("http_route", "/a")],
        ),
        (
            r#"{"message":"x","process":{"pid":7,"thread":{"name":"main"}}}"#,
            vec![("process", "7"), ("thread", "main")],
        ),
    ];
    for (line, expected) in cases {
        let event = read(line);
        for (name, value) in expected {
            assert_eq!(
                event.attributes.get(name).map(String::as_str),
                Some(value),
                "{name} in {line}"
            );
        }
    }
}

#[test]
fn the_state_of_a_job_is_no_status_of_a_response() {
    let log = read(r#"{"level":"info","time":"2024-01-01T10:00:00Z","msg":"done","status":"ok"}"#);
    assert_eq!(log.attributes.get("http_status"), None);
}

#[test]
fn a_server_s_record_of_a_request_that_failed_is_an_error() {
    for (line, severity) in [
        (
            r#"{"time_iso8601":"2024-01-01T10:00:00+00:00","status":"502","request":"GET /x"}"#,
            Severity::Error,
        ),
        (
            r#"{"start_time":"2024-01-01T10:00:00.000Z","response_code":503,"path":"/x"}"#,
            Severity::Error,
        ),
        (r#"{"time":"2024-01-01T10:00:00Z","DownstreamStatus":200}"#, Severity::Info),
        (
            r#"{"time":"2024-01-01T10:00:00Z","level":"info","status":500,"msg":"retried"}"#,
            Severity::Info,
        ),
    ] {
        let log = read(line);
        assert_eq!((log.severity, log.timestamp), (severity, TEN), "{line}");
    }
}
