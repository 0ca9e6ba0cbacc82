//! `writ ssh`: what SSH hosts must know of a target's authority, and certificates for them.
//!
//! sshd reads the files at any moment: half of one would shut everybody out.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use writ_broker::duration::Span;
use writ_broker_api::admin::{HostCertificateReply, HostCertificateRequest, SshFacts};
use writ_core::target::TargetName;

use super::Connection;
use super::targets::name;
use crate::failure::{Doing as _, Failure};
use crate::{out, private};

/// What to do with SSH authorities.
#[derive(Debug, Subcommand)]
pub(crate) enum Ssh {
    /// Print the lines for the file that sshd's `TrustedUserCAKeys` names.
    Ca {
        /// The target.
        #[arg(value_parser = name)]
        target: TargetName,
    },
    /// Write the list for sshd's `RevokedKeys`, or say where hosts fetch it.
    Krl {
        /// The target.
        #[arg(value_parser = name)]
        target: TargetName,
        /// The file to write, whole or not at all.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Have a certificate of a host signed, and print it.
    HostCertificate(HostCertificate),
}

/// Which host.
#[derive(Debug, Args)]
pub(crate) struct HostCertificate {
    /// The target whose authority signs.
    #[arg(value_parser = name)]
    target: TargetName,
    /// The file with the host's public key, as `/etc/ssh/ssh_host_ed25519_key.pub`.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A name or address by which clients reach the host; once for each.
    #[arg(long = "name", required = true, value_name = "NAME")]
    names: Vec<String>,
    /// How long it lives.
    #[arg(long, default_value = "90d", value_parser = span)]
    life: Span,
    /// The file to write, whole or not at all, as `/etc/ssh/ssh_host_ed25519_key-cert.pub`; else it is printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// If the broker cannot be reached or refuses, or a file cannot be read or written.
pub(crate) async fn run(command: Ssh, connection: &Connection) -> Result<(), Failure> {
    let api = connection.api()?;
    match command {
        Ssh::Ca { target } => {
            let facts: SshFacts = api.get(&format!("/v1/targets/{target}/ssh")).await?;
            facts.trusted.iter().for_each(|line| out::line(&out::one_line(line)));
        }
        Ssh::Krl { target, out: file } => {
            let facts: SshFacts = api.get(&format!("/v1/targets/{target}/ssh")).await?;
            match file {
                Some(file) => {
                    let path = facts.revocation_list.split_once("/v1/").map(|(_, path)| format!("/v1/{path}"));
                    let path = path.ok_or_else(|| Failure::new("the broker names no revocation list"))?;
                    private::publish(&file, &api.get_bytes(&path).await?)?;
                }
                None => out::line(&out::one_line(&facts.revocation_list)),
            }
        }
        Ssh::HostCertificate(asked) => {
            let key = std::fs::read_to_string(&asked.key).doing(format!("`{}` cannot be read", asked.key.display()))?;
            let (key, names) = (key.trim().to_owned(), asked.names);
            let request = HostCertificateRequest { key, names, life_seconds: asked.life.get().as_secs() };
            let path = format!("/v1/targets/{}/ssh/host-certificates", asked.target);
            let reply: HostCertificateReply = api.post(&path, &request).await?;
            let line = out::one_line(reply.certificate.trim_end());
            match asked.out {
                Some(file) => {
                    private::publish(&file, format!("{line}\n").as_bytes())?;
                    out::line(&format!("{}: good until {}", file.display(), reply.expires));
                }
                None => out::line(&line),
            }
        }
    }
    Ok(())
}

fn span(text: &str) -> Result<Span, String> {
    Span::parse(text).map_err(|error| error.to_string())
}
