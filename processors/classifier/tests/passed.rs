//! What another Hephaestus classified, sent into raw-logs in Avro: it passes through, and is not trusted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use bytes::Bytes;
use common::{CLASSIFIER, inspect};
use hephaestus_classifier::stage::{ClassifierStage, FORMAT, RawRecord, Written};
use hephaestus_classifier::{ClassifierConfig, SourceState};
use hephaestus_pipeline::record::{Headers, Record};
use hephaestus_pipeline::stage::{Effects, Failure, Input, Stage};
use hephaestus_schemas::{
    ClassifiedLog, Codec, CodecLimits, Exception, Pattern,
    registry::{MemoryStore, Registry},
    registry_http, topics,
};

/// A registry served on a free port of this machine, and a codec that asks it.
async fn codec() -> (String, Codec) {
    let registry = Registry::open(MemoryStore::default()).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = registry_http::router(registry);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let codec = Codec::connect(&url, CodecLimits::default()).unwrap();
    (url, codec)
}

fn raw(value: impl Into<Bytes>) -> Record {
    Record {
        topic: topics::RAW_LOGS.into(),
        partition: 0,
        offset: 7,
        timestamp_ms: 0,
        key: None,
        value: Some(value.into()),
        headers: Headers::default(),
    }
}

fn classified() -> ClassifiedLog {
    let text = b"2024-01-01 10:00:00 ERROR app: it failed\nTraceback (most recent call last):\n  File \"/srv/app/a.py\", line 3, in f\n    g()\nKeyError: 'x'";
    inspect(text).remove(0).log
}

#[tokio::test]
async fn an_event_of_another_hephaestus_is_known_by_its_schema() {
    let (url, theirs) = codec().await;
    theirs.register::<ClassifiedLog>("elsewhere").await.unwrap();
    theirs.register::<Pattern>("patterns elsewhere").await.unwrap();
    let log = classified();
    let bytes = theirs.encode("elsewhere", &log).unwrap();
    // Ours has never seen the schema, and asks for it.
    let ours = Codec::connect(&url, CodecLimits::default()).unwrap();
    let read = RawRecord::decode(&raw(bytes.clone()), &ours).await.unwrap();
    assert_eq!(read, RawRecord::Classified(Box::new(log)));

    let mut said = raw(bytes.clone());
    said.headers.push(FORMAT, "plain");
    let pattern =
        Pattern { id: "p".to_owned(), template: "x".to_owned(), alias_of: None, first_seen: 1 };
    let pattern = theirs.encode("patterns elsewhere", &pattern).unwrap();
    let unknown = [&[0, 0, 0, 1, 0][..], &bytes[5..]].concat();
    let others = [
        ("said to be text", said),
        ("another record", raw(pattern)),
        ("an unknown schema", raw(unknown)),
        ("half of it", raw(bytes.slice(..20))),
        ("more than it", raw([&bytes[..], b"x"].concat())),
        ("too short", raw(&b"\0\0\0"[..])),
        ("text", raw(&b"plain words"[..])),
    ];
    for (name, record) in others {
        assert_eq!(RawRecord::decode(&record, &ours).await.unwrap(), RawRecord::Lines, "{name}");
    }
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let codec = Codec::connect(&url, CodecLimits::default()).unwrap();
    let read = RawRecord::decode(&raw(&b"\0\0\0\0\x07abc"[..]), &codec).await;
    assert!(matches!(read, Err(Failure::Retry { .. })), "{read:?}");
    assert_eq!(RawRecord::decode(&raw(&b"words"[..]), &codec).await.unwrap(), RawRecord::Lines);
}

#[tokio::test]
async fn it_is_written_with_its_origin_and_what_is_pending_goes_on() {
    let stage = ClassifierStage::new(ClassifierConfig::default());
    let (_, codec) = codec().await;
    stage.register(&codec).await.unwrap();
    let mut state = SourceState::default();
    let log = classified();
    let lines = [&b"Traceback (most recent call last):"[..], b"KeyError: 'x'"];
    let mut inputs = lines.map(|line| (raw(line), RawRecord::Lines)).to_vec();
    inputs.insert(1, (raw(&b"\0"[..]), RawRecord::Classified(Box::new(log.clone()))));
    let mut written = Vec::new();
    for (record, input) in inputs {
        let mut effects = Effects::default();
        stage.process(&record, input, &mut state, &mut effects).await.unwrap();
        written.extend(effects.emitted.into_iter().filter_map(|emitted| match emitted.value {
            Written::Event { key, value } => {
                Some((key, value, emitted.origins.unwrap().to_string()))
            }
            Written::Pattern(_) => None,
        }));
    }
    let [(key, value, origins)] = &written[..] else { panic!("{written:?}") };
    assert_eq!((&key[..], &origins[..]), (log.fingerprint.as_bytes(), "raw-logs/0/7"));
    assert_eq!(codec.decode::<ClassifiedLog>(value).await.unwrap(), log);
    assert!(!state.is_idle(), "the traceback waits");
}

#[test]
fn it_keeps_what_it_says() {
    let log = classified();
    assert_eq!(CLASSIFIER.accept(log.clone()), log);
    for line in [
        "2024-01-01 10:00:00 INFO app: took 17 ms",
        "10.0.0.1 - - [01/Jan/2024:10:00:05 +0000] \"GET /users/7 HTTP/1.1\" 500 12",
    ] {
        let log = inspect(line.as_bytes()).remove(0).log;
        assert_eq!(CLASSIFIER.accept(log.clone()), log, "{line}");
    }
}

#[test]
fn no_id_is_believed_and_every_text_is_masked() {
    let honest = classified();
    let secret = "password=hunter2";
    let mut forged = honest.clone();
    forged.fingerprint = "of another failure".to_owned();
    forged.pattern_id = "of another pattern".to_owned();
    let accepted = CLASSIFIER.accept(forged);
    assert_eq!(accepted, honest);

    let mut leaking = honest;
    for text in [&mut leaking.message, &mut leaking.template, &mut leaking.source] {
        *text = format!("a\nb {secret} c");
    }
    leaking.context = vec![secret.to_owned()];
    leaking.attributes.insert("host".to_owned(), secret.to_owned());
    let exception = leaking.exception.as_mut().unwrap();
    exception.message = secret.to_owned();
    exception.frames[0].file = Some(secret.to_owned());
    let told = format!("{:?}", CLASSIFIER.accept(leaking));
    assert!(!told.contains("hunter2"), "{told}");
    assert!(told.contains("b password=<secret:password> c"), "{told}");
}

#[test]
fn a_secret_across_a_bound_and_one_that_only_its_name_tells_are_masked() {
    let mut log = classified();
    // The bound of a name lies amid the token.
    log.service = format!("{} ghp_{}", "x".repeat(500), "a1B2".repeat(9));
    log.attributes.insert("password".to_owned(), "correct \"horse\" battery".to_owned());
    let accepted = CLASSIFIER.accept(log);
    assert!(!accepted.service.contains("ghp_"), "{}", accepted.service);
    assert!(accepted.service.len() <= 512);
    assert_eq!(accepted.attributes["password"], "<secret:password>");
}

#[test]
fn what_is_without_measure_is_bounded() {
    let mut log = classified();
    log.message = "x".repeat(900_000);
    log.attributes = (0..10_000).map(|n| (format!("a{n}"), "v".to_owned())).collect();
    let mut chain = Exception::default();
    for _ in 0..60 {
        chain = Exception { cause: Some(Box::new(chain)), ..Exception::default() };
    }
    log.exception = Some(chain);
    let accepted = CLASSIFIER.accept(log);
    assert!(accepted.truncated && accepted.message.len() <= CLASSIFIER.config().max_event_bytes);
    assert!(accepted.attributes.len() <= 64);
    assert!(accepted.exception.unwrap().causes() < 16);
}
