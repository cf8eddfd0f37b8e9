//! What every client of the cluster is configured with, and how it is made.

use std::{fs, sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::KafkaError,
};

use super::{
    context::{CONNECTION_LINES, EngineContext, Secrets},
    error::classify,
    oauth::TokenSource,
    settings::{Delivery, GroupProtocol, KafkaConfig, Mechanism},
    validate,
};
use crate::{config::Secret, engine::EngineError};

/// Bytes that a record takes on the wire beside key, value and headers, and the batch around it.
const RECORD_OVERHEAD: usize = 64 << 10;
/// How often clients ask who leads the partitions they use.
const METADATA_REFRESH: Duration = Duration::from_secs(10);
/// A broker that is away is asked again at least this often.
const RECONNECT_MAX: Duration = Duration::from_secs(2);
/// A consumer that holds as much as it may looks again after this time, not after librdkafka's second.
const QUEUE_BACKOFF: Duration = Duration::from_millis(5);
/// The setting of librdkafka that says which debug lines a client makes.
const DEBUG: &str = "debug";
/// librdkafka counts these in an `int`.
const LARGEST_MESSAGE: usize = 1_000_000_000;

/// Makes clients: knows the cluster, how to log in, and the bounds.
pub(crate) struct Clients {
    bootstrap: String,
    config: KafkaConfig,
    instance: Option<String>,
    max_record_bytes: usize,
    /// Settings of every client.
    base: Vec<(String, String)>,
    secrets: Secrets,
    tokens: Option<Arc<TokenSource>>,
}

impl Clients {
    /// Checks the configuration; connects to nothing.
    ///
    /// # Errors
    /// Fatal, with the key that cannot stay as it is.
    pub(crate) fn new(
        bootstrap: &str,
        config: KafkaConfig,
        max_record_bytes: usize,
    ) -> Result<Self, EngineError> {
        let checked = validate::check(&config).map_err(EngineError::Fatal)?;
        for warning in checked.warnings {
            tracing::warn!("{warning}");
        }
        if let Some(given_up) = validate::given_up(&config) {
            tracing::warn!("{given_up}");
        }
        if bootstrap.split(',').all(|server| server.trim().is_empty()) {
            let message =
                "bootstrap_servers: names no server, it looks like \"kafka-1:9092,kafka-2:9092\"";
            return Err(EngineError::Fatal(message.to_owned()));
        }
        let instance = config.instance.as_deref().map(fill_in).transpose()?;
        let tokens = token_source(&config)?;
        let base = base(bootstrap, &config, instance.as_deref());
        let clients = Self {
            bootstrap: bootstrap.to_owned(),
            secrets: secrets(&config),
            instance,
            max_record_bytes: max_record_bytes.min(LARGEST_MESSAGE - RECORD_OVERHEAD),
            base,
            tokens,
            config,
        };
        // librdkafka knows its own names and ranges.
        let own = [clients.consumer_settings(1 << 20), clients.producer_settings()];
        for own in own {
            let native = clients.client_config(&own).create_native_config();
            native.map_err(|error| clients.refused(&error))?;
        }
        Ok(clients)
    }

    /// Servers to begin with.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(crate) fn config(&self) -> &KafkaConfig {
        &self.config
    }

    /// Name of this process, `{hostname}` filled in.
    pub(crate) fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// Largest record: key, value and headers, in bytes.
    pub(crate) fn max_record_bytes(&self) -> usize {
        self.max_record_bytes
    }

    /// Largest record as the broker counts it, in bytes.
    pub(crate) fn max_message_bytes(&self) -> usize {
        self.max_record_bytes + RECORD_OVERHEAD
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.config.request_timeout.0
    }

    pub(crate) fn is_exactly_once(&self) -> bool {
        self.config.delivery == Delivery::ExactlyOnce
    }

    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.config.group_protocol == GroupProtocol::Consumer
    }

    /// Whether clients log in with tokens (OAUTHBEARER).
    pub(crate) fn uses_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// Hides the configured secrets in a text.
    pub(crate) fn scrub(&self, text: &str) -> String {
        self.secrets.scrub(text)
    }

    /// A context for a client; `role` names it in the log.
    pub(crate) fn context(&self, role: impl Into<Arc<str>>) -> EngineContext {
        EngineContext::new(role, self.secrets.clone(), self.tokens.clone(), self.wants_debug())
    }

    fn wants_debug(&self) -> bool {
        self.config.settings.contains_key(DEBUG)
    }

    /// What every client needs; then `own`; then the raw settings, of which none is one that the engine depends on.
    pub(crate) fn client_config(&self, own: &[(&str, String)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.base {
            config.set(name, value);
        }
        for (name, value) in own {
            config.set(*name, value);
        }
        for (name, value) in &self.config.settings {
            config.set(name, value.expose());
        }
        // What is not asked for is not even made; `debug` wants its own lines.
        let own_debug = own.iter().find(|(name, _)| *name == DEBUG).map(|(_, lines)| lines);
        let wanted = self.config.settings.get(DEBUG);
        if let (Some(own), Some(wanted)) = (own_debug, wanted) {
            config.set(DEBUG, format!("{own},{}", wanted.expose()));
        }
        config.set_log_level(if own_debug.is_some() || wanted.is_some() {
            RDKafkaLogLevel::Debug
        } else {
            RDKafkaLogLevel::Info
        });
        config
    }

    /// Settings of consumers that hold about `queue_bytes` of each partition, or of all that are not split.
    pub(crate) fn consumer_settings(&self, queue_bytes: usize) -> Vec<(&'static str, String)> {
        let queue_bytes = queue_bytes.clamp(16 << 10, 1 << 30);
        let fetch_bytes = queue_bytes.clamp(16 << 10, 8 << 20);
        vec![
            ("isolation.level", "read_committed".to_owned()),
            ("enable.auto.commit", "false".to_owned()),
            ("enable.auto.offset.store", "false".to_owned()),
            ("auto.offset.reset", "earliest".to_owned()),
            ("allow.auto.create.topics", "false".to_owned()),
            ("fetch.message.max.bytes", fetch_bytes.to_string()),
            ("fetch.max.bytes", (4 * fetch_bytes).max(self.max_message_bytes()).to_string()),
            // A broker sends one whole batch, however large.
            ("receive.message.max.bytes", self.receive_bytes(4 * fetch_bytes).to_string()),
            ("message.max.bytes", self.max_message_bytes().to_string()),
            ("queued.max.messages.kbytes", (queue_bytes >> 10).to_string()),
            ("fetch.queue.backoff.ms", QUEUE_BACKOFF.as_millis().to_string()),
        ]
    }

    fn receive_bytes(&self, fetch_bytes: usize) -> usize {
        let largest = fetch_bytes.max(self.max_message_bytes()) + self.max_message_bytes();
        (largest + (1 << 20)).min(i32::MAX as usize)
    }

    /// Settings of producers, without a transactional id.
    ///
    /// rdkafka's `flush`, and with it `commit_transaction`, waits in steps of 100 ms while messages are in flight: poll
    /// in short steps until none is, then commit.
    pub(crate) fn producer_settings(&self) -> Vec<(&'static str, String)> {
        let queue_kib =
            (self.config.produce_queue.0 >> 10).max(self.max_message_bytes() as u64 >> 9);
        vec![
            ("acks", "all".to_owned()),
            ("enable.idempotence", "true".to_owned()),
            ("allow.auto.create.topics", "false".to_owned()),
            ("compression.type", self.config.compression.clone()),
            ("message.max.bytes", self.max_message_bytes().to_string()),
            ("queue.buffering.max.kbytes", queue_kib.to_string()),
            ("transaction.timeout.ms", self.config.transaction_timeout.as_millis().to_string()),
        ]
    }

    /// What makes a producer's records transactions; its context is told of connections that end.
    pub(crate) fn transactional_settings(&self, id: &str) -> [(&'static str, String); 2] {
        [("transactional.id", id.to_owned()), (DEBUG, CONNECTION_LINES.to_owned())]
    }

    /// Makes a client.
    ///
    /// # Errors
    /// Fatal: nothing is connected yet, so only the configuration can be wrong.
    pub(crate) fn create<C, T>(&self, own: &[(&str, String)], context: C) -> Result<T, EngineError>
    where
        C: rdkafka::ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        let created = self.client_config(own).create_with_context(context);
        created.map_err(|error| self.refused(&error))
    }

    /// Makes a client that says nothing.
    pub(crate) fn create_silent<T>(&self, context: EngineContext) -> Result<T, EngineError>
    where
        T: FromClientConfigAndContext<EngineContext>,
    {
        let mut config = self.client_config(&[]);
        config.set_log_level(RDKafkaLogLevel::Emerg);
        config.create_with_context(context).map_err(|error| self.refused(&error))
    }

    /// What an error means for who asked, secrets hidden.
    pub(crate) fn error(&self, doing: &str, error: &KafkaError) -> EngineError {
        match EngineError::from(classify(error)) {
            EngineError::Unavailable(message) => {
                EngineError::Unavailable(self.scrub(&format!("{doing}: {message}")))
            }
            EngineError::Fatal(message) => {
                EngineError::Fatal(self.scrub(&format!("{doing}: {message}")))
            }
            other => other,
        }
    }

    fn refused(&self, error: &KafkaError) -> EngineError {
        let message = match error {
            // Its text shows the value, which may be a secret.
            KafkaError::ClientConfig(_, description, name, _) => {
                format!("kafka.settings: {name:?}: {description}")
            }
            other => format!("kafka: {other}"),
        };
        EngineError::Fatal(self.scrub(&message))
    }
}

fn base(bootstrap: &str, config: &KafkaConfig, instance: Option<&str>) -> Vec<(String, String)> {
    let request = config.request_timeout.0.min(config.transaction_timeout.0).as_millis();
    let client_id =
        instance.map_or("hephaestus".to_owned(), |instance| format!("hephaestus-{instance}"));
    let mut base = vec![
        ("bootstrap.servers", bootstrap.to_owned()),
        ("client.id", client_id),
        ("socket.timeout.ms", request.to_string()),
        ("socket.connection.setup.timeout.ms", request.clamp(1000, 30_000).to_string()),
        ("socket.keepalive.enable", "true".to_owned()),
        ("socket.nagle.disable", "true".to_owned()),
        ("reconnect.backoff.max.ms", RECONNECT_MAX.as_millis().to_string()),
        // A client that learnt of a new leader before it learnt where that is asks again only then: by default in 5 minutes.
        ("topic.metadata.refresh.interval.ms", METADATA_REFRESH.as_millis().to_string()),
        // Brokers close idle connections; that is no news.
        ("log.connection.close", "false".to_owned()),
    ];
    let security = &config.security;
    let protocol = match (security.tls, security.sasl.is_some()) {
        (false, false) => "plaintext",
        (true, false) => "ssl",
        (false, true) => "sasl_plaintext",
        (true, true) => "sasl_ssl",
    };
    base.push(("security.protocol", protocol.to_owned()));
    if security.tls {
        let shown = |path: &std::path::Path| path.display().to_string();
        // OpenSSL is built in, and knows not where this system keeps its certificates.
        let ca = security.ca.as_deref().map_or("probe".to_owned(), shown);
        base.push(("ssl.ca.location", ca));
        let files = [
            ("ssl.certificate.location", &security.certificate),
            ("ssl.key.location", &security.key),
        ];
        for (name, path) in files {
            base.extend(path.as_deref().map(|path| (name, shown(path))));
        }
        let password = security.key_password.as_ref();
        base.extend(password.map(|secret| ("ssl.key.password", secret.expose().to_owned())));
    }
    if let Some(sasl) = &security.sasl {
        base.push(("sasl.mechanisms", sasl.mechanism.name().to_owned()));
        base.extend(sasl.username.clone().map(|name| ("sasl.username", name)));
        let password = sasl.password.as_ref();
        base.extend(password.map(|secret| ("sasl.password", secret.expose().to_owned())));
    }
    base.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn secrets(config: &KafkaConfig) -> Secrets {
    let security = &config.security;
    let mut hidden: Vec<&Secret> = config.settings.values().collect();
    hidden.extend(&security.key_password);
    if let Some(sasl) = &security.sasl {
        hidden.extend(sasl.password.iter().chain(&sasl.client_secret));
    }
    Secrets::new(hidden.into_iter().map(|secret| secret.expose().to_owned()))
}

fn token_source(config: &KafkaConfig) -> Result<Option<Arc<TokenSource>>, EngineError> {
    let Some(sasl) = &config.security.sasl else { return Ok(None) };
    let (Mechanism::OAuthBearer, Some(endpoint), Some(id), Some(secret)) =
        (sasl.mechanism, &sasl.token_endpoint, &sasl.client_id, &sasl.client_secret)
    else {
        return Ok(None);
    };
    let read = config.security.ca.as_ref().map(fs::read).transpose();
    let ca = read.map_err(|error| EngineError::Fatal(format!("kafka.security.ca: {error}")))?;
    let source = TokenSource::new(endpoint, id, secret.clone(), sasl.scope.clone(), ca);
    Ok(Some(Arc::new(source)))
}

fn fill_in(instance: &str) -> Result<String, EngineError> {
    const HOSTNAME: &str = "{hostname}";
    if !instance.contains(HOSTNAME) {
        return Ok(instance.to_owned());
    }
    let filled = instance.replace(HOSTNAME, &hostname());
    // A host may have a name that ids cannot hold.
    validate::check_instance(&filled).map_err(EngineError::Fatal)?;
    Ok(filled)
}

#[cfg(unix)]
fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn hostname() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_default()
}
