//! Topics are made once and stay as they are.

use hephaestus_pipeline::engine::{Cleanup, EngineError, PartitionInfo, TopicSpec};

use crate::fixture::{EngineFixture, append, compacted, kept, record};

pub(crate) async fn topics_are_listed_as_they_were_made(fixture: &dyn EngineFixture) {
    let engine = fixture.engine();
    let bounded = TopicSpec {
        cleanup: Cleanup::Delete { retention_ms: Some(1000), retention_bytes: Some(1 << 20) },
        ..kept(&fixture.name("b-bounded"), 2)
    };
    let specs =
        [kept(&fixture.name("a-kept"), 3), bounded, compacted(&fixture.name("c-compact"), 1)];
    engine.create_topics(&specs).await.unwrap();
    append(fixture, vec![record(&specs[0].name, 1, "x")]).await;
    for restarted in [false, true] {
        let topics = fixture.engine().topics().await.unwrap();
        for spec in &specs {
            let found = topics.iter().find(|topic| topic.spec.name == spec.name).unwrap();
            assert_eq!(found.spec, *spec, "restarted: {restarted}");
            assert_eq!(found.partitions.len(), spec.partitions as usize);
        }
        let first = topics.iter().find(|topic| topic.spec.name == specs[0].name).unwrap();
        assert_eq!(first.partitions[0], PartitionInfo { earliest: 0, end: 0 });
        assert!(first.partitions[1].end >= 1);
        fixture.restart().await;
    }
}

pub(crate) async fn making_a_topic_again_changes_nothing(fixture: &dyn EngineFixture) {
    let spec = kept(&fixture.name("again"), 2);
    let engine = fixture.engine();
    engine.create_topics(&[spec.clone(), spec.clone()]).await.unwrap();
    append(fixture, vec![record(&spec.name, 0, "x")]).await;
    engine.create_topics(std::slice::from_ref(&spec)).await.unwrap();
    let topics = engine.topics().await.unwrap();
    let found: Vec<_> = topics.iter().filter(|topic| topic.spec.name == spec.name).collect();
    assert_eq!(found.len(), 1);
    assert!(found[0].partitions[0].end >= 1);
}

pub(crate) async fn a_topic_that_differs_is_refused(fixture: &dyn EngineFixture) {
    let engine = fixture.engine();
    let name = fixture.name("differs");
    engine.create_topics(&[kept(&name, 2)]).await.unwrap();
    let other = fixture.name("other");
    for wanted in [kept(&name, 3), compacted(&name, 2)] {
        let result = engine.create_topics(&[kept(&other, 1), wanted]).await;
        assert!(matches!(result, Err(EngineError::TopicDiffers { .. })), "{result:?}");
    }
}

pub(crate) async fn a_bad_name_is_refused(fixture: &dyn EngineFixture) {
    let engine = fixture.engine();
    for name in ["", "a/b", "a b", "ä", &"x".repeat(250)] {
        let result = engine.create_topics(&[kept(&name.into(), 1)]).await;
        assert!(matches!(result, Err(EngineError::Fatal(_))), "{name:?}: {result:?}");
    }
    let result = engine.create_topics(&[kept(&fixture.name("none"), 0)]).await;
    assert!(matches!(result, Err(EngineError::Fatal(_))), "{result:?}");
}
