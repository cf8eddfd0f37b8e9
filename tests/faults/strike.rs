//! Strikes a running pipeline with a fault, and says how it is known that it struck.

use std::{
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use hephaestus_schemas::topics::state_topic;

use crate::{
    broker::Broker,
    fleet::Process,
    oracle::Ends,
    pipeline::Pipeline,
    proxy::{Counts, Mode},
    quota,
    schedule::{Fault, Planned},
};

/// Longest time until a fault has struck.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Tries in a row to catch a transaction open, and how long the process works by itself after them.
const TRIES: usize = 25;
const BREATH: Duration = Duration::from_secs(5);
/// How long a process may take for a clean end.
const STOP: Duration = Duration::from_secs(20);
/// Number of the signal that asks a process to stop.
const SIGTERM: i32 = 15;
/// The last word of a process whose work did not end in time once it was stopped, or that finds no cluster at its start.
const EXCUSES: [&str; 3] =
    ["did not drain within", "did not come through before the deadline", "engine is unavailable"];
/// How long the transaction of a stopped process is watched before it counts as one that will not end by itself.
const STANDSTILL: Duration = Duration::from_millis(1_500);

/// Strikes; gives what was seen of it.
pub(crate) async fn strike(
    broker: &Broker,
    pipeline: &mut Pipeline,
    planned: &Planned,
) -> Result<String> {
    match planned.fault {
        Fault::Connections { mode, every, lasts_ms } => {
            let before = broker.proxy.counts();
            broker.proxy.set(mode, every);
            let struck = last(broker, pipeline, lasts_ms, planned.meanwhile, |_| {
                harm(mode, before, broker.proxy.counts())
            });
            let struck = struck.await;
            broker.proxy.heal();
            struck.with_context(|| mode.to_string())
        }
        Fault::Quota { bytes_per_second, lasts_ms } => {
            let before = pipeline.load.throttled();
            let address = broker.address;
            tokio::task::block_in_place(|| quota::set(address, Some(bytes_per_second)))?;
            let struck = last(broker, pipeline, lasts_ms, planned.meanwhile, |pipeline| {
                let throttled = pipeline.load.throttled() - before;
                (throttled > 0).then(|| format!("throttled in {throttled} reports"))
            });
            let struck = struck.await;
            tokio::task::block_in_place(|| quota::set(address, None))?;
            struck
        }
        fault => brief(broker, pipeline, fault, false).await,
    }
}

/// Lets a fault last, and at least until it has struck.
async fn last(
    broker: &Broker,
    pipeline: &mut Pipeline,
    lasts_ms: u64,
    meanwhile: Option<Fault>,
    struck: impl Fn(&Pipeline) -> Option<String>,
) -> Result<String> {
    let started = Instant::now();
    let mut inside = String::new();
    if let Some(fault) = meanwhile {
        tokio::time::sleep(Duration::from_millis(lasts_ms / 4)).await;
        inside = format!(", meanwhile {}", brief(broker, pipeline, fault, true).await?);
    }
    loop {
        let lasted = started.elapsed();
        if lasted >= Duration::from_millis(lasts_ms)
            && let Some(struck) = struck(pipeline)
        {
            return Ok(format!("{struck} within {} ms{inside}", lasted.as_millis()));
        }
        ensure!(lasted < PATIENCE, "nothing was seen of it");
        tokio::time::sleep(LOOK).await;
    }
}

/// What the proxy did to connections.
fn harm(mode: Mode, before: Counts, after: Counts) -> Option<String> {
    let (count, what) = match mode {
        Mode::Pass => (0, "nothing"),
        Mode::Slow { .. } => (after.slowed - before.slowed, "chunks slowed"),
        Mode::Frozen => (after.held - before.held, "chunks held"),
        Mode::HalfOpen(_) | Mode::LoseAnswers(_) => (after.lost - before.lost, "bytes lost"),
        Mode::Late(_) => (after.kept - before.kept, "requests kept"),
        Mode::Hold(_) => (after.held - before.held, "requests held"),
        Mode::Reset => (after.reset - before.reset, "connections reset"),
    };
    (count > 0).then(|| format!("{mode}: {count} {what}"))
}

/// A fault that is over when it has struck. One inside of another may keep a process from ending cleanly.
async fn brief(
    broker: &Broker,
    pipeline: &mut Pipeline,
    fault: Fault,
    is_inside: bool,
) -> Result<String> {
    match fault {
        Fault::Kill { victim, down_ms } => {
            let process = pipeline.victim(victim);
            // One that ends on its own at that very moment is started again, as a supervisor would, and struck then.
            while !process.kill().await? {}
            tokio::time::sleep(Duration::from_millis(down_ms)).await;
            process.start_again()?;
            Ok(format!("{} was killed and stayed down for {down_ms} ms", process.name))
        }
        Fault::Restart { victim } => restart(pipeline.victim(victim), is_inside).await,
        Fault::KillBroker => {
            broker.kill()?;
            // Clients are let in once its partitions have leaders: see `broker::PATIENT`.
            broker.proxy.set(Mode::Reset, 1);
            ensure!(!broker.listens(), "the broker still listens");
            let started = Instant::now();
            broker.up()?;
            broker.proxy.heal();
            Ok(format!("the broker was down for {} ms", started.elapsed().as_millis()))
        }
        Fault::Rebalance { victim, works_ms, is_killed } => {
            rebalance(pipeline, victim, works_ms, is_killed).await
        }
        Fault::Expiry { victim } => expiry(pipeline, victim).await,
        Fault::Connections { .. } | Fault::Quota { .. } => Err(anyhow!("{fault:?} is not brief")),
    }
}

async fn restart(process: &mut Process, is_inside: bool) -> Result<String> {
    let started = Instant::now();
    process.supervise()?;
    let how = stop(process, is_inside).await?;
    let took = started.elapsed().as_millis();
    process.start_again()?;
    Ok(format!("{} stopped {how} in {took} ms", process.name))
}

/// Asks a process to stop, and says how it did. One that has reasons for no clean end has to say so.
async fn stop(process: &mut Process, is_inside: bool) -> Result<&'static str> {
    process.signal("TERM")?;
    let status = process.end(STOP).await;
    if status.is_none() {
        process.kill().await?;
    }
    if status.is_some_and(|status| status.success()) {
        return Ok("cleanly");
    }
    // Signals are handled from a process's first moments on, but one that was started just now may not be there yet.
    if status.and_then(|status| status.signal()) == Some(SIGTERM) {
        return Ok("before it had begun");
    }
    // While the cluster is still out of breath from the fault before, a drain may pass its limit.
    let last_lines = process.last_lines();
    let last_line = last_lines.lines().last().unwrap_or_default();
    let says_why = EXCUSES.iter().any(|excuse| last_line.contains(excuse));
    ensure!(is_inside || says_why, "{} stopped with {status:?}: {last_lines}", process.name);
    Ok("without a clean end")
}

async fn rebalance(
    pipeline: &mut Pipeline,
    victim: u64,
    works_ms: u64,
    is_killed: bool,
) -> Result<String> {
    let stage = pipeline.victim(victim).stage;
    let started = Instant::now();
    let mut process = Process::start(stage, pipeline.processes.len(), &pipeline.surroundings)?;
    loop {
        let members = tokio::task::block_in_place(|| pipeline.check.observer.members(stage))
            .unwrap_or_default();
        if members.iter().any(|id| id.starts_with(&process.name)) {
            break;
        }
        // The cluster may still be out of breath from the fault before, and then a start is given up.
        process.supervise()?;
        ensure!(
            started.elapsed() < PATIENCE,
            "{} did not join {members:?}: {}",
            process.name,
            process.last_lines()
        );
        tokio::time::sleep(LOOK).await;
    }
    let joined = started.elapsed().as_millis();
    tokio::time::sleep(Duration::from_millis(works_ms)).await;
    let how = if is_killed {
        while !process.kill().await? {}
        "was killed"
    } else {
        process.supervise()?;
        &format!("stopped {}", stop(&mut process, false).await?)
    };
    Ok(format!("{} joined after {joined} ms, and {how} {works_ms} ms later", process.name))
}

async fn expiry(pipeline: &mut Pipeline, victim: u64) -> Result<String> {
    // Every transaction of these stages writes state.
    let topic = state_topic(pipeline.victim(victim).stage);
    let (caught, tries) = catch(pipeline, victim, &topic).await?;
    let started = Instant::now();
    let name = pipeline.victim(victim).name.clone();
    while is_open(pipeline, &topic, &caught)? {
        let lasted = started.elapsed();
        ensure!(lasted < PATIENCE, "the transaction of {name} was not given up");
        tokio::time::sleep(LOOK).await;
    }
    let lasted = started.elapsed().as_millis();
    pipeline.victim(victim).signal("CONT")?;
    Ok(format!("{name} was caught at try {tries}, its transaction given up {lasted} ms later"))
}

/// Stops a process while it has a transaction open; gives the partitions that it holds up.
async fn catch(pipeline: &mut Pipeline, victim: u64, topic: &str) -> Result<(Vec<Ends>, usize)> {
    let started = Instant::now();
    for tries in 1.. {
        if started.elapsed() > PATIENCE {
            break;
        }
        // One that ended on its own has no transaction, and is started again.
        pipeline.victim(victim).supervise()?;
        pipeline.victim(victim).signal("STOP")?;
        let held: Vec<Ends> =
            ends(pipeline, topic)?.into_iter().filter(|ends| ends.stable < ends.end).collect();
        if !held.is_empty() {
            // Transactions of others end by themselves.
            tokio::time::sleep(STANDSTILL).await;
            if is_open(pipeline, topic, &held)? {
                return Ok((held, tries));
            }
        }
        pipeline.victim(victim).signal("CONT")?;
        // One that was just started gets nowhere while it is stopped again and again.
        tokio::time::sleep(if tries % TRIES == 0 { BREATH } else { LOOK }).await;
    }
    Err(anyhow!("{} was never caught with a transaction open", pipeline.victim(victim).name))
}

/// The ends of a topic's partitions, asked for until there is an answer.
fn ends(pipeline: &mut Pipeline, topic: &str) -> Result<Vec<Ends>> {
    let started = Instant::now();
    loop {
        match tokio::task::block_in_place(|| pipeline.check.observer.ends(&[topic])) {
            Err(error) if started.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => {}
            Ok(ends) => return Ok(ends),
        }
    }
}

/// Whether the last stable offset of one of these partitions is where it was.
fn is_open(pipeline: &mut Pipeline, topic: &str, held: &[Ends]) -> Result<bool> {
    let now = ends(pipeline, topic)?;
    let is_still = |before: &Ends| {
        now.iter().any(|now| {
            now.partition == before.partition && now.stable == before.stable && now.stable < now.end
        })
    };
    Ok(held.iter().any(is_still))
}
