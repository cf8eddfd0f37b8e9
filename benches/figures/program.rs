//! Runs the program as its users do, and reads what it says and what it takes.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use hephaestus_gateway::control::RemoteLog;
use serde_json::Value;

/// A running `up` or `run`.
pub(crate) struct Running {
    child: Child,
    /// What it said when it started.
    pub(crate) started: Value,
    directory: PathBuf,
}

impl Running {
    /// Starts the program in a directory, and waits until it has started.
    pub(crate) fn start(directory: &Path, arguments: &[&str]) -> Self {
        let mut child = command(arguments)
            .args(["--dir", text(directory), "--listen", "127.0.0.1:0"])
            .env("HEPHAESTUS_TELEMETRY__FILTER", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let started = serde_json::from_str(&line).expect("the program has started");
        Self { child, started, directory: directory.to_owned() }
    }

    /// Its topics.
    pub(crate) async fn log(&self) -> RemoteLog {
        RemoteLog::connect(&self.directory).await.unwrap().unwrap()
    }

    /// Its largest resident set so far, in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with arguments.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hephaestus"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file or folder of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
