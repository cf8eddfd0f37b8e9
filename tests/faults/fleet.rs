//! The processes of a pipeline: each a stage by the built program, started, signalled, and watched.

use std::{
    fs::OpenOptions,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How often a process that is to end is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Lines of a process's log that are shown when it ended on its own.
const LAST_LINES: usize = 12;

/// Name of the copied program.
const PROGRAM: &str = "hephaestus";

/// Where processes find what they need.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) directory: PathBuf,
    pub(crate) bootstrap_servers: String,
    pub(crate) registry_url: String,
}

impl Surroundings {
    /// Puts a copy of the built program beside its data: one that is built anew during a run changes nothing.
    pub(crate) fn copy_program(&self) -> Result<()> {
        std::fs::copy(env!("CARGO_BIN_EXE_hephaestus"), self.directory.join(PROGRAM))?;
        Ok(())
    }

    /// The program with these arguments, in these surroundings and away from those of whoever runs the tests.
    pub(crate) fn program(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.directory.join(PROGRAM));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HEPHAESTUS_") {
                command.env_remove(name);
            }
        }
        let config = self.directory.join("hephaestus.toml");
        command.args(arguments).arg("--config").arg(config);
        command.args(["--engine", "kafka", "--bootstrap-servers", &self.bootstrap_servers]);
        command.args(["--schema-registry", &self.registry_url]);
        // Local copies of keyed state end with the run.
        command.env("TMPDIR", &self.directory).stdin(Stdio::null());
        command
    }
}

/// One process of a stage.
pub(crate) struct Process {
    pub(crate) stage: &'static str,
    pub(crate) name: String,
    surroundings: Surroundings,
    child: Option<Child>,
}

impl Process {
    /// Starts member `number` of a stage.
    pub(crate) fn start(
        stage: &'static str,
        number: usize,
        surroundings: &Surroundings,
    ) -> Result<Self> {
        let name = format!("{stage}-{number}");
        let mut process = Self { stage, name, surroundings: surroundings.clone(), child: None };
        process.start_again()?;
        Ok(process)
    }

    /// Starts it again once it has ended.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        let output = OpenOptions::new().create(true).append(true).open(self.log())?;
        let arguments = ["run", self.stage, "--listen", "127.0.0.1:0"];
        let mut command = self.surroundings.program(&arguments);
        command.env("HEPHAESTUS_KAFKA__INSTANCE", &self.name);
        command.stdout(output.try_clone()?).stderr(output);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    fn log(&self) -> PathBuf {
        log_of(&self.surroundings.directory, &self.name)
    }

    /// Sends a signal: KILL, TERM, STOP or CONT.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        let Some(child) = &self.child else { bail!("{} does not run", self.name) };
        let sent =
            Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status()?;
        if !sent.success() {
            bail!("{} cannot be sent {signal}", self.name);
        }
        Ok(())
    }

    /// How it ended, where it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        Some(status)
    }

    /// Waits for its end; nothing where it does not end in time.
    pub(crate) async fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if started.elapsed() > patience {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Starts it again where it has ended on its own, and says how it had.
    pub(crate) fn supervise(&mut self) -> Result<Option<String>> {
        let how = match (self.ended(), &self.child) {
            (Some(status), _) => status.to_string(),
            (None, None) => "while it was struck".to_owned(),
            (None, Some(_)) => return Ok(None),
        };
        let ended = format!("{} ended: {how}: {}", self.name, self.last_lines());
        self.start_again()?;
        Ok(Some(ended))
    }

    /// kill -9; whether it was that which ended it.
    pub(crate) async fn kill(&mut self) -> Result<bool> {
        const KILLED: i32 = 9;
        self.supervise()?;
        self.signal("KILL")?;
        let status = self.end(Duration::from_secs(10)).await;
        Ok(status.is_some_and(|status| status.signal() == Some(KILLED)))
    }

    /// The last lines of its log.
    pub(crate) fn last_lines(&self) -> String {
        let text = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn log_of(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.log"))
}
