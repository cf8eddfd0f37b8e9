//! `inspect` against Drain3 on the same file in the same run, each on one core.

use std::{
    fs::File,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::Value;

use crate::program::{command, repository, text};

/// How often the file's lines are repeated.
const REPEAT: usize = 150;
/// Python with Drain3 installed, where it is not `python3`.
const PYTHON_VARIABLE: &str = "DRAIN3_PYTHON";
/// A Loghub file, where the sample data does not lie beside the repository.
const FILE_VARIABLE: &str = "DRAIN3_FILE";

/// Prints the lines per second of both, and their ratio.
pub(crate) fn measure() {
    let python = std::env::var(PYTHON_VARIABLE).unwrap_or_else(|_| "python3".to_owned());
    let file = std::env::var(FILE_VARIABLE);
    let file = file
        .unwrap_or_else(|_| text(&repository("../shared/data/loghub/HDFS/HDFS_2k.log")).to_owned());
    let Ok(once) = std::fs::read(&file) else {
        println!("inspect: skipped, no file {file}; name one in {FILE_VARIABLE}");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let repeated = directory.path().join("repeated.log");
    let mut out = File::create(&repeated).unwrap();
    let ended = if once.ends_with(b"\n") { once } else { [once.as_slice(), b"\n"].concat() };
    for _ in 0..REPEAT {
        out.write_all(&ended).unwrap();
    }
    let lines = (ended.iter().filter(|byte| **byte == b'\n').count() * REPEAT) as f64;

    let ours = lines / seconds_of_inspect(&repeated);
    println!("inspect: {ours:.0} lines/s, the whole process with its output as JSON");
    let script = repository("benches/figures/run_drain3.py");
    let ran = Command::new(python).args([text(&script), &file, &REPEAT.to_string()]).output();
    let Some(ran) = ran.ok().filter(|ran| ran.status.success()) else {
        println!(
            "inspect: no ratio, install drain3 (PyPI) for python3 or name it in {PYTHON_VARIABLE}"
        );
        return;
    };
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let theirs = lines / report["seconds"].as_f64().unwrap();
    println!("drain3: {theirs:.0} lines/s, without its start");
    println!("inspect / drain3 = {:.1} (wanted: at least 20)", ours / theirs);
}

fn seconds_of_inspect(file: &Path) -> f64 {
    let started = Instant::now();
    let status = command(&["inspect", text(file)]).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    started.elapsed().as_secs_f64()
}
