//! The command line as people type it. What a flag does not say, the configuration does.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use hephaestus_topology::Format;

const ABOUT: &str =
    "Turns recurring failures in logs into reviewed, evidence-backed change requests";

const AFTER_HELP: &str = "\
Flags win over HEPHAESTUS_* variables, those win over the file of --config; `hephaestus config
example` documents every key. Standard output is data, standard error is for people.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 `topology plan --check` found differences.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "hephaestus", version, about = ABOUT, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every subcommand takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every subcommand")]
pub(crate) struct Common {
    /// Configuration file, in TOML
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Engine that holds the topics [default: embedded]
    #[arg(long, global = true, value_name = "ENGINE", hide_possible_values = false)]
    pub(crate) engine: Option<EngineKind>,
    /// Directory of the embedded engine [default: $XDG_DATA_HOME/hephaestus]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Brokers of the kafka engine, such as broker-1:9092,broker-2:9092
    #[arg(long, global = true, value_name = "HOST:PORT,...")]
    pub(crate) bootstrap_servers: Option<String>,
    /// Schema registry of the kafka engine, such as http://registry:8081
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) schema_registry: Option<String>,
    /// How log lines look on standard error [default: human]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// An engine.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EngineKind {
    /// One process, one directory
    #[default]
    Embedded,
    /// Apache Kafka
    Kafka,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}

/// A subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take the logs of a sample service to change requests, all by itself
    Demo(DemoArgs),
    /// Run every stage in one process, and take lines in over HTTP
    Up(UpArgs),
    /// Run some stages
    Run(RunArgs),
    /// Serve a schema registry with Confluent's routes
    Registry(RegistryArgs),
    /// Write the lines of files into raw-logs
    Ship(ShipArgs),
    /// Show the records of a topic, one JSON object each
    Tap(TapArgs),
    /// Classify lines without a pipeline, one JSON object an event
    Inspect(InspectArgs),
    /// Measure how well labelled logs are grouped
    Eval(EvalArgs),
    /// List proposals and what became of them
    Proposals(ProposalsArgs),
    /// Approve a proposal
    Approve(DecideArgs),
    /// Reject a proposal
    Reject(DecideArgs),
    /// Check or explain the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check and draw the topology; make topics and subjects follow it
    #[command(subcommand)]
    Topology(TopologyCommand),
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Print the summary as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `up`.
#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Address for POST /v1/logs, /livez, /readyz and /metrics; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Stages to run: classifier, analyzer, proposer, change-requester; or gateway, for POST /v1/logs
    #[arg(required = true, value_name = "STAGE")]
    pub(crate) stages: Vec<String>,
    /// Address for /livez, /readyz and /metrics, and of the gateway; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

/// Arguments of `registry`.
#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    /// Address to serve; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
}

/// Arguments of `ship`.
#[derive(Debug, Args)]
pub(crate) struct ShipArgs {
    /// Files to read, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Source of the lines: service/instance/stream [default: <file stem>/<host>/<file name>]
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<String>,
    /// Go on with lines that are added, through rotation, truncation and restarts, until interrupted
    #[arg(long)]
    pub(crate) follow: bool,
}

/// Arguments of `tap`.
#[derive(Debug, Args)]
pub(crate) struct TapArgs {
    /// Topic to read
    pub(crate) topic: String,
    /// Where to start: beginning, end, an offset, a time (RFC 3339), or how long ago (-10m)
    #[arg(long, value_name = "FROM", default_value = "beginning", allow_hyphen_values = true)]
    pub(crate) from: String,
    /// Show the records of this key alone
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) key: Option<String>,
    /// Go on with records that are added, until interrupted
    #[arg(long)]
    pub(crate) follow: bool,
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// File to read, or - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// Add a last object with counts and the aliases that were learned
    #[arg(long)]
    pub(crate) summary: bool,
}

/// Arguments of `eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Directory with a folder for each log: a .log file, and a table of labels with the columns
    /// Content and EventId (_structured_corrected.csv or _structured.csv), as Loghub has them
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Say what each threshold would be without each set, and what that costs on it
    #[arg(long)]
    pub(crate) leave_one_out: bool,
    /// Show the events of this set that were split or merged
    #[arg(long, value_name = "SET")]
    pub(crate) explain: Vec<String>,
    /// Print one JSON object a set
    #[arg(long, conflicts_with = "explain")]
    pub(crate) json: bool,
}

/// Arguments of `proposals`.
#[derive(Debug, Args)]
pub(crate) struct ProposalsArgs {
    /// Print one JSON object a proposal
    #[arg(long)]
    pub(crate) json: bool,
    /// Show proposals of this status alone
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<crate::proposals::Status>,
}

/// Arguments of `approve` and `reject`.
#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// Id of the proposal, as `hephaestus proposals` shows it
    #[arg(value_name = "PROPOSAL_ID")]
    pub(crate) proposal: String,
    /// Who decides [default: $USER]
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}

/// Subcommands of `config`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the configuration without starting anything
    Check,
    /// Print an example in which every key is explained
    Example,
}

/// Subcommands of `topology`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum TopologyCommand {
    /// Say whether the wiring of topics and stages can work
    Validate,
    /// Say what `apply` would do
    Plan {
        /// Plan as `apply --grow` would do it
        #[arg(long)]
        grow: bool,
        /// End with code 3 where anything differs
        #[arg(long)]
        check: bool,
    },
    /// Make topics and subjects what they should be; shrinks and deletes nothing
    Apply {
        /// Give topics more partitions where they should have more: keys move to other partitions
        #[arg(long)]
        grow: bool,
    },
    /// Write the topology down
    Describe {
        /// text, mermaid or dot
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: Format,
    },
}
