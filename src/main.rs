//! The `hephaestus` program.

mod access;
mod cli;
mod codec;
mod config;
mod decide;
mod demo;
mod eval;
mod inspect;
mod output;
mod proposals;
mod registry;
mod scan;
mod ship;
mod signals;
mod system;
mod tail;
mod tap;
mod topology;
mod up;
mod usage;

use std::process::ExitCode;

use clap::Parser;
use hephaestus_pipeline::telemetry;
use hephaestus_schemas::Verdict;

use crate::{
    cli::{Cli, Command, ConfigCommand},
    config::Config,
    output::{ReaderGone, tell},
    usage::{Differs, WrongUsage},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match result {
        Ok(runtime) => {
            let result = runtime.block_on(run(cli));
            // Whatever was awaited is done; a broker that does not answer is not waited for.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<ReaderGone>() => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("hephaestus: {error:#}"));
            if error.is::<WrongUsage>() {
                ExitCode::from(2)
            } else if error.is::<Differs>() {
                ExitCode::from(3)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    // The example helps where the configuration is broken.
    if let Command::Config(ConfigCommand::Example) = cli.command {
        return config::print_example();
    }
    let config = Config::load(&cli.common)?;
    let telemetry = match cli.command {
        Command::Demo(_) => telemetry::init(&demo::telemetry(&config.telemetry))?,
        _ => telemetry::init(&config.telemetry)?,
    };
    let result = run_command(cli.command, &config).await;
    telemetry.shutdown().await;
    result
}

async fn run_command(command: Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Ship(arguments) => ship::run(&arguments, config).await,
        Command::Tap(arguments) => tap::run(&arguments, config).await,
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments, config),
        Command::Proposals(arguments) => proposals::run(&arguments, config).await,
        Command::Approve(arguments) => decide::run(&arguments, Verdict::Approved, config).await,
        Command::Reject(arguments) => decide::run(&arguments, Verdict::Rejected, config).await,
        Command::Topology(command) => topology::run(command, config).await,
        Command::Config(ConfigCommand::Check) => config::say_good(config),
        Command::Config(ConfigCommand::Example) => config::print_example(),
        Command::Demo(arguments) => demo::run(arguments.json, config).await,
        Command::Up(arguments) => up::up(arguments.listen, config).await,
        Command::Run(arguments) => up::run(&arguments.stages, arguments.listen, config).await,
        Command::Registry(arguments) => registry::run(arguments.listen, config).await,
    }
}
