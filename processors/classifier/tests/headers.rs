//! Lines of text as servers, system loggers and container runtimes write them: header and message are parted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::inspect;
use hephaestus_schemas::Severity;

/// 2024-01-01T10:00:00Z, in microseconds.
const TEN: i64 = 1_704_103_200_000_000;

#[test]
fn header_and_message_are_parted() {
    // Each reports an error at ten; the last column names attributes.
    type Attributes = &'static [(&'static str, &'static str)];
    let cases: [(&str, &str, &str, Attributes); 9] = [
        (
            "RFC 5424 with structured data",
            "<11>1 2024-01-01T10:00:00.000Z h1 cart 77 ID47 [a@1 k=\"]\\\"\"][b@1 l=\"x\"] no stock",
            "no stock",
            &[("host", "h1"), ("process", "77")],
        ),
        (
            "RFC 3164",
            "<11>Jan  1 10:00:00 h1 cart[77]: no stock",
            "no stock",
            &[("host", "h1"), ("process", "77")],
        ),
        (
            "nginx, error log",
            "2024/01/01 10:00:00 [error] 31#32: *5 open() \"/srv/a\" failed (2: No such file or directory)",
            "*5 open() \"/srv/a\" failed (2: No such file or directory)",
            &[],
        ),
        (
            "Apache 2.2, error log",
            "[Mon Jan 01 10:00:00 2024] [error] [client 10.0.0.1] File does not exist: /srv/a",
            "[client 10.0.0.1] File does not exist: /srv/a",
            &[],
        ),
        (
            "klog",
            "E0101 10:00:00.000000   77 cart.go:12] no stock",
            "no stock",
            &[("process", "77"), ("logger", "cart.go:12")],
        ),
        (
            "logfmt",
            "time=2024-01-01T10:00:00Z level=error msg=\"no stock\" logger=cart",
            "no stock",
            &[("logger", "cart")],
        ),
        (
            "CRI",
            "2024-01-01T10:00:00.000000000Z stderr F no stock",
            "no stock",
            &[("stream", "stderr")],
        ),
        ("python's logging", "2024-01-01 10:00:00,000 ERROR cart: no stock", "cart: no stock", &[]),
        (
            "log4j",
            "2024-01-01 10:00:00,000 ERROR [main] c.a.Cart - no stock",
            "no stock",
            &[("logger", "c.a.Cart"), ("thread", "main")],
        ),
    ];
    for (name, line, message, attributes) in cases {
        let mut events = inspect(line.as_bytes());
        assert_eq!(events.len(), 1, "{name}");
        let event = events.remove(0).log;
        assert_eq!(event.message, message, "{name}");
        assert_eq!((event.timestamp, event.timestamp_from_record), (TEN, false), "{name}");
        if name != "CRI" {
            assert_eq!(event.severity, Severity::Error, "{name}");
        }
        for (attribute, value) in attributes {
            let found = event.attributes.get(*attribute).map(String::as_str);
            assert_eq!(found, Some(*value), "{attribute} of {name}");
        }
    }
}

#[test]
fn requests_are_read_from_access_logs() {
    for line in [
        "10.0.0.1 - bob [01/Jan/2024:10:00:00 +0000] \"GET /users/17?x=1 HTTP/1.1\" 503 12",
        "10.0.0.1 - - [01/Jan/2024:10:00:00 +0000] \"GET /users/17 HTTP/2.0\" 503 12 \"-\" \"curl/8\" \"-\"",
        "shop.example 10.0.0.1 - - [01/Jan/2024:10:00:00 +0000] \"GET /users/17 HTTP/1.1\" 503 12 \"-\" \"curl/8\"",
    ] {
        let event = inspect(line.as_bytes()).remove(0).log;
        assert_eq!(event.template, "GET /users/<id> 503", "{line}");
        assert_eq!((event.timestamp, &*event.attributes["http_status"]), (TEN, "503"), "{line}");
    }
}

#[test]
fn what_stands_before_an_access_line_is_not_its_client() {
    let line = "10.0.0.1 - - [01/Jan/2024:10:00:00 +0000] \"GET /cart HTTP/1.1\" 500 12";
    for before in ["", " ", "\t", "\u{feff}"] {
        let log = inspect(format!("{before}{line}").as_bytes()).remove(0).log;
        assert_eq!(log.attributes["client"], "10.0.0.1", "{before:?}");
        assert_eq!((log.timestamp, log.severity), (TEN, Severity::Error), "{before:?}");
    }
}
