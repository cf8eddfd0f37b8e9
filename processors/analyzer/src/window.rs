//! Counts the events of one fingerprint on one node in event time, and opens an incident once.
//!
//! Promises: whether an incident opens depends on the events, and not on the order in which they arrive
//! (within [`LATENESS_WINDOWS`] windows).

use std::collections::BTreeMap;

use hephaestus_pipeline::record::{Origin, Origins};
use hephaestus_schemas::{Policy, Severity};
use serde::{Deserialize, Serialize};

use crate::history::History;

/// How many windows behind the newest event an event still counts.
pub const LATENESS_WINDOWS: i64 = 4;
/// Most events remembered: a window that holds this many has crossed any threshold worth setting.
pub const MAX_EVENTS: usize = 1_024;
/// Events whose text is kept as evidence.
pub const MAX_SAMPLES: usize = 5;

/// One event that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When it happened, in microseconds since 1970 UTC.
    pub at: i64,
    /// Offset of its record.
    pub offset: u64,
    /// Its severity.
    pub severity: Severity,
}

/// The text of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Raw lines it was read from, as the header `hephaestus-origin` names them.
    pub origin: String,
    /// Its message, masked.
    pub text: String,
}

/// An incident that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id.
    pub id: String,
    /// Event time at which the threshold was crossed, in microseconds since 1970 UTC.
    pub opened_at: i64,
}

/// What is known of one fingerprint on one node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeWindow {
    /// Events that may still make a window full, by time and offset.
    pub seen: Vec<Seen>,
    /// The newest event time, in microseconds since 1970 UTC.
    pub newest: i64,
    /// The latest texts.
    pub samples: Vec<Sample>,
    /// The latest incident.
    pub incident: Option<Incident>,
    /// What is usual, where the node's signals are watched for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

/// A threshold that was crossed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// Time of the first event counted, in microseconds since 1970 UTC.
    pub first_seen: i64,
    /// Time of the last event counted.
    pub opened_at: i64,
    /// Events counted.
    pub count: usize,
    /// Highest severity counted.
    pub severity: Severity,
    /// Offsets of the records counted.
    pub offsets: Vec<u64>,
}

impl NodeWindow {
    /// Takes in an event that is at or above the threshold's level; says whether an incident opens.
    pub fn observe(&mut self, event: Seen, sample: Sample, policy: &Policy) -> Option<Crossing> {
        let window = policy.threshold_window_ms.saturating_mul(1_000);
        self.newest = self.newest.max(event.at);
        let oldest = self.newest.saturating_sub(window.saturating_mul(LATENESS_WINDOWS));
        if event.at < oldest {
            return None;
        }
        let in_cooldown = self.incident.as_ref().is_some_and(|incident| {
            let until = incident.opened_at.saturating_add(policy.cooldown_ms.saturating_mul(1_000));
            event.at <= until
        });
        if in_cooldown {
            return None;
        }

        self.samples.push(sample);
        if self.samples.len() > MAX_SAMPLES {
            self.samples.remove(0);
        }
        let at = event.at;
        let place =
            self.seen.partition_point(|other| (other.at, other.offset) < (event.at, event.offset));
        self.seen.insert(place, event);
        self.seen.retain(|other| other.at >= oldest);
        if self.seen.len() > MAX_EVENTS {
            self.seen.remove(0);
        }
        self.crossing(at, window, policy)
    }

    /// The fullest window around an event, where it holds enough.
    fn crossing(&self, at: i64, window: i64, policy: &Policy) -> Option<Crossing> {
        let threshold = usize::try_from(policy.threshold_count).unwrap_or(0).clamp(1, MAX_EVENTS);
        let mut fullest: Option<&[Seen]> = None;
        for (start, first) in self.seen.iter().enumerate() {
            if first.at > at {
                break;
            }
            let end_at = first.at.saturating_add(window);
            if end_at <= at {
                continue;
            }
            let end = self.seen.partition_point(|other| other.at < end_at);
            let inside = self.seen.get(start..end).unwrap_or_default();
            if inside.len() >= threshold && fullest.is_none_or(|best| inside.len() > best.len()) {
                fullest = Some(inside);
            }
        }
        let inside = fullest?;
        Some(Crossing {
            first_seen: inside.first()?.at,
            opened_at: inside.last()?.at,
            count: inside.len(),
            severity: inside.iter().map(|seen| seen.severity).max()?,
            offsets: inside.iter().map(|seen| seen.offset).collect(),
        })
    }

    /// Notes that an incident was opened; counting starts anew after its cooldown.
    pub fn open(&mut self, incident: Incident) {
        self.incident = Some(incident);
        self.seen.clear();
        self.samples.clear();
    }
}

/// Id of an incident: the same for the same failure, node, signal (empty where failures crossed the threshold) and time
/// (microseconds since 1970 UTC).
pub fn incident_id(node: &str, fingerprint: &str, signal: &str, opened_at: i64) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [node, fingerprint] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&opened_at.to_le_bytes());
    hasher.update(signal.as_bytes());
    let hash = hasher.finalize().to_hex();
    format!("inc-{}", hash.get(..16).unwrap_or_default())
}

/// The records of one partition as origins, runs joined.
pub fn origins(topic: &str, partition: u32, offsets: &[u64]) -> Origins {
    let mut sorted = offsets.to_vec();
    sorted.sort_unstable();
    let mut origins = Origins::default();
    for offset in sorted {
        let origin = Origin { topic: topic.into(), partition, first: offset, last: offset };
        origins.push(origin);
    }
    origins
}

/// Windows of one fingerprint, by node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FingerprintState {
    /// By node id.
    pub nodes: BTreeMap<String, NodeWindow>,
    /// When the histories are looked at again, in milliseconds since 1970 UTC; nought where there is none.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub look_ms: i64,
}

fn is_nought(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn policy(count: i32) -> Policy {
        Policy {
            threshold_level: Severity::Error,
            threshold_count: count,
            threshold_window_ms: 10,
            cooldown_ms: 100,
            allowed_paths: Vec::new(),
            max_files: 1,
            max_changed_lines: 1,
            min_confidence: 0.5,
        }
    }

    fn observe(
        window: &mut NodeWindow,
        at_ms: i64,
        offset: u64,
        policy: &Policy,
    ) -> Option<Crossing> {
        let seen = Seen { at: at_ms * 1_000, offset, severity: Severity::Error };
        let sample = Sample { origin: format!("raw-logs/0/{offset}"), text: "boom".into() };
        window.observe(seen, sample, policy)
    }

    #[test]
    fn opens_when_the_window_is_full_and_not_before() {
        let policy = policy(3);
        let mut window = NodeWindow::default();
        assert_eq!(observe(&mut window, 0, 0, &policy), None);
        assert_eq!(observe(&mut window, 1, 1, &policy), None);
        assert_eq!(observe(&mut window, 11, 2, &policy), None, "the first has left the window");
        let crossing = observe(&mut window, 5, 3, &policy).unwrap();
        assert_eq!((crossing.count, crossing.first_seen), (3, 0));
    }

    #[test]
    fn a_cooldown_keeps_the_same_failure_quiet_and_then_lets_it_speak() {
        let policy = policy(1);
        let mut window = NodeWindow::default();
        let crossing = observe(&mut window, 0, 0, &policy).unwrap();
        window.open(Incident { id: "inc-1".into(), opened_at: crossing.opened_at });
        assert_eq!(observe(&mut window, 100, 1, &policy), None);
        assert!(observe(&mut window, 101, 2, &policy).is_some());
    }

    #[test]
    fn late_events_within_the_bound_still_count() {
        let policy = policy(2);
        let mut window = NodeWindow::default();
        assert_eq!(observe(&mut window, 0, 0, &policy), None);
        assert_eq!(observe(&mut window, 30, 1, &policy), None);
        assert!(observe(&mut window, 2, 2, &policy).is_some());
        let mut window = NodeWindow::default();
        assert_eq!(observe(&mut window, 1_000, 0, &policy), None);
        assert_eq!(observe(&mut window, 1, 1, &policy), None, "later than any bound");
    }

    #[test]
    fn origins_join_runs() {
        let text = origins("classified-logs", 2, &[7, 5, 6, 9]).to_string();
        assert_eq!(text, "classified-logs/2/5-7,classified-logs/2/9");
    }

    proptest! {
        #[test]
        fn order_does_not_decide_whether_an_incident_opens(
            mut times in prop::collection::vec(0i64..40, 1..20),
            swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..20),
            count in 1i32..6,
        ) {
            let policy = policy(count);
            let opens = |times: &[i64]| {
                let mut window = NodeWindow::default();
                times.iter().zip(0..).any(|(at, offset)| {
                    observe(&mut window, *at, offset, &policy).is_some()
                })
            };
            let before = opens(&times);
            for (a, b) in swaps {
                let (a, b) = (a.index(times.len()), b.index(times.len()));
                times.swap(a, b);
            }
            prop_assert_eq!(opens(&times), before);
        }
    }
}
