#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io,
    sync::{Arc, Mutex},
};

use super::*;
use crate::{record::Headers, telemetry::metrics::Metrics};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What an event writes to the log, as JSON, and what the metrics show after it.
fn emitted(emit: impl FnOnce(&StageMetrics)) -> (serde_json::Value, String) {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .without_time()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let metrics = Metrics::new().unwrap();
    let stage = metrics.stage("classifier");
    tracing::subscriber::with_default(subscriber, || emit(&stage));
    let bytes = captured.0.lock().unwrap().clone();
    let line = serde_json::from_slice(&bytes).unwrap();
    (line, metrics.render().unwrap())
}

fn shows(rendered: &str, line: &str) -> bool {
    rendered.lines().any(|shown| shown == line)
}

#[test]
fn a_rejected_record_is_logged_with_its_place_and_counted_by_class() {
    let record = Record {
        topic: "raw-logs".into(),
        partition: 3,
        offset: 42,
        timestamp_ms: 0,
        key: None,
        value: None,
        headers: Headers::default(),
    };
    let message = "no Avro: \"\u{1b}[31m\n".to_owned() + &"é".repeat(5000);
    let (line, metrics) = emitted(|stage| {
        let event = RecordRejected { record: &record, class: "decode", message: &message };
        event.emit(stage);
    });
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["message"], "record rejected");
    assert_eq!(line["topic"], "raw-logs");
    assert_eq!((&line["partition"], &line["offset"]), (&3.into(), &42.into()));
    let error = line["error"].as_str().unwrap();
    assert!(message.starts_with(error) && error.len() <= LONGEST_MESSAGE && error.len() > 1000);
    let counted = r#"hephaestus_dead_letters_total{class="decode",stage="classifier"} 1"#;
    assert!(shows(&metrics, counted), "{metrics}");
    assert!(!metrics.contains("Avro"), "a message became a label");
}

#[test]
fn a_retry_says_how_long_it_waits() {
    let (line, metrics) = emitted(|stage| {
        let event = RecordRetried {
            partition: 1,
            class: "rate-limit",
            message: "429",
            delay: Duration::from_millis(1500),
        };
        event.emit(stage);
    });
    assert_eq!((&line["delay_ms"], &line["class"]), (&1500.into(), &"rate-limit".into()));
    let counted = r#"hephaestus_retries_total{class="rate-limit",stage="classifier"} 1"#;
    assert!(shows(&metrics, counted), "{metrics}");
}

#[test]
fn a_commit_counts_what_is_done_and_what_is_written() {
    let (line, metrics) = emitted(|stage| {
        let event = Committed { inputs: 5, outputs: 7, took: Duration::from_millis(3) };
        event.emit(stage);
    });
    assert_eq!(line["level"], "TRACE", "one line a commit is no news");
    for counted in [
        r#"hephaestus_records_total{stage="classifier"} 5"#,
        r#"hephaestus_output_records_total{stage="classifier"} 7"#,
        r#"hephaestus_commits_total{result="committed",stage="classifier"} 1"#,
        r#"hephaestus_commit_seconds_bucket{stage="classifier",le="0.005"} 1"#,
        r#"hephaestus_commit_seconds_bucket{stage="classifier",le="0.0025"} 0"#,
    ] {
        assert!(shows(&metrics, counted), "{counted} not in {metrics}");
    }
}

#[test]
fn commits_that_do_not_happen_are_counted_by_why() {
    let (_, fenced) = emitted(|stage| CommitFenced.emit(stage));
    let counted = r#"hephaestus_commits_total{result="fenced",stage="classifier"} 1"#;
    assert!(shows(&fenced, counted), "{fenced}");
    let (line, failed) = emitted(|stage| {
        let event = CommitFailed { message: "no broker", delay: Duration::from_secs(1) };
        event.emit(stage);
    });
    assert_eq!(line["error"], "no broker");
    let counted = r#"hephaestus_commits_total{result="failed",stage="classifier"} 1"#;
    assert!(shows(&failed, counted), "{failed}");
    let counted = r#"hephaestus_records_total{stage="classifier"} 0"#;
    assert!(shows(&failed, counted), "{failed}");
}

#[test]
fn partitions_that_move_are_named_within_bounds() {
    let many: Vec<u32> = (0..1000).collect();
    let (line, metrics) = emitted(|stage| PartitionsAssigned { partitions: &many }.emit(stage));
    assert_eq!(line["count"], 1000);
    assert!(line["partitions"].as_str().unwrap().len() < 400);
    let counted =
        r#"hephaestus_rebalanced_partitions_total{change="assigned",stage="classifier"} 1000"#;
    assert!(shows(&metrics, counted), "{metrics}");
    let (line, metrics) = emitted(|stage| PartitionsRevoked { partitions: &[2, 3] }.emit(stage));
    assert_eq!(line["partitions"], "[2, 3]");
    let counted =
        r#"hephaestus_rebalanced_partitions_total{change="revoked",stage="classifier"} 2"#;
    assert!(shows(&metrics, counted), "{metrics}");
}

#[test]
fn a_drain_that_leaves_work_is_a_warning() {
    let took = Duration::from_secs(1);
    let (line, _) = emitted(|stage| Drained { took, abandoned: 0 }.emit(stage));
    assert_eq!((&line["level"], &line["took_ms"]), (&"INFO".into(), &1000.into()));
    let (line, _) = emitted(|stage| Drained { took, abandoned: 2 }.emit(stage));
    assert_eq!((&line["level"], &line["abandoned"]), (&"WARN".into(), &2.into()));
}

#[test]
fn a_failed_stage_is_an_error() {
    let (line, metrics) = emitted(|stage| StageFailed { message: "no such topic" }.emit(stage));
    assert_eq!((&line["level"], &line["error"]), (&"ERROR".into(), &"no such topic".into()));
    let counted = r#"hephaestus_stage_failures_total{stage="classifier"} 1"#;
    assert!(shows(&metrics, counted), "{metrics}");
}
