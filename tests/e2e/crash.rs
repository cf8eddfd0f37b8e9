//! kill -9 of a whole pipeline in the middle of a load: nothing is lost, nothing is done twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hephaestus_pipeline::engine::{
    Engine, Log,
    embedded::{EmbeddedConfig, EmbeddedEngine},
};
use hephaestus_schemas::{
    Analysis, ChangeRequest, ChangeRequestEvent,
    topics::{ANALYSES, CHANGE_REQUESTS, CLASSIFIED_LOGS, RAW_LOGS, dead_letter_topic},
};

use tokio::sync::watch;

use crate::up::{
    Seeded, Up, accounted, all, classified, record, sample, sample_node, sample_repository,
    settled, values,
};

/// Lines written at once.
const BATCH: usize = 100;
/// Lines that are kept back until the moment of the kill has come, so that a slow pipeline is not struck after the load.
const RESERVE: usize = 10 * BATCH;
/// Change requests for what can be mended in the sample service.
const MENDED: usize = 4;

/// A line and its source.
type Line = (&'static str, String);

/// When a pipeline is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So many lines were acknowledged.
    Lines(usize),
    /// A topic has so many records.
    Records(&'static str, u64),
    /// The repository has so many branches besides its own.
    Branches(usize),
}

/// The logs of the sample service, from several instances at once.
fn load() -> Vec<Line> {
    let log = |name: &str| std::fs::read_to_string(sample().join("logs").join(name)).unwrap();
    let (app, worker) = (log("app.log"), log("worker.log"));
    let mut sources = [
        ("bookshop/web-1/app", app.lines()),
        ("bookshop/web-2/app", app.lines()),
        ("bookshop/worker-1/app", worker.lines()),
    ];
    let mut load = Vec::new();
    loop {
        let before = load.len();
        for (source, lines) in &mut sources {
            load.extend(lines.take(3).map(|line| (*source, line.to_owned())));
        }
        if load.len() == before {
            return load;
        }
    }
}

/// Writes batches until all are acknowledged, or nobody answers any more; the reserve only once it `may_end`.
async fn feed(
    log: Arc<dyn Log>,
    lines: Vec<Line>,
    acknowledged: Arc<AtomicUsize>,
    mut may_end: watch::Receiver<bool>,
) {
    for (number, batch) in lines.chunks(BATCH).enumerate() {
        let is_reserve = (number + 1) * BATCH + RESERVE > lines.len();
        if is_reserve && may_end.wait_for(|may_end| *may_end).await.is_err() {
            return;
        }
        let records =
            batch.iter().map(|(source, line)| record(RAW_LOGS, None, source, line.as_bytes()));
        if log.append(records.collect()).await.is_err() {
            return;
        }
        acknowledged.fetch_add(batch.len(), Ordering::SeqCst);
    }
}

fn branches(repository: &git2::Repository) -> usize {
    repository.branches(Some(git2::BranchType::Local)).unwrap().count() - 1
}

async fn records(log: &Arc<dyn Log>, topic: &str) -> u64 {
    let topics = log.topics().await.unwrap();
    let info = topics.iter().find(|info| info.spec.name.as_ref() == topic).unwrap();
    info.partitions.iter().map(|partition| partition.end).sum()
}

async fn wait_for(
    moment: Moment,
    log: &Arc<dyn Log>,
    repository: &git2::Repository,
    acknowledged: &AtomicUsize,
) {
    let started = Instant::now();
    loop {
        let is_reached = match moment {
            Moment::Lines(count) => acknowledged.load(Ordering::SeqCst) >= count,
            Moment::Records(topic, count) => records(log, topic).await >= count,
            Moment::Branches(count) => branches(repository) >= count,
        };
        if is_reached {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{moment:?} does not come");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What a killed pipeline left behind.
struct Left {
    raw: usize,
    classified: usize,
    /// Records that its stages had not handled.
    waiting: u64,
    change_requests: u64,
}

async fn left_behind(directory: &Path) -> Left {
    let engine = EmbeddedEngine::open(EmbeddedConfig::new(directory)).await.unwrap();
    let log: Arc<dyn Log> = engine.clone();
    let mut waiting = 0;
    for stage in ["classifier", "analyzer", "proposer", "change-requester"] {
        let offsets = log.group_offsets(stage).await.unwrap();
        waiting += offsets.iter().map(|offset| offset.end - offset.next).sum::<u64>();
    }
    let times = accounted(&all(&log, CLASSIFIED_LOGS).await);
    assert!(times.values().all(|count| *count == 1), "a line was read twice");
    let left = Left {
        raw: all(&log, RAW_LOGS).await.len(),
        classified: times.len(),
        waiting,
        change_requests: records(&log, CHANGE_REQUESTS).await,
    };
    engine.close().await.unwrap();
    left
}

fn moments(seed: u64, lines: usize) -> Vec<Moment> {
    let mut chance = Seeded(seed);
    let mut moments = vec![
        Moment::Lines(1 + chance.below(lines / 20)),
        Moment::Records(ANALYSES, 1 + chance.below(3) as u64),
        Moment::Branches(1 + chance.below(2)),
        Moment::Records(CHANGE_REQUESTS, 2 + chance.below(2) as u64),
    ];
    moments.push(Moment::Lines(lines / 4 + chance.below(lines / 2)));
    moments
}

/// Kills a pipeline several times; says how often a branch was there that no event told of.
async fn killed_and_finished(seed: u64) -> usize {
    let directory = tempfile::tempdir().unwrap();
    let repository = sample_repository(&directory.path().join("bookshop"));
    let config = directory.path().join("h.toml");
    // Finished work waits long enough for a kill to come between it and its commit.
    let slow = "[limits]\ncommit_interval = \"100ms\"\n";
    let node = sample_node(&directory.path().join("bookshop"), "deploy");
    std::fs::write(&config, slow.to_owned() + &node).unwrap();
    let data = directory.path().join("data");

    let load = load();
    let mut there = 0;
    let mut untold = 0;
    for moment in moments(seed, load.len()) {
        let up = Up::configured(&data, &config);
        let log = up.log().await;
        let acknowledged = Arc::new(AtomicUsize::new(there));
        let (end, may_end) = watch::channel(false);
        let lines = load[there..].to_vec();
        let feeding = tokio::spawn(feed(log.clone(), lines, acknowledged.clone(), may_end));
        wait_for(moment, &log, &repository, &acknowledged).await;
        let before = acknowledged.load(Ordering::SeqCst);
        end.send_replace(true);
        // Whatever was there may be done by now; this is not.
        let further = Moment::Lines(before + 1);
        wait_for(further, &log, &repository, &acknowledged).await;
        up.kill();
        feeding.await.unwrap();

        let acknowledged = acknowledged.load(Ordering::SeqCst);
        let left = left_behind(&data).await;
        let next = (acknowledged + BATCH).min(load.len());
        assert!(
            left.raw == acknowledged || left.raw == next,
            "seed {seed}, {moment:?}: {} of {acknowledged} acknowledged lines",
            left.raw
        );
        assert!(left.raw < load.len(), "seed {seed}, {moment:?} came after the load");
        let busy = left.waiting > 0 || left.classified < left.raw;
        assert!(busy, "seed {seed}, {moment:?} struck a pipeline with nothing to do");
        if matches!(moment, Moment::Branches(_))
            && left.change_requests < branches(&repository) as u64
        {
            untold += 1;
        }
        there = left.raw;
    }

    let up = Up::configured(&data, &config);
    let log = up.log().await;
    let (_end, may_end) = watch::channel(true);
    feed(log.clone(), load[there..].to_vec(), Arc::default(), may_end).await;
    let (raw, _) = classified(&log).await;
    settled(&log).await;

    let mut by_source: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    for record in &raw {
        let source = std::str::from_utf8(record.key.as_deref().unwrap()).unwrap();
        by_source.entry(source).or_default().push(record.value.as_deref().unwrap());
    }
    for (source, lines) in by_source {
        let sent = load.iter().filter(|(of, _)| *of == source).map(|(_, line)| line.as_bytes());
        assert!(sent.eq(lines), "seed {seed}: lines of {source}, in order");
    }
    assert_eq!(raw.len(), load.len());

    let codec = up.codec();
    let analyses: Vec<Analysis> = values(&log, &codec, ANALYSES).await;
    let incidents: BTreeSet<_> = analyses.iter().map(|one| &one.incident_id).collect();
    assert_eq!(incidents.len(), analyses.len(), "seed {seed}: an incident was analyzed twice");
    let requests: Vec<ChangeRequest> = values(&log, &codec, CHANGE_REQUESTS).await;
    let is_opened = |one: &&ChangeRequest| one.event == ChangeRequestEvent::Opened;
    let opened: Vec<_> = requests.iter().filter(is_opened).collect();
    let proposals: BTreeSet<_> = opened.iter().map(|one| &one.proposal_id).collect();
    assert_eq!((opened.len(), proposals.len()), (MENDED, MENDED), "seed {seed}: {requests:?}");
    assert_eq!(branches(&repository), MENDED, "seed {seed}");
    for request in opened {
        let branch =
            repository.find_branch(request.branch.as_deref().unwrap(), git2::BranchType::Local);
        let tip = branch.unwrap().get().target().unwrap().to_string();
        assert_eq!(Some(tip), request.commit);
    }
    for stage in ["classifier", "analyzer", "proposer", "change-requester"] {
        assert!(all(&log, &dead_letter_topic(stage)).await.is_empty(), "{stage}");
    }
    up.stop().good();
    untold
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_is_killed_again_and_again_does_everything_once() {
    let mut untold = 0;
    for seed in [1, 2, 3] {
        untold += killed_and_finished(seed).await;
    }
    assert!(untold > 0, "no kill came between a branch and its event");
}
