//! The figures of the engine on Kafka, against a real broker and against Kafka Streams, in one run.
//!
//! `cargo bench --bench kafka [-- NAME… --records N --rounds N --json]`; see docs/benchmarks.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod cluster;
mod contender;
mod lines;
mod throughput;

use clap::Parser;

use cluster::Cluster;
use contender::{Contender, streams};
use throughput::{Measured, median, watch};

/// Partitions of every topic.
const PARTITIONS: u32 = 4;
/// Topic that is read.
const INPUT: &str = "raw-logs";

#[derive(Parser)]
struct Arguments {
    /// What to measure: streams-copy, streams-classify; without a name, everything.
    names: Vec<String>,
    /// Records in the input.
    #[arg(long, default_value_t = 3_000_000)]
    records: u64,
    /// How often each is measured, in turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Prints one JSON object rather than tables.
    #[arg(long)]
    json: bool,
    /// Further settings of the Streams application to try, separated by spaces; may be repeated.
    #[arg(long)]
    streams: Vec<String>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure(&arguments));
}

async fn measure(arguments: &Arguments) {
    let cluster = Cluster::start();
    cluster.renew(&[(INPUT, PARTITIONS, false)]).await;
    let started = std::time::Instant::now();
    let filled = lines::fill(&cluster.servers, INPUT, PARTITIONS, arguments.records);
    eprintln!(
        "{} records of {:.0} bytes ({}) written in {:.1} s",
        filled.records,
        filled.mean_bytes,
        filled.origin,
        started.elapsed().as_secs_f64()
    );
    let mut variants: Vec<(String, &str, String)> = Vec::new();
    for mode in ["copy", "classify"] {
        let name = format!("streams-{mode}");
        if arguments.names.is_empty() || arguments.names.contains(&name) {
            variants.push((name.clone(), mode, String::new()));
            for settings in &arguments.streams {
                variants.push((format!("{name} {settings}"), mode, settings.clone()));
            }
        }
    }
    let mut all: Vec<Vec<Measured>> = vec![Vec::new(); variants.len()];
    for round in 0..arguments.rounds {
        for (index, ((name, mode, settings), results)) in variants.iter().zip(&mut all).enumerate()
        {
            cluster.renew(&[("output", PARTITIONS, false)]).await;
            let group = format!("streams-{index}-{round}");
            let state = tempfile::tempdir().unwrap();
            let mut command =
                streams(mode, &cluster.servers, &group, (INPUT, "output"), state.path());
            command.args(settings.split_whitespace());
            let mut contender = [Contender::start(&mut command)];
            contender[0].first_line();
            let progress = cluster.progress(&group, INPUT, PARTITIONS);
            let measured = watch(&cluster, &progress, &mut contender, filled.records);
            let [contender] = contender;
            contender.stop();
            eprintln!("{name}: {measured:?}");
            results.push(measured);
        }
    }
    for ((name, ..), results) in variants.iter().zip(&all) {
        println!(
            "{:9.0} lines/s {:9.0} whole, {:.2} us, broker {:.2} us: {name}",
            median(results.iter().map(|it| it.rate)),
            median(results.iter().map(|it| it.whole_rate)),
            median(results.iter().map(|it| it.own_us)),
            median(results.iter().map(|it| it.broker_us)),
        );
    }
}
