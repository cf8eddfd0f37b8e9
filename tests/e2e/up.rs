//! A running `up`, what is in its topics, and the sample service for it to watch.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::Arc,
    time::{Duration, Instant},
};

use hephaestus_gateway::control::RemoteLog;
use hephaestus_pipeline::{
    clock,
    engine::{Log, TopicPartition, pages::Pages},
    record::{Headers, NewRecord, ORIGIN, Origins, Record},
};
use hephaestus_schemas::{
    Codec, CodecLimits, Value,
    topics::{ANALYSES, CLASSIFIED_LOGS, DECISIONS, PROPOSED_CHANGES, RAW_LOGS, dead_letter_topic},
};

use crate::support::{Ended, start, text};

/// Longest time without progress.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `up` or `run`, and what it said when it started. It does not outlive its test.
pub(crate) struct Up {
    child: Child,
    stderr: Option<std::thread::JoinHandle<String>>,
    pub(crate) started: serde_json::Value,
}

impl Up {
    /// `up` in a directory, on a free port.
    pub(crate) fn start(directory: &Path) -> Self {
        Self::with(&["up", "--dir", text(directory), "--listen", "127.0.0.1:0"])
    }

    /// `up` in a directory with a configuration.
    pub(crate) fn configured(directory: &Path, config: &Path) -> Self {
        let at = ["--dir", text(directory), "--config", text(config)];
        Self::with(&[&["up", "--listen", "127.0.0.1:0"], &at[..]].concat())
    }

    /// The program with these arguments.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        Self::of(start(arguments), &format!("{arguments:?}"))
    }

    /// A program that was started with its output to be read.
    pub(crate) fn of(mut child: Child, what: &str) -> Self {
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let mut pipe = child.stderr.take().unwrap();
        // Read all the while: a full pipe would hold it up.
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        });
        let Ok(started) = serde_json::from_str(&line) else {
            panic!("{what} did not start: {line:?} {}", stderr.join().unwrap());
        };
        Self { child, stderr: Some(stderr), started }
    }

    /// Its topics.
    pub(crate) async fn log(&self) -> Arc<dyn Log> {
        let directory = Path::new(self.started["dir"].as_str().unwrap());
        Arc::new(RemoteLog::connect(directory).await.unwrap().unwrap())
    }

    /// Its schemas.
    pub(crate) fn codec(&self) -> Codec {
        let limits = CodecLimits { max_value_bytes: 1 << 20 };
        Codec::connect(self.started["registry"].as_str().unwrap(), limits).unwrap()
    }

    /// An address at its door.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.started["listen"].as_str().unwrap())
    }

    /// Sends lines of a source as text.
    pub(crate) async fn post(&self, source: &str, body: impl Into<Vec<u8>>) -> reqwest::Response {
        self.try_post(source, body).await.unwrap()
    }

    /// The same, where it may have ended.
    pub(crate) async fn try_post(
        &self,
        source: &str,
        body: impl Into<Vec<u8>>,
    ) -> reqwest::Result<reqwest::Response> {
        let request = reqwest::Client::new().post(self.url("/v1/logs"));
        let request = request.header("x-hephaestus-source", source);
        request.header("content-type", "text/plain").body(body.into()).send().await
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Interrupts it, and waits for its end.
    pub(crate) fn stop(self) -> Ended {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.end()
    }

    /// Waits for its end. What stood on standard output is gone.
    pub(crate) fn end(mut self) -> Ended {
        let code = self.child.wait().unwrap().code();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Ended { code, stdout: String::new(), stderr }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking()
            && let Some(Ok(said)) = self.stderr.take().map(std::thread::JoinHandle::join)
        {
            eprintln!("{said}");
        }
    }
}

/// Every record of a topic.
pub(crate) async fn all(log: &Arc<dyn Log>, topic: &str) -> Vec<Record> {
    let topics = log.topics().await.unwrap();
    let info = topics.iter().find(|info| info.spec.name.as_ref() == topic).unwrap();
    let mut records = Vec::new();
    for partition in 0..info.spec.partitions {
        let partition = TopicPartition { topic: topic.into(), partition };
        let mut pages = Pages::new(partition, 0, 4 << 20);
        loop {
            let page = pages.read(log.as_ref()).await.unwrap();
            if page.is_empty() {
                break;
            }
            records.extend(page);
        }
    }
    records
}

/// Every value of a topic.
pub(crate) async fn values<V: Value>(log: &Arc<dyn Log>, codec: &Codec, topic: &str) -> Vec<V> {
    let mut values = Vec::new();
    for record in all(log, topic).await {
        values.push(codec.decode(record.value.as_ref().unwrap()).await.unwrap());
    }
    values
}

/// How often each line was read, by partition and offset.
pub(crate) fn accounted(records: &[Record]) -> BTreeMap<(u32, u64), u32> {
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

/// A record without headers; where no partition is given its key decides.
pub(crate) fn record(topic: &str, partition: Option<u32>, key: &str, value: &[u8]) -> NewRecord {
    NewRecord {
        topic: topic.into(),
        partition,
        // Of today: what is older than its topic keeps may go at any time.
        timestamp_ms: clock::now_ms(),
        key: Some(key.to_owned().into()),
        value: Some(value.to_vec().into()),
        headers: Headers::default(),
    }
}

/// How much is done, and since when it is no more.
struct Progress {
    done: u64,
    since: Instant,
}

impl Progress {
    fn begin() -> Self {
        Self { done: 0, since: Instant::now() }
    }

    /// Whether more was done not too long ago.
    fn goes_on(&mut self, done: u64) -> bool {
        if done > self.done {
            *self = Self { done, since: Instant::now() };
        }
        self.since.elapsed() < PATIENCE
    }
}

/// Waits until each line of `raw-logs` is in `classified-logs`, asserts that it is there once,
/// and gives these two topics.
pub(crate) async fn classified(log: &Arc<dyn Log>) -> (Vec<Record>, Vec<Record>) {
    let raw = all(log, RAW_LOGS).await;
    let mut progress = Progress::begin();
    loop {
        let letters = all(log, &dead_letter_topic("classifier")).await;
        assert!(letters.is_empty(), "{:?}", letters.first().map(|letter| &letter.headers));
        let events = all(log, CLASSIFIED_LOGS).await;
        let times = accounted(&events);
        if times.len() == raw.len() {
            for record in &raw {
                let place = (record.partition, record.offset);
                assert_eq!(times.get(&place), Some(&1), "{place:?}");
            }
            return (raw, events);
        }
        let goes_on = progress.goes_on(times.len() as u64);
        assert!(goes_on, "{} of {} lines", times.len(), raw.len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Stages behind the classifier, and what they read.
const BEHIND: [(&str, &[&str]); 3] = [
    ("analyzer", &[CLASSIFIED_LOGS]),
    ("proposer", &[ANALYSES]),
    ("change-requester", &[PROPOSED_CHANGES, DECISIONS]),
];

/// Waits until the stages behind the classifier have handled all that there is.
pub(crate) async fn settled(log: &Arc<dyn Log>) {
    for (stage, topics) in BEHIND {
        let mut progress = Progress::begin();
        loop {
            let offsets = log.group_offsets(stage).await.unwrap();
            let is_done = |record: &Record| {
                offsets.iter().any(|offset| {
                    *offset.partition.topic == *record.topic
                        && offset.partition.partition == record.partition
                        && offset.next > record.offset
                })
            };
            let mut is_settled = offsets.iter().all(|offset| offset.next == offset.end);
            for topic in topics {
                is_settled &= all(log, topic).await.iter().all(is_done);
            }
            if is_settled {
                break;
            }
            let handled = offsets.iter().map(|offset| offset.next).sum();
            assert!(progress.goes_on(handled), "{stage} {offsets:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Numbers that look random and are the same each time (splitmix64).
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// Where the sample service of the demo is kept.
pub(crate) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/sample")
}

/// A repository with the sample service as it was in the end, checked out.
pub(crate) fn sample_repository(path: &Path) -> git2::Repository {
    let mut steps: Vec<PathBuf> = std::fs::read_dir(sample().join("history"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("tree"))
        .collect();
    steps.sort();
    for step in steps {
        copy(&step, path);
    }
    let mut options = git2::RepositoryInitOptions::new();
    let repository = git2::Repository::init_opts(path, options.initial_head("main")).unwrap();
    let mut index = repository.index().unwrap();
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
    index.write().unwrap();
    let tree = index.write_tree().unwrap();
    let author = git2::Signature::now("Ada", "ada@example.com").unwrap();
    {
        let tree = repository.find_tree(tree).unwrap();
        repository.commit(Some("HEAD"), &author, &author, "Sell books", &tree, &[]).unwrap();
    }
    repository
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A `[[node]]` for the sample service.
pub(crate) fn sample_node(repository: &Path, mode: &str) -> String {
    format!(
        "[[node]]\nname = \"bookshop\"\nsources = [\"bookshop/**\"]\nrepository = {:?}\n\
         source_root = \"/srv/bookshop\"\nmode = {mode:?}\nallowed_paths = [\"bookshop/**\"]\n\
         threshold_count = 5\nthreshold_window = \"1m\"\n",
        text(repository)
    )
}
