//! The registry's routes, answer by answer, as Confluent's API reference gives them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{Served, serve};
use reqwest::Method;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

impl Served {
    async fn send(&self, method: Method, path: &str, body: Option<Json>) -> (u16, Json) {
        let mut request = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.header("content-type", CONTENT_TYPE).body(body.to_string());
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], CONTENT_TYPE, "{path}");
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Json) {
        self.send(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Json) -> (u16, Json) {
        self.send(Method::POST, path, Some(body)).await
    }
}

fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#)
}

#[tokio::test]
async fn a_schema_is_registered_found_and_listed() {
    let served = serve().await;
    let schema = record(r#"{"name": "a", "type": "int"}"#);
    let body = json!({"schema": schema, "schemaType": "AVRO"});
    let whole = json!({"subject": "t-value", "version": 1, "id": 1, "schema": schema});
    let (status, answer) = served.post("/subjects/t-value/versions", body.clone()).await;
    assert_eq!((status, &answer["id"]), (200, &json!(1)));
    for (path, expected) in [
        ("/", json!({})),
        ("/subjects", json!(["t-value"])),
        ("/subjects?subjectPrefix=x", json!([])),
        ("/subjects/t-value/versions", json!([1])),
        ("/subjects/t-value/versions/1", whole.clone()),
        ("/subjects/t-value/versions/latest", whole.clone()),
        ("/subjects/t-value/versions/-1", whole.clone()),
        ("/subjects/t-value/versions/1/schema", serde_json::from_str(&schema).unwrap()),
        ("/subjects/t-value/versions/1/referencedby", json!([])),
        ("/schemas/ids/1", json!({"schema": schema})),
        ("/schemas/ids/1?fetchMaxId=false&subject=t-value", json!({"schema": schema})),
        ("/schemas/ids/1/schema", serde_json::from_str(&schema).unwrap()),
        ("/schemas/ids/1/subjects", json!(["t-value"])),
        ("/schemas/ids/1/versions", json!([{"subject": "t-value", "version": 1}])),
        ("/schemas/types", json!(["AVRO"])),
        ("/contexts", json!(["."])),
        ("/mode", json!({"mode": "READWRITE"})),
        ("/mode/t-value?defaultToGlobal=true", json!({"mode": "READWRITE"})),
        ("/config", json!({"compatibilityLevel": "BACKWARD"})),
        ("/config/t-value?defaultToGlobal=true", json!({"compatibilityLevel": "BACKWARD"})),
    ] {
        assert_eq!(served.get(path).await, (200, expected), "{path}");
    }
    assert_eq!(served.post("/subjects/t-value", body).await, (200, whole));
}

#[tokio::test]
async fn a_subject_may_hold_a_slash() {
    let served = serve().await;
    let body = json!({"schema": "\"int\""});
    let (status, _) = served.post("/subjects/a%2Fb/versions", body).await;
    assert_eq!(status, 200);
    assert_eq!(served.get("/subjects").await.1, json!(["a/b"]));
    assert_eq!(served.get("/subjects/a%2Fb/versions").await.1, json!([1]));
}

#[tokio::test]
async fn a_schema_that_contradicts_an_earlier_one_is_refused_with_the_reason() {
    let served = serve().await;
    let old = json!({"schema": record(r#"{"name": "a", "type": "int"}"#)});
    let new = json!({"schema": record(r#"{"name": "b", "type": "int"}"#)});
    served.post("/subjects/t/versions", old.clone()).await;
    let (status, answer) = served.post("/subjects/t/versions", new.clone()).await;
    assert_eq!((status, &answer["error_code"]), (409, &json!(409)));
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("READER_FIELD_MISSING_DEFAULT_VALUE at R.b"), "{message}");

    for path in ["/compatibility/subjects/t/versions/latest", "/compatibility/subjects/t/versions"]
    {
        let no = served.post(path, new.clone()).await;
        assert_eq!(no, (200, json!({"is_compatible": false})), "{path}");
        let yes = served.post(path, old.clone()).await;
        assert_eq!(yes, (200, json!({"is_compatible": true})), "{path}");
        let (_, verbose) = served.post(&format!("{path}?verbose=true"), new.clone()).await;
        let said = verbose["messages"][0].as_str().unwrap();
        assert!(said.starts_with("the new schema cannot read version 1: READER_FIELD"), "{said}");
    }
    let unknown = "/compatibility/subjects/u/versions/latest";
    assert_eq!(served.post(unknown, new.clone()).await.1, json!({"is_compatible": true}));

    let put =
        |path, level: &str| served.send(Method::PUT, path, Some(json!({"compatibility": level})));
    assert_eq!(put("/config/t", "none").await, (200, json!({"compatibility": "NONE"})));
    assert_eq!(served.get("/config/t").await.1, json!({"compatibilityLevel": "NONE"}));
    assert_eq!(served.post("/subjects/t/versions", new).await.1["id"], json!(2));
    let removed = served.send(Method::DELETE, "/config/t", None).await;
    assert_eq!(removed, (200, json!({"compatibilityLevel": "NONE"})));
    assert_eq!(put("/config", "FULL_TRANSITIVE").await.0, 200);
    assert_eq!(served.get("/config").await.1, json!({"compatibilityLevel": "FULL_TRANSITIVE"}));
}

#[tokio::test]
async fn a_deletion_is_answered_with_what_went() {
    let served = serve().await;
    for schema in ["\"int\"", "\"long\""] {
        served.post("/subjects/t/versions", json!({"schema": schema})).await;
    }
    let delete = |path| served.send(Method::DELETE, path, None);
    assert_eq!(delete("/subjects/t?permanent=true").await.1["error_code"], json!(42205));
    assert_eq!(delete("/subjects/t/versions/1").await, (200, json!(1)));
    assert_eq!(delete("/subjects/t").await, (200, json!([2])));
    assert_eq!(served.get("/subjects").await.1, json!([]));
    assert_eq!(served.get("/subjects?deleted=True").await.1, json!(["t"]));
    assert_eq!(served.get("/schemas/ids/2").await.1, json!({"schema": "\"long\""}));
}

#[tokio::test]
async fn what_cannot_be_answered_has_confluents_code() {
    let served = serve().await;
    served.post("/subjects/t/versions", json!({"schema": "\"int\""})).await;
    for (path, status, code) in [
        ("/subjects/none/versions", 404, 40401),
        ("/subjects/none/versions/1", 404, 40401),
        ("/subjects/t/versions/2", 404, 40402),
        ("/subjects/t/versions/zero", 422, 42202),
        ("/schemas/ids/9", 404, 40403),
        ("/schemas/ids/nine", 404, 404),
        ("/schemas/ids/9/versions", 404, 40403),
        ("/config/t", 404, 40408),
        ("/mode/t", 404, 40409),
        ("/nowhere", 404, 404),
    ] {
        let (answered, body) = served.get(path).await;
        assert_eq!((answered, &body["error_code"]), (status, &json!(code)), "{path}: {body}");
        assert!(body["message"].is_string());
    }
    let (status, body) = served.send(Method::DELETE, "/mode", None).await;
    assert_eq!((status, &body["error_code"]), (405, &json!(405)));
    for (path, body, status, code) in [
        ("/subjects/t/versions", json!({}), 422, 42201),
        ("/subjects/t/versions", json!({"schema": "{"}), 422, 42201),
        ("/subjects/t/versions", json!({"schema": "x", "schemaType": "PROTOBUF"}), 422, 42201),
        ("/subjects/t/versions", json!({"schema": "\"int\"", "references": [1]}), 422, 42201),
        ("/subjects/t", json!({"schema": "\"long\""}), 404, 40403),
        ("/subjects/none", json!({"schema": "\"long\""}), 404, 40401),
        ("/compatibility/subjects/t/versions/7", json!({"schema": "\"long\""}), 404, 40402),
    ] {
        let (answered, said) = served.post(path, body.clone()).await;
        assert_eq!((answered, &said["error_code"]), (status, &json!(code)), "{path} {body}");
    }
    let level = json!({"compatibility": "SIDEWAYS"});
    let (status, said) = served.send(Method::PUT, "/config", Some(level)).await;
    assert_eq!((status, &said["error_code"]), (422, &json!(42203)));
}

#[tokio::test]
async fn a_body_that_is_no_json_or_from_a_web_page_is_refused() {
    let served = serve().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/subjects/t/versions", served.url);
    for (content_type, body, expected) in [
        (CONTENT_TYPE, b"{\"schema\":".to_vec(), 400),
        (CONTENT_TYPE, vec![0xff, 0x00], 400),
        ("text/plain", b"{\"schema\": \"\\\"int\\\"\"}".to_vec(), 415),
    ] {
        let request = client.post(&url).header("content-type", content_type).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{content_type}");
        let said: Json = response.json().await.unwrap();
        assert_eq!(said["error_code"], json!(expected));
    }
    assert_eq!(served.get("/subjects").await.1, json!([]));
}

/// Refused by its announced length: nobody has to send it.
#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let served = serve().await;
    let address = served.url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /subjects/t/versions HTTP/1.1\r\nhost: {address}\r\ncontent-type: {CONTENT_TYPE}\r\n\
         content-length: 8000000\r\nconnection: close\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server may wait for the rest of the body before it closes, so the end is not awaited.
    let mut answer = String::new();
    while !answer.ends_with('}') {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).await.unwrap();
        assert!(count > 0, "closed after {answer:?}");
        answer.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains(r#""error_code":413"#), "{answer}");
}
