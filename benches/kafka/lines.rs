//! Log lines as services write them, no two alike, spread evenly over sources and partitions.

use std::path::PathBuf;

use hephaestus_pipeline::partitioner::partition_for;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use crate::cluster::client;

/// Sources of each partition.
const SOURCES: usize = 4;
/// Lines that a source sends in a row.
const RUN: usize = 50;
/// Digits in a row from which on they are varied: fewer name a state or a child.
const VARIED: usize = 2;

/// Lines of the Loghub sets where they lie beside the repository, else lines of the same form.
pub(crate) struct Lines {
    samples: Vec<(String, usize)>,
    random: fastrand::Rng,
    /// Where they come from.
    pub(crate) origin: &'static str,
}

impl Lines {
    pub(crate) fn new() -> Self {
        let random = fastrand::Rng::with_seed(20_081_109);
        let Some(directory) = data() else {
            let samples = GENERATED.iter().map(|line| ((*line).to_owned(), header(line))).collect();
            return Self { samples, random, origin: "lines of the form of Loghub's HDFS" };
        };
        let mut samples = Vec::new();
        for set in ["HDFS", "Apache"] {
            let text = std::fs::read_to_string(directory.join(format!("{set}/{set}_2k.log")));
            samples.extend(text.unwrap().lines().map(|line| (line.to_owned(), header(line))));
        }
        Self { samples, random, origin: "Loghub's HDFS and Apache, digits varied" }
    }

    /// A line, its variables varied behind the header.
    pub(crate) fn next(&mut self, index: usize) -> Vec<u8> {
        let (sample, header) = &self.samples[index % self.samples.len()];
        let mut line = sample.clone().into_bytes();
        let mut at = *header;
        while at < line.len() {
            let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits >= VARIED {
                for byte in &mut line[at + 1..at + digits] {
                    *byte = b'0' + self.random.u8(0..10);
                }
            }
            at += digits.max(1);
        }
        line
    }
}

/// Bytes before which nothing is varied: the time stamp and the severity.
fn header(line: &str) -> usize {
    let behind = |mark: &str| line.find(mark).map(|at| at + mark.len());
    behind(": ").or_else(|| behind("] [")).unwrap_or(0)
}

fn data() -> Option<PathBuf> {
    let named = std::env::var_os("HEPHAESTUS_TEST_DATA").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let loghub = named.unwrap_or(beside).join("loghub");
    loghub.is_dir().then_some(loghub)
}

const GENERATED: [&str; 6] = [
    "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_38865049064139660 terminating",
    "081109 204005 35 INFO dfs.FSNamesystem: BLOCK* NameSystem.addStoredBlock: blockMap updated: 10.251.73.220:50010 is added to blk_7128370237687728475 size 67108864",
    "081109 204132 26 INFO dfs.DataNode$PacketResponder: Received block blk_8229193803249955061 of size 67108864 from /10.251.126.5",
    "081109 204525 512 INFO dfs.DataNode$PacketResponder: PacketResponder 2 for block blk_572492839287299681 terminating",
    "081109 213009 1283 WARN dfs.DataNode$DataXceiver: 10.250.18.114:50010:Got exception while serving blk_-5861636720645142679 to /10.251.70.211:",
    "081109 214043 2561 WARN dfs.DataNode$DataXceiver: 10.251.30.85:50010:Got exception while serving blk_-2918118818249673980 to /10.251.90.64:",
];

/// Names of sources, the same number for each partition.
pub(crate) fn sources(partitions: u32) -> Vec<(u32, String)> {
    let mut names: Vec<(u32, String)> = Vec::new();
    for number in 0.. {
        let name = format!("storage/node-{number}/app");
        let partition = partition_for(name.as_bytes(), partitions);
        if names.iter().filter(|(other, _)| *other == partition).count() < SOURCES {
            names.push((partition, name));
        }
        if names.len() == SOURCES * partitions as usize {
            break;
        }
    }
    names
}

/// What a topic was filled with.
pub(crate) struct Filled {
    /// Records.
    pub(crate) records: u64,
    /// Mean bytes of key and value.
    pub(crate) mean_bytes: f64,
    /// Where the lines come from.
    pub(crate) origin: &'static str,
}

/// Writes at least `records` records to a topic, as many to each partition.
pub(crate) fn fill(servers: &str, topic: &str, partitions: u32, records: u64) -> Filled {
    let producer: ThreadedProducer<_> = client(servers)
        .set("linger.ms", "50")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.messages", "200000")
        .create()
        .unwrap();
    let sources = sources(partitions);
    let mut lines = Lines::new();
    let mut offsets = vec![0usize; sources.len()];
    let (mut written, mut bytes) = (0u64, 0u64);
    while written < records {
        for ((partition, source), offset) in sources.iter().zip(&mut offsets) {
            for _ in 0..RUN {
                let line = lines.next(*offset);
                *offset += 1;
                written += 1;
                bytes += (line.len() + source.len()) as u64;
                let mut record =
                    BaseRecord::to(topic).partition(*partition as i32).key(source).payload(&line);
                while let Err((error, again)) = producer.send(record) {
                    let full = rdkafka::types::RDKafkaErrorCode::QueueFull;
                    assert_eq!(error.rdkafka_error_code(), Some(full), "{error}");
                    record = again;
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
        }
    }
    producer.flush(std::time::Duration::from_secs(120)).unwrap();
    Filled { records: written, mean_bytes: bytes as f64 / written as f64, origin: lines.origin }
}
