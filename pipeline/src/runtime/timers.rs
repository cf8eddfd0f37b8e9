//! The timers of one partition, by time and by key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

/// Names and times (milliseconds since 1970 UTC) of the timers of one key.
pub(crate) type KeyTimers = BTreeMap<String, i64>;

/// The timers that are set in one partition.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(i64, Bytes, String)>,
    by_key: HashMap<Bytes, KeyTimers>,
}

impl Timers {
    /// Replaces the timers of a key.
    pub(crate) fn replace(&mut self, key: &Bytes, timers: &KeyTimers) {
        if let Some(old) = self.by_key.remove(key) {
            for (name, at_ms) in old {
                self.by_time.remove(&(at_ms, key.clone(), name));
            }
        }
        if timers.is_empty() {
            return;
        }
        for (name, at_ms) in timers {
            self.by_time.insert((*at_ms, key.clone(), name.clone()));
        }
        self.by_key.insert(key.clone(), timers.clone());
    }

    /// Time of the next timer.
    pub(crate) fn next(&self) -> Option<i64> {
        self.by_time.first().map(|(at_ms, _, _)| *at_ms)
    }

    /// Takes out a timer that is due, the earliest first.
    pub(crate) fn pop_due(&mut self, now_ms: i64) -> Option<(i64, Bytes, String)> {
        if self.next()? > now_ms {
            return None;
        }
        let due = self.by_time.pop_first()?;
        if let Some(timers) = self.by_key.get_mut(&due.1) {
            timers.remove(&due.2);
            if timers.is_empty() {
                self.by_key.remove(&due.1);
            }
        }
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_timer_fires_once_at_its_new_time() {
        let key = Bytes::from_static(b"k");
        let mut timers = Timers::default();
        timers.replace(&key, &KeyTimers::from([("flush".into(), 10)]));
        timers.replace(&key, &KeyTimers::from([("flush".into(), 20)]));
        assert_eq!(timers.pop_due(15), None);
        assert_eq!(timers.pop_due(20), Some((20, key.clone(), "flush".into())));
        assert_eq!(timers.pop_due(100), None);
    }

    #[test]
    fn the_earliest_fires_first() {
        let mut timers = Timers::default();
        timers.replace(&Bytes::from_static(b"b"), &KeyTimers::from([("t".into(), 2)]));
        timers.replace(&Bytes::from_static(b"a"), &KeyTimers::from([("t".into(), 3)]));
        assert_eq!(timers.next(), Some(2));
        let fired: Vec<i64> = std::iter::from_fn(|| timers.pop_due(9)).map(|due| due.0).collect();
        assert_eq!(fired, [2, 3]);
    }
}
