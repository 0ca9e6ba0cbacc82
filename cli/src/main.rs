//! Writ: a credential broker and the enforcing gateway in front of it. The composition root: reads configuration, picks
//! providers, starts roles.

mod api;
mod commands;
mod compose;
mod demo;
mod dev;
mod failure;
mod interrupt;
mod out;
mod private;
mod toml_file;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use writ_parser::child::Limits;

use crate::commands::{
    Connection, approvals, configuration, connect, doctor, freeze, gateways, issuer, ledger, listen, login, policy,
    sessions, ssh, targets, token, trial, whoami, writs,
};
use crate::compose::run::{self, Roles};
use crate::failure::{Doing as _, Failure};

/// A credential broker and the enforcing gateway in front of it: an OIDC token in, a recorded session out.
#[derive(Debug, Parser)]
#[command(name = "writ", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show everything on this machine, step by step.
    Demo(demo::Demo),
    /// Run issuer, broker and gateway on loopback, with nothing to configure.
    Dev(dev::Dev),
    /// Run what the configuration names: broker, gateway or both.
    Serve(ConfigFile),
    /// Run the broker.
    Broker(ConfigFile),
    /// Run the gateway.
    Gateway(ConfigFile),
    /// Report every mistake in a configuration, without starting anything.
    Check(ConfigFile),
    /// What can be configured.
    #[command(subcommand)]
    Config(configuration::Configuration),
    /// Log in at the broker's issuer of humans.
    Login(login::Login),
    /// Print the token that this workload has, or that the dev issuer gives.
    Token(token::Token),
    /// Show where this workload's token comes from and what it claims; never the token.
    Whoami(whoami::Whoami),
    /// Say why this job gets in, or does not.
    #[command(subcommand)]
    Doctor(doctor::Doctor),
    /// Run a command that reaches a target through a gateway, and sees no token.
    Connect(Box<connect::Connect>),
    /// Keep ways to targets open for the programs of a job, none of which sees a token.
    Listen(Box<listen::Listen>),
    /// What was issued.
    #[command(subcommand)]
    Writs(writs::Writs),
    /// What ran.
    #[command(subcommand)]
    Sessions(sessions::Sessions),
    /// See what waits for an approval, and answer it.
    #[command(subcommand)]
    Approvals(approvals::Approvals),
    /// Freeze a workload, a target or everything: sessions are cut within a second and new ones refused.
    Freeze(freeze::Freeze),
    /// Lift a freeze.
    Unfreeze(freeze::Unfreeze),
    /// Policies.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// The ledger.
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// The broker as an issuer, for targets that trust one.
    #[command(subcommand)]
    Issuer(issuer::IssuerCommand),
    /// Targets.
    #[command(subcommand)]
    Targets(targets::Targets),
    /// SSH hosts: whom they trust, what was taken back, certificates of their own.
    #[command(subcommand)]
    Ssh(ssh::Ssh),
    /// Try a target with a workload's token: would it get in, and as whom?
    Try(trial::Trial),
    /// Gateways.
    #[command(subcommand)]
    Gateways(gateways::Gateways),
    /// Say what SQL does, on standard input and output: what a gateway runs for itself.
    #[command(hide = true)]
    SqlParser,
}

/// Which configuration.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The file.
    #[arg(long, default_value = "writ.toml")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(cli.command, Command::SqlParser) {
        // It has neither runtime nor keys, and tells nobody but its gateway what went wrong.
        return if writ_parser::child::serve(Limits::default()).is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    match start(cli) {
        Ok(code) => code,
        Err(failure) => {
            out::note(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> Result<ExitCode, Failure> {
    // Tokens and credentials live in this memory: no crash may write it to a disk, and no other process of the user read it.
    nix::sys::prctl::set_dumpable(false).doing("this process cannot be kept from being dumped")?;
    // The one crypto stack, for every library that asks the process for its default.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().doing("no runtime can be started")?;
    runtime.block_on(dispatch(cli))
}

async fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    if let Command::Connect(options) = cli.command {
        return connect::run(*options, &cli.connection).await;
    }
    command(cli.command, cli.connection).await.map(|()| ExitCode::SUCCESS)
}

async fn command(command: Command, connection: Connection) -> Result<(), Failure> {
    match command {
        Command::Demo(options) => demo::run(options).await,
        Command::Dev(options) => dev::run(options, &connection).await,
        Command::Serve(file) => run::run(&file.config, Roles::All).await,
        Command::Broker(file) => run::run(&file.config, Roles::Broker).await,
        Command::Gateway(file) => run::run(&file.config, Roles::Gateway).await,
        Command::Check(file) => run::check(&file.config),
        Command::Config(command) => {
            configuration::run(&command);
            Ok(())
        }
        Command::Login(options) => login::run(&options, &connection).await,
        Command::Doctor(command) => doctor::run(&command, &connection).await,
        Command::Listen(options) => listen::run(&options, &connection).await,
        Command::Token(options) => token::run(&options, &connection).await,
        Command::Whoami(options) => whoami::run(&options, &connection).await,
        Command::Writs(command) => writs::run(command, &connection).await,
        Command::Sessions(command) => sessions::run(command, &connection).await,
        Command::Approvals(command) => approvals::run(command, &connection).await,
        Command::Freeze(command) => freeze::run(command, &connection).await,
        Command::Unfreeze(command) => freeze::lift(command, &connection).await,
        Command::Policy(command) => policy::run(&command, &connection).await,
        Command::Ledger(command) => ledger::run(command, &connection),
        Command::Issuer(command) => issuer::run(&command, &connection).await,
        Command::Targets(command) => targets::run(command, &connection).await,
        Command::Ssh(command) => ssh::run(command, &connection).await,
        Command::Try(options) => trial::run(&options, &connection).await,
        Command::Gateways(command) => gateways::run(command, &connection).await,
        // They were run before.
        Command::SqlParser | Command::Connect(_) => Ok(()),
    }
}
