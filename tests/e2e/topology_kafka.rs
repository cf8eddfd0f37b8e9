//! `hephaestus topology` against a real broker and a registry that nobody here wrote.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use hephaestus_pipeline::engine::{
    Engine, Log,
    kafka::{KafkaConfig, KafkaEngine, KafkaTopic, NewKafkaTopic, settings::Delivery},
};
use hephaestus_pipeline::record::{Headers, NewRecord};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
};
use serde_json::json;

use crate::support::{Ended, program, text};

/// A broker and a registry of a test's own; they end with the value.
struct Servers {
    directory: tempfile::TempDir,
    brokers: String,
    registry: String,
}

impl Servers {
    /// Nothing where Kafka was not fetched.
    fn start() -> Option<Self> {
        let cache = || {
            let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from);
            let cache = absolute("XDG_CACHE_HOME");
            cache.or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        };
        let home = std::env::var_os("HEPHAESTUS_TEST_KAFKA_HOME").map(PathBuf::from);
        let home = home.or_else(|| cache().map(|cache| cache.join("hephaestus/kafka")));
        let home = home.unwrap_or_default();
        for part in ["libs", "registry"] {
            let part = home.join(part);
            if !part.is_dir() {
                let is_required =
                    std::env::var("HEPHAESTUS_TEST_REQUIRE").is_ok_and(|set| set == "1");
                assert!(!is_required, "no {}", part.display());
                eprintln!("skipped: no {}; tests/kafka/broker fetch gets it", part.display());
                return None;
            }
        }
        let mut servers = Self {
            directory: tempfile::tempdir().unwrap(),
            brokers: String::new(),
            registry: String::new(),
        };
        servers.registry = servers.script("registry", "up");
        servers.brokers = servers.script("broker", "up");
        Some(servers)
    }

    /// The first line that a script prints.
    fn script(&self, name: &str, command: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka").join(name);
        let quick = (name == "broker" && command == "up").then_some("--quick");
        let output = Command::new(path)
            .args([command, "--dir", text(self.directory.path())])
            .args(quick)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let output = Ended::from(output).good();
        output.stdout.lines().next().unwrap_or_default().to_owned()
    }

    /// Runs `hephaestus topology` with a configuration.
    fn topology(&self, arguments: &[&str], config: &str) -> Ended {
        self.run(&[&["topology"], arguments].concat(), config)
    }

    fn run(&self, arguments: &[&str], config: &str) -> Ended {
        let file = self.directory.path().join("h.toml");
        fs::write(&file, config).unwrap();
        let place = [
            "--config",
            text(&file),
            "--engine",
            "kafka",
            "--bootstrap-servers",
            &self.brokers,
            "--schema-registry",
            &self.registry,
        ];
        program(&[arguments, &place[..]].concat()).output().unwrap().into()
    }

    async fn engine(&self) -> Arc<KafkaEngine> {
        // It writes no record, so no transaction need be prepared.
        let config = KafkaConfig { delivery: Delivery::AtLeastOnce, ..KafkaConfig::default() };
        KafkaEngine::connect(&self.brokers, config, 1 << 20).await.unwrap()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let directory = text(self.directory.path());
        for (name, command) in [("broker", "kill"), ("registry", "down")] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka").join(name);
            let _ = Command::new(path).args([command, "--dir", directory]).output();
        }
    }
}

async fn topic(engine: &KafkaEngine, name: &str) -> KafkaTopic {
    let topics = engine.admin().topics().await.unwrap();
    topics.into_iter().find(|topic| topic.name == name).expect(name)
}

fn differences(stdout: &str) -> Vec<&str> {
    stdout.lines().filter(|line| !line.starts_with("= ")).collect()
}

/// One cluster's life, from nothing on: each part begins where the one before ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_follows_its_topology() {
    let Some(servers) = Servers::start() else {
        return;
    };
    begins_with_nothing(&servers);
    is_made_once(&servers);
    let engine = servers.engine().await;
    is_changed_and_no_more_than_that(&servers, &engine).await;
    grows_only_when_told_to(&servers, &engine).await;
    is_guarded_by_its_id(&servers, &engine).await;
    is_drawn_with_what_it_holds(&servers, &engine).await;
    says_what_was_done_before_a_failure(&servers, &engine).await;
    tells_why_a_schema_is_refused(&servers).await;
    engine.close().await.unwrap();
}

fn begins_with_nothing(servers: &Servers) {
    let planned = servers.topology(&["plan"], "").good().stdout;
    let first = planned.lines().next().unwrap();
    assert!(first.starts_with("+ raw-logs (4 partitions, 1 replica, delete, "), "{planned}");
    assert!(planned.contains("\n+ subject analyses-value (hephaestus.v1.Analysis)\n"), "{planned}");
    assert!(planned.lines().all(|line| line.starts_with(['+', '~'])), "{planned}");
    assert_eq!(servers.topology(&["plan", "--check"], "").code, Some(3));
    // A stage does not start on it, and says what to run.
    let refused = servers.run(&["run", "classifier", "--listen", "127.0.0.1:0"], "");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("\n  + raw-logs (4 partitions"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("+ analyses"), "not its own: {}", refused.stderr);
    let command = format!("--engine kafka --bootstrap-servers {}", servers.brokers);
    let run = refused.stderr.lines().find(|line| line.starts_with("run: ")).unwrap();
    assert!(run.starts_with("run: hephaestus topology apply --config "), "{run}");
    assert!(run.contains(&command), "{run}");
}

fn is_made_once(servers: &Servers) {
    let applied = servers.topology(&["apply"], "").good();
    assert!(applied.stdout.lines().all(|line| line.starts_with(['+', '~'])), "{}", applied.stdout);
    assert!(applied.stderr.contains("under [topology]"), "{}", applied.stderr);
    let again = servers.topology(&["apply"], "").good();
    assert_eq!(differences(&again.stdout), Vec::<&str>::new());
    assert_eq!(again.stdout.lines().count(), 28, "{}", again.stdout);
    servers.topology(&["plan", "--check"], "").good();
}

async fn is_changed_and_no_more_than_that(servers: &Servers, engine: &KafkaEngine) {
    let admin = engine.admin();
    let own = [("compression.type".to_owned(), "gzip".to_owned())].into();
    admin.set_configs("audit", &own).await.unwrap();
    let other = NewKafkaTopic {
        name: "orders".to_owned(),
        partitions: 1,
        replication: Some(1),
        configs: [("retention.ms".to_owned(), "1000".to_owned())].into(),
    };
    admin.create(&[other]).await.unwrap();
    let config =
        "retention.audit = \"500d\"\n[topology.compatibility]\nanalyses-value = \"BACKWARD\"\n";
    let expected = [
        "~ audit: retention.ms 34560000000 (400 d) -> 43200000000 (500 d)",
        "~ subject analyses-value: FULL_TRANSITIVE -> BACKWARD",
        "? orders: not of this topology; left as it is",
    ];
    for command in ["plan", "apply"] {
        let stdout = servers.topology(&[command], config).good().stdout;
        assert_eq!(differences(&stdout), expected);
    }
    assert_eq!(differences(&servers.topology(&["plan"], config).good().stdout), &expected[2..]);
    let audit = topic(engine, "audit").await;
    assert_eq!(audit.configs["retention.ms"], "43200000000");
    assert_eq!(audit.configs["compression.type"], "gzip", "somebody else's setting");
    assert_eq!(audit.configs["max.message.bytes"], "1066560");
    assert_eq!(topic(engine, "orders").await.configs["retention.ms"], "1000");
    servers.topology(&["apply"], "").good();
}

async fn grows_only_when_told_to(servers: &Servers, engine: &KafkaEngine) {
    let config = "partitions.raw-logs = 6\n";
    for command in ["plan", "apply"] {
        let refused = servers.topology(&[command], config);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let line = "! raw-logs: has 4 partitions, wanted 6; it grows with --grow alone: ";
        assert!(refused.stdout.contains(line), "{}", refused.stdout);
        assert!(refused.stdout.contains("what classifier-state holds"), "{}", refused.stdout);
        assert!(refused.stderr.contains("nothing is changed"), "{}", refused.stderr);
    }
    assert_eq!(topic(engine, "raw-logs").await.partitions, 4);
    let refused = servers.run(&["run", "classifier", "--listen", "127.0.0.1:0"], config);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("run: hephaestus topology plan"), "{}", refused.stderr);

    let grown = servers.topology(&["apply", "--grow"], config).good();
    let grown: Vec<&str> = grown.stdout.lines().filter(|line| line.starts_with('^')).collect();
    assert_eq!(grown.len(), 3, "{grown:?}");
    assert!(grown[2].starts_with("^ raw-logs: 4 -> 6 partitions; "), "inputs last: {grown:?}");
    for name in ["raw-logs", "classifier-state", "classifier-dead-letters"] {
        assert_eq!(topic(engine, name).await.partitions, 6, "{name}");
    }
    servers.topology(&["plan", "--check"], config).bad_check(&["? orders"]);
    let refused = servers.topology(&["apply", "--grow"], "");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("a topic is never shrunk"), "{}", refused.stdout);
    assert_eq!(topic(engine, "raw-logs").await.partitions, 6);
}

impl Ended {
    /// Asserts that a check found nothing to do, and left these alone.
    fn bad_check(self, left: &[&str]) {
        let ended = self.good();
        let found = differences(&ended.stdout);
        assert_eq!(found.len(), left.len(), "{found:?}");
        for (found, left) in found.iter().zip(left) {
            assert!(found.starts_with(left), "{found}");
        }
    }
}

async fn is_guarded_by_its_id(servers: &Servers, engine: &KafkaEngine) {
    let id = engine.cluster_id().await.unwrap();
    let other = "partitions.raw-logs = 6\ntopology.cluster_id = \"other\"\n";
    for command in [&["plan"][..], &["apply"], &["apply", "--grow"]] {
        let refused = servers.topology(command, other).bad(1, "\"other\"");
        assert!(refused.stderr.contains(&format!("{id:?}")), "{}", refused.stderr);
    }
    let refused = servers.run(&["run", "classifier", "--listen", "127.0.0.1:0"], other);
    assert!(refused.bad(1, "\"other\"").stderr.contains(&id));
    let own = format!("partitions.raw-logs = 6\ntopology.cluster_id = {id:?}\n");
    let applied = servers.topology(&["apply"], &own).good();
    assert!(!applied.stderr.contains(&id), "it is pinned: {}", applied.stderr);
}

/// Three lines, of which the classifier has done the first.
async fn write_lines(servers: &Servers, engine: &KafkaEngine) {
    // Two days old: brokers delete what is older than the topic's retention, in their own time.
    let timestamp_ms = hephaestus_pipeline::clock::now_ms() - 2 * 24 * 3600 * 1000;
    let line = NewRecord {
        topic: "raw-logs".into(),
        partition: Some(0),
        timestamp_ms,
        key: None,
        value: Some("a line".into()),
        headers: Headers::default(),
    };
    engine.append(vec![line; 3]).await.unwrap();
    let group: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &servers.brokers)
        .set("group.id", "classifier")
        .create()
        .unwrap();
    let mut done = TopicPartitionList::new();
    done.add_partition_offset("raw-logs", 0, Offset::Offset(1)).unwrap();
    tokio::task::block_in_place(|| group.commit(&done, CommitMode::Sync)).unwrap();
}

async fn is_drawn_with_what_it_holds(servers: &Servers, engine: &KafkaEngine) {
    write_lines(servers, engine).await;
    let id = engine.cluster_id().await.unwrap();
    let config = "partitions.raw-logs = 6\n";
    let live = servers.topology(&["describe"], config).good().stdout;
    let (drawn, now) = live.split_once("\nNOW (cluster ").expect(&live);
    assert!(now.starts_with(&format!("{id} at {})", servers.brokers)), "{now}");
    let raw_logs = now.lines().find(|line| line.starts_with("  raw-logs ")).unwrap();
    let cells: Vec<&str> = raw_logs.split_whitespace().collect();
    assert_eq!(cells[..5], ["raw-logs", "6", "3", "classifier", "2"], "{raw_logs}");
    assert_eq!(cells.last(), Some(&"d"), "it has waited for long: {raw_logs}");
    let dot = servers.topology(&["describe", "--format", "dot"], config).good().stdout;
    assert!(
        dot.contains(r#"[label="raw-logs\n6 partitions, 3 records", shape=cylinder]"#),
        "{dot}"
    );

    // Nobody listens there: it is drawn all the same, and soon.
    let file = servers.directory.path().join("h.toml");
    let nowhere = ["--engine", "kafka", "--bootstrap-servers", "127.0.0.1:1"];
    let describe = ["topology", "describe", "--config", text(&file)];
    let ended = program(&[&describe[..], &nowhere[..]].concat()).output().unwrap();
    let ended = Ended::from(ended).good();
    assert_eq!(ended.stdout, drawn, "{}", ended.stderr);
    assert!(ended.stderr.contains("drawn without what exists"), "{}", ended.stderr);
}

async fn says_what_was_done_before_a_failure(servers: &Servers, engine: &KafkaEngine) {
    let client: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &servers.brokers).create().unwrap();
    let deleted = client.delete_topics(&["decisions"], &AdminOptions::new()).await.unwrap();
    assert_eq!(deleted, [Ok("decisions".to_owned())]);
    // One broker cannot hold three replicas.
    let config =
        "partitions.raw-logs = 6\nretention.logs = \"8d\"\ntopology.replication_factor = 3\n";
    let failed = servers.topology(&["apply"], config);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("2 of 3 changes were made and stay"), "{}", failed.stderr);
    assert!(failed.stderr.contains("this one failed: + decisions ("), "{}", failed.stderr);
    let said: Vec<&str> = failed.stdout.lines().filter(|line| line.starts_with('~')).collect();
    let change = "retention.ms 604800000 (7 d) -> 691200000 (8 d)";
    assert_eq!(said, [format!("~ raw-logs: {change}"), format!("~ classified-logs: {change}")]);
    assert!(failed.stdout.contains("* raw-logs: has 1 replica, wanted 3; "), "{}", failed.stdout);
    assert_eq!(topic(engine, "raw-logs").await.configs["retention.ms"], "691200000");
    let config = "partitions.raw-logs = 6\nretention.logs = \"8d\"\n";
    let applied = servers.topology(&["apply"], config).good();
    let left = differences(&applied.stdout);
    assert!(left[0].starts_with("+ decisions (4 partitions"), "{left:?}");
    assert_eq!(left.len(), 2, "{left:?}");
}

async fn tells_why_a_schema_is_refused(servers: &Servers) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let subject = format!("{}/subjects/nodes-value", servers.registry);
    http.delete(&subject).send().await.unwrap().error_for_status().unwrap();
    let schema = r#"{"type": "record", "name": "Node", "namespace": "hephaestus.v1", "fields": [{"name": "size", "type": "long"}]}"#;
    let registered = http.post(format!("{subject}/versions")).json(&json!({ "schema": schema }));
    registered.send().await.unwrap().error_for_status().unwrap();
    let level = http.put(format!("{}/config/nodes-value", servers.registry));
    let level = level.json(&json!({ "compatibility": "FULL_TRANSITIVE" }));
    level.send().await.unwrap().error_for_status().unwrap();
    let config = "partitions.raw-logs = 6\nretention.logs = \"8d\"\n";
    for command in ["plan", "apply"] {
        let refused = servers.topology(&[command], config);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let line = "! subject nodes-value: the registry refuses hephaestus.v1.Node: Incompatible artifact: nodes-value";
        assert!(refused.stdout.contains(line), "{}", refused.stdout);
    }
    // The registry's words stop a stage that writes such values, too.
    let refused = servers.run(
        &["run", "analyzer", "--listen", "127.0.0.1:0"],
        &format!(
            "{config}[[node]]\nname = \"a\"\nsources = [\"a/**\"]\nrepository = \"/nowhere\"\n"
        ),
    );
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("Incompatible artifact"), "{}", refused.stderr);
}
