//! `writ issuer`: the broker as an issuer: its two documents as files, and the subject that a workload has there.

use std::path::PathBuf;

use clap::Subcommand;
use writ_broker::issuer::workload_subject;
use writ_broker_api::paths::{DISCOVERY, JWKS};
use writ_core::workload::{Issuer, Subject};

use super::Connection;
use crate::failure::{Doing as _, Failure};
use crate::out;

/// What to do with the issuer.
#[derive(Debug, Subcommand)]
pub(crate) enum IssuerCommand {
    /// Write the discovery document and the keys below a directory, to be put where targets look for them.
    Export {
        /// The directory that stands for the issuer's address.
        directory: PathBuf,
    },
    /// Print the subject that targets know a workload by, where `subject = "workload"`.
    Subject {
        /// The workload's issuer.
        issuer: String,
        /// Its subject there.
        subject: String,
    },
}

/// Runs the command.
///
/// # Errors
/// If the broker cannot be reached or is no issuer, or the files cannot be written.
pub(crate) async fn run(command: &IssuerCommand, connection: &Connection) -> Result<(), Failure> {
    match command {
        IssuerCommand::Subject { issuer, subject } => {
            out::line(&workload_subject(&Issuer::new(issuer), &Subject::new(subject)));
            Ok(())
        }
        IssuerCommand::Export { directory } => {
            let api = connection.api()?;
            for path in [DISCOVERY, JWKS] {
                let document = api.get_bytes(path).await?;
                let file = directory.join(path.trim_start_matches('/'));
                let parent = file.parent().unwrap_or(directory);
                std::fs::create_dir_all(parent).doing(format!("`{}` cannot be made", parent.display()))?;
                // Whole or not at all: a half-written set of keys would cut every target off.
                let partial = file.with_extension("partial");
                std::fs::write(&partial, &document)
                    .and_then(|()| std::fs::rename(&partial, &file))
                    .doing(format!("`{}` cannot be written", file.display()))?;
                out::line(&file.display().to_string());
            }
            Ok(())
        }
    }
}
