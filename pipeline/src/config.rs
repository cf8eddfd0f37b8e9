//! Configuration: one TOML file, `HEPHAESTUS_*` variables, flags; the later wins.
//!
//! Whatever is misspelt or of the wrong kind is refused, with where it stands and what would be right.

mod de;
mod error;
mod secret;
mod tree;
pub mod units;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

pub use error::{ConfigError, Place, Problem};
pub use secret::{Secret, SecretError};
pub use units::{ByteSize, HumanDuration};

use tree::{Node, Value};

/// What every variable's name begins with.
pub const PREFIX: &str = "HEPHAESTUS_";
/// What the names of variables begin with that are for tests, and never keys.
pub const TEST_PREFIX: &str = "HEPHAESTUS_TEST_";
/// Largest configuration file, in bytes.
pub const LARGEST_FILE: u64 = 1 << 20;

/// Between the keys of a nested one in a variable's name: `HEPHAESTUS_TELEMETRY__FILTER`.
const NESTING: &str = "__";
/// Deepest nested key that a variable or a flag can set.
const DEEPEST_KEY: usize = 16;

/// Gathers a configuration from its places.
///
/// Every key of a struct must be known to it, with or without `serde(deny_unknown_fields)`; a struct
/// with `serde(flatten)` knows all keys.
#[derive(Debug, Default)]
pub struct Loader {
    file: Option<Node>,
    variables: Vec<(String, String)>,
    flags: Vec<(&'static str, &'static str, String)>,
    ignored: Vec<&'static str>,
}

impl Loader {
    /// A configuration without any setting.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, is larger than [`LARGEST_FILE`], or is no TOML.
    pub fn file(self, path: &Path) -> Result<Self, ConfigError> {
        let text = read(path)
            .map_err(|problem| ConfigError { place: Place::File(path.to_owned()), problem })?;
        self.text(path, &text)
    }

    /// Takes the text of a file that was read already; `path` is for messages.
    ///
    /// # Errors
    /// Where it is no TOML.
    pub fn text(mut self, path: impl Into<PathBuf>, text: &str) -> Result<Self, ConfigError> {
        self.file = Some(tree::parse(&path.into(), text)?);
        Ok(self)
    }

    /// Takes the variables of the process that begin with [`PREFIX`]. Those that hold a secret, as a setting `env:NAME` says,
    /// are no keys.
    #[must_use]
    pub fn environment(self) -> Self {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        self.variables(std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))))
    }

    /// Takes those variables that begin with [`PREFIX`], save those of [`TEST_PREFIX`].
    #[must_use]
    pub fn variables(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX) && !name.starts_with(TEST_PREFIX));
        self.variables.extend(ours);
        self
    }

    /// Leaves a variable alone that begins with [`PREFIX`] and is no key, such as the one that names the file.
    #[must_use]
    pub fn ignore_variable(mut self, name: &'static str) -> Self {
        self.ignored.push(name);
        self
    }

    /// Sets a key, such as `telemetry.filter`, from a flag, such as `--log`.
    #[must_use]
    pub fn flag(mut self, flag: &'static str, key: &'static str, value: impl Into<String>) -> Self {
        self.flags.push((flag, key, value.into()));
        self
    }

    /// The configuration: flags before variables, those before the file, that before the defaults.
    ///
    /// # Errors
    /// Names the first key that is unknown, missing or wrong, and where it stands.
    pub fn load<T: DeserializeOwned>(mut self) -> Result<T, ConfigError> {
        let nothing = || Node { place: Place::Defaults, value: Value::Table(Vec::new()) };
        let mut root = self.file.take().unwrap_or_else(nothing);
        self.variables.sort();
        let mut secrets = Vec::new();
        root.add_variables_of_secrets(&mut secrets);
        let of_variables =
            self.variables.iter().filter_map(|(_, value)| secret::variable_of(value));
        secrets.extend(of_variables.map(str::to_owned));
        for (name, value) in self.variables {
            if self.ignored.contains(&name.as_str()) || secrets.contains(&name) {
                continue;
            }
            let key = name.strip_prefix(PREFIX).unwrap_or_default().to_lowercase();
            let path: Vec<&str> = key.splitn(DEEPEST_KEY, NESTING).collect();
            root.set(&path, &Place::Variable(name.clone()), value);
        }
        for (flag, key, value) in self.flags {
            let path: Vec<&str> = key.splitn(DEEPEST_KEY, '.').collect();
            root.set(&path, &Place::Flag(flag), value);
        }
        T::deserialize(&root).map_err(|error| error.at(&root.place).into())
    }
}

fn read(path: &Path) -> Result<String, Problem> {
    let unreadable = |error: std::io::Error| Problem::Unreadable { message: error.to_string() };
    let file = File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    let read = file.take(LARGEST_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > LARGEST_FILE {
        return Err(Problem::TooLarge);
    }
    Ok(text)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
