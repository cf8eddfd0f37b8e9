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
    assert!(planned.stdout.contains("~ raw-logs: has "), "{}", planned.stdout);
    assert!(planned.stdout.contains("= nodes"), "{}", planned.stdout);
    running.stop().await;
}
