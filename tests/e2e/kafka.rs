//! The program on a real Kafka: the same commands, the same results, more than one process.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use hephaestus_pipeline::engine::Log;
use hephaestus_schemas::{
    Analysis, ClassifiedLog,
    topics::{ANALYSES, CLASSIFIED_LOGS, PROPOSED_CHANGES, RAW_LOGS},
};
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    spread::{Counts, counts, interleaved, node_config, sources, through_inspect, total, write},
    support::{run, text},
    up::{Up, accounted, all, classified, sample, sample_node, sample_repository, settled, values},
};

/// Longest wait for what is to come.
const PATIENCE: Duration = Duration::from_secs(90);
/// Time-outs of tests: who was killed is given up after seconds.
const SHORT: &str = "[kafka]\nsession_timeout = \"6s\"\ntransaction_timeout = \"5s\"\n\
    [limits]\ndrain = \"900ms\"\n";
/// Time after which an event is complete: more than another process takes to take over.
const FLUSH_MS: u32 = 20_000;
/// Content type that registries take.
const SCHEMA_JSON: &str = "application/vnd.schemaregistry.v1+json";

async fn ready(up: &Up) {
    let started = Instant::now();
    while reqwest::get(up.url("/readyz")).await.unwrap().status() != 200 {
        assert!(started.elapsed() < PATIENCE, "it does not become ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Writes the tests' time-outs and the sample's node into a file.
fn config(directory: &Path, mode: &str) -> std::path::PathBuf {
    let repository = directory.join("bookshop");
    sample_repository(&repository);
    let file = directory.join("h.toml");
    fs::write(&file, format!("{SHORT}{}", sample_node(&repository, mode))).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_become_change_requests_that_lead_back_to_them() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let _registry = cluster.use_our_registry(&[]);
    let directory = tempfile::tempdir().unwrap();
    let file = config(directory.path(), "suggest");
    let early = cluster.run(&["up", "--config", text(&file), "--listen", "127.0.0.1:0"]);
    early.bad(1, "hephaestus topology apply");
    cluster.run(&["topology", "apply"]).good();

    let up = cluster.up(&["up", "--config", text(&file)]);
    assert_eq!(up.started["registry"], cluster.registry_url);
    assert_eq!(up.started.get("dir"), None);
    ready(&up).await;
    let app = sample().join("logs/app.log");
    let shipped = cluster.run(&["ship", text(&app), "--source", "bookshop/web-1/app"]).good();
    let lines = fs::read_to_string(&app).unwrap().lines().count();
    assert_eq!(shipped.json()[0]["records"], lines);
    let posted = up.post("bookshop/web-2/app", "2026-11-22 14:00:00,000 INFO hello\n").await;
    assert_eq!(posted.status(), 200);

    let log = cluster.log().await;
    let (raw, _) = classified(&log).await;
    assert_eq!(raw.len(), lines + 1);
    settled(&log).await;
    let waiting = ["proposals", "--json", "--status", "awaiting-decision"];
    let proposals = cluster.run(&waiting).good().json();
    assert_eq!(proposals.len(), 3, "{proposals:?}");
    let id = proposals[0]["proposal_id"].as_str().unwrap();
    cluster.run(&["approve", id, "--reason", "looks right"]).good();
    let other = proposals[1]["proposal_id"].as_str().unwrap();
    cluster.run(&["reject", other]).good();
    settled(&log).await;
    let opened = cluster.run(&["proposals", "--json", "--status", "opened"]).good().json();
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0]["proposal_id"], id);
    let branch = opened[0]["branch"].as_str().unwrap();
    let repository = git2::Repository::open(directory.path().join("bookshop")).unwrap();
    repository.find_branch(branch, git2::BranchType::Local).unwrap();

    leads_back(&cluster, id);
    let metrics = reqwest::get(up.url("/metrics")).await.unwrap().text().await.unwrap();
    for stage in ["classifier", "analyzer", "proposer", "change-requester"] {
        assert!(metrics.contains(&format!("\"{stage}\"")), "{stage} in {metrics}");
    }
    let ended = up.stop().good();
    assert!(!ended.stderr.contains("ERROR"), "{}", ended.stderr);
}

/// From the events of a change request back to raw lines, by what `tap` shows.
fn leads_back(cluster: &Cluster, proposal: &str) {
    let tap = |topic: &str| cluster.run(&["tap", topic]).good().json();
    let requests = tap("change-requests");
    let opened = requests
        .iter()
        .find(|one| one["value"]["event"] == "OPENED" && one["value"]["proposal_id"] == proposal);
    let mut at = opened.unwrap_or_else(|| panic!("{requests:?}")).clone();
    let mut topics = Vec::new();
    while at["topic"] != "raw-logs" {
        let origin = at["origin"][0].clone();
        let topic = origin["topic"].as_str().unwrap().to_owned();
        let found = tap(&topic).into_iter().find(|record| {
            record["partition"] == origin["partition"] && record["offset"] == origin["offset"]
        });
        at = found.unwrap_or_else(|| panic!("{origin} is not in {topic}"));
        topics.push(topic);
        assert!(topics.len() < 10, "{topics:?}");
    }
    assert!(topics.contains(&CLASSIFIED_LOGS.to_owned()), "{topics:?}");
    let line = at["value"].as_str().unwrap();
    let logs = fs::read_to_string(sample().join("logs/app.log")).unwrap();
    assert!(logs.lines().any(|known| known == line), "{line}");
}

/// What one process of the embedded engine makes of the sources: incidents by node and fingerprint.
async fn embedded_incidents(
    sources: &[crate::spread::Source],
    directory: &Path,
) -> BTreeSet<(String, String)> {
    let up = Up::configured(&directory.join("data"), &node_config(directory, 4, 4000, ""));
    let log = up.log().await;
    write(&log, &interleaved(&sources.iter().collect::<Vec<_>>(), 7)).await;
    classified(&log).await;
    settled(&log).await;
    let analyses: Vec<Analysis> = values(&log, &up.codec(), ANALYSES).await;
    up.stop().good();
    analyses.into_iter().map(|one| (one.node, one.fingerprint)).collect()
}

/// Kills a process once something is classified.
async fn kill_amid(up: Up, log: &Arc<dyn Log>) {
    let started = Instant::now();
    while all(log, CLASSIFIED_LOGS).await.is_empty() {
        assert!(started.elapsed() < PATIENCE, "nothing is classified");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    up.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_the_work_one_is_killed_and_the_same_is_found() {
    let Some(mut cluster) = Cluster::start().await else { return };
    cluster.use_apicurio();
    let directory = tempfile::tempdir().unwrap();
    let sources = sources();
    let expected = total(through_inspect(&sources));
    let incidents = embedded_incidents(&sources, directory.path()).await;

    let file = node_config(directory.path(), 4, FLUSH_MS, SHORT);
    let at = ["--config", text(&file)];
    cluster.run(&[&["topology", "apply"], &at[..]].concat()).good();
    let start = |stages: &[&str]| cluster.up(&[&["run"], stages, &at[..]].concat());
    let door = start(&["gateway"]);
    let rest = start(&["analyzer", "proposer", "change-requester"]);
    let (first, second) = (start(&["classifier"]), start(&["classifier"]));
    for up in [&door, &rest, &first, &second] {
        ready(up).await;
    }

    let every: Vec<_> = sources.iter().collect();
    let lines = interleaved(&every, 3);
    let (before, after) = lines.split_at(lines.len() / 2);
    let log = cluster.log().await;
    write(&log, before).await;
    kill_amid(first, &log).await;
    write(&log, after).await;

    let (_, events) = classified(&log).await;
    settled(&log).await;
    let codec = door.codec();
    let found: Counts = counts(&values(&log, &codec, CLASSIFIED_LOGS).await);
    assert_eq!(found.values().sum::<usize>(), events.len());
    let differing: Vec<_> = expected
        .keys()
        .chain(found.keys())
        .filter(|fingerprint| expected.get(*fingerprint) != found.get(*fingerprint))
        .map(|fingerprint| (fingerprint, expected.get(fingerprint), found.get(fingerprint)))
        .collect();
    let strange: Vec<ClassifiedLog> = values(&log, &codec, CLASSIFIED_LOGS).await;
    let strange: Vec<&ClassifiedLog> =
        strange.iter().filter(|event| !expected.contains_key(&event.fingerprint)).collect();
    assert!(differing.is_empty(), "of inspect, and here: {differing:?}; {strange:#?}");
    let analyses: Vec<Analysis> = values(&log, &codec, ANALYSES).await;
    let here: BTreeSet<(String, String)> =
        analyses.iter().map(|one| (one.node.clone(), one.fingerprint.clone())).collect();
    assert_eq!(here.len(), analyses.len(), "one incident for each failure");
    assert_eq!(here, incidents);

    // The door takes lines while no stage runs beside it.
    let posted = door.post("shop/late/log", "2026-11-22 14:00:00,000 INFO late\n").await;
    assert_eq!(posted.status(), 200);
    classified(&log).await;
    for up in [door, rest, second] {
        up.stop().good();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_least_once_loses_nothing_where_a_process_is_killed() {
    let Some(mut cluster) = Cluster::start().await else { return };
    cluster.use_apicurio();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("h.toml");
    let delivery = "[kafka]\ndelivery = \"at-least-once\"\n";
    fs::write(&file, SHORT.replace("[kafka]\n", delivery)).unwrap();
    let at = ["--config", text(&file)];
    cluster.run(&[&["topology", "apply"], &at[..]].concat()).good();
    let start = || cluster.up(&[&["run", "classifier"], &at[..]].concat());
    let first = start();
    ready(&first).await;
    let sources = sources();
    let lines = interleaved(&sources.iter().collect::<Vec<_>>(), 5);
    let (before, after) = lines.split_at(lines.len() / 2);
    let log = cluster.log().await;
    write(&log, before).await;
    kill_amid(first, &log).await;
    write(&log, after).await;
    let second = start();
    let raw: BTreeSet<(u32, u64)> =
        all(&log, RAW_LOGS).await.iter().map(|record| (record.partition, record.offset)).collect();
    assert_eq!(raw.len(), lines.len());
    let started = Instant::now();
    loop {
        let found = accounted(&all(&log, CLASSIFIED_LOGS).await);
        let missing = raw.iter().filter(|place| !found.contains_key(place)).count();
        if missing == 0 {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{missing} lines are in no event");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    second.stop().good();
}

/// Puts a schema that nothing is compatible with in place of that of proposed changes.
async fn usurp(registry: &str) {
    let client = reqwest::Client::new();
    let subject = format!("{registry}/subjects/{PROPOSED_CHANGES}-value");
    assert!(client.delete(&subject).send().await.unwrap().status().is_success());
    let foreign = r#"{"type": "record", "name": "ProposedChange", "namespace": "hephaestus.v1",
        "fields": [{"name": "proposal_id", "type": "int"}]}"#;
    let body = json!({ "schema": foreign }).to_string();
    let request = client.post(format!("{subject}/versions")).header("content-type", SCHEMA_JSON);
    let answer = request.body(body).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    let level = json!({ "compatibility": "FULL_TRANSITIVE" }).to_string();
    let request = client.put(format!("{registry}/config/{PROPOSED_CHANGES}-value"));
    let answer = request.header("content-type", SCHEMA_JSON).body(level).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

/// `run proposer`, which has to be refused before it does anything.
fn refused(cluster: &Cluster) -> String {
    let ended = cluster.run(&["run", "proposer", "--listen", "127.0.0.1:0"]);
    ended.bad(1, "schema registry refused the schema of proposed-changes-value: ").stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_a_registry_refuses_stops_the_start_in_its_own_words() {
    let Some(mut cluster) = Cluster::start().await else { return };
    cluster.use_apicurio();
    cluster.run(&["topology", "apply"]).good();
    usurp(&cluster.registry_url).await;
    let why = refused(&cluster);
    assert!(why.contains("ncompatible"), "{why}");

    let registry = cluster.use_our_registry(&[]);
    cluster.run(&["topology", "apply"]).good();
    usurp(&cluster.registry_url).await;
    let why = refused(&cluster);
    assert!(why.contains("cannot read version 2: "), "{why}");
    // Stages that write something else start.
    let other = cluster.up(&["run", "analyzer"]);
    ready(&other).await;
    other.stop().good();
    registry.stop().good();
    // A registry that is away is no refusal, and is said to be.
    let away = cluster.run(&["tap", "analyses"]);
    assert_eq!(away.good().stdout, "", "nothing to be decoded");
}

/// Registers a schema; yields its id, or what the registry said.
async fn register(registry: &str, number: usize) -> Result<u64, String> {
    let schema = json!({ "type": "record", "name": format!("R{number}"), "fields": [] });
    let request = reqwest::Client::new().post(format!("{registry}/subjects/s{number}/versions"));
    let body = json!({ "schema": schema.to_string() }).to_string();
    let answer = request.header("content-type", SCHEMA_JSON).body(body).send().await.unwrap();
    let (status, body) = (answer.status(), answer.json::<Value>().await.unwrap());
    if status.is_success() { Ok(body["id"].as_u64().unwrap()) } else { Err(body.to_string()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_killed_is_followed_by_another_that_knows_all_it_gave_out() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("h.toml");
    fs::write(&file, SHORT).unwrap();
    let first = cluster.use_our_registry(&["--config", text(&file)]);
    let first_url = cluster.registry_url.clone();
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(eventually(&first_url, number).await);
    }
    let second = cluster.use_our_registry(&["--config", text(&file)]);
    let second_url = cluster.registry_url.clone();
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(register(&second_url, number).await, Ok(*id), "it knows them");
    }
    // Which of the two writes is the group's affair; one does.
    let mut written = Err(String::new());
    let started = Instant::now();
    while written.is_err() {
        assert!(started.elapsed() < PATIENCE, "{written:?}");
        written = register(&first_url, 3).await;
        if let Err(why) = &written {
            assert!(why.contains("another registry takes changes"), "{why}");
            written = register(&second_url, 3).await;
        }
    }
    ids.push(written.unwrap());
    let text = reqwest::get(format!("{second_url}/schemas/ids/{}", ids[3])).await.unwrap();
    assert_eq!(text.status(), 200);
    first.kill();
    for number in 4..6 {
        ids.push(eventually(&second_url, number).await);
    }
    let distinct: BTreeSet<&u64> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    second.stop().good();
}

/// The id, once it is this registry's turn to write.
async fn eventually(registry: &str, number: usize) -> u64 {
    let started = Instant::now();
    loop {
        match register(registry, number).await {
            Ok(id) => return id,
            Err(why) => assert!(started.elapsed() < PATIENCE, "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn brokers_that_do_not_answer_are_named_within_seconds() {
    let started = Instant::now();
    // Nobody listens on a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let brokers = free.to_string();
    let place = ["--engine", "kafka", "--bootstrap-servers", &brokers];
    let place = [&place[..], &["--schema-registry", "http://127.0.0.1:1"]].concat();
    let commands: [&[&str]; 3] =
        [&["tap", "raw-logs"], &["run", "classifier"], &["registry", "--listen", "127.0.0.1:0"]];
    for command in commands {
        let message = format!("kafka at {brokers}: ");
        let ended = run(&[command, &place[..]].concat()).bad(1, &message);
        assert!(ended.stderr.contains("no broker answers"), "{}", ended.stderr);
    }
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}
