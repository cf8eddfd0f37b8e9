//! The keyed state of one partition that is held in memory, within a budget of bytes.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::quality::RandomState;
use hephaestus_schemas::StateEntry;

use super::timers::KeyTimers;
use crate::stage::State;

/// State and timers of one key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keyed<S> {
    pub(crate) state: S,
    pub(crate) timers: KeyTimers,
    /// What the changelog holds, so that nothing is written where nothing changed.
    pub(crate) written: Option<StateEntry>,
}

impl<S: State> Keyed<S> {
    /// Reads an entry of the changelog.
    pub(crate) fn restore(entry: StateEntry) -> Result<Self, serde_json::Error> {
        let state = match &entry.state {
            Some(json) => serde_json::from_str(json)?,
            None => S::default(),
        };
        let timers = entry.timers.iter().map(|timer| (timer.name.clone(), timer.at_ms)).collect();
        Ok(Self { state, timers, written: Some(entry) })
    }

    fn weight(&self) -> usize {
        const PER_ENTRY: usize = 200;
        let json = self.written.as_ref().and_then(|entry| entry.state.as_ref());
        PER_ENTRY + self.state.weight() + json.map_or(0, String::len)
    }
}

#[derive(Debug)]
struct Entry<S> {
    keyed: Keyed<S>,
    weight: usize,
    /// Units whose effects are in this state and not yet committed.
    uncommitted: usize,
    used: u64,
}

/// States by key. What is not committed is never evicted.
#[derive(Debug)]
pub(crate) struct StateCache<S> {
    entries: HashMap<Bytes, Entry<S>, RandomState>,
    weight: usize,
    clock: u64,
}

impl<S> Default for StateCache<S> {
    fn default() -> Self {
        Self { entries: HashMap::default(), weight: 0, clock: 0 }
    }
}

impl<S: State> StateCache<S> {
    /// A copy of a key's state, where it is held.
    pub(crate) fn get(&mut self, key: &Bytes) -> Option<Keyed<S>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.clock;
        Some(entry.keyed.clone())
    }

    /// Holds the state that a unit left.
    pub(crate) fn put(&mut self, key: Bytes, keyed: Keyed<S>) {
        self.clock += 1;
        let weight = keyed.weight() + key.len();
        let entry = self.entries.entry(key).or_insert_with(|| Entry {
            keyed: Keyed::default(),
            weight: 0,
            uncommitted: 0,
            used: 0,
        });
        self.weight = self.weight - entry.weight + weight;
        entry.keyed = keyed;
        entry.weight = weight;
        entry.uncommitted += 1;
        entry.used = self.clock;
    }

    /// Notes that a unit of a key was committed.
    pub(crate) fn committed(&mut self, key: &Bytes) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.uncommitted = entry.uncommitted.saturating_sub(1);
        }
    }

    /// Lets go of what was used longest ago, until half of the budget is free.
    pub(crate) fn evict(&mut self, budget: usize) {
        if self.weight <= budget {
            return;
        }
        let idle = self.entries.iter().filter(|(_, entry)| entry.uncommitted == 0);
        let mut oldest: Vec<(u64, Bytes)> =
            idle.map(|(key, entry)| (entry.used, key.clone())).collect();
        oldest.sort_unstable();
        for (_, key) in oldest {
            if self.weight <= budget / 2 {
                return;
            }
            if let Some(entry) = self.entries.remove(&key) {
                self.weight -= entry.weight;
            }
        }
    }

    /// Bytes held.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    struct Count(u64);

    impl State for Count {
        fn is_empty(&self) -> bool {
            self.0 == 0
        }

        fn weight(&self) -> usize {
            800
        }
    }

    #[test]
    fn uncommitted_state_is_kept_whatever_the_budget() {
        let mut cache = StateCache::<Count>::default();
        for key in 0..10u8 {
            cache.put(Bytes::from(vec![key]), Keyed::default());
        }
        cache.evict(2_000);
        assert_eq!(cache.entries.len(), 10);
        for key in 0..9u8 {
            cache.committed(&Bytes::from(vec![key]));
        }
        cache.evict(2_500);
        assert!(cache.weight() <= 1_250, "half of the budget is free: {}", cache.weight());
        assert!(cache.get(&Bytes::from(vec![9])).is_some());
    }
}
