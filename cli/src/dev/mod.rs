//! `writ dev`: issuer, broker and gateway in one process, on loopback, with nothing to configure.
//!
//! It writes an ordinary `writ.toml` and ordinary policies into its state directory and runs what `writ serve` runs: what works
//! here works there.

pub(crate) mod issuer;
mod stack;
mod target;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use clap::Args;
use zeroize::Zeroizing;

use crate::commands::Connection;
use crate::compose::telemetry::{self, LogConfig};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::out;

pub(crate) use stack::{Settings, Stack};
pub(crate) use target::TargetSettings;

/// Options of `writ dev`.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// A PostgreSQL database, with a login that may create roles: `postgres://user@host:port/database`. The password stands in the
    /// URL or, better, in `PGPASSWORD`.
    #[arg(long, value_name = "URL")]
    target: String,
    /// Where clients connect.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: std::net::SocketAddr,
    /// The role at the database that sessions act as. The default, which PostgreSQL has from version 14 on, reads every table and
    /// changes none.
    #[arg(long, default_value = "pg_read_all_data")]
    role: String,
}

/// Runs until it is interrupted.
///
/// # Errors
/// What is wrong, and what to do.
pub(crate) async fn run(dev: Dev, connection: &Connection) -> Result<(), Failure> {
    if !dev.listen.ip().is_loopback() {
        return Err(Failure::new(format!("`{}` is not a loopback address", dev.listen))
            .help("`writ dev` is for this machine alone; use `writ serve --config writ.toml` to serve others"));
    }
    let mut interrupt = Interrupt::with_hangup()?;
    let target = TargetSettings::from_url(&dev.target)?;
    let name = target.name.clone();
    telemetry::start(&LogConfig { filter: Some("warn".to_owned()), ..LogConfig::default() })?;
    let mut stack = Stack::start(Settings {
        state: connection.state_directory()?,
        listen: Some(dev.listen),
        permitted: name.clone(),
        masks: None,
        statements: "",
        targets: vec![target],
        role: Some(dev.role),
    })
    .await?;
    let state = stack.state_directory().display().to_string();
    out::line(&format!("gateway   {}", stack.gateway_address()));
    out::line(&format!("broker    {}", stack.broker_url()));
    out::line(&format!("issuer    {}", stack.issuer().url()));
    out::line(&format!("state     {state}"));
    out::line("\nA token, and a connection with it:\n");
    out::line(&format!("  export PGPASSWORD=$(writ token --state {state})"));
    out::line(&format!("  psql \"{}\"", stack.connection_string(&name)));
    out::line("\nA connection of a command that sees no token:\n");
    out::line(&format!("  writ connect {name} --state {state} -- psql"));
    out::line("\nA token opens one session; ask for another for the next. Ctrl-C ends it.");
    if let Err(missing) = stack.probe(&name).await {
        out::note(&format!("note: sessions at `{name}` will be refused until its database takes the login\n{missing}"));
    }
    if let Some(policy) = stack.kept_policy() {
        let policy = policy.display();
        out::note(&format!(
            "note: `{policy}` stands as it was: --target and --role do not change it; remove it to have it written anew"
        ));
    }
    let followed = stack.follow(&mut interrupt).await;
    stack.stop().await;
    followed
}

/// 256 random bits in hexadecimal.
///
/// # Errors
/// If no random numbers can be had.
pub(crate) fn random_text() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| Failure::new("no random numbers can be had"))?;
    Ok(Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}
