//! `writ connect`: runs a command that finds its database behind a Unix socket, and sees no token.
//!
//! Never: put a token into the child's environment, arguments or files.

mod child;
mod way;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;
use writ_client::connect::{Door, PORT, Unwatched};

use self::child::Child;
pub(crate) use self::way::{GatewayProfile, Goal, Way, WayArgs};
use super::Connection;
use super::source::failure;
use crate::failure::Failure;

/// Where to connect, and what to run.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// The target, or `TARGET/ROLE` for a role at the database.
    target: String,
    /// The database, where the command names none. Without it the one that is called as the target is.
    #[arg(long)]
    database: Option<String>,
    #[command(flatten)]
    way: WayArgs,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the command and gives its exit status as the shell would.
///
/// # Errors
/// If it cannot be run, or there is no token to be had or no gateway to connect to.
pub(crate) async fn run(options: Connect, connection: &Connection) -> Result<ExitCode, Failure> {
    let goal = Goal::read(&options.target)?;
    let way = options.way.find(connection).await?;
    let passage = way.to(&goal, options.database.as_deref().unwrap_or(&goal.target), Box::new(Unwatched));
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
