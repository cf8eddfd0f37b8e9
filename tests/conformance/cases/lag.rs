//! How far a group has come.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::fixture::{Client, EngineFixture, append, at, group, record, topic};

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

pub(crate) async fn lag_counts_what_is_not_done(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "lag", 1).await;
    let of_group = fixture.name("g");
    let engine = fixture.engine();
    assert!(engine.group_offsets(&of_group).await.unwrap().is_empty());
    let mut client = Client::join(fixture, group(&of_group, &[&name], None)).await;
    client.own(&[0]).await;
    let ages = [60_000, 30_000, 0];
    for age in ages {
        let mut record = record(&name, 0, "x");
        record.timestamp_ms = now_ms() - age;
        append(fixture, vec![record]).await;
    }
    client.read(3).await;
    let read = client.records.clone();
    for done in 1..=3 {
        client.records = read[..done].to_vec();
        client.commit(Vec::new()).await.unwrap();
        let offsets = engine.group_offsets(&of_group).await.unwrap();
        assert_eq!(offsets.len(), 1);
        let offset = &offsets[0];
        assert_eq!(offset.partition, at(&name, 0));
        // Between one record and the next there may be what an engine keeps for itself.
        assert!(offset.next > read[done - 1].offset && offset.next <= offset.end);
        assert!(read.get(done).is_none_or(|undone| offset.next <= undone.offset));
        assert!(offset.end > read[2].offset);
        let wanted = ages.get(done).copied().unwrap_or(0) as u64;
        let most = if done == 3 { 0 } else { wanted + 20_000 };
        assert!((wanted..=most).contains(&offset.lag_ms), "{done}: {}", offset.lag_ms);
    }
}

pub(crate) async fn a_group_that_never_committed_a_partition_lags(fixture: &dyn EngineFixture) {
    let name = topic(fixture, "idle", 2).await;
    let of_group = fixture.name("g");
    let mut client = Client::join(fixture, group(&of_group, &[&name], None)).await;
    client.own(&[0, 1]).await;
    append(fixture, vec![record(&name, 0, "x")]).await;
    client.read(1).await;
    client.commit(Vec::new()).await.unwrap();
    // Nobody is left, and what comes now waits: an idle group that is behind must show it.
    client.member.leave().await.unwrap();
    let mut old = record(&name, 1, "x");
    old.timestamp_ms = now_ms() - 5000;
    append(fixture, vec![old]).await;
    let engine = fixture.engine();
    let offsets = engine.group_offsets(&of_group).await.unwrap();
    let idle = offsets.iter().find(|offset| offset.partition == at(&name, 1)).unwrap();
    assert_eq!(idle.next, 0);
    assert!(idle.end >= 1);
    assert!(idle.lag_ms >= 5000, "{}", idle.lag_ms);
}
