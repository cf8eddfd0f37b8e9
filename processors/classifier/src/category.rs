//! What kind of event a log line is, and why.
//!
//! The taxonomy: *security* (someone is refused, or breaks in), *resource* (memory, disk, handles
//! ran out), *network* (a connection fails), *dependency* (another service or a database fails),
//! *configuration* (a setting or a file that should be there is wrong), *data* (input that cannot
//! be read or kept), *deployment* (start, stop, roll-out), *defect* (the program is wrong),
//! *noise* (health checks, requests that went well), *activity* (anything else).
//! Promises: a pure function of the event; the rules are the table in `rules`, the first that fits counts.

mod rules;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use hephaestus_schemas::{Exception, Severity};

use rules::{RULES, Scope};

/// Category of what opens no incident.
pub(crate) const NOISE: &str = "noise";

/// The rules, compiled; built once.
#[derive(Debug, Clone)]
pub(crate) struct Categories {
    automaton: Option<AhoCorasick>,
    /// For each word, the rule it belongs to.
    rules: Vec<usize>,
}

/// A category and its reason.
pub(crate) type Verdict = (&'static str, &'static str);

impl Default for Categories {
    fn default() -> Self {
        let mut words = Vec::new();
        let mut rules = Vec::new();
        for (index, rule) in RULES.iter().enumerate() {
            for word in rule.words {
                words.push(*word);
                rules.push(index);
            }
        }
        // Asked once a template, which is too seldom for a DFA to pay for its making.
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(words)
            .ok();
        Self { automaton, rules }
    }
}

impl Categories {
    /// Category of an event without an exception, by its template.
    pub(crate) fn of_line(&self, template: &str, severity: Severity) -> Verdict {
        let failing = severity >= Severity::Warn;
        let found = self.first_rule(&[template], failing);
        if let Some(verdict) = found.filter(|(name, _)| *name != NOISE || !tells_failure(template))
        {
            return verdict;
        }
        if severity >= Severity::Error {
            return ("defect", "an error without a cause that is known");
        }
        if !failing && is_drawn(template) {
            return (NOISE, "a line without words, as banners are drawn");
        }
        ("activity", "no rule applies")
    }

    /// Category of an exception: by the root of its chain first, then by what it caused.
    pub(crate) fn of_exception(&self, exception: &Exception) -> Verdict {
        let mut links: Vec<&Exception> =
            std::iter::successors(Some(exception), |link| link.cause.as_deref()).collect();
        links.reverse();
        for link in links {
            let found = self
                .first_rule(&[&link.type_name], true)
                .or_else(|| self.first_rule(&[&link.message], true));
            if let Some(verdict) = found {
                return verdict;
            }
        }
        ("defect", "an exception without a cause that is known")
    }

    /// Category of a request, by its status and its template (`GET /path 200`).
    pub(crate) fn of_request(&self, template: &str, status: u16) -> Verdict {
        const CHECKS: [&str; 7] =
            ["/health", "/healthz", "/healthcheck", "/livez", "/readyz", "/ping", "/heartbeat"];
        let path = template.rsplit_once(' ').map_or(template, |(path, _)| path);
        match status {
            401 | 403 => ("security", "a request was refused"),
            502..=504 => ("dependency", "a server behind this one failed"),
            500.. => ("defect", "a request failed in the server"),
            429 => ("resource", "a client sends too many requests"),
            400.. => (NOISE, "a request that the client got wrong"),
            _ if CHECKS.iter().any(|check| path.ends_with(check)) => (NOISE, "a health check"),
            _ => (NOISE, "a request that went well"),
        }
    }

    fn first_rule(&self, texts: &[&str], failing: bool) -> Option<Verdict> {
        let automaton = self.automaton.as_ref()?;
        let mut first: Option<usize> = None;
        for text in texts {
            for found in automaton.find_overlapping_iter(*text) {
                let index = *self.rules.get(found.pattern().as_usize())?;
                let applies = match RULES.get(index)?.scope {
                    Scope::Any => true,
                    Scope::Failing => failing,
                    Scope::Calm => !failing,
                };
                if applies && first.is_none_or(|known| index < known) {
                    first = Some(index);
                }
            }
        }
        let rule = RULES.get(first?)?;
        Some((rule.category, rule.reason))
    }
}

/// Whether a line that speaks of a health check says that it went wrong.
fn tells_failure(template: &str) -> bool {
    let template = template.to_ascii_lowercase();
    ["fail", "missed", "dead", "unhealthy", "unreachable", "timed out", "lost", "expired"]
        .iter()
        .any(|word| template.contains(word))
}

/// Whether a line is drawn rather than written: no variable in it, and hardly a letter.
fn is_drawn(template: &str) -> bool {
    const MIN_STROKES: usize = 3;
    let is_letter = |c: &char| c.is_alphanumeric();
    let strokes = template.chars().filter(|c| !c.is_whitespace()).count();
    let letters = template.chars().filter(is_letter).count();
    strokes >= MIN_STROKES && letters * 4 <= strokes && !template.contains('<')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_failures_are_told_apart() {
        let categories = Categories::default();
        let cases = [
            ("java.lang.OutOfMemoryError", "Java heap space", "resource"),
            ("KeyError", "'user'", "defect"),
            ("ConnectionRefusedError", "[Errno 111] Connection refused", "network"),
            ("sqlite3.OperationalError", "database is locked", "dependency"),
            ("json.decoder.JSONDecodeError", "Expecting value", "data"),
            ("ModuleNotFoundError", "No module named 'x'", "configuration"),
            ("MyError", "oops", "defect"),
        ];
        for (type_name, message, expected) in cases {
            let exception = Exception {
                type_name: type_name.to_owned(),
                message: message.to_owned(),
                ..Exception::default()
            };
            assert_eq!(categories.of_exception(&exception).0, expected, "{type_name}");
        }
    }

    #[test]
    fn calm_lines_are_no_failures() {
        let categories = Categories::default();
        assert_eq!(
            categories.of_line("Connection timeout set to <num>", Severity::Info).0,
            "activity"
        );
        assert_eq!(
            categories.of_line("Failed password for root from <ip>", Severity::Info).0,
            "security"
        );
        assert_eq!(categories.of_line("GET /healthz", Severity::Info).0, "noise");
        assert_eq!(categories.of_line("something odd", Severity::Error).0, "defect");
    }

    #[test]
    fn what_tells_nothing_is_noise() {
        let categories = Categories::default();
        let lines = [
            ("GET /readyz", "a health check"),
            ("liveness: healthcheck ok", "a health check"),
            (":: Spring Boot ::  (v<num>)", "a banner"),
            ("Copyright (c) Acme, all rights reserved", "a banner"),
            (
                r" \\/  ___)| |_)| | | | | || (_| |  ) ) ) )",
                "a line without words, as banners are drawn",
            ),
            ("==========", "a line without words, as banners are drawn"),
        ];
        for (line, reason) in lines {
            assert_eq!(categories.of_line(line, Severity::Info), (NOISE, reason), "{line}");
            assert_ne!(categories.of_line(line, Severity::Error).0, NOISE, "{line}");
        }
        for line in [
            "job done",
            "a -> b",
            "| <num> | <num> |",
            "ok",
            "Heartbeat to coordinator failed, leaving group",
            "health check of backend <*> timed out, removing it from the pool",
        ] {
            assert_ne!(categories.of_line(line, Severity::Info).0, NOISE, "{line}");
        }
    }

    #[test]
    fn requests_are_told_apart_by_how_they_ended() {
        let categories = Categories::default();
        let of = |path: &str, status: u16| {
            categories.of_request(&format!("GET {path} {status}"), status)
        };
        assert_eq!(of("/cart", 200), (NOISE, "a request that went well"));
        assert_eq!(of("/actuator/health", 204), (NOISE, "a health check"));
        assert_eq!(of("/cart", 404), (NOISE, "a request that the client got wrong"));
        assert_eq!(of("/cart", 401).0, "security");
        assert_eq!(of("/cart", 429).0, "resource");
        assert_eq!(of("/health", 503).0, "dependency");
        assert_eq!(of("/health", 500).0, "defect");
    }

    #[test]
    fn the_taxonomy_is_documented_reason_by_reason() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/categories.md");
        let docs = std::fs::read_to_string(docs).unwrap_or_default();
        let row =
            |category: &str| docs.lines().find(|line| line.starts_with(&format!("| {category} |")));
        for rule in &RULES {
            let row = row(rule.category).unwrap_or_default();
            assert!(row.contains(rule.reason), "{}: {}", rule.category, rule.reason);
        }
    }
}
