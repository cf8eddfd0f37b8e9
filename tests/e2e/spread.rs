//! However one input is spread over partitions, processes and time, the same failures are counted
//! and the same incidents open.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use hephaestus_pipeline::{engine::Log, partitioner::partition_for};
use hephaestus_schemas::{
    Analysis, ClassifiedLog,
    topics::{ANALYSES, CLASSIFIED_LOGS, RAW_LOGS},
};

use crate::{
    support::{run, text},
    up::{Seeded, Up, all, classified, record, sample, settled, values},
};

/// Events that open an incident: more than most failures have on any one instance.
const THRESHOLD: usize = 12;
/// Lines written at once.
const BATCH: usize = 400;

/// Milliseconds after which an event is complete: nothing is cut in two because this machine is busy.
const FLUSH_MS: u32 = 15_000;

/// How often each failure was seen.
pub(crate) type Counts = BTreeMap<String, usize>;

/// One source: its name and its lines in order.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) lines: Vec<String>,
}

/// A record of a service's log with a trace below its first line, for a number of the hour.
fn failure(kind: usize, number: usize) -> String {
    let at = format!("2026-11-22 14:{:02}:{:02},{:03}", 30 + number / 60, number % 60, number);
    match kind {
        0 => format!(
            "{at} ERROR shop.Orders - order {number} failed\njava.lang.IllegalStateException: no stock \
             of {number}\n\tat com.shop.Stock.take(Stock.java:17)\n\tat com.shop.Orders.place(Orders.java:{number})\n\
             Caused by: java.io.IOException: connection reset\n\tat com.shop.Db.read(Db.java:9)\n\t... 2 more"
        ),
        1 => format!(
            "{at} ERROR [shop.cart] cart {number} is broken\nTraceback (most recent call last):\n  File \
             \"/srv/shop/cart.py\", line {number}, in total\n    return sum(prices)\nTypeError: unsupported \
             operand type(s) for +: 'int' and 'str'\n\nDuring handling of the above exception, another \
             exception occurred:\n\nTraceback (most recent call last):\n  File \"/srv/shop/cart.py\", line 40, \
             in show\n    self.total()\nRuntimeError: cart {number}"
        ),
        2 => format!(
            "{at} ERROR checkout of {number}\nTypeError: Cannot read properties of undefined (reading \
             'price')\n    at checkout (/srv/shop/src/checkout.js:{number}:11)\n    at next \
             (/srv/shop/node_modules/express/lib/router.js:9:5)"
        ),
        3 => {
            format!("{at} ERROR payment {number} was refused after {number} ms by 10.0.0.{number}")
        }
        _ => format!("{at} INFO order {number} was placed"),
    }
}

/// Sources of several services: the sample's logs as if several instances had written them, and
/// traces of other languages. The last event of a source is as good as any other.
pub(crate) fn sources() -> Vec<Source> {
    let mut chance = Seeded(11);
    let log = |name: &str| std::fs::read_to_string(sample().join("logs").join(name)).unwrap();
    let mut sources = spread(&events_of(&log("app.log"), "2026-"), "bookshop/web", 4, &mut chance);
    sources.extend(spread(&events_of(&log("worker.log"), "{"), "bookshop/worker", 3, &mut chance));
    let access: Vec<String> = log("access.log").lines().take(300).map(str::to_owned).collect();
    sources.extend(spread(&access, "bookshop/proxy", 2, &mut chance));
    let synthetic: Vec<String> = (0..150).map(|number| failure(chance.below(5), number)).collect();
    sources.extend(spread(&synthetic, "shop/api", 5, &mut chance));
    sources
}

/// The events of a log, each of which begins with a line that starts in a certain way.
fn events_of(log: &str, start: &str) -> Vec<String> {
    let mut events: Vec<String> = Vec::new();
    for line in log.lines() {
        match events.last_mut() {
            Some(event) if !line.starts_with(start) => write!(event, "\n{line}").unwrap(),
            _ => events.push(line.to_owned()),
        }
    }
    events
}

/// Events as several instances of one service would have written them.
fn spread(events: &[String], name: &str, instances: usize, chance: &mut Seeded) -> Vec<Source> {
    let source = |instance| Source { name: format!("{name}-{instance}/log"), lines: Vec::new() };
    let mut sources: Vec<Source> = (0..instances).map(source).collect();
    for event in events {
        let instance = chance.below(instances);
        sources[instance].lines.extend(event.lines().map(str::to_owned));
    }
    sources
}

/// Lines of all sources in some order, which is that of the source for each of them.
pub(crate) fn interleaved<'a>(sources: &[&'a Source], seed: u64) -> Vec<(&'a str, &'a str)> {
    let mut chance = Seeded(seed);
    let mut left: Vec<(&Source, usize)> = sources.iter().map(|source| (*source, 0)).collect();
    let mut lines = Vec::new();
    while !left.is_empty() {
        let index = chance.below(left.len());
        let (source, next) = &mut left[index];
        // Now one line, now many: shippers send batches.
        for _ in 0..=chance.below(8) {
            let Some(line) = source.lines.get(*next) else { break };
            lines.push((source.name.as_str(), line.as_str()));
            *next += 1;
        }
        if *next == source.lines.len() {
            left.swap_remove(index);
        }
    }
    lines
}

pub(crate) async fn write(log: &Arc<dyn Log>, lines: &[(&str, &str)]) {
    for batch in lines.chunks(BATCH) {
        let records =
            batch.iter().map(|(source, line)| record(RAW_LOGS, None, source, line.as_bytes()));
        log.append(records.collect()).await.unwrap();
    }
}

/// A configuration with a node for each service, and what else it is to say.
pub(crate) fn node_config(directory: &Path, partitions: u32, flush_ms: u32, more: &str) -> PathBuf {
    let file = directory.join("h.toml");
    let mut config = format!(
        "{more}[partitions]\ndefault = {partitions}\nraw-logs = {partitions}\n\
         [classifier]\nflush_timeout_ms = {flush_ms}\n"
    );
    for name in ["bookshop", "shop"] {
        // Nothing is looked up in a repository: incidents alone count here.
        let repository = directory.join("none");
        write!(
            config,
            "[[node]]\nname = {name:?}\nsources = [\"{name}/**\"]\nrepository = {:?}\n\
             threshold_count = {THRESHOLD}\nthreshold_window = \"10m\"\n",
            text(&repository)
        )
        .unwrap();
    }
    std::fs::write(&file, config).unwrap();
    file
}

pub(crate) fn counts(events: &[ClassifiedLog]) -> Counts {
    let mut counts = Counts::new();
    for event in events {
        *counts.entry(event.fingerprint.clone()).or_default() += 1;
    }
    counts
}

pub(crate) fn total(all: impl IntoIterator<Item = Counts>) -> Counts {
    let mut sum = Counts::new();
    for (fingerprint, count) in all.into_iter().flatten() {
        *sum.entry(fingerprint).or_default() += count;
    }
    sum
}

/// What a whole pipeline makes of the sources with so many partitions: counts and incidents.
async fn through_up(
    sources: &[Source],
    partitions: u32,
    seed: u64,
) -> (Counts, BTreeSet<(String, String)>) {
    let directory = tempfile::tempdir().unwrap();
    let up = Up::configured(
        &directory.path().join("data"),
        &node_config(directory.path(), partitions, FLUSH_MS, ""),
    );
    let log = up.log().await;
    write(&log, &interleaved(&sources.iter().collect::<Vec<_>>(), seed)).await;
    let (raw, events) = classified(&log).await;
    let used: BTreeSet<u32> = raw.iter().map(|record| record.partition).collect();
    assert!(partitions == 1 || used.len() > 2, "sources lie in {used:?} of {partitions}");
    settled(&log).await;

    let codec = up.codec();
    let found = counts(&values(&log, &codec, CLASSIFIED_LOGS).await);
    assert_eq!(found.values().sum::<usize>(), events.len());
    let analyses: Vec<Analysis> = values(&log, &codec, ANALYSES).await;
    let incidents =
        analyses.iter().map(|one| (one.node.clone(), one.fingerprint.clone())).collect();
    assert_eq!(analyses.len(), BTreeSet::len(&incidents), "one incident for each failure");
    up.stop().good();
    (found, incidents)
}

/// What processes of their own, one for each of so many partitions, make of the sources.
async fn through_processes(sources: &[Source], partitions: u32, seed: u64) -> Counts {
    let directory = tempfile::tempdir().unwrap();
    let file = node_config(directory.path(), 4, FLUSH_MS, "");
    let mut running = Vec::new();
    for partition in 0..partitions {
        let of_it =
            |source: &&Source| partition_for(source.name.as_bytes(), partitions) == partition;
        let own: Vec<&Source> = sources.iter().filter(of_it).collect();
        if own.is_empty() {
            continue;
        }
        let data = directory.path().join(partition.to_string());
        let at = ["--listen", "127.0.0.1:0", "--dir", text(&data), "--config", text(&file)];
        let process = Up::with(&[&["run", "classifier"], &at[..]].concat());
        write(&process.log().await, &interleaved(&own, seed + u64::from(partition))).await;
        running.push(process);
    }
    assert!(running.len() > 2, "{} processes", running.len());
    let mut found = Vec::new();
    for process in running {
        let log = process.log().await;
        classified(&log).await;
        assert!(all(&log, ANALYSES).await.is_empty());
        found.push(counts(&values(&log, &process.codec(), CLASSIFIED_LOGS).await));
        process.stop().good();
    }
    total(found)
}

/// What `inspect` makes of each source: a process for each, without any pipeline.
pub(crate) fn through_inspect(sources: &[Source]) -> Vec<Counts> {
    let directory = tempfile::tempdir().unwrap();
    let inspect = |source: &Source| {
        let file = directory.path().join("source.log");
        std::fs::write(&file, source.lines.join("\n")).unwrap();
        let mut counts = Counts::new();
        for event in run(&["inspect", text(&file)]).good().json() {
            *counts.entry(event["fingerprint"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        counts
    };
    sources.iter().map(inspect).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_failures_and_incidents_are_found_however_the_input_is_spread() {
    let sources = sources();
    let by_source = through_inspect(&sources);
    let expected = total(by_source.clone());
    let failures =
        |text: &str| sources.iter().flat_map(|s| &s.lines).filter(|l| l.contains(text)).count();
    assert!(expected.values().any(|count| *count == failures("java.lang.IllegalStateException")));

    let (one, four, sixteen, of_four, of_sixteen) = tokio::join!(
        through_up(&sources, 1, 101),
        through_up(&sources, 4, 104),
        through_up(&sources, 16, 116),
        through_processes(&sources, 4, 204),
        through_processes(&sources, 16, 216),
    );
    let incidents = &one.1;
    let spread = [
        ("1 partition", &one.0),
        ("4 partitions", &four.0),
        ("16 partitions", &sixteen.0),
        ("processes for 4 partitions", &of_four),
        ("processes for 16 partitions", &of_sixteen),
    ];
    for (name, found) in spread {
        let differing: Vec<_> = expected
            .keys()
            .chain(found.keys())
            .filter(|fingerprint| expected.get(*fingerprint) != found.get(*fingerprint))
            .map(|fingerprint| (fingerprint, expected.get(fingerprint), found.get(fingerprint)))
            .collect();
        assert!(differing.is_empty(), "{name}: of inspect, and here: {differing:?}");
    }
    assert_eq!(&four.1, incidents, "4 partitions and 1");
    assert_eq!(&sixteen.1, incidents, "16 partitions and 1");

    // Failures of no one instance, which only counting them together could find.
    let below = |fingerprint: &String| {
        by_source
            .iter()
            .all(|counts| counts.get(fingerprint).is_none_or(|count| *count < THRESHOLD))
    };
    let together = incidents.iter().filter(|(_, fingerprint)| below(fingerprint)).count();
    assert!(together >= 4, "{together} of {incidents:?}");
    let nodes: BTreeSet<&str> = incidents.iter().map(|(node, _)| node.as_str()).collect();
    assert_eq!(nodes, BTreeSet::from(["bookshop", "shop"]));
}
