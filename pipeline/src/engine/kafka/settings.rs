//! How the kafka engine reaches its cluster and is bounded; also the configuration's `[kafka]` table.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{ByteSize, HumanDuration, Secret};

/// What a commit promises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Outputs, changelogs, dead letters and offsets are one transaction.
    #[default]
    ExactlyOnce,
    /// Outputs first, then offsets: for clusters without transactions. After a failure outputs may come again.
    AtLeastOnce,
}

/// How partitions are given to the members of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupProtocol {
    /// Members agree among themselves, cooperative-sticky.
    #[default]
    Classic,
    /// The broker assigns (KIP-848); needs Kafka 4.0.
    Consumer,
}

/// Whom to trust and as whom to speak.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Certificates to trust, PEM; without it those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Certificate to show (mutual TLS), PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Key of that certificate, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Password of that key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_password: Option<Secret>,
    /// How to log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
}

/// How to log in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    /// Mechanism.
    pub mechanism: Mechanism,
    /// Name (PLAIN, SCRAM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password (PLAIN, SCRAM).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Endpoint that gives tokens to clients with a secret (OAUTHBEARER; RFC 6749, section 4.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// Client id at that endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Client secret at that endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// Scope to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// Name and password as they are; wants TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// RFC 5802 over SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// RFC 5802 over SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// Bearer tokens, RFC 7628.
    #[serde(rename = "OAUTHBEARER")]
    OAuthBearer,
}

impl Mechanism {
    /// Its name in SASL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }
}

/// The kafka engine, configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Name of this process: static membership and stable transactional ids. `{hostname}` stands for the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What a commit promises.
    pub delivery: Delivery,
    /// How partitions are given to members.
    pub group_protocol: GroupProtocol,
    /// Members of each stage in this process; one commits while the others work.
    pub sessions: usize,
    /// Silence after which the broker gives a member's partitions to others.
    pub session_timeout: HumanDuration,
    /// Time after which the broker aborts an open transaction.
    pub transaction_timeout: HumanDuration,
    /// How long a request may take before it counts as failed.
    pub request_timeout: HumanDuration,
    /// Fetched and not yet worked on, in each session, librdkafka's own queue included.
    pub fetch_queue: ByteSize,
    /// Produced and not yet acknowledged, in each session.
    pub produce_queue: ByteSize,
    /// Compression of what is produced: none, lz4, zstd, snappy or gzip.
    pub compression: String,
    /// Directory for local copies of keyed state; without it a temporary one, restored at each start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<PathBuf>,
    /// Replicas of topics that are made; without it the broker's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_factor: Option<u16>,
    /// `min.insync.replicas` of topics that are made; without it the broker's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_insync_replicas: Option<u16>,
    /// Encryption and login.
    pub security: Security,
    /// Further settings of librdkafka, by their own names, for every client.
    pub settings: BTreeMap<String, Secret>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            instance: None,
            delivery: Delivery::ExactlyOnce,
            group_protocol: GroupProtocol::Classic,
            sessions: 2,
            session_timeout: HumanDuration::from_secs(30),
            transaction_timeout: HumanDuration::from_secs(10),
            request_timeout: HumanDuration::from_secs(30),
            fetch_queue: ByteSize::mib(8),
            produce_queue: ByteSize::mib(16),
            compression: "lz4".to_owned(),
            state_dir: None,
            replication_factor: None,
            min_insync_replicas: None,
            security: Security::default(),
            settings: BTreeMap::new(),
        }
    }
}
