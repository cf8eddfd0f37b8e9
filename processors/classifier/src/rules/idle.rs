//! Tells of rules that match nothing for long.
//! Promises: of each rule once in that time, and only while events come in that it could match.

use super::EventRules;

/// Milliseconds between two looks.
const LOOK_MS: i64 = 10_000;

/// Since when each rule has matched nothing.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    /// For each rule how often it was applied when it was last seen to be, and when that was.
    seen: Vec<(u64, i64)>,
    next_look_ms: i64,
}

impl Idle {
    /// The rules, by name, that were applied to nothing for `patience_ms`. Called with every event or so; the times are
    /// in milliseconds since 1970.
    pub(crate) fn look<'r>(
        &mut self,
        rules: &'r EventRules,
        patience_ms: i64,
        now_ms: i64,
    ) -> Vec<&'r str> {
        if now_ms < self.next_look_ms {
            return Vec::new();
        }
        self.next_look_ms = now_ms.saturating_add(LOOK_MS.min(patience_ms));
        let mut idle = Vec::new();
        for (index, (name, applied)) in rules.applied().enumerate() {
            let Some((count, since_ms)) = self.seen.get_mut(index) else {
                self.seen.push((applied, now_ms));
                continue;
            };
            if *count != applied {
                (*count, *since_ms) = (applied, now_ms);
            } else if now_ms - *since_ms >= patience_ms {
                *since_ms = now_ms;
                idle.push(name);
            }
        }
        idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Classifier;
    use crate::config::ClassifierConfig;
    use crate::rules::{MatchConfig, RuleConfig};
    use crate::{RawLine, SourceState};

    const HOUR_MS: i64 = 3_600_000;

    fn rule(name: &str, message: &str) -> RuleConfig {
        RuleConfig {
            name: name.to_owned(),
            matches: MatchConfig { message: vec![message.to_owned()], ..MatchConfig::default() },
            ignore: true,
            ..RuleConfig::default()
        }
    }

    #[test]
    fn a_rule_that_matches_nothing_is_told_of_once_in_a_while() {
        let rules = vec![rule("used", "*queue*"), rule("unused", "*never*")];
        let classifier = Classifier::new(ClassifierConfig { rules, ..ClassifierConfig::default() });
        let mut state = SourceState::default();
        let mut idle = Idle::default();
        let mut told = Vec::new();
        for minute in 0..=(3 * 60) {
            let line = RawLine { offset: minute, bytes: b"queue is empty", ..RawLine::default() };
            classifier.push(&mut state, "s/i/o", line);
            let now_ms = i64::try_from(minute).unwrap_or(0) * 60_000;
            let names = idle.look(classifier.event_rules(), HOUR_MS, now_ms);
            told.extend(names.into_iter().map(|name| (name.to_owned(), minute)));
        }
        let unused = |minute: u64| ("unused".to_owned(), minute);
        assert_eq!(told, [unused(60), unused(120), unused(180)]);
    }
}
