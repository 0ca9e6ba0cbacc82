//! Where a workload's token comes from: what the flags say, else what is found, else the dev issuer.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use writ_client::{Audience, Environment, Fault, Found, LONGEST, Source, Undetected};
use zeroize::Zeroizing;

use super::Connection;
use crate::failure::{Doing as _, Failure};
use crate::private;

/// The name of the dev issuer among the sources.
const DEV: &str = "dev";

/// Where to get the token.
#[derive(Debug, Args)]
pub(crate) struct TokenSource {
    /// Take it from this source, whatever else there is: `github-actions`, `gitlab`, `buildkite`, `circleci`, `bitbucket`,
    /// `terraform-cloud`, `kubernetes`, `spiffe`, `aws`, `gcp`, `azure`, `file` (`WRIT_TOKEN_FILE`) or `dev`.
    #[arg(long, value_name = "SOURCE", group = "source")]
    from: Option<String>,
    /// Read it from a file that somebody keeps fresh.
    #[arg(long, value_name = "FILE", group = "source")]
    token_file: Option<PathBuf>,
    /// Take what this program prints. It is run without a shell, for each token anew.
    #[arg(long, value_name = "PROGRAM", group = "source")]
    token_command: Option<String>,
    /// An argument for the program, in order; `{audience}` is replaced. Repeatable.
    #[arg(long, value_name = "ARGUMENT", requires = "token_command", allow_hyphen_values = true)]
    token_argument: Vec<String>,
    /// Read it from standard input, once.
    #[arg(long, group = "source")]
    token_stdin: bool,
}

/// Where the dev issuer is: `issuer.toml` in the state directory of `writ dev`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerProfile {
    /// Its token endpoint.
    pub url: String,
    /// The file with the request token.
    pub request_token_file: PathBuf,
}

impl IssuerProfile {
    /// Where the profile stands in a state directory.
    #[must_use]
    pub(crate) fn path(state: &Path) -> PathBuf {
        state.join("issuer.toml")
    }
}

impl TokenSource {
    /// Whether the flags say where to get it.
    #[must_use]
    pub(crate) const fn is_named(&self) -> bool {
        self.from.is_some() || self.token_file.is_some() || self.token_command.is_some() || self.token_stdin
    }

    /// The source that the flags name, else the dev issuer of a state directory that was named, else the one that is found, else the
    /// dev issuer of the usual state directory. `life` is for the dev issuer alone.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub(crate) async fn find(&self, connection: &Connection, life: Option<i64>) -> Result<Found, Failure> {
        let found = match self.named(connection, life)? {
            Some(found) => found,
            None => self.detected(connection, life).await?,
        };
        if life.is_some() && found.name() != DEV {
            return Err(Failure::new(format!("the life of a token of `{}` is its issuer's affair", found.name()))
                .help("leave `--expires-in` out: it is for the dev issuer"));
        }
        Ok(found)
    }

    fn named(&self, connection: &Connection, life: Option<i64>) -> Result<Option<Found>, Failure> {
        if let Some(path) = &self.token_file {
            return Ok(Some(Found::file(path.clone())));
        }
        if let Some(program) = &self.token_command {
            return Ok(Some(Found::program(program.clone(), self.token_argument.clone())));
        }
        if self.token_stdin {
            return from_stdin().map(Some);
        }
        match self.from.as_deref() {
            None => Ok(None),
            Some(DEV) => dev(&connection.state_directory()?, life).map(Some),
            Some(name) => match Source::named(name) {
                Some(source) => Ok(Some(Found::named(source, Environment::of_process()))),
                None => {
                    let names: Vec<&str> = Source::ALL.iter().map(|source| source.name()).collect();
                    Err(Failure::new(format!("there is no source `{name}`"))
                        .help(format!("write one of {}, {DEV}", names.join(", "))))
                }
            },
        }
    }

    async fn detected(&self, connection: &Connection, life: Option<i64>) -> Result<Found, Failure> {
        let has_issuer = |state: &Path| IssuerProfile::path(state).is_file();
        if let Some(state) = connection.state.as_deref().filter(|state| has_issuer(state)) {
            return dev(state, life);
        }
        match Found::detect(Environment::of_process()).await {
            Ok(found) => Ok(found),
            Err(Undetected::Cannot(fault)) => Err(failure(&fault)),
            Err(Undetected::Nothing(fault)) => match connection.state_directory() {
                Ok(state) if has_issuer(&state) => dev(&state, life),
                _ => {
                    let looked = fault.remedy().unwrap_or_default();
                    Err(Failure::new(fault.what()).help(format!("{looked}\n       {DEV}: no `writ dev` has run here")))
                }
            },
        }
    }
}

fn dev(state: &Path, life: Option<i64>) -> Result<Found, Failure> {
    let path = IssuerProfile::path(state);
    let text = std::fs::read_to_string(&path)
        .doing(format!("`{}` cannot be read", path.display()))
        .map_err(|failure| failure.help("start `writ dev`: it runs the issuer"))?;
    let profile: IssuerProfile = toml::from_str(&text).doing(format!("`{}` is malformed", path.display()))?;
    let request_token = private::read_text(&profile.request_token_file)?;
    let url = life.map_or_else(|| profile.url.clone(), |life| format!("{}?expires_in={life}", profile.url));
    Ok(Found::issuer(url, request_token))
}

fn from_stdin() -> Result<Found, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(LONGEST + 2));
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(2);
    std::io::stdin().lock().take(most).read_to_string(&mut text).doing("standard input cannot be read")?;
    Ok(Found::held(text))
}

/// An audience as a flag gives it.
///
/// # Errors
/// If it is none.
pub(crate) fn audience(text: &str) -> Result<Audience, Failure> {
    Audience::new(text).map_err(|fault| failure(&fault))
}

/// What the client's library says, as this program says it.
pub(crate) fn failure(fault: &Fault) -> Failure {
    let failure = Failure::new(fault.what());
    match fault.remedy() {
        Some(help) => failure.help(help),
        None => failure,
    }
}
