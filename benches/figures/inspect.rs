//! What `inspect` does to lines against Drain3, on the same lines in the same run, each on one core and by the processor
//! time that it takes; and the whole process, against a pass that only counts lines.

use std::{
    fmt::Write as _,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use hephaestus_classifier::{Classifier, ClassifierConfig, Inspected, Inspection};
use serde_json::Value;

use crate::program::{command, repository, text};

/// Lines of an input.
const LINES: usize = 400_000;
/// Lines of it that Drain3, which is slower, is given.
const LINES_OF_DRAIN3: usize = 40_000;
/// How often each is run; the fastest counts.
const ROUNDS: usize = 3;
/// The time by which a missing year is told, in milliseconds since 1970 UTC.
const NOW_MS: i64 = 1_718_409_600_000;
/// Bytes of a line that stay as they are: the time and the other fields of its header.
const HEADER: usize = 30;
/// Python with Drain3 installed, where it is not `python3`.
const PYTHON_VARIABLE: &str = "DRAIN3_PYTHON";
/// The Loghub directory, where the sample data does not lie beside the repository.
const LOGHUB_VARIABLE: &str = "LOGHUB_DIR";
/// Lines per second of one core that are wanted.
const WANTED_ACCESS: f64 = 1_000_000.0;
const WANTED_MIX: f64 = 400_000.0;

/// Prints the lines per second of both, and their ratio.
pub(crate) fn measure() {
    let python = std::env::var(PYTHON_VARIABLE).unwrap_or_else(|_| "python3".to_owned());
    compare("lines of an access log, no two alike", WANTED_ACCESS, &python, &access_lines());
    let named = std::env::var_os(LOGHUB_VARIABLE).map(PathBuf::from);
    let loghub = named.unwrap_or_else(|| repository("../shared/data/loghub"));
    let files = logs(&loghub);
    if files.is_empty() {
        println!("inspect: no logs in {}; name them in {LOGHUB_VARIABLE}", loghub.display());
        return;
    }
    compare("the Loghub mix, no two alike", WANTED_MIX, &python, &mixed(&files, true));
    compare("the Loghub mix, again and again", WANTED_MIX, &python, &mixed(&files, false));
}

/// Both on the same input.
fn compare(name: &str, wanted: f64, python: &str, lines: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("input.log");
    File::create(&input).unwrap().write_all(lines).unwrap();
    let count = count_lines(lines) as f64;

    let counting = best(|| {
        let started = own_seconds();
        std::hint::black_box(count_lines(&std::fs::read(&input).unwrap()));
        own_seconds() - started
    });
    let ours = best(|| {
        let started = children_seconds();
        let status = command(&["inspect", text(&input)]).stdout(Stdio::null()).status().unwrap();
        assert!(status.success());
        children_seconds() - started
    });
    let classifier = Classifier::new(ClassifierConfig::default());
    let classifying = best(|| {
        let started = own_seconds();
        let mut inspection = Inspection::new(&classifier, "bench/0/file", NOW_MS);
        let mut sink = |event: Inspected<'_>| {
            std::hint::black_box(&event);
        };
        inspection.bytes(lines, &mut sink);
        std::hint::black_box(inspection.finish(&mut sink));
        own_seconds() - started
    });
    let (rate, whole) = (count / classifying, count / ours);
    println!("inspect, {name}: {rate:.0} lines/s of one core (wanted: {wanted:.0})");
    println!(
        "  {whole:.0} lines/s as a process, with its output: {:.0} times the time of reading the file and counting its lines",
        ours / counting.max(0.001)
    );

    let few = directory.path().join("few.log");
    let few_lines: Vec<&[u8]> =
        lines.split_inclusive(|byte| *byte == b'\n').take(LINES_OF_DRAIN3).collect();
    std::fs::write(&few, few_lines.concat()).unwrap();
    let script = repository("benches/figures/run_drain3.py");
    let ran = Command::new(python).args([text(&script), text(&few), "1"]).output();
    let Some(ran) = ran.ok().filter(|ran| ran.status.success()) else {
        println!("  no ratio, install drain3 (PyPI) for python3 or name it in {PYTHON_VARIABLE}");
        return;
    };
    let report: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let theirs = report["lines"].as_f64().unwrap() / report["seconds"].as_f64().unwrap();
    println!("  drain3: {theirs:.0} lines/s, without its start and without output");
    println!(
        "  inspect / drain3 = {:.1} (wanted: at least 30), as a process {:.1}",
        rate / theirs,
        whole / theirs
    );
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

fn best(mut run: impl FnMut() -> f64) -> f64 {
    (0..ROUNDS).map(|_| run()).fold(f64::MAX, f64::min)
}

/// Processor time of the children that have ended, in seconds (proc_pid_stat(5), fields 16 and 17).
fn children_seconds() -> f64 {
    stat_seconds(13)
}

/// Processor time of this process, in seconds (fields 14 and 15).
fn own_seconds() -> f64 {
    stat_seconds(11)
}

fn stat_seconds(at: usize) -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, behind_name) = stat.rsplit_once(')').unwrap();
    let fields: Vec<f64> = behind_name
        .split_whitespace()
        .skip(at)
        .take(2)
        .map(|field| field.parse().unwrap())
        .collect();
    (fields[0] + fields[1]) / TICKS_PER_SECOND
}

/// Lines in the combined form, as a shop's server writes them: no two are alike.
fn access_lines() -> Vec<u8> {
    const ROUTES: [&str; 12] = [
        "/",
        "/cart",
        "/checkout",
        "/api/v1/orders/{}",
        "/api/v1/users/{}/profile",
        "/search?q=shoes&page={}",
        "/static/app.{}.js",
        "/images/products/{}.webp",
        "/login",
        "/health",
        "/product/{}/reviews",
        "/favicon.ico",
    ];
    const AGENTS: [&str; 4] = [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1",
        "curl/8.4.0",
        "Googlebot/2.1 (+http://www.google.com/bot.html)",
    ];
    const STATUS: [u16; 10] = [200, 200, 200, 200, 200, 304, 302, 404, 200, 500];
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = String::new();
    for number in 0..LINES {
        let route = ROUTES[random.usize(..ROUTES.len())]
            .replace("{}", &random.u32(..1_000_000).to_string());
        let (second, minute, hour) =
            (number / 100 % 60, number / 6_000 % 60, number / 360_000 % 24);
        writeln!(
            text,
            "{}.{}.{}.{} - - [10/Oct/2023:{hour:02}:{minute:02}:{second:02} +0000] \"{} {route} HTTP/1.1\" {} {} \"https://shop.example.com{}\" \"{}\"",
            random.u8(1..224), random.u8(..), random.u8(..), random.u8(1..),
            if random.u8(..10) == 0 { "POST" } else { "GET" },
            STATUS[random.usize(..STATUS.len())], random.u32(100..100_000),
            ROUTES[random.usize(..4)].replace("{}", &number.to_string()), AGENTS[random.usize(..AGENTS.len())],
        )
        .unwrap();
    }
    text.into_bytes()
}

/// The logs of a directory's folders.
fn logs(directory: &Path) -> Vec<Vec<u8>> {
    let Ok(folders) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = folders
        .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).into_iter().flatten())
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// The lines of all logs, one of each in turn, until there are enough; with other digits behind
/// their headers in each round, so that no message stands twice for a memo to find.
fn mixed(logs: &[Vec<u8>], varied: bool) -> Vec<u8> {
    let logs: Vec<Vec<&[u8]>> = logs
        .iter()
        .map(|log| log.trim_ascii_end().split(|byte| *byte == b'\n').collect())
        .collect();
    let mut mixed = Vec::new();
    for number in 0..LINES {
        let log = &logs[number % logs.len()];
        let (round, line) = (number / logs.len() / log.len(), log[number / logs.len() % log.len()]);
        let mut turn = round * 31 + number * 7;
        for (column, byte) in line.iter().enumerate() {
            if column < HEADER || !byte.is_ascii_digit() || !varied || round == 0 {
                mixed.push(*byte);
                continue;
            }
            turn = turn.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            mixed.push(b'0' + ((turn >> 16) % 10) as u8);
        }
        mixed.push(b'\n');
    }
    mixed
}
