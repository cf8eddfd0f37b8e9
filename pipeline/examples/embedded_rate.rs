//! Measures the embedded engine against the bare store, in one run: `cargo run --release -p hephaestus-pipeline
//! --example embedded_rate`. Arguments: records (default 1000000), records a batch (default 1000), directory.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hephaestus_pipeline::{
    engine::{
        Cleanup, Commit, Engine, GroupSpec, Log, Polled, TopicPartition, TopicSpec,
        embedded::{EmbeddedConfig, EmbeddedEngine},
    },
    record::{Headers, NewRecord},
};
use redb::{Database, TableDefinition};

const RECORD_BYTES: usize = 200;
/// Each measurement is repeated, turn and turn about, and the median counts: the disk's speed changes by the second.
const ROUNDS: usize = 3;
const TABLE: TableDefinition<'_, (u32, u32, u64), &[u8]> = TableDefinition::new("log");

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number =
        |default: usize| arguments.next().map_or(default, |text| text.parse().unwrap());
    let (records, batch) = (number(1_000_000), number(1000));
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = parent.join(format!("hephaestus-embedded-rate-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    println!(
        "{records} records of {RECORD_BYTES} bytes, {batch} a batch, on disk after each batch"
    );

    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (text, kind) in [(true, "log lines"), (false, "random bytes, which do not compress")] {
        println!("\n{kind}");
        let values: Vec<Bytes> = (0..batch * 20).map(|index| value(index, text)).collect();
        let mut entries = Vec::new();
        let mut packed = Vec::new();
        let mut engine = Vec::new();
        let mut concurrent = Vec::new();
        let mut committed = Vec::new();
        for round in 0..ROUNDS {
            let at = |name: &str| dir.join(format!("{name}-{text}-{round}"));
            entries.push(bare(&at("entries"), records, batch, false, &values));
            packed.push(bare(&at("packed"), records, batch, true, &values));
            engine.push(runtime.block_on(append(&at("append"), records, batch, 1, &values)));
            concurrent.push(runtime.block_on(append(&at("tasks"), records, batch, 4, &values)));
            committed.push(runtime.block_on(copy(&at("commit"), records, batch, &values)));
        }
        let entries = median(&mut entries);
        let packed = median(&mut packed);
        let line = |name: &str, rate: f64| {
            let (to_entries, to_packed) = (100.0 * rate / entries, 100.0 * rate / packed);
            println!("{name:<44} {rate:>10.0} records/s {to_entries:>5.0} % {to_packed:>5.0} %");
        };
        println!("{:<44} {:>20} {:>7} {:>7}", "", "", "entries", "packed");
        line("bare store, one entry a record", entries);
        line("bare store, one entry a batch", packed);
        line("engine: append", median(&mut engine));
        line("engine: append, 4 at once", median(&mut concurrent));
        line("engine: read, commit copies and offsets", median(&mut committed));
    }
    println!();
    runtime.block_on(idle(&dir.join("idle")));
    println!("peak of resident memory of all of this: {} MiB", peak_memory_mib());
    fs::remove_dir_all(&dir).unwrap();
}

fn value(index: usize, text: bool) -> Bytes {
    let mut state = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut value = Vec::new();
    while value.len() < RECORD_BYTES {
        if text {
            let (second, item, id) = (index % 60, random() % 9973, random());
            let line = format!(
                "2026-03-01T12:00:{second:02}Z INFO shop.orders order {item} of customer {id:016x} took {} ms ",
                random() % 900
            );
            value.extend_from_slice(line.as_bytes());
        } else {
            value.extend_from_slice(&random().to_le_bytes());
        }
    }
    value.truncate(RECORD_BYTES);
    Bytes::from(value)
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn rate(records: usize, since: Instant) -> f64 {
    records as f64 / since.elapsed().as_secs_f64()
}

/// The store without the engine, as it comes, with the same cache; each batch is on disk when its commit returns.
fn bare(path: &Path, records: usize, batch: usize, packed: bool, values: &[Bytes]) -> f64 {
    let cache = EmbeddedConfig::new(path).store_cache_bytes;
    let database = Database::builder().set_cache_size(cache).create(path).unwrap();
    let started = Instant::now();
    let mut next = 0;
    while next < records {
        let of_batch = (next..next + batch).map(|index| &values[index % values.len()]);
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(TABLE).unwrap();
            if packed {
                let joined: Vec<u8> = of_batch.flat_map(|value| value.iter().copied()).collect();
                table.insert((1, 0, next as u64), joined.as_slice()).unwrap();
            } else {
                for (index, value) in of_batch.enumerate() {
                    table.insert((1, 0, (next + index) as u64), &value[..]).unwrap();
                }
            }
        }
        transaction.commit().unwrap();
        next += batch;
    }
    let rate = rate(records, started);
    drop(database);
    fs::remove_file(path).unwrap();
    rate
}

async fn open(path: &Path) -> Arc<EmbeddedEngine> {
    let engine = EmbeddedEngine::open(EmbeddedConfig::new(path)).await.unwrap();
    let cleanup = Cleanup::Delete { retention_ms: None, retention_bytes: None };
    let topic = |name: &str| TopicSpec { name: name.into(), partitions: 1, cleanup };
    engine.create_topics(&[topic("input"), topic("output")]).await.unwrap();
    engine
}

fn batch_of(topic: &Arc<str>, from: usize, batch: usize, values: &[Bytes]) -> Vec<NewRecord> {
    let indexes = from..from + batch;
    let record = |index: usize| NewRecord {
        topic: topic.clone(),
        partition: Some(0),
        timestamp_ms: 1_772_366_400_000,
        key: None,
        value: Some(values[index % values.len()].clone()),
        headers: Headers::default(),
    };
    indexes.map(record).collect()
}

async fn append(path: &Path, records: usize, batch: usize, tasks: usize, values: &[Bytes]) -> f64 {
    let engine = open(path).await;
    let values: Arc<[Bytes]> = values.into();
    let started = Instant::now();
    let mut appending = Vec::new();
    for task in 0..tasks {
        let (engine, values) = (engine.clone(), values.clone());
        appending.push(tokio::spawn(async move {
            let topic: Arc<str> = "input".into();
            let mut next = task * batch;
            while next < records {
                engine.append(batch_of(&topic, next, batch, &values)).await.unwrap();
                next += tasks * batch;
            }
        }));
    }
    for task in appending {
        task.await.unwrap();
    }
    let rate = rate(records, started);
    engine.close().await.unwrap();
    fs::remove_dir_all(path).unwrap();
    rate
}

/// A stage that copies: it reads what another appends, and commits copies with its offsets.
async fn copy(path: &Path, records: usize, batch: usize, values: &[Bytes]) -> f64 {
    let engine = open(path).await;
    let (input, output): (Arc<str>, Arc<str>) = ("input".into(), "output".into());
    let mut next = 0;
    while next < records {
        engine.append(batch_of(&input, next, batch, values)).await.unwrap();
        next += batch;
    }
    let group =
        GroupSpec { group: "copier".into(), topics: vec![input.clone()], state_topic: None };
    let mut member = engine.join(group).await.unwrap();
    let started = Instant::now();
    let mut copied = 0;
    while copied < records {
        let polled = member.poll(Duration::from_secs(10), batch * RECORD_BYTES).await.unwrap();
        let Polled::Records(read) = polled else { continue };
        let Some(last) = read.last() else { continue };
        let place = TopicPartition { topic: input.clone(), partition: 0 };
        let offsets = vec![(place, last.offset + 1)];
        copied += read.len();
        let copies = read.into_iter().map(|record| NewRecord {
            topic: output.clone(),
            partition: Some(0),
            timestamp_ms: record.timestamp_ms,
            key: record.key,
            value: record.value,
            headers: record.headers,
        });
        member
            .commit(Commit { records: copies.collect::<Vec<_>>().into(), offsets })
            .await
            .unwrap();
    }
    let rate = rate(records, started);
    drop(member);
    engine.close().await.unwrap();
    fs::remove_dir_all(path).unwrap();
    rate
}

/// How long a commit takes when nothing else is to do, and how long an fsync of the same disk takes.
async fn idle(path: &Path) {
    const COMMITS: usize = 500;
    let engine = open(path).await;
    let topic: Arc<str> = "input".into();
    let values = [value(0, true)];
    let mut commits = Vec::new();
    for index in 0..COMMITS {
        let started = Instant::now();
        engine.append(batch_of(&topic, index, 1, &values)).await.unwrap();
        commits.push(started.elapsed());
    }
    engine.close().await.unwrap();
    let mut file = fs::File::create(path.join("fsync")).unwrap();
    let mut syncs = Vec::new();
    for _ in 0..COMMITS {
        let started = Instant::now();
        file.write_all(&[1; 4096]).unwrap();
        file.sync_data().unwrap();
        syncs.push(started.elapsed());
    }
    commits.sort();
    syncs.sort();
    let (half, most) = (COMMITS / 2, COMMITS * 99 / 100);
    println!(
        "a lone append: p50 {:?}, p99 {:?}; a lone write and fsync: p50 {:?}, p99 {:?}",
        commits[half], commits[most], syncs[half], syncs[most]
    );
}

fn peak_memory_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
