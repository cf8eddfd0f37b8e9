//! Follows the patterns of nodes that ask for signals: when to look at them again, how many at once, what is counted.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use hephaestus_schemas::{ClassifiedLog, Node, Severity};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, core::Collector};

use crate::{
    history::{History, Signal},
    roster::Roster,
    signal::watch,
    window::{FingerprintState, NodeWindow},
};

/// Timer that looks at the histories of a key.
pub const LOOK: &str = "history";
/// Longest title, in bytes.
const MAX_TITLE: usize = 200;
/// Wait before a look at what is overdue, and between two looks, in milliseconds: the events may be on their way.
const LOOK_AGAIN_MS: i64 = 10 * 60_000;

/// An event and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// The event.
    pub event: &'a ClassifiedLog,
    /// When it happened, as far as that is believed, in microseconds since 1970 UTC.
    pub at: i64,
    /// Offset of its record.
    pub offset: u64,
}

/// A signal, and the offset of the record that it is about.
pub type Told = (Signal, u64);

/// A pattern that stopped, on a node, and what is known of it.
#[derive(Debug, Clone)]
pub struct Stopped {
    /// The node.
    pub node: Node,
    /// What is known of the pattern.
    pub history: History,
    /// The signal.
    pub told: Told,
}

/// What a process knows beside the state of each key.
#[derive(Debug)]
pub struct Follower {
    roster: Mutex<Roster>,
    /// The newest event time of all that came in: until then everything was heard, roughly.
    heard: AtomicI64,
    told: Option<IntCounterVec>,
    followed: Option<IntGauge>,
    refused: Option<IntCounter>,
}

impl Follower {
    /// A follower of at most `max` patterns.
    pub fn new(max: usize) -> Self {
        let told = Opts::new(
            "hephaestus_analyzer_signals_total",
            "signals given, by kind; again where the work is done again before its commit",
        );
        Self {
            roster: Mutex::new(Roster::new(max)),
            heard: AtomicI64::new(i64::MIN),
            told: IntCounterVec::new(told, &["signal"]).ok(),
            followed: IntGauge::new(
                "hephaestus_analyzer_followed_patterns",
                "patterns whose history is followed, of nodes that ask for signals",
            )
            .ok(),
            refused: IntCounter::new(
                "hephaestus_analyzer_not_followed_events_total",
                "events of patterns that are not followed because analyzer.max_followed others are",
            )
            .ok(),
        }
    }

    /// Its metrics.
    pub fn metrics(&self) -> Vec<Box<dyn Collector>> {
        fn boxed<C: Collector + Clone + 'static>(metric: &Option<C>) -> Option<Box<dyn Collector>> {
            metric.clone().map(|metric| Box::new(metric) as Box<dyn Collector>)
        }
        [boxed(&self.told), boxed(&self.followed), boxed(&self.refused)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Notes that something was heard of this time, in microseconds since 1970 UTC.
    pub fn hear(&self, at: i64) {
        self.heard.fetch_max(at, Ordering::Relaxed);
    }

    /// Takes in an event of a node. Gives the signals, and when the key is to be looked at where that changes
    /// (milliseconds since 1970 UTC).
    pub fn observe(
        &self,
        node: &Node,
        placed: Placed<'_>,
        state: &mut FingerprintState,
        now_ms: i64,
    ) -> (Vec<Told>, Option<i64>) {
        let Placed { event, at, offset } = placed;
        let Some(watch) = watch(node, event.severity) else { return (Vec::new(), None) };
        let key = event.fingerprint.as_bytes();
        let known = state.nodes.get(&node.id).is_some_and(|window| window.history.is_some());
        if !known && !self.roster().has_room(event.severity >= Severity::Error, now_ms) {
            if let Some(refused) = &self.refused {
                refused.inc();
            }
            return (Vec::new(), None);
        }
        let window = state.nodes.entry(node.id.clone()).or_default();
        let new = || History::new(shortened(&event.template), event.category.clone());
        let history = window.history.get_or_insert_with(new);
        history.severity = history.severity.max(event.severity);
        let before = std::mem::replace(&mut history.offset, offset);
        let signals = history.observe(at, &watch);
        let about = |signal: &Signal| match signal {
            Signal::Silence { .. } => before,
            Signal::New { .. } | Signal::Rate { .. } => offset,
        };
        let told: Vec<Told> = signals.into_iter().map(|signal| (signal, about(&signal))).collect();
        self.count(&told);

        let look_ms = look_at(history.look_again(&watch), now_ms);
        let earlier = state.look_ms == 0 || look_ms < state.look_ms;
        if earlier {
            state.look_ms = look_ms;
        }
        self.note(key, state.look_ms);
        (told, earlier.then_some(look_ms))
    }

    /// Looks at the histories of a key. Gives what stopped, and when to look again; what was not heard of for long is
    /// forgotten.
    pub fn look(
        &self,
        key: &[u8],
        state: &mut FingerprintState,
        node_of: impl Fn(&str) -> Option<Node>,
        now_ms: i64,
    ) -> (Vec<Stopped>, Option<i64>) {
        let heard = self.heard.load(Ordering::Relaxed);
        let mut told = Vec::new();
        let mut next: Option<i64> = None;
        for (id, window) in &mut state.nodes {
            let Some(history) = &mut window.history else { continue };
            let node = node_of(id);
            let watched =
                node.and_then(|node| watch(&node, history.severity).map(|watch| (node, watch)));
            let Some((node, watch)) = watched else {
                window.history = None;
                continue;
            };
            if let Some(signal) = history.check_silence(heard, &watch) {
                let signal = (signal, history.offset);
                self.count(&[signal]);
                told.push(Stopped { node, history: history.clone(), told: signal });
            }
            if heard > history.forget_at() {
                window.history = None;
                continue;
            }
            let look_ms = look_at(history.look_again(&watch), now_ms);
            next = Some(next.map_or(look_ms, |next| next.min(look_ms)));
        }
        state.nodes.retain(|_, window| *window != NodeWindow::default());
        state.look_ms = next.unwrap_or(0);
        match next {
            Some(look_ms) => self.note(key, look_ms),
            None => self.release(key),
        }
        (told, next)
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, key: &[u8], look_ms: i64) {
        let mut roster = self.roster();
        roster.note(key, look_ms);
        self.show(&roster);
    }

    fn release(&self, key: &[u8]) {
        let mut roster = self.roster();
        roster.release(key);
        self.show(&roster);
    }

    fn show(&self, roster: &Roster) {
        if let Some(followed) = &self.followed {
            followed.set(i64::try_from(roster.len()).unwrap_or(i64::MAX));
        }
    }

    fn count(&self, told: &[Told]) {
        for (signal, _) in told {
            if let Some(counter) = &self.told {
                counter.with_label_values(&[signal.name()]).inc();
            }
        }
    }
}

/// When to look, in milliseconds since 1970 UTC: a time of events, or a while from now where that is over.
fn look_at(micros: i64, now_ms: i64) -> i64 {
    (micros / 1_000 + 1).max(now_ms.saturating_add(LOOK_AGAIN_MS))
}

fn shortened(template: &str) -> String {
    let end = template.floor_char_boundary(MAX_TITLE);
    template.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_metric_is_documented_word_for_word() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        let follower = Follower::new(1);
        let signal = Signal::New { first: 0, at: 0 };
        follower.count(&[(signal, 0)]);
        let families: Vec<_> =
            follower.metrics().iter().flat_map(|metric| metric.collect()).collect();
        assert_eq!(families.len(), 3);
        for family in families {
            let (name, help) = (family.name(), family.help());
            let is_documented =
                |line: &str| line.starts_with(&format!("- `{name}` (")) && line.ends_with(help);
            assert!(docs.lines().any(is_documented), "{name}: {help}");
        }
    }
}
