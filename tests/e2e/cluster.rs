//! A real broker and a registry for one test, started by the scripts that people use too.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use hephaestus_pipeline::engine::{
    Log,
    kafka::{KafkaConfig, KafkaEngine},
};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    support::{Ended, run, text},
    up::Up,
};

/// One broker at a time: each takes 350 MiB.
static TURN: Mutex<()> = Mutex::const_new(());

/// Why there can be no broker here.
fn missing() -> Option<String> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_default();
    let home = absolute("HEPHAESTUS_TEST_KAFKA_HOME").unwrap_or(cache.join("hephaestus/kafka"));
    let parts = ["libs", "registry"].map(|part| home.join(part));
    let lacking = parts.iter().find(|part| !part.is_dir())?;
    Some(format!(
        "no {}; tests/kafka/broker fetch and tests/kafka/registry fetch get it",
        lacking.display()
    ))
}

fn script(name: &str, arguments: &[&str]) -> Ended {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka").join(name);
    Command::new(path).args(arguments).stdin(Stdio::null()).output().unwrap().into()
}

/// A broker, and registries where they were asked for. They end with the value.
pub(crate) struct Cluster {
    directory: tempfile::TempDir,
    /// Bootstrap servers.
    pub(crate) brokers: String,
    apicurio: Vec<tempfile::TempDir>,
    /// Address of the registry that commands are given.
    pub(crate) registry_url: String,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// A new broker; none where Kafka was not fetched.
    pub(crate) async fn start() -> Option<Self> {
        if let Some(missing) = missing() {
            let is_required = std::env::var("HEPHAESTUS_TEST_REQUIRE").is_ok_and(|set| set == "1");
            assert!(!is_required, "{missing}");
            eprintln!("skipped: {missing}");
            return None;
        }
        let turn = TURN.lock().await;
        let directory = tempfile::tempdir().unwrap();
        let mut cluster = Self {
            directory,
            brokers: String::new(),
            apicurio: Vec::new(),
            registry_url: String::new(),
            _turn: turn,
        };
        let up = ["up", "--quick", "--dir", text(cluster.directory.path())];
        let said = script("broker", &up).good().stdout;
        cluster.brokers = said.lines().next().unwrap().to_owned();
        Some(cluster)
    }

    /// Starts the registry that nobody here wrote, for all further commands.
    pub(crate) fn use_apicurio(&mut self) {
        let directory = tempfile::tempdir().unwrap();
        let said = script("registry", &["up", "--dir", text(directory.path())]);
        self.apicurio.push(directory);
        said.good().stdout.trim().clone_into(&mut self.registry_url);
    }

    /// Starts one of our registries, for all further commands.
    pub(crate) fn use_our_registry(&mut self, arguments: &[&str]) -> Up {
        let registry = ["registry", "--listen", "127.0.0.1:0"];
        let brokers = ["--engine", "kafka", "--bootstrap-servers", &self.brokers];
        let registry = Up::with(&[&registry[..], &brokers[..], arguments].concat());
        registry.started["registry"].as_str().unwrap().clone_into(&mut self.registry_url);
        registry
    }

    /// Arguments that lead a command here.
    pub(crate) fn at<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let here = ["--engine", "kafka", "--bootstrap-servers", &self.brokers];
        [arguments, &here[..], &["--schema-registry", &self.registry_url]].concat()
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        run(&self.at(arguments))
    }

    /// Starts `up` or `run` on a free port.
    pub(crate) fn up(&self, arguments: &[&str]) -> Up {
        Up::with(&self.at(&[arguments, &["--listen", "127.0.0.1:0"]].concat()))
    }

    /// The topics.
    pub(crate) async fn log(&self) -> Arc<dyn Log> {
        KafkaEngine::connect(&self.brokers, KafkaConfig::default(), 1 << 20).await.unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for directory in &self.apicurio {
            script("registry", &["down", "--dir", text(directory.path())]);
        }
        script("broker", &["kill", "--dir", text(self.directory.path())]);
    }
}
