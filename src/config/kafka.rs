//! What the kafka engine needs besides its table: where brokers and registry are, and time-outs that fit together.

use std::{fs::File, io::Read, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use hephaestus_pipeline::config::{ByteSize, HumanDuration, Secret};
use hephaestus_schemas::RegistryEndpoint;
use serde::{Deserialize, Serialize};

use super::{Config, LAST_COMMIT};
use crate::{cli::EngineKind, usage::WrongUsage};

/// Longest time that finished work waits for its commit on Kafka, where nothing else is said: a
/// commit costs a broker some writes, whatever it holds.
const COMMIT_INTERVAL: HumanDuration = HumanDuration::from_millis(100);
/// The same on the embedded engine.
const COMMIT_INTERVAL_EMBEDDED: HumanDuration = HumanDuration::from_millis(5);
/// Inputs and outputs in flight in each stage on Kafka, where nothing else is said: while brokers take in one commit,
/// as much again is worked on.
const IN_FLIGHT: ByteSize = ByteSize::mib(64);
/// The same on the embedded engine.
const IN_FLIGHT_EMBEDDED: ByteSize = ByteSize::mib(16);
/// How many times the commit interval a transaction may at least stay open: a commit may be late,
/// for a broker that restarts for instance, and must not be aborted for that.
const COMMITS_IN_TRANSACTION: u32 = 4;
/// Largest file of certificates, in bytes.
const MAX_CA_BYTES: u64 = 4 << 20;

/// As whom to speak to the schema registry, and whom to trust.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RegistryLogin {
    /// Name to log in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    /// Password to log in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<Secret>,
    /// Certificates to trust beside those of the system, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca: Option<PathBuf>,
}

impl Config {
    /// Longest time that finished work waits for its commit.
    pub(crate) fn commit_interval(&self) -> Duration {
        let default = match self.engine {
            EngineKind::Embedded => COMMIT_INTERVAL_EMBEDDED,
            EngineKind::Kafka => COMMIT_INTERVAL,
        };
        self.limits.commit_interval.unwrap_or(default).into()
    }

    /// Inputs and outputs in flight in each stage.
    pub(crate) fn stage_in_flight(&self) -> ByteSize {
        let default = match self.engine {
            EngineKind::Embedded => IN_FLIGHT_EMBEDDED,
            EngineKind::Kafka => IN_FLIGHT,
        };
        self.limits.stage_in_flight.unwrap_or(default)
    }

    /// Members of each stage in this process.
    pub(crate) fn sessions(&self) -> usize {
        match self.engine {
            EngineKind::Embedded => 1,
            EngineKind::Kafka => self.kafka.sessions.max(1),
        }
    }

    /// Brokers of the kafka engine.
    ///
    /// # Errors
    /// Where none are named.
    pub(crate) fn brokers(&self) -> Result<&str> {
        let brokers = self.bootstrap_servers.as_deref().map(str::trim).unwrap_or_default();
        if brokers.is_empty() {
            return Err(WrongUsage(
                "engine kafka needs its brokers: --bootstrap-servers broker-1:9092, or \
                 HEPHAESTUS_BOOTSTRAP_SERVERS, or bootstrap_servers in the file of --config"
                    .to_owned(),
            )
            .into());
        }
        Ok(brokers)
    }

    /// Schema registry of the kafka engine.
    ///
    /// # Errors
    /// Where none is named, or it cannot be asked this way.
    pub(crate) fn registry_endpoint(&self) -> Result<RegistryEndpoint> {
        let url = self.schema_registry.as_deref().map(str::trim).unwrap_or_default();
        if url.is_empty() {
            return Err(WrongUsage(
                "engine kafka needs a schema registry: --schema-registry http://registry:8081, or \
                 HEPHAESTUS_SCHEMA_REGISTRY, or schema_registry in the file of --config; \
                 `hephaestus registry --engine kafka --listen ADDR` serves one"
                    .to_owned(),
            )
            .into());
        }
        let login = &self.registry;
        let endpoint = RegistryEndpoint {
            url: url.to_owned(),
            username: login.username.clone(),
            password: login.password.as_ref().map(|password| password.expose().to_owned()),
            ca: self.registry_ca().context("registry.ca")?,
        };
        endpoint.http().map(drop)?;
        Ok(endpoint)
    }

    fn registry_ca(&self) -> Result<Option<Vec<u8>>> {
        let Some(path) = &self.registry.ca else {
            return Ok(None);
        };
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let mut pem = Vec::new();
        let read = file.take(MAX_CA_BYTES + 1).read_to_end(&mut pem);
        let read = read.with_context(|| path.display().to_string())?;
        if u64::try_from(read).unwrap_or(u64::MAX) > MAX_CA_BYTES {
            bail!("{} is larger than {MAX_CA_BYTES} bytes", path.display());
        }
        Ok(Some(pem))
    }

    /// Checks that what takes time fits into what is waited for.
    pub(super) fn check_kafka(&self) -> Result<()> {
        let kafka = &self.kafka;
        let drain: Duration = self.limits.drain.into();
        let stop = drain.saturating_add(LAST_COMMIT);
        if stop >= kafka.session_timeout.0 {
            bail!(
                "kafka.session_timeout is {}, wanted more than {}, which a stop may take: \
                 limits.drain, {}, and its last commit",
                kafka.session_timeout,
                HumanDuration(stop),
                self.limits.drain
            );
        }
        let commit_interval = self.commit_interval();
        let open = commit_interval.saturating_mul(COMMITS_IN_TRANSACTION);
        if open > kafka.transaction_timeout.0 {
            bail!(
                "kafka.transaction_timeout is {}, wanted at least {COMMITS_IN_TRANSACTION} times \
                 limits.commit_interval, {}: what is open longer is aborted",
                kafka.transaction_timeout,
                HumanDuration(commit_interval)
            );
        }
        Ok(())
    }
}
