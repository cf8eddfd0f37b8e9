//! The example says what the configuration is, and a typo is refused with what was meant.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use super::*;
use crate::usage::WrongUsage;

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
    // What a variable would hold is not there.
    lines.collect::<Vec<_>>().join("\n").replace("\"env:", "\"")
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
    let expected = Config::default();
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
    let Config { registry, kafka, topology, limits, retention, .. } = &config;
    let sasl = kafka.security.sasl.as_ref().unwrap();
    let optional = [
        config.dir.is_some(),
        config.bootstrap_servers.is_some(),
        config.schema_registry.is_some(),
        registry.username.is_some() && registry.password.is_some() && registry.ca.is_some(),
        kafka.instance.is_some() && kafka.state_dir.is_some(),
        kafka.replication_factor.is_some() && kafka.min_insync_replicas.is_some(),
        kafka.security.ca.is_some() && kafka.security.certificate.is_some(),
        kafka.security.key.is_some() && kafka.security.key_password.is_some(),
        sasl.username.is_some() && sasl.password.is_some() && sasl.scope.is_some(),
        sasl.token_endpoint.is_some() && sasl.client_id.is_some() && sasl.client_secret.is_some(),
        !kafka.settings.is_empty(),
        topology.replication_factor.is_some() && topology.min_insync_replicas.is_some(),
        topology.cluster_id.is_some() && topology.compatibility.len() == 2,
        config.telemetry.otlp_endpoint.is_some(),
        limits.commit_interval.is_some(),
        retention.logs.is_some() && retention.logs_partition.is_some(),
        retention.results.is_some() && retention.audit.is_some(),
        config.retry.max_elapsed.is_some(),
    ];
    assert!(optional.iter().all(|is_there| *is_there), "{optional:?}");
    assert!(!format!("{config:?}").contains("PASSWORD"), "no secret is shown");
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
        ("[[classifier.rules]]\nname = \"a\"\nmatch = { mesage = \"*\" }", "message"),
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
        (
            "[[classifier.rules]]\nname = \"a\"\nmatch = { message = \"*\" }",
            "rule `a`: match = \"\": say what to do",
        ),
        (
            "engine = \"kafka\"\n[limits]\ndrain = \"25s\"",
            "kafka.session_timeout is 30s, wanted more than 30s, which a stop may take: limits.drain, 25s,",
        ),
        (
            "engine = \"kafka\"\n[limits]\ncommit_interval = \"6s\"",
            "kafka.transaction_timeout is 10s, wanted at least 4 times limits.commit_interval, 6s",
        ),
    ];
    for (text, message) in cases {
        let error = format!("{:#}", parse(text).unwrap_err());
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn a_stages_sessions_share_what_it_may_take() {
    let embedded = parse("").unwrap().stage().unwrap();
    let kafka = parse("engine = \"kafka\"\n[kafka]\nsessions = 4").unwrap().stage().unwrap();
    assert_eq!((embedded.sessions, kafka.sessions), (1, 4));
    let millis = |stage: &StageConfig| stage.commit_interval.as_millis();
    assert_eq!((millis(&embedded), millis(&kafka)), (5, 100));
    assert_eq!((embedded.max_in_flight_bytes, kafka.max_in_flight_bytes), (16 << 20, 16 << 20));
    let asked = "engine = \"kafka\"\n[limits]\nstage_in_flight = \"8MiB\"";
    assert_eq!(parse(asked).unwrap().stage().unwrap().max_in_flight_bytes, 4 << 20);
    assert_eq!(embedded.state_cache_bytes, 4 * kafka.state_cache_bytes);
    assert_eq!(embedded.poll_bytes, 4 * kafka.poll_bytes);
    let fast = parse("engine = \"kafka\"\n[limits]\ncommit_interval = \"20ms\"").unwrap();
    assert_eq!(fast.commit_interval().as_millis(), 20);
}

#[test]
fn what_kafka_needs_is_asked_for() {
    let config = parse("engine = \"kafka\"").unwrap();
    let error = config.brokers().unwrap_err();
    assert!(error.is::<WrongUsage>() && error.to_string().contains("--bootstrap-servers"));
    let error = config.registry_endpoint().unwrap_err();
    assert!(error.is::<WrongUsage>() && error.to_string().contains("`hephaestus registry"));

    let text =
        "schema_registry = \"https://r:1\"\n[registry]\nusername = \"ada\"\npassword = \"p\"";
    let endpoint = parse(text).unwrap().registry_endpoint().unwrap();
    assert_eq!(endpoint.username.as_deref(), Some("ada"));
    assert_eq!(endpoint.password.as_deref(), Some("p"));
    let cases = [
        ("schema_registry = \"http://ada:p@r:1\"", "username and password"),
        ("schema_registry = \"http://r:1\"\n[registry]\npassword = \"p\"", "no username"),
        ("schema_registry = \"http://r:1\"\n[registry]\nca = \"/nowhere.pem\"", "/nowhere.pem"),
    ];
    for (text, message) in cases {
        let error = format!("{:#}", parse(text).unwrap().registry_endpoint().unwrap_err());
        assert!(error.contains(message) && !error.contains("ada:p"), "{text}: {error}");
    }
}

#[test]
fn a_profile_says_what_is_not_said() {
    let text = "[topology]\nprofile = \"production\"\n[partitions]\nraw-logs = 24\n[retention]\naudit = \"1d\"";
    let expected = Profile {
        partitions: BTreeMap::from([("raw-logs".to_owned(), 24)]),
        audit_retention: Duration::from_secs(86_400),
        ..Profile::production()
    };
    assert_eq!(parse(text).unwrap().profile(), expected);
    let text = "[topology]\nmin_insync_replicas = 2";
    let error = format!("{:#}", parse(text).unwrap_err());
    assert!(
        error.contains("min_insync_replicas is 2, wanted 1 to replication_factor, 1"),
        "{error}"
    );
}
