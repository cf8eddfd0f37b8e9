//! Who lost a partition can no longer commit on it.

use hephaestus_pipeline::engine::{Commit, CommitError};

use crate::fixture::{
    Client, EngineFixture, append, assert_values, compacted_topic, group, keyed, read_all, record,
    share, topic, values,
};

pub(crate) async fn a_commit_on_a_lost_partition_writes_nothing(fixture: &dyn EngineFixture) {
    let input = topic(fixture, "input", 2).await;
    let output = topic(fixture, "output", 1).await;
    let name = fixture.name("g");
    let spec = group(&name, &[&input], None);
    append(fixture, vec![record(&input, 0, "a"), record(&input, 1, "b")]).await;
    let mut first = Client::join(fixture, spec.clone()).await;
    first.own(&[0, 1]).await;
    first.read(2).await;
    let stale = first.offsets();
    let mut second = Client::join(fixture, spec).await;
    share(&mut first, &mut second, 2).await;
    let commit = Commit { records: vec![record(&output, 0, "stale")].into(), offsets: stale };
    let result = first.member.commit(commit).await;
    assert!(matches!(result, Err(CommitError::Fenced)), "{result:?}");
    assert!(values(fixture, &output, 0).await.is_empty());
    second.read(1).await;
    second.commit(vec![record(&output, 0, "fresh")]).await.unwrap();
    assert_values(fixture, &output, 0, &["fresh"]).await;
}

pub(crate) async fn a_commit_of_state_on_a_lost_partition_writes_nothing(
    fixture: &dyn EngineFixture,
) {
    let input = topic(fixture, "input", 2).await;
    let state = compacted_topic(fixture, "state", 2).await;
    let spec = group(&fixture.name("g"), &[&input], Some(&state));
    let mut first = Client::join(fixture, spec.clone()).await;
    first.own(&[0, 1]).await;
    let mut second = Client::join(fixture, spec).await;
    share(&mut first, &mut second, 2).await;
    let lost = *second.owned.first().unwrap();
    let kept = *first.owned.first().unwrap();
    // A timer fires: state is written and no offset moves.
    let on = |partition| Commit {
        records: vec![keyed(&state, partition, "k", Some("v"))].into(),
        offsets: Vec::new(),
    };
    let result = first.member.commit(on(lost)).await;
    assert!(matches!(result, Err(CommitError::Fenced)), "{result:?}");
    assert_eq!(second.member.state().get(lost, b"k").await.unwrap(), None);
    first.member.commit(on(kept)).await.unwrap();
    second.member.commit(on(lost)).await.unwrap();
    assert!(second.member.state().get(lost, b"k").await.unwrap().is_some());
    assert!(first.member.state().get(kept, b"k").await.unwrap().is_some());
}

pub(crate) async fn a_partition_that_another_had_meanwhile_is_fenced(fixture: &dyn EngineFixture) {
    let input = topic(fixture, "input", 2).await;
    let output = topic(fixture, "output", 1).await;
    let spec = group(&fixture.name("g"), &[&input], None);
    append(fixture, vec![record(&input, 0, "a"), record(&input, 1, "b")]).await;
    let mut first = Client::join(fixture, spec.clone()).await;
    first.own(&[0, 1]).await;
    first.read(2).await;
    // The first one sleeps while the second takes a partition, works on it and goes.
    let mut second = Client::join(fixture, spec).await;
    second.step(1 << 20).await;
    if second.owned.is_empty() {
        eprintln!("skipped: this engine gives nothing away before its owner polls");
        return;
    }
    second.read(1).await;
    second.commit(vec![record(&output, 0, "once")]).await.unwrap();
    second.member.leave().await.unwrap();
    let result = first.commit(vec![record(&output, 0, "twice")]).await;
    assert!(matches!(result, Err(CommitError::Fenced)), "{result:?}");
    assert_values(fixture, &output, 0, &["once"]).await;
    // What it kept throughout is its own still; the other comes back behind what was done.
    let taken = first.records.len();
    first.step(0).await;
    first.own(&[0, 1]).await;
    assert_eq!((taken, first.records.len()), (2, 1));
    first.commit(vec![record(&output, 0, "rest")]).await.unwrap();
    first.step(1 << 20).await;
    assert!(first.records.is_empty(), "read again: {:?}", first.values());
    assert_values(fixture, &output, 0, &["once", "rest"]).await;
}

pub(crate) async fn a_new_owner_starts_behind_the_last_commit_of_the_old(
    fixture: &dyn EngineFixture,
) {
    const RECORDS: usize = 60;
    let input = topic(fixture, "input", 1).await;
    let output = topic(fixture, "output", 1).await;
    let spec = group(&fixture.name("g"), &[&input], None);
    let records = (0..RECORDS).map(|index| record(&input, 0, format!("{index:03}")));
    append(fixture, records.collect()).await;
    // Each member copies record by record until it is aborted at some await, and the next takes over.
    let mut copied = 0;
    while copied < RECORDS {
        let mut client = Client::join(fixture, spec.clone()).await;
        let copy_to = output.clone();
        let working = tokio::spawn(async move {
            client.own(&[0]).await;
            loop {
                client.step(1).await;
                let Some(read) = client.records.first() else { continue };
                let copy = record(&copy_to, 0, read.value.clone().unwrap().to_vec());
                if client.commit(vec![copy]).await.is_err() {
                    return;
                }
            }
        });
        let wanted = (copied + 7).min(RECORDS);
        let place = crate::fixture::at(&output, 0);
        loop {
            let found = read_all(fixture, &output, 0).await;
            if found.len() >= wanted {
                break;
            }
            let next = found.last().map_or(0, |last| last.offset + 1);
            let engine = fixture.engine();
            assert!(engine.wait(&place, next, crate::fixture::PATIENCE).await.unwrap());
        }
        working.abort();
        let _ = working.await;
        copied = values(fixture, &output, 0).await.len();
    }
    let wanted: Vec<String> = (0..RECORDS).map(|index| format!("{index:03}")).collect();
    assert_eq!(values(fixture, &output, 0).await, wanted);
}
