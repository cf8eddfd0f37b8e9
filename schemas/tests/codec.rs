//! The codec against a served registry, through `schema_registry_converter`, end to end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use common::{codec, example, file_name, path, serve};
use hephaestus_schemas::{
    Analysis, ClassifiedLog, Codec, CodecLimits, DecodeError, EncodeError, Exception, Pattern,
    RegistryError, StateEntry, Value, codec::datum::MAX_CAUSES, registry_http, topics,
    wire::WireError,
};
use serde_json::{Value as Json, json};

async fn round_trip<V: Value + PartialEq + Debug>(writer: &Codec, reader: &Codec) {
    let value: V = example();
    let id = writer.register::<V>("t").await.unwrap();
    let bytes = writer.encode("t", &value).unwrap();
    assert_eq!(bytes[0], 0);
    assert_eq!(bytes[1..5], id.to_be_bytes());
    assert_eq!(
        reader.try_decode::<V>(&bytes),
        Err(DecodeError::NeedsSchema(id)),
        "nobody asked for it yet"
    );
    assert_eq!(reader.decode::<V>(&bytes).await.as_ref(), Ok(&value));
    assert_eq!(reader.try_decode::<V>(&bytes).as_ref(), Ok(&value));
    let file = path(&format!("examples/{}.json", file_name(V::NAME)));
    let expected: Json = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(reader.decode_json(&bytes).await, Ok(expected));
}

#[tokio::test]
async fn every_value_travels_from_one_program_to_another() {
    let served = serve().await;
    // One subject for all: whether they may share it is not the point here.
    let none = hephaestus_schemas::registry::Level::None;
    served.registry.set_level(None, none).await.unwrap();
    let (writer, reader) = (codec(&served.url), codec(&served.url));
    round_trip::<ClassifiedLog>(&writer, &reader).await;
    round_trip::<Analysis>(&writer, &reader).await;
    round_trip::<hephaestus_schemas::ProposedChange>(&writer, &reader).await;
    round_trip::<hephaestus_schemas::ChangeRequest>(&writer, &reader).await;
    round_trip::<hephaestus_schemas::Decision>(&writer, &reader).await;
    round_trip::<hephaestus_schemas::Node>(&writer, &reader).await;
    round_trip::<Pattern>(&writer, &reader).await;
    round_trip::<hephaestus_schemas::AuditEvent>(&writer, &reader).await;
    round_trip::<StateEntry>(&writer, &reader).await;
}

#[tokio::test]
async fn a_schema_is_registered_under_the_topics_subject_and_once() {
    let served = serve().await;
    let codec = codec(&served.url);
    let id = codec.register::<Analysis>(topics::ANALYSES).await.unwrap();
    assert_eq!(codec.register::<Analysis>(topics::ANALYSES).await, Ok(id));
    assert_eq!(served.registry.subjects(false).await, ["analyses-value"]);
    let other = codec.register::<Analysis>("copies").await.unwrap();
    assert_eq!(other, id, "the same schema has the same id");
}

#[tokio::test]
async fn encoding_needs_a_registration() {
    let served = serve().await;
    let codec = codec(&served.url);
    let value: Pattern = example();
    let error = codec.encode("patterns", &value).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no schema of hephaestus.v1.Pattern is registered for topic \"patterns\": register it at start"
    );
    codec.register::<Pattern>("patterns").await.unwrap();
    assert!(codec.encode("patterns", &value).is_ok());
    assert!(codec.encode("elsewhere", &value).is_err());
    assert!(codec.encode("patterns", &example::<StateEntry>()).is_err());
}

#[tokio::test]
async fn an_incompatible_schema_is_refused_with_the_registrys_reason() {
    let served = serve().await;
    let old = r#"{"type": "record", "name": "hephaestus.v1.Pattern", "fields": []}"#;
    served.registry.register("patterns-value", old).await.unwrap();
    let error = codec(&served.url).register::<Pattern>("patterns").await.unwrap_err();
    let RegistryError::Incompatible { subject, reason } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(subject, "patterns-value");
    assert!(reason.contains("MISSING_DEFAULT_VALUE at Pattern.id"), "{reason}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_registry_that_is_away_is_worth_another_try() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let codec = codec(&url);
    let error = codec.register::<Pattern>("patterns").await.unwrap_err();
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error:?}");
    let error = codec.decode::<Pattern>(&[0, 0, 0, 0, 1, 0]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(Codec::connect("localhost:8081", CodecLimits::default()).is_err());
    assert!(Codec::connect("ftp://localhost", CodecLimits::default()).is_err());
}

#[tokio::test]
async fn bytes_of_strangers_are_refused_for_what_they_are() {
    let served = serve().await;
    let codec = codec(&served.url);
    codec.register::<Pattern>("patterns").await.unwrap();
    let id = codec.register::<StateEntry>("s").await.unwrap();
    let entry = codec.encode("s", &example::<StateEntry>()).unwrap();

    let short = codec.decode::<Pattern>(b"abc").await;
    assert_eq!(short, Err(DecodeError::Wire(WireError::Short(3))));
    let text = codec.decode::<Pattern>(b"{\"id\": 1}").await;
    assert_eq!(text, Err(DecodeError::Wire(WireError::Magic(b'{'))));
    let unknown = codec.decode::<Pattern>(&[0, 0, 0, 0, 77, 0]).await;
    assert_eq!(unknown, Err(DecodeError::UnknownSchema(77)));
    let other = codec.decode::<Pattern>(&entry).await;
    let expected = DecodeError::OtherRecord {
        found: "hephaestus.v1.StateEntry".to_owned(),
        expected: "hephaestus.v1.Pattern",
    };
    assert_eq!(other, Err(expected));
    let mut longer = entry.to_vec();
    longer.push(0);
    let cut = &entry[..entry.len() - 1];
    let mut bomb = vec![0];
    bomb.extend(id.to_be_bytes());
    bomb.extend([0xfe, 0xff, 0xff, 0xff, 0x03]);
    let huge = vec![0; CodecLimits::default().max_value_bytes + 1];
    for bytes in [&longer[..], cut, &bomb, &huge] {
        let error = codec.decode::<StateEntry>(bytes).await.unwrap_err();
        let kind = matches!(error, DecodeError::Datum { .. } | DecodeError::TooLarge { .. });
        assert!(kind && !error.is_retryable(), "{error:?}");
        assert_eq!(codec.decode_json(bytes).await, Err(error));
    }
}

#[tokio::test]
async fn a_value_that_is_too_large_or_too_deep_is_not_written() {
    let served = serve().await;
    let limits = CodecLimits { max_value_bytes: 3000 };
    let codec = Codec::connect(&served.url, limits).unwrap();
    codec.register::<ClassifiedLog>("t").await.unwrap();
    let writer = codec.writer::<ClassifiedLog>("t").unwrap();
    let mut value: ClassifiedLog = example();
    let mut out = b"before".to_vec();
    writer.encode_into(&value, &mut out).unwrap();
    assert_eq!(out[6..], writer.encode(&value).unwrap());

    out.truncate(6);
    value.message = "x".repeat(3000);
    let error = writer.encode_into(&value, &mut out).unwrap_err();
    assert!(matches!(error, EncodeError::TooLarge { limit: 3000, .. }), "{error:?}");
    value.message = String::new();
    let mut exception = Exception::default();
    for _ in 0..=MAX_CAUSES {
        exception = Exception { cause: Some(Box::new(exception)), ..Exception::default() };
    }
    value.exception = Some(exception);
    let error = writer.encode_into(&value, &mut out).unwrap_err();
    assert!(matches!(error, EncodeError::TooDeep { .. }), "{error:?}");
    assert_eq!(out, b"before", "what was there is as it was");
}

/// Programs of different ages share a topic: the writer's schema has a field more and one less.
#[tokio::test]
async fn values_of_an_older_and_a_newer_program_are_read() {
    let served = serve().await;
    let codec = codec(&served.url);
    let mut schema: Json = serde_json::from_str(StateEntry::SCHEMA).unwrap();
    let fields = schema["fields"].as_array_mut().unwrap();
    fields.retain(|field| field["name"] != "timers");
    fields
        .push(json!({"name": "future", "type": {"type": "map", "values": "bytes"}, "default": {}}));
    fields.push(json!({"name": "stamp", "default": 0,
        "type": {"type": "long", "logicalType": "timestamp-millis"}}));
    let schema = schema.to_string();
    let id = served.registry.register("s-value", &schema).await.unwrap().id;
    let mut bytes = vec![0];
    bytes.extend(id.to_be_bytes());
    // Stage, no state, a map with one entry of three bytes, a time.
    bytes.extend(b"\x02a\x00\x02\x02k\x06\xfb\xff\x00\x00\x0a");
    let expected = StateEntry { stage: "a".to_owned(), ..StateEntry::default() };
    assert_eq!(codec.decode::<StateEntry>(&bytes).await, Ok(expected));
    assert_eq!(
        codec.decode_json(&bytes).await,
        Ok(json!({"stage": "a", "state": null, "future": {"k": "+/8A"}, "stamp": 5}))
    );
}

#[tokio::test]
async fn what_avro_holds_and_json_does_not_is_shown_too() {
    let served = serve().await;
    let codec = codec(&served.url);
    let schema = r#"{"type": "array", "items": ["null", "double", "boolean",
        {"type": "enum", "name": "E", "symbols": ["A", "B"]}]}"#;
    let id = served.registry.register("any", schema).await.unwrap().id;
    let mut bytes = vec![0];
    bytes.extend(id.to_be_bytes());
    bytes.extend([10, 0, 2]);
    bytes.extend(f64::NAN.to_le_bytes());
    bytes.push(2);
    bytes.extend(0.5_f64.to_le_bytes());
    bytes.extend([4, 1, 6, 2, 0]);
    let value = codec.decode_json(&bytes).await.unwrap();
    assert_eq!(value, json!([null, "NaN", 0.5, true, "B"]));
}

/// A thousand records with a new schema are one request, and as many with an unknown one too.
#[tokio::test]
async fn the_registry_is_asked_once_for_a_schema() {
    let served = serve().await;
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let router = registry_http::router(served.registry.clone()).layer(
        axum::middleware::map_request(move |request: axum::extract::Request| {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(request)
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let writer = codec(&served.url);
    writer.register::<Pattern>("patterns").await.unwrap();
    let bytes = writer.encode("patterns", &example::<Pattern>()).unwrap();
    let unknown = [0, 0, 0, 0, 77, 0];
    let reader = codec(&url);
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (reader, bytes) = (reader.clone(), bytes.clone());
        readers.spawn(async move {
            reader.decode::<Pattern>(&bytes).await.unwrap();
            reader.decode::<Pattern>(&unknown).await.unwrap_err();
        });
    }
    readers.join_all().await;
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}
