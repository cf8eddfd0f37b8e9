//! Exactly once, in order, across crashes and changes of the assignment.

use std::{sync::Arc, time::Duration};

use hephaestus_pipeline::{
    record::{ORIGIN, STAGE, TRACEPARENT},
    runtime::StageConfig,
};

use crate::support::{Bench, Numberer, config};

fn texts(keys: usize, each: usize) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for number in 0..each {
        for key in 0..keys {
            texts.push((format!("key-{key}"), format!("text-{number}")));
        }
    }
    texts
}

fn borrowed(texts: &[(String, String)]) -> Vec<(&str, &str)> {
    texts.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect()
}

async fn assert_numbered(bench: &Bench, keys: usize, each: usize) {
    let written = bench.written().await;
    assert_eq!(written.len(), keys);
    for (key, texts) in written {
        let expected: Vec<String> =
            (0..each).map(|number| format!("text-{number}#{}", number + 1)).collect();
        assert_eq!(texts, expected, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_handled_once_and_in_order_of_its_key() {
    let bench = Bench::new().await;
    let running = bench.start(Numberer::default());
    bench.send(&borrowed(&texts(20, 50))).await;
    bench.wait_for("out", 1_000).await;
    running.drain().await;
    assert_numbered(&bench, 20, 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_say_what_they_were_made_from_and_by_whom() {
    let bench = Bench::new().await;
    bench.send(&[("k", "hello")]).await;
    let running = bench.start(Numberer::default());
    let output = bench.wait_for("out", 1).await.remove(0);
    running.drain().await;
    let input = bench.all("in").await.remove(0);
    assert_eq!(output.headers.text(ORIGIN), Some(input.origin().to_string().as_str()));
    assert_eq!(output.headers.text(STAGE), Some("numberer/1"));
    assert!(output.headers.text(TRACEPARENT).is_some_and(|trace| trace.len() == 55));
    let state = bench.all("numberer-state").await.remove(0);
    assert_eq!(state.headers.text(ORIGIN), Some(input.origin().to_string().as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn crashes_lose_nothing_and_double_nothing() {
    let bench = Bench::new().await;
    bench.send(&borrowed(&texts(10, 100))).await;
    let mut crashes = 0;
    // Stop at ever later points of the work: before the first commit, between commits, near the end.
    for micros in (200..).step_by(700) {
        let stage = Numberer { max_run: 3, ..Numberer::default() };
        let running = bench.start(stage);
        tokio::time::sleep(Duration::from_micros(micros)).await;
        let done = bench.all("out").await.len();
        running.crash().await;
        if done == 1_000 {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 0, "the work was done before the first crash");
    assert_numbered(&bench, 10, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_come_and_go_share_the_work() {
    let bench = Bench::new().await;
    let input = texts(12, 60);
    let (first, rest) = input.split_at(300);
    let one = bench.start(Numberer::default());
    bench.send(&borrowed(first)).await;
    let two = bench.start(Numberer::default());
    bench.send(&borrowed(rest)).await;
    bench.wait_for("out", 300).await;
    one.drain().await;
    bench.wait_for("out", 720).await;
    two.drain().await;
    assert_numbered(&bench, 12, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_lose_partitions_under_load_go_on_with_the_rest() {
    let bench = Bench::new().await;
    let input = texts(16, 100);
    bench.send(&borrowed(&input)).await;
    // Slow commits, so that every change of the assignment meets finished work.
    let slow = || StageConfig { commit_interval: Duration::from_millis(20), ..config() };
    let stage = || Arc::new(Numberer { max_run: 2, ..Numberer::default() });
    let both = StageConfig { sessions: 2, ..slow() };
    let first = bench.start_with(stage(), bench.engine.clone(), both);
    bench.wait_for("out", 10).await;
    let second = bench.start_with(stage(), bench.engine.clone(), slow());
    bench.wait_for("out", 400).await;
    second.drain().await;
    bench.wait_for("out", 1_600).await;
    first.drain().await;
    assert_numbered(&bench, 16, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_stage_goes_on_where_it_was() {
    let bench = Bench::new().await;
    let input = texts(5, 40);
    let (first, rest) = input.split_at(100);
    bench.send(&borrowed(first)).await;
    let running = bench.start(Numberer::default());
    bench.wait_for("out", 50).await;
    running.drain().await;
    bench.send(&borrowed(rest)).await;
    let running = bench.start(Numberer::default());
    bench.wait_for("out", 200).await;
    running.drain().await;
    assert_numbered(&bench, 5, 40).await;
}
