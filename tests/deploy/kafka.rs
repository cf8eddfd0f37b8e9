//! What the broker of docker-compose.yml makes of its variables, by the broker's own code.

use std::process::Command;

use crate::support::{environment, kafka_jars, root, services, skip};

#[test]
fn every_variable_is_a_setting_of_the_broker_and_together_they_are_good() {
    let (Some(services), Some(jars)) = (services(), kafka_jars()) else { return };
    let output = broker_reads(&jars, &environment(&services["kafka"]));
    let Some((good, said)) = output else { return };
    assert!(good, "{said}");
}

#[test]
fn a_variable_that_is_misspelt_is_found() {
    let (Some(services), Some(jars)) = (services(), kafka_jars()) else { return };
    let mut variables = environment(&services["kafka"]);
    variables.push(("KAFKA_AUTO_CREATE_TOPIC_ENABLE".to_owned(), "false".to_owned()));
    let Some((good, said)) = broker_reads(&jars, &variables) else { return };
    assert!(!good && said.contains("auto.create.topic.enable"), "{said}");
}

/// Lets the image's code make settings of variables, and the broker check them: whether they are good, and what it said.
fn broker_reads(jars: &std::path::Path, variables: &[(String, String)]) -> Option<(bool, String)> {
    let mut command = Command::new("java");
    command
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp"])
        .arg(jars.join("*"))
        .arg(root().join("tests/deploy/KafkaSettings.java"))
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs(variables.iter().map(|(name, value)| (name, value)));
    let Ok(output) = command.output() else {
        skip("the broker's settings, java is missing");
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
