//! The example says what the configuration is, and a typo is refused with what was meant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use super::*;

fn parse(text: &str) -> Result<Config> {
    let config: Config = Loader::new().text("test.toml", text)?.load()?;
    config.check()?;
    Ok(config)
}

/// The example with what stands in comments: keys begin right after the `#`, words after a space.
fn uncommented() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn keys(value: &toml::Value, prefix: &str, found: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                keys(value, &format!("{prefix}.{key}"), found);
            }
        }
        toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
            for item in items {
                keys(item, prefix, found);
            }
        }
        _ => {
            found.insert(prefix.to_owned());
        }
    }
}

#[test]
fn the_example_is_the_default() {
    let mut expected = Config::default();
    expected.partitions.insert("default".to_owned(), 4);
    assert_eq!(parse(EXAMPLE).unwrap(), expected);
    assert_eq!(parse("").unwrap().profile(), expected.profile());
}

#[test]
fn the_example_names_every_key() {
    let example = uncommented();
    let config = parse(&example).unwrap();
    assert_eq!(config.node.len(), 1);
    let written: toml::Value = toml::from_str(&example).unwrap();
    let known = toml::Value::try_from(&config).unwrap();
    let (mut in_example, mut in_struct) = (BTreeSet::new(), BTreeSet::new());
    keys(&written, "", &mut in_example);
    keys(&known, "", &mut in_struct);
    assert_eq!(in_example, in_struct);
    // An optional key that the example left out would be missing on both sides.
    let optional = [
        config.dir.is_some(),
        config.bootstrap_servers.is_some(),
        config.schema_registry.is_some(),
        config.telemetry.otlp_endpoint.is_some(),
        config.retry.max_elapsed.is_some(),
    ];
    assert_eq!(optional, [true; 5]);
}

#[test]
fn what_the_example_says_of_a_node_is_its_default() {
    let example = parse(&uncommented()).unwrap();
    let minimal = "[[node]]\nname = \"bookshop\"\nsources = [\"bookshop/**\"]\nrepository = \"/srv/git/bookshop.git\"\nsource_root = \"/srv/bookshop\"";
    assert_eq!(parse(minimal).unwrap().node, example.node);
}

#[test]
fn a_typo_is_refused_with_what_was_meant() {
    let cases = [
        ("lisen = \"127.0.0.1:1\"", "listen"),
        ("[telemetry]\nfromat = \"json\"", "format"),
        ("[limits]\nlin = \"1MiB\"", "line"),
        ("[retry]\ninital = \"1s\"", "initial"),
        ("[partitions]\nraw-log = 3", "raw-logs"),
        ("[[nodes]]\nname = \"x\"", "node"),
        ("[[node]]\nname = \"x\"\nsources = []\nrepo = \"y\"", "repository"),
        ("engine = \"kafak\"", "kafka"),
    ];
    for (text, meant) in cases {
        let error = format!("{:#}", parse(text).unwrap_err());
        assert!(error.contains(meant), "{text}: {error}");
    }
}

#[test]
fn bounds_that_contradict_each_other_are_refused() {
    let cases = [
        ("[limits]\nline = \"33MiB\"", "limits.line is 33MiB, wanted at most limits.body, 32MiB"),
        ("[limits]\nbody = \"33MiB\"", "limits.body is 33MiB, wanted at most limits.bodies, 32MiB"),
        ("[retry]\nmultiplier = 0.5", "multiplier is 0.5"),
        ("[partitions]\ndefault = 0", "default has 0 partitions, wanted 1 to 1024"),
        ("[partitions]\ndecisions = 3", "change-requester needs proposed-changes and decisions"),
    ];
    for (text, message) in cases {
        let error = format!("{:#}", parse(text).unwrap_err());
        assert!(error.contains(message), "{text}: {error}");
    }
}
