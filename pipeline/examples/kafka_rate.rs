//! Measures members of the kafka engine that copy: `cargo run --release -p hephaestus-pipeline --example kafka_rate --
//! SERVERS`. Further arguments: records (default 2000000), members (2), partitions (4), commit interval in ms (100).

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use hephaestus_pipeline::{
    engine::{
        Cleanup, Commit, CommitError, Engine, GroupSpec, Log, Member, Polled, TopicPartition,
        TopicSpec,
        kafka::{KafkaConfig, KafkaEngine},
    },
    record::{Headers, NewRecord, Record},
};

const RECORD_BYTES: usize = 200;
const BATCH: usize = 5000;
const POLL_BYTES: usize = 1 << 20;
/// Most records of one commit, in bytes, as a stage's budget has it.
const COMMIT_BYTES: usize = 16 << 20;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().expect("the first argument names the servers");
    let mut number =
        |default: usize| arguments.next().map_or(default, |text| text.parse().unwrap());
    let (records, members, partitions) = (number(2_000_000), number(2), number(4));
    let interval = Duration::from_millis(number(100) as u64);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure(&servers, records, members, partitions as u32, interval));
}

async fn measure(
    servers: &str,
    records: usize,
    members: usize,
    partitions: u32,
    interval: Duration,
) {
    let engine = KafkaEngine::connect(servers, KafkaConfig::default(), 1 << 20).await.unwrap();
    let run = format!("{:08x}", fastrand_of_time());
    let cleanup = Cleanup::Delete { retention_ms: None, retention_bytes: None };
    let name = |kind: &str| -> Arc<str> { format!("rate-{run}-{kind}").into() };
    let (input, output) = (name("input"), name("output"));
    let spec = |name: &Arc<str>| TopicSpec { name: name.clone(), partitions, cleanup };
    engine.create_topics(&[spec(&input), spec(&output)]).await.unwrap();
    fill(&engine, &input, records, partitions).await;

    println!("{records} records of {RECORD_BYTES} bytes are written");

    let copied = Arc::new(AtomicUsize::new(0));
    let waited = Arc::new(AtomicUsize::new(0));
    let mut joined = Vec::new();
    for _ in 0..members {
        let group =
            GroupSpec { group: name("group"), topics: vec![input.clone()], state_topic: None };
        joined.push(engine.join(group).await.unwrap());
    }
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut tasks = Vec::new();
    for member in joined {
        let (output, copied, waited) = (output.clone(), copied.clone(), waited.clone());
        tasks.push(tokio::spawn(copy(member, output, records, interval, copied, waited)));
    }
    let mut first = f64::INFINITY;
    for task in tasks {
        first = first.min((task.await.unwrap() - started).as_secs_f64());
    }
    let (took, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let steady = took - first;
    let copied = copied.load(Ordering::SeqCst);
    let waited = Duration::from_micros(waited.load(Ordering::SeqCst) as u64).as_secs_f64();
    println!(
        "{copied} records in {took:.2} s, the first after {first:.2} s: {:.0} records/s, {:.0}/s from then on, \
         {:.2} us of processor time each, {:.0} % of the time in commits",
        copied as f64 / took,
        copied as f64 / steady,
        cpu * 1e6 / copied as f64,
        100.0 * waited / (steady * members as f64)
    );
    engine.close().await.unwrap();
}

async fn fill(engine: &KafkaEngine, input: &Arc<str>, records: usize, partitions: u32) {
    let value = Bytes::from(vec![b'x'; RECORD_BYTES]);
    let mut written = 0;
    while written < records {
        let count = BATCH.min(records - written);
        let partition = (written / BATCH) as u32 % partitions;
        let record = NewRecord {
            topic: input.clone(),
            partition: Some(partition),
            timestamp_ms: 1_772_366_400_000,
            key: Some(Bytes::from_static(b"shop/shop-1/stdout")),
            value: Some(value.clone()),
            headers: Headers::default(),
        };
        engine.append(vec![record; count]).await.unwrap();
        written += count;
    }
}

/// Copies until all are copied by someone. Gives the time of its first record.
async fn copy(
    mut member: Box<dyn Member>,
    output: Arc<str>,
    records: usize,
    interval: Duration,
    copied: Arc<AtomicUsize>,
    waited: Arc<AtomicUsize>,
) -> Instant {
    let mut first = None;
    let mut pending: Vec<Record> = Vec::new();
    while copied.load(Ordering::SeqCst) < records {
        let until = Instant::now() + interval;
        let mut bytes: usize = pending.iter().map(Record::size).sum();
        while bytes < COMMIT_BYTES {
            let left = until.saturating_duration_since(Instant::now());
            match member.poll(left, POLL_BYTES).await.unwrap() {
                Polled::Records(mut read) => {
                    first.get_or_insert_with(Instant::now);
                    bytes += read.iter().map(Record::size).sum::<usize>();
                    pending.append(&mut read);
                }
                // What was not committed is another's to read.
                Polled::Revoked(lost) => pending.retain(|r| !lost.contains(&r.partition)),
                Polled::Assigned(_) | Polled::Nothing => {}
            }
            if Instant::now() >= until {
                break;
            }
        }
        if pending.is_empty() {
            continue;
        }
        let started = Instant::now();
        match member.commit(commit_of(&output, &pending)).await {
            Ok(()) => {
                copied.fetch_add(pending.len(), Ordering::SeqCst);
                pending.clear();
            }
            // The next polls say what is left of it.
            Err(CommitError::Fenced) => {}
            Err(error) => println!("{error}"),
        }
        waited.fetch_add(started.elapsed().as_micros() as usize, Ordering::SeqCst);
    }
    member.leave().await.unwrap();
    first.unwrap_or_else(Instant::now)
}

fn commit_of(output: &Arc<str>, read: &[Record]) -> Commit {
    let mut offsets: Vec<(TopicPartition, u64)> = Vec::new();
    let mut records = Vec::with_capacity(read.len());
    for record in read {
        let next = record.offset + 1;
        match offsets.iter_mut().find(|(known, _)| known.partition == record.partition) {
            Some((_, known)) => *known = next,
            None => {
                let place =
                    TopicPartition { topic: record.topic.clone(), partition: record.partition };
                offsets.push((place, next));
            }
        }
        records.push(NewRecord {
            topic: output.clone(),
            partition: Some(record.partition),
            timestamp_ms: record.timestamp_ms,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.clone(),
        });
    }
    Commit { records: records.into(), offsets }
}

/// Distinguishes runs on one cluster.
fn fastrand_of_time() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.subsec_nanos() ^ now.as_secs() as u32
}

/// Processor time of this process so far, user and system (proc(5): fields 14 and 15, 100 to a second).
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}
