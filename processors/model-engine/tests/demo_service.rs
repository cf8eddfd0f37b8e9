//! The playbook on the program's own demonstration service, which was written without it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, unreachable_pub)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{Failure, answer};

/// The files of the service after the last commit of its history, by path.
fn service(history: &Path) -> BTreeMap<String, String> {
    let mut commits: Vec<PathBuf> =
        std::fs::read_dir(history).unwrap().map(|entry| entry.unwrap().path()).collect();
    commits.sort();
    let mut files = BTreeMap::new();
    for commit in commits {
        let top = commit.join("tree");
        let mut pending = vec![top.clone()];
        while let Some(path) = pending.pop() {
            if path.is_dir() {
                pending
                    .extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|ending| ending == "py") {
                let name = path.strip_prefix(&top).unwrap().to_string_lossy().into_owned();
                files.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn every_defect_that_can_be_fixed_is_fixed_as_a_reviewer_would() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/demo/sample");
    let Ok(defects) = std::fs::read_to_string(sample.join("defects.json")) else {
        eprintln!("skipped: the sample service is not at hand");
        return;
    };
    let files = service(&sample.join("history"));
    let defects: Vec<serde_json::Value> = serde_json::from_str(&defects).unwrap();
    let leak = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let mut fixed = 0;
    for defect in &defects {
        let path = defect["file"].as_str().unwrap();
        let culprit = defect["culprit"].as_str().unwrap();
        let failure = Failure {
            path: leak(path),
            text: files[path].clone(),
            culprit: leak(culprit),
            exception: leak(defect["exception"].as_str().unwrap()),
            message: leak(defect["message"].as_str().unwrap()),
            inner: Vec::new(),
            column: None,
        };
        let answer = answer(&failure);
        if defect["fixable"] == false {
            assert!(answer.fixed.is_none(), "{path}: {:?}", answer.fixed);
            continue;
        }
        let Some(text) = answer.fixed else {
            panic!("{path} is not fixed: {}", answer.finding.cause);
        };
        let line = failure.text.lines().find(|line| line.contains(culprit)).unwrap();
        let indent = &line[..line.len() - line.trim_start().len()];
        let mut expected = String::new();
        for line in defect["fix"].as_array().unwrap() {
            expected.push_str(indent);
            expected.push_str(line.as_str().unwrap());
            expected.push('\n');
        }
        assert_eq!(text, failure.text.replacen(&format!("{line}\n"), &expected, 1));
        assert!(answer.finding.confidence >= 0.8, "{path}: {}", answer.finding.confidence);
        fixed += 1;
    }
    assert!(fixed >= 3, "{fixed} fixed");
}
