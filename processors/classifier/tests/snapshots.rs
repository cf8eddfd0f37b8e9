//! What the classifier makes of representative events of each format, in full.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::inspect;
use serde_json::Value;

/// The events of a text as JSON, without the fields that every event of a test shares.
fn classified(text: &str) -> Value {
    let mut values = Vec::new();
    for event in inspect(text.as_bytes()) {
        let mut value = serde_json::to_value(&event.log).unwrap();
        let object = value.as_object_mut().unwrap();
        object.remove("source");
        object.retain(|_, value| {
            !(value.is_null()
                || value == &Value::Bool(false)
                || value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(serde_json::Map::is_empty))
        });
        object.insert(
            "at".to_owned(),
            Value::String(format!("{}-{}", event.first_line, event.last_line)),
        );
        values.push(value);
    }
    Value::Array(values)
}

#[test]
fn json_lines() {
    insta::assert_json_snapshot!(
        "json",
        classified(concat!(
            r#"{"time":"2024-01-01T10:00:00Z","level":"error","msg":"pay failed for user 17","service":"pay","trace_id":"abc","password":"hunter2"}"#,
            "\n",
            r#"{"level":50,"time":1704103200123,"pid":7,"hostname":"h1","name":"api","err":{"type":"TypeError","message":"x is undefined","stack":"TypeError: x is undefined\n    at show (/srv/app/server.js:12:7)\n    at node:internal/process:1:2"},"msg":"request failed"}"#,
            "\n",
            r#"{"@timestamp":"2024-01-01T10:00:00.000Z","log.level":"ERROR","message":"boom","service":{"name":"shop"},"error":{"stack_trace":"java.lang.IllegalStateException: boom\n\tat com.acme.A.b(A.java:3)\n"}}"#,
            "\n",
            r#"{"asctime":"2024-01-01 10:00:00,123","levelname":"ERROR","name":"app","message":"it failed","exc_info":"Traceback (most recent call last):\n  File \"/srv/app/a.py\", line 3, in f\n    g()\nKeyError: 'x'"}"#,
            "\n",
            "{not json}\n",
        ))
    );
}

#[test]
fn syslog_and_access_and_logfmt() {
    insta::assert_json_snapshot!(
        "lines",
        classified(concat!(
            "<34>1 2024-01-01T10:00:00.003Z h1 su 77 ID47 - 'su root' failed for lonvick on /dev/pts/8\n",
            "Jan  1 10:00:00 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 euid=0 rhost=218.188.2.4\n",
            "10.0.0.1 - bob [01/Jan/2024:10:00:00 +0000] \"GET /users/17?x=1 HTTP/1.1\" 500 2326 \"-\" \"curl/8\"\n",
            "time=\"2024-01-01T10:00:00Z\" level=warning msg=\"retry in 5s\" component=queue\n",
            "[Sun Dec 04 04:47:44 2005] [error] mod_jk child workerEnv in error state 6\n",
            "just a line\n",
        ))
    );
}

#[test]
fn python_tracebacks() {
    insta::assert_json_snapshot!(
        "python",
        classified(concat!(
            "2024-01-01 10:00:00,123 ERROR app.views: it failed\n",
            "Traceback (most recent call last):\n",
            "  File \"/srv/app/db.py\", line 9, in load\n    return ROWS[key]\n",
            "KeyError: 'bob'\n\n",
            "The above exception was the direct cause of the following exception:\n\n",
            "Traceback (most recent call last):\n",
            "  File \"/usr/lib/python3.11/site-packages/flask/app.py\", line 1, in dispatch\n    return f()\n",
            "  File \"/srv/app/views.py\", line 12, in show\n    row = load(name)\n",
            "app.errors.NotFound: no row for bob\n",
            "2024-01-01 10:00:01,000 INFO app.views: next\n",
        ))
    );
}

#[test]
fn java_traces() {
    insta::assert_json_snapshot!(
        "java",
        classified(concat!(
            "2024-01-01 10:00:03 ERROR [main] com.acme.Shop - order 17 failed\n",
            "com.acme.OrderException: no stock\nof item 5\n",
            "\tat com.acme.Shop.lambda$order$0(Shop.java:10)\n",
            "\tat java.base/java.util.Optional.orElseThrow(Optional.java:403)\n",
            "\tSuppressed: java.io.IOException: closed\n\t\tat com.acme.Pipe.close(Pipe.java:3)\n",
            "Caused by: java.lang.IllegalStateException: 0 left\n\tat com.acme.Stock.take(Stock.java:7)\n\t... 2 more\n",
            "2024-01-01 10:00:04 INFO [main] com.acme.Shop - next\n",
        ))
    );
}

#[test]
fn javascript_go_and_rust() {
    insta::assert_json_snapshot!(
        "others",
        classified(concat!(
            "TypeError: Cannot read properties of undefined (reading 'id')\n",
            "    at show (/srv/app/server.js:12:7)\n    at async /srv/app/node_modules/x/y.js:95:5 {\n",
            "  [cause]: Error: connect ECONNREFUSED 127.0.0.1:5432\n      at connect (node:net:1:2)\n}\n",
            "panic: runtime error: index out of range [5] with length 3\n\n",
            "goroutine 1 [running]:\nmain.(*T).pick(0x1, {0x2, 0x3})\n\t/srv/app/main.go:9 +0x1d\nmain.main()\n\t/srv/app/main.go:5 +0x1d\nexit status 2\n",
            "thread 'main' panicked at src/main.rs:4:5:\ncalled `Option::unwrap()` on a `None` value\n",
            "stack backtrace:\n   0: rust_begin_unwind\n             at /rustc/abc/library/std/src/panicking.rs:1:5\n",
            "   1: core::panicking::panic\n             at /rustc/abc/library/core/src/panicking.rs:1:5\n",
            "   2: app::run::h0123456789abcdef\n             at ./src/main.rs:4:5\n",
            "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.\n",
            "done\n",
        ))
    );
}
