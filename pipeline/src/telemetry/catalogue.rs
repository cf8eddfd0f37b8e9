//! The metrics by name: what [`super::metrics`] registers, and `docs/metrics.md` lists.
//!
//! A test holds the three together.

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Name, as Prometheus shows it.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it means, with its unit.
    pub meaning: &'static str,
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    Metric { name, kind: "counter", labels, meaning }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    Metric { name, kind: "gauge", labels, meaning }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    Metric { name, kind: "histogram", labels, meaning }
}

pub(super) const BUILD_INFO: Metric =
    gauge("hephaestus_build_info", &["version"], "always 1; the label says which version runs");
pub(super) const POLLED: Metric = counter(
    "hephaestus_polled_records_total",
    &["stage"],
    "records read, those that are read again after a change of the group included",
);
pub(super) const RECORDS: Metric = counter(
    "hephaestus_records_total",
    &["stage"],
    "input records that are done: their effects, or their dead letters, are committed",
);
pub(super) const OUTPUTS: Metric = counter(
    "hephaestus_output_records_total",
    &["stage"],
    "records committed: outputs, changelog entries and dead letters",
);
pub(super) const DEAD_LETTERS: Metric = counter(
    "hephaestus_dead_letters_total",
    &["stage", "class"],
    "records rejected, by class of failure; again where the work is done again before its commit",
);
pub(super) const RETRIES: Metric = counter(
    "hephaestus_retries_total",
    &["stage", "class"],
    "times that work was put off because the world was at fault, by class of failure",
);
pub(super) const COMMITS: Metric = counter(
    "hephaestus_commits_total",
    &["stage", "result"],
    "commits by result: `committed`, `fenced` (partitions moved, done again elsewhere), `failed` (tried again)",
);
pub(super) const COMMIT_SECONDS: Metric = histogram(
    "hephaestus_commit_seconds",
    &["stage"],
    "seconds that a commit took, those that succeeded",
);
pub(super) const PROCESS_SECONDS: Metric = histogram(
    "hephaestus_process_seconds",
    &["stage"],
    "seconds that a unit of work took (records of one key, handled together)",
);
pub(super) const EVENT_TO_COMMIT: Metric = histogram(
    "hephaestus_event_to_commit_seconds",
    &["stage"],
    "seconds from an input record's timestamp to the commit of its effects",
);
pub(super) const REBALANCES: Metric = counter(
    "hephaestus_rebalanced_partitions_total",
    &["stage", "change"],
    "partitions that came (`assigned`) or went (`revoked`)",
);
pub(super) const FAILURES: Metric = counter(
    "hephaestus_stage_failures_total",
    &["stage"],
    "times that a stage stopped on a fatal failure",
);
pub(super) const STATE_LOOKUPS: Metric = counter(
    "hephaestus_state_lookups_total",
    &["stage", "result"],
    "lookups of keyed state: `hit` in the cache, `miss` read from the engine",
);
pub(super) const IN_FLIGHT_BYTES: Metric = gauge(
    "hephaestus_in_flight_bytes",
    &["stage"],
    "bytes of inputs and outputs that are read and not yet committed",
);
pub(super) const IN_FLIGHT_RECORDS: Metric = gauge(
    "hephaestus_in_flight_records",
    &["stage"],
    "input records that are read and not yet committed",
);
pub(super) const STATE_CACHE_BYTES: Metric = gauge(
    "hephaestus_state_cache_bytes",
    &["stage"],
    "bytes of keyed state held in memory, roughly",
);
pub(super) const GROUP_LAG_RECORDS: Metric = gauge(
    "hephaestus_group_lag_records",
    &["group", "topic", "partition"],
    "records between a group's committed offset and the end; alert on the seconds instead",
);
pub(super) const GROUP_LAG_SECONDS: Metric = gauge(
    "hephaestus_group_lag_seconds",
    &["group", "topic", "partition"],
    "seconds that the first undone record has been waiting; 0 where there is none",
);
pub(super) const LOOPS_STUCK: Metric = gauge(
    "hephaestus_loops_stuck",
    &[],
    "loops that have not come round within their bound; above 0 the process is not live",
);
pub(super) const LOOPS_NOT_READY: Metric = gauge(
    "hephaestus_loops_not_ready",
    &[],
    "loops that cannot take work; above 0 the process is not ready",
);

/// Every metric.
pub const CATALOGUE: &[Metric] = &[
    BUILD_INFO,
    POLLED,
    RECORDS,
    OUTPUTS,
    DEAD_LETTERS,
    RETRIES,
    COMMITS,
    COMMIT_SECONDS,
    PROCESS_SECONDS,
    EVENT_TO_COMMIT,
    REBALANCES,
    FAILURES,
    STATE_LOOKUPS,
    IN_FLIGHT_BYTES,
    IN_FLIGHT_RECORDS,
    STATE_CACHE_BYTES,
    GROUP_LAG_RECORDS,
    GROUP_LAG_SECONDS,
    LOOPS_STUCK,
    LOOPS_NOT_READY,
];
