//! What kind of event a log line is, and why.
//!
//! The taxonomy: *security* (someone is refused, or breaks in), *resource* (memory, disk, handles
//! ran out), *network* (a connection fails), *dependency* (another service or a database fails),
//! *configuration* (a setting or a file that should be there is wrong), *data* (input that cannot
//! be read or kept), *deployment* (start, stop, roll-out), *defect* (the program is wrong),
//! *noise* (health checks, requests that went well), *activity* (anything else).
//! Promises: a pure function of the event; the rules are the table below, the first that fits counts.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use hephaestus_schemas::{Exception, Severity};

/// When a rule may apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Any event.
    Any,
    /// Warnings, errors, exceptions.
    Failing,
    /// Only what is no failure.
    Calm,
}

struct Rule {
    category: &'static str,
    scope: Scope,
    reason: &'static str,
    words: &'static [&'static str],
}

const fn rule(
    category: &'static str,
    scope: Scope,
    reason: &'static str,
    words: &'static [&'static str],
) -> Rule {
    Rule { category, scope, reason, words }
}

use Scope::{Any, Calm, Failing};

/// The rules, in order.
const RULES: [Rule; 22] = [
    rule(
        "resource",
        Failing,
        "memory ran out",
        &[
            "out of memory",
            "outofmemory",
            "memoryerror",
            "heap space",
            "cannot allocate memory",
            "oom-kill",
            "oomkilled",
            "gc overhead limit",
        ],
    ),
    rule(
        "resource",
        Failing,
        "disk is full",
        &["no space left", "disk full", "enospc", "disk quota exceeded"],
    ),
    rule(
        "resource",
        Failing,
        "handles or a pool ran out",
        &[
            "too many open files",
            "emfile",
            "pool exhausted",
            "poolexhausted",
            "queuepool limit",
            "resource exhausted",
            "resource temporarily unavailable",
            "too many connections",
            "thread limit",
            "quota exceeded",
        ],
    ),
    rule(
        "defect",
        Failing,
        "a value was not what the code takes for granted",
        &[
            "nullpointer",
            "attributeerror",
            "typeerror",
            "indexerror",
            "keyerror",
            "nameerror",
            "unboundlocalerror",
            "zerodivision",
            "arithmeticexception",
            "indexoutofbounds",
            "classcast",
            "illegalstate",
            "illegalargument",
            "concurrentmodification",
            "nil pointer dereference",
            "index out of range",
            "slice bounds out of range",
            "referenceerror",
            "rangeerror",
            "assertionerror",
            "assertionfailed",
            "recursionerror",
            "stackoverflow",
            "unwrap()",
            "nosuchelement",
            "unsupportedoperation",
            "notimplementederror",
            "concurrent map",
            "divide by zero",
            "all goroutines are asleep",
        ],
    ),
    rule(
        "security",
        Any,
        "someone was refused or tried to break in",
        &[
            "authentication failure",
            "authentication failed",
            "failed password",
            "invalid user",
            "check pass; user unknown",
            "break-in",
            "unauthorized",
            "access denied",
            "forbidden",
            "csrf",
            "intrusion",
            "invalid credentials",
            "login failed",
            "signature verification",
            "bad credentials",
        ],
    ),
    rule(
        "security",
        Failing,
        "a certificate or a permission was refused",
        &["certificate", "permission denied", "sslerror", "sslhandshake", "tls handshake"],
    ),
    rule(
        "network",
        Failing,
        "a connection failed",
        &[
            "connection refused",
            "econnrefused",
            "connection reset",
            "econnreset",
            "broken pipe",
            "epipe",
            "no route to host",
            "host unreachable",
            "network is unreachable",
            "socket hang up",
            "connection aborted",
            "connection broken",
            "connection closed",
            "connection lost",
            "connectexception",
            "sockettimeout",
            "could not connect",
            "cannot connect",
            "connectionerror",
            "end of stream",
            "retrying connect",
        ],
    ),
    rule(
        "network",
        Failing,
        "a name was not resolved",
        &[
            "unknownhost",
            "could not resolve",
            "getaddrinfo",
            "name or service not known",
            "getaddrinfo enotfound",
            "name resolution",
            "nodename nor servname",
        ],
    ),
    rule(
        "network",
        Failing,
        "an answer did not come in time",
        &["timed out", "timeout", "etimedout", "deadline exceeded"],
    ),
    rule(
        "dependency",
        Failing,
        "a database failed",
        &[
            "operationalerror",
            "sqlexception",
            "psycopg",
            "database is locked",
            "deadlock",
            "sqlstate",
            "mongo",
            "redis.",
            "rediserror",
            "jedis",
            "redis server",
            "redis connection",
            "cassandra",
            "elasticsearch",
        ],
    ),
    rule(
        "dependency",
        Failing,
        "another service failed",
        &[
            "bad gateway",
            "service unavailable",
            "gateway time-out",
            "upstream",
            "rate limit",
            "too many requests",
            "circuit breaker",
            "kafka",
            "amqp",
            "grpc",
            "s3exception",
            "status code <num>",
        ],
    ),
    rule(
        "data",
        Failing,
        "input could not be read",
        &[
            "jsondecode",
            "jsonparse",
            "json parse",
            "malformed",
            "unicodedecode",
            "unicodeencode",
            "parse error",
            "parseexception",
            "unexpected token",
            "invalid json",
            "numberformat",
            "invalid literal for int",
            "datetimeparse",
            "unmarshal",
            "deserializ",
            "corrupt",
            "checksum",
            "validationerror",
            "jsonsyntax",
        ],
    ),
    rule(
        "data",
        Failing,
        "a constraint was broken",
        &["integrityerror", "constraint", "duplicate key", "unique violation", "foreign key"],
    ),
    rule(
        "configuration",
        Failing,
        "a setting is missing or wrong",
        &[
            "improperlyconfigured",
            "configuration",
            "misconfigur",
            "environment variable",
            "missing required",
            "unknown option",
            "invalid option",
            "no such property",
            "not configured",
            "bad config",
            "error in config",
        ],
    ),
    rule(
        "configuration",
        Failing,
        "a file or module that should be there is not",
        &[
            "no such file",
            "filenotfound",
            "enoent",
            "modulenotfound",
            "importerror",
            "cannot find module",
            "classnotfound",
            "noclassdeffound",
            "nosuchmethoderror",
            "no module named",
        ],
    ),
    rule(
        "deployment",
        Failing,
        "a roll-out or a migration failed",
        &[
            "migration",
            "rollout",
            "rollback failed",
            "crashloop",
            "imagepull",
            "readiness probe",
            "liveness probe",
        ],
    ),
    rule(
        "noise",
        Calm,
        "a health check",
        &[
            "healthz",
            "health check",
            "healthcheck",
            "/livez",
            "/readyz",
            "/ping ",
            "heartbeat",
            "keepalive",
            "keep-alive",
        ],
    ),
    rule(
        "deployment",
        Calm,
        "a process starts or stops",
        &[
            "starting ",
            "started ",
            "startup succeeded",
            "shutting down",
            "shutdown succeeded",
            "listening on",
            "sigterm",
            "restart.",
            "booting",
            "stopping ",
            "deployed",
        ],
    ),
    rule(
        "defect",
        Failing,
        "a panic or an unhandled exception",
        &[
            "panic",
            "unhandled",
            "uncaught",
            "traceback",
            "segfault",
            "segmentation fault",
            "core dumped",
        ],
    ),
    rule(
        "dependency",
        Failing,
        "a request to another service failed",
        &["http error", "httperror", "response status", "webclient", "feignexception"],
    ),
    rule(
        "network",
        Failing,
        "a socket failed",
        &["socketexception", "socket error", "ioexception", "oserror"],
    ),
    rule("data", Failing, "a value was refused", &["valueerror", "invalid value", "not a valid"]),
];

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
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(words)
            .ok();
        Self { automaton, rules }
    }
}

impl Categories {
    /// Category of an event without an exception, by its template.
    pub(crate) fn of_line(&self, template: &str, severity: Severity) -> Verdict {
        let failing = severity >= Severity::Warn;
        if let Some(verdict) = self.first_rule(&[template], failing) {
            return verdict;
        }
        if severity >= Severity::Error {
            return ("defect", "an error without a cause that is known");
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

    /// Category of a request, by its status.
    pub(crate) fn of_request(&self, status: u16) -> Verdict {
        match status {
            401 | 403 => ("security", "a request was refused"),
            502..=504 => ("dependency", "a server behind this one failed"),
            500.. => ("defect", "a request failed in the server"),
            429 => ("resource", "a client sends too many requests"),
            400.. => ("noise", "a request that the client got wrong"),
            _ => ("noise", "a request that went well"),
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
}
