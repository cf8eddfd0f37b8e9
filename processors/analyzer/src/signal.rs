//! What is said of a signal: an analysis without a model, since nothing failed that one could explain.

use hephaestus_pipeline::{config::HumanDuration, record::Origins};
use hephaestus_schemas::{Analysis, ClassifiedLog, Evidence, EvidenceKind, Node, Severity};

use crate::{
    history::{BUCKET, History, NEW_EVENTS, Signal, WEEKS, Watch},
    window::incident_id,
};

/// Names of the signals, in the configuration, in analyses and in metrics.
pub const NEW_PATTERN: &str = "new-pattern";
/// A rate far above what is usual.
pub const RATE: &str = "rate";
/// A pattern that stopped.
pub const SILENCE: &str = "silence";

impl Signal {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::New { .. } => NEW_PATTERN,
            Self::Rate { .. } => RATE,
            Self::Silence { .. } => SILENCE,
        }
    }

    /// When it is given, in microseconds since 1970 UTC.
    pub fn at(&self) -> i64 {
        match self {
            Self::New { at, .. } | Self::Rate { at, .. } | Self::Silence { at, .. } => *at,
        }
    }
}

/// What is watched for in patterns of a severity; none where the node asks for nothing of the kind.
pub fn watch(node: &Node, severity: Severity) -> Option<Watch> {
    let asked = |name: &str| node.signals.iter().any(|signal| signal == name);
    let is_loud = severity >= node.signal_level;
    let is_calm = (Severity::Info..Severity::Warn).contains(&severity);
    let watch = Watch {
        new_pattern: is_loud && asked(NEW_PATTERN),
        rate: is_loud && asked(RATE),
        silence: is_calm && asked(SILENCE),
        warm_from: node.updated_at.saturating_add(node.signal_warm_up_ms.saturating_mul(1_000)),
        since: node.updated_at,
    };
    (watch.new_pattern || watch.rate || watch.silence).then_some(watch)
}

/// The analysis of a signal. The event is the one that gave it; a pattern that stopped has none.
pub fn analysis(
    node: &Node,
    fingerprint: &str,
    history: &History,
    signal: &Signal,
    shown: (&Origins, Option<&ClassifiedLog>),
) -> Analysis {
    let (origins, event) = shown;
    let (title, cause) = words(history, signal);
    let text = event.map_or_else(|| history.title.clone(), crate::evidence::event_text);
    let count = match signal {
        Signal::New { .. } => i64::try_from(NEW_EVENTS).unwrap_or(i64::MAX),
        Signal::Rate { count, .. } => i64::from(*count),
        Signal::Silence { .. } => 0,
    };
    Analysis {
        incident_id: incident_id(&node.id, fingerprint, signal.name(), signal.at()),
        fingerprint: fingerprint.to_owned(),
        node: node.id.clone(),
        repository: node.repository.clone(),
        base_branch: node.base_branch.clone(),
        base_commit: None,
        mode: node.mode,
        policy: node.policy.clone(),
        title,
        severity: history.severity,
        category: history.category.clone(),
        opened_at: signal.at(),
        first_seen: history.first(),
        count,
        cause,
        cause_known: false,
        confidence: 0.0,
        provider: "history".to_owned(),
        recipe: None,
        exception: event.and_then(|event| event.exception.clone()),
        culprits: event.map(|event| event.culprits.clone()).unwrap_or_default(),
        evidence: vec![Evidence { kind: EvidenceKind::Log, origin: origins.to_string(), text }],
        signal: signal.name().to_owned(),
    }
}

/// Title and cause.
fn words(history: &History, signal: &Signal) -> (String, String) {
    let name = &history.title;
    match *signal {
        Signal::New { first, .. } => (
            format!("new pattern: {name}"),
            format!("It was never seen before {} and came {NEW_EVENTS} times since.", time(first)),
        ),
        Signal::Rate { at, count, usual, seasonal } => {
            let than = match (usual, seasonal) {
                (0, _) => "it is seldom heard".to_owned(),
                (usual, true) => format!("{usual} are the most at this hour of the week"),
                (usual, false) => format!("{usual} were the most in the last {WEEKS} weeks"),
            };
            let length = duration(BUCKET);
            (
                format!("far more often than usual: {name}"),
                format!("It came {count} times within {length} until {}; {than}.", time(at)),
            )
        }
        Signal::Silence { last, longest, .. } => (
            format!("stopped: {name}"),
            format!(
                "It came for the last time at {}; the longest pause before was {}.",
                time(last),
                duration(longest)
            ),
        ),
    }
}

/// As RFC 3339, in whole seconds.
fn time(micros: i64) -> String {
    let time = jiff::Timestamp::from_second(micros.div_euclid(1_000_000));
    time.map_or_else(|_| micros.to_string(), |time| time.to_string())
}

fn duration(micros: i64) -> HumanDuration {
    HumanDuration::from_secs(u64::try_from(micros / 1_000_000).unwrap_or(0))
}
