//! Rules of the configuration: a name, and a prefix or a regular expression.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::{Span, tag};

/// Largest program that a regular expression may become, in bytes.
const MAX_PROGRAM: usize = 1 << 20;
/// What stands behind a prefix: enough of what tokens are made of.
const BEHIND_PREFIX: &str = "[A-Za-z0-9_.~+/=-]{8,}";

/// A kind of secret that the configuration names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct SecretRule {
    /// `secret:` and its name.
    kind: String,
    written: Written,
    /// Matches in linear time, whatever it is.
    regex: Regex,
}

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    regex: Option<String>,
}

/// Why a rule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretRuleError {
    /// The name would not be told from other parts of a placeholder.
    #[error(
        "rule {0:?} of secrets: a name has 1 to 32 lower-case letters, digits and hyphens, and begins with a letter"
    )]
    Name(String),
    /// Neither or both.
    #[error("rule {0:?} of secrets: either a prefix of at least 3 bytes or a regex is needed")]
    Pattern(String),
    /// The expression does not compile; the message marks the position.
    #[error("rule {name:?} of secrets: {message}")]
    Regex {
        /// The rule's name.
        name: String,
        /// What is wrong, and where.
        message: String,
    },
    /// It would replace what is not there.
    #[error("rule {0:?} of secrets: the regex matches the empty text")]
    Empty(String),
}

impl SecretRule {
    /// A rule for tokens that begin with `prefix`.
    ///
    /// # Errors
    /// Where name or prefix cannot be used.
    pub fn prefix(name: &str, prefix: &str) -> Result<Self, SecretRuleError> {
        Written { name: name.to_owned(), prefix: Some(prefix.to_owned()), regex: None }.try_into()
    }

    /// A rule for what `regex` matches; where it has a group, only the first group is the secret.
    ///
    /// # Errors
    /// Where name or expression cannot be used.
    pub fn regex(name: &str, regex: &str) -> Result<Self, SecretRuleError> {
        Written { name: name.to_owned(), prefix: None, regex: Some(regex.to_owned()) }.try_into()
    }

    pub(super) fn find<'m>(&'m self, line: &str, spans: &mut Vec<Span<'m>>) {
        let mut push = |start: usize, end: usize| {
            if start < end && !tag::is_placeholder(crate::scan::slice(line, start, end)) {
                spans.push(Span::new(start, end, &self.kind));
            }
        };
        if self.regex.captures_len() == 1 {
            self.regex.find_iter(line).for_each(|found| push(found.start(), found.end()));
            return;
        }
        for found in self.regex.captures_iter(line) {
            if let Some(group) = found.get(1).or_else(|| found.get(0)) {
                push(group.start(), group.end());
            }
        }
    }
}

impl PartialEq for SecretRule {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for SecretRule {}

impl From<SecretRule> for Written {
    fn from(rule: SecretRule) -> Self {
        rule.written
    }
}

impl TryFrom<Written> for SecretRule {
    type Error = SecretRuleError;

    fn try_from(written: Written) -> Result<Self, SecretRuleError> {
        let name = || written.name.clone();
        let named = (1..=tag::MAX_NAME).contains(&written.name.len())
            && written.name.starts_with(|first: char| first.is_ascii_lowercase())
            && written
                .name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !named {
            return Err(SecretRuleError::Name(name()));
        }
        let pattern = match (&written.prefix, &written.regex) {
            (Some(prefix), None) if prefix.len() >= 3 => {
                format!("{}{BEHIND_PREFIX}", regex::escape(prefix))
            }
            (None, Some(regex)) => regex.clone(),
            _ => return Err(SecretRuleError::Pattern(name())),
        };
        let regex = RegexBuilder::new(&pattern).size_limit(MAX_PROGRAM).build();
        let regex = regex
            .map_err(|error| SecretRuleError::Regex { name: name(), message: error.to_string() })?;
        if regex.is_match("") {
            return Err(SecretRuleError::Empty(name()));
        }
        Ok(Self { kind: format!("secret:{}", written.name), written, regex })
    }
}
