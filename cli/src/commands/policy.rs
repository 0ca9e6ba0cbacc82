//! `writ policy`: checking a policy set, explaining a decision, holding a set to cases, and to what was recorded.

use std::path::PathBuf;

use clap::Subcommand;

mod case;
mod crew;
mod from_github;
mod github_api;
mod history;
mod judges;
mod reopened;
mod replay;
mod replayed;
mod rerun;
mod suggest;
mod suggested;
mod test;

use crate::commands::Connection;
use crate::commands::explain::{self, Explain};
use crate::failure::{Doing as _, Failure};
use crate::out;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Report every mistake in a directory of policies, with file and line.
    Check {
        /// The directory of `*.cedar` and `*.mask.toml` files.
        directory: PathBuf,
    },
    /// Explain what the policies say to a token, which is decoded but not verified.
    Explain(Explain),
    /// Write a policy for the jobs of one repository on GitHub, told by the numbers that are never given again.
    FromGithub(from_github::FromGithub),
    /// Hold the policies to cases that say what they must answer.
    Test(test::Test),
    /// Judge recorded sessions by other policies, and show each command whose verdict would change. That recordings were read is
    /// written into the ledger.
    Replay(replay::Replay),
    /// Propose the narrowest policies that cover what a workload did. That recordings were read is written into the ledger.
    Suggest(suggest::Suggest),
}

/// Runs the command.
///
/// # Errors
/// If there is a mistake.
pub(crate) async fn run(command: &Policy, connection: &Connection) -> Result<(), Failure> {
    match command {
        Policy::Explain(options) => explain::run(options),
        Policy::FromGithub(options) => from_github::run(options).await,
        Policy::Test(options) => test::run(options).await,
        Policy::Replay(options) => replay::run(options, connection).await,
        Policy::Suggest(options) => suggest::run(options, connection).await,
        Policy::Check { directory } => {
            let files = writ_broker::bundle::read_files(directory).doing("the policies cannot be read")?;
            let count = files.len();
            let problems = crate::compose::config::policy_problems(&files);
            if problems.is_empty() {
                out::line(&format!("{count} policy files are well formed"));
                return Ok(());
            }
            problems.iter().for_each(|problem| out::line(&out::harmless(&problem.to_string())));
            Err(Failure::new(format!("{} mistakes in the policies", problems.len())))
        }
    }
}
