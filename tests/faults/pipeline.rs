//! A pipeline of real stages in processes of their own, its registry, its load, and what is known of it.

use std::{path::Path, process::Output, time::Duration};

use anyhow::{Result, ensure};
use hephaestus_gateway::serve::{ServeLimits, serve};
use hephaestus_schemas::{
    Codec, CodecLimits,
    registry::{MemoryStore, Registry},
    registry_http,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    check::Check,
    fleet::{Process, Surroundings},
    load::Load,
};

/// The processes: two of each stage.
const FLEET: [(&str, usize); 4] =
    [("classifier", 0), ("classifier", 1), ("analyzer", 0), ("analyzer", 1)];
/// Most tries to make the topics.
const APPLIES: usize = 5;
/// Longest start of the whole.
const START: Duration = Duration::from_secs(180);

/// Time-outs are short, so that faults outlast them. One broker keeps one copy of each partition, several keep three.
fn configuration(repository: &Path, profile: &str) -> String {
    format!(
        "[topology]\nprofile = {profile:?}\n\n[kafka]\nsession_timeout = \"8s\"\ntransaction_timeout = \"8s\"\nrequest_timeout = \"5s\"\n\n\
         [limits]\ncommit_interval = \"100ms\"\ndrain = \"2s\"\n\n\
         [[node]]\nname = \"shop\"\nsources = [\"**\"]\nrepository = {repository:?}\n\
         threshold_count = 20\nthreshold_window = \"10m\"\ncooldown = \"0s\"\n"
    )
}

/// A repository with one file, for analyses to look at.
fn make_repository(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path)?;
    std::fs::write(path.join("README"), "A shop.\n")?;
    let mut options = git2::RepositoryInitOptions::new();
    let repository = git2::Repository::init_opts(path, options.initial_head("main"))?;
    let mut index = repository.index()?;
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None)?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let author = git2::Signature::now("Ada", "ada@example.com")?;
    repository.commit(Some("HEAD"), &author, &author, "Begin a shop", &tree, &[])?;
    Ok(())
}

/// Serves a registry in this process until the guard is dropped; gives its address.
async fn serve_registry() -> Result<(String, DropGuard)> {
    let registry = Registry::open(MemoryStore::default()).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let stop = CancellationToken::new();
    let router = registry_http::router(registry);
    tokio::spawn(serve(listener, router, ServeLimits::default(), stop.clone()));
    Ok((url, stop.drop_guard()))
}

/// Makes the topics. On a busy machine a new broker may be slow to lead them; the next try goes on from there.
async fn make_topics(surroundings: &Surroundings) -> Result<()> {
    for tries in 1.. {
        let mut apply = surroundings.program(&["topology", "apply"]);
        let Output { status, stderr, .. } =
            tokio::task::spawn_blocking(move || apply.output()).await??;
        if status.success() {
            break;
        }
        let stderr = String::from_utf8_lossy(&stderr);
        ensure!(tries < APPLIES, "topology apply: {stderr}");
    }
    Ok(())
}

/// A running pipeline.
pub(crate) struct Pipeline {
    pub(crate) surroundings: Surroundings,
    pub(crate) processes: Vec<Process>,
    pub(crate) load: Load,
    pub(crate) check: Check,
    _registry: DropGuard,
}

impl Pipeline {
    /// Makes the topics with a profile and starts the stages on these brokers, in a directory.
    pub(crate) async fn start(
        directory: &Path,
        bootstrap_servers: &str,
        profile: &str,
        seed: u64,
    ) -> Result<Self> {
        let repository = directory.join("shop");
        make_repository(&repository)?;
        std::fs::write(directory.join("hephaestus.toml"), configuration(&repository, profile))?;
        let (registry_url, registry) = serve_registry().await?;
        let surroundings = Surroundings {
            directory: directory.to_owned(),
            bootstrap_servers: bootstrap_servers.to_owned(),
            registry_url: registry_url.clone(),
        };
        surroundings.copy_program()?;
        make_topics(&surroundings).await?;

        let mut processes = Vec::new();
        for (stage, number) in FLEET {
            processes.push(Process::start(stage, number, &surroundings)?);
        }
        let codec = Codec::connect(&registry_url, CodecLimits::default())?;
        let mut pipeline = Self {
            surroundings,
            processes,
            load: Load::start(bootstrap_servers, seed),
            check: Check::new(bootstrap_servers, codec),
            _registry: registry,
        };
        tokio::time::timeout(START, pipeline.load.one_each()).await?;
        // Whatever is watched is known before the first line that counts.
        pipeline.supervise()?;
        Ok(pipeline)
    }

    /// The process that a number stands for.
    pub(crate) fn victim(&mut self, number: u64) -> &mut Process {
        let count = self.processes.len() as u64;
        &mut self.processes[(number % count) as usize]
    }

    /// Starts processes again that ended on their own, and says which and how.
    pub(crate) fn supervise(&mut self) -> Result<Vec<String>> {
        let mut ended = Vec::new();
        for process in &mut self.processes {
            ended.extend(process.supervise()?);
        }
        Ok(ended)
    }

    /// Lets processes that were stopped go on.
    pub(crate) fn wake(&mut self) {
        for process in &self.processes {
            let _ = process.signal("CONT");
        }
    }
}
