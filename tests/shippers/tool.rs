//! A shipper that `tests/shippers/tools` fetched, as a child process.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longest wait for a shipper to be ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// What `tools missing` ends with where something is.
const NOT_THERE: i32 = 75;

fn tools() -> Command {
    let mut command =
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shippers/tools"));
    command.stdin(Stdio::null());
    command
}

/// Why shippers cannot be run here, where they cannot.
pub(crate) fn missing() -> Option<String> {
    let output = tools().arg("missing").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() {
        return None;
    }
    assert_eq!(output.status.code(), Some(NOT_THERE), "{said}");
    Some(said)
}

/// A shipper that runs to its end with something on its standard input.
pub(crate) fn run(name: &str, arguments: &[&str], input: &Path) {
    let mut command = tools();
    command.arg("run").arg(name).args(arguments).stdin(File::open(input).unwrap());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A running shipper. It does not outlive its test.
pub(crate) struct Tool {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Tool {
    /// Starts it in a directory, to which its output goes.
    pub(crate) fn start(name: &'static str, directory: &Path, arguments: &[&str]) -> Self {
        let log = directory.join("output.log");
        let output = File::create(&log).unwrap();
        let mut command = tools();
        command.arg("run").arg(name).args(arguments).current_dir(directory);
        command.stdout(output.try_clone().unwrap()).stderr(output);
        Self { name, child: command.spawn().unwrap(), log }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// Waits until something is found of it.
    pub(crate) async fn wait_for<T>(&mut self, mut find: impl FnMut(&Self) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = find(self) {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            let is_waiting = ended.is_none() && started.elapsed() < PATIENCE;
            assert!(is_waiting, "{} is not ready, {ended:?}: {}", self.name, self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{} {status}: {}", self.name, self.said());
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
