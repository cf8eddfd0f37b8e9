#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn names_and_reasons(health: &Health) -> Vec<String> {
    let not_ready = health.readiness().err().unwrap_or_default();
    not_ready.iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn is_alive_and_not_ready_before_anything_is_registered() {
    let health = Health::new();
    assert_eq!(health.liveness(), Ok(()));
    assert_eq!(names_and_reasons(&health), ["process: starting"]);
}

#[tokio::test(start_paused = true)]
async fn is_ready_when_every_loop_is() {
    let health = Health::new();
    let reader = health.register("reader");
    let tables = health.register("tables");
    assert_eq!(names_and_reasons(&health), ["reader: starting", "tables: starting"]);
    reader.ready();
    tables.not_ready("nodes is being read");
    assert_eq!(names_and_reasons(&health), ["tables: nodes is being read"]);
    tables.ready();
    assert_eq!(health.clone().readiness(), Ok(()));
    reader.not_ready("draining");
    assert_eq!(names_and_reasons(&health), ["reader: draining"]);
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_does_not_come_round_is_stuck() {
    let health = Health::new();
    let quick = health.register_within("quick", Duration::from_secs(5));
    let slow = health.register("slow");
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(health.liveness(), Ok(()), "the bound itself is within the bound");

    tokio::time::advance(Duration::from_secs(2)).await;
    let stuck = health.liveness().unwrap_err();
    let expected = Stuck { name: "quick".into(), since: Duration::from_secs(7) };
    assert_eq!(stuck, [expected]);
    assert_eq!(stuck[0].to_string(), "quick has not come round for 7 s");

    quick.beat();
    assert_eq!(health.liveness(), Ok(()));
    tokio::time::advance(DEFAULT_BEAT_BOUND).await;
    assert_eq!(health.liveness().unwrap_err().len(), 2);
    slow.beat();
    quick.beat();
    assert_eq!(health.liveness(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_ends_well_counts_no_more() {
    let health = Health::new();
    let done = health.register("done");
    let stays = health.register("stays");
    stays.ready();
    done.finish();
    assert_eq!(health.readiness(), Ok(()));
    tokio::time::advance(DEFAULT_BEAT_BOUND).await;
    stays.beat();
    assert_eq!(health.liveness(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_panics_is_neither_ready_nor_alive() {
    let health = Health::new();
    let reader = health.register("reader");
    reader.ready();
    let task = tokio::spawn(async move {
        let _reader = reader;
        panic!("injected");
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(names_and_reasons(&health), ["reader: ended unexpectedly"]);
    assert_eq!(health.liveness().unwrap_err()[0].name.as_ref(), "reader");
}
