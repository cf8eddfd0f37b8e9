//! Compacted topics: the latest record of each key stays, in order of offsets.

use std::sync::Arc;

use bytes::Bytes;
use hephaestus_pipeline::engine::{EngineError, GroupSpec};

use crate::fixture::{
    Client, EngineFixture, append, at, compacted_topic, group, keyed, read_all, record, topic,
};

/// A group with keyed state, of which members read what was written before they got a partition.
struct Stateful {
    state: Arc<str>,
    spec: GroupSpec,
    partitions: Vec<u32>,
}

impl Stateful {
    async fn new(fixture: &dyn EngineFixture, partitions: u32) -> Self {
        let input = topic(fixture, "input", partitions).await;
        let state = compacted_topic(fixture, "state", partitions).await;
        let spec = group(&fixture.name("g"), &[&input], Some(&state));
        Self { state, spec, partitions: (0..partitions).collect() }
    }

    /// A fresh member that owns every partition.
    async fn member(&self, fixture: &dyn EngineFixture) -> Client {
        let mut client = Client::join(fixture, self.spec.clone()).await;
        client.own(&self.partitions).await;
        client
    }
}

fn keys_and_values(
    records: &[hephaestus_pipeline::record::Record],
) -> Vec<(String, Option<String>)> {
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    let pairs = records.iter();
    pairs.map(|r| (text(r.key.as_ref().unwrap()), r.value.as_ref().map(text))).collect()
}

pub(crate) async fn the_latest_value_of_a_key_stays(fixture: &dyn EngineFixture) {
    let group = Stateful::new(fixture, 1).await;
    let state = group.state.clone();
    append(fixture, vec![keyed(&state, 0, "a", Some("1")), keyed(&state, 0, "b", Some("1"))]).await;
    append(fixture, vec![keyed(&state, 0, "a", Some("2")), keyed(&state, 0, "a", Some("3"))]).await;
    let client = group.member(fixture).await;
    let reader = client.member.state();
    assert_eq!(reader.get(0, b"a").await.unwrap().as_deref(), Some(&b"3"[..]));
    assert_eq!(reader.get(0, b"b").await.unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(reader.get(0, b"").await.unwrap(), None);
    assert_eq!(reader.get(0, b"ab").await.unwrap(), None);
    drop(client);
    fixture.restart().await;
    let latest = read_all(fixture, &state, 0).await;
    let last_of_a = latest.iter().rfind(|record| record.key.as_deref() == Some(b"a")).unwrap();
    assert_eq!(last_of_a.value.as_deref(), Some(&b"3"[..]));
}

pub(crate) async fn superseded_records_are_gone(fixture: &dyn EngineFixture) {
    let state = compacted_topic(fixture, "state", 1).await;
    for round in 0..5 {
        let value = format!("{round}");
        let records = ["a", "b", "a"].map(|key| keyed(&state, 0, key, Some(&value)));
        append(fixture, records.to_vec()).await;
    }
    let last = append(fixture, vec![keyed(&state, 0, "c", Some("x"))]).await[0].1;
    if !fixture.maintain(i64::MAX).await {
        eprintln!("skipped: this engine compacts when it likes");
        return;
    }
    let records = read_all(fixture, &state, 0).await;
    let wanted = [("b", "4"), ("a", "4"), ("c", "x")];
    let wanted = wanted.map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
    assert_eq!(keys_and_values(&records), wanted);
    assert!(records.windows(2).all(|pair| pair[0].offset < pair[1].offset));
    assert_eq!(records[2].offset, last);
    // From inside a gap on.
    let from_gap = fixture.engine().read(&at(&state, 0), 1, 1 << 20).await.unwrap();
    assert_eq!(from_gap, records);
}

pub(crate) async fn a_tombstone_removes_the_key_and_goes_in_time(fixture: &dyn EngineFixture) {
    let group = Stateful::new(fixture, 1).await;
    let state = group.state.clone();
    for key in ["a", "b"] {
        append(fixture, vec![keyed(&state, 0, key, Some("1"))]).await;
    }
    append(fixture, vec![keyed(&state, 0, "a", None)]).await;
    let client = group.member(fixture).await;
    let reader = client.member.state();
    assert_eq!(reader.get(0, b"a").await.unwrap(), None);
    let entries = reader.scan(0, None, 10).await.unwrap();
    assert_eq!(entries, [(Bytes::from_static(b"b"), Bytes::from_static(b"1"))]);
    // Who follows the topic sees it.
    let tombstone = read_all(fixture, &state, 0).await.pop().unwrap();
    assert_eq!((tombstone.key.as_deref(), tombstone.value), (Some(&b"a"[..]), None));
    if !fixture.maintain(i64::MAX).await {
        eprintln!("skipped: this engine purges when it likes");
        return;
    }
    // The newest record stays, so that who reads at the end has something to stand on.
    assert_eq!(read_all(fixture, &state, 0).await.len(), 2);
    append(fixture, vec![keyed(&state, 0, "c", Some("1"))]).await;
    assert!(fixture.maintain(0).await, "long before it was written");
    assert_eq!(read_all(fixture, &state, 0).await.len(), 3);
    fixture.maintain(i64::MAX).await;
    let left = read_all(fixture, &state, 0).await;
    let keys: Vec<_> = keys_and_values(&left).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["b", "c"]);
    // And comes back to life.
    append(fixture, vec![keyed(&state, 0, "a", Some("2")), keyed(&state, 0, "b", None)]).await;
    append(fixture, vec![keyed(&state, 0, "b", Some("3"))]).await;
    fixture.maintain(i64::MAX).await;
    drop(client);
    let client = group.member(fixture).await;
    let reader = client.member.state();
    assert_eq!(reader.get(0, b"a").await.unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(reader.get(0, b"b").await.unwrap().as_deref(), Some(&b"3"[..]));
}

pub(crate) async fn state_is_scanned_in_pages_and_by_partition(fixture: &dyn EngineFixture) {
    let group = Stateful::new(fixture, 3).await;
    let state = group.state.clone();
    let mut records = Vec::new();
    for index in (0..25).rev() {
        records.push(keyed(&state, 1, &format!("k{index:02}"), Some("v")));
    }
    records.push(keyed(&state, 0, "before", Some("v")));
    records.push(keyed(&state, 2, "after", Some("v")));
    records.push(keyed(&state, 1, "", Some("empty key")));
    append(fixture, records).await;
    let client = group.member(fixture).await;
    let reader = client.member.state();
    let mut keys: Vec<Bytes> = Vec::new();
    let mut pages = 0;
    loop {
        let after = keys.last().cloned();
        let page = reader.scan(1, after.as_deref(), 10).await.unwrap();
        assert!(page.len() <= 10);
        if page.is_empty() {
            break;
        }
        pages += 1;
        keys.extend(page.into_iter().map(|(key, _)| key));
    }
    assert_eq!(pages, 3);
    assert_eq!(keys.len(), 26);
    assert!(keys.is_sorted());
    assert_eq!(reader.scan(0, None, 10).await.unwrap().len(), 1);
    assert_eq!(reader.scan(2, Some(b"after"), 10).await.unwrap().len(), 0);
    assert_eq!(reader.scan(1, None, 0).await.unwrap().len(), 0);
}

pub(crate) async fn a_record_without_a_key_is_refused(fixture: &dyn EngineFixture) {
    let state = compacted_topic(fixture, "state", 1).await;
    let other = topic(fixture, "other", 1).await;
    let records = vec![record(&other, 0, "x"), record(&state, 0, "no key")];
    let result = fixture.engine().append(records).await;
    assert!(matches!(result, Err(EngineError::Fatal(_))), "{result:?}");
    assert!(read_all(fixture, &other, 0).await.is_empty());
}
