//! The `hephaestus` program.

mod access;
mod cli;
mod codec;
mod config;
mod decide;
mod inspect;
mod output;
mod proposals;
mod scan;
#[path = "system/schema_store.rs"]
mod schema_store;
mod ship;
mod signals;
mod tail;
mod tap;
mod topology;
mod usage;

use std::process::ExitCode;

use clap::Parser;
use hephaestus_schemas::Verdict;

use crate::{
    cli::{Cli, Command},
    config::Config,
    output::{ReaderGone, tell},
    usage::WrongUsage,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match result {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<ReaderGone>() => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("hephaestus: {error:#}"));
            if error.is::<WrongUsage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    // These two have to work where the configuration does not.
    if let Command::Config(command) = cli.command {
        return config::run(command, &cli.common);
    }
    let config = Config::load(&cli.common)?;
    match cli.command {
        Command::Ship(arguments) => ship::run(&arguments, &config).await,
        Command::Tap(arguments) => tap::run(&arguments, &config).await,
        Command::Inspect(arguments) => inspect::run(&arguments, &config),
        Command::Proposals(arguments) => proposals::run(&arguments, &config).await,
        Command::Approve(arguments) => decide::run(&arguments, Verdict::Approved, &config).await,
        Command::Reject(arguments) => decide::run(&arguments, Verdict::Rejected, &config).await,
        Command::Topology(command) => topology::run(command, &config).await,
        Command::Config(command) => config::run(command, &cli.common),
        Command::Demo(_) | Command::Up(_) | Command::Run(_) | Command::Registry(_) => {
            anyhow::bail!("not in this build yet")
        }
    }
}
