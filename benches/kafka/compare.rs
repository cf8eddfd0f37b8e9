//! Throughput and processor time, side by side: Kafka Streams, librdkafka alone and the engine, copying and classifying.

use std::time::{Duration, Instant};

use hephaestus_schemas::topics::{
    CLASSIFIED_LOGS, PATTERNS, RAW_LOGS, dead_letter_topic, state_topic,
};
use serde_json::{Value, json};

use crate::{
    Arguments, PARTITIONS,
    cluster::Cluster,
    contender::{Contender, streams},
    copy,
    lines::{self, Filled},
    plain,
    program::Program,
    throughput::{Measured, median, watch},
};

/// Stage and group of the classifier.
pub(crate) const CLASSIFIER: &str = "classifier";

/// How long the broker is warmed up.
const WARM_UP: Duration = Duration::from_secs(90);

/// One of those that are compared.
struct Contestant {
    name: String,
    kind: Kind,
}

enum Kind {
    Streams { mode: &'static str, settings: String },
    Plain { has_headers: bool },
    Copying,
    Classifier,
}

/// Those that were asked for; each set of further settings of Streams is one of its own.
fn contestants(names: &[String], settings: &[String]) -> Vec<Contestant> {
    let mut all = Vec::new();
    for mode in ["copy", "trace", "classify"] {
        let name = format!("streams-{mode}");
        let kind = Kind::Streams { mode, settings: String::new() };
        all.push(Contestant { name: name.clone(), kind });
        for settings in settings {
            let kind = Kind::Streams { mode, settings: settings.clone() };
            all.push(Contestant { name: format!("{name} {settings}"), kind });
        }
    }
    for (name, has_headers) in [("plain-copy", false), ("plain-trace", true)] {
        all.push(Contestant { name: name.to_owned(), kind: Kind::Plain { has_headers } });
    }
    all.push(Contestant { name: "engine-copy".to_owned(), kind: Kind::Copying });
    all.push(Contestant { name: CLASSIFIER.to_owned(), kind: Kind::Classifier });
    let chosen = |contestant: &Contestant| {
        let first = contestant.name.split(' ').next().unwrap();
        names.is_empty() || names.iter().any(|name| name == first || name == "throughput")
    };
    all.retain(chosen);
    all
}

/// Measures each in turn, `rounds` times, from the same records.
pub(crate) async fn measure(arguments: &Arguments) -> Option<Value> {
    let contestants = contestants(&arguments.names, &arguments.streams);
    if contestants.is_empty() {
        return None;
    }
    let cluster = Cluster::start();
    let program = Program::set_up(&cluster, PARTITIONS, "");
    program.configure("[kafka.settings]\n");
    for (name, value) in arguments.kafka.iter().map(|setting| setting.split_once('=').unwrap()) {
        program.configure(&format!("{name:?} = {value:?}\n"));
    }
    let filled = lines::fill(&cluster.servers, RAW_LOGS, PARTITIONS, arguments.records);
    eprintln!("{} records of {:.0} bytes: {}", filled.records, filled.mean_bytes, filled.origin);
    warm_up(&cluster, &program, &filled).await;
    let mut results: Vec<Vec<Measured>> = vec![Vec::new(); contestants.len()];
    for round in 0..arguments.rounds {
        for (number, contestant) in contestants.iter().enumerate() {
            let turn = format!("{number}-{round}");
            let measured =
                run(&cluster, &program, contestant, &turn, &filled, &arguments.kafka).await;
            eprintln!("{}: {measured:?}", contestant.name);
            results[number].push(measured);
        }
    }
    let rows: Vec<Value> = contestants
        .iter()
        .zip(&results)
        .map(|(contestant, results)| {
            let of = |field: fn(&Measured) -> f64| median(results.iter().map(field));
            json!({
                "name": contestant.name,
                "lines_per_second": of(|it| it.rate),
                "lines_per_second_whole": of(|it| it.whole_rate),
                "processor_us": of(|it| it.own_us),
                "broker_us": of(|it| it.broker_us),
                "rounds": results,
            })
        })
        .collect();
    Some(json!({
        "records": filled.records,
        "record_bytes": filled.mean_bytes,
        "lines": filled.origin,
        "ratios": ratios(&rows),
        "rows": rows,
    }))
}

/// Lets the broker's virtual machine compile what it runs. In its first minute a record takes it twice as long and more,
/// and its compiler takes a fifth of the processors: whoever was measured first would pay for it.
async fn warm_up(cluster: &Cluster, program: &Program, filled: &Filled) {
    let plain = Contestant { name: "warm-up".to_owned(), kind: Kind::Plain { has_headers: true } };
    let begun = Instant::now();
    for pass in 0.. {
        if begun.elapsed() >= WARM_UP {
            break;
        }
        let measured = run(cluster, program, &plain, &format!("warm-{pass}"), filled, &[]).await;
        eprintln!("{}: {measured:?}", plain.name);
    }
}

/// What is promised, as ratios of medians.
fn ratios(rows: &[Value]) -> Vec<Value> {
    let of = |name: &str, field: &str| -> Option<f64> {
        rows.iter().find(|row| row["name"] == name)?[field].as_f64()
    };
    let ratio = |what: &str, ours: &str, theirs: &str, field: &str, wanted: &str| {
        let ratio = of(ours, field)? / of(theirs, field)?;
        Some(json!({"what": what, "ratio": ratio, "wanted": wanted}))
    };
    let rate = "lines_per_second";
    [
        ratio(
            "lines/s, classifier to Streams that classifies",
            CLASSIFIER,
            "streams-classify",
            rate,
            ">= 1.5",
        ),
        ratio(
            "processor time, classifier to Streams that classifies",
            CLASSIFIER,
            "streams-classify",
            "processor_us",
            "<= 0.5",
        ),
        ratio(
            "lines/s, classifier to Streams that copies",
            CLASSIFIER,
            "streams-copy",
            rate,
            ">= 0.8",
        ),
        ratio(
            "lines/s, engine that copies to Streams that copies",
            "engine-copy",
            "streams-copy",
            rate,
            ">= 1.0",
        ),
        ratio(
            "lines/s, engine that copies to Streams that copies and writes the same headers",
            "engine-copy",
            "streams-trace",
            rate,
            ">= 1.0",
        ),
        ratio(
            "lines/s, engine that copies to a plain loop that copies and writes the same headers",
            "engine-copy",
            "plain-trace",
            rate,
            ">= 1.0",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn run(
    cluster: &Cluster,
    program: &Program,
    contestant: &Contestant,
    turn: &str,
    filled: &Filled,
    settings: &[String],
) -> Measured {
    let state = tempfile::tempdir().unwrap();
    let (group, mut command) = match &contestant.kind {
        Kind::Streams { mode, settings } => {
            cluster.renew(&[("output", PARTITIONS, false)]).await;
            let group = format!("streams-{turn}");
            let topics = (RAW_LOGS, "output");
            let mut command = streams(mode, &cluster.servers, &group, topics, state.path());
            command.args(settings.split_whitespace());
            (group, command)
        }
        Kind::Plain { has_headers } => {
            cluster.renew(&[(copy::COPIES, PARTITIONS, false)]).await;
            let group = format!("plain-{turn}");
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            command.args([plain::ARGUMENT, &cluster.servers, &group, &has_headers.to_string()]);
            (group, command)
        }
        Kind::Copying => {
            cluster.forget(&[copy::GROUP]).await;
            let topics =
                [(copy::COPIES, PARTITIONS, false), (copy::DEAD_LETTERS, PARTITIONS, false)];
            cluster.renew(&topics).await;
            let mut command = std::process::Command::new(std::env::current_exe().unwrap());
            command.args([copy::ARGUMENT, &cluster.servers]).args(settings);
            (copy::GROUP.to_owned(), command)
        }
        Kind::Classifier => {
            renew_classifier(cluster, program).await;
            (CLASSIFIER.to_owned(), program.command(&["run", CLASSIFIER]))
        }
    };
    let mut contender = [Contender::start(&mut command)];
    contender[0].first_line();
    let progress = cluster.progress(&group, RAW_LOGS, PARTITIONS);
    let measured = watch(cluster, &progress, &mut contender, filled.records);
    let [contender] = contender;
    contender.stop();
    measured
}

/// Forgets all that the classifier has done.
pub(crate) async fn renew_classifier(cluster: &Cluster, program: &Program) {
    cluster.forget(&[CLASSIFIER]).await;
    let (state, dead) = (state_topic(CLASSIFIER), dead_letter_topic(CLASSIFIER));
    cluster.delete(&[CLASSIFIED_LOGS, PATTERNS, &state, &dead]).await;
    program.apply();
}

/// The table for people.
pub(crate) fn print(report: &Value) {
    println!(
        "{} records of {:.0} bytes, {}, {PARTITIONS} partitions",
        report["records"],
        report["record_bytes"].as_f64().unwrap(),
        report["lines"].as_str().unwrap()
    );
    println!("{:>10} {:>10} {:>12} {:>12}", "lines/s", "from start", "us a record", "broker us");
    for row in report["rows"].as_array().unwrap() {
        let number = |field: &str| row[field].as_f64().unwrap();
        println!(
            "{:10.0} {:10.0} {:12.2} {:12.2}  {}",
            number("lines_per_second"),
            number("lines_per_second_whole"),
            number("processor_us"),
            number("broker_us"),
            row["name"].as_str().unwrap()
        );
    }
    for ratio in report["ratios"].as_array().unwrap() {
        let text = |field: &str| ratio[field].as_str().unwrap();
        println!(
            "{:.2} (wanted {}): {}",
            ratio["ratio"].as_f64().unwrap(),
            text("wanted"),
            text("what")
        );
    }
}
