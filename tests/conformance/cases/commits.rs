//! A commit appears whole or not at all.

use hephaestus_pipeline::engine::{Commit, CommitError, EngineError, Records};

use crate::fixture::{
    Client, EngineFixture, append, assert_values, at, compacted_topic, group, keyed, read_all,
    record, topic, values,
};

pub(crate) async fn outputs_state_and_offsets_appear_together(fixture: &dyn EngineFixture) {
    let input = topic(fixture, "input", 2).await;
    let output = topic(fixture, "output", 3).await;
    let state = compacted_topic(fixture, "state", 2).await;
    let name = fixture.name("g");
    append(fixture, vec![record(&input, 0, "a"), record(&input, 0, "b")]).await;
    let mut client = Client::join(fixture, group(&name, &[&input], Some(&state))).await;
    client.own(&[0, 1]).await;
    client.read(2).await;
    let reader = client.member.state();
    assert_eq!(reader.get(0, b"count").await.unwrap(), None);
    let records = vec![
        record(&output, 2, "A"),
        keyed(&state, 0, "count", Some("2")),
        record(&output, 2, "B"),
    ];
    client.commit(records).await.unwrap();
    assert_values(fixture, &output, 2, &["A", "B"]).await;
    assert_eq!(reader.get(0, b"count").await.unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(reader.get(1, b"count").await.unwrap(), None);
    let offsets = fixture.engine().group_offsets(&name).await.unwrap();
    let done = offsets.iter().find(|offset| offset.partition == at(&input, 0)).unwrap();
    let last = read_all(fixture, &input, 0).await.pop().unwrap();
    assert!(done.next > last.offset && done.next <= done.end);
    assert!(fixture.engine().groups().await.unwrap().contains(&name));
}

pub(crate) async fn a_refused_commit_leaves_nothing(fixture: &dyn EngineFixture) {
    let input = topic(fixture, "input", 1).await;
    let output = topic(fixture, "output", 1).await;
    let state = compacted_topic(fixture, "state", 1).await;
    let name = fixture.name("g");
    append(fixture, vec![record(&input, 0, "a")]).await;
    let mut client = Client::join(fixture, group(&name, &[&input], Some(&state))).await;
    client.own(&[0]).await;
    client.read(1).await;
    let large = record(&output, 0, vec![0; fixture.max_record_bytes() + 1]);
    let good = || vec![record(&output, 0, "A"), keyed(&state, 0, "k", Some("v"))];
    let mut records = good();
    records.push(large);
    let result = client.commit(records).await;
    let too_large = matches!(result, Err(CommitError::Engine(EngineError::RecordTooLarge { .. })));
    assert!(too_large, "{result:?}");
    assert!(values(fixture, &output, 0).await.is_empty());
    assert_eq!(client.member.state().get(0, b"k").await.unwrap(), None);
    let offsets = fixture.engine().group_offsets(&name).await.unwrap();
    assert!(offsets.iter().all(|offset| offset.next == 0), "{offsets:?}");
    // The member goes on.
    client.commit(good()).await.unwrap();
    assert_values(fixture, &output, 0, &["A"]).await;
}

pub(crate) async fn commits_survive_a_restart(fixture: &dyn EngineFixture) {
    let input = topic(fixture, "input", 1).await;
    let state = compacted_topic(fixture, "state", 1).await;
    let name = fixture.name("g");
    let spec = group(&name, &[&input], Some(&state));
    for round in 0..3 {
        append(fixture, vec![record(&input, 0, format!("{round}"))]).await;
        let mut client = Client::join(fixture, spec.clone()).await;
        client.own(&[0]).await;
        client.read(1).await;
        assert_eq!(client.values(), [format!("{round}")]);
        let value = client.member.state().get(0, b"sum").await.unwrap().unwrap_or_default();
        assert_eq!(value.len(), round);
        let longer = "x".repeat(round + 1);
        client.commit(vec![keyed(&state, 0, "sum", Some(&longer))]).await.unwrap();
        drop(client);
        fixture.restart().await;
    }
}

pub(crate) async fn offsets_of_a_foreign_topic_are_refused(fixture: &dyn EngineFixture) {
    let input = topic(fixture, "input", 1).await;
    let foreign = topic(fixture, "foreign", 1).await;
    append(fixture, vec![record(&input, 0, "a"), record(&foreign, 0, "b")]).await;
    let mut client = Client::join(fixture, group(&fixture.name("g"), &[&input], None)).await;
    client.own(&[0]).await;
    let commit = Commit { records: Records::default(), offsets: vec![(at(&foreign, 0), 1)] };
    let result = client.member.commit(commit).await;
    assert!(matches!(result, Err(CommitError::Engine(EngineError::Fatal(_)))), "{result:?}");
}
