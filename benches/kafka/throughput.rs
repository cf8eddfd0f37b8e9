//! Lines per second and processor time per record, from the offsets that a group commits.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{
    cluster::{Cluster, Progress},
    contender::{Contender, processor_seconds},
};

/// Time between two looks.
const PERIOD: Duration = Duration::from_millis(25);
/// How long one measurement may take.
const LONGEST: Duration = Duration::from_secs(300);
/// Share of the records after which the steady state begins: a virtual machine has compiled what runs.
const WARM: f64 = 0.4;
/// Share of the records at which it ends: behind it some partitions may be done.
const END: f64 = 0.95;

struct Look {
    at: Instant,
    done: u64,
    own: f64,
    broker: f64,
}

/// One measurement.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Measured {
    /// Records committed in a second, in the steady state.
    pub(crate) rate: f64,
    /// The same from the first commit to the last.
    pub(crate) whole_rate: f64,
    /// Microseconds of processor time of the process under test for each record, in the steady state.
    pub(crate) own_us: f64,
    /// The same of the broker.
    pub(crate) broker_us: f64,
}

/// Watches a process until its group has committed `records`.
pub(crate) fn watch(
    cluster: &Cluster,
    progress: &Progress,
    contenders: &mut [Contender],
    records: u64,
) -> Measured {
    let started = Instant::now();
    let mut looks: Vec<Look> = Vec::new();
    loop {
        let done = progress.done();
        let own = contenders.iter().map(|contender| processor_seconds(contender.id())).sum();
        let look =
            Look { at: Instant::now(), done, own, broker: processor_seconds(cluster.process) };
        looks.push(look);
        if done >= records {
            break;
        }
        assert!(
            started.elapsed() < LONGEST,
            "stuck at {done} of {records} records; {}",
            cluster.last_words()
        );
        assert!(!contenders.iter_mut().any(Contender::ended), "it ended at {done} records");
        std::thread::sleep(PERIOD);
    }
    let after = |share: f64| {
        let wanted = (records as f64 * share) as u64;
        looks.iter().find(|look| look.done >= wanted.max(1)).unwrap()
    };
    let (first, warm, end, last) = (after(0.0), after(WARM), after(END), looks.last().unwrap());
    let steady = (end.done - warm.done) as f64;
    Measured {
        rate: steady / (end.at - warm.at).as_secs_f64(),
        whole_rate: (last.done - first.done) as f64 / (last.at - first.at).as_secs_f64(),
        own_us: (end.own - warm.own) * 1e6 / steady,
        broker_us: (end.broker - warm.broker) * 1e6 / steady,
    }
}

/// The middle one.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
