//! kill -9 in the middle of work, restart, count: nothing acknowledged is lost, nothing is doubled.

#![cfg(unix)]

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use hephaestus_pipeline::engine::{
    Commit, Engine, GroupSpec, Log, Polled,
    embedded::{EmbeddedConfig, EmbeddedEngine},
};

use crate::fixture::{at, compacted, kept, keyed, record, text};

const DIRECTORY: &str = "HEPHAESTUS_CRASH_DIRECTORY";
const SEED: &str = "HEPHAESTUS_CRASH_SEED";
const PARTITIONS: u32 = 2;
/// Records of each append, half of them in each partition.
const APPEND: u64 = 10;

async fn open(directory: &Path) -> Arc<EmbeddedEngine> {
    let mut config = EmbeddedConfig::new(directory);
    // Retention works under the kill too.
    config.retention_interval = Duration::from_millis(20);
    config.tombstone_retention = Duration::ZERO;
    EmbeddedEngine::open(config).await.unwrap()
}

fn names() -> [Arc<str>; 3] {
    ["input".into(), "output".into(), "state".into()]
}

fn copier() -> GroupSpec {
    let [input, _, state] = names();
    GroupSpec { group: "copier".into(), topics: vec![input], state_topic: Some(state) }
}

/// Starts this test program again as a process that runs one of the ignored tests below.
pub(crate) fn spawn(test: &str, directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// The directory that a process started by [`spawn`] works in.
pub(crate) fn directory_of_child() -> PathBuf {
    std::env::var_os(DIRECTORY).expect("is started by the other tests").into()
}

/// Says something to the test that started this process.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@{line}").unwrap();
    out.flush().unwrap();
}

/// What a process started by [`spawn`] says.
pub(crate) fn heard(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The test harness writes to the same pipe, without ending its line.
    lines.map_while(Result::ok).filter_map(|line| {
        let (_, said) = line.split_once('@')?;
        Some(said.to_owned())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is the process that the tests below kill"]
async fn works_until_it_is_killed() {
    let engine = open(&directory_of_child()).await;
    let [input, output, state] = names();
    let topics =
        [kept(&input, PARTITIONS), kept(&output, PARTITIONS), compacted(&state, PARTITIONS)];
    engine.create_topics(&topics).await.unwrap();

    let appending = {
        let engine = engine.clone();
        let mut next = engine.topics().await.unwrap()[0].partitions[0].end;
        tokio::spawn(async move {
            loop {
                let until = next + APPEND / 2;
                let both =
                    (next..until).flat_map(|number| (0..PARTITIONS).map(move |p| (p, number)));
                let records = both.map(|(p, number)| record(&input, p, number.to_string()));
                engine.append(records.collect()).await.unwrap();
                say(&format!("appended {until}"));
                next = until;
            }
        })
    };
    let mut member = engine.join(copier()).await.unwrap();
    let reader = member.state();
    let copying = tokio::spawn(async move {
        loop {
            let polled = member.poll(Duration::from_secs(60), 100).await.unwrap();
            let Polled::Records(read) = polled else { continue };
            let mut commit = Commit::default();
            for record in &read {
                let place = at(&record.topic, record.partition);
                commit.offsets.retain(|(known, _)| *known != place);
                commit.offsets.push((place, record.offset + 1));
                commit.records.push(crate::fixture::record(
                    &output,
                    record.partition,
                    text(record),
                ));
            }
            let offsets = commit.offsets.clone();
            for (place, _) in &offsets {
                let before = reader.get(place.partition, b"count").await.unwrap();
                let before =
                    before.map_or(0, |count| String::from_utf8_lossy(&count).parse().unwrap());
                let more = read.iter().filter(|record| record.partition == place.partition).count();
                let count = (before + more).to_string();
                commit.records.push(keyed(&state, place.partition, "count", Some(&count)));
                // Keys that come and go, so that tombstones are purged meanwhile.
                commit.records.push(keyed(&state, place.partition, &count, Some("x")));
                commit.records.push(keyed(&state, place.partition, &before.to_string(), None));
            }
            member.commit(commit).await.unwrap();
            for (place, next) in offsets {
                say(&format!("copied {} {next}", place.partition));
            }
        }
    });
    let _ = tokio::join!(appending, copying);
}

/// What a killed process had acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    appended: u64,
    copied: [u64; PARTITIONS as usize],
    lines: usize,
}

impl Acknowledged {
    fn note(&mut self, line: &str) {
        self.lines += 1;
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["appended", next] => self.appended = next.parse().unwrap(),
            ["copied", partition, next] => {
                let partition: usize = partition.parse().unwrap();
                self.copied[partition] = next.parse().unwrap();
            }
            _ => panic!("{line:?}"),
        }
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_nothing_is_doubled() {
    const ROUNDS: u64 = 6;
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    eprintln!("{SEED}={seed}");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().join("engine");
    let mut acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let random = (seed ^ round.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let until = acknowledged.lines + 1 + (random >> 33) as usize % 150;
        let before = acknowledged.appended;
        let mut child = spawn("crash::works_until_it_is_killed", &directory);
        let mut lines = heard(&mut child);
        while acknowledged.lines < until || acknowledged.appended == before {
            acknowledged.note(&lines.next().expect("the process ended by itself"));
        }
        assert_eq!(child.try_wait().unwrap(), None, "nothing is left to kill");
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "it was not the kill that ended it");
        // What it had still said before it died was acknowledged as well.
        lines.for_each(|line| acknowledged.note(&line));
        eprintln!("round {round}: killed behind {} lines, {acknowledged:?}", acknowledged.lines);
        runtime.block_on(verify(&directory, &acknowledged));
    }
    assert!(acknowledged.copied.iter().all(|copied| *copied > 0), "{acknowledged:?}");
}

async fn verify(directory: &Path, acknowledged: &Acknowledged) {
    let engine = open(directory).await;
    let [input, output, _] = names();
    let member = engine.join(copier()).await.unwrap();
    let committed = engine.group_offsets("copier").await.unwrap();
    let mut appended = Vec::new();
    for partition in 0..PARTITIONS {
        let read = all(&engine, &input, partition).await;
        assert!(read.len() as u64 >= acknowledged.appended, "acknowledged records are lost");
        assert_in_order(&read);
        appended.push(read.len() as u64);

        let copies = all(&engine, &output, partition).await;
        let done = copies.len() as u64;
        assert!(done >= acknowledged.copied[partition as usize], "an acknowledged commit is lost");
        assert_in_order(&copies);
        let place = at(&input, partition);
        let offset = committed.iter().find(|offset| offset.partition == place).unwrap();
        assert_eq!(offset.next, done, "outputs and offsets differ");
        let count = member.state().get(partition, b"count").await.unwrap();
        let count = count.map_or(0, |count| String::from_utf8_lossy(&count).parse().unwrap());
        assert_eq!(count, done, "outputs and state differ");
    }
    assert!(appended.iter().all(|count| *count == appended[0]), "half an append: {appended:?}");
    assert_eq!(appended[0] % (APPEND / 2), 0, "half an append");
    drop(member);
    engine.close().await.unwrap();
}

async fn all(engine: &Arc<EmbeddedEngine>, topic: &Arc<str>, partition: u32) -> Vec<String> {
    let mut values = Vec::new();
    loop {
        let from = values.len() as u64;
        let records = engine.read(&at(topic, partition), from, 1 << 20).await.unwrap();
        if records.is_empty() {
            return values;
        }
        values.extend(records.iter().map(text));
    }
}

fn assert_in_order(values: &[String]) {
    for (index, value) in values.iter().enumerate() {
        assert_eq!(*value, index.to_string(), "lost or doubled");
    }
}
