//! Groups: each partition has one reader, and none of its records is passed over.

use std::time::Duration;

use hephaestus_pipeline::engine::{EngineError, Polled};

use crate::fixture::{Client, EngineFixture, PATIENCE, append, at, group, record, share, topic};

async fn fill(fixture: &dyn EngineFixture, topic: &std::sync::Arc<str>, partitions: u32) {
    let mut records = Vec::new();
    for partition in 0..partitions {
        for index in 0..3 {
            records.push(record(topic, partition, format!("{partition}-{index}")));
        }
    }
    append(fixture, records).await;
}

pub(crate) async fn one_member_reads_everything(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "one", 3).await;
    fill(fixture, &name, 3).await;
    let mut client = Client::join(fixture, group(&fixture.name("g"), &[&name], None)).await;
    client.own(&[0, 1, 2]).await;
    client.read(9).await;
    for partition in 0..3 {
        let of_partition: Vec<u64> = (client.records.iter())
            .filter(|record| record.partition == partition)
            .map(|record| record.offset)
            .collect();
        assert!(of_partition.is_sorted(), "{of_partition:?}");
    }
    assert_eq!(client.values()[..3], ["0-0", "0-1", "0-2"]);
}

pub(crate) async fn two_members_share_the_partitions(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "two", 4).await;
    let spec = group(&fixture.name("g"), &[&name], None);
    let mut first = Client::join(fixture, spec.clone()).await;
    first.own(&[0, 1, 2, 3]).await;
    fill(fixture, &name, 4).await;
    first.read(12).await;
    first.commit(Vec::new()).await.unwrap();
    let mut second = Client::join(fixture, spec).await;
    share(&mut first, &mut second, 4).await;
    assert_eq!((first.owned.len(), second.owned.len()), (2, 2));
    fill(fixture, &name, 4).await;
    first.read(6).await;
    second.read(6).await;
    first.commit(Vec::new()).await.unwrap();
    second.commit(Vec::new()).await.unwrap();
    second.member.leave().await.unwrap();
    first.own(&[0, 1, 2, 3]).await;
    append(fixture, vec![record(&name, 0, "a"), record(&name, 3, "b")]).await;
    first.read(2).await;
    assert_eq!(first.values(), ["a", "b"]);
}

pub(crate) async fn a_dropped_member_is_replaced(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "dropped", 2).await;
    let spec = group(&fixture.name("g"), &[&name], None);
    fill(fixture, &name, 2).await;
    let mut first = Client::join(fixture, spec.clone()).await;
    let mut second = Client::join(fixture, spec).await;
    share(&mut first, &mut second, 2).await;
    second.read(3).await;
    first.read(3).await;
    first.commit(Vec::new()).await.unwrap();
    // What it read and did not commit is read again.
    drop(second);
    first.own(&[0, 1]).await;
    first.read(3).await;
}

pub(crate) async fn reading_restarts_at_the_committed_offsets(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "restart", 1).await;
    let spec = group(&fixture.name("g"), &[&name], None);
    fill(fixture, &name, 1).await;
    let mut client = Client::join(fixture, spec.clone()).await;
    client.own(&[0]).await;
    client.read(3).await;
    client.records.truncate(2);
    client.commit(Vec::new()).await.unwrap();
    client.member.leave().await.unwrap();
    for _ in 0..2 {
        let mut client = Client::join(fixture, spec.clone()).await;
        client.own(&[0]).await;
        client.read(1).await;
        assert_eq!(client.values(), ["0-2"]);
        drop(client);
        fixture.restart().await;
    }
}

pub(crate) async fn partitions_of_all_topics_go_together(fixture: &dyn EngineFixture) {
    let left = topic(fixture, "left", 4).await;
    let right = topic(fixture, "right", 4).await;
    fill(fixture, &left, 4).await;
    fill(fixture, &right, 4).await;
    let spec = group(&fixture.name("g"), &[&left, &right], None);
    let mut first = Client::join(fixture, spec.clone()).await;
    let mut second = Client::join(fixture, spec).await;
    share(&mut first, &mut second, 4).await;
    // `Client` asserts that each record lies in a partition that it owns.
    first.read(12).await;
    second.read(12).await;
    for client in [&first, &second] {
        for name in [&left, &right] {
            assert_eq!(client.records.iter().filter(|record| record.topic == *name).count(), 6);
        }
    }
}

pub(crate) async fn topics_of_unequal_size_are_refused(fixture: &dyn EngineFixture) {
    let small = topic(fixture, "small", 2).await;
    let large = topic(fixture, "large", 3).await;
    let spec = group(&fixture.name("g"), &[&small, &large], None);
    let Err(EngineError::Fatal(message)) = fixture.engine().join(spec).await.map(|_| ()) else {
        panic!("joined");
    };
    assert!(message.contains(&*small) && message.contains(&*large), "{message}");
    let missing = group(&fixture.name("g"), &[&fixture.name("missing")], None);
    assert!(fixture.engine().join(missing).await.is_err());
}

pub(crate) async fn two_groups_read_on_their_own(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "twice", 1).await;
    fill(fixture, &name, 1).await;
    let mut one = Client::join(fixture, group(&fixture.name("one"), &[&name], None)).await;
    let mut two = Client::join(fixture, group(&fixture.name("two"), &[&name], None)).await;
    one.own(&[0]).await;
    two.own(&[0]).await;
    one.read(3).await;
    one.commit(Vec::new()).await.unwrap();
    two.read(3).await;
}

pub(crate) async fn a_paused_partition_rests(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "paused", 2).await;
    let mut client = Client::join(fixture, group(&fixture.name("g"), &[&name], None)).await;
    client.own(&[0, 1]).await;
    client.member.pause(0);
    fill(fixture, &name, 2).await;
    client.read(3).await;
    assert!(client.records.iter().all(|record| record.partition == 1));
    client.step(1 << 20).await;
    assert_eq!(client.records.len(), 3, "a paused partition was read");
    client.member.resume(0);
    client.read(6).await;
}

pub(crate) async fn a_poll_for_no_bytes_brings_the_assignment_alone(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "none", 1).await;
    fill(fixture, &name, 1).await;
    let mut client = Client::join(fixture, group(&fixture.name("g"), &[&name], None)).await;
    client.own(&[0]).await;
    let polled = client.member.poll(Duration::from_millis(20), 0).await.unwrap();
    assert!(matches!(polled, Polled::Nothing), "{polled:?}");
    client.read(3).await;
}

pub(crate) async fn a_waiting_poll_wakes_with_the_append(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "wakes", 1).await;
    let mut client = Client::join(fixture, group(&fixture.name("g"), &[&name], None)).await;
    client.own(&[0]).await;
    let waiting = tokio::spawn(async move { client.member.poll(PATIENCE * 10, 100).await });
    append(fixture, vec![record(&name, 0, "x")]).await;
    let polled = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    let Polled::Records(records) = polled else { panic!("{polled:?}") };
    assert_eq!(records.len(), 1);
    let place = at(&name, 0);
    assert_eq!((&records[0].topic, records[0].partition), (&place.topic, place.partition));
}
