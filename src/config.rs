//! The program's whole configuration, and `hephaestus config`.
//!
//! Flags win over `HEPHAESTUS_*` variables, those over the file; every key has a default and is in the example.

mod kafka;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use hephaestus_analyzer::AnalyzerConfig;
use hephaestus_classifier::ClassifierConfig;
use hephaestus_gateway::http::GatewayLimits;
use hephaestus_node_manager::NodeConfig;
use hephaestus_pipeline::{
    clock,
    config::{ByteSize, HumanDuration, Loader},
    engine::{embedded::EmbeddedConfig, kafka::KafkaConfig},
    retry::{RetryPolicy, RetrySettings},
    runtime::StageConfig,
    telemetry::TelemetryConfig,
};
use hephaestus_schemas::{Node, codec::CodecLimits};
use hephaestus_topology::{Profile, Settings, pipeline, validate};
use serde::{Deserialize, Serialize};

use self::kafka::RegistryLogin;
use crate::{
    cli::{Common, EngineKind, LogFormat},
    output::{Output, tell},
};

/// The documented example.
const EXAMPLE: &str = include_str!("config/example.toml");
/// Variable that names the file, where `--config` does not.
const FILE_VARIABLE: &str = "HEPHAESTUS_CONFIG";
/// Key of `[partitions]` for the topics that are not named.
const DEFAULT_PARTITIONS: &str = "default";
/// Bytes that a record takes besides its line: key and headers.
const RECORD_OVERHEAD: usize = 64 << 10;
/// How long a stop waits for the last commit, after the time to drain.
pub(crate) const LAST_COMMIT: Duration = Duration::from_secs(5);
/// Fewest bytes that a session of several reads at once.
const MIN_POLL_BYTES: usize = 64 << 10;

/// The configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Engine that holds the topics.
    pub(crate) engine: EngineKind,
    /// Directory of the embedded engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dir: Option<PathBuf>,
    /// Address of the door.
    pub(crate) listen: SocketAddr,
    /// Address of the schema registry that `up` serves.
    pub(crate) registry_listen: SocketAddr,
    /// Brokers of the kafka engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bootstrap_servers: Option<String>,
    /// Schema registry of the kafka engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) schema_registry: Option<String>,
    /// As whom to speak to it.
    pub(crate) registry: RegistryLogin,
    /// How the kafka engine reaches its cluster and is bounded.
    pub(crate) kafka: KafkaConfig,
    /// How topics and subjects are made on Kafka.
    pub(crate) topology: Settings,
    /// Log lines and traces.
    pub(crate) telemetry: TelemetryConfig,
    /// Bounds.
    pub(crate) limits: Limits,
    /// Partitions by topic, and `default`.
    pub(crate) partitions: BTreeMap<String, u32>,
    /// How long records stay.
    pub(crate) retention: Retention,
    /// How long work that failed through no fault of its own waits.
    pub(crate) retry: RetrySettings,
    /// How the classifier reads logs.
    pub(crate) classifier: ClassifierConfig,
    /// How the analyzer is bounded.
    pub(crate) analyzer: AnalyzerConfig,
    /// Nodes to watch.
    pub(crate) node: Vec<NodeConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            engine: EngineKind::Embedded,
            dir: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            registry_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            bootstrap_servers: None,
            schema_registry: None,
            registry: RegistryLogin::default(),
            kafka: KafkaConfig::default(),
            topology: Settings::default(),
            telemetry: TelemetryConfig::default(),
            limits: Limits::default(),
            partitions: BTreeMap::new(),
            retention: Retention::default(),
            retry: RetrySettings::default(),
            classifier: ClassifierConfig::default(),
            analyzer: AnalyzerConfig::default(),
            node: Vec::new(),
        }
    }
}

/// Bounds, in bytes and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Largest body of a request with lines.
    pub(crate) body: ByteSize,
    /// Bodies in memory at once; who comes then is asked to come back.
    pub(crate) bodies: ByteSize,
    /// Longest line.
    pub(crate) line: ByteSize,
    /// Largest value of a topic that is not `raw-logs`.
    pub(crate) value: ByteSize,
    /// Inputs and outputs in flight in each stage; without it what the engine is best at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stage_in_flight: Option<ByteSize>,
    /// Keyed state held in memory by each stage.
    pub(crate) stage_state: ByteSize,
    /// Read at once by each stage.
    pub(crate) stage_poll: ByteSize,
    /// Longest time that finished work waits for its commit; without it what the engine is best at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit_interval: Option<HumanDuration>,
    /// How long a stop waits for work that runs.
    pub(crate) drain: HumanDuration,
    /// Waiting to be written by the embedded engine.
    pub(crate) engine_queue: ByteSize,
    /// Recent records held in memory by the embedded engine.
    pub(crate) engine_tail: ByteSize,
    /// Pages of the store held in memory by the embedded engine.
    pub(crate) engine_cache: ByteSize,
    /// Left free on the disk: below, nothing is accepted.
    pub(crate) disk_free: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: ByteSize::mib(32),
            bodies: ByteSize::mib(32),
            line: ByteSize::mib(16),
            value: ByteSize(1_000_000),
            stage_in_flight: None,
            stage_state: ByteSize::mib(16),
            stage_poll: ByteSize::mib(1),
            commit_interval: None,
            drain: HumanDuration::from_secs(10),
            engine_queue: ByteSize::mib(32),
            engine_tail: ByteSize::mib(24),
            engine_cache: ByteSize::mib(32),
            disk_free: ByteSize::mib(64),
        }
    }
}

/// How long records stay; what is not said, the profile says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retention {
    /// `raw-logs` and `classified-logs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logs: Option<HumanDuration>,
    /// Largest size of a partition of these two; the older of the two bounds counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logs_partition: Option<ByteSize>,
    /// Analyses, proposals, decisions, change requests and dead letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) results: Option<HumanDuration>,
    /// The audit trail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) audit: Option<HumanDuration>,
}

impl Config {
    /// Gathers the configuration of this process, and checks it.
    ///
    /// # Errors
    /// Names what is wrong, where it stands, and what would be right.
    pub(crate) fn load(common: &Common) -> Result<Self> {
        let from_variable = std::env::var_os(FILE_VARIABLE).map(PathBuf::from);
        let mut loader = Loader::new();
        if let Some(file) = common.config.clone().or(from_variable) {
            loader = loader.file(&file)?;
        }
        loader = loader.environment().ignore_variable(FILE_VARIABLE);
        let config: Self = flags(loader, common).load()?;
        config.check()?;
        Ok(config)
    }

    /// Checks what single keys cannot say.
    fn check(&self) -> Result<()> {
        RetryPolicy::new(self.retry.clone()).context("retry")?;
        self.nodes(clock::now_micros())?;
        self.classifier.check().map_err(|mistakes| {
            let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            anyhow!(lines.join("\n"))
        })?;
        let topology = pipeline(&self.profile()).context("partitions and topology")?;
        if let Some(problem) = validate(&topology).first() {
            bail!("partitions and topology: {problem}");
        }
        if self.engine == EngineKind::Kafka {
            self.check_kafka()?;
        }
        let limits = &self.limits;
        if limits.line > limits.body {
            bail!("limits.line is {}, wanted at most limits.body, {}", limits.line, limits.body);
        }
        if limits.body > limits.bodies {
            bail!(
                "limits.body is {}, wanted at most limits.bodies, {}",
                limits.body,
                limits.bodies
            );
        }
        Ok(())
    }

    /// Directory of the embedded engine.
    ///
    /// # Errors
    /// Where none is named and there is no home directory to put it in.
    pub(crate) fn dir(&self) -> Result<PathBuf> {
        if let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let data = absolute("XDG_DATA_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/share")));
        let data =
            data.ok_or_else(|| anyhow!("no home directory to keep data in; name one with --dir"))?;
        Ok(data.join("hephaestus"))
    }

    /// Largest record in bytes, with key and headers.
    pub(crate) fn max_record_bytes(&self) -> usize {
        let largest = self.limits.line.max(self.limits.value);
        largest.as_usize().saturating_add(RECORD_OVERHEAD)
    }

    /// The embedded engine in a directory.
    pub(crate) fn embedded(&self, dir: &Path) -> EmbeddedConfig {
        let limits = &self.limits;
        EmbeddedConfig {
            max_record_bytes: self.max_record_bytes(),
            writer_queue_bytes: limits.engine_queue.as_usize(),
            tail_cache_bytes: limits.engine_tail.as_usize(),
            store_cache_bytes: limits.engine_cache.as_usize(),
            min_free_bytes: limits.disk_free.bytes(),
            ..EmbeddedConfig::new(dir)
        }
    }

    /// Partitions, replicas and retention.
    pub(crate) fn profile(&self) -> Profile {
        let base = self.topology.profile();
        let mut partitions = self.partitions.clone();
        let default_partitions = partitions.remove(DEFAULT_PARTITIONS);
        let retention = &self.retention;
        let with_overhead = |size: ByteSize| size.bytes().saturating_add(RECORD_OVERHEAD as u64);
        Profile {
            default_partitions: default_partitions.unwrap_or(base.default_partitions),
            partitions,
            log_retention: retention.logs.map_or(base.log_retention, Into::into),
            log_retention_bytes: retention
                .logs_partition
                .map_or(base.log_retention_bytes, |size| Some(size.bytes())),
            result_retention: retention.results.map_or(base.result_retention, Into::into),
            audit_retention: retention.audit.map_or(base.audit_retention, Into::into),
            max_line_bytes: with_overhead(self.limits.line),
            max_value_bytes: with_overhead(self.limits.value),
            ..base
        }
    }

    /// Bounds of the door.
    pub(crate) fn gateway(&self) -> GatewayLimits {
        GatewayLimits {
            max_body_bytes: self.limits.body.as_usize(),
            max_line_bytes: self.limits.line.as_usize(),
            max_in_flight_bytes: self.limits.bodies.as_usize(),
            ..GatewayLimits::default()
        }
    }

    /// Bounds of each of a stage's sessions, which share what the stage may take.
    ///
    /// # Errors
    /// Where the retry policy is none.
    pub(crate) fn stage(&self) -> Result<StageConfig> {
        let sessions = self.sessions();
        let share = |size: ByteSize| size.as_usize() / sessions;
        let poll_bytes = share(self.limits.stage_poll).max(MIN_POLL_BYTES);
        Ok(StageConfig {
            max_in_flight_bytes: share(self.stage_in_flight()),
            poll_bytes: poll_bytes.min(self.limits.stage_poll.as_usize()),
            commit_interval: self.commit_interval(),
            state_cache_bytes: share(self.limits.stage_state),
            drain_deadline: self.limits.drain.into(),
            retry: RetryPolicy::new(self.retry.clone()).context("retry")?,
            sessions,
        })
    }

    /// Bounds of values.
    pub(crate) fn codec(&self) -> CodecLimits {
        CodecLimits { max_value_bytes: self.limits.value.as_usize() }
    }

    /// The nodes, as they are registered at a time in microseconds since 1970 UTC.
    ///
    /// # Errors
    /// Every mistake in every entry.
    pub(crate) fn nodes(&self, now_micros: i64) -> Result<Vec<Node>> {
        hephaestus_node_manager::nodes(&self.node, now_micros).map_err(|mistakes| {
            let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            anyhow!(lines.join("\n"))
        })
    }
}

fn flags(mut loader: Loader, common: &Common) -> Loader {
    let lossy = |path: &PathBuf| path.to_string_lossy().into_owned();
    let engine = common.engine.map(|engine| match engine {
        EngineKind::Embedded => "embedded".to_owned(),
        EngineKind::Kafka => "kafka".to_owned(),
    });
    let format = common.log_format.map(|format| match format {
        LogFormat::Human => "human".to_owned(),
        LogFormat::Json => "json".to_owned(),
    });
    let settings = [
        ("--engine", "engine", engine),
        ("--dir", "dir", common.dir.as_ref().map(lossy)),
        ("--bootstrap-servers", "bootstrap_servers", common.bootstrap_servers.clone()),
        ("--schema-registry", "schema_registry", common.schema_registry.clone()),
        ("--log-format", "telemetry.format", format),
    ];
    for (flag, key, value) in settings {
        if let Some(value) = value {
            loader = loader.flag(flag, key, value);
        }
    }
    loader
}

/// Runs `config check`, for a configuration that was loaded and found good.
pub(crate) fn say_good(config: &Config) -> Result<()> {
    if config.engine == EngineKind::Kafka {
        config.brokers()?;
        config.registry_endpoint()?;
    }
    let nodes = config.node.len();
    tell(format_args!("configuration is good; it watches {nodes} nodes"));
    Ok(())
}

/// Runs `config example`.
pub(crate) fn print_example() -> Result<()> {
    let mut out = Output::new();
    out.text(EXAMPLE)?;
    out.flush()
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
