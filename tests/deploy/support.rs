//! The model of docker-compose.yml, the program, and what to do where a tool is missing.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::{Map, Value};

/// What `.ci/compose` ends with where it has nothing to read the file with.
const NOTHING_TO_READ_WITH: i32 = 75;

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

/// docker-compose.yml as Compose understands it; none where nothing here can read it.
pub(crate) fn compose() -> Option<&'static Value> {
    static MODEL: OnceLock<Option<Value>> = OnceLock::new();
    let read = || {
        let mut command = Command::new(root().join(".ci/compose"));
        // Variables of whoever runs the tests must not fill in the file's own.
        command.env_remove("GATEWAY_PORT").env_remove("KAFKA_CLUSTER_ID").stdin(Stdio::null());
        let output = command.output().expect(".ci/compose");
        let message = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(NOTHING_TO_READ_WITH) {
            eprintln!("skipped: docker-compose.yml, {}", message.trim());
            return None;
        }
        assert!(output.status.success(), "docker-compose.yml is wrong: {message}");
        Some(serde_json::from_slice(&output.stdout).expect("JSON"))
    };
    MODEL.get_or_init(read).as_ref()
}

/// The services by name.
pub(crate) fn services() -> Option<&'static Map<String, Value>> {
    compose().map(|model| model["services"].as_object().expect("services"))
}

/// The services that run our own image.
pub(crate) fn own_services() -> Option<Vec<(&'static str, &'static Value)>> {
    let own = services()?.iter().filter(|(_, service)| !service["build"].is_null());
    Some(own.map(|(name, service)| (name.as_str(), service)).collect())
}

/// A list of strings, or no strings where it is absent.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| item.as_str().expect("a string").to_owned()).collect()
}

/// A service's variables, numbers as text.
pub(crate) fn environment(service: &Value) -> Vec<(String, String)> {
    let Some(variables) = service["environment"].as_object() else {
        return Vec::new();
    };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    variables.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// The program with arguments, away from the environment of whoever runs the tests.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hephaestus"));
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HEPHAESTUS_") {
            command.env_remove(name);
        }
    }
    command
}

/// The broker's jars; none where they were not fetched, which in CI is a failure.
pub(crate) fn kafka_jars() -> Option<PathBuf> {
    let home = std::env::var_os("HEPHAESTUS_TEST_KAFKA_HOME").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        cache.map(|cache| cache.join("hephaestus/kafka"))
    });
    let jars = home.map(|home| home.join("libs")).filter(|jars| jars.is_dir());
    if jars.is_none() {
        skip("the broker's settings, its jars are not here: tests/kafka/broker fetch");
    }
    jars
}

/// Says that something is not tested, or fails where everything has to be.
pub(crate) fn skip(what: &str) {
    assert!(std::env::var_os("HEPHAESTUS_TEST_REQUIRE").is_none_or(|value| value != "1"), "{what}");
    eprintln!("skipped: {what}");
}
