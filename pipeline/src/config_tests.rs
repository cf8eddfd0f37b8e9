#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::{retry::RetryPolicy, telemetry::TelemetryConfig};

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Engine {
    Embedded,
    Kafka,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
struct Config {
    engine: Engine,
    port: u16,
    cache: ByteSize,
    token: Option<Secret>,
    paths: Vec<String>,
    labels: BTreeMap<String, String>,
    telemetry: TelemetryConfig,
    retry: RetryPolicy,
    node: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    name: String,
    #[serde(default)]
    threshold: f64,
    #[serde(default)]
    deploy: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            engine: Engine::Embedded,
            port: 8080,
            cache: ByteSize::mib(16),
            token: None,
            paths: Vec::new(),
            labels: BTreeMap::new(),
            telemetry: TelemetryConfig::default(),
            retry: RetryPolicy::default(),
            node: Vec::new(),
        }
    }
}

const FILE: &str = r#"
engine = "kafka"
port = 9000
cache = "64MiB"

[telemetry]
filter = "debug"
sample_ratio = 1

[retry]
initial = "1s"

[[node]]
name = "shop"
threshold = 0.5
"#;

fn load(
    file: &str,
    variables: &[(&str, &str)],
    flags: &[(&'static str, &'static str, &str)],
) -> Result<Config, String> {
    let owned = |pair: &(&str, &str)| (pair.0.to_owned(), pair.1.to_owned());
    let mut loader =
        Loader::new().variables(variables.iter().map(owned)).ignore_variable("HEPHAESTUS_CONFIG");
    for (flag, key, value) in flags {
        loader = loader.flag(flag, key, *value);
    }
    loader.text("h.toml", file).and_then(Loader::load).map_err(|error| error.to_string())
}

#[track_caller]
fn assert_refused(file: &str, expected: &str) {
    assert_eq!(load(file, &[], &[]).unwrap_err(), expected);
}

#[test]
fn without_any_place_the_defaults_count() {
    let config: Config = Loader::new().load().unwrap();
    assert_eq!((config.engine, config.port), (Engine::Embedded, 8080));
    assert_eq!(config.telemetry, TelemetryConfig::default());
}

#[test]
fn flags_win_over_variables_and_those_over_the_file() {
    let variables =
        [("HEPHAESTUS_PORT", "9001"), ("HEPHAESTUS_TELEMETRY__FILTER", "warn"), ("PORT", "1")];
    let flags = [("--log", "telemetry.filter", "error")];
    let of_file = load(FILE, &[], &[]).unwrap();
    assert_eq!((of_file.engine, of_file.port), (Engine::Kafka, 9000));
    assert_eq!(of_file.telemetry.filter, "debug");
    assert_eq!(of_file.cache, ByteSize::mib(64));
    assert_eq!(of_file.retry.initial(), std::time::Duration::from_secs(1));
    assert_eq!((of_file.node[0].name.as_str(), of_file.node[0].threshold), ("shop", 0.5));
    assert!(!of_file.node[0].deploy, "what is left out has its default");
    let of_variables = load(FILE, &variables, &[]).unwrap();
    assert_eq!((of_variables.port, of_variables.telemetry.filter.as_str()), (9001, "warn"));
    assert_eq!(of_variables.telemetry.sample_ratio, 1.0, "the rest of the table stays");
    let of_flags = load(FILE, &variables, &flags).unwrap();
    assert_eq!((of_flags.port, of_flags.telemetry.filter.as_str()), (9001, "error"));
}

#[test]
fn variables_become_what_is_wanted() {
    let variables = [
        ("HEPHAESTUS_CACHE", "1GiB"),
        ("HEPHAESTUS_CONFIG", "/etc/h.toml"),
        ("HEPHAESTUS_ENGINE", "kafka"),
        ("HEPHAESTUS_PATHS", "src, tests,"),
        ("HEPHAESTUS_LABELS__TEAM", "42"),
        ("HEPHAESTUS_RETRY__JITTER", "0.25"),
        ("HEPHAESTUS_TELEMETRY__FORMAT", "json"),
        ("HEPHAESTUS_TOKEN", "hunter2"),
    ];
    let config = load("", &variables, &[]).unwrap();
    assert_eq!((config.cache, config.engine), (ByteSize::mib(1024), Engine::Kafka));
    assert_eq!(config.paths, ["src", "tests"]);
    assert_eq!(config.labels["team"], "42");
    assert_eq!(config.retry.settings().jitter, 0.25);
    assert_eq!(config.token.unwrap().expose(), "hunter2");
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_name() {
    assert_refused(
        "port = 1\nengin = \"kafka\"",
        "h.toml:2: unknown key \"engin\"; did you mean \"engine\"?",
    );
    assert_refused(
        "[telemetry]\n\nfliter = \"info\"",
        "h.toml:3: unknown key \"telemetry.fliter\"; did you mean \"filter\"?",
    );
    assert_refused(
        "[[node]]\nname = \"a\"\n[[node]]\nname = \"b\"\nDeploy-ed = true",
        "h.toml:5: unknown key \"node.2.Deploy-ed\"; did you mean \"deploy\"?",
    );
    assert_refused(
        "[telemtry]\nfilter = \"info\"",
        "h.toml:1: unknown key \"telemtry\"; did you mean \"telemetry\"?",
    );
    assert_refused(
        "[[node]]\nname = \"a\"\ncolour = \"red\"",
        "h.toml:3: unknown key \"node.1.colour\"; known are name, threshold, deploy",
    );
    let endless = "a".repeat(100_000);
    assert!(load(&format!("{endless} = 1"), &[], &[]).unwrap_err().len() < 400);
}

#[test]
fn unknown_variables_are_refused_with_the_nearest_name() {
    let refused = |name| load(FILE, &[(name, "1")], &[]).unwrap_err();
    assert_eq!(
        refused("HEPHAESTUS_ENGIN"),
        "HEPHAESTUS_ENGIN: unknown key \"engin\"; did you mean \"engine\"?"
    );
    assert_eq!(
        refused("HEPHAESTUS_TELEMETRY__FLITER"),
        "HEPHAESTUS_TELEMETRY__FLITER: unknown key \"telemetry.fliter\"; did you mean \"filter\"?"
    );
    assert_eq!(
        refused("HEPHAESTUS_TELEMETRY_FILTER"),
        "HEPHAESTUS_TELEMETRY_FILTER: unknown key \"telemetry_filter\"; did you mean \"telemetry__filter\"?"
    );
}

#[test]
fn values_of_the_wrong_kind_are_refused_with_what_would_be_right() {
    assert_refused(
        "port = 70000",
        "h.toml:1: port is 70000, wanted a whole number from 0 to 65535",
    );
    assert_refused(
        "\nport = \"80\"",
        "h.toml:2: port is the text \"80\", wanted a whole number from 0 to 65535",
    );
    assert_refused(
        "engine = \"kafak\"",
        "h.toml:1: engine is \"kafak\", which is none of its values; did you mean \"kafka\"?",
    );
    assert_refused(
        "cache = \"64 pigs\"",
        "h.toml:1: cache: \"64 pigs\" is no size; it looks like \"64MiB\", \"512KiB\" or \"2GB\"",
    );
    assert_refused("telemetry = 3", "h.toml:1: telemetry is 3, wanted a table");
    assert_refused("paths = \"src\"", "h.toml:1: paths is the text \"src\", wanted a list");
    assert_refused("paths = [\n\"src\",\n2]", "h.toml:3: paths.2 is 2, wanted a string");
    assert_refused(
        "[retry]\ninitial = 5",
        "h.toml:2: retry.initial is 5, wanted a duration with its unit, such as \"30s\"",
    );
    assert_refused("[retry]\njitter = 7.5", "h.toml:1: retry: jitter is 7.5, wanted from 0 to 1");
    assert_refused(
        "[[node]]\nname = \"a\"\ndeploy = \"yes\"",
        "h.toml:3: node.1.deploy is the text \"yes\", wanted true or false",
    );
    assert_refused("[[node]]\ndeploy = true", "h.toml:1: key \"node.1.name\" is missing");
    let of_variable = load("", &[("HEPHAESTUS_PORT", "many")], &[]).unwrap_err();
    assert_eq!(
        of_variable,
        "HEPHAESTUS_PORT: port is the text \"many\", wanted a whole number from 0 to 65535"
    );
    let of_flag = load("", &[], &[("--port", "port", "-1")]).unwrap_err();
    assert_eq!(of_flag, "--port: port is the text \"-1\", wanted a whole number from 0 to 65535");
}

#[test]
fn a_variable_that_holds_a_secret_is_no_key_whatever_its_name() {
    let secret = ("HEPHAESTUS_SECRET_OF_TESTS", "hunter2");
    let refused = load("", &[secret], &[]).unwrap_err();
    assert!(refused.contains("unknown key \"secret_of_tests\""), "{refused}");
    // The process has no such variable: that it is asked for the value shows that it is no key.
    let expected = "token: variable \"HEPHAESTUS_SECRET_OF_TESTS\" is not set, or is no UTF-8";
    let of_file = load("token = \"env:HEPHAESTUS_SECRET_OF_TESTS\"", &[secret], &[]);
    assert_eq!(of_file.unwrap_err(), format!("h.toml:1: {expected}"));
    let named = ("HEPHAESTUS_TOKEN", "env:HEPHAESTUS_SECRET_OF_TESTS");
    let of_variable = load("", &[secret, named], &[]);
    assert_eq!(of_variable.unwrap_err(), format!("HEPHAESTUS_TOKEN: {expected}"));
}

#[test]
fn a_secret_is_not_shown_when_it_is_wrong() {
    assert_refused(
        "token = 12345",
        "h.toml:1: token is no text (not shown), wanted a secret as text",
    );
    assert_refused(
        "token = \"env:HEPHAESTUS_NO_SUCH\"",
        "h.toml:1: token: variable \"HEPHAESTUS_NO_SUCH\" is not set, or is no UTF-8",
    );
}

#[test]
fn a_file_that_is_no_configuration_is_refused() {
    let error = load("port = \n", &[], &[]).unwrap_err();
    assert!(error.starts_with("h.toml:1: is no TOML: "), "{error}");
    let twice = load("port = 1\nport = 2", &[], &[]).unwrap_err();
    assert_eq!(twice, "h.toml:2: is no TOML: duplicate key");

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("h.toml");
    let missing = Loader::new().file(&path).unwrap_err().to_string();
    assert!(missing.contains("h.toml: cannot be read: No such file"), "{missing}");
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    let large = Loader::new().file(&path).unwrap_err().to_string();
    assert!(large.ends_with("h.toml: is larger than 1MiB"), "{large}");
    std::fs::write(&path, "port = 7").unwrap();
    let config: Config = Loader::new().file(&path).unwrap().load().unwrap();
    assert_eq!(config.port, 7);
}

#[test]
fn nesting_without_end_is_refused() {
    let nested = format!("paths = {}", "[".repeat(100_000));
    assert!(load(&nested, &[], &[]).is_err());
    let name = format!("HEPHAESTUS_A{}", "__A".repeat(100_000));
    assert!(load("", &[(&name, "1")], &[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_file_panics(text in "[a-z=\\[\\]{}\"'.\n#0-9 -]{0,80}") {
        let _ = load(&text, &[], &[]);
    }
}
