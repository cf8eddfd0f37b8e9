//! What the services ask of the program: its commands, its configuration, its health.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{environment, own_services, program, root, services, skip, strings, text};

/// The configuration that the services are given.
const FILE: &str = "deploy/hephaestus.toml";
/// What takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn every_command_is_one_of_the_program() {
    let Some(services) = own_services() else { return };
    for (name, service) in services {
        let command = strings(&service["command"]);
        let words = command.iter().take_while(|word| !word.starts_with("--"));
        let words: Vec<&str> = words.map(String::as_str).collect();
        let output = program(&words).arg("--help").output().unwrap();
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        for flag in command.iter().filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag.as_str()), "{name}: {flag} is no flag of {words:?}");
        }
    }
}

#[test]
fn every_stage_asked_for_is_known() {
    let Some(services) = own_services() else { return };
    let dir = tempfile::tempdir().unwrap();
    for (name, service) in services {
        let command = strings(&service["command"]);
        if command[0] != "run" {
            continue;
        }
        // The stage is looked for before anything is opened; the flag after it is the next mistake.
        let arguments =
            ["run", &command[1], "no-such-stage", "--dir", dir.path().to_str().unwrap()];
        let output = program(&arguments).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains("no-such-stage"), "{name}: {message}");
    }
}

#[test]
fn every_variable_is_a_key_of_the_configuration() {
    let Some(services) = own_services() else { return };
    for (name, service) in services {
        let mounts = service["configs"].as_array().expect(name);
        let mut check = program(&["config", "check"]);
        for (variable, value) in environment(service) {
            assert!(variable.starts_with("HEPHAESTUS_"), "{name}: {variable} is none of ours");
            if variable == "HEPHAESTUS_CONFIG" {
                assert!(mounts.iter().any(|mount| mount["target"] == value), "{name}: no {value}");
                check.env(variable, root().join(FILE));
            } else {
                check.env(variable, value);
            }
        }
        assert_good(check);
    }
}

#[test]
fn what_is_commented_out_in_the_configuration_works_too() {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "secret\n").unwrap();
    let is_setting = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c == '[' || c.is_alphabetic()))
    };
    let mut settings = 0;
    let mut all = String::new();
    for line in text(FILE).lines() {
        settings += usize::from(is_setting(line));
        all.push_str(if is_setting(line) { &line[1..] } else { line });
        all.push('\n');
    }
    assert!(settings > 5, "{all}");
    let all = all.replace("/run/secrets/kafka-password", password.to_str().unwrap());
    let file = dir.path().join("all.toml");
    std::fs::write(&file, all).unwrap();

    let mut check = program(&["config", "check", "--engine", "kafka", "--config"]);
    check.arg(file);
    check.args(["--bootstrap-servers", "kafka:9092", "--schema-registry", "http://registry:8080"]);
    assert_good(check);
}

fn assert_good(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A pipeline that is stopped when the test ends.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn the_health_check_tells_ready_from_not() {
    let Some(services) = own_services() else { return };
    let (_, gateway) = services.into_iter().find(|(name, _)| *name == "gateway").expect("gateway");

    let dir = tempfile::tempdir().unwrap();
    let mut command = program(&["up", "--listen", "127.0.0.1:0", "--dir"]);
    command.arg(dir.path()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut up = Up(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(up.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let started: Value = serde_json::from_str(&line).expect(&line);
    let address = started["listen"].as_str().unwrap();

    // Ready comes soon after the start; the check is repeated as Compose does, and each starts a process.
    let deadline = Instant::now() + PATIENCE;
    while !healthy(gateway, address) {
        assert!(Instant::now() < deadline, "ready long since, and found ill");
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap().to_string();
    drop(free);
    assert!(!healthy(gateway, &nobody), "nobody is there, and found well");
    drop(up);
    assert!(!healthy(gateway, address), "stopped, and found well");
}

#[test]
fn the_health_check_of_the_registry_asks_what_it_answers() {
    let Some(services) = services() else { return };
    let Ok(url) = std::env::var("HEPHAESTUS_TEST_REGISTRY") else {
        return skip("the registry's health check, no registry in HEPHAESTUS_TEST_REGISTRY");
    };
    let address = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap();
    assert!(healthy(&services["registry"], address));
}

/// Runs a service's health check on another address than its container's own.
fn healthy(service: &Value, address: &str) -> bool {
    let check = strings(&service["healthcheck"]["test"]);
    let [kind, bash, flag, script] = &check[..] else { panic!("{check:?}") };
    assert_eq!([kind.as_str(), bash, flag], ["CMD", "bash", "-c"]);
    // Compose prints a dollar as two, so that its output can be read again; its library prints one.
    let (host, port) = address.rsplit_once(':').unwrap();
    let script = script.replace("$$", "$").replace("127.0.0.1/8080", &format!("{host}/{port}"));
    assert!(script.contains(port), "{script}");
    let mut command = Command::new("bash");
    command.args(["-c", &script]).stdin(Stdio::null()).stderr(Stdio::null());
    command.status().expect("bash").success()
}
