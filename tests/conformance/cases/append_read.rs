//! What is appended is read back: whole, in order, once.

use std::time::Duration;

use bytes::Bytes;
use hephaestus_pipeline::{
    engine::EngineError,
    partitioner::partition_for,
    record::{Headers, NewRecord},
};

use crate::fixture::{EngineFixture, PATIENCE, append, at, info, read_all, record, topic, values};

pub(crate) async fn records_come_back_whole_and_in_order(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "whole", 2).await;
    let mut headers = Headers::default();
    headers.push("traceparent", Bytes::from_static(b"00-1-2-03"));
    headers.push("twice", Bytes::from_static(b"a"));
    headers.push("twice", Bytes::from_static(&[0, 0xff]));
    let whole = NewRecord {
        topic: name.clone(),
        partition: Some(1),
        timestamp_ms: 1_234_567_890_123,
        key: Some(Bytes::from_static(&[0, 1, 0xfe])),
        value: Some(Bytes::from_static(b"\0\xff")),
        headers,
    };
    let empty = NewRecord {
        timestamp_ms: 1,
        key: Some(Bytes::new()),
        value: Some(Bytes::new()),
        headers: Headers::default(),
        ..whole.clone()
    };
    let bare = NewRecord { key: None, value: None, ..empty.clone() };
    let written = [whole, empty, bare];
    let places = append(fixture, written.to_vec()).await;
    for restarted in [false, true] {
        let read = read_all(fixture, &name, 1).await;
        assert_eq!(read.len(), 3);
        for ((new, old), place) in written.iter().zip(&read).zip(&places) {
            assert_eq!((old.partition, old.offset), *place, "restarted: {restarted}");
            assert_eq!(old.topic, name);
            assert_eq!(old.timestamp_ms, new.timestamp_ms);
            assert_eq!(old.key, new.key);
            assert_eq!(old.value, new.value);
            assert_eq!(old.headers, new.headers);
        }
        fixture.restart().await;
    }
    assert!(read_all(fixture, &name, 0).await.is_empty());
}

pub(crate) async fn a_key_goes_to_the_partition_that_kafka_chooses(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "keys", 5).await;
    let mut records = Vec::new();
    for index in 0..40 {
        let key = format!("key-{index}");
        let key = Some(Bytes::from(key.into_bytes()));
        records.push(NewRecord { partition: None, key, ..record(&name, 0, "v") });
    }
    let places = append(fixture, records.clone()).await;
    for (record, (partition, _)) in records.iter().zip(&places) {
        let key = record.key.as_ref().unwrap();
        assert_eq!(*partition, partition_for(key, 5));
    }
    let unkeyed = NewRecord { partition: None, ..record(&name, 0, "v") };
    let (partition, offset) = append(fixture, vec![unkeyed]).await[0];
    let last = read_all(fixture, &name, partition).await.pop().unwrap();
    assert_eq!((last.offset, last.key), (offset, None));
}

pub(crate) async fn a_read_brings_about_as_much_as_asked(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "budget", 1).await;
    for _ in 0..3 {
        append(fixture, (0..10).map(|_| record(&name, 0, vec![b'x'; 1000])).collect()).await;
    }
    for restarted in [false, true] {
        let engine = fixture.engine();
        let read = async |max| engine.read(&at(&name, 0), 0, max).await.unwrap().len();
        assert_eq!(read(0).await, 1, "restarted: {restarted}");
        assert_eq!(read(1500).await, 1);
        let some = read(15_000).await;
        assert!((10..=15).contains(&some), "{some}");
        assert_eq!(read(1 << 20).await, 30);
        // From the middle of what was appended at once.
        let all = read_all(fixture, &name, 0).await;
        let middle = engine.read(&at(&name, 0), all[15].offset, 2500).await.unwrap();
        assert_eq!(middle[0].offset, all[15].offset);
        assert_eq!(middle.len(), 2);
        fixture.restart().await;
    }
}

pub(crate) async fn reading_at_the_end_brings_nothing(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "end", 1).await;
    let engine = fixture.engine();
    assert!(engine.read(&at(&name, 0), 0, 100).await.unwrap().is_empty());
    append(fixture, vec![record(&name, 0, "x")]).await;
    let end = info(fixture, &name, 0).await.end;
    for from in [end, end + 10, u64::MAX] {
        assert!(engine.read(&at(&name, 0), from, 100).await.unwrap().is_empty());
    }
}

pub(crate) async fn unknown_partitions_are_named(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "known", 2).await;
    let engine = fixture.engine();
    let missing = fixture.name("missing");
    for (topic, partition) in [(&name, 2), (&missing, 0)] {
        let place = at(topic, partition);
        let results = [
            engine.read(&place, 0, 1).await.map(|_| ()),
            engine.wait(&place, 0, Duration::ZERO).await.map(|_| ()),
            engine.offset_at(&place, 0).await.map(|_| ()),
            engine.append(vec![record(topic, partition, "x")]).await.map(|_| ()),
        ];
        for result in results {
            let Err(EngineError::UnknownPartition { topic: named, partition: of }) = &result else {
                panic!("{result:?}");
            };
            assert_eq!((&**named, *of), (&**topic, partition));
        }
    }
}

pub(crate) async fn a_line_of_ten_mebibytes_passes(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "large", 1).await;
    // Not to be compressed away.
    let mut state = 1u32;
    let line: Vec<u8> = (0..10 << 20)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    append(fixture, vec![record(&name, 0, "a"), record(&name, 0, line.clone())]).await;
    append(fixture, vec![record(&name, 0, "b")]).await;
    for _ in 0..2 {
        let read = read_all(fixture, &name, 0).await;
        assert_eq!(read.len(), 3);
        assert!(read[1].value.as_deref() == Some(&line[..]));
        fixture.restart().await;
    }
}

pub(crate) async fn a_record_past_the_bound_is_refused_with_its_whole_batch(
    fixture: &dyn EngineFixture,
) {
    let name = topic(fixture, "bound", 1).await;
    let large = record(&name, 0, vec![0; fixture.max_record_bytes() + 1]);
    let result = fixture.engine().append(vec![record(&name, 0, "x"), large]).await;
    assert!(matches!(result, Err(EngineError::RecordTooLarge { .. })), "{result:?}");
    append(fixture, vec![record(&name, 0, "y")]).await;
    assert_eq!(values(fixture, &name, 0).await, ["y"]);
}

pub(crate) async fn an_append_is_all_or_nothing(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "all", 2).await;
    let missing = fixture.name("missing");
    let records = vec![record(&name, 0, "x"), record(&missing, 0, "y"), record(&name, 1, "z")];
    fixture.engine().append(records).await.unwrap_err();
    assert!(values(fixture, &name, 0).await.is_empty());
    assert!(values(fixture, &name, 1).await.is_empty());
}

pub(crate) async fn waiting_ends_with_the_append(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "wait", 2).await;
    let engine = fixture.engine();
    assert!(!engine.wait(&at(&name, 0), 0, Duration::from_millis(20)).await.unwrap());
    let waiting = {
        let (engine, place) = (engine.clone(), at(&name, 0));
        tokio::spawn(async move { engine.wait(&place, 0, PATIENCE).await.unwrap() })
    };
    // Another partition is not what it waits for.
    append(fixture, vec![record(&name, 1, "x")]).await;
    assert!(!waiting.is_finished());
    append(fixture, vec![record(&name, 0, "x")]).await;
    assert!(waiting.await.unwrap());
    assert!(engine.wait(&at(&name, 0), 0, Duration::ZERO).await.unwrap());
}

pub(crate) async fn concurrent_appends_keep_the_order_of_each(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "concurrent", 2).await;
    let mut tasks = Vec::new();
    for task in 0..6 {
        let (engine, name) = (fixture.engine(), name.clone());
        tasks.push(tokio::spawn(async move {
            let mut places = Vec::new();
            for index in 0..20 {
                let value = format!("{task}:{index:03}");
                let records = vec![record(&name, 0, value.clone()), record(&name, 1, value)];
                places.extend(engine.append(records).await.unwrap());
            }
            places
        }));
    }
    let mut places = Vec::new();
    for task in tasks {
        places.extend(task.await.unwrap());
    }
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 6 * 20 * 2, "an offset was given twice");
    for partition in 0..2 {
        let values = values(fixture, &name, partition).await;
        assert_eq!(values.len(), 6 * 20);
        for task in 0..6 {
            let prefix = format!("{task}:");
            let of_task: Vec<_> =
                values.iter().filter(|value| value.starts_with(&prefix)).collect();
            assert_eq!(of_task.len(), 20);
            assert!(of_task.is_sorted(), "{of_task:?}");
        }
    }
}

pub(crate) async fn records_survive_a_restart(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "survive", 1).await;
    append(fixture, vec![record(&name, 0, "a")]).await;
    fixture.restart().await;
    append(fixture, vec![record(&name, 0, "b")]).await;
    fixture.restart().await;
    append(fixture, vec![record(&name, 0, "c")]).await;
    assert_eq!(values(fixture, &name, 0).await, ["a", "b", "c"]);
    let offsets: Vec<u64> = read_all(fixture, &name, 0).await.iter().map(|r| r.offset).collect();
    assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "{offsets:?}");
}
