//! What a configuration says of secrets, through the program: the example that the documentation gives.

use std::fs;

use crate::support::{Ended, program, text};

const DOCUMENTATION: &str = include_str!("../../docs/secrets.md");
const KEY: &str = "a key of this test, long enough";

/// The configuration that the documentation shows.
fn example() -> &'static str {
    DOCUMENTATION.split("```toml\n").nth(1).unwrap().split("```").next().unwrap()
}

fn inspect(configuration: &str, key: Option<&str>, lines: &[&str]) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    let (config, log) = (directory.path().join("h.toml"), directory.path().join("x.log"));
    fs::write(&config, configuration).unwrap();
    fs::write(&log, lines.join("\n")).unwrap();
    let mut command = program(&["inspect", text(&log), "--config", text(&config)]);
    command.env_remove("MASK_KEY");
    if let Some(key) = key {
        command.env("MASK_KEY", key);
    }
    Ended::from(command.output().unwrap())
}

fn messages(key: &str, lines: &[&str]) -> Vec<String> {
    let events = inspect(example(), Some(key), lines).good().json();
    events.iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_documented_example_adds_allows_and_tags() {
    let lines = [
        "opened badge=Kranich7 at the door",
        "called with acme_9f8e7d6c5b4a39281706",
        "found badge 47110815 in the log",
        "kept csrf_token=Zm9vYmFyYmF6cXV4MTIz of the form",
        "kept password=changeit of the keystore",
        "hid password=hunter2hunter2 of a user",
        "hid password=hunter2hunter2 again",
        "hid password=correcthorse of another",
    ];
    let masked = messages(KEY, &lines);
    for (message, secret) in [(0, "Kranich7"), (1, "acme_9f8e"), (2, "47110815"), (5, "hunter2")] {
        assert!(!masked[message].contains(secret), "{}", masked[message]);
    }
    assert_eq!(masked[3..5], lines[3..5]);
    let placeholder = |message: &str| message.split(['=', ' ']).nth(2).unwrap().to_owned();
    let [user, again, another] = [5, 6, 7].map(|at| placeholder(&masked[at]));
    assert_eq!(user, again);
    assert_ne!(user, another);
    // Who does not have the key cannot tell which secrets are the same.
    assert_ne!(placeholder(&messages("another key, as long as that one", &lines)[5]), user);
}

#[test]
fn what_a_configuration_of_secrets_gets_wrong_is_named() {
    inspect(example(), None, &["x"]).bad(1, "MASK_KEY");
    let broken = example().replace(r"badge (\d{8})", r"badge (\d{8}");
    assert_ne!(broken, example());
    inspect(&broken, Some(KEY), &["x"]).bad(1, "badge");
}
