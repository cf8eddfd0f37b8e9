//! Signals through the stage: what is written, what is held, and what is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hephaestus_analyzer::{Analyzer, AnalyzerConfig, follow::LOOK, window::FingerprintState};
use hephaestus_classifier::Masker;
use hephaestus_model_engine::PlaybookProvider;
use hephaestus_node_manager::{NodeConfig, nodes};
use hephaestus_pipeline::{
    record::{Headers, Record},
    stage::{Effects, Stage, Timer},
};
use hephaestus_schemas::{Analysis, ClassifiedLog, Node, Severity, topics};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2024-01-01, a Monday.
const MONDAY: i64 = 1_704_067_200 * SECOND;

fn node(signals: &str) -> Node {
    let text = format!(
        r#"{{"name":"shop","sources":["shop/**"],"repository":"/nowhere","signals":{signals}}}"#
    );
    let config: NodeConfig = serde_json::from_str(&text).unwrap();
    nodes(&[config], MONDAY).unwrap().remove(0)
}

fn event(fingerprint: &str, severity: Severity, at: i64) -> ClassifiedLog {
    ClassifiedLog {
        fingerprint: fingerprint.to_owned(),
        template: format!("{fingerprint} took <duration>"),
        message: format!("{fingerprint} took 5 ms"),
        source: "shop/a/out".to_owned(),
        category: "activity".to_owned(),
        severity,
        timestamp: at,
        ..ClassifiedLog::default()
    }
}

/// A stage, the states of its keys, and what it wrote.
struct Run {
    analyzer: Analyzer,
    states: BTreeMap<String, FingerprintState>,
    offset: u64,
    written: Vec<(Analysis, String)>,
    timers: BTreeMap<String, i64>,
    /// Whether each state is stored and read back before each event, as after a restart.
    restarts: bool,
}

impl Run {
    fn new(signals: &str, max_followed: usize) -> Self {
        let provider = Arc::new(PlaybookProvider::new().unwrap());
        let analyzer = Analyzer::with(AnalyzerConfig { max_followed }, provider, Masker::default());
        analyzer.nodes().set("shop", Some(node(signals)));
        Self {
            analyzer,
            states: BTreeMap::new(),
            offset: 0,
            written: Vec::new(),
            timers: BTreeMap::new(),
            restarts: false,
        }
    }

    async fn take(&mut self, event: ClassifiedLog) {
        let key = event.fingerprint.clone();
        let record = Record {
            topic: topics::CLASSIFIED_LOGS.into(),
            partition: 3,
            offset: self.offset,
            timestamp_ms: event.timestamp / 1_000,
            key: Some(Bytes::from(key.clone())),
            value: None,
            headers: Headers::default(),
        };
        self.offset += 1;
        let state = self.states.entry(key.clone()).or_default();
        if self.restarts {
            *state = serde_json::from_str(&serde_json::to_string(state).unwrap()).unwrap();
        }
        let mut effects = Effects::default();
        self.analyzer.process(&record, event, state, &mut effects).await.unwrap();
        self.note(&key, effects);
    }

    async fn fire(&mut self, key: &str) {
        let at_ms = self.timers.remove(key).unwrap();
        let bytes = Bytes::from(key.to_owned());
        let timer = Timer { partition: 3, key: bytes, name: LOOK.to_owned(), at_ms };
        let state = self.states.entry(key.to_owned()).or_default();
        let mut effects = Effects::default();
        self.analyzer.on_timer(&timer, state, &mut effects).await.unwrap();
        self.note(key, effects);
    }

    fn note(&mut self, key: &str, effects: Effects<hephaestus_analyzer::stage::Written>) {
        for (_, at_ms) in effects.timers {
            self.timers.insert(key.to_owned(), at_ms.unwrap());
        }
        for emitted in effects.emitted {
            self.written.push((emitted.value.0, emitted.origins.unwrap().to_string()));
        }
    }

    fn signals(&self) -> Vec<&str> {
        self.written.iter().map(|(analysis, _)| analysis.signal.as_str()).collect()
    }
}

#[tokio::test]
async fn nothing_is_followed_unless_it_is_asked_for() {
    let mut run = Run::new("[]", 100);
    for minute in 0..100 {
        run.take(event("job", Severity::Warn, MONDAY + minute * MINUTE)).await;
    }
    assert!(run.written.is_empty() && run.timers.is_empty());
    assert_eq!(run.states["job"], FingerprintState::default());
}

#[tokio::test]
async fn a_burst_opens_an_incident_that_names_its_numbers_and_its_record() {
    let mut run = Run::new(r#"["rate"]"#, 100);
    for hour in 0..9 * 24 {
        run.take(event("retry", Severity::Warn, MONDAY + hour * HOUR)).await;
    }
    let burst = MONDAY + 9 * DAY;
    for second in 0..40 {
        run.take(event("retry", Severity::Warn, burst + second * SECOND)).await;
    }
    assert_eq!(run.signals(), ["rate"]);
    let (analysis, origin) = &run.written[0];
    assert_eq!(*origin, format!("classified-logs/3/{}", 9 * 24 + 20));
    assert_eq!((analysis.count, analysis.opened_at), (21, burst + 20 * SECOND));
    assert_eq!(analysis.title, "far more often than usual: retry took <duration>");
    assert_eq!(
        analysis.cause,
        "It came 21 times within 5m until 2024-01-10T00:00:20Z; 1 were the most in the last 8 weeks."
    );
    assert_eq!((analysis.severity, analysis.cause_known), (Severity::Warn, false));
    assert_eq!(analysis.evidence[0].text, "retry took 5 ms");
}

#[tokio::test]
async fn a_new_pattern_is_told_after_the_warm_up() {
    let mut run = Run::new(r#"["new-pattern"]"#, 100);
    for second in 0..5 {
        run.take(event("early", Severity::Warn, MONDAY + HOUR + second * SECOND)).await;
        run.take(event("late", Severity::Warn, MONDAY + 2 * DAY + second * SECOND)).await;
        run.take(event("calm", Severity::Info, MONDAY + 2 * DAY + second * SECOND)).await;
    }
    assert_eq!(run.signals(), ["new-pattern"]);
    let (analysis, _) = &run.written[0];
    assert_eq!((analysis.fingerprint.as_str(), analysis.count), ("late", 3));
    assert!(
        analysis.cause.contains("never seen before 2024-01-03T00:00:00Z"),
        "{}",
        analysis.cause
    );
}

async fn jobs(run: &mut Run) -> i64 {
    let mut last = MONDAY;
    for hour in 0..10 * 24 {
        last = MONDAY + hour * HOUR;
        run.take(event("backup", Severity::Info, last)).await;
    }
    last
}

#[tokio::test]
async fn what_stopped_is_told_once_other_things_are_heard() {
    let mut run = Run::new(r#"["silence"]"#, 100);
    let last = jobs(&mut run).await;
    run.fire("backup").await;
    assert!(run.written.is_empty(), "as far as was heard it may still come");
    // What is noise, or of no node, tells as well that the pipeline is up to date.
    let other =
        ClassifiedLog { category: "noise".into(), ..event("ping", Severity::Info, last + DAY) };
    run.take(other).await;
    run.fire("backup").await;
    assert_eq!(run.signals(), ["silence"]);
    let (analysis, origin) = &run.written[0];
    assert_eq!(*origin, format!("classified-logs/3/{}", 10 * 24 - 1));
    assert_eq!(analysis.title, "stopped: backup took <duration>");
    assert!(
        analysis.cause.contains("2024-01-10T23:00:00Z; the longest pause before was 1h"),
        "{}",
        analysis.cause
    );
    run.fire("backup").await;
    assert_eq!(run.written.len(), 1, "it is told once");
    assert!(!run.states.contains_key("ping") || run.states["ping"] == FingerprintState::default());
}

#[tokio::test]
async fn the_same_is_written_where_it_is_only_told_on_its_return() {
    let (mut asked, mut unasked) =
        (Run::new(r#"["silence"]"#, 100), Run::new(r#"["silence"]"#, 100));
    unasked.restarts = true;
    let last = jobs(&mut asked).await;
    jobs(&mut unasked).await;
    let other =
        ClassifiedLog { category: "noise".into(), ..event("ping", Severity::Info, last + DAY) };
    asked.take(other.clone()).await;
    unasked.take(other).await;
    asked.fire("backup").await;
    for run in [&mut asked, &mut unasked] {
        run.take(event("backup", Severity::Info, last + DAY)).await;
    }
    assert_eq!(asked.signals(), ["silence"]);
    assert_eq!(asked.written, unasked.written);
}

#[tokio::test]
async fn what_is_not_heard_of_for_long_is_forgotten_failures_last() {
    let mut run = Run::new(r#"["rate"]"#, 100);
    for second in 0..3 {
        run.take(event("warning", Severity::Warn, MONDAY + second)).await;
        run.take(event("error", Severity::Error, MONDAY + second)).await;
    }
    run.take(event("once", Severity::Warn, MONDAY)).await;
    for (days, expected) in
        [(2, [true, true, false]), (40, [false, true, false]), (100, [false; 3])]
    {
        run.take(event("other", Severity::Warn, MONDAY + days * DAY)).await;
        for (key, held) in ["warning", "error", "once"].iter().zip(expected) {
            if run.timers.contains_key(*key) {
                run.fire(key).await;
            }
            let is_followed = |state: &FingerprintState| {
                state.nodes.values().any(|window| window.history.is_some())
            };
            assert_eq!(is_followed(&run.states[*key]), held, "{key} after {days} days");
            assert_eq!(run.timers.contains_key(*key), held, "{key} after {days} days");
        }
    }
}

#[tokio::test]
async fn no_more_patterns_are_followed_than_the_bound_says() {
    let mut run = Run::new(r#"["rate"]"#, 20);
    for number in 0..500 {
        run.take(event(&format!("warning {number}"), Severity::Warn, MONDAY)).await;
    }
    let held = |run: &Run| run.states.values().filter(|state| !state.nodes.is_empty()).count();
    assert_eq!((held(&run), run.timers.len()), (18, 18), "the last tenth is for failures");
    for number in 0..500 {
        run.take(event(&format!("fatal {number}"), Severity::Fatal, MONDAY + 1)).await;
    }
    let followed = run
        .states
        .values()
        .flat_map(|state| state.nodes.values())
        .filter(|window| window.history.is_some());
    assert_eq!((followed.count(), run.timers.len()), (20, 20));
    assert!(run.signals().is_empty());
}
