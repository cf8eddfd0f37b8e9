//! What becomes of a record that cannot be handled.

use std::sync::Arc;

use hephaestus_pipeline::{engine::Log, record::ORIGIN, runtime::StageConfig};

use crate::support::{Bench, Numberer, config};

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_record_goes_to_the_dead_letters_whole_and_the_key_goes_on() {
    let bench = Bench::new().await;
    bench
        .send(&[("k", "one"), ("k", "reject me"), ("k", "two"), ("k", "panic"), ("k", "three")])
        .await;
    let running = bench.start(Numberer::default());
    bench.wait_for("out", 3).await;
    let letters = bench.wait_for("numberer-dead-letters", 2).await;
    running.drain().await;

    // The state that a failure had touched is as it was before.
    assert_eq!(bench.written().await["k"], ["one#1", "two#2", "three#3"]);
    let letter = &letters[0];
    let input = &bench.all("in").await[1];
    assert_eq!((&letter.key, &letter.value), (&input.key, &input.value));
    assert_eq!(letter.headers.text("sent-by"), Some("test"));
    assert_eq!(letter.headers.text(ORIGIN), Some(input.origin().to_string().as_str()));
    assert_eq!(letter.headers.text("hephaestus-error-class"), Some("asked"));
    assert_eq!(letter.headers.text("hephaestus-error-offset"), Some("1"));
    assert_eq!(letters[1].headers.text("hephaestus-error-class"), Some("panic"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_record_waits_and_other_keys_go_on() {
    let bench = Bench::new().await;
    // Keys of different partitions: the fault of one does not hold up the commit of the other.
    let other = (0..50).map(|n| format!("other-{n}")).find(|key| {
        let partition = |key: &str| {
            hephaestus_pipeline::partitioner::partition_for(
                key.as_bytes(),
                crate::support::PARTITIONS,
            )
        };
        partition(key) != partition("slow")
    });
    let other = other.unwrap();
    bench.send(&[("slow", "retry 1000000"), ("slow", "after"), (&other, "free")]).await;
    let stage = Arc::new(Numberer::default());
    let running = bench.start_with(stage.clone(), bench.engine.clone(), config());
    bench.wait_for("out", 1).await;
    assert_eq!(bench.written().await.keys().collect::<Vec<_>>(), [&other]);
    // The world recovers.
    stage.tries.store(2_000_000, std::sync::atomic::Ordering::SeqCst);
    bench.wait_for("out", 3).await;
    running.drain().await;
    assert_eq!(bench.written().await["slow"], ["retry 1000000#1", "after#2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_failure_stops_the_stage_and_commits_nothing_of_it() {
    let bench = Bench::new().await;
    bench.send(&[("k", "fatal")]).await;
    let running = bench.start(Numberer::default());
    let error = running.task.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "stage numberer: as asked");
    assert!(bench.all("out").await.is_empty());
    assert!(bench.all("numberer-dead-letters").await.is_empty());
    let offsets = bench.engine.group_offsets("numberer").await.unwrap();
    assert!(offsets.iter().all(|offset| offset.next == 0), "{offsets:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_retry_does_not_starve_other_partitions() {
    let bench = Bench::new().await;
    let partition = |key: &str| {
        hephaestus_pipeline::partitioner::partition_for(key.as_bytes(), crate::support::PARTITIONS)
    };
    let beside = |wanted: bool| {
        let mut keys = (0..1_000).map(|n| format!("key-{n}"));
        keys.find(|key| (partition(key) == partition("slow")) == wanted).unwrap()
    };
    let (same, other) = (beside(true), beside(false));
    // More than the whole budget lies behind the key that waits, in its own partition.
    let large = "x".repeat(20_000);
    bench.send(&[("slow", "retry 1000000")]).await;
    for _ in 0..40 {
        bench.send(&[(&same, &large)]).await;
    }
    let small = StageConfig { max_in_flight_bytes: 400_000, poll_bytes: 50_000, ..config() };
    let stage = Arc::new(Numberer { max_run: 1, ..Numberer::default() });
    let running = bench.start_with(stage.clone(), bench.engine.clone(), small);
    while stage.tries.load(std::sync::atomic::Ordering::SeqCst) < 5 {
        tokio::task::yield_now().await;
    }
    for _ in 0..40 {
        bench.send(&[(&other, &large)]).await;
    }
    bench.wait_for("out", 40).await;
    assert_eq!(bench.written().await.keys().collect::<Vec<_>>(), [&other]);
    stage.tries.store(2_000_000, std::sync::atomic::Ordering::SeqCst);
    bench.wait_for("out", 81).await;
    running.drain().await;
    assert_eq!(bench.written().await[&same].len(), 40);
}
