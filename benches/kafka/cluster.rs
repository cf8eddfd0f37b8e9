//! A broker of its own for one run: topics, groups, how far a group has come.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
};

/// How long one request to the broker may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lines of each of the broker's logs that are shown.
const LAST_LINES: usize = 12;

/// A broker that runs, in a directory that goes with it.
pub(crate) struct Cluster {
    directory: tempfile::TempDir,
    /// Its address.
    pub(crate) servers: String,
    /// Its process.
    pub(crate) process: u32,
    admin: AdminClient<DefaultClientContext>,
}

impl Cluster {
    /// Starts a broker by the script of the tests.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let output = script("broker")
            .args(["up", "--dir"])
            .arg(directory.path())
            // The time-outs of the tests are short: on processors that are busy the broker would miss its heartbeats.
            .args(["--property", "broker.session.timeout.ms=30000"])
            .args(["--property", "broker.heartbeat.interval.ms=2000"])
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "the broker has started");
        let printed = String::from_utf8(output.stdout).unwrap();
        let servers = printed.lines().next().unwrap().to_owned();
        let file = directory.path().join("broker-1/pid");
        let process = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        let admin = client(&servers).create().unwrap();
        Self { directory, servers, process, admin }
    }

    /// What the broker said last, and whether it still runs: for a measurement that gets nowhere.
    pub(crate) fn last_words(&self) -> String {
        let runs = Path::new(&format!("/proc/{}", self.process)).exists();
        let mut words = format!("the broker {}", if runs { "runs" } else { "has ended" });
        for name in ["console.log", "server.log"] {
            let path = self.directory.path().join("broker-1").join(name);
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
            words = format!("{words}\n{name}:\n{}", last.join("\n"));
        }
        words
    }

    /// Makes topics anew, without records: name, partitions, whether compacted.
    pub(crate) async fn renew(&self, topics: &[(&str, u32, bool)]) {
        let names: Vec<&str> = topics.iter().map(|(name, ..)| *name).collect();
        self.delete(&names).await;
        let specs: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|(name, partitions, compacted)| {
                let cleanup = if *compacted { "compact" } else { "delete" };
                NewTopic::new(name, *partitions as i32, TopicReplication::Fixed(1))
                    .set("cleanup.policy", cleanup)
            })
            .collect();
        for result in self.admin.create_topics(&specs, &options()).await.unwrap() {
            result.unwrap();
        }
    }

    /// Deletes the topics that are there.
    pub(crate) async fn delete(&self, names: &[&str]) {
        let existing = self.topics();
        let old: Vec<&str> =
            names.iter().copied().filter(|name| existing.iter().any(|it| it == name)).collect();
        if old.is_empty() {
            return;
        }
        for result in self.admin.delete_topics(&old, &options()).await.unwrap() {
            result.unwrap();
        }
        let gone_by = Instant::now() + PATIENCE;
        while self.topics().iter().any(|it| old.contains(&it.as_str())) {
            assert!(Instant::now() < gone_by, "old topics are gone");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Forgets groups that have no members any more.
    pub(crate) async fn forget(&self, groups: &[&str]) {
        let gone_by = Instant::now() + PATIENCE;
        loop {
            let results = self.admin.delete_groups(groups, &AdminOptions::new()).await.unwrap();
            let refused: Vec<String> = results
                .into_iter()
                .filter_map(Result::err)
                .filter(|(_, code)| *code != rdkafka::types::RDKafkaErrorCode::GroupIdNotFound)
                .map(|(group, code)| format!("{group}: {code}"))
                .collect();
            if refused.is_empty() {
                return;
            }
            assert!(Instant::now() < gone_by, "groups are gone: {refused:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn topics(&self) -> Vec<String> {
        let metadata = self.admin.inner().fetch_metadata(None, PATIENCE).unwrap();
        metadata.topics().iter().map(|topic| topic.name().to_owned()).collect()
    }

    /// A view of how far a group has come in a topic.
    pub(crate) fn progress(&self, group: &str, topic: &str, partitions: u32) -> Progress {
        // Else the broker would answer only while no transaction holds offsets of the group.
        let mut config = client(&self.servers);
        config.set("group.id", group).set("isolation.level", "read_uncommitted");
        let consumer = config.create().unwrap();
        Progress { consumer, topic: topic.to_owned(), partitions }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped = script("broker").args(["kill", "--dir"]).arg(self.directory.path()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = writeln!(std::io::stderr(), "broker {} may still run", self.process);
        }
    }
}

/// How far a group has come in a topic.
pub(crate) struct Progress {
    consumer: BaseConsumer,
    topic: String,
    partitions: u32,
}

impl Progress {
    /// Offsets that the group has committed, one for each partition; 0 where it has not.
    pub(crate) fn committed(&self) -> Vec<u64> {
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition(&self.topic, partition as i32);
        }
        // The coordinator may still be loading.
        let Ok(list) = self.consumer.committed_offsets(list, PATIENCE) else {
            return vec![0; self.partitions as usize];
        };
        let offset = |offset| match offset {
            Offset::Offset(next) => next as u64,
            _ => 0,
        };
        list.elements().iter().map(|element| offset(element.offset())).collect()
    }

    /// Records that the group has committed.
    pub(crate) fn done(&self) -> u64 {
        self.committed().iter().sum()
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE))
}

/// Settings of a client of this benchmark.
pub(crate) fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config
}

/// A script of the tests.
pub(crate) fn script(name: &str) -> Command {
    Command::new(repository("tests/kafka").join(name))
}

/// A file or folder of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
