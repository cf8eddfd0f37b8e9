//! The `[[node]]` entries of the configuration, and the nodes they become.
//!
//! Promises: every mistake is reported at once, with its node, field, value and what would be right.

use std::collections::BTreeSet;

use hephaestus_schemas::{Mode, Node, NodeStatus, Policy, Severity};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::table::glob;

/// Most events that a threshold may ask for: as many are remembered for each fingerprint.
pub const MAX_THRESHOLD_COUNT: i32 = 1_024;
/// Most nodes of one configuration.
pub const MAX_NODES: usize = 10_000;
/// Most bytes of a node's name.
pub const MAX_NAME_BYTES: usize = 100;
/// Most globs of one list.
pub const MAX_GLOBS: usize = 100;
/// Signals that may open incidents beside errors.
pub const SIGNALS: [&str; 3] = ["new-pattern", "rate", "silence"];
/// Longest window, cooldown and warm-up, in milliseconds: 30 days.
pub const MAX_DURATION_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// One `[[node]]` entry of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Name, and id, of the node: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Globs of the sources it owns, over `service/instance/stream`: `bookshop/**`.
    /// `*` does not cross a `/`, `**` does.
    pub sources: Vec<String>,
    /// Path or URL of its repository.
    pub repository: String,
    /// Branch that proposals are made against.
    #[serde(default = "default_base_branch")]
    pub base_branch: String,
    /// Where the repository's root lies in the paths that its traces name, such as `/srv/app`.
    #[serde(default)]
    pub source_root: String,
    /// `suggest` waits for a person, `deploy` opens change requests alone where the policy allows it.
    #[serde(default = "default_mode")]
    pub mode: String,
    /// Lowest severity that counts: one of `TRACE`, `DEBUG`, `INFO`, `WARN`, `ERROR`, `FATAL`.
    #[serde(default = "default_threshold_level")]
    pub threshold_level: String,
    /// Events of one fingerprint within the window that open an incident.
    #[serde(default = "default_threshold_count")]
    pub threshold_count: i32,
    /// Length of the window, in event time: `90s`, `5m`, `1h 30m`.
    #[serde(default = "default_threshold_window")]
    pub threshold_window: String,
    /// Event time after an incident in which the same fingerprint opens no other: `1h`.
    #[serde(default = "default_cooldown")]
    pub cooldown: String,
    /// Globs of the paths a proposal may touch. `*` does not cross a `/`, `**` does.
    #[serde(default = "default_allowed_paths")]
    pub allowed_paths: Vec<String>,
    /// Most files a proposal may touch.
    #[serde(default = "default_max_files")]
    pub max_files: i32,
    /// Most lines a proposal may add and remove together.
    #[serde(default = "default_max_changed_lines")]
    pub max_changed_lines: i32,
    /// Lowest confidence, from 0 to 1, at which `deploy` opens a change request alone.
    #[serde(default = "default_min_confidence")]
    pub min_confidence: f64,
    /// Signals that open incidents beside errors: `new-pattern`, `rate`, `silence`.
    #[serde(default)]
    pub signals: Vec<String>,
    /// Lowest severity of patterns whose novelty and rate are watched.
    #[serde(default = "default_signal_level")]
    pub signal_level: String,
    /// Time after a change of the node in which every pattern counts as known: `24h`.
    #[serde(default = "default_signal_warm_up")]
    pub signal_warm_up: String,
}

fn default_base_branch() -> String {
    "main".to_owned()
}

fn default_mode() -> String {
    "suggest".to_owned()
}

fn default_threshold_level() -> String {
    Severity::Error.as_str().to_owned()
}

fn default_threshold_count() -> i32 {
    3
}

fn default_threshold_window() -> String {
    "5m".to_owned()
}

fn default_cooldown() -> String {
    "1h".to_owned()
}

fn default_allowed_paths() -> Vec<String> {
    vec!["**".to_owned()]
}

fn default_max_files() -> i32 {
    5
}

fn default_max_changed_lines() -> i32 {
    60
}

fn default_signal_level() -> String {
    Severity::Warn.as_str().to_owned()
}

fn default_signal_warm_up() -> String {
    "24h".to_owned()
}

fn default_min_confidence() -> f64 {
    0.8
}

/// A mistake in a `[[node]]` entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("node `{node}`: {field} = {value}: {expected}")]
pub struct ConfigError {
    /// Name of the node, or its place among the entries where it has none.
    pub node: String,
    /// Field that is wrong.
    pub field: &'static str,
    /// Its value, shortened.
    pub value: String,
    /// What would be right.
    pub expected: String,
}

/// The nodes of a configuration, registered at `now_micros` (microseconds since 1970 UTC).
///
/// # Errors
/// Every mistake in every entry.
pub fn nodes(entries: &[NodeConfig], now_micros: i64) -> Result<Vec<Node>, Vec<ConfigError>> {
    let mut nodes = Vec::with_capacity(entries.len().min(MAX_NODES));
    let mut errors = Vec::new();
    let mut names = BTreeSet::new();

    if entries.len() > MAX_NODES {
        return Err(vec![ConfigError {
            node: "*".to_owned(),
            field: "node",
            value: format!("{} entries", entries.len()),
            expected: format!("at most {MAX_NODES} are allowed"),
        }]);
    }

    for (position, entry) in entries.iter().enumerate() {
        let mut check = Check::new(entry, position);
        if !names.insert(entry.name.as_str()) {
            check.wrong("name", &entry.name, "another node has this name; names must differ");
        }
        match check.node(entry, now_micros) {
            Ok(node) => nodes.push(node),
            Err(mut wrong) => errors.append(&mut wrong),
        }
    }
    if errors.is_empty() { Ok(nodes) } else { Err(errors) }
}

/// Collects the mistakes of one entry.
struct Check {
    node: String,
    errors: Vec<ConfigError>,
}

impl Check {
    fn new(entry: &NodeConfig, position: usize) -> Self {
        let node = match entry.name.trim() {
            "" => format!("#{}", position + 1),
            name => shortened(name),
        };
        Self { node, errors: Vec::new() }
    }

    fn wrong(&mut self, field: &'static str, value: &str, expected: impl Into<String>) {
        self.errors.push(ConfigError {
            node: self.node.clone(),
            field,
            value: format!("{:?}", shortened(value)),
            expected: expected.into(),
        });
    }

    fn node(mut self, entry: &NodeConfig, now_micros: i64) -> Result<Node, Vec<ConfigError>> {
        self.name(&entry.name);
        self.globs("sources", &entry.sources, "name at least one source, such as \"bookshop/**\"");
        self.globs(
            "allowed_paths",
            &entry.allowed_paths,
            "name at least one path, such as \"src/**\"; \"**\" allows all",
        );
        self.text("repository", &entry.repository, "name the path of a git repository");
        self.branch(&entry.base_branch);
        self.source_root(&entry.source_root);
        let mode = self.mode(&entry.mode);
        let policy = Policy {
            threshold_level: self.severity("threshold_level", &entry.threshold_level),
            threshold_count: self.count("threshold_count", entry.threshold_count),
            threshold_window_ms: self.duration("threshold_window", &entry.threshold_window, 1),
            cooldown_ms: self.duration("cooldown", &entry.cooldown, 0),
            allowed_paths: entry.allowed_paths.clone(),
            max_files: self.positive("max_files", entry.max_files),
            max_changed_lines: self.positive("max_changed_lines", entry.max_changed_lines),
            min_confidence: self.confidence(entry.min_confidence),
        };
        self.signals(&entry.signals);
        let signal_level = self.severity("signal_level", &entry.signal_level);
        let signal_warm_up_ms = self.duration("signal_warm_up", &entry.signal_warm_up, 0);
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        Ok(Node {
            id: entry.name.clone(),
            sources: entry.sources.clone(),
            repository: entry.repository.clone(),
            base_branch: entry.base_branch.clone(),
            source_root: entry.source_root.clone(),
            mode,
            policy,
            signals: entry.signals.clone(),
            signal_level,
            signal_warm_up_ms,
            status: NodeStatus::Registered,
            registered_at: now_micros,
            updated_at: now_micros,
        })
    }

    fn name(&mut self, name: &str) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(is_plain) {
            let expected = format!("use 1 to {MAX_NAME_BYTES} letters, digits, `-`, `_` and `.`");
            self.wrong("name", name, expected);
        }
    }

    fn globs(&mut self, field: &'static str, globs: &[String], none: &str) {
        if globs.is_empty() {
            self.wrong(field, "", none);
        }
        if globs.len() > MAX_GLOBS {
            self.wrong(
                field,
                &format!("{} globs", globs.len()),
                format!("use at most {MAX_GLOBS}"),
            );
            return;
        }
        for text in globs {
            if let Err(reason) = glob(text) {
                self.wrong(field, text, reason);
            } else if field == "allowed_paths" && text.starts_with(['/', '!']) {
                let expected = "paths are relative to the repository's root, and none is excluded";
                self.wrong(field, text, expected);
            }
        }
    }

    fn text(&mut self, field: &'static str, value: &str, expected: &str) {
        if value.trim().is_empty() || value.chars().any(char::is_control) {
            self.wrong(field, value, expected);
        }
    }

    fn branch(&mut self, branch: &str) {
        let forbidden = |c: char| {
            c.is_control()
                || c.is_whitespace()
                || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\')
        };
        let malformed = branch.is_empty()
            || branch.contains(forbidden)
            || branch.contains("..")
            || branch.contains("//")
            || branch.contains("@{")
            || branch.starts_with(['/', '-', '.'])
            || branch.ends_with(['/', '.'])
            || branch.ends_with(".lock");
        if malformed {
            self.wrong("base_branch", branch, "name a branch as git does, such as \"main\"");
        } else if branch.starts_with("refs/") {
            self.wrong("base_branch", branch, "leave out `refs/heads/`: \"main\"");
        }
    }

    fn source_root(&mut self, root: &str) {
        let climbs = root.split(['/', '\\']).any(|component| component == "..");
        if climbs || root.chars().any(char::is_control) {
            self.wrong(
                "source_root",
                root,
                "name the directory as traces do, such as \"/srv/app\"",
            );
        }
    }

    fn mode(&mut self, mode: &str) -> Mode {
        match mode {
            "suggest" => Mode::Suggest,
            "deploy" => Mode::Deploy,
            _ => {
                self.wrong("mode", mode, "use \"suggest\" or \"deploy\"");
                Mode::Suggest
            }
        }
    }

    fn signals(&mut self, signals: &[String]) {
        for (position, signal) in signals.iter().enumerate() {
            if !SIGNALS.contains(&signal.as_str()) {
                self.wrong("signals", signal, "use \"new-pattern\", \"rate\" and \"silence\"");
            } else if signals.iter().take(position).any(|other| other == signal) {
                self.wrong("signals", signal, "name it once");
            }
        }
    }

    fn severity(&mut self, field: &'static str, level: &str) -> Severity {
        let known = [
            Severity::Trace,
            Severity::Debug,
            Severity::Info,
            Severity::Warn,
            Severity::Error,
            Severity::Fatal,
        ];
        for severity in known {
            if level.eq_ignore_ascii_case(severity.as_str()) {
                return severity;
            }
        }
        self.wrong(field, level, "use TRACE, DEBUG, INFO, WARN, ERROR or FATAL");
        Severity::Error
    }

    fn count(&mut self, field: &'static str, value: i32) -> i32 {
        if value > MAX_THRESHOLD_COUNT {
            let limit = format!("must be at most {MAX_THRESHOLD_COUNT}");
            self.wrong(field, &value.to_string(), &limit);
        }
        self.positive(field, value)
    }

    fn positive(&mut self, field: &'static str, value: i32) -> i32 {
        if value < 1 {
            self.wrong(field, &value.to_string(), "must be 1 or more");
        }
        value
    }

    /// A duration in milliseconds.
    fn duration(&mut self, field: &'static str, value: &str, least_ms: i128) -> i64 {
        let parsed = value.parse::<SignedDuration>().map(|duration| duration.as_millis());
        match parsed {
            Ok(ms) if (least_ms..=i128::from(MAX_DURATION_MS)).contains(&ms) => {
                i64::try_from(ms).unwrap_or(MAX_DURATION_MS)
            }
            Ok(_) if least_ms > 0 => {
                self.wrong(field, value, "must be more than 0 and at most 720h");
                0
            }
            Ok(_) => {
                self.wrong(field, value, "must be 0s to 720h");
                0
            }
            Err(_) => {
                self.wrong(field, value, "write a duration such as \"90s\", \"5m\" or \"1h 30m\"");
                0
            }
        }
    }

    fn confidence(&mut self, value: f64) -> f64 {
        if !(0.0..=1.0).contains(&value) {
            self.wrong("min_confidence", &value.to_string(), "must be 0 to 1");
        }
        value
    }
}

/// At most the first 80 characters.
fn shortened(text: &str) -> String {
    const MAX_SHOWN_CHARS: usize = 80;
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text.to_owned(),
    }
}
