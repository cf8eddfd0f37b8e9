//! Whether a `[kafka]` table can work, found out before anything is connected: each message names the key.

use std::{fs, path::Path, time::Duration};

use super::settings::{Delivery, KafkaConfig, Mechanism, Sasl, Security};
use crate::config::ByteSize;

/// Most members of one stage in a process.
const MOST_SESSIONS: usize = 64;
const COMPRESSIONS: [&str; 5] = ["none", "lz4", "zstd", "snappy", "gzip"];
/// Largest certificate or key file, in bytes.
const LARGEST_PEM: u64 = 4 << 20;
/// Longest name of an instance; the names of groups are put before it.
const LONGEST_INSTANCE: usize = 120;

/// Settings of librdkafka that are not taken as they are, each with what to do instead.
const REFUSED: [(&str, &str); 44] = [
    ("acks", "the engine needs all"),
    ("auto.offset.reset", "the engine depends on it"),
    ("bootstrap.servers", "set bootstrap_servers at the top of the file"),
    ("builtin.features", "it cannot be set"),
    ("compression.codec", "set kafka.compression"),
    ("compression.type", "set kafka.compression"),
    ("delivery.timeout.ms", "set kafka.transaction_timeout"),
    ("enable.auto.commit", "the engine depends on it"),
    ("auto.commit.enable", "the engine depends on it"),
    ("enable.auto.offset.store", "the engine depends on it"),
    ("enable.gapless.guarantee", "the engine depends on it"),
    ("enable.idempotence", "the engine depends on it"),
    ("enable.partition.eof", "the engine depends on it"),
    ("enable.sasl.oauthbearer.unsecure.jwt", "set kafka.security.sasl"),
    ("group.id", "groups have the names of the stages"),
    ("group.instance.id", "set kafka.instance"),
    ("group.protocol", "set kafka.group_protocol"),
    ("isolation.level", "the engine depends on it"),
    ("log.queue", "the engine depends on it"),
    ("message.max.bytes", "set max_record_bytes"),
    ("message.timeout.ms", "set kafka.transaction_timeout"),
    ("metadata.broker.list", "set bootstrap_servers at the top of the file"),
    ("partition.assignment.strategy", "set kafka.group_protocol"),
    ("partitioner", "keys are spread as Kafka's own clients do"),
    ("plugin.library.paths", "no foreign code is loaded"),
    ("queue.buffering.max.kbytes", "set kafka.produce_queue"),
    ("queued.max.messages.kbytes", "set kafka.fetch_queue"),
    ("request.required.acks", "the engine needs all"),
    ("sasl.mechanism", "set kafka.security.sasl"),
    ("sasl.mechanisms", "set kafka.security.sasl"),
    ("sasl.oauthbearer.method", "set kafka.security.sasl"),
    ("sasl.password", "set kafka.security.sasl"),
    ("sasl.username", "set kafka.security.sasl"),
    ("security.protocol", "set kafka.security"),
    ("session.timeout.ms", "set kafka.session_timeout"),
    ("socket.timeout.ms", "set kafka.request_timeout"),
    ("ssl.ca.location", "set kafka.security.ca"),
    ("ssl.certificate.location", "set kafka.security.certificate"),
    ("ssl.key.location", "set kafka.security.key"),
    ("ssl.key.password", "set kafka.security.key_password"),
    ("transaction.timeout.ms", "set kafka.transaction_timeout"),
    ("transactional.id", "set kafka.instance"),
    ("request.timeout.ms", "set kafka.request_timeout"),
    ("max.poll.interval.ms", "the engine depends on it"),
];

/// What was found in a configuration that can work.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checked {
    /// What should not stay so, for people.
    pub(super) warnings: Vec<String>,
}

/// Checks a configuration.
///
/// # Errors
/// The first thing that cannot work, with its key.
pub(super) fn check(config: &KafkaConfig) -> Result<Checked, String> {
    bounds(config)?;
    if let Some(instance) = &config.instance {
        check_instance(instance)?;
    }
    for name in config.settings.keys() {
        if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| refused == name) {
            return Err(format!("kafka.settings: {name:?} is not taken here: {instead}"));
        }
        if name.ends_with("_cb") || name == "opaque" || name == "default_topic_conf" {
            return Err(format!("kafka.settings: {name:?} cannot be set by text"));
        }
    }
    security(&config.security)
}

fn bounds(config: &KafkaConfig) -> Result<(), String> {
    if !(1..=MOST_SESSIONS).contains(&config.sessions) {
        return Err(format!(
            "kafka.sessions: {} is not between 1 and {MOST_SESSIONS}",
            config.sessions
        ));
    }
    if !COMPRESSIONS.contains(&config.compression.as_str()) {
        return Err(format!(
            "kafka.compression: {:?} is not one of {}",
            config.compression,
            COMPRESSIONS.join(", ")
        ));
    }
    let seconds = Duration::from_secs;
    let durations = [
        ("session_timeout", config.session_timeout, seconds(1), seconds(30 * 60)),
        // A broker allows 15 minutes, unless it is told otherwise.
        ("transaction_timeout", config.transaction_timeout, seconds(2), seconds(15 * 60)),
        ("request_timeout", config.request_timeout, seconds(1), seconds(5 * 60)),
    ];
    for (key, value, least, most) in durations {
        if !(least..=most).contains(&value.0) {
            return Err(format!("kafka.{key}: {value} is not between {least:?} and {most:?}"));
        }
    }
    let sizes = [("fetch_queue", config.fetch_queue), ("produce_queue", config.produce_queue)];
    for (key, value) in sizes {
        let (least, most) = (64 << 10, 1 << 40);
        if !(least..=most).contains(&value.0) {
            let (least, most) = (ByteSize(least), ByteSize(most));
            return Err(format!("kafka.{key}: {value} is not between {least} and {most}"));
        }
    }
    let replicas = config.replication_factor;
    if replicas == Some(0) || replicas > Some(i16::MAX as u16) {
        return Err("kafka.replication_factor: at least 1, or left out for the broker's".to_owned());
    }
    match (config.min_insync_replicas, replicas) {
        (Some(0), _) => {
            Err("kafka.min_insync_replicas: at least 1, or left out for the broker's".to_owned())
        }
        (Some(least), Some(all)) if least > all => Err(format!(
            "kafka.min_insync_replicas: {least} can never be in sync of {all} replicas (kafka.replication_factor)"
        )),
        _ => Ok(()),
    }
}

/// Whether a name may stand in ids of members and transactions.
pub(super) fn check_instance(instance: &str) -> Result<(), String> {
    let plain = instance.replace("{hostname}", "host");
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if plain.is_empty() || plain.len() > LONGEST_INSTANCE || !plain.bytes().all(allowed) {
        return Err(format!(
            "kafka.instance: {instance:?} is no name: 1 to {LONGEST_INSTANCE} letters, digits, dots, underscores, dashes"
        ));
    }
    Ok(())
}

fn security(security: &Security) -> Result<Checked, String> {
    let mut checked = Checked::default();
    let files =
        [("ca", &security.ca), ("certificate", &security.certificate), ("key", &security.key)];
    for (key, path) in files {
        let Some(path) = path else { continue };
        if !security.tls {
            return Err(format!("kafka.security.{key}: is for TLS, set kafka.security.tls = true"));
        }
        pem(path)
            .map_err(|problem| format!("kafka.security.{key}: {} {problem}", path.display()))?;
    }
    match (&security.certificate, &security.key) {
        (Some(_), None) => {
            return Err(
                "kafka.security.certificate: its key is missing, set kafka.security.key".into()
            );
        }
        (None, Some(_)) => {
            return Err(
                "kafka.security.key: its certificate is missing, set kafka.security.certificate"
                    .into(),
            );
        }
        (None, None) if security.key_password.is_some() => {
            return Err(
                "kafka.security.key_password: there is no key, set kafka.security.key".into()
            );
        }
        _ => {}
    }
    if let Some(sasl) = &security.sasl {
        check_sasl(sasl)?;
        let shows_secret = matches!(sasl.mechanism, Mechanism::Plain | Mechanism::OAuthBearer);
        if shows_secret && !security.tls {
            let warning =
                "kafka.security: the login is sent readable, set kafka.security.tls = true";
            checked.warnings.push(warning.to_owned());
        }
        let endpoint = sasl.token_endpoint.as_deref().unwrap_or("https://");
        if !endpoint.starts_with("https://") {
            let warning =
                "kafka.security.sasl.token_endpoint: the client secret is sent readable, use https";
            checked.warnings.push(warning.to_owned());
        }
    }
    Ok(checked)
}

fn check_sasl(sasl: &Sasl) -> Result<(), String> {
    let by_name = [("username", sasl.username.is_some()), ("password", sasl.password.is_some())];
    let by_token = [
        ("token_endpoint", sasl.token_endpoint.is_some()),
        ("client_id", sasl.client_id.is_some()),
        ("client_secret", sasl.client_secret.is_some()),
    ];
    let is_token = sasl.mechanism == Mechanism::OAuthBearer;
    let (needed, foreign): (&[_], &[_]) =
        if is_token { (&by_token, &by_name) } else { (&by_name, &by_token) };
    if let Some((key, _)) = needed.iter().find(|(_, is_set)| !is_set) {
        return Err(format!("kafka.security.sasl.{key}: is missing for {}", sasl.mechanism.name()));
    }
    if let Some((key, _)) = foreign.iter().find(|(_, is_set)| *is_set) {
        return Err(format!("kafka.security.sasl.{key}: is not for {}", sasl.mechanism.name()));
    }
    if sasl.scope.is_some() && !is_token {
        return Err(format!("kafka.security.sasl.scope: is not for {}", sasl.mechanism.name()));
    }
    if let Some(endpoint) = &sasl.token_endpoint {
        let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
        // It is shown in messages, and must not carry a login.
        if host.is_empty() || host.contains('@') {
            return Err(
                "kafka.security.sasl.token_endpoint: is no https address, or has a login in it"
                    .into(),
            );
        }
    }
    Ok(())
}

/// What is wrong with a file of certificates or keys.
fn pem(path: &Path) -> Result<(), String> {
    let metadata = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !metadata.is_file() || metadata.len() > LARGEST_PEM {
        return Err("is no PEM file".to_owned());
    }
    let text = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let begin = b"-----BEGIN ";
    if !text.windows(begin.len()).any(|window| window == begin) {
        return Err("is no PEM file".to_owned());
    }
    Ok(())
}

/// What the engine gives up as it is configured, for the log at the start.
pub(super) fn given_up(config: &KafkaConfig) -> Option<&'static str> {
    match config.delivery {
        Delivery::ExactlyOnce => None,
        Delivery::AtLeastOnce => Some(
            "delivery is at least once: after a failure outputs, and what they add to state, may come again",
        ),
    }
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
