//! Runs rounds of faults, asserts after each what is promised, and keeps the account of it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::Result;
use rdkafka::error::KafkaResult;

use crate::{
    broker::Broker,
    check::Totals,
    oracle::Violation,
    pipeline::Pipeline,
    schedule::{self, KINDS, Kind, Planned},
    strike::strike,
};

/// Records issued in a second.
pub(crate) const RATE: u64 = 300;
/// Longest time without the progress that a fault waits for.
const PROGRESS: Duration = Duration::from_secs(120);
/// Longest time until everything has come to rest after the faults of a round.
const SETTLE: Duration = Duration::from_secs(180);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Violations that are shown.
const MAX_SHOWN: usize = 20;

/// The account of a run.
pub(crate) struct Account {
    pub(crate) seed: u64,
    pub(crate) rounds: u64,
    pub(crate) struck: BTreeMap<Kind, u64>,
    pub(crate) totals: Totals,
    pub(crate) wrong: Vec<String>,
    /// Processes that ended and were not asked to.
    pub(crate) ended: Vec<String>,
    /// How often the load's own producer had to be made anew.
    pub(crate) renewals: u64,
    /// Longest time until a round had come to rest, in milliseconds.
    pub(crate) slowest_rest_ms: u128,
    started: Instant,
    took: Duration,
}

impl Account {
    /// Nothing has happened yet.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            rounds: 0,
            struck: BTreeMap::new(),
            totals: Totals::default(),
            wrong: Vec::new(),
            ended: Vec::new(),
            renewals: 0,
            slowest_rest_ms: 0,
            started: Instant::now(),
            took: Duration::ZERO,
        }
    }

    /// Faults that struck.
    pub(crate) fn faults(&self) -> u64 {
        self.struck.values().sum()
    }

    /// The account as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        let minutes = self.took.as_secs_f64() / 60.0;
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
        let _ = writeln!(
            text,
            "{date}, seed {}: {} faults in {} rounds and {minutes:.1} minutes, {} violations.\n",
            self.seed,
            self.faults(),
            self.rounds,
            self.wrong.len()
        );
        let _ = writeln!(text, "| fault | struck |\n|---|---|");
        for kind in KINDS {
            let _ = writeln!(text, "| {kind} | {} |", self.struck.get(&kind).unwrap_or(&0));
        }
        let totals = &self.totals;
        let _ = writeln!(text, "\n| records | |\n|---|---|");
        for (what, count) in [
            ("issued", totals.issued),
            ("acknowledged", totals.acknowledged),
            ("lines read by the classifier", totals.lines),
            ("events, each of one line", totals.classified),
            ("events and unreadable records that count for the analyzer", totals.analyzer_inputs),
            ("of these, in an analysis", totals.analyzed),
            ("of these, in the state, waiting for their incident", totals.held),
            ("of these, in the dead letters", totals.dead_letters),
            ("inputs that the load's own producer wrote twice", totals.written_again),
        ] {
            let _ = writeln!(text, "| {what} | {count} |");
        }
        let _ = writeln!(
            text,
            "\nThe slowest round had come to rest {} ms after its last fault. Processes that ended without being \
             asked to: {}. The load's own producer was given up by librdkafka {} times.",
            self.slowest_rest_ms,
            self.ended.len(),
            self.renewals
        );
        for wrong in &self.wrong {
            let _ = writeln!(text, "\n    {wrong}");
        }
        text
    }

    fn tell(&self, text: &str) {
        let at = self.started.elapsed().as_secs_f64();
        eprintln!("{at:8.1} s  {text}");
    }

    fn wrong(&mut self, text: String) {
        self.tell(&format!("WRONG {text}"));
        self.wrong.push(text);
    }
}

/// Runs one round of faults, each brief kind `further` times more than once, and asserts what is promised once they are
/// over.
pub(crate) async fn round(
    broker: &Broker,
    pipeline: &mut Pipeline,
    account: &mut Account,
    number: u64,
    further: usize,
) -> Result<()> {
    pipeline.load.run(RATE).await;
    for planned in schedule::round(account.seed, number, further) {
        progress(pipeline, account, planned.after).await;
        one(broker, pipeline, account, &planned).await?;
        supervise(pipeline, account)?;
    }
    come_to_rest(pipeline, account).await?;
    // Fresh records flow: one of each source, once everything is as it should be.
    pipeline.load.one_each().await;
    come_to_rest(pipeline, account).await?;
    account.rounds += 1;
    Ok(())
}

async fn one(
    broker: &Broker,
    pipeline: &mut Pipeline,
    account: &mut Account,
    planned: &Planned,
) -> Result<()> {
    match strike(broker, pipeline, planned).await {
        Ok(seen) => {
            account.tell(&format!("{}: {seen}", planned.fault.kind()));
            let inside = planned.meanwhile.map(|fault| fault.kind());
            for kind in inside.into_iter().chain([planned.fault.kind()]) {
                *account.struck.entry(kind).or_default() += 1;
            }
        }
        Err(error) => {
            let (fault, why) = (format!("{:?}", planned.fault), format!("{error:#}"));
            account.wrong(Violation::DidNotStrike { fault, why }.to_string());
        }
    }
    // Whatever was begun is over now.
    broker.proxy.heal();
    broker.up()?;
    pipeline.wake();
    Ok(())
}

/// Waits until some records more are acknowledged.
pub(crate) async fn progress(pipeline: &mut Pipeline, account: &mut Account, records: u64) {
    let wanted = pipeline.load.acknowledged() + records;
    let waited = tokio::time::timeout(PROGRESS, pipeline.load.wait_for(wanted)).await;
    if waited.is_err() {
        let there = pipeline.load.acknowledged();
        account.wrong(format!("{there} of {wanted} records were acknowledged in {PROGRESS:?}"));
    }
}

/// Starts again what ended on its own, and notes it.
pub(crate) fn supervise(pipeline: &mut Pipeline, account: &mut Account) -> Result<()> {
    for ended in pipeline.supervise()? {
        account.tell(&ended);
        account.ended.push(ended);
    }
    Ok(())
}

/// Waits until everything issued has had its effect, and asserts that it had the right one.
pub(crate) async fn come_to_rest(pipeline: &mut Pipeline, account: &mut Account) -> Result<()> {
    let started = Instant::now();
    if tokio::time::timeout(SETTLE, pipeline.load.pause()).await.is_err() {
        account.wrong(format!("what was issued was not acknowledged within {SETTLE:?}"));
    }
    let unfinished = loop {
        supervise(pipeline, account)?;
        let unfinished = match look(pipeline).await {
            Ok(unfinished) => unfinished.iter().map(ToString::to_string).collect(),
            Err(error) => vec![error.to_string()],
        };
        if unfinished.is_empty() || started.elapsed() > SETTLE {
            break unfinished;
        }
        tokio::time::sleep(LOOK).await;
    };
    let rest_ms = started.elapsed().as_millis();
    account.slowest_rest_ms = account.slowest_rest_ms.max(rest_ms);
    account.totals = pipeline.check.totals(&pipeline.load);
    account.took = account.started.elapsed();
    account.tell(&format!("at rest after {rest_ms} ms: {:?}", account.totals));
    let count = unfinished.len();
    if count > MAX_SHOWN {
        account.wrong(format!("{count} things are unfinished, of which the first are shown"));
    }
    for one in unfinished.into_iter().take(MAX_SHOWN) {
        account.wrong(one);
    }
    for violation in pipeline.check.take_wrong() {
        account.wrong(violation.to_string());
    }
    let renewals = std::mem::take(&mut pipeline.load.books().renewals);
    for why in renewals {
        account.tell(&format!("the load's producer was made anew: {why}"));
        account.renewals += 1;
    }
    let failures = std::mem::take(&mut pipeline.load.books().failures);
    for failure in failures {
        account.wrong(format!("the producer gave up: {failure}"));
    }
    Ok(())
}

async fn look(pipeline: &mut Pipeline) -> KafkaResult<Vec<Violation>> {
    pipeline.check.catch_up(&pipeline.load).await?;
    pipeline.check.unfinished(&pipeline.load)
}
