//! From kill -9 of a classifier to its partitions being served again, and what the time is made of.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hephaestus_schemas::topics::RAW_LOGS;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, Progress, client},
    compare::{CLASSIFIER, renew_classifier},
    contender::Contender,
    lines,
    program::Program,
    throughput::median,
};

const PARTITIONS: u32 = 3;
/// Lines a second while it is measured.
const LINES: u64 = 3_000;
/// Time between two looks at what is committed.
const PERIOD: Duration = Duration::from_millis(5);
/// How long one trial may take.
const LONGEST: Duration = Duration::from_secs(60);
/// Session time-out: longer than a stop may take, which is set to a second and five for the last commit.
const SESSION_TIMEOUT: &str = "7s";

/// A process whose log lines are kept with the time they came.
struct Watched {
    contender: Contender,
    said: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Watched {
    fn start(program: &Program, instance: &str) -> Self {
        let mut command = program.command(&["run", CLASSIFIER, "--log-format", "json"]);
        command.env("HEPHAESTUS_KAFKA__INSTANCE", instance);
        command.env("HEPHAESTUS_TELEMETRY__FILTER", "info,hephaestus_pipeline=debug");
        command.stderr(Stdio::piped());
        let mut contender = Contender::start(&mut command);
        let errors = BufReader::new(contender.errors());
        let said: Arc<Mutex<Vec<(Instant, String)>>> = Arc::default();
        let kept = said.clone();
        thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                kept.lock().unwrap().push((Instant::now(), line));
            }
        });
        Self { contender, said }
    }

    /// When it last said this, after a time.
    fn last(&self, text: &str, after: Instant) -> Option<Instant> {
        let said = self.said.lock().unwrap();
        said.iter().rev().find(|(at, line)| *at > after && line.contains(text)).map(|(at, _)| *at)
    }
}

/// Measures a restart under the same name, and the take-over by another process.
pub(crate) async fn measure(trials: usize) -> Value {
    let cluster = Cluster::start();
    let more = format!("limits.drain = \"1s\"\nkafka.session_timeout = \"{SESSION_TIMEOUT}\"");
    let program = Program::set_up(&cluster, PARTITIONS, &more);
    let flow = Flow::start(&cluster);
    let (mut restarts, mut takeovers) = (Vec::new(), Vec::new());
    for _ in 0..trials {
        renew_classifier(&cluster, &program).await;
        let progress = cluster.progress(CLASSIFIER, RAW_LOGS, PARTITIONS);
        restarts.push(restart(&program, &progress));
        renew_classifier(&cluster, &program).await;
        takeovers.push(take_over(&program, &progress));
        // A static member that is gone keeps its place until its time-out.
    }
    flow.stop();
    json!({"session_timeout": SESSION_TIMEOUT, "restart": restarts, "take_over": takeovers})
}

/// The process is killed and started again at once, under the same name.
fn restart(program: &Program, progress: &Progress) -> Value {
    let first = Watched::start(program, "one");
    until_served(progress, &[0; PARTITIONS as usize]);
    thread::sleep(Duration::from_secs(3));
    let killed = Instant::now();
    first.contender.kill();
    let before = progress.committed();
    let second = Watched::start(program, "one");
    let served = until_served(progress, &before);
    let report = parts(&second, killed, &served);
    eprintln!("restart: {report}");
    second.contender.stop();
    report
}

/// One of two processes is killed; the other takes its partitions over.
fn take_over(program: &Program, progress: &Progress) -> Value {
    let first = Watched::start(program, "one");
    let second = Watched::start(program, "two");
    until_served(progress, &[0; PARTITIONS as usize]);
    // The group is at rest once nothing was given for a while.
    thread::sleep(Duration::from_secs(5));
    let killed = Instant::now();
    first.contender.kill();
    thread::sleep(Duration::from_millis(50));
    let before = progress.committed();
    let served = until_served(progress, &before);
    let report = parts(&second, killed, &served);
    eprintln!("take-over: {report}");
    second.contender.stop();
    report
}

/// Waits until something new is committed in every partition; gives when, for each.
fn until_served(progress: &Progress, before: &[u64]) -> Vec<Instant> {
    let by = Instant::now() + LONGEST;
    let mut served: Vec<Option<Instant>> = vec![None; before.len()];
    while served.iter().any(Option::is_none) {
        let now = progress.committed();
        for ((served, before), now) in served.iter_mut().zip(before).zip(&now) {
            if served.is_none() && now > before {
                *served = Some(Instant::now());
            }
        }
        assert!(Instant::now() < by, "partitions are served in {LONGEST:?}: {now:?}");
        thread::sleep(PERIOD);
    }
    served.into_iter().flatten().collect()
}

/// The parts of the time: until the group gave the partitions, until their state was there, until a commit.
fn parts(survivor: &Watched, killed: Instant, served: &[Instant]) -> Value {
    let last = *served.iter().max().unwrap();
    let given = survivor.last("the group gave partitions", killed).unwrap_or(killed);
    let restored = survivor.last("state is restored", killed).unwrap_or(given).max(given);
    let ms = |from: Instant, to: Instant| to.saturating_duration_since(from).as_secs_f64() * 1e3;
    json!({
        "served_ms": ms(killed, last),
        "given_ms": ms(killed, given),
        "restore_ms": ms(given, restored),
        "first_commit_ms": ms(restored, last),
    })
}

/// Lines that go on coming.
struct Flow {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Flow {
    fn start(cluster: &Cluster) -> Self {
        let producer: ThreadedProducer<_> =
            client(&cluster.servers).set("linger.ms", "5").create().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let sources = lines::sources(PARTITIONS);
            let mut lines = lines::Lines::new();
            let started = Instant::now();
            let mut written = 0u64;
            while !stopped.load(Ordering::Relaxed) {
                let due = (started.elapsed().as_secs_f64() * LINES as f64) as u64;
                while written < due {
                    let (partition, source) = &sources[written as usize % sources.len()];
                    let line = lines.next(written as usize / sources.len());
                    let record = BaseRecord::to(RAW_LOGS).partition(*partition as i32);
                    producer.send(record.key(source).payload(&line)).map_err(|it| it.0).unwrap();
                    written += 1;
                }
                thread::sleep(Duration::from_millis(10));
            }
            producer.flush(Duration::from_secs(30)).unwrap();
        });
        Self { stop, thread }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// The lines for people.
pub(crate) fn print(report: &Value) {
    for (name, what) in [
        ("restart", "killed, and started again at once under the same name"),
        ("take_over", "killed for good, another process takes over"),
    ] {
        let of = |field: &str| {
            let trials = report[name].as_array().unwrap().iter();
            median(trials.map(|trial| trial[field].as_f64().unwrap()))
        };
        println!(
            "recovery, {what}: served again after {:.0} ms (given by the group after {:.0}, state restored {:.0}, first commit {:.0}); session time-out {}",
            of("served_ms"),
            of("given_ms"),
            of("restore_ms"),
            of("first_commit_ms"),
            report["session_timeout"].as_str().unwrap()
        );
    }
}
