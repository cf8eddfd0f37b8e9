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
const REPEAT: usize = 100;
/// Bytes of a line that stay as they are: the time and the other fields of its header.
const HEADER: usize = 30;
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
    let ended = if once.ends_with(b"\n") { once } else { [once.as_slice(), b"\n"].concat() };
    compare("the file's lines again and again", &python, |_| ended.clone());
    compare("with other numbers each time", &python, |round| with_other_numbers(&ended, round));
}

/// Both on the same input, made of a round's lines for each round.
fn compare(name: &str, python: &str, lines_of: impl Fn(usize) -> Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("input.log");
    let mut out = File::create(&input).unwrap();
    let mut lines = 0;
    for round in 0..REPEAT {
        let varied = lines_of(round);
        lines += varied.iter().filter(|byte| **byte == b'\n').count();
        out.write_all(&varied).unwrap();
    }
    let lines = lines as f64;

    let ours = lines / seconds_of_inspect(&input);
    println!("inspect, {name}: {ours:.0} lines/s, the whole process with its output as JSON");
    let script = repository("benches/figures/run_drain3.py");
    let ran = Command::new(python).args([text(&script), text(&input), "1"]).output();
    let Some(ran) = ran.ok().filter(|ran| ran.status.success()) else {
        println!("no ratio, install drain3 (PyPI) for python3 or name it in {PYTHON_VARIABLE}");
        return;
    };
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let theirs = lines / report["seconds"].as_f64().unwrap();
    println!("drain3, {name}: {theirs:.0} lines/s, without its start");
    println!("inspect / drain3, {name} = {:.1} (wanted: at least 20)", ours / theirs);
}

/// The lines with other digits behind their headers, so that no message stands twice for a memo to find.
fn with_other_numbers(lines: &[u8], round: usize) -> Vec<u8> {
    let mut varied = Vec::with_capacity(lines.len());
    for (number, line) in lines.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let mut turn = round * 31 + number * 7;
        for (column, byte) in line.iter().enumerate() {
            if column < HEADER || !byte.is_ascii_digit() || round == 0 {
                varied.push(*byte);
                continue;
            }
            turn = turn.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            varied.push(b'0' + ((turn >> 16) % 10) as u8);
        }
    }
    varied
}

fn seconds_of_inspect(file: &Path) -> f64 {
    let started = Instant::now();
    let status = command(&["inspect", text(file)]).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    started.elapsed().as_secs_f64()
}
