//! Ranks culprits anew by what the repository says of their frames.
//!
//! Promises: a pure function of the frames and the facts; no frame is added or lost.

use hephaestus_schemas::Frame;

/// Places that a frame rises where its own line changed lately: failures that begin follow changes.
const RISE: usize = 2;

/// Where a frame lies, the likeliest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Place {
    /// In a file of the repository.
    Source,
    /// In a file of the repository that is too short to have the line, or at no line.
    Unsure,
    /// Outside the repository: a library, or code of another commit.
    #[default]
    Outside,
    /// In a test of the repository.
    Test,
}

/// What the repository says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Where it lies.
    pub place: Place,
    /// Whether its line, or one beside it, changed lately.
    pub changed: bool,
}

/// The culprits in the order in which the defect may lie there, the likeliest first. `facts` are those
/// of the frames at the same index; a frame without facts lies outside.
///
/// Within a place the order of the trace stays, but a frame whose line changed lately passes up to
/// two that did not.
pub fn rank(culprits: &[Frame], facts: &[Facts]) -> Vec<Frame> {
    let mut ranked: Vec<(Frame, Facts)> = culprits
        .iter()
        .enumerate()
        .map(|(index, frame)| (frame.clone(), facts.get(index).copied().unwrap_or_default()))
        .collect();
    ranked.sort_by_key(|(_, facts)| facts.place);
    for index in 1..ranked.len() {
        let Some((_, moved)) = ranked.get(index).cloned() else { break };
        let passed = ranked.get(..index).unwrap_or_default().iter().rev();
        let rise = passed
            .take(RISE)
            .take_while(|(_, other)| moved.changed && !other.changed && other.place == moved.place)
            .count();
        if let Some(run) = ranked.get_mut(index - rise..=index) {
            run.rotate_right(1);
        }
    }
    ranked.into_iter().map(|(frame, _)| frame).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use proptest::prelude::*;

    use super::*;

    fn facts(place: Place, changed: bool) -> Facts {
        Facts { place, changed }
    }

    fn order(facts: &[Facts]) -> Vec<i32> {
        let frame = |line: usize| Frame { line: i32::try_from(line).ok(), ..Frame::default() };
        let frames: Vec<Frame> = (0..facts.len()).map(frame).collect();
        rank(&frames, facts).iter().map(|frame| frame.line.unwrap()).collect()
    }

    #[test]
    fn the_repository_s_own_code_goes_first_and_its_tests_last() {
        let places = [Place::Test, Place::Outside, Place::Unsure, Place::Source, Place::Source];
        assert_eq!(order(&places.map(|place| facts(place, false))), [3, 4, 2, 1, 0]);
    }

    #[test]
    fn a_line_that_changed_lately_passes_two_that_did_not() {
        let (old, new) = (facts(Place::Source, false), facts(Place::Source, true));
        assert_eq!(order(&[old, new]), [1, 0]);
        assert_eq!(order(&[old, old, old, new]), [0, 3, 1, 2]);
        assert_eq!(order(&[new, old, new]), [0, 2, 1]);
        assert_eq!(order(&[new, new, new]), [0, 1, 2]);
        let test = facts(Place::Test, true);
        assert_eq!(order(&[old, test]), [0, 1]);
    }

    proptest! {
        #[test]
        fn no_frame_is_lost(places in proptest::collection::vec((0usize..4, any::<bool>()), 0..20)) {
            let all = [Place::Source, Place::Unsure, Place::Outside, Place::Test];
            let facts: Vec<Facts> =
                places.iter().map(|(place, changed)| facts(all[*place], *changed)).collect();
            let mut lines = order(&facts);
            lines.sort_unstable();
            prop_assert!(lines.into_iter().eq(0..i32::try_from(facts.len()).unwrap()));
        }
    }
}
