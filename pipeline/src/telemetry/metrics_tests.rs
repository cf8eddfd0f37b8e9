#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeSet, path::Path};

use super::*;
use crate::{engine::TopicPartition, telemetry::catalogue::CATALOGUE, telemetry::events};

/// Metrics of which each has been used once: without, those with labels are not shown.
fn used() -> (Metrics, StageMetrics) {
    let metrics = Metrics::new().unwrap();
    let stage = metrics.stage("classifier");
    events::RecordRetried {
        partition: 0,
        class: "timeout",
        message: "model did not answer",
        delay: Duration::from_secs(1),
    }
    .emit(&stage);
    stage.rejected("decode");
    metrics.group_lag("classifier", &[lag("raw-logs", 3, 7, 10)]);
    (metrics, stage)
}

fn lag(topic: &str, partition: u32, next: u64, end: u64) -> GroupOffset {
    GroupOffset {
        partition: TopicPartition { topic: topic.into(), partition },
        next,
        end,
        lag_ms: 1500,
    }
}

/// The lines of a metric, without help and type.
fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
    let text = metrics.render().unwrap();
    let of_metric = text.lines().filter(|line| line.starts_with(name));
    of_metric.map(str::to_owned).collect()
}

#[test]
fn code_and_catalogue_agree() {
    let (metrics, _stage) = used();
    let registered: BTreeSet<String> = metrics
        .inner
        .registry
        .gather()
        .iter()
        .map(|family| {
            let kind = format!("{:?}", family.get_field_type()).to_lowercase();
            let metric = family.get_metric().first().unwrap();
            let labels: BTreeSet<&str> =
                metric.get_label().iter().map(prometheus::proto::LabelPair::name).collect();
            format!("{} {kind} {labels:?} {}", family.name(), family.help())
        })
        .collect();
    let listed: BTreeSet<String> = CATALOGUE
        .iter()
        .map(|metric| {
            let labels: BTreeSet<&&str> = metric.labels.iter().collect();
            format!("{} {} {labels:?} {}", metric.name, metric.kind, metric.meaning)
        })
        .collect();
    assert_eq!(registered, listed);
}

#[test]
fn documentation_and_catalogue_agree() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let documented: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let wanted: Vec<String> = CATALOGUE
        .iter()
        .map(|metric| {
            let labels: Vec<String> =
                metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = labels.join(", ");
            format!("| `{}` | {} | {labels} | {} |", metric.name, metric.kind, metric.meaning)
        })
        .collect();
    let wanted_text = wanted.join("\n");
    assert_eq!(documented, wanted, "the table of docs/metrics.md should be:\n{wanted_text}\n");
}

#[test]
fn names_follow_the_conventions() {
    for metric in CATALOGUE {
        assert!(metric.name.starts_with("hephaestus_"), "{}", metric.name);
        assert_eq!(metric.kind == "counter", metric.name.ends_with("_total"), "{}", metric.name);
        assert!(metric.kind != "histogram" || metric.name.ends_with("_seconds"), "{}", metric.name);
    }
}

#[test]
fn sessions_of_a_stage_add_up_and_take_back_what_they_held() {
    let metrics = Metrics::new().unwrap();
    let one = metrics.stage("analyzer");
    let two = metrics.stage("analyzer");
    one.in_flight(100, 2, 10);
    two.in_flight(50, 1, 5);
    one.in_flight(70, 1, 10);
    let bytes = || lines(&metrics, "hephaestus_in_flight_bytes");
    assert_eq!(bytes(), [r#"hephaestus_in_flight_bytes{stage="analyzer"} 120"#]);
    one.polled(3);
    two.polled(4);
    drop(one);
    assert_eq!(bytes(), [r#"hephaestus_in_flight_bytes{stage="analyzer"} 50"#]);
    drop(two);
    assert_eq!(bytes(), [r#"hephaestus_in_flight_bytes{stage="analyzer"} 0"#]);
    assert_eq!(
        lines(&metrics, "hephaestus_polled_records_total"),
        [r#"hephaestus_polled_records_total{stage="analyzer"} 7"#]
    );
}

#[test]
fn shows_the_lag_of_a_group() {
    let metrics = Metrics::new().unwrap();
    metrics.group_lag("analyzer", &[lag("classified-logs", 0, 5, 9)]);
    assert_eq!(
        lines(&metrics, "hephaestus_group_lag"),
        [
            r#"hephaestus_group_lag_records{group="analyzer",partition="0",topic="classified-logs"} 4"#,
            r#"hephaestus_group_lag_seconds{group="analyzer",partition="0",topic="classified-logs"} 1.5"#,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn shows_loops_that_are_stuck_or_not_ready() {
    let metrics = Metrics::new().unwrap();
    let health = Health::new();
    let _reader = health.register_within("reader", Duration::from_secs(1));
    tokio::time::advance(Duration::from_secs(2)).await;
    metrics.health(&health);
    assert_eq!(
        lines(&metrics, "hephaestus_loops"),
        ["hephaestus_loops_not_ready 1", "hephaestus_loops_stuck 1"]
    );
}

#[test]
fn two_in_one_process_do_not_clash() {
    let (one, _) = used();
    let other = Metrics::new().unwrap();
    assert_eq!(lines(&one, "hephaestus_retries_total").len(), 1);
    assert_eq!(lines(&other, "hephaestus_retries_total").len(), 0);
    assert_eq!(lines(&other, "hephaestus_build_info").len(), 1);
}
