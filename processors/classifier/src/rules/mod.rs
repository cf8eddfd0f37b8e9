//! Rules of the configuration: which events are one group, which are not, which are noise, and of which category.
//! Promises: a pure function of the event and the rules. For the group, and for the category, the first rule counts
//! that fits and says something of it.

mod config;
mod glob;
mod idle;

use std::borrow::Cow;

use hephaestus_schemas::{Exception, Frame};
use prometheus::{IntCounter, IntCounterVec, Opts};

pub(crate) use config::check;
use config::{MAX_GLOBS, MAX_RULES, MAX_SPLITS, SplitBy};
pub use config::{MatchConfig, RuleConfig, RuleError};
use glob::TextGlob;
pub(crate) use idle::Idle;

use crate::category::NOISE;
use crate::fingerprint;
use crate::known::Known;
use crate::scan::{cut, tail};
use crate::steady::steady;

/// Bytes that count of a value that a rule splits by.
const MAX_VALUE: usize = 128;

/// What rules look at in an event.
pub(crate) struct Facts<'a> {
    pub(crate) message: &'a str,
    pub(crate) service: &'a str,
    pub(crate) logger: Option<&'a str>,
    pub(crate) exception: Option<&'a Exception>,
    /// Method, path with its variables masked, and status of a request are its template; this is the path.
    pub(crate) route: Option<&'a str>,
}

/// The rules, compiled. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventRules {
    rules: Vec<Rule>,
    applied: Option<IntCounterVec>,
}

#[derive(Debug, Clone)]
struct Rule {
    name: String,
    matches: Matches,
    group: Option<Group>,
    /// Category and reason.
    verdict: Option<(String, String)>,
    applied: Option<IntCounter>,
}

#[derive(Debug, Clone)]
enum Group {
    /// The fingerprint of the group.
    Merge(String),
    Split(Vec<SplitBy>),
}

#[derive(Debug, Clone)]
struct Matches {
    type_name: Vec<TextGlob>,
    message: Vec<TextGlob>,
    module: Vec<TextGlob>,
    function: Vec<TextGlob>,
    service: Vec<TextGlob>,
    logger: Vec<TextGlob>,
    category: Vec<TextGlob>,
    template: Vec<TextGlob>,
}

impl EventRules {
    /// Compiles rules. What [`check`] refuses has no effect.
    pub(crate) fn new(rules: &[RuleConfig]) -> Self {
        let opts = Opts::new(
            "hephaestus_classifier_rule_events_total",
            "events that a rule of the configuration was applied to; again where the work is done again before its commit",
        );
        let applied = IntCounterVec::new(opts, &["rule"]).ok();
        let compiled = rules.iter().take(MAX_RULES).map(|rule| {
            // A rule that was not applied yet is there with nought.
            let counter = applied.as_ref().map(|applied| applied.with_label_values(&[&rule.name]));
            Rule::new(rule, counter)
        });
        Self { rules: compiled.collect(), applied }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The metric that counts what they were applied to.
    pub(crate) fn metric(&self) -> Option<IntCounterVec> {
        self.applied.clone()
    }

    /// Names of the rules, and how many events each was applied to since the start.
    pub(crate) fn applied(&self) -> impl Iterator<Item = (&str, u64)> {
        let count = |rule: &Rule| rule.applied.as_ref().map_or(0, IntCounter::get);
        self.rules.iter().map(move |rule| (rule.name.as_str(), count(rule)))
    }

    /// What is known of an event, as the rules have it; none where no rule changes it.
    pub(crate) fn apply(&self, facts: &Facts<'_>, known: &Known) -> Option<Known> {
        let mut fingerprint = None;
        let mut verdict = None;
        for rule in &self.rules {
            let groups = fingerprint.is_none() && rule.group.is_some();
            let says = verdict.is_none() && rule.verdict.is_some();
            if !(groups || says) || !rule.matches.fit(facts, known) {
                continue;
            }
            if let Some(applied) = &rule.applied {
                applied.inc();
            }
            if groups {
                fingerprint = rule.group.as_ref().map(|group| group.fingerprint(facts, known));
            }
            if says {
                verdict = rule.verdict.as_ref();
            }
            if fingerprint.is_some() && verdict.is_some() {
                break;
            }
        }
        if fingerprint.is_none() && verdict.is_none() {
            return None;
        }
        let mut changed = known.clone();
        if let Some(fingerprint) = fingerprint {
            changed.fingerprint = fingerprint;
        }
        if let Some((category, reason)) = verdict {
            changed.category = Cow::Owned(category.clone());
            changed.reason = Cow::Owned(reason.clone());
        }
        Some(changed)
    }
}

impl Rule {
    fn new(config: &RuleConfig, applied: Option<IntCounter>) -> Self {
        let group = match &config.merge {
            Some(name) => Some(Group::Merge(fingerprint::of_group(name))),
            None if config.split.is_empty() => None,
            None => {
                let values = config.split.iter().take(MAX_SPLITS);
                Some(Group::Split(values.filter_map(|name| SplitBy::named(name)).collect()))
            }
        };
        let category = if config.ignore { Some(NOISE) } else { config.category.as_deref() };
        let verdict = category.map(|category| {
            let reason = match &config.reason {
                Some(reason) => reason.clone(),
                None => format!("the rule {} says so", config.name),
            };
            (category.to_owned(), reason)
        });
        let matches = Matches::new(&config.matches);
        Self { name: config.name.clone(), matches, group, verdict, applied }
    }
}

impl Group {
    fn fingerprint(&self, facts: &Facts<'_>, known: &Known) -> String {
        match self {
            Self::Merge(fingerprint) => fingerprint.clone(),
            Self::Split(by) => {
                let values: Vec<Cow<'_, str>> = by.iter().map(|by| value(by, facts)).collect();
                fingerprint::of_split(&known.fingerprint, &values)
            }
        }
    }
}

/// A value that an event is told apart by; empty where it has none.
fn value<'a>(by: &'a SplitBy, facts: &Facts<'a>) -> Cow<'a, str> {
    let frame = |name: fn(&Frame) -> Option<&String>| {
        let named = facts.exception.and_then(raised_at).and_then(name);
        named.map_or(Cow::Borrowed(""), |name| steady(name))
    };
    let value = match by {
        SplitBy::Service => Cow::Borrowed(facts.service),
        SplitBy::Logger => Cow::Borrowed(facts.logger.unwrap_or("")),
        SplitBy::Type => match facts.exception {
            Some(exception) => steady(&exception.type_name),
            None => Cow::Borrowed(""),
        },
        SplitBy::Module => frame(|frame| frame.module.as_ref().or(frame.file.as_ref())),
        SplitBy::Function => frame(|frame| frame.function.as_ref()),
        SplitBy::Route => Cow::Borrowed(facts.route.unwrap_or("")),
        SplitBy::After(text) => Cow::Borrowed(word_after(facts.message, text)),
    };
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(cut(value, MAX_VALUE)),
        Cow::Owned(value) => Cow::Owned(cut(&value, MAX_VALUE).to_owned()),
    }
}

/// The innermost frame of the application, in the exception that caused the others.
fn raised_at(exception: &Exception) -> Option<&Frame> {
    let mut raised = None;
    for link in chain(exception) {
        raised = link.frames.iter().find(|frame| frame.in_app).or(raised);
    }
    raised
}

fn chain(exception: &Exception) -> impl Iterator<Item = &Exception> {
    std::iter::successors(Some(exception), |link| link.cause.as_deref())
}

/// The word that follows the first `text` in the message.
fn word_after<'a>(message: &'a str, text: &str) -> &'a str {
    let Some(found) = memchr::memmem::find(message.as_bytes(), text.as_bytes()) else { return "" };
    let rest = tail(message, found + text.len()).trim_start_matches([' ', '"', '\'']);
    let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'' | ')' | ']' | '}');
    rest.split(ends).next().unwrap_or("")
}

impl Matches {
    fn new(config: &MatchConfig) -> Self {
        let globs = |texts: &[String]| -> Vec<TextGlob> {
            texts.iter().take(MAX_GLOBS).map(|text| TextGlob::new(text)).collect()
        };
        Self {
            type_name: globs(&config.type_name),
            message: globs(&config.message),
            module: globs(&config.module),
            function: globs(&config.function),
            service: globs(&config.service),
            logger: globs(&config.logger),
            category: globs(&config.category),
            template: globs(&config.template),
        }
    }

    /// Whether an event is one of those that are meant: what is short, and what most events lack, goes first.
    fn fit(&self, facts: &Facts<'_>, known: &Known) -> bool {
        let Facts { message, service, logger, exception, .. } = facts;
        if !fits(&self.category, &known.category) || !fits(&self.service, service) {
            return false;
        }
        if !self.logger.is_empty() && !logger.is_some_and(|logger| fits(&self.logger, logger)) {
            return false;
        }
        let links = || exception.iter().flat_map(|exception| chain(exception));
        let frames = || links().flat_map(|link| &link.frames);
        let in_frames = |globs: &[TextGlob], name: fn(&Frame) -> Option<&String>| {
            globs.is_empty() || frames().filter_map(name).any(|name| fits(globs, name))
        };
        let in_types =
            self.type_name.is_empty() || links().any(|link| fits(&self.type_name, &link.type_name));
        in_types
            && in_frames(&self.module, |frame| frame.module.as_ref())
            && in_frames(&self.function, |frame| frame.function.as_ref())
            && fits(&self.template, &known.template)
            && (fits(&self.message, message)
                || links().any(|link| fits(&self.message, &link.message)))
    }
}

/// Whether a text fits one of the globs, or there are none.
fn fits(globs: &[TextGlob], text: &str) -> bool {
    globs.is_empty() || globs.iter().any(|glob| glob.fits(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use prometheus::core::Collector;

    use super::*;

    #[test]
    fn the_metric_is_documented_word_for_word() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        let rule = RuleConfig { name: "a".to_owned(), ignore: true, ..RuleConfig::default() };
        let families = EventRules::new(&[rule]).metric().unwrap().collect();
        assert_eq!(families.len(), 1);
        let (name, help) = (families[0].name(), families[0].help());
        assert_eq!(families[0].get_metric().len(), 1, "a rule is there before it is applied");
        let is_documented =
            |line: &str| line.starts_with(&format!("- `{name}` (")) && line.ends_with(help);
        assert!(docs.lines().any(is_documented), "{name}: {help}");
    }
}
