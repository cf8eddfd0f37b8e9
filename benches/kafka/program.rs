//! The built program on a broker: its configuration, its registry, its topics.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::cluster::{Cluster, script};

/// The program, set up for a broker.
pub(crate) struct Program {
    directory: tempfile::TempDir,
    config: PathBuf,
    /// URL of the schema registry.
    pub(crate) registry: String,
}

impl Program {
    /// Starts a registry, writes a configuration and makes the topics. `more` are further lines of the configuration.
    pub(crate) fn set_up(cluster: &Cluster, partitions: u32, more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let output = script("registry")
            .args(["up", "--dir"])
            .arg(directory.path().join("registry"))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "the registry has started");
        let registry = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        let config = directory.path().join("hephaestus.toml");
        let text = format!(
            "engine = \"kafka\"\nbootstrap_servers = {:?}\nschema_registry = {registry:?}\n\
             listen = \"127.0.0.1:0\"\n{more}\n[partitions]\ndefault = {partitions}\n",
            cluster.servers
        );
        std::fs::write(&config, text).unwrap();
        let program = Self { directory, config, registry };
        program.apply();
        program
    }

    /// Adds tables to the configuration.
    pub(crate) fn configure(&self, tables: &str) {
        let mut file = std::fs::OpenOptions::new().append(true).open(&self.config).unwrap();
        file.write_all(tables.as_bytes()).unwrap();
    }

    /// Makes the topics that are missing.
    pub(crate) fn apply(&self) {
        let output = self.command(&["topology", "apply"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "topology apply: {said}");
    }

    /// The program with arguments, its log lines but errors silenced.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hephaestus"));
        command.args(arguments).arg("--config").arg(&self.config).stdin(Stdio::null());
        command.env("HEPHAESTUS_TELEMETRY__FILTER", "error");
        command
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let directory = self.directory.path().join("registry");
        let stopped = script("registry").args(["down", "--dir"]).arg(directory).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = writeln!(std::io::stderr(), "the registry at {} may still run", self.registry);
        }
    }
}
