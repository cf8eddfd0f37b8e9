//! TLS, mutual TLS and every way to log in, against a real broker; and that no secret is ever said.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::{
    fs,
    io::{self, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use hephaestus_pipeline::{
    config::{HumanDuration, Secret},
    engine::{
        Cleanup, Engine, EngineError, Log, TopicPartition, TopicSpec,
        kafka::{
            KafkaConfig, KafkaEngine,
            settings::{Mechanism, Sasl, Security},
        },
    },
    record::{Headers, NewRecord},
};
use tracing_subscriber::fmt::MakeWriter;

const CLIENT_SECRET: &str = "client-secret-of-the-test";
const WRONG: &str = "wrong-password-of-the-test";

/// A broker with TLS and SASL listeners, in a directory of its own; killed when dropped.
struct Broker {
    script: PathBuf,
    directory: tempfile::TempDir,
}

impl Broker {
    fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let script = root.join("tests/kafka/broker");
        let cache = std::env::var("XDG_CACHE_HOME").map(PathBuf::from);
        let cache =
            cache.or_else(|_| std::env::var("HOME").map(|home| Path::new(&home).join(".cache")));
        let home = std::env::var("HEPHAESTUS_TEST_KAFKA_HOME").map(PathBuf::from);
        let home = home.unwrap_or_else(|_| cache.unwrap_or_default().join("hephaestus/kafka"));
        if !home.join("libs").is_dir() {
            let required = std::env::var_os("HEPHAESTUS_TEST_REQUIRE").is_some();
            assert!(!required, "no jars of Kafka in {}", home.display());
            eprintln!(
                "skipped: no jars of Kafka in {}, tests/kafka/broker fetch gets them",
                home.display()
            );
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let broker = Self { script, directory };
        let up = broker.run(&["up", "--secure", "--quick"]);
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        Some(broker)
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        let directory = self.directory.path();
        Command::new(&self.script).args(arguments).arg("--dir").arg(directory).output().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn at(&self, port: &str) -> String {
        let port = fs::read_to_string(self.file("broker-1").join(port)).unwrap();
        format!("127.0.0.1:{}", port.trim())
    }

    fn password(&self) -> String {
        fs::read_to_string(self.file("password")).unwrap().trim().to_owned()
    }

    fn config(&self, sasl: Option<Sasl>) -> KafkaConfig {
        let security =
            Security { tls: true, ca: Some(self.file("ca.pem")), sasl, ..Security::default() };
        // What librdkafka says of its own settings and of logging in must not hold a secret either.
        let settings = [("debug".to_owned(), Secret::new("conf,security"))].into();
        let request_timeout = HumanDuration::from_secs(10);
        KafkaConfig { security, settings, request_timeout, ..KafkaConfig::default() }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.run(&["kill"]);
    }
}

fn by_name(mechanism: Mechanism, password: &str) -> Sasl {
    Sasl {
        mechanism,
        username: Some("hephaestus".to_owned()),
        password: Some(Secret::new(password)),
        token_endpoint: None,
        client_id: None,
        client_secret: None,
        scope: None,
    }
}

/// A token endpoint that gives unsigned tokens to who knows the secret, one answer a connection.
fn token_endpoint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/token", listener.local_addr().unwrap());
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !String::from_utf8_lossy(&request).contains("grant_type=client_credentials") {
                let read = connection.read(&mut buffer).unwrap();
                if read == 0 {
                    break;
                }
                request.extend_from_slice(&buffer[..read]);
            }
            // "ada:client-secret-of-the-test"
            let is_known = String::from_utf8_lossy(&request)
                .contains("YWRhOmNsaWVudC1zZWNyZXQtb2YtdGhlLXRlc3Q=");
            let (status, body) = if is_known {
                let token = unsigned_token();
                (
                    "200 OK",
                    format!(
                        r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":600}}"#
                    ),
                )
            } else {
                ("401 Unauthorized", r#"{"error":"invalid_client"}"#.to_owned())
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            connection.write_all(answer.as_bytes()).unwrap();
        }
    });
    address
}

fn unsigned_token() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = format!(r#"{{"sub":"ada","iat":{now},"exp":{}}}"#, now + 600);
    format!("{}.{}.", base64_url(br#"{"alg":"none"}"#), base64_url(claims.as_bytes()))
}

fn base64_url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte));
        let group = group << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(group >> (18 - 6 * index)) as usize & 63]));
        }
    }
    out
}

fn by_token(endpoint: &str, secret: &str) -> Sasl {
    Sasl {
        mechanism: Mechanism::OAuthBearer,
        username: None,
        password: None,
        token_endpoint: Some(endpoint.to_owned()),
        client_id: Some("ada".to_owned()),
        client_secret: Some(Secret::new(secret)),
        scope: None,
    }
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn topic() -> TopicSpec {
    let cleanup = Cleanup::Delete { retention_ms: None, retention_bytes: None };
    TopicSpec { name: "login".into(), partitions: 1, cleanup }
}

async fn write_and_read(engine: &KafkaEngine, text: &str) {
    let record = NewRecord {
        topic: "login".into(),
        partition: Some(0),
        timestamp_ms: 1_700_000_000_000,
        key: None,
        value: Some(Bytes::copy_from_slice(text.as_bytes())),
        headers: Headers::default(),
    };
    let (_, offset) = engine.append(vec![record]).await.unwrap()[0];
    let partition = TopicPartition { topic: "login".into(), partition: 0 };
    let read = engine.read(&partition, offset, 1).await.unwrap();
    assert_eq!(read[0].value.as_deref(), Some(text.as_bytes()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_login_works_a_wrong_one_is_named_and_no_secret_is_said() {
    let Some(broker) = Broker::start() else { return };
    let log = Captured::default();
    tracing_subscriber::fmt().with_writer(log.clone()).with_max_level(tracing::Level::TRACE).init();
    let password = broker.password();
    let sasl = broker.at("sasl-port");
    let connect = async |config: KafkaConfig| KafkaEngine::connect(&sasl, config, 1 << 20).await;

    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha512] {
        let config = broker.config(Some(by_name(mechanism, &password)));
        let engine = connect(config).await.unwrap_or_else(|error| panic!("{mechanism:?}: {error}"));
        engine.create_topics(&[topic()]).await.unwrap();
        write_and_read(&engine, mechanism.name()).await;
        engine.close().await.unwrap();
    }

    let mut mutual = broker.config(None);
    mutual.security.certificate = Some(broker.file("client.pem"));
    mutual.security.key = Some(broker.file("client.key"));
    let engine = KafkaEngine::connect(&broker.at("ssl-port"), mutual, 1 << 20).await.unwrap();
    write_and_read(&engine, "mutual TLS").await;
    engine.close().await.unwrap();

    let endpoint = token_endpoint();
    let config = broker.config(Some(by_token(&endpoint, CLIENT_SECRET)));
    let engine = connect(config).await.unwrap();
    write_and_read(&engine, "OAUTHBEARER").await;
    // What is there is found; what only the admin client can do is refused with its reason.
    engine.create_topics(&[topic()]).await.unwrap();
    assert!(engine.topics().await.unwrap().iter().any(|topic| &*topic.spec.name == "login"));
    let missing = TopicSpec { name: "missing".into(), ..topic() };
    let refused = engine.create_topics(&[missing]).await.unwrap_err();
    assert!(refused.to_string().contains("OAUTHBEARER"), "{refused}");
    engine.close().await.unwrap();

    let short = |sasl| {
        let config = broker.config(Some(sasl));
        KafkaConfig { request_timeout: HumanDuration::from_secs(4), ..config }
    };
    let wrong = |result: Result<Arc<KafkaEngine>, EngineError>| match result {
        Ok(_) => panic!("let in"),
        Err(error) => error.to_string(),
    };
    let refused = wrong(connect(short(by_name(Mechanism::ScramSha256, WRONG))).await);
    assert!(refused.contains("uthentication"), "{refused}");
    let refused = wrong(connect(short(by_token(&endpoint, WRONG))).await);
    assert!(refused.contains("401: invalid_client"), "{refused}");
    let mut untrusted = short(by_name(Mechanism::Plain, &password));
    untrusted.security.ca = None;
    let refused = wrong(connect(untrusted).await);
    assert!(refused.contains("certificate"), "{refused}");

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("sasl.mechanisms"), "librdkafka's settings were not logged");
    for secret in [&password, CLIENT_SECRET, WRONG, &unsigned_token()[..20]] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}
