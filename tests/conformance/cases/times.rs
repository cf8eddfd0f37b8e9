//! Offsets by time.

use crate::fixture::{EngineFixture, append, at, compacted_topic, info, keyed, record, topic};

/// Not every client can write a time of 0.
const FIRST: i64 = 1000;

pub(crate) async fn an_offset_is_found_by_time(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "times", 2).await;
    let engine = fixture.engine();
    assert_eq!(engine.offset_at(&at(&name, 0), 0).await.unwrap(), 0);
    let mut offsets = Vec::new();
    for batch in 0..4 {
        let mut records = Vec::new();
        for index in 0..5 {
            let mut record = record(&name, 0, "x");
            record.timestamp_ms = FIRST + (batch * 5 + index) * 10;
            records.push(record);
        }
        offsets.extend(append(fixture, records).await.into_iter().map(|(_, offset)| offset));
    }
    for restarted in [false, true] {
        let engine = fixture.engine();
        for (index, offset) in offsets.iter().enumerate() {
            let time = FIRST + index as i64 * 10;
            for time in [time - 9, time] {
                let found = engine.offset_at(&at(&name, 0), time).await.unwrap();
                assert_eq!(found, *offset, "{time}, restarted: {restarted}");
            }
        }
        let end = info(fixture, &name, 0).await.end;
        assert_eq!(engine.offset_at(&at(&name, 0), FIRST + 191).await.unwrap(), end);
        assert_eq!(engine.offset_at(&at(&name, 1), 0).await.unwrap(), 0);
        fixture.restart().await;
    }
}

pub(crate) async fn out_of_order_times_find_the_first(fixture: &dyn EngineFixture) {
    let plain = topic(fixture, "plain", 1).await;
    let compact = compacted_topic(fixture, "compact", 1).await;
    let engine = fixture.engine();
    for name in [&plain, &compact] {
        let mut offsets = Vec::new();
        for (index, time) in [50, 10, 70, 20, 90, 30].into_iter().enumerate() {
            let mut record = keyed(name, 0, &format!("{index}"), Some("x"));
            record.timestamp_ms = time;
            offsets.push(append(fixture, vec![record]).await[0].1);
        }
        for (time, index) in [(0, 0), (50, 0), (51, 2), (70, 2), (71, 4), (90, 4)] {
            let found = engine.offset_at(&at(name, 0), time).await.unwrap();
            assert_eq!(found, offsets[index], "{name} {time}");
        }
    }
}
