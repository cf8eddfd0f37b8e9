//! What the embedded engine promises beyond the cases: its directory, its disk, its checks.

use std::{fs, sync::Arc, time::Duration};

use hephaestus_pipeline::engine::{
    Cleanup, Commit, CommitError, Engine, EngineError, Log, Records, TopicSpec,
    embedded::{EmbeddedConfig, EmbeddedEngine},
};

use crate::{
    crash::{directory_of_child, heard, say, spawn},
    fixture::{Client, EngineFixture, at, embedded, group, kept, record, topic, values},
};

fn fatal<T>(result: Result<T, EngineError>) -> String {
    match result {
        Err(EngineError::Fatal(message)) => message,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it worked"),
    }
}

#[tokio::test]
#[ignore = "is the process that holds the directory"]
async fn holds_the_directory() {
    let engine = EmbeddedEngine::open(EmbeddedConfig::new(directory_of_child())).await.unwrap();
    say("open");
    std::future::pending::<()>().await;
    drop(engine);
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_in_use_is_refused_and_its_process_named() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("engine");
    let mut child = spawn("embedded::holds_the_directory", &directory);
    assert_eq!(heard(&mut child).next().as_deref(), Some("open"));
    let message = fatal(EmbeddedEngine::open(EmbeddedConfig::new(&directory)).await);
    let wanted = format!("directory {} is in use by process {}", directory.display(), child.id());
    assert_eq!(message, wanted);
    child.kill().unwrap();
    child.wait().unwrap();
    // The lock went with the process.
    EmbeddedEngine::open(EmbeddedConfig::new(&directory)).await.unwrap();
}

#[tokio::test]
async fn foreign_and_newer_directories_are_refused() {
    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("thesis.tex"), "years of work").unwrap();
    let message = fatal(EmbeddedEngine::open(EmbeddedConfig::new(foreign.path())).await);
    assert!(message.contains("thesis.tex"), "{message}");

    let newer = tempfile::tempdir().unwrap();
    let directory = newer.path().join("engine");
    let engine = EmbeddedEngine::open(EmbeddedConfig::new(&directory)).await.unwrap();
    engine.close().await.unwrap();
    fs::write(directory.join("FORMAT"), "hephaestus-embedded 99\n").unwrap();
    let message = fatal(EmbeddedEngine::open(EmbeddedConfig::new(&directory)).await);
    assert!(message.contains("hephaestus-embedded 99"), "{message}");
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("engine");
    EmbeddedEngine::open(EmbeddedConfig::new(&directory)).await.unwrap().close().await.unwrap();
    fs::write(directory.join("store.redb"), vec![b'x'; 1 << 20]).unwrap();
    fatal(EmbeddedEngine::open(EmbeddedConfig::new(&directory)).await);
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let parent = tempfile::tempdir().unwrap();
    let mut config = EmbeddedConfig::new(parent.path().join("engine"));
    let engine = EmbeddedEngine::open(config.clone()).await.unwrap();
    let name: Arc<str> = "full".into();
    engine.create_topics(&[kept(&name, 1)]).await.unwrap();
    engine.append(vec![record(&name, 0, "a")]).await.unwrap();
    engine.close().await.unwrap();

    // As much must stay free as no disk has: it counts as full.
    config.min_free_bytes = u64::MAX;
    let engine = EmbeddedEngine::open(config.clone()).await.unwrap();
    let result = engine.append(vec![record(&name, 0, "b")]).await;
    let Err(EngineError::Unavailable(message)) = result else { panic!("{result:?}") };
    assert!(message.contains("is full"), "{message}");
    let mut member = engine.join(group(&"g".into(), &[&name], None)).await.unwrap();
    member.poll(Duration::from_secs(9), 0).await.unwrap();
    let commit = Commit { records: Records::default(), offsets: vec![(at(&name, 0), 1)] };
    let result = member.commit(commit).await;
    let unavailable = matches!(result, Err(CommitError::Engine(EngineError::Unavailable(_))));
    assert!(unavailable, "{result:?}");
    assert_eq!(engine.read(&at(&name, 0), 0, 100).await.unwrap().len(), 1);
    drop(member);
    engine.close().await.unwrap();

    config.min_free_bytes = 0;
    let engine = EmbeddedEngine::open(config).await.unwrap();
    engine.append(vec![record(&name, 0, "c")]).await.unwrap();
    assert_eq!(engine.read(&at(&name, 0), 0, 100).await.unwrap().len(), 2);
    assert!(engine.groups().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_broken_batch_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("engine");
    let engine = EmbeddedEngine::open(EmbeddedConfig::new(&directory)).await.unwrap();
    let name: Arc<str> = "broken".into();
    engine.create_topics(&[kept(&name, 1)]).await.unwrap();
    let marks: [&[u8]; 3] = [b"<the first mark>", b"<the other mark>", b"<one more mark>"];
    for mark in marks {
        engine.append(vec![record(&name, 0, mark)]).await.unwrap();
    }
    engine.close().await.unwrap();

    let store = directory.join("store.redb");
    let mut bytes = fs::read(&store).unwrap();
    let mut broken = 0;
    for at in 0..bytes.len() - marks[1].len() {
        // Copies that the store has freed are broken too.
        if bytes[at..].starts_with(marks[1]) {
            bytes[at + 3] ^= 1;
            broken += 1;
        }
    }
    assert!(broken > 0, "nothing was broken");
    fs::write(&store, bytes).unwrap();

    let engine = EmbeddedEngine::open(EmbeddedConfig::new(&directory)).await.unwrap();
    let read = engine.read(&at(&name, 0), 0, 0).await.unwrap();
    assert_eq!(read[0].value.as_deref(), Some(marks[0]));
    let message = fatal(engine.read(&at(&name, 0), 1, 100).await);
    let wanted = "batch at topic \"broken\" partition 0 offset 1 is broken: checksum";
    assert!(message.contains(wanted), "{message}");
    // What is behind it is still there.
    assert_eq!(engine.read(&at(&name, 0), 2, 100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn offsets_beyond_the_end_or_backwards_are_refused() {
    let fixture = embedded().await;
    let name = topic(&fixture, "offsets", 1).await;
    crate::fixture::append(&fixture, vec![record(&name, 0, "a"), record(&name, 0, "b")]).await;
    let mut client = Client::join(&fixture, group(&"g".into(), &[&name], None)).await;
    client.own(&[0]).await;
    let output = topic(&fixture, "output", 1).await;
    for (next, works) in
        [(3, false), (1, true), (1, true), (0, false), (u64::MAX, false), (2, true)]
    {
        let records = vec![record(&output, 0, next.to_string())];
        let commit = Commit { records: records.into(), offsets: vec![(at(&name, 0), next)] };
        let result = client.member.commit(commit).await;
        match result {
            Ok(()) => assert!(works, "{next}"),
            Err(CommitError::Engine(EngineError::Fatal(_))) => assert!(!works, "{next}"),
            other => panic!("{next}: {other:?}"),
        }
    }
    assert_eq!(values(&fixture, &output, 0).await, ["1", "1", "2"]);
}

#[tokio::test]
async fn a_closed_engine_says_so() {
    let fixture = embedded().await;
    let name = topic(&fixture, "closed", 1).await;
    let engine = fixture.engine();
    engine.close().await.unwrap();
    engine.close().await.unwrap();
    let result = engine.append(vec![record(&name, 0, "a")]).await;
    assert!(matches!(result, Err(EngineError::Unavailable(_))), "{result:?}");
}

#[tokio::test]
async fn an_engine_that_is_dropped_loses_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let config = EmbeddedConfig::new(parent.path().join("engine"));
    let name: Arc<str> = "dropped".into();
    for round in 0..3 {
        // The thread that writes ends by itself, soon after.
        let engine = loop {
            match EmbeddedEngine::open(config.clone()).await {
                Ok(engine) => break engine,
                Err(error) => assert!(error.to_string().contains("is in use by"), "{error}"),
            }
            tokio::task::yield_now().await;
        };
        engine.create_topics(&[kept(&name, 1)]).await.unwrap();
        assert_eq!(engine.read(&at(&name, 0), 0, 100).await.unwrap().len(), round);
        engine.append(vec![record(&name, 0, "a")]).await.unwrap();
    }
}

#[tokio::test]
async fn what_retention_removes_is_used_again() {
    const ROUNDS: usize = 30;
    const ROUND_BYTES: usize = 1 << 20;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("engine");
    let engine = EmbeddedEngine::open(EmbeddedConfig::new(&directory)).await.unwrap();
    let name: Arc<str> = "leak".into();
    let cleanup = Cleanup::Delete { retention_ms: None, retention_bytes: Some(2 << 20) };
    engine.create_topics(&[TopicSpec { cleanup, ..kept(&name, 1) }]).await.unwrap();
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    for _ in 0..ROUNDS {
        for _ in 0..8 {
            let value: Vec<u8> = (0..ROUND_BYTES / 8).map(|_| noise()).collect();
            engine.append(vec![record(&name, 0, value)]).await.unwrap();
        }
        engine.maintain(0).await.unwrap();
    }
    let size = fs::metadata(directory.join("store.redb")).unwrap().len();
    assert!(size < (ROUNDS * ROUND_BYTES / 2) as u64, "{size} bytes for 2 MiB of records");
}
