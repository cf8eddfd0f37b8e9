//! The `[[classifier.rules]]` entries of the configuration.
//! Promises: every mistake is reported at once, with its rule, field, value and what would be right.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::scan::cut;

/// Most rules.
pub(crate) const MAX_RULES: usize = 256;
/// Most globs for one field of a rule.
pub(crate) const MAX_GLOBS: usize = 100;
/// Most values that one rule splits by.
pub(crate) const MAX_SPLITS: usize = 8;
/// Most bytes of a glob, and of every other text of a rule.
pub(crate) const MAX_TEXT_BYTES: usize = 512;
/// Most bytes of a rule's name, of a group's and of a category's.
pub(crate) const MAX_NAME_BYTES: usize = 100;

/// A rule: which events it is for, and what it makes of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// Name, by which metrics and log lines speak of it: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Which events it is for: those that fit in every field that is given.
    #[serde(rename = "match")]
    pub matches: MatchConfig,
    /// Puts them into the group of this name, whatever their own fingerprints are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<String>,
    /// Keeps them apart by these values too: `service`, `logger`, `type`, `module`, `function`, `route`, or
    /// `after TEXT`, the word that follows TEXT in the message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub split: Vec<String>,
    /// Makes noise of them: they are written as any other, and open no incident.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore: bool,
    /// Puts them into this category: one of the taxonomy, or one of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Why; without it the rule's name is the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which events a rule is for. Each field is a glob or a list of them, of which one has to fit the whole text; `*`
/// stands for anything, also nothing, every other character for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MatchConfig {
    /// Type of an exception of the chain.
    #[serde(
        rename = "type",
        deserialize_with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub type_name: Vec<String>,
    /// The event's message, or that of an exception of the chain.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub message: Vec<String>,
    /// Module of a frame.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub module: Vec<String>,
    /// Function of a frame.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub function: Vec<String>,
    /// The service.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub service: Vec<String>,
    /// The logger.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub logger: Vec<String>,
    /// The category that the event has without rules.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub category: Vec<String>,
    /// The template.
    #[serde(deserialize_with = "one_or_more", skip_serializing_if = "Vec::is_empty")]
    pub template: Vec<String>,
}

impl MatchConfig {
    fn fields(&self) -> [(&'static str, &Vec<String>); 8] {
        [
            ("match.type", &self.type_name),
            ("match.message", &self.message),
            ("match.module", &self.module),
            ("match.function", &self.function),
            ("match.service", &self.service),
            ("match.logger", &self.logger),
            ("match.category", &self.category),
            ("match.template", &self.template),
        ]
    }
}

/// A value that a rule splits by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SplitBy {
    Service,
    Logger,
    Type,
    Module,
    Function,
    Route,
    After(String),
}

impl SplitBy {
    pub(crate) fn named(name: &str) -> Option<Self> {
        let trimmed = name.trim();
        if let Some(text) = name.trim_start().strip_prefix("after ") {
            return (!text.is_empty()).then(|| Self::After(text.to_owned()));
        }
        Some(match trimmed {
            "service" => Self::Service,
            "logger" => Self::Logger,
            "type" => Self::Type,
            "module" => Self::Module,
            "function" => Self::Function,
            "route" => Self::Route,
            _ => return None,
        })
    }
}

/// A mistake in a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}`: {field} = {value}: {expected}")]
pub struct RuleError {
    /// Name of the rule, or its place among the rules where it has none.
    pub rule: String,
    /// Field that is wrong.
    pub field: &'static str,
    /// Its value, shortened.
    pub value: String,
    /// What would be right.
    pub expected: String,
}

/// Checks rules.
///
/// # Errors
/// Every mistake in every rule.
pub(crate) fn check(rules: &[RuleConfig]) -> Result<(), Vec<RuleError>> {
    if rules.len() > MAX_RULES {
        return Err(vec![RuleError {
            rule: "*".to_owned(),
            field: "rules",
            value: format!("{} rules", rules.len()),
            expected: format!("at most {MAX_RULES} are allowed"),
        }]);
    }
    let mut errors = Vec::new();
    let mut names = BTreeSet::new();
    for (position, rule) in rules.iter().enumerate() {
        let name = match rule.name.trim() {
            "" => format!("#{}", position + 1),
            name => cut(name, MAX_NAME_BYTES).to_owned(),
        };
        let mut check = Check { rule: name, errors: &mut errors };
        if !names.insert(rule.name.as_str()) {
            check.wrong("name", &rule.name, "another rule has this name; names must differ");
        }
        check.rule(rule);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Collects the mistakes of one rule.
struct Check<'a> {
    rule: String,
    errors: &'a mut Vec<RuleError>,
}

impl Check<'_> {
    fn wrong(&mut self, field: &'static str, value: &str, expected: impl Into<String>) {
        self.errors.push(RuleError {
            rule: self.rule.clone(),
            field,
            value: format!("{:?}", cut(value, 80)),
            expected: expected.into(),
        });
    }

    fn rule(&mut self, rule: &RuleConfig) {
        self.name("name", &rule.name);
        self.matches(&rule.matches);
        if let Some(group) = &rule.merge {
            self.name("merge", group);
        }
        self.splits(&rule.split);
        if let Some(category) = &rule.category {
            self.name("category", category);
        }
        if let Some(reason) = &rule.reason {
            self.text("reason", reason);
        }
        let groups = rule.merge.is_some() || !rule.split.is_empty();
        let says = rule.ignore || rule.category.is_some();
        if !groups && !says {
            self.wrong("match", "", "say what to do: merge, split, ignore or category");
        }
        if rule.merge.is_some() && !rule.split.is_empty() {
            self.wrong("split", "", "a rule merges or splits; make two of it");
        }
        if rule.ignore && rule.category.is_some() {
            self.wrong("ignore", "true", "what is ignored is in the category \"noise\"");
        }
        if rule.reason.is_some() && !says {
            self.wrong("reason", "", "a reason is one for a category, or for ignoring");
        }
    }

    fn matches(&mut self, matches: &MatchConfig) {
        let fields = matches.fields();
        if fields.iter().all(|(_, globs)| globs.is_empty()) {
            self.wrong("match", "", "say which events: message = \"*refused*\"");
        }
        for (field, globs) in fields {
            if globs.len() > MAX_GLOBS {
                let found = format!("{} globs", globs.len());
                self.wrong(field, &found, format!("use at most {MAX_GLOBS}"));
            }
            for glob in globs.iter().take(MAX_GLOBS) {
                self.text(field, glob);
            }
        }
    }

    fn splits(&mut self, split: &[String]) {
        if split.len() > MAX_SPLITS {
            let found = format!("{} values", split.len());
            self.wrong("split", &found, format!("use at most {MAX_SPLITS}"));
        }
        for value in split.iter().take(MAX_SPLITS) {
            self.text("split", value);
            if SplitBy::named(value).is_none() {
                self.wrong(
                    "split",
                    value,
                    "use service, logger, type, module, function, route or \"after TEXT\"",
                );
            }
        }
    }

    fn name(&mut self, field: &'static str, name: &str) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(is_plain) {
            let expected = format!("use 1 to {MAX_NAME_BYTES} letters, digits, `-`, `_` and `.`");
            self.wrong(field, name, expected);
        }
    }

    fn text(&mut self, field: &'static str, text: &str) {
        if text.is_empty() {
            self.wrong(field, text, "must not be empty; \"*\" fits all");
        } else if text.len() > MAX_TEXT_BYTES {
            self.wrong(field, text, format!("use at most {MAX_TEXT_BYTES} bytes"));
        }
    }
}

/// Reads one text, or a list of them.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a glob, such as \"*refused*\", or a list of them")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = items.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }
    deserializer.deserialize_any(Visitor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn rule(json: &str) -> RuleConfig {
        serde_json::from_str(json).unwrap()
    }

    fn mistakes(rules: &[RuleConfig]) -> Vec<String> {
        let errors = check(rules).err().unwrap_or_default();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_rule_is_good() {
        let rules = [
            rule(r#"{"name":"a","match":{"message":"*x*"},"merge":"g","category":"billing"}"#),
            rule(r#"{"name":"b","match":{"type":["A","B"]},"split":["service","after id="]}"#),
            rule(r#"{"name":"c","match":{"service":"s"},"ignore":true,"reason":"known"}"#),
        ];
        assert_eq!(mistakes(&rules), Vec::<String>::new());
    }

    #[test]
    fn each_mistake_is_named_with_what_would_be_right() {
        let cases = [
            (r#"{"name":"a b","match":{"message":"x"},"ignore":true}"#, "`a b`: name"),
            (r#"{"name":"a","match":{},"ignore":true}"#, "say which events"),
            (r#"{"name":"a","match":{"message":""},"ignore":true}"#, "must not be empty"),
            (r#"{"name":"a","match":{"message":"x"}}"#, "say what to do"),
            (r#"{"name":"","match":{"message":"x"},"merge":"g"}"#, "rule `#1`: name"),
            (r#"{"name":"a","match":{"message":"x"},"split":["colour"]}"#, "use service, logger"),
            (
                r#"{"name":"a","match":{"message":"x"},"merge":"g","split":["type"]}"#,
                "a rule merges or splits",
            ),
            (
                r#"{"name":"a","match":{"message":"x"},"ignore":true,"category":"data"}"#,
                "category \"noise\"",
            ),
            (r#"{"name":"a","match":{"message":"x"},"merge":"g","reason":"r"}"#, "a reason is one"),
        ];
        for (json, expected) in cases {
            let found = mistakes(&[rule(json)]).join("; ");
            assert!(found.contains(expected), "{json}: {found}");
        }
        let twice = rule(r#"{"name":"a","match":{"message":"x"},"ignore":true}"#);
        assert!(mistakes(&[twice.clone(), twice]).join("; ").contains("names must differ"));
        let many = vec![RuleConfig::default(); MAX_RULES + 1];
        assert!(mistakes(&many).join("; ").contains("at most 256"));
    }
}
