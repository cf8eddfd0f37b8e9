#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use super::*;
use crate::{config::Secret, engine::kafka::clients::Clients};

fn refused(change: impl FnOnce(&mut KafkaConfig)) -> String {
    let mut config = KafkaConfig::default();
    change(&mut config);
    check(&config).expect_err("it was taken")
}

fn sasl(mechanism: Mechanism) -> Sasl {
    Sasl {
        mechanism,
        username: Some("ada".to_owned()),
        password: Some(Secret::new("hunter2")),
        token_endpoint: None,
        client_id: None,
        client_secret: None,
        scope: None,
    }
}

#[test]
fn the_defaults_are_taken_without_a_warning() {
    assert_eq!(check(&KafkaConfig::default()), Ok(Checked::default()));
}

#[test]
fn what_cannot_work_is_refused_with_its_key() {
    let cases = [
        (refused(|c| c.sessions = 0), "kafka.sessions"),
        (refused(|c| c.compression = "brotli".into()), "kafka.compression"),
        (refused(|c| c.instance = Some("a b".into())), "kafka.instance"),
        (refused(|c| c.replication_factor = Some(0)), "kafka.replication_factor"),
        (
            refused(|c| {
                c.replication_factor = Some(1);
                c.min_insync_replicas = Some(2);
            }),
            "kafka.min_insync_replicas",
        ),
        (refused(|c| c.fetch_queue = ByteSize(1)), "kafka.fetch_queue"),
        (
            refused(|c| c.security.sasl = Some(Sasl { password: None, ..sasl(Mechanism::Plain) })),
            "kafka.security.sasl.password",
        ),
        (
            refused(|c| c.security.sasl = Some(sasl(Mechanism::OAuthBearer))),
            "kafka.security.sasl.token_endpoint",
        ),
        (
            refused(|c| {
                c.security.sasl =
                    Some(Sasl { scope: Some("x".into()), ..sasl(Mechanism::ScramSha256) });
            }),
            "kafka.security.sasl.scope",
        ),
    ];
    for (message, key) in cases {
        assert!(message.starts_with(key), "{message}");
    }
}

#[test]
fn settings_that_the_engine_depends_on_are_refused_and_say_what_to_do() {
    let raw = |name: &str| refused(|c| drop(c.settings.insert(name.into(), Secret::new("x"))));
    assert_eq!(
        raw("isolation.level"),
        "kafka.settings: \"isolation.level\" is not taken here: the engine depends on it"
    );
    assert!(raw("sasl.password").ends_with("set kafka.security.sasl"));
    assert!(raw("rebalance_cb").ends_with("cannot be set by text"));
}

#[test]
fn settings_that_librdkafka_does_not_know_are_refused_without_their_value() {
    let mut config = KafkaConfig::default();
    config.settings.insert("fetch.wait.max.mss".to_owned(), Secret::new("hunter2"));
    let Err(error) = Clients::new("localhost:1", config.clone(), 1 << 20) else { panic!("taken") };
    let message = error.to_string();
    assert!(message.contains("fetch.wait.max.mss") && !message.contains("hunter2"), "{message}");
    config.settings = [("fetch.min.bytes".to_owned(), Secret::new("many"))].into();
    let Err(error) = Clients::new("localhost:1", config, 1 << 20) else { panic!("taken") };
    let message = error.to_string();
    assert!(message.contains("fetch.min.bytes") && !message.contains("many"), "{message}");
}

#[test]
fn certificates_and_keys_come_together_and_are_there() {
    let directory = tempfile::tempdir().unwrap();
    let pem = directory.path().join("a.pem");
    std::fs::write(&pem, "-----BEGIN CERTIFICATE-----").unwrap();
    let missing = directory.path().join("missing.pem");
    let with = |tls, certificate: Option<&PathBuf>, key: Option<&PathBuf>| Security {
        tls,
        certificate: certificate.cloned(),
        key: key.cloned(),
        ..Security::default()
    };
    assert!(security(&with(true, Some(&pem), Some(&pem))).is_ok());
    let message = security(&with(true, Some(&pem), None)).unwrap_err();
    assert!(message.contains("set kafka.security.key"), "{message}");
    let message = security(&with(false, Some(&pem), Some(&pem))).unwrap_err();
    assert!(message.contains("kafka.security.tls = true"), "{message}");
    let message = security(&with(true, Some(&missing), Some(&pem))).unwrap_err();
    assert!(message.contains("missing.pem"), "{message}");
    std::fs::write(&missing, "DER").unwrap();
    let message = security(&with(true, Some(&missing), Some(&pem))).unwrap_err();
    assert!(message.ends_with("is no PEM file"), "{message}");
}

#[test]
fn a_login_that_is_sent_readable_is_warned_about() {
    let warnings = |tls, mechanism| {
        let security_of = Security { tls, sasl: Some(sasl(mechanism)), ..Security::default() };
        security(&security_of).unwrap().warnings.len()
    };
    assert_eq!(warnings(false, Mechanism::Plain), 1);
    assert_eq!(warnings(true, Mechanism::Plain), 0);
    assert_eq!(warnings(false, Mechanism::ScramSha512), 0);
}

#[test]
fn no_secret_is_shown() {
    let mut config = KafkaConfig::default();
    config.security.sasl = Some(sasl(Mechanism::ScramSha512));
    config.settings.insert("sasl.login.fancy".to_owned(), Secret::new("correct-horse"));
    let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("correct-horse"), "{shown}");
}

#[test]
fn the_name_of_the_host_is_filled_in() {
    let config = KafkaConfig { instance: Some("a-{hostname}".into()), ..KafkaConfig::default() };
    let clients = Clients::new("localhost:1", config, 1 << 20).unwrap();
    let instance = clients.instance().unwrap();
    assert!(instance.starts_with("a-") && instance.len() > 2 && !instance.contains('{'));
}
