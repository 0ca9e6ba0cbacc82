//! `writ connect`: runs a command that finds its database behind a Unix socket, and sees no token.
//!
//! Never: put a token into the child's environment, arguments or files.

mod child;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};
use writ_client::connect::{Door, Gateway, PORT, Passage};
use writ_core::target::TargetName;

use self::child::Child;
use super::Connection;
use super::source::{TokenSource, audience, failure};
use crate::failure::{Doing as _, Failure};

/// Where to connect, and what to run.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// The target, or `TARGET/ROLE` for a role at the database.
    target: String,
    /// The gateway: `HOST:PORT`. Without it the one of `writ dev`.
    #[arg(long, env = "WRIT_GATEWAY", value_name = "HOST:PORT")]
    gateway: Option<String>,
    /// The authority that vouches for the gateway, as PEM. Without it those of the system.
    #[arg(long, env = "WRIT_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Whom the tokens are for: the broker's `audience`.
    #[arg(long, env = "WRIT_AUDIENCE", value_name = "AUDIENCE")]
    audience: Option<String>,
    /// The database, where the command names none. Without it the one that is called as the target is.
    #[arg(long)]
    database: Option<String>,
    /// The most connections of the command at the same time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    max_connections: u16,
    #[command(flatten)]
    source: TokenSource,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Where the gateway of `writ dev` is: `gateway.toml` in its state directory.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayProfile {
    /// Its address.
    pub gateway: String,
    /// The file with the certificate of its authority.
    pub ca_file: PathBuf,
    /// Whom tokens for it are for.
    pub audience: String,
}

impl GatewayProfile {
    /// Where the profile stands in a state directory.
    #[must_use]
    pub(crate) fn path(state: &Path) -> PathBuf {
        state.join("gateway.toml")
    }

    fn load(state: &Path) -> Result<Self, Failure> {
        let path = Self::path(state);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::new(format!("no gateway is named, and `{}` cannot be read: {error}", path.display()))
                .help("name the gateway with `--gateway HOST:PORT`, or start `writ dev`")
        })?;
        toml::from_str(&text).doing(format!("`{}` is malformed", path.display()))
    }
}

/// Runs the command and gives its exit status as the shell would.
///
/// # Errors
/// If it cannot be run, or there is no token to be had or no gateway to connect to.
pub(crate) async fn run(options: Connect, connection: &Connection) -> Result<ExitCode, Failure> {
    let passage = passage(&options, connection).await?;
    let variables = passage.found.variables();
    // From here on a signal ends the command, and this only with it: the socket does not stay behind.
    let mut child = Child::new()?;
    let settings = [("PGUSER", passage.target.clone()), ("PGDATABASE", passage.database.clone())];
    let door = Door::open().map_err(|fault| failure(&fault))?;
    let mut settings = settings.map(|(name, value)| (name, OsString::from(value))).to_vec();
    settings.push(("PGHOST", door.directory().as_os_str().to_owned()));
    settings.push(("PGPORT", PORT.to_string().into()));
    child.start(&options.command, &settings, &variables)?;
    door.serve(passage, child.ended()).await
}

async fn passage(options: &Connect, connection: &Connection) -> Result<Passage, Failure> {
    let (target, role) = options.target.split_once('/').map_or((options.target.as_str(), None), |(t, r)| (t, Some(r)));
    let named = TargetName::new(target).is_ok() && role.is_none_or(|role| !role.is_empty() && !role.contains('\0'));
    if !named {
        return Err(
            Failure::new(format!("`{}` names no target", options.target)).help("write `TARGET` or `TARGET/ROLE`")
        );
    }
    let profile = match options.gateway {
        Some(_) => None,
        None => Some(GatewayProfile::load(&connection.state_directory()?)?),
    };
    let address = options.gateway.clone().or_else(|| profile.as_ref().map(|profile| profile.gateway.clone()));
    let ca_file = options.ca_file.clone().or_else(|| profile.as_ref().map(|profile| profile.ca_file.clone()));
    let whom = options.audience.clone().or_else(|| profile.map(|profile| profile.audience));
    let pem = match &ca_file {
        Some(path) => Some(std::fs::read(path).doing(format!("`{}` cannot be read", path.display()))?),
        None => None,
    };
    let gateway = Gateway::new(&address.unwrap_or_default(), pem.as_deref()).map_err(|fault| failure(&fault))?;
    Ok(Passage {
        gateway,
        audience: audience(whom.as_deref().unwrap_or("writ"))?,
        found: options.source.find(connection, None).await?,
        database: options.database.clone().unwrap_or_else(|| target.to_owned()),
        target: options.target.clone(),
        most: usize::from(options.max_connections),
    })
}
