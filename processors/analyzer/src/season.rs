//! What is usual in each hour of a week: the most events in five minutes, in steps of a third of an octave.
//! Promises: 168 bytes; never less than what was seen, until it was seen less often in the same hour.

use serde::{Deserialize, Serialize};

/// Hours of a week.
pub const HOURS: usize = 168;
/// The highest step; what is more than it stands for is not told apart.
const MAX_STEP: u8 = 60;
/// Steps of one octave, in thousandths.
const THIRDS: [u64; 3] = [1_000, 1_260, 1_587];
/// What the step nought is written as.
const ZERO: u8 = b'0';

/// The steps, as text: one character an hour. Empty until something is folded in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Season(String);

impl Season {
    /// Takes in the most events in five minutes of an hour that is over (counted from 1970). What was
    /// higher in the weeks before fades by a step.
    pub fn fold(&mut self, hour: i64, peak: u32) {
        if self.0.len() != HOURS {
            self.0 = char::from(ZERO).to_string().repeat(HOURS);
        }
        let place = place(hour);
        let faded = self.step(place).saturating_sub(1);
        let step = faded.max(step_of(peak));
        let character = char::from(ZERO + step).to_string();
        self.0.replace_range(place..=place, &character);
    }

    /// The most events in five minutes that are usual in this hour and the two beside it; none where it is not usual
    /// to hear anything, or more than can be told.
    pub fn usual(&self, hour: i64) -> Option<u32> {
        let around = [hour - 1, hour, hour + 1];
        let step = around.into_iter().map(|hour| self.step(place(hour))).max()?;
        (1..MAX_STEP).contains(&step).then(|| u32::try_from(value_of(step)).unwrap_or(u32::MAX))
    }

    /// Bytes it takes.
    pub fn weight(&self) -> usize {
        self.0.len()
    }

    fn step(&self, place: usize) -> u8 {
        self.0.as_bytes().get(place).map_or(0, |byte| byte.saturating_sub(ZERO).min(MAX_STEP))
    }
}

fn place(hour: i64) -> usize {
    usize::try_from(hour.rem_euclid(HOURS as i64)).unwrap_or(0)
}

/// Most events that a step stands for.
fn value_of(step: u8) -> u64 {
    let third = THIRDS.get(usize::from(step % 3)).copied().unwrap_or(1_000);
    ((1 << (step / 3)) * third / 1_000).saturating_sub(1) + u64::from(step > 0 && step < 3)
}

/// The first step that stands for so many.
fn step_of(events: u32) -> u8 {
    (0..MAX_STEP).find(|step| value_of(*step) >= u64::from(events)).unwrap_or(MAX_STEP)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_rarer_fades_and_what_is_silent_is_not_usual() {
        let mut season = Season::default();
        assert_eq!(season.usual(5), None);
        season.fold(5, 100);
        let before = season.usual(5).unwrap();
        assert_eq!(
            (season.usual(4), season.usual(6), season.usual(7)),
            (Some(before), Some(before), None)
        );
        season.fold(5 + 168, 10);
        let after = season.usual(5).unwrap();
        assert!(after < before && after > 50, "{before} {after}");
        season.fold(9, 3_000_000);
        assert_eq!(season.usual(9), None, "more than can be told");
        let stored = serde_json::to_string(&season).unwrap();
        assert!(stored.len() < 180, "{stored}");
        assert_eq!(serde_json::from_str::<Season>(&stored).unwrap(), season);
    }

    proptest! {
        #[test]
        fn a_step_is_never_less_than_what_was_seen_and_not_much_more(events in 1u32..900_000) {
            let value = value_of(step_of(events));
            prop_assert!(value >= u64::from(events));
            prop_assert!(value <= u64::from(events) * 3 / 2 + 1, "{} {}", events, value);
        }
    }
}
