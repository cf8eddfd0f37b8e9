//! What is measured: each a process of its own, so that its processor time is told from the broker's.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use crate::cluster::repository;

/// Ticks of the processor's clock in a second: `USER_HZ`, 100 on every Linux.
const TICKS: f64 = 100.0;
/// How long a process may take to end when asked.
const GRACE: Duration = Duration::from_secs(20);

/// A process under test.
pub(crate) struct Contender {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Contender {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// The first line it prints: it is ready.
    pub(crate) fn first_line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "it ended before it was ready");
        line
    }

    /// What it writes to standard error, where that was piped.
    pub(crate) fn errors(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) {
        let _ = Command::new("kill").arg(self.id().to_string()).status();
        let by = Instant::now() + GRACE;
        while Instant::now() < by {
            if self.child.try_wait().unwrap().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time that a process has taken, user and system, in seconds.
pub(crate) fn processor_seconds(process: u32) -> f64 {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { return 0.0 };
    // The name in brackets may hold spaces; behind it the fields are counted from the third.
    let behind = stat.rsplit(") ").next().unwrap();
    let field = |number: usize| -> f64 {
        behind.split_whitespace().nth(number - 3).unwrap().parse().unwrap()
    };
    (field(14) + field(15)) / TICKS
}

/// The Kafka Streams application, in one of its modes.
pub(crate) fn streams(
    mode: &str,
    servers: &str,
    group: &str,
    (input, output): (&str, &str),
    state: &Path,
) -> Command {
    let mut command = Command::new(repository("tests/streams/app"));
    command.args(["run", mode]);
    command.arg(format!("bootstrap.servers={servers}"));
    command.arg(format!("application.id={group}"));
    command.arg(format!("input={input}"));
    command.arg(format!("output={output}"));
    command.arg(format!("state.dir={}", state.display()));
    command
}
