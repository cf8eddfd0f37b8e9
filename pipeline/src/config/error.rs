//! What is wrong with a configuration, where, and what would be right.

use std::{fmt, path::PathBuf};

use super::{ByteSize, LARGEST_FILE};

/// Longest part of a name that is compared: comparing takes the product of the lengths.
const COMPARED_CHARS: usize = 64;
/// How alike two names must be for the one to be meant by the other, from 0 to 1.
const ALIKE: f64 = 0.6;
/// Most names that are listed where none is near.
const LISTED_NAMES: usize = 24;

/// Where a setting stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file as a whole.
    File(PathBuf),
    /// A line of a file, from 1.
    Line(PathBuf, usize),
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
    /// Nowhere: no file was given.
    Defaults,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
            Self::Defaults => f.write_str("configuration"),
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot be read: {message}")]
    Unreadable {
        /// What the system said.
        message: String,
    },
    /// The file is no configuration.
    #[error("is larger than {}", ByteSize(LARGEST_FILE))]
    TooLarge,
    /// The file is no TOML.
    #[error("is no TOML: {message}")]
    Syntax {
        /// What is wrong.
        message: String,
    },
    /// No such key.
    #[error("unknown key {key:?}{hint}")]
    UnknownKey {
        /// The key, with those it stands below.
        key: String,
        /// What may have been meant.
        hint: Hint,
    },
    /// A key that must be set is not.
    #[error("key {key:?} is missing")]
    Missing {
        /// The key, with those it stands below.
        key: String,
    },
    /// A value of the wrong kind, or out of its range.
    #[error("{key} is {found}, wanted {wanted}")]
    Kind {
        /// The key, with those it stands below.
        key: String,
        /// What stands there.
        found: String,
        /// What would be right.
        wanted: String,
    },
    /// One of several names was wanted.
    #[error("{key} is {found:?}, which is none of its values{hint}")]
    Choice {
        /// The key, with those it stands below.
        key: String,
        /// What stands there.
        found: String,
        /// What may have been meant.
        hint: Hint,
    },
    /// A value that its own type refuses.
    #[error("{key}: {message}")]
    Value {
        /// The key, with those it stands below.
        key: String,
        /// What is wrong.
        message: String,
    },
}

/// What may have been meant by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// One of the names that are known.
    Nearest(String),
    /// None is near; these are known.
    OneOf(Vec<&'static str>),
}

impl Hint {
    /// The name that is most like `name`, or all of them where none is.
    pub(super) fn new(name: &str, known: &'static [&'static str]) -> Self {
        let name: String = name.chars().take(COMPARED_CHARS).collect();
        let name = name.to_lowercase().replace('-', "_");
        let likeness = |candidate: &str| strsim::normalized_damerau_levenshtein(&name, candidate);
        let nearest = known
            .iter()
            .map(|candidate| (likeness(candidate), candidate))
            .max_by(|left, right| left.0.total_cmp(&right.0));
        match nearest {
            Some((likeness, candidate)) if likeness >= ALIKE => {
                Self::Nearest((*candidate).to_owned())
            }
            _ => Self::OneOf(known.to_vec()),
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nearest(name) => write!(f, "; did you mean {name:?}?"),
            Self::OneOf(known) if known.is_empty() => f.write_str("; there are none here"),
            Self::OneOf(known) => {
                let listed: Vec<&str> = known.iter().copied().take(LISTED_NAMES).collect();
                let more = if known.len() > LISTED_NAMES { ", …" } else { "" };
                write!(f, "; known are {}{more}", listed.join(", "))
            }
        }
    }
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Problem,
}
