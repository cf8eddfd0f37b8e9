//! Breaks a running pipeline on a real Kafka in every way that a seed gives, and asserts what is promised.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod broker;
mod check;
mod fleet;
mod late;
mod load;
mod model;
mod observer;
mod oracle;
mod pipeline;
mod proxy;
mod quota;
mod run;
mod schedule;
mod strike;

use std::time::{Duration, Instant};

use crate::{
    broker::{Broker, Cluster},
    pipeline::Pipeline,
    run::{Account, come_to_rest, progress, round, supervise},
};

/// Seed of the short run, where none is given.
const SEED: u64 = 4;
/// How often each brief kind of fault strikes in a round of the long run, beyond once.
const DENSE: usize = 9;
/// Brokers of the failover test, and how often each is killed.
const BROKERS: usize = 3;
const FAILOVERS: usize = 2;

/// Whether a broker can be started here; says so where not.
fn can_run() -> bool {
    let Some(missing) = broker::missing() else { return true };
    assert!(std::env::var_os("HEPHAESTUS_TEST_REQUIRE").is_none(), "{missing}");
    eprintln!("skipped: {missing}");
    false
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// Runs rounds until a time has passed, one at least.
async fn run(seed: u64, lasts: Duration, further: usize) -> Account {
    eprintln!("HEPHAESTUS_TEST_SEED={seed} repeats this");
    let directory = tempfile::tempdir().unwrap();
    let mut account = Account::new(seed);
    let broker = Broker::start(&directory.path().join("kafka")).await.unwrap();
    let servers = broker.bootstrap_servers();
    let started = Pipeline::start(directory.path(), &servers, "development", seed).await;
    let mut pipeline = started.unwrap();
    come_to_rest(&mut pipeline, &mut account).await.unwrap();
    let started = Instant::now();
    for number in 0.. {
        round(&broker, &mut pipeline, &mut account, number, further).await.unwrap();
        if started.elapsed() >= lasts || !account.wrong.is_empty() {
            break;
        }
    }
    if !account.wrong.is_empty() {
        // What the processes said is worth more than this line.
        eprintln!("their logs are kept in {}", directory.keep().display());
    }
    account
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_fault_strikes_and_every_effect_happens_once() {
    if !can_run() {
        return;
    }
    let seed = number_of("HEPHAESTUS_TEST_SEED").unwrap_or(SEED);
    let account = run(seed, Duration::ZERO, 0).await;
    assert!(account.wrong.is_empty(), "{}", account.markdown());
}

/// Thousands of faults: `cargo test --release --test faults -- --ignored long --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour, or HEPHAESTUS_TEST_FAULT_MINUTES"]
async fn long() {
    if !can_run() {
        return;
    }
    let seed = number_of("HEPHAESTUS_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let minutes = number_of("HEPHAESTUS_TEST_FAULT_MINUTES").unwrap_or(60);
    let account = run(seed, Duration::from_secs(60 * minutes), DENSE).await;
    println!("{}", account.markdown());
    assert!(account.wrong.is_empty());
}

/// Each of three brokers is killed under load, one at a time.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts three brokers"]
async fn failover() {
    if !can_run() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut account = Account::new(number_of("HEPHAESTUS_TEST_SEED").unwrap_or(SEED));
    let cluster = Cluster::start(&directory.path().join("kafka"), BROKERS).unwrap();
    let servers = &cluster.bootstrap_servers;
    let started = Pipeline::start(directory.path(), servers, "production", account.seed).await;
    let mut pipeline = started.unwrap();
    come_to_rest(&mut pipeline, &mut account).await.unwrap();
    for broker in (1..=BROKERS).cycle().take(BROKERS * FAILOVERS) {
        pipeline.load.run(run::RATE).await;
        progress(&mut pipeline, &mut account, 500).await;
        cluster.kill(broker).unwrap();
        // The others take over: records are acknowledged while this one is down.
        progress(&mut pipeline, &mut account, 1_000).await;
        cluster.up().unwrap();
        supervise(&mut pipeline, &mut account).unwrap();
        come_to_rest(&mut pipeline, &mut account).await.unwrap();
        if !account.wrong.is_empty() {
            eprintln!("their logs are kept in {}", directory.keep().display());
            break;
        }
    }
    println!("{}", account.markdown());
    assert!(account.wrong.is_empty());
}
