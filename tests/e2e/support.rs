//! Runs the program, and stands in for a running pipeline: its engine, control socket and registry.

use std::{
    io::Write,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use hephaestus_gateway::{
    control,
    serve::{ServeLimits, serve},
};
use hephaestus_pipeline::{
    engine::{
        Engine, Log, TopicPartition, TopicSpec,
        embedded::{EmbeddedConfig, EmbeddedEngine},
    },
    record::{Headers, NewRecord},
};
use hephaestus_schemas::{
    Codec, CodecLimits, Value,
    registry::{MemoryStore, Registry},
    registry_http,
};
use hephaestus_topology::{Profile, pipeline};
use tokio_util::sync::CancellationToken;

/// The program with arguments, away from the environment of whoever runs the tests.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hephaestus"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HEPHAESTUS_") {
            command.env_remove(name);
        }
    }
    command.env("USER", "ada").env_remove("RUST_BACKTRACE");
    command
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Standard output, a JSON object a line.
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        let lines = self.stdout.lines();
        lines.map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Asserts that it went well.
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// Asserts that it ended with a code, said something, and gave no data.
    pub(crate) fn bad(self, code: i32, message: &str) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.contains(message), "wanted {message:?}: {}", self.stderr);
        assert_eq!(self.stdout, "");
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    program(arguments).output().unwrap().into()
}

/// Runs the program to its end with something on its standard input.
pub(crate) fn run_with_input(arguments: &[&str], input: &[u8]) -> Ended {
    let mut child = program(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}

/// Starts the program with its output to be read.
pub(crate) fn start(arguments: &[&str]) -> Child {
    program(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Interrupts a program as a person at a terminal does, and waits for its end.
pub(crate) fn interrupt(child: Child) -> Ended {
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    child.wait_with_output().unwrap().into()
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Makes the topics of a directory, with nothing running.
pub(crate) fn create_topics(dir: &Path) {
    run(&["topology", "apply", "--dir", text(dir)]).good();
}

/// What commands see of a running pipeline. No stage runs, so that what is written stays as it is.
pub(crate) struct Running {
    pub(crate) engine: Arc<EmbeddedEngine>,
    pub(crate) codec: Codec,
    stop: CancellationToken,
    control: tokio::task::JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(dir: &Path) -> Self {
        let engine = EmbeddedEngine::open(EmbeddedConfig::new(dir)).await.unwrap();
        let topology = pipeline(&Profile::development()).unwrap();
        let specs: Vec<TopicSpec> = topology
            .topics
            .iter()
            .map(|topic| TopicSpec {
                name: topic.name.as_str().into(),
                partitions: topic.partitions,
                cleanup: if topic.cleanup.is_compact() {
                    hephaestus_pipeline::engine::Cleanup::Compact
                } else {
                    hephaestus_pipeline::engine::Cleanup::Delete {
                        retention_ms: None,
                        retention_bytes: None,
                    }
                },
            })
            .collect();
        engine.create_topics(&specs).await.unwrap();
        let stop = CancellationToken::new();
        let registry = Registry::open(MemoryStore::default()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = registry_http::router(registry);
        tokio::spawn(serve(listener, router, ServeLimits::default(), stop.clone()));
        std::fs::write(dir.join("registry.url"), &url).unwrap();
        let codec = Codec::connect(&url, CodecLimits::default()).unwrap();
        let socket = control::listen(dir).unwrap();
        let control = tokio::spawn(control::serve(socket, engine.clone(), stop.clone()));
        Self { engine, codec, stop, control }
    }

    /// Writes a value; gives its partition and offset.
    pub(crate) async fn write<V: Value>(&self, topic: &str, key: &str, value: &V) -> (u32, u64) {
        self.codec.register::<V>(topic).await.unwrap();
        let bytes = self.codec.encode(topic, value).unwrap();
        self.write_bytes(topic, key, &bytes).await
    }

    pub(crate) async fn write_bytes(&self, topic: &str, key: &str, value: &[u8]) -> (u32, u64) {
        let record = NewRecord {
            topic: topic.into(),
            partition: None,
            timestamp_ms: 1_700_000_000_000,
            key: Some(key.to_owned().into()),
            value: Some(value.to_vec().into()),
            headers: Headers::default(),
        };
        self.engine.append(vec![record]).await.unwrap()[0]
    }

    /// Waits until a topic has that many records.
    pub(crate) async fn wait_for(&self, topic: &str, records: u64) {
        loop {
            let topics = self.engine.topics().await.unwrap();
            let info = topics.iter().find(|info| info.spec.name.as_ref() == topic).unwrap();
            let there: u64 = info.partitions.iter().map(|partition| partition.end).sum();
            if there >= records {
                return;
            }
            // Whichever partition grows first ends the wait.
            let mut waits = tokio::task::JoinSet::new();
            for (partition, info) in (0..).zip(info.partitions.clone()) {
                let engine = self.engine.clone();
                let partition = TopicPartition { topic: topic.into(), partition };
                waits.spawn(async move {
                    engine.wait(&partition, info.end, Duration::from_secs(60)).await
                });
            }
            assert!(
                waits.join_next().await.unwrap().unwrap().unwrap(),
                "no record came to {topic}"
            );
        }
    }

    /// Runs the program beside it.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = program(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.control.await.unwrap();
        self.engine.close().await.unwrap();
    }
}
