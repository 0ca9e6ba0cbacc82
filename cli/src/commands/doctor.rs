//! `writ doctor`: why this job gets in, or does not. What it claims, and which rule it misses.
//!
//! The token is decoded, never verified, and never shown: nothing is granted by what is said here.

mod github;

use clap::Subcommand;

use super::Connection;
use crate::failure::Failure;

/// Whose job it is.
#[derive(Debug, Subcommand)]
pub(crate) enum Doctor {
    /// A job of GitHub Actions.
    Github(github::Github),
}

/// Runs the command.
///
/// # Errors
/// If the job would not get in, and why.
pub(crate) async fn run(doctor: &Doctor, connection: &Connection) -> Result<(), Failure> {
    match doctor {
        Doctor::Github(options) => github::run(options, connection).await,
    }
}
