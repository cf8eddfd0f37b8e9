//! Metrics of a process, in a registry of its own; `docs/metrics.md` says what each means.
//!
//! No label holds anything from a record: stages and classes of failures are names in the code.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};

use super::catalogue as of;
use crate::{engine::GroupOffset, health::Health};

/// Content type of what [`Metrics::render`] gives.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// A commit takes a disk's flush or a round trip.
const COMMIT_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Work takes from microseconds (a line) to minutes (a model's answer).
const PROCESS_SECONDS: &[f64] =
    &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0];
/// From the reading of what was just written to the catching up after an outage.
const LATENCY_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0];

/// Why metrics cannot be made or shown: a fault of the program.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// The metrics of a process. Clones are the same ones.
#[derive(Debug, Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    polled: IntCounterVec,
    records: IntCounterVec,
    outputs: IntCounterVec,
    dead_letters: IntCounterVec,
    retries: IntCounterVec,
    commits: IntCounterVec,
    commit_seconds: HistogramVec,
    process_seconds: HistogramVec,
    event_to_commit_seconds: HistogramVec,
    rebalances: IntCounterVec,
    failures: IntCounterVec,
    state_lookups: IntCounterVec,
    in_flight_bytes: IntGaugeVec,
    in_flight_records: IntGaugeVec,
    state_cache_bytes: IntGaugeVec,
    group_lag_records: IntGaugeVec,
    group_lag_seconds: GaugeVec,
    loops_stuck: IntGauge,
    loops_not_ready: IntGauge,
}

impl Metrics {
    /// Registers every metric of the catalogue.
    ///
    /// # Errors
    /// Where two of them clash, which is a fault of the program.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let build_info = gauges(&registry, &of::BUILD_INFO)?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let inner = Inner {
            polled: counters(&registry, &of::POLLED)?,
            records: counters(&registry, &of::RECORDS)?,
            outputs: counters(&registry, &of::OUTPUTS)?,
            dead_letters: counters(&registry, &of::DEAD_LETTERS)?,
            retries: counters(&registry, &of::RETRIES)?,
            commits: counters(&registry, &of::COMMITS)?,
            commit_seconds: histograms(&registry, &of::COMMIT_SECONDS, COMMIT_SECONDS)?,
            process_seconds: histograms(&registry, &of::PROCESS_SECONDS, PROCESS_SECONDS)?,
            event_to_commit_seconds: histograms(&registry, &of::EVENT_TO_COMMIT, LATENCY_SECONDS)?,
            rebalances: counters(&registry, &of::REBALANCES)?,
            failures: counters(&registry, &of::FAILURES)?,
            state_lookups: counters(&registry, &of::STATE_LOOKUPS)?,
            in_flight_bytes: gauges(&registry, &of::IN_FLIGHT_BYTES)?,
            in_flight_records: gauges(&registry, &of::IN_FLIGHT_RECORDS)?,
            state_cache_bytes: gauges(&registry, &of::STATE_CACHE_BYTES)?,
            group_lag_records: gauges(&registry, &of::GROUP_LAG_RECORDS)?,
            group_lag_seconds: registered(
                &registry,
                GaugeVec::new(opts(&of::GROUP_LAG_SECONDS), of::GROUP_LAG_SECONDS.labels)?,
            )?,
            loops_stuck: registered(&registry, IntGauge::with_opts(opts(&of::LOOPS_STUCK))?)?,
            loops_not_ready: registered(
                &registry,
                IntGauge::with_opts(opts(&of::LOOPS_NOT_READY))?,
            )?,
            registry,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Shows a metric that a stage has of its own; its labels come from code or configuration, never from a record.
    ///
    /// # Errors
    /// Where another has its name, which is a fault of the program.
    pub fn add(&self, metric: Box<dyn Collector>) -> Result<(), MetricsError> {
        Ok(self.inner.registry.register(metric)?)
    }

    /// The metrics of one session of a stage, their labels looked up once.
    ///
    /// Sessions of one stage add to the same metrics, gauges too.
    pub fn stage(&self, stage: &'static str) -> StageMetrics {
        let inner = &self.inner;
        let labels = &[stage];
        let held = |gauges: &IntGaugeVec| Held::new(gauges.with_label_values(labels));
        StageMetrics {
            inner: Arc::new(StageInner {
                stage,
                metrics: self.clone(),
                polled: inner.polled.with_label_values(labels),
                records: inner.records.with_label_values(labels),
                outputs: inner.outputs.with_label_values(labels),
                committed: inner.commits.with_label_values(&[stage, "committed"]),
                commits_fenced: inner.commits.with_label_values(&[stage, "fenced"]),
                commits_failed: inner.commits.with_label_values(&[stage, "failed"]),
                commit_seconds: inner.commit_seconds.with_label_values(labels),
                process_seconds: inner.process_seconds.with_label_values(labels),
                event_to_commit_seconds: inner.event_to_commit_seconds.with_label_values(labels),
                assigned: inner.rebalances.with_label_values(&[stage, "assigned"]),
                revoked: inner.rebalances.with_label_values(&[stage, "revoked"]),
                failures: inner.failures.with_label_values(labels),
                state_hits: inner.state_lookups.with_label_values(&[stage, "hit"]),
                state_misses: inner.state_lookups.with_label_values(&[stage, "miss"]),
                in_flight_bytes: held(&inner.in_flight_bytes),
                in_flight_records: held(&inner.in_flight_records),
                state_cache_bytes: held(&inner.state_cache_bytes),
            }),
        }
    }

    /// Sets how far a group is behind, as the engine says it.
    pub fn group_lag(&self, group: &str, offsets: &[GroupOffset]) {
        for offset in offsets {
            let partition = offset.partition.partition.to_string();
            let labels = [group, &offset.partition.topic, &partition];
            let records = offset.end.saturating_sub(offset.next);
            let lag_records = self.inner.group_lag_records.with_label_values(&labels);
            lag_records.set(i64::try_from(records).unwrap_or(i64::MAX));
            let lag = Duration::from_millis(offset.lag_ms);
            let lag_seconds = self.inner.group_lag_seconds.with_label_values(&labels);
            lag_seconds.set(lag.as_secs_f64());
        }
    }

    /// Sets how many loops are stuck or not ready; called before [`Metrics::render`].
    pub fn health(&self, health: &Health) {
        let stuck = health.liveness().err().map_or(0, |stuck| stuck.len());
        let not_ready = health.readiness().err().map_or(0, |loops| loops.len());
        self.inner.loops_stuck.set(as_i64(stuck));
        self.inner.loops_not_ready.set(as_i64(not_ready));
    }

    /// All metrics as Prometheus reads them; see [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// Where a metric cannot be written, which is a fault of the program.
    pub fn render(&self) -> Result<String, MetricsError> {
        let families = self.inner.registry.gather();
        Ok(TextEncoder::new().encode_to_string(&families)?)
    }
}

/// The metrics of one session of a stage. Clones are the same session's.
#[derive(Debug, Clone)]
pub struct StageMetrics {
    inner: Arc<StageInner>,
}

#[derive(Debug)]
struct StageInner {
    stage: &'static str,
    metrics: Metrics,
    polled: IntCounter,
    records: IntCounter,
    outputs: IntCounter,
    committed: IntCounter,
    commits_fenced: IntCounter,
    commits_failed: IntCounter,
    commit_seconds: Histogram,
    process_seconds: Histogram,
    event_to_commit_seconds: Histogram,
    assigned: IntCounter,
    revoked: IntCounter,
    failures: IntCounter,
    state_hits: IntCounter,
    state_misses: IntCounter,
    in_flight_bytes: Held,
    in_flight_records: Held,
    state_cache_bytes: Held,
}

impl StageMetrics {
    /// Name of the stage.
    pub fn stage(&self) -> &'static str {
        self.inner.stage
    }

    /// Counts records that a poll brought.
    pub fn polled(&self, records: usize) {
        self.inner.polled.inc_by(as_u64(records));
    }

    /// Observes the time one unit of work took, from its first record to its last output.
    pub fn processed(&self, took: Duration) {
        self.inner.process_seconds.observe(took.as_secs_f64());
    }

    /// Observes the time from an input record's timestamp to the commit of its effects.
    pub fn event_to_commit(&self, took: Duration) {
        self.inner.event_to_commit_seconds.observe(took.as_secs_f64());
    }

    /// Counts a lookup of keyed state that the cache answered.
    pub fn state_hit(&self) {
        self.inner.state_hits.inc();
    }

    /// Counts a lookup of keyed state that the engine answered.
    pub fn state_miss(&self) {
        self.inner.state_misses.inc();
    }

    /// Sets what this session holds: bytes and records in flight, bytes of cached state.
    pub fn in_flight(&self, bytes: usize, records: usize, cached_state_bytes: usize) {
        self.inner.in_flight_bytes.set(as_i64(bytes));
        self.inner.in_flight_records.set(as_i64(records));
        self.inner.state_cache_bytes.set(as_i64(cached_state_bytes));
    }

    pub(super) fn committed(&self, inputs: usize, outputs: usize, took: Duration) {
        self.inner.records.inc_by(as_u64(inputs));
        self.inner.outputs.inc_by(as_u64(outputs));
        self.inner.committed.inc();
        self.inner.commit_seconds.observe(took.as_secs_f64());
    }

    pub(super) fn commit_fenced(&self) {
        self.inner.commits_fenced.inc();
    }

    pub(super) fn commit_failed(&self) {
        self.inner.commits_failed.inc();
    }

    // Failures are rare, and a class is known only when one happens: these look their labels up.
    pub(super) fn rejected(&self, class: &'static str) {
        let dead_letters = &self.inner.metrics.inner.dead_letters;
        dead_letters.with_label_values(&[self.inner.stage, class]).inc();
    }

    pub(super) fn retried(&self, class: &'static str) {
        let retries = &self.inner.metrics.inner.retries;
        retries.with_label_values(&[self.inner.stage, class]).inc();
    }

    pub(super) fn assigned(&self, partitions: usize) {
        self.inner.assigned.inc_by(as_u64(partitions));
    }

    pub(super) fn revoked(&self, partitions: usize) {
        self.inner.revoked.inc_by(as_u64(partitions));
    }

    pub(super) fn failed(&self) {
        self.inner.failures.inc();
    }
}

/// What one session adds to a gauge that several share; taken back when the session ends.
#[derive(Debug)]
struct Held {
    gauge: IntGauge,
    held: AtomicI64,
}

impl Held {
    fn new(gauge: IntGauge) -> Self {
        Self { gauge, held: AtomicI64::new(0) }
    }

    fn set(&self, value: i64) {
        let before = self.held.swap(value, Ordering::Relaxed);
        self.gauge.add(value - before);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn opts(metric: &of::Metric) -> Opts {
    Opts::new(metric.name, metric.meaning)
}

fn counters(registry: &Registry, metric: &of::Metric) -> prometheus::Result<IntCounterVec> {
    registered(registry, IntCounterVec::new(opts(metric), metric.labels)?)
}

fn gauges(registry: &Registry, metric: &of::Metric) -> prometheus::Result<IntGaugeVec> {
    registered(registry, IntGaugeVec::new(opts(metric), metric.labels)?)
}

fn histograms(
    registry: &Registry,
    metric: &of::Metric,
    buckets: &[f64],
) -> prometheus::Result<HistogramVec> {
    let opts = HistogramOpts::from(opts(metric)).buckets(buckets.to_vec());
    registered(registry, HistogramVec::new(opts, metric.labels)?)
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
