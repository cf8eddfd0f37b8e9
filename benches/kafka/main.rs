//! The figures of the engine on Kafka, against a real broker and against Kafka Streams, in one run.
//!
//! `cargo bench --bench kafka [-- NAME… --records N --rounds N --json]`; see docs/benchmarks.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]
// Nothing else runs on the threads that wait here, and what is watched is watched from outside.
#![allow(clippy::disallowed_methods)]

mod cluster;
mod compare;
mod contender;
mod copy;
mod latency;
mod lines;
mod plain;
mod program;
mod recovery;
mod scaling;
#[path = "../figures/shop.rs"]
mod shop;
mod throughput;

use clap::Parser;

/// Partitions of every topic where nothing else is said.
const PARTITIONS: u32 = 4;

#[derive(Parser)]
struct Arguments {
    /// What to measure: throughput (or streams-copy, streams-trace, streams-classify, plain-copy, plain-trace,
    /// engine-copy, classifier alone), latency, scaling, recovery; without a name, everything.
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
    /// A setting of librdkafka to try in the engine: `NAME=VALUE`; may be repeated.
    #[arg(long)]
    kafka: Vec<String>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// That of the program, which the copying stage is compared for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let given: Vec<String> = std::env::args().collect();
    if given.get(1).is_some_and(|first| first == copy::ARGUMENT) {
        runtime.block_on(copy::run(&given[2], &given[3..]));
        return;
    }
    if given.get(1).is_some_and(|first| first == plain::ARGUMENT) {
        plain::run(&given[2], &given[3], given[4] == "true");
        return;
    }
    runtime.block_on(measure(&Arguments::parse()));
}

async fn measure(arguments: &Arguments) {
    let mut report = serde_json::Map::new();
    if let Some(throughput) = compare::measure(arguments).await {
        if !arguments.json {
            compare::print(&throughput);
        }
        report.insert("throughput".to_owned(), throughput);
    }
    let chosen = |name: &str| {
        arguments.names.is_empty() || arguments.names.iter().any(|wanted| wanted == name)
    };
    let mut add = |name: &str, figures: serde_json::Value, print: fn(&serde_json::Value)| {
        if !arguments.json {
            print(&figures);
        }
        report.insert(name.to_owned(), figures);
    };
    if chosen("latency") {
        add("latency", latency::measure().await, latency::print);
    }
    if chosen("scaling") {
        let figures = scaling::measure(arguments.records / 2, arguments.rounds).await;
        add("scaling", figures, scaling::print);
    }
    if chosen("recovery") {
        add("recovery", recovery::measure(arguments.rounds).await, recovery::print);
    }
    if arguments.json {
        println!("{}", serde_json::Value::Object(report));
    }
}
