//! `hephaestus topology`, against a directory.

use std::fs;

use crate::support::{Running, create_topics, run, text};

#[test]
fn the_topology_is_valid_and_can_be_drawn() {
    let valid = run(&["topology", "validate"]).good();
    assert_eq!(valid.stdout, "");
    let text = run(&["topology", "describe"]).good().stdout;
    assert!(text.contains("classified-logs"), "{text}");
    let mermaid = run(&["topology", "describe", "--format", "mermaid"]).good().stdout;
    assert!(mermaid.starts_with("flowchart LR\n"), "{mermaid}");
    let dot = run(&["topology", "describe", "--format", "dot"]).good().stdout;
    assert!(dot.starts_with("digraph"), "{dot}");
    run(&["topology", "describe", "--format", "png"]).bad(2, "text, mermaid or dot");
}

#[test]
fn apply_creates_what_is_missing_once() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("new");
    let plan = ["topology", "plan", "--dir", text(&dir)];
    let planned = run(&plan).good();
    assert!(
        planned.stdout.starts_with("+ raw-logs (4 partitions, delete)\n"),
        "{}",
        planned.stdout
    );
    assert!(!dir.exists(), "a plan changes nothing");
    create_topics(&dir);
    let planned = run(&plan).good();
    assert!(planned.stdout.lines().all(|line| line.starts_with("= ")), "{}", planned.stdout);
}

#[test]
fn topics_are_never_shrunk() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("new");
    create_topics(&dir);
    let file = parent.path().join("h.toml");
    fs::write(&file, "[partitions]\nraw-logs = 2\n").unwrap();
    for command in ["plan", "apply"] {
        let ended = run(&["topology", command, "--dir", text(&dir), "--config", text(&file)]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let line = "! raw-logs: has 4 partitions, wanted 2; a topic is never shrunk: records would be lost";
        assert!(ended.stdout.lines().any(|found| found == line), "{}", ended.stdout);
        assert!(ended.stderr.contains("cannot be changed"), "{}", ended.stderr);
    }
    assert!(run(&["topology", "plan", "--dir", text(&dir)]).good().stdout.contains("= raw-logs"));
}

#[tokio::test]
async fn a_plan_works_beside_a_running_pipeline() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path()).await;
    let planned = running.run(&["topology", "plan", "--dir", text(dir.path())]).await.good();
    // The stand-in made its topics without retention.
    let line =
        "~ raw-logs: retention.bytes -1 -> 4294967296 (4 GiB), retention.ms -1 -> 604800000 (7 d)";
    assert!(planned.stdout.lines().any(|found| found == line), "{}", planned.stdout);
    assert!(planned.stdout.contains("= nodes"), "{}", planned.stdout);
    let refused = running.run(&["topology", "apply", "--dir", text(dir.path())]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("in use by a running pipeline"), "{}", refused.stderr);
    running.stop().await;
    // What `up` would do as well.
    create_topics(dir.path());
    run(&["topology", "plan", "--check", "--dir", text(dir.path())]).good();
}

#[tokio::test]
async fn a_drawing_shows_a_pipeline_that_runs_and_is_the_same_each_time_without() {
    let dir = tempfile::tempdir().unwrap();
    let describe = ["topology", "describe", "--dir", text(dir.path())];
    let drawn = run(&describe).good();
    let running = Running::start(dir.path()).await;
    for _ in 0..3 {
        running.write_bytes("raw-logs", "shop/web-1/app", b"a line").await;
    }
    let live = running.run(&describe).await.good().stdout;
    let now = live.strip_prefix(drawn.stdout.as_str()).expect("the same, and what is there");
    assert!(now.starts_with("\nNOW (a running pipeline in "), "{now}");
    let raw_logs = now.lines().find(|line| line.starts_with("  raw-logs ")).unwrap();
    let cells: Vec<&str> = raw_logs.split_whitespace().collect();
    assert_eq!(cells, ["raw-logs", "4", "3", "classifier", "not", "read", "yet", "-"]);
    running.stop().await;
    assert_eq!(run(&describe).good().stdout, drawn.stdout);
}

#[test]
fn a_check_ends_with_a_code_of_its_own() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("new");
    let check = ["topology", "plan", "--check", "--dir", text(&dir)];
    let ended = run(&check);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stdout.starts_with("+ raw-logs"), "{}", ended.stdout);
    assert!(ended.stderr.contains("17 topics or subjects differ"), "{}", ended.stderr);
    create_topics(&dir);
    run(&check).good();
}

#[test]
fn a_longer_retention_is_applied() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("new");
    create_topics(&dir);
    let file = parent.path().join("h.toml");
    fs::write(&file, "[retention]\naudit = \"500d\"\n").unwrap();
    let place = ["--dir", text(&dir), "--config", text(&file)];
    let line = "~ audit: retention.ms 34560000000 (400 d) -> 43200000000 (500 d)";
    for command in ["plan", "apply"] {
        let stdout = run(&[&["topology", command], &place[..]].concat()).good().stdout;
        assert!(stdout.lines().any(|found| found == line), "{stdout}");
    }
    run(&[&["topology", "plan", "--check"], &place[..]].concat()).good();
}
