//! `hephaestus ship`, `tap` and `inspect`: with nothing running, and beside a running pipeline.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
};

use hephaestus_schemas::{Mode, Node, NodeStatus, Policy, Severity};
use serde_json::{Value, json};

use crate::support::{Ended, Running, create_topics, interrupt, run, run_with_input, start, text};

fn ship(dir: &Path, arguments: &[&str]) -> Ended {
    run(&[&["ship", "--dir", text(dir)], arguments].concat())
}

fn tap(dir: &Path, arguments: &[&str]) -> Vec<Value> {
    run(&[&["tap", "--dir", text(dir)], arguments].concat()).good().json()
}

fn values(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["value"].as_str().unwrap()).collect()
}

#[test]
fn lines_are_shipped_and_tapped_with_nothing_running() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    create_topics(&data);
    let log = dir.path().join("shop.log");
    fs::write(&log, b"first\n\n\xff\0\r\nlast, without an end").unwrap();
    let shipped = ship(&data, &[text(&log), "--source", "shop/web/err"]).good();
    assert_eq!(shipped.json(), [json!({"lines": 4, "records": 4, "bytes": 28})]);

    let records = tap(&data, &["raw-logs"]);
    assert_eq!(records.len(), 4);
    let partition = &records[0]["partition"];
    for (offset, record) in records.iter().enumerate() {
        assert_eq!(record["key"], "shop/web/err");
        assert_eq!(record["topic"], "raw-logs");
        assert_eq!(&record["partition"], partition);
        assert_eq!(record["offset"], offset);
        assert_eq!(record["origin"], json!([]));
        let stage = format!("ship/{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(record["headers"]["hephaestus-stage"], stage);
        assert_eq!(record["headers"]["traceparent"].as_str().unwrap().len(), 55);
    }
    assert_eq!(records[2]["value_base64"], "/wAN");
    assert_eq!(records[2].get("value"), None);
    assert_eq!(values(&[records[1].clone(), records[3].clone()]), ["", "last, without an end"]);
}

#[test]
fn a_tap_starts_where_it_is_told_and_shows_the_key_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    create_topics(&data);
    for source in ["a/a/a", "b/b/b"] {
        let input = format!("1 of {source}\n2 of {source}\n");
        let arguments = ["ship", "-", "--source", source, "--dir", text(&data)];
        run_with_input(&arguments, input.as_bytes()).good();
    }
    let key_b = ["raw-logs", "--key", "b/b/b"];
    assert_eq!(values(&tap(&data, &key_b)), ["1 of b/b/b", "2 of b/b/b"]);
    let cases: [(&str, usize); 7] = [
        ("beginning", 2),
        ("end", 0),
        ("0", 2),
        ("99", 0),
        ("-1h", 2),
        ("2001-01-01T00:00:00Z", 2),
        ("2999-01-01T00:00:00Z", 0),
    ];
    for (from, count) in cases {
        let records = tap(&data, &[&key_b[..], &["--from", from]].concat());
        assert_eq!(records.len(), count, "{from}");
    }
    assert_eq!(tap(&data, &["raw-logs"]).len(), 4);
    assert_eq!(tap(&data, &["raw-logs", "--key", "c"]), Vec::<Value>::new());
}

#[test]
fn what_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let at = ["--dir", text(&data)];
    let tap = |topic| run(&[&["tap", topic], &at[..]].concat());
    tap("raw-logs").bad(1, "no directory");
    create_topics(&data);
    tap("raw-log").bad(1, r#"no topic "raw-log"; did you mean "raw-logs"?"#);
    tap("weather").bad(1, r#"no topic "weather""#);
    let missing = ship(&data, &["/nowhere/x.log"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("/nowhere/x.log"), "{}", missing.stderr);
    let directory = ship(&data, &[text(dir.path())]);
    assert_eq!(directory.code, Some(1));
    assert!(directory.stderr.contains("is a directory"), "{}", directory.stderr);
    let foreign = run(&["tap", "raw-logs", "--dir", text(dir.path())]);
    assert_eq!(foreign.code, Some(1), "a directory that is no engine's is left alone");
    assert!(!dir.path().join("FORMAT").exists());
}

#[test]
fn a_long_line_is_shipped_whole_and_one_over_the_bound_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    create_topics(&data);
    let log = dir.path().join("long.log");
    let long = "x".repeat(10 << 20);
    let too_long = "y".repeat((16 << 20) + 1);
    fs::write(&log, format!("before\n{long}\n{too_long}\nafter\n")).unwrap();
    let shipped = ship(&data, &[text(&log)]);
    assert_eq!(shipped.code, Some(1));
    let expected = json!({"lines": 4, "records": 3, "bytes": (10 << 20) + 11});
    assert_eq!(shipped.json(), [expected]);
    assert!(shipped.stderr.contains("long.log line 2 has 10485760 bytes"), "{}", shipped.stderr);
    assert!(
        shipped.stderr.contains("long.log line 3 is not shipped: longer than 16777216 bytes"),
        "{}",
        shipped.stderr
    );
    let lengths: Vec<usize> =
        values(&tap(&data, &["raw-logs"])).iter().map(|value| value.len()).collect();
    assert_eq!(lengths, [6, 10 << 20, 5]);
}

fn node() -> Node {
    Node {
        id: "bookshop".to_owned(),
        sources: vec!["bookshop/**".to_owned()],
        repository: "/srv/git/bookshop".to_owned(),
        base_branch: "main".to_owned(),
        source_root: String::new(),
        mode: Mode::Deploy,
        policy: Policy {
            threshold_level: Severity::Error,
            threshold_count: 3,
            threshold_window_ms: 1,
            cooldown_ms: 1,
            allowed_paths: Vec::new(),
            max_files: 1,
            max_changed_lines: 1,
            min_confidence: 0.5,
        },
        signals: Vec::new(),
        signal_level: Severity::Warn,
        signal_warm_up_ms: 0,
        status: NodeStatus::Registered,
        registered_at: 1,
        updated_at: 2,
    }
}

#[tokio::test]
async fn values_are_decoded_and_a_broken_one_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    running.write("nodes", "bookshop", &node()).await;
    running.write_bytes("nodes", "broken", b"no Avro").await;
    running.write_bytes("nodes", "unknown", b"\0\0\0\x7f\xff\x02").await;
    let shown = running.run(&["tap", "nodes", "--dir", text(dir.path())]).await.good().json();
    let of = |key: &str| shown.iter().find(|record| record["key"] == key).unwrap();
    let value: Node = serde_json::from_value(of("bookshop")["value"].clone()).unwrap();
    assert_eq!(value, node());
    assert_eq!(of("bookshop")["value"]["mode"], "DEPLOY");
    assert_eq!(of("broken")["value_base64"], "bm8gQXZybw==");
    for key in ["broken", "unknown"] {
        assert!(of(key)["value_error"].is_string(), "{}", of(key));
    }
    assert!(of("unknown")["value_error"].as_str().unwrap().contains("not in the registry"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_follows_until_it_is_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    running.write_bytes("raw-logs", "a/a/a", b"old").await;
    let mut child = start(&["tap", "raw-logs", "--follow", "--dir", text(dir.path())]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["value"], "old");
    running.write_bytes("raw-logs", "b/b/b", b"new").await;
    assert_eq!(next()["value"], "new");
    interrupt(child).good();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_file_is_shipped_through_rotation_and_truncation() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let log = dir.path().join("app.log");
    fs::write(&log, "one\ntwo\n").unwrap();
    let running = Running::start(&data).await;
    let arguments = ["ship", text(&log), "--follow", "--source", "a/b/c", "--dir", text(&data)];
    let child = start(&arguments);
    running.wait_for("raw-logs", 2).await;
    fs::rename(&log, dir.path().join("app.log.1")).unwrap();
    fs::write(&log, "three\nfo").unwrap();
    running.wait_for("raw-logs", 3).await;
    fs::write(&log, "cut\n").unwrap();
    running.wait_for("raw-logs", 5).await;
    let ended = interrupt(child).good();
    assert_eq!(ended.json(), [json!({"lines": 5, "records": 5, "bytes": 16})]);
    let shown = running.run(&["tap", "raw-logs", "--dir", text(&data)]).await.good().json();
    assert_eq!(values(&shown), ["one", "two", "three", "fo", "cut"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_waits_for_a_pipeline_that_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let log = dir.path().join("app.log");
    fs::write(&log, "one\n").unwrap();
    let running = Running::start(&data).await;
    let mut child = start(&["ship", text(&log), "--follow", "--dir", text(&data)]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    running.wait_for("raw-logs", 1).await;
    running.stop().await;
    let mut growing = fs::OpenOptions::new().append(true).open(&log).unwrap();
    growing.write_all(b"two\n").unwrap();
    let told = stderr.next().unwrap().unwrap();
    assert!(told.ends_with("trying again"), "{told}");
    let running = Running::start(&data).await;
    running.wait_for("raw-logs", 2).await;
    let ended = interrupt(child).good();
    assert_eq!(ended.json(), [json!({"lines": 2, "records": 2, "bytes": 6})]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_typed_is_shipped_at_once() {
    use std::process::Stdio;
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let mut command = crate::support::program(&["ship", "-", "--dir", text(dir.path())]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"hello\nwor").unwrap();
    running.wait_for("raw-logs", 1).await;
    stdin.write_all(b"ld\n").unwrap();
    running.wait_for("raw-logs", 2).await;
    drop(stdin);
    let ended = Ended::from(child.wait_with_output().unwrap()).good();
    assert_eq!(ended.json(), [json!({"lines": 2, "records": 2, "bytes": 10})]);
    running.stop().await;
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    create_topics(&data);
    let log = dir.path().join("many.log");
    fs::write(&log, "a line that is long enough to fill a pipe\n".repeat(5_000)).unwrap();
    ship(&data, &[text(&log)]).good();
    let mut child = start(&["tap", "raw-logs", "--dir", text(&data)]);
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("long enough"));
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn inspect_shows_events_without_any_directory() {
    let log = "2024-05-01 12:00:00,123 ERROR shop: order 17 failed\n\
        Traceback (most recent call last):\n\
        \x20 File \"/srv/shop/orders.py\", line 9, in place\n\
        \x20   return stock[item]\n\
        KeyError: 'book-17'\n\
        2024-05-01 12:00:01,000 INFO shop: order 18 placed\n";
    let ended = run_with_input(&["inspect", "--summary"], log.as_bytes()).good();
    let shown = ended.json();
    let (summary, events) = shown.split_last().unwrap();
    assert_eq!(summary["summary"]["lines"], 6);
    assert_eq!(summary["summary"]["events"], events.len());
    assert!(summary["summary"]["aliases"].is_object());
    let failure = &events[0];
    let mut keys: Vec<&str> = failure.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "category",
        "culprits",
        "exception",
        "fingerprint",
        "first_line",
        "last_line",
        "message",
        "pattern_id",
        "service",
        "severity",
        "template",
        "timestamp",
    ];
    assert_eq!(keys, expected);
    assert_eq!((&failure["first_line"], &failure["last_line"]), (&json!(1), &json!(5)));
    assert_eq!(failure["exception"]["type"], "KeyError");
    assert_eq!(failure["exception"]["frames"][0]["function"], "place");
    assert_eq!(failure["severity"], "ERROR");
    assert_eq!(failure["timestamp"], "2024-05-01T12:00:00.123000Z");
    assert_eq!(failure["culprits"][0]["line"], 9);

    let without = run_with_input(&["inspect"], log.as_bytes()).good();
    assert_eq!(without.json(), events);
    run(&["inspect", "/nowhere/x.log"]).bad(1, "/nowhere/x.log");
}
