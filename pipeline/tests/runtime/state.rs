//! Keyed state, timers and tables.

use std::sync::Arc;

use hephaestus_pipeline::{
    clock,
    engine::Log,
    record::{Headers, NewRecord},
    runtime::StageConfig,
    table::Table,
};
use hephaestus_schemas::{AuditEvent, StateEntry, topics::NODES};

use crate::support::{Bench, Numberer, config};

#[tokio::test(flavor = "multi_thread")]
async fn state_that_does_not_fit_in_memory_is_read_again() {
    let bench = Bench::new().await;
    let small = StageConfig { state_cache_bytes: 1, ..config() };
    let running = bench.start_with(Arc::new(Numberer::default()), bench.engine.clone(), small);
    for round in 1..=3 {
        for key in 0..10 {
            bench.send(&[(&format!("key-{key}"), "text")]).await;
        }
        bench.wait_for("out", round * 10).await;
    }
    running.drain().await;
    for (key, texts) in bench.written().await {
        assert_eq!(texts, ["text#1", "text#2", "text#3"], "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_changelog_holds_the_state() {
    let bench = Bench::new().await;
    bench.send(&[("k", "one"), ("k", "two")]).await;
    let running = bench.start(Numberer::default());
    bench.wait_for("out", 2).await;
    running.drain().await;
    let entries = bench.all("numberer-state").await;
    assert_eq!(entries.len(), 1, "the latest entry of a key stays");
    let value = entries[0].value.clone().unwrap();
    let entry: StateEntry = bench.codec.decode(&value).await.unwrap();
    assert_eq!((entry.stage.as_str(), entry.state.as_deref()), ("numberer", Some("2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_fires_also_when_its_stage_was_gone() {
    let bench = Bench::new().await;
    bench.send(&[("k", "timer 300")]).await;
    let running = bench.start(Numberer::default());
    bench.wait_for("numberer-state", 1).await;
    running.crash().await;
    assert!(bench.all("out").await.is_empty(), "the timer was not due");
    let running = bench.start(Numberer::default());
    bench.wait_for("out", 1).await;
    running.drain().await;
    assert_eq!(bench.written().await["k"], ["later#2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_timer_fires_once() {
    let bench = Bench::new().await;
    bench.send(&[("k", "timer 50"), ("k", "timer 200"), ("k", "timer 1")]).await;
    let running = bench.start(Numberer::default());
    bench.wait_for("out", 1).await;
    bench.send(&[("k", "end")]).await;
    bench.wait_for("out", 2).await;
    running.drain().await;
    assert_eq!(bench.written().await["k"], ["later#4", "end#5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_whole_before_the_stage_starts_and_follows_after() {
    let bench = Bench::new().await;
    bench.codec.register::<AuditEvent>(NODES).await.unwrap();
    let row = |id: &str, detail: &str| AuditEvent {
        id: id.into(),
        actor: "a".into(),
        action: "b".into(),
        target: "c".into(),
        outcome: hephaestus_schemas::Outcome::Done,
        detail: detail.into(),
        at: 0,
    };
    let record = |id: &str, value: Option<&AuditEvent>| NewRecord {
        topic: NODES.into(),
        partition: None,
        timestamp_ms: clock::now_ms(),
        key: Some(id.to_owned().into()),
        value: value.map(|value| bench.codec.encode(NODES, value).unwrap()),
        headers: Headers::default(),
    };
    let rows: Vec<NewRecord> =
        (0..100).map(|n| record(&format!("row-{n}"), Some(&row("x", "old")))).collect();
    bench.engine.append(rows).await.unwrap();

    let table: Table<AuditEvent> = Table::new(NODES);
    bench.send(&[("k", "one")]).await;
    let stage = Numberer { tables: vec![Arc::new(table.clone())], ..Numberer::default() };
    let running = bench.start(stage);
    bench.wait_for("out", 1).await;
    assert_eq!(table.values().len(), 100);

    let version = table.version();
    bench
        .engine
        .append(vec![record("row-1", None), record("row-2", Some(&row("x", "new")))])
        .await
        .unwrap();
    while table.version() < version + 2 {
        tokio::task::yield_now().await;
    }
    assert!(table.get("row-1").is_none());
    assert_eq!(table.get("row-2").unwrap().detail, "new");
    running.drain().await;
}
