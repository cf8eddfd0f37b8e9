//! Which patterns this process follows: a bound on the timers and the state that are kept for them.
//! Promises: at most so many at once; the last tenth is for failures alone.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Time after which a pattern that was not looked at again belongs to another process, in milliseconds.
const GONE_MS: i64 = 3_600_000;

/// The patterns that are followed, by hash, and when each is looked at again (milliseconds since 1970 UTC).
#[derive(Debug)]
pub struct Roster {
    followed: HashMap<u64, i64>,
    max: usize,
}

impl Roster {
    /// A roster of at most `max` patterns.
    pub fn new(max: usize) -> Self {
        Self { followed: HashMap::new(), max }
    }

    /// Whether a pattern that is not followed yet may be.
    pub fn has_room(&mut self, failing: bool, now_ms: i64) -> bool {
        let max = if failing { self.max } else { self.max - self.max / 10 };
        if self.followed.len() >= max {
            self.followed.retain(|_, at_ms| *at_ms > now_ms.saturating_sub(GONE_MS));
        }
        self.followed.len() < max
    }

    /// Notes that a pattern is followed.
    pub fn note(&mut self, key: &[u8], at_ms: i64) {
        self.followed.insert(hash(key), at_ms);
    }

    /// Lets go of a pattern.
    pub fn release(&mut self, key: &[u8]) {
        self.followed.remove(&hash(key));
    }

    /// Patterns that are followed.
    pub fn len(&self) -> usize {
        self.followed.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.followed.is_empty()
    }
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_find_room_longest_and_what_moved_away_makes_room() {
        let mut roster = Roster::new(10);
        let mut failing = 0;
        for number in 0..100u32 {
            let is_failing = number % 2 == 1;
            if roster.has_room(is_failing, 0) {
                roster.note(&number.to_le_bytes(), GONE_MS);
                failing += u32::from(is_failing);
            }
        }
        assert_eq!((roster.len(), failing), (10, 5));
        assert!(!roster.has_room(true, 2 * GONE_MS - 1));
        assert!(roster.has_room(false, 3 * GONE_MS), "none was looked at again");
        roster.note(b"a", 5 * GONE_MS);
        assert_eq!(roster.len(), 1);
        roster.release(b"a");
        assert!(roster.is_empty());
    }
}
