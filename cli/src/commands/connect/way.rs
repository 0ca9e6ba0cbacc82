//! The way to a gateway, as flags, variables and the profile of `writ dev` give it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use clap::Args;
use serde::{Deserialize, Serialize};
use writ_client::connect::{ClientKey, Gateway, Passage, Watch};
use writ_client::{Audience, Found};
use writ_core::client::Reason;
use writ_core::target::TargetName;

use crate::commands::Connection;
use crate::commands::source::{TokenSource, audience, failure};
use crate::failure::{Doing as _, Failure};

/// How to get to a gateway.
#[derive(Debug, Args)]
pub(crate) struct WayArgs {
    /// The gateway: `HOST:PORT`. Without it the one of `writ dev`.
    #[arg(long, env = "WRIT_GATEWAY", value_name = "HOST:PORT")]
    gateway: Option<String>,
    /// The authority that vouches for the gateway, as PEM. Without it those of the system.
    #[arg(long, env = "WRIT_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Whom the tokens are for: the broker's `audience`.
    #[arg(long, env = "WRIT_AUDIENCE", value_name = "AUDIENCE")]
    audience: Option<String>,
    /// The most connections to a target at the same time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    max_connections: u16,
    /// Why: one line of at most 256 bytes, for the ledger and for whoever looks at the sessions.
    #[arg(long, env = "WRIT_REASON", value_name = "TEXT")]
    reason: Option<Reason>,
    /// Prove a key of this run's also where the source may give its token to other runs: what used it is the only one that can.
    /// Without this or `--no-key` one is proved where each connection has a token of its own.
    #[arg(long, conflicts_with = "no_key")]
    key: bool,
    /// Prove no key.
    #[arg(long)]
    no_key: bool,
    #[command(flatten)]
    source: TokenSource,
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

/// A target, and the role there that is asked for, if one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Goal {
    /// `TARGET` or `TARGET/ROLE`: what the gateway takes as user name.
    pub user: String,
    /// The target alone.
    pub target: String,
}

impl Goal {
    /// Reads `TARGET` or `TARGET/ROLE`.
    ///
    /// # Errors
    /// If it is neither.
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        let (target, role) = text.split_once('/').map_or((text, None), |(target, role)| (target, Some(role)));
        let named = TargetName::new(target).is_ok() && role.is_none_or(|role| !role.is_empty() && !role.contains('\0'));
        if named {
            Ok(Self { user: text.to_owned(), target: target.to_owned() })
        } else {
            Err(Failure::new(format!("`{text}` names no target")).help("write `TARGET` or `TARGET/ROLE`"))
        }
    }
}

/// A way to a gateway, with what opens it.
pub(crate) struct Way {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Where tokens come from.
    pub found: Arc<Found>,
    /// Whom they are for.
    pub audience: Audience,
    /// The key that this run proves, if it does.
    pub key: Option<ClientKey>,
    reason: Option<String>,
    most: usize,
}

impl WayArgs {
    /// Finds the gateway and where tokens come from. Nothing is sent yet.
    ///
    /// # Errors
    /// If there is no gateway to connect to, or no source of tokens.
    pub(crate) async fn find(&self, connection: &Connection) -> Result<Way, Failure> {
        let profile = match self.gateway {
            Some(_) => None,
            None => Some(GatewayProfile::load(&connection.state_directory()?)?),
        };
        let address = self.gateway.clone().or_else(|| profile.as_ref().map(|profile| profile.gateway.clone()));
        let ca_file = self.ca_file.clone().or_else(|| profile.as_ref().map(|profile| profile.ca_file.clone()));
        let whom = self.audience.clone().or_else(|| profile.map(|profile| profile.audience));
        let pem = match &ca_file {
            Some(path) => Some(std::fs::read(path).doing(format!("`{}` cannot be read", path.display()))?),
            None => None,
        };
        let found = self.source.find(connection, None).await?;
        let proves = self.key || (!self.no_key && found.gives_new_tokens());
        let key = if proves { Some(ClientKey::fresh().map_err(|fault| failure(&fault))?) } else { None };
        let gateway = Gateway::new(&address.unwrap_or_default(), pem.as_deref(), key.as_ref());
        let gateway = gateway.map_err(|fault| failure(&fault))?;
        Ok(Way {
            gateway: Arc::new(gateway),
            audience: audience(whom.as_deref().unwrap_or("writ"))?,
            found: Arc::new(found),
            key,
            reason: self.reason.clone().map(String::from),
            most: usize::from(self.max_connections),
        })
    }
}

impl Way {
    /// The passage to a target, and to this database where a client names none.
    pub(crate) fn to(&self, goal: &Goal, database: &str, watch: Box<dyn Watch>) -> Passage {
        Passage {
            gateway: Arc::clone(&self.gateway),
            found: Arc::clone(&self.found),
            audience: self.audience.clone(),
            target: goal.user.clone(),
            database: database.to_owned(),
            reason: self.reason.clone(),
            most: self.most,
            watch,
            count: AtomicU64::new(0),
        }
    }
}
