//! From `raw-logs` to `classified-logs` through the embedded engine, and the memory of `up` under load.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hephaestus_gateway::raw::RawLines;
use hephaestus_pipeline::{
    clock,
    engine::{
        Engine, Log,
        embedded::{EmbeddedConfig, EmbeddedEngine},
    },
};

use crate::program::{Running, command, repository, text};

/// Lines that are classified.
const LINES: usize = 600_000;
/// Sources they are spread over.
const SOURCES: usize = 8;
/// Lines appended at once.
const BATCH: usize = 5_000;
/// Lines of one request while memory is watched.
const POST_LINES: usize = 2_000;

/// The sample service's access and application log, in turn, as often as needed.
fn sample_lines() -> Vec<Bytes> {
    let mut lines = Vec::new();
    for name in ["access", "app"] {
        let log = std::fs::read_to_string(repository(&format!("src/demo/sample/logs/{name}.log")));
        lines.extend(log.unwrap().lines().map(|line| Bytes::copy_from_slice(line.as_bytes())));
    }
    lines
}

/// Prints the lines per second.
pub(crate) async fn measure() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path()).await;
    let running = Running::start(directory.path(), &["run", "classifier"]);
    let log = running.log().await;
    let started = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let offsets = log.group_offsets("classifier").await.unwrap();
        let done: u64 = offsets.iter().map(|offset| offset.next).sum();
        if done >= LINES as u64 {
            break;
        }
    }
    let rate = LINES as f64 / started.elapsed().as_secs_f64();
    println!("raw-logs to classified-logs: {rate:.0} lines/s (wanted: at least 100000)");
    println!("peak memory of the classifier: {:.0} MiB", running.peak_mib());
}

/// Puts the lines into `raw-logs` of a new directory.
async fn fill(directory: &Path) {
    let applied =
        command(&["topology", "apply", "--dir", text(directory)]).output().unwrap().status;
    assert!(applied.success());
    let engine = EmbeddedEngine::open(EmbeddedConfig::new(directory)).await.unwrap();
    let sample = sample_lines();
    let sources: Vec<RawLines> = (0..SOURCES)
        .map(|n| RawLines::new(&format!("bookshop/web-{n}/app"), "bench/1", None))
        .collect();
    let mut written = 0;
    while written < LINES {
        for source in &sources {
            // A source sends what it logs in order: the whole sample from its beginning.
            let batch = (0..BATCH.min(LINES - written))
                .map(|n| source.record(sample[n % sample.len()].clone(), clock::now_ms()));
            written += engine.append(batch.collect()).await.unwrap().len();
            if written == LINES {
                break;
            }
        }
    }
    engine.close().await.unwrap();
}

/// Prints the largest memory of `up` while it takes in the same lines over HTTP.
pub(crate) async fn measure_memory() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(directory.path(), &["up"]);
    let address = running.started["listen"].as_str().unwrap().to_owned();
    let sample = sample_lines();
    let client = reqwest::Client::new();
    let started = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..4 {
        let (client, sample) = (client.clone(), sample.clone());
        let url = format!("http://{address}/v1/logs?source=bookshop/web-{sender}/app");
        senders.spawn(async move {
            let mut sent = 0;
            while sent < LINES / 4 {
                let lines = (0..POST_LINES).map(|n| &sample[(sent + n) % sample.len()]);
                let body: Vec<u8> =
                    lines.flat_map(|line| [line.as_ref(), b"\n"].concat()).collect();
                let request = client.post(&url).header("content-type", "text/plain").body(body);
                let answer = request.send().await.unwrap();
                if answer.status().is_success() {
                    sent += POST_LINES;
                } else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        });
    }
    while let Some(sent) = senders.join_next().await {
        sent.unwrap();
    }
    let rate = LINES as f64 / started.elapsed().as_secs_f64();
    println!("POST /v1/logs: {rate:.0} lines/s accepted while every stage runs");
    let log = running.log().await;
    loop {
        let offsets = log.group_offsets("classifier").await.unwrap();
        if offsets.iter().all(|offset| offset.next >= offset.end) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let peak = running.peak_mib();
    println!("peak memory of up under that load: {peak:.0} MiB (wanted: at most 300)");
}
