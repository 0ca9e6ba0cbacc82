//! The commands of the binary, one file each, and what they share.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::api::{Api, Profile};
use crate::failure::{Doing as _, Failure};
use crate::out;

pub(crate) mod approvals;
pub(crate) mod configuration;
pub(crate) mod connect;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod freeze;
pub(crate) mod gateways;
pub(crate) mod issuer;
pub(crate) mod ledger;
pub(crate) mod listen;
pub(crate) mod login;
pub(crate) mod policy;
pub(crate) mod recording;
pub(crate) mod replay;
pub(crate) mod sessions;
pub(crate) mod source;
pub(crate) mod ssh;
pub(crate) mod targets;
pub(crate) mod token;
pub(crate) mod trial;
pub(crate) mod whoami;
pub(crate) mod writs;

/// How to reach the broker.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// The directory with `client.toml`, as `writ dev` or `writ login` made it.
    #[arg(long, env = "WRIT_STATE", global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

impl Connection {
    /// The state directory: the one given, else `writ` below `$XDG_STATE_HOME` or `~/.local/state`.
    ///
    /// # Errors
    /// If none is given and there is no home directory.
    pub(crate) fn state_directory(&self) -> Result<PathBuf, Failure> {
        if let Some(state) = &self.state {
            return Ok(state.clone());
        }
        let base = std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local").join("state")));
        base.map(|base| base.join("writ")).ok_or_else(|| {
            Failure::new("there is no home directory to keep state in").help("name one with `--state DIR`")
        })
    }

    /// A client of the broker.
    ///
    /// # Errors
    /// If there is no profile, or what it names cannot be read.
    pub(crate) fn api(&self) -> Result<Api, Failure> {
        Api::new(&Profile::load(&self.state_directory()?)?)
    }
}

/// How to list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// At most this many rows.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
    /// Rows after this one, as the page before printed it.
    #[arg(long)]
    pub after: Option<String>,
    /// Only what is live.
    #[arg(long)]
    pub live: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

impl ListArgs {
    fn path(&self, path: &str) -> String {
        let mut text = format!("{path}?limit={}", self.limit);
        if let Some(after) = &self.after {
            let plain = after.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            text.push_str("&after=");
            text.extend(plain);
        }
        if self.live {
            text.push_str("&live=true");
        }
        text
    }

    fn print_next(&self, next: Option<&str>) {
        if let Some(next) = next {
            out::note(&format!("there are more: --after {}", out::one_line(next)));
        }
    }
}

/// Prints a value as JSON.
///
/// # Errors
/// If it cannot be written as JSON.
pub(crate) fn print_json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).doing("the answer cannot be written as JSON")?;
    out::line(&text);
    Ok(())
}

/// The word by which a value of a closed list is written.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word.replace('_', " "),
        _ => String::new(),
    }
}
