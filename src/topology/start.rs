//! What is looked at before stages start on a cluster, and the command that mends it.

use std::ffi::OsString;

use anyhow::{Result, bail};
use hephaestus_pipeline::engine::kafka::KafkaEngine;
use hephaestus_topology::{Live, Step, check_start, pipeline};

use super::cluster::{live_topics, to_new};
use crate::{config::Config, system::GATEWAY};

/// Who writes the configured nodes.
const NODE_MANAGER: &str = "node-manager";
/// Who writes through the gateway.
const SHIPPERS: &str = "log shippers";
/// Who keeps schemas in a topic.
const REGISTRY: &str = "schema registry";
/// Options that say which configuration and which cluster is meant.
const PLACE_OPTIONS: [&str; 4] =
    ["--config", "--engine", "--bootstrap-servers", "--schema-registry"];

/// Checks that the topics of some stages are such that they can work.
///
/// # Errors
/// Says what differs and what to run; also where the cluster is another than the configuration names.
pub(crate) async fn check_at_start(
    config: &Config,
    engine: &KafkaEngine,
    stages: &[String],
) -> Result<()> {
    config.topology.check_cluster(&engine.cluster_id().await?)?;
    let topology = pipeline(&config.profile())?;
    let live = Live { topics: live_topics(engine).await?, subjects: None };
    let mut users: Vec<&str> = stages.iter().map(String::as_str).collect();
    if users.contains(&GATEWAY) {
        users.push(SHIPPERS);
    }
    if !config.node.is_empty() {
        // They are published before the stages start.
        users.push(NODE_MANAGER);
    }
    let check = check_start(&topology, &live, &users);
    let place = place_options(std::env::args_os().skip(1));
    for step in &check.differs {
        let command = format!("hephaestus topology apply{place}");
        tracing::warn!(difference = %step, command, "topology differs");
    }
    if check.stops.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = check.stops.iter().map(ToString::to_string).collect();
    let differences = lines.join("\n  ");
    // A refusal is nothing that apply could mend: plan says what the choices are.
    let is_refused = check.stops.iter().any(Step::is_refusal);
    let command = if is_refused { "plan" } else { "apply" };
    bail!(
        "topics are not as the stages need them:\n  {differences}\nrun: hephaestus topology {command}{place}"
    );
}

/// Makes the schema registry's topic where it is missing. It comes before all else: subjects need a registry.
///
/// # Errors
/// Where it is there and a registry cannot work with it, or the cluster is another than the configuration names.
pub(crate) async fn ensure_schemas(config: &Config, engine: &KafkaEngine) -> Result<()> {
    config.topology.check_cluster(&engine.cluster_id().await?)?;
    let topology = pipeline(&config.profile())?;
    let live = Live { topics: live_topics(engine).await?, subjects: None };
    for step in check_start(&topology, &live, &[REGISTRY]).stops {
        match step {
            Step::Create(topic) => engine.admin().create(&[to_new(&topic)]).await?,
            step if step.is_refusal() => bail!("a schema registry cannot use this topic: {step}"),
            _ => {}
        }
    }
    Ok(())
}

/// Those of a command's arguments that name its configuration and cluster, ready to be typed again.
fn place_options(arguments: impl Iterator<Item = OsString>) -> String {
    let mut options = String::new();
    let mut takes_value = false;
    for argument in arguments {
        let argument = argument.to_string_lossy();
        let name = argument.split('=').next().unwrap_or_default();
        let is_option = PLACE_OPTIONS.contains(&name);
        if takes_value || is_option {
            options.push(' ');
            options.push_str(&quoted(&argument));
        }
        takes_value = !takes_value && is_option && !argument.contains('=');
    }
    options
}

/// As a shell takes it.
fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_told_with_the_options_that_were_given() {
        let cases: [(&[&str], &str); 4] = [
            (&["up"], ""),
            (
                &["run", "--config", "a b.toml", "classifier", "--engine=kafka"],
                " --config 'a b.toml' --engine=kafka",
            ),
            (
                &["--bootstrap-servers", "b:1,c:2", "up", "--listen", "127.0.0.1:0"],
                " --bootstrap-servers b:1,c:2",
            ),
            (&["up", "--config", "it's"], r" --config 'it'\''s'"),
        ];
        for (arguments, expected) in cases {
            let arguments = arguments.iter().map(OsString::from);
            assert_eq!(place_options(arguments), expected);
        }
    }
}
