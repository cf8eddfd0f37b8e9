//! The demo, and its proof: on each branch the failure is gone, and nothing else is different.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use serde_json::Value;

use crate::support::{run, text};

/// Requests of the load: enough to meet every defect several times.
const REQUESTS: &str = "1200";

#[derive(Deserialize)]
struct Defect {
    id: String,
    file: String,
    function: String,
    exception: String,
    fixable: bool,
    allowed: bool,
}

/// What a run of the load says of itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Load {
    requests: u64,
    routes: BTreeMap<String, BTreeMap<String, u64>>,
    exceptions: BTreeMap<String, u64>,
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo/sample")
}

fn defects() -> Vec<Defect> {
    let text = std::fs::read_to_string(sample().join("defects.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn python() -> Option<&'static str> {
    let found = Command::new("python3").arg("--version").output().is_ok_and(|o| o.status.success());
    if !found {
        eprintln!("skipped: the load on each branch, python3 is not at hand");
    }
    found.then_some("python3")
}

fn checkout(repository: &Path, branch: &str, into: &Path) {
    let mut builder = git2::build::RepoBuilder::new();
    builder.branch(branch).clone(text(repository), into).unwrap();
}

fn load(python: &str, checkout: &Path) -> Load {
    let out = tempfile::tempdir().unwrap();
    let ran = Command::new(python)
        .arg(sample().join("load.py"))
        .args(["--repo", text(checkout), "--out", text(out.path()), "--requests", REQUESTS])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

fn unit_tests_pass(python: &str, checkout: &Path) {
    let ran = Command::new(python)
        .args(["-m", "unittest", "discover", "-q"])
        .current_dir(checkout)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// The defect that a change request is for, by the file it touches.
fn defect_of<'a>(request: &Value, defects: &'a [Defect]) -> &'a Defect {
    let files: Vec<&str> =
        request["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    let [file] = files[..] else { panic!("{files:?}") };
    defects.iter().find(|defect| defect.file == file).unwrap()
}

fn is_of(exception: &str, defect: &Defect) -> bool {
    exception == format!("{} at {}:{}", defect.exception, defect.file, defect.function)
}

/// Asserts that the defect's exception is gone, and that nothing else differs but what it answered.
fn assert_mended(before: &Load, after: &Load, defect: &Defect) {
    let mut expected = before.exceptions.clone();
    expected.retain(|exception, _| !is_of(exception, defect));
    assert_eq!(expected.len() + 1, before.exceptions.len(), "{} was not met", defect.id);
    assert_eq!(after.exceptions, expected, "{}", defect.id);

    let gone = before.exceptions.values().sum::<u64>() - after.exceptions.values().sum::<u64>();
    let mut differing = 0;
    for (route, statuses) in &before.routes {
        let now = &after.routes[route];
        let count = |statuses: &BTreeMap<String, u64>| statuses.values().sum::<u64>();
        assert_eq!(count(statuses), count(now), "{route}");
        if statuses != now {
            differing += 1;
            let failed =
                |statuses: &BTreeMap<String, u64>| statuses.get("500").copied().unwrap_or(0);
            assert_eq!(failed(statuses) - failed(now), gone, "{route} on {}", defect.id);
        }
    }
    assert!(differing <= 1, "{} changed {differing} routes", defect.id);
}

#[test]
fn the_demo_mends_what_can_be_mended_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let demo = directory.path().join("demo");
    let ended = run(&["demo", "--json", "--dir", text(&demo)]).good();
    let summary: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();

    let defects = defects();
    let requests = summary["change_requests"].as_array().unwrap();
    let mended: BTreeSet<&str> =
        requests.iter().map(|request| defect_of(request, &defects).id.as_str()).collect();
    let mendable = defects.iter().filter(|defect| defect.fixable && defect.allowed);
    assert_eq!(mended, mendable.map(|defect| defect.id.as_str()).collect());
    assert_eq!(mended.len(), requests.len(), "one change request for each failure");
    let refused = summary["refused"].as_array().unwrap();
    let fenced = defects.iter().filter(|defect| defect.fixable && !defect.allowed).count();
    assert_eq!(refused.iter().filter(|one| one["gate"] == "allowed-paths").count(), fenced);
    assert_eq!(refused.len(), fenced, "{refused:?}");
    let lines: u64 = ["access", "app", "worker"]
        .iter()
        .map(|name| std::fs::read_to_string(sample().join(format!("logs/{name}.log"))).unwrap())
        .map(|log| log.lines().count() as u64)
        .sum();
    assert_eq!(summary["lines"], lines);

    walk_back(&demo.join("pipeline"), requests, &defects);
    one_trace_from_line_to_request(&demo.join("pipeline"));
    secrets_stay_in_raw_logs(&demo.join("pipeline"));

    let Some(python) = python() else { return };
    let repository = demo.join("bookshop");
    let base = directory.path().join("base");
    checkout(&repository, "main", &base);
    let before = load(python, &base);
    for request in requests {
        let defect = defect_of(request, &defects);
        let mended = directory.path().join(&defect.id);
        checkout(&repository, request["branch"].as_str().unwrap(), &mended);
        assert_mended(&before, &load(python, &mended), defect);
        unit_tests_pass(python, &mended);
    }
}

/// The sample's logs hold a password, tokens and addresses of customers.
fn secrets_stay_in_raw_logs(pipeline: &Path) {
    const SECRETS: [&str; 2] = ["hunter2-example", "@example.com"];
    let written = |topic: &str| run(&["tap", topic, "--dir", text(pipeline)]).good().stdout;
    let raw = written("raw-logs");
    assert!(SECRETS.iter().all(|secret| raw.contains(secret)), "the sample holds them");
    let topics = [
        "classified-logs",
        "classifier-state",
        "patterns",
        "analyzer-state",
        "analyses",
        "proposed-changes",
        "change-requests",
        "change-requester-state",
    ];
    for topic in topics {
        let written = written(topic);
        for secret in SECRETS {
            assert!(!written.contains(secret), "{secret} is in {topic}");
        }
    }
}

/// The trace of each change request is that of a raw line, and runs through every topic between.
fn one_trace_from_line_to_request(pipeline: &Path) {
    let traces = |topic: &str| -> BTreeSet<String> {
        let records = run(&["tap", topic, "--dir", text(pipeline)]).good().json();
        let traceparent = |record: &Value| {
            let traceparent = record["headers"]["traceparent"].as_str().unwrap();
            traceparent.split('-').nth(1).unwrap().to_owned()
        };
        records.iter().map(traceparent).collect()
    };
    let requests = traces("change-requests");
    assert!(!requests.is_empty());
    for topic in ["proposed-changes", "analyses", "classified-logs", "raw-logs"] {
        let missing: Vec<_> = requests.difference(&traces(topic)).cloned().collect();
        assert!(missing.is_empty(), "{topic} lacks {missing:?}");
    }
}

/// From each change request back to the very log lines that caused it.
fn walk_back(pipeline: &Path, requests: &[Value], defects: &[Defect]) {
    let lines = run(&["tap", "raw-logs", "--dir", text(pipeline)]).good().json();
    for request in requests {
        let defect = defect_of(request, defects);
        let origins = request["origin"].as_array().unwrap();
        assert!(!origins.is_empty());
        let caused: Vec<&str> = origins
            .iter()
            .map(|origin| {
                let line = lines.iter().find(|line| {
                    line["topic"] == origin["topic"]
                        && line["partition"] == origin["partition"]
                        && line["offset"] == origin["offset"]
                });
                line.unwrap()["value"].as_str().unwrap()
            })
            .collect();
        assert!(caused.iter().any(|line| line.contains(&defect.exception)), "{caused:?}");
        assert!(caused.iter().any(|line| line.contains(&defect.file)), "{caused:?}");
    }
}
