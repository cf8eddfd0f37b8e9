//! The figures of the README, each a ratio or a bound, measured through the built program.
//!
//! `cargo bench --bench figures` runs all; names after `--` choose: `throughput`, `latency`, `memory`, `inspect`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod inspect;
mod latency;
mod program;
mod shop;
mod throughput;

// As the program does it, of which `inspect` is measured without a process of its own too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let names: Vec<String> =
        std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let chosen = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if chosen("inspect") {
        inspect::measure();
    }
    if chosen("throughput") {
        runtime.block_on(throughput::measure());
    }
    if chosen("memory") {
        runtime.block_on(throughput::measure_memory());
    }
    if chosen("latency") {
        runtime.block_on(latency::measure());
    }
}
