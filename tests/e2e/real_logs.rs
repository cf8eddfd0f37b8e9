//! Logs that nobody here made, through a running pipeline: every line is accounted for, once.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Child,
    sync::Arc,
    time::{Duration, Instant},
};

use hephaestus_gateway::control::RemoteLog;
use hephaestus_pipeline::{
    engine::{Log, TopicPartition},
    record::{ORIGIN, Origins, Record},
};
use hephaestus_schemas::{
    ClassifiedLog, Codec, CodecLimits,
    topics::{CLASSIFIED_LOGS, RAW_LOGS, dead_letter_topic},
};
use serde_json::Value;

use crate::support::{interrupt, run, start, text};

/// Longest time without progress.
const PATIENCE: Duration = Duration::from_secs(60);

fn shared_data() -> Option<PathBuf> {
    let named = std::env::var_os("HEPHAESTUS_TEST_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = named.unwrap_or(beside);
    if data.is_dir() {
        return Some(data);
    }
    eprintln!(
        "skipped: real logs, no sample data beside the repository or in HEPHAESTUS_TEST_DATA"
    );
    None
}

fn files(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![data.join("loghub"), data.join("traces")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_log = path.extension().is_some_and(|end| end == "log" || end == "txt");
            if path.is_dir() {
                open.push(path);
            } else if is_log {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A running `up`, and what it said when it started.
struct Up {
    child: Child,
    started: Value,
}

fn up(directory: &Path) -> Up {
    let mut child = start(&["up", "--dir", text(directory), "--listen", "127.0.0.1:0"]);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let started = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
    Up { child, started }
}

async fn all(log: &Arc<dyn Log>, topic: &str) -> Vec<Record> {
    let topics = log.topics().await.unwrap();
    let info = topics.iter().find(|info| info.spec.name.as_ref() == topic).unwrap();
    let mut records = Vec::new();
    for partition in 0..info.spec.partitions {
        let partition = TopicPartition { topic: topic.into(), partition };
        let mut next = 0;
        loop {
            let page = log.read(&partition, next, 4 << 20).await.unwrap();
            let Some(last) = page.last() else { break };
            next = last.offset + 1;
            records.extend(page);
        }
    }
    records
}

/// How often each line was read, by partition and offset.
fn accounted(records: &[Record]) -> BTreeMap<(u32, u64), u32> {
    let mut times = BTreeMap::new();
    for record in records {
        let origins: Origins = record.headers.text(ORIGIN).unwrap().parse().unwrap();
        for origin in origins.0 {
            assert_eq!(origin.topic.as_ref(), RAW_LOGS);
            for offset in origin.first..=origin.last {
                *times.entry((origin.partition, offset)).or_default() += 1;
            }
        }
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_real_logs_is_accounted_for_once() {
    let Some(data) = shared_data() else { return };
    let directory = tempfile::tempdir().unwrap();
    let up = up(directory.path());

    let files = files(&data);
    assert!(files.len() > 250, "{}", files.len());
    let mut arguments = vec!["ship", "--dir", text(directory.path())];
    arguments.extend(files.iter().map(|file| text(file)));
    let shipped = run(&arguments).good().json().pop().unwrap();
    let lines = shipped["lines"].as_u64().unwrap();
    assert!(lines > 30_000, "{shipped}");

    let remote = RemoteLog::connect(directory.path()).await.unwrap().unwrap();
    let log: Arc<dyn Log> = Arc::new(remote);
    let raw = all(&log, RAW_LOGS).await;
    assert_eq!(raw.len() as u64, lines);

    let mut last = (0, Instant::now());
    let (events, times) = loop {
        let events = all(&log, CLASSIFIED_LOGS).await;
        let letters = all(&log, &dead_letter_topic("classifier")).await;
        assert!(letters.is_empty(), "{:?}", letters.first());
        let times = accounted(&events);
        if times.len() == raw.len() {
            break (events, times);
        }
        if times.len() > last.0 {
            last = (times.len(), Instant::now());
        }
        assert!(last.1.elapsed() < PATIENCE, "{} of {} lines", times.len(), raw.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for record in &raw {
        let place = (record.partition, record.offset);
        assert_eq!(times.get(&place), Some(&1), "{place:?}");
    }

    let codec = Codec::connect(
        up.started["registry"].as_str().unwrap(),
        CodecLimits { max_value_bytes: 1 << 20 },
    );
    let codec = codec.unwrap();
    let mut exceptions: BTreeMap<String, usize> = BTreeMap::new();
    let mut counted = 0;
    for event in &events {
        let event: ClassifiedLog = codec.decode(event.value.as_ref().unwrap()).await.unwrap();
        counted += u64::try_from(event.lines).unwrap();
        if event.exception.is_some() {
            *exceptions.entry(event.source).or_default() += 1;
        }
    }
    assert_eq!(counted, lines);
    let traced = |folder: &str| {
        let names = files.iter().filter(|file| text(file).contains(folder));
        let with_exception = names.clone().filter(|file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            exceptions.keys().any(|source| source.ends_with(&format!("/{name}")))
        });
        (with_exception.count(), names.count())
    };
    let (found, of) = traced("java-defects4j");
    assert_eq!(found, of, "each of the java failures is seen as one");

    interrupt(up.child).good();
}
