//! What must hold for any input: order and spread do not matter, nothing panics, nothing is lost,
//! time grows no faster than the input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{CLASSIFIER, inspect};
use hephaestus_classifier::{RawLine, SourceState};
use proptest::prelude::*;

/// Events as sources write them; a source's lines stay in order, sources interleave.
const EVENTS: [&str; 12] = [
    "2024-01-01 10:00:00,123 INFO app.web: served 17 in 12 ms",
    "2024-01-01 10:00:01,500 INFO app.web: served 99 in 8 ms",
    "2024-01-01 10:00:02,000 ERROR app.views: it failed\nTraceback (most recent call last):\n  File \"/srv/app/views.py\", line 12, in show\n    return user[\"name\"]\nKeyError: 'name'",
    "Traceback (most recent call last):\n  File \"/srv/app/a.py\", line 1, in f\n    g()\nValueError: bad\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"/srv/app/a.py\", line 3, in f\n    h()\nRuntimeError: worse",
    "2024-01-01 10:00:03 ERROR [main] com.acme.Shop - order failed\ncom.acme.OrderException: no stock\n\tat com.acme.Shop.order(Shop.java:10)\n\tat com.acme.Main.main(Main.java:5)\nCaused by: java.lang.IllegalStateException: 0 left\n\tat com.acme.Stock.take(Stock.java:7)\n\t... 2 more",
    "TypeError: Cannot read properties of undefined (reading 'id')\n    at show (/srv/app/server.js:12:7)\n    at Layer.handle (/srv/app/node_modules/express/lib/router/layer.js:95:5)",
    "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.pick(...)\n\t/srv/app/main.go:9\nmain.main()\n\t/srv/app/main.go:5 +0x1d",
    "thread 'main' panicked at src/main.rs:4:5:\nindex out of bounds\nstack backtrace:\n   0: rust_begin_unwind\n             at /rustc/abc/library/std/src/panicking.rs:1:5\n   1: app::run\n             at ./src/main.rs:4:5\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
    "{\"time\":\"2024-01-01T10:00:04Z\",\"level\":\"error\",\"msg\":\"pay failed\",\"password\":\"hunter2\"}",
    "10.0.0.1 - - [01/Jan/2024:10:00:05 +0000] \"GET /users/7 HTTP/1.1\" 500 12",
    "<11>Jan  1 10:00:06 host worker[7]: job 15 died",
    "plain words without a header",
];

/// The fingerprints of what each source wrote, with the sources' lines handled in some order by
/// some number of instances, each of which has the state of the sources that are its own.
fn fingerprints(
    sources: &[Vec<usize>],
    partitions: usize,
    picks: &[usize],
) -> BTreeMap<String, usize> {
    let lines: Vec<Vec<&str>> = sources
        .iter()
        .map(|events| {
            events.iter().flat_map(|event| EVENTS[*event % EVENTS.len()].split('\n')).collect()
        })
        .collect();
    let mut instances: Vec<BTreeMap<usize, SourceState>> = vec![BTreeMap::new(); partitions];
    let mut offsets = vec![0u64; partitions];
    let mut next = vec![0usize; sources.len()];
    let mut counts = BTreeMap::new();
    let mut count = |events: Vec<hephaestus_classifier::Event>| {
        for event in events {
            *counts.entry(event.log.fingerprint).or_insert(0) += 1;
        }
    };
    let mut step = 0;
    while next.iter().zip(&lines).any(|(next, lines)| *next < lines.len()) {
        let pick = picks.get(step % picks.len().max(1)).copied().unwrap_or(0) + step;
        step += 1;
        let open: Vec<usize> =
            (0..sources.len()).filter(|source| next[*source] < lines[*source].len()).collect();
        let source = open[pick % open.len()];
        let partition = source % partitions;
        let state = instances[partition].entry(source).or_default();
        // A state that is stored and read back between two records, as after a restart.
        let stored = serde_json::to_string(state).unwrap();
        *state = serde_json::from_str(&stored).unwrap();
        let record = RawLine {
            offset: offsets[partition],
            timestamp_ms: common::REFERENCE_MS,
            bytes: lines[source][next[source]].as_bytes(),
            ..RawLine::default()
        };
        offsets[partition] += 1;
        next[source] += 1;
        let name = format!("shop/{source}/out");
        count(CLASSIFIER.push(state, &name, record));
    }
    for instance in &mut instances {
        for (source, state) in instance {
            count(CLASSIFIER.flush(state, &format!("shop/{source}/out")));
            assert!(state.is_idle());
        }
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn spread_and_interleaving_do_not_matter(
        sources in proptest::collection::vec(proptest::collection::vec(0usize..EVENTS.len(), 1..8), 1..6),
        picks in proptest::collection::vec(0usize..97, 1..40),
    ) {
        let alone = fingerprints(&sources, 1, &[0]);
        for partitions in [1, 4, 16] {
            prop_assert_eq!(&fingerprints(&sources, partitions, &picks), &alone);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_bytes_are_accounted_for(input in proptest::collection::vec(any::<u8>(), 0..600)) {
        check_lines(&input);
    }

    #[test]
    fn any_mixture_of_fragments_is_accounted_for(parts in proptest::collection::vec(prop_oneof![
        Just("Traceback (most recent call last):\n"), Just("  File \"a.py\", line 3, in f\n"), Just("ValueError: x\n"),
        Just("\tat a.B.c(B.java:1)\n"), Just("Caused by: a.E: m\n"), Just("a.b.CException: d\n"), Just("\n"),
        Just("goroutine 1 [running]:\n"), Just("panic: x\n"), Just("main.f(0x1)\n"), Just("\t/a.go:1 +0x1\n"),
        Just("thread 'm' panicked at a.rs:1:2:\n"), Just("stack backtrace:\n"), Just("note: x\n"), Just("   0: a::b\n"),
        Just("2024-01-01 10:00:00 ERROR x\n"), Just("{\"msg\":\"a\"}\n"), Just("____________ test_x ____________\n"),
        Just("E   ValueError: y\n"), Just("    at f (a.js:1:2)\n"), Just("plain\n"), Just("[cause]: Error: z\n"), Just("-----BEGIN RSA PRIVATE KEY-----\n"),
    ], 0..40)) {
        check_lines(parts.concat().as_bytes());
    }
}

/// Every line belongs to exactly one event, in order.
fn check_lines(input: &[u8]) {
    let events = inspect(input);
    let stripped = input.strip_suffix(b"\n").unwrap_or(input);
    let lines = stripped.split(|byte| *byte == b'\n').count() as u64;
    let mut next = 1;
    for event in &events {
        assert_eq!(event.first_line, next);
        assert_eq!(
            u64::from(event.log.lines.unsigned_abs()),
            event.last_line - event.first_line + 1
        );
        next = event.last_line + 1;
    }
    assert_eq!(next, lines + 1);
}

/// Processor time of this thread: what else runs on the machine counts little.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

fn best_time(input: &[u8]) -> Duration {
    (0..2)
        .map(|_| {
            let start = processor_time();
            std::hint::black_box(inspect(input));
            processor_time() - start
        })
        .min()
        .unwrap()
}

#[test]
fn time_grows_with_the_input_and_no_faster() {
    let units: [&str; 67] = [
        "\\n",
        "\\n\\tat ",
        "\\\\n   ",
        "\\n   at ",
        "a.BException: x\\n\\tat a.B.c(B.java:1)",
        "{\"a\":",
        "{\"log\":\"",
        "k=v ",
        "k=\"",
        "<34>1 - - - - - [a b=\"",
        "a",
        "password=",
        "token=\"{",
        "eyJ-",
        "sk-sk-",
        "@",
        "4111 ",
        "://a:",
        "[",
        "a:a:",
        "/a",
        "<1 ",
        "'",
        "\"",
        "1.1.",
        "::",
        "bearer ",
        "cookie=",
        "-----BEGIN ",
        "a.b.CException: ",
        "12:",
        "user ",
        "<a>",
        "A`1[",
        " ---> ",
        ":in `",
        "eyJ",
        "eyJ.",
        "-eyJ-",
        "ghp_",
        "SK0",
        "1 ",
        "11-",
        "DE8",
        "+12",
        "(20",
        "://a:b",
        "%40",
        "\\",
        "\\\"",
        "password=\\",
        "\"password\": [\"a\", ",
        "token=\"",
        "--password ",
        "<password>",
        "Authorization: ",
        "Cookie: a=\"",
        "password\", ",
        "_key",
        "a8Q~",
        "1:AA",
        "AKIA",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\"",
        "<secret:a",
        "xoxe.xoxe-",
        "password: Some(",
    ];
    for unit in units {
        let line = |size: usize| unit.repeat(size / unit.len());
        check_ratio(unit, |size| line(size).into_bytes());
    }
    let many: [&str; 36] = [
        "\tat a.B.c(B.java:1)\n",
        "a.BException: x\n\tat a.B.c(B.java:1)\n",
        "Caused by: a.E: m\n\tat a.B.c(B.java:1)\n",
        "    + Exception Group Traceback (most recent call last):\n",
        "    | Traceback (most recent call last):\n    | ValueError: x\n",
        "\tSuppressed: a.E: m\n",
        "2024-01-01T10:00:00Z stdout F \\n\\tat \n",
        "created by a.b in goroutine 7\n",
        "Traceback (most recent call last):\n",
        "a.b.CException: x\n",
        "\n",
        "  x\n",
        "panic: x\n",
        "goroutine 1 [running]:\n",
        "thread 'm' panicked at a.rs:1:2:\n",
        "Caused by: a.E: m\n",
        "plain words\n",
        "E   x\n",
        "  File \"a\", line 1, in f\n",
        "[originating from goroutine 1]:\n",
        "____________ test_x ____________\n",
        "   at A.B(C c)\n",
        " ---> System.AException: x\n",
        "--- End of inner exception stack trace ---\n",
        "A.BException: x\n   at A.B(C c)\n",
        "PHP Fatal error:  Uncaught A: b\n",
        "Stack trace:\n",
        "#0 /a.php(1): f()\n",
        "Next A: b in /c.php:1\nStack trace:\n",
        "\tfrom a.rb:1:in `f'\n",
        "a.rb:1:in `f': m (AError)\n",
        "main.f\n",
        "main.f\n\t/a.go:1\n",
        "Error: x\nCaused by:\n",
        "f@http://a/b.js:1:2\n",
        "2024-01-01T10:00:00Z stdout P x\n",
    ];
    for unit in many {
        check_ratio(unit, |size| unit.repeat(size / unit.len()).into_bytes());
    }
    // What goes on for ever behind a line that expects something else.
    for (first, unit) in [
        ("PHP Fatal error:  Uncaught A: b\n", "Stack trace:\n"),
        ("PHP Fatal error:  Uncaught A: b\n", "#0 /a.php(1): f()\n"),
        ("System.AException: x\n", " ---> System.BException: y\n"),
        ("a.rb:1:in `f': m (AError)\n", "a.rb:1:in `g': m (BError)\n"),
        ("AggregateError: x\n    at f (/a.js:1:2) {\n  [errors]: [\n", "    Error: x\n"),
    ] {
        check_ratio(unit, |size| format!("{first}{}", unit.repeat(size / unit.len())).into_bytes());
    }
}

/// Doubling the input takes less than three times as long; a noisy machine gets further tries.
fn check_ratio(name: &str, input: impl Fn(usize) -> Vec<u8>) {
    const SIZE: usize = 12 * 1024;
    let mut ratio = 0.0;
    for _ in 0..5 {
        let small = best_time(&input(SIZE));
        let large = best_time(&input(SIZE * 2));
        ratio = large.as_secs_f64() / small.as_secs_f64().max(1e-5);
        if ratio < 3.0 {
            return;
        }
    }
    panic!("{name:?}: twice the input takes {ratio:.1} times as long");
}

#[test]
fn over_long_lines_and_events_are_cut() {
    let line = vec![b'x'; 10 * 1024 * 1024];
    let events = inspect(&line);
    assert_eq!(events.len(), 1);
    assert!(events[0].log.truncated);
    assert!(events[0].log.message.len() <= CLASSIFIER.config().max_line_bytes);

    let mut event = b"2024-01-01 10:00:00 ERROR it failed\n".to_vec();
    for _ in 0..20_000 {
        event.extend_from_slice(b"    a further line of the very same event\n");
    }
    let events = inspect(&event);
    assert!(events[0].log.truncated);
    assert!(
        events.iter().all(|event| event.log.message.len() <= CLASSIFIER.config().max_event_bytes)
    );
}

#[test]
fn no_secret_lies_in_a_pending_state() {
    let mut state = SourceState::default();
    let record = RawLine {
        offset: 1,
        timestamp_ms: common::REFERENCE_MS,
        bytes: b"2024-01-01 10:00:00 ERROR login with password=hunter2 of bob@example.org failed",
        ..RawLine::default()
    };
    assert!(CLASSIFIER.push(&mut state, "shop/a/out", record).is_empty());
    let stored = serde_json::to_string(&state).unwrap();
    assert!(!stored.contains("hunter2") && !stored.contains("bob@"), "{stored}");
    let events = CLASSIFIER.flush(&mut state, "shop/a/out");
    assert_eq!(events[0].log.masked, 2);
}

#[test]
fn a_whole_line_is_complete_at_once_and_a_record_may_hold_many() {
    let mut state = SourceState::default();
    let mut push = |offset: u64, text: &str| {
        let record = RawLine {
            offset,
            timestamp_ms: common::REFERENCE_MS,
            bytes: text.as_bytes(),
            ..RawLine::default()
        };
        CLASSIFIER.push(&mut state, "shop/a/out", record)
    };
    assert_eq!(push(0, EVENTS[8]).len(), 1);
    assert_eq!(push(1, EVENTS[9]).len(), 1);
    assert_eq!(push(2, EVENTS[2]).len(), 0);
    let completed = push(3, EVENTS[8]);
    assert_eq!(completed.len(), 2);
    assert_eq!((completed[0].first_offset, completed[0].last_offset), (2, 2));
    assert_eq!(completed[0].log.exception.as_ref().unwrap().type_name, "KeyError");
}

#[test]
fn context_is_kept_with_failures() {
    let events = inspect(format!("{}\n{}\n{}", EVENTS[0], EVENTS[1], EVENTS[2]).as_bytes());
    assert_eq!(events[2].log.context, [EVENTS[0], EVENTS[1]]);
    assert!(events[1].log.context.is_empty());
}
