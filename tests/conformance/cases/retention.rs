//! Old records go: by time, by size, whole batches, never the newest.

use std::sync::Arc;

use hephaestus_pipeline::{
    engine::{Cleanup, PartitionInfo, TopicSpec},
    record::Record,
};

use crate::fixture::{
    Client, EngineFixture, append, at, group, info, kept, read_all, record, values,
};

async fn bounded(
    fixture: &dyn EngineFixture,
    retention_ms: Option<u64>,
    retention_bytes: Option<u64>,
) -> Arc<str> {
    let name = fixture.name("bounded");
    let cleanup = Cleanup::Delete { retention_ms, retention_bytes };
    let spec = TopicSpec { cleanup, ..kept(&name, 1) };
    fixture.engine().create_topics(&[spec]).await.unwrap();
    name
}

pub(crate) async fn old_records_go_by_time(fixture: &dyn EngineFixture) {
    let name = bounded(fixture, Some(1000), None).await;
    let mut offsets = Vec::new();
    for second in 0..5 {
        let mut of_second = record(&name, 0, format!("{second}"));
        of_second.timestamp_ms = second * 1000;
        offsets.push(append(fixture, vec![of_second]).await[0].1);
    }
    if !fixture.maintain(1000).await {
        eprintln!("skipped: this engine removes when it likes");
        return;
    }
    assert_eq!(values(fixture, &name, 0).await.len(), 5, "nothing is too old yet");
    fixture.maintain(3500).await;
    assert_eq!(values(fixture, &name, 0).await, ["3", "4"]);
    assert_eq!(info(fixture, &name, 0).await.earliest, offsets[3]);
    fixture.maintain(1_000_000).await;
    assert_eq!(values(fixture, &name, 0).await, ["4"], "the newest stays");
    fixture.restart().await;
    assert_eq!(
        info(fixture, &name, 0).await,
        PartitionInfo { earliest: offsets[4], end: offsets[4] + 1 }
    );
    assert_eq!(values(fixture, &name, 0).await, ["4"]);
}

pub(crate) async fn large_partitions_are_cut_by_size(fixture: &dyn EngineFixture) {
    let name = bounded(fixture, None, Some(10_000)).await;
    let mut state = 1u64;
    for _ in 0..3000 / 25 {
        let mut records = Vec::new();
        for _ in 0..25 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let noise: Vec<u8> =
                (0..8).flat_map(|i| state.rotate_left(i * 8).to_le_bytes()).collect();
            records.push(record(&name, 0, noise));
        }
        append(fixture, records).await;
    }
    if !fixture.maintain(0).await {
        eprintln!("skipped: this engine removes when it likes");
        return;
    }
    let records = read_all(fixture, &name, 0).await;
    let bytes: usize = records.iter().map(Record::size).sum();
    assert!((4000..20_000).contains(&bytes), "{bytes} bytes are left");
    assert_eq!(info(fixture, &name, 0).await.earliest, records[0].offset);
    // More than one step's worth was removed, and it goes on.
    let before = records.len();
    append(fixture, vec![record(&name, 0, "x")]).await;
    fixture.maintain(0).await;
    assert!(read_all(fixture, &name, 0).await.len() <= before + 1);
}

pub(crate) async fn a_reader_behind_goes_on_at_the_earliest(fixture: &dyn EngineFixture) {
    let name = bounded(fixture, Some(10), None).await;
    let spec = group(&fixture.name("g"), &[&name], None);
    let on = |value: &str, timestamp_ms| {
        let mut record = record(&name, 0, value);
        record.timestamp_ms = timestamp_ms;
        record
    };
    for value in ["a", "b"] {
        append(fixture, vec![on(value, 0)]).await;
    }
    let mut client = Client::join(fixture, spec.clone()).await;
    client.own(&[0]).await;
    client.read(2).await;
    client.records.truncate(1);
    client.commit(Vec::new()).await.unwrap();
    append(fixture, vec![on("c", 0)]).await;
    append(fixture, vec![on("d", 1000)]).await;
    if !fixture.maintain(1000).await {
        eprintln!("skipped: this engine removes when it likes");
        return;
    }
    assert_eq!(values(fixture, &name, 0).await, ["d"]);
    let read = fixture.engine().read(&at(&name, 0), 0, 1 << 20).await.unwrap();
    assert_eq!(read.len(), 1);
    client.read(1).await;
    assert_eq!(client.values(), ["d"], "a member that is behind");
    drop(client);
    let mut again = Client::join(fixture, spec).await;
    again.own(&[0]).await;
    again.read(1).await;
    assert_eq!(again.values(), ["d"], "a member that restarts");
    again.commit(Vec::new()).await.unwrap();
}
