//! Confluent's own client, as a stranger would use it, reads our values from our registry and
//! writes values that we read. Skipped where it is not installed (`pip install confluent-kafka
//! fastavro requests`); `HEPHAESTUS_PYTHON` names another interpreter than `python3`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs
)]

mod common;

use std::{
    fmt::{Debug, Write as _},
    process::{Command, Stdio},
};

use common::{codec, example, path, serve};
use hephaestus_schemas::{
    Analysis, AuditEvent, ChangeRequest, ClassifiedLog, Codec, Decision, Node, Pattern,
    ProposedChange, StateEntry, Value, topics,
};
use serde_json::{Value as Json, json};

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

async fn line_for<V: Value>(codec: &Codec, topic: &str) -> String {
    codec.register::<V>(topic).await.unwrap();
    let bytes = codec.encode(topic, &example::<V>()).unwrap();
    json!({"topic": topic, "value": hex(&bytes)}).to_string()
}

async fn compare<V: Value + PartialEq + Debug>(codec: &Codec, line: &str) {
    let answer: Json = serde_json::from_str(line).unwrap();
    let value: V = example();
    assert_eq!(answer["value"], serde_json::to_value(&value).unwrap(), "{}", V::NAME);
    let written = unhex(answer["bytes"].as_str().unwrap());
    assert_eq!(codec.decode::<V>(&written).await, Ok(value));
}

#[tokio::test(flavor = "multi_thread")]
async fn confluents_client_reads_and_writes_our_values() {
    let python = std::env::var("HEPHAESTUS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let check = "import confluent_kafka.schema_registry.avro";
    let is_there = Command::new(&python).args(["-c", check]).output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no confluent-kafka with Avro");
        return;
    }
    let served = serve().await;
    let codec = codec(&served.url);
    let topics = [
        line_for::<ClassifiedLog>(&codec, topics::CLASSIFIED_LOGS).await,
        line_for::<Analysis>(&codec, topics::ANALYSES).await,
        line_for::<ProposedChange>(&codec, topics::PROPOSED_CHANGES).await,
        line_for::<ChangeRequest>(&codec, topics::CHANGE_REQUESTS).await,
        line_for::<Decision>(&codec, topics::DECISIONS).await,
        line_for::<Node>(&codec, topics::NODES).await,
        line_for::<Pattern>(&codec, topics::PATTERNS).await,
        line_for::<AuditEvent>(&codec, topics::AUDIT).await,
        line_for::<StateEntry>(&codec, &topics::state_topic("analyzer")).await,
    ];
    let mut client = Command::new(&python)
        .arg(path("tests/strangers_client.py"))
        .arg(&served.url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut input = client.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, topics.join("\n").as_bytes()).unwrap();
    drop(input);
    let output = tokio::task::spawn_blocking(move || client.wait_with_output());
    let output = output.await.unwrap().unwrap();
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 9, "{output}");
    compare::<ClassifiedLog>(&codec, lines[0]).await;
    compare::<Analysis>(&codec, lines[1]).await;
    compare::<ProposedChange>(&codec, lines[2]).await;
    compare::<ChangeRequest>(&codec, lines[3]).await;
    compare::<Decision>(&codec, lines[4]).await;
    compare::<Node>(&codec, lines[5]).await;
    compare::<Pattern>(&codec, lines[6]).await;
    compare::<AuditEvent>(&codec, lines[7]).await;
    compare::<StateEntry>(&codec, lines[8]).await;
    let versions = served.registry.versions("analyses-value", true).await;
    assert_eq!(versions, Ok(vec![1]), "the client registered the same schema");
}
