//! Logs that nobody here made, through a running pipeline: every line is accounted for, once.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use hephaestus_schemas::ClassifiedLog;

use crate::{
    support::{run, text},
    up::{Up, classified},
};

fn shared_data() -> Option<PathBuf> {
    let named = std::env::var_os("HEPHAESTUS_TEST_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = named.unwrap_or(beside);
    if data.is_dir() {
        return Some(data);
    }
    eprintln!(
        "skipped: real logs, no sample data beside the repository or in HEPHAESTUS_TEST_DATA"
    );
    None
}

fn files(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![data.join("loghub"), data.join("traces")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_log = path.extension().is_some_and(|end| end == "log" || end == "txt");
            if path.is_dir() {
                open.push(path);
            } else if is_log {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_real_logs_is_accounted_for_once() {
    let Some(data) = shared_data() else { return };
    let directory = tempfile::tempdir().unwrap();
    let up = Up::start(directory.path());

    let files = files(&data);
    assert!(files.len() > 250, "{}", files.len());
    let mut arguments = vec!["ship", "--dir", text(directory.path())];
    arguments.extend(files.iter().map(|file| text(file)));
    let shipped = run(&arguments).good().json().pop().unwrap();
    let lines = shipped["lines"].as_u64().unwrap();
    assert!(lines > 30_000, "{shipped}");

    let log = up.log().await;
    let (raw, events) = classified(&log).await;
    assert_eq!(raw.len() as u64, lines);

    let codec = up.codec();
    let mut exceptions: BTreeMap<String, usize> = BTreeMap::new();
    let mut counted = 0;
    for event in &events {
        let event: ClassifiedLog = codec.decode(event.value.as_ref().unwrap()).await.unwrap();
        counted += u64::try_from(event.lines).unwrap();
        if event.exception.is_some() {
            *exceptions.entry(event.source).or_default() += 1;
        }
    }
    assert_eq!(counted, lines);
    let traced = |folder: &str| {
        let names = files.iter().filter(|file| text(file).contains(folder));
        let with_exception = names.clone().filter(|file| {
            let name = file.file_name().unwrap().to_str().unwrap();
            exceptions.keys().any(|source| source.ends_with(&format!("/{name}")))
        });
        (with_exception.count(), names.count())
    };
    let (found, of) = traced("java-defects4j");
    assert_eq!(found, of, "each of the java failures is seen as one");

    up.stop().good();
}
