//! The running parts of `writ dev`, and what they leave in the state directory.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use writ_core::credential::Secret;
use writ_core::id::SessionId;

use super::issuer::{self, DevIssuer};
use super::{TargetSettings, random_text};
use crate::api::Profile;
use crate::commands::connect::GatewayProfile;
use crate::commands::source::IssuerProfile;
use crate::compose::serve::Server;
use crate::compose::{config, run};
use crate::failure::{Doing as _, Failure};
use crate::interrupt::Interrupt;
use crate::private;

/// The audience of the dev gateway's tokens.
const AUDIENCE: &str = "writ";
/// How long a recording may take to arrive.
const RECORDED_WITHIN: Duration = Duration::from_secs(30);

/// What to run.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The state directory.
    pub state: PathBuf,
    /// Where clients connect; a free loopback port where this is left out.
    pub listen: Option<SocketAddr>,
    /// What may be reached, if policy says so.
    pub targets: Vec<TargetSettings>,
    /// The role that sessions act as.
    pub role: Option<String>,
    /// The one target that policy gives to the dev workload.
    pub permitted: String,
    /// A set of masks for what it gets back: its name and its text.
    pub masks: Option<(&'static str, &'static str)>,
    /// Policies on statements, as Cedar's text; none where whatever is understood may be executed.
    pub statements: &'static str,
}

/// Issuer, broker and gateway, running.
pub(crate) struct Stack {
    state: PathBuf,
    issuer: DevIssuer,
    server: Server,
    ledger_key: String,
    /// The policy file that stood there before and says something else than these settings.
    kept: Option<PathBuf>,
}

impl Stack {
    /// Starts everything.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub(crate) async fn start(settings: Settings) -> Result<Self, Failure> {
        let state = settings.state.clone();
        private::directory(&state)?;
        let request_token = random_text()?;
        private::replace(&state.join("request-token"), request_token.as_bytes())?;
        let issuer = DevIssuer::start(Secret::new(request_token.as_bytes().to_vec())).await.doing("the dev issuer")?;
        let kept = write_files(&settings, &issuer)?;
        let read = config::read(&state.join("writ.toml"))?;
        let server = Server::start(read, None).await?;
        let ledger_key = server.ledger_key().unwrap_or_default();
        let stack = Self { state, issuer, server, ledger_key, kept };
        stack.write_profiles()?;
        Ok(stack)
    }

    fn write_profiles(&self) -> Result<(), Failure> {
        let issuer = IssuerProfile {
            url: format!("{}/token", self.issuer.url()),
            request_token_file: self.state.join("request-token"),
        };
        let issuer = toml::to_string(&issuer).doing("the issuer's profile cannot be written")?;
        private::replace(&IssuerProfile::path(&self.state), issuer.as_bytes())?;
        let gateway = GatewayProfile {
            gateway: self.gateway_address().to_string(),
            ca_file: self.ca_file(),
            audience: AUDIENCE.to_owned(),
        };
        let gateway = toml::to_string(&gateway).doing("the gateway's profile cannot be written")?;
        private::replace(&GatewayProfile::path(&self.state), gateway.as_bytes())?;
        Profile { broker: self.broker_url(), ca_file: self.ca_file(), token_file: self.state.join("admin-token") }
            .store(&self.state)
    }

    /// The dev issuer.
    #[must_use]
    pub(crate) const fn issuer(&self) -> &DevIssuer {
        &self.issuer
    }

    /// Where clients connect.
    #[must_use]
    pub(crate) fn gateway_address(&self) -> SocketAddr {
        self.server.gateway_address().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The broker's URL.
    #[must_use]
    pub(crate) fn broker_url(&self) -> String {
        let port = self.server.broker_address().map_or(0, |address| address.port());
        format!("https://127.0.0.1:{port}")
    }

    /// The state directory.
    #[must_use]
    pub(crate) fn state_directory(&self) -> &Path {
        &self.state
    }

    /// The evidence: ledger and recordings.
    #[must_use]
    pub(crate) fn evidence_directory(&self) -> PathBuf {
        self.state.join("broker").join("evidence")
    }

    /// The ledger's key.
    #[must_use]
    pub(crate) fn ledger_key(&self) -> &str {
        &self.ledger_key
    }

    fn ca_file(&self) -> PathBuf {
        self.state.join("broker").join("keys").join("ca.pem")
    }

    /// A connection string that verifies the gateway.
    #[must_use]
    pub(crate) fn connection_string(&self, target: &str) -> String {
        format!(
            "host=127.0.0.1 port={} user={target} dbname={target} sslmode=verify-full sslrootcert={}",
            self.gateway_address().port(),
            self.ca_file().display()
        )
    }

    /// Waits until a session's recording has arrived.
    ///
    /// # Errors
    /// If it does not within half a minute.
    pub(crate) async fn wait_until_recorded(&self, session: SessionId) -> Result<(), Failure> {
        let api = crate::api::Api::new(&Profile::load(&self.state)?)?;
        let begun = Instant::now();
        while begun.elapsed() < RECORDED_WITHIN {
            let known: writ_broker_api::admin::Session = api.get(&format!("/v1/sessions/{session}")).await?;
            if known.closed.is_some() && known.segments.iter().any(|segment| segment.stream == "commands") {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Failure::new(format!("the recording of {session} did not arrive within {RECORDED_WITHIN:?}")))
    }

    /// Whether the provider could mint at a target.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) async fn probe(&self, target: &str) -> Result<(), Failure> {
        let api = crate::api::Api::new(&Profile::load(&self.state)?)?;
        api.post_nothing(&format!("/v1/targets/{target}/probe")).await
    }

    /// The policy file that stood there before and says something else than what these settings would make of it.
    #[must_use]
    pub(crate) fn kept_policy(&self) -> Option<&Path> {
        self.kept.as_deref()
    }

    /// Reads configuration and policies again whenever they change, until it is interrupted.
    ///
    /// # Errors
    /// If the configuration cannot be read.
    pub(crate) async fn follow(&mut self, interrupt: &mut Interrupt) -> Result<(), Failure> {
        let path = self.state.join("writ.toml");
        let files = run::watched(&config::read(&path)?.config, &path);
        run::follow(&mut self.server, &path, files, interrupt, None).await;
        Ok(())
    }

    /// Stops everything, in the order in which evidence flows.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// Writes what is not the user's own, and gives the policy file where it is and says something else.
fn write_files(settings: &Settings, issuer: &DevIssuer) -> Result<Option<PathBuf>, Failure> {
    let state = &settings.state;
    let policies = state.join("policies");
    private::directory(&policies)?;
    let policy = policies.join("dev.cedar");
    let wanted = dev_policy(settings);
    // The user may have changed it.
    let found = policy.exists();
    let kept = found && std::fs::read(&policy).ok().as_deref() != Some(wanted.as_bytes());
    if !found {
        private::replace(&policy, wanted.as_bytes())?;
        if let Some((name, text)) = settings.masks {
            private::replace(&policies.join(format!("{name}.mask.toml")), text.as_bytes())?;
        }
    }
    if !state.join("admin-token").exists() {
        private::replace(&state.join("admin-token"), random_text()?.as_bytes())?;
    }
    for target in &settings.targets {
        private::replace(&password_file(state, target), target.admin_password.expose())?;
    }
    private::replace(&state.join("writ.toml"), configuration(settings, issuer).as_bytes())?;
    Ok(kept.then_some(policy))
}

fn password_file(state: &Path, target: &TargetSettings) -> PathBuf {
    state.join(format!("{}.password", target.name))
}

fn dev_policy(settings: &Settings) -> String {
    let role = settings.role.as_ref().map(|role| format!("@role({})\n", quoted(role))).unwrap_or_default();
    let masks = settings.masks.map(|(name, _)| format!("@mask({})\n", quoted(name))).unwrap_or_default();
    format!(
        "// The dev workload may use one target. Change this file while `writ dev` runs: it is read again within seconds.\n\
         @id(\"dev-workload\")\n@ttl(\"15m\")\n{role}@record(\"full\")\n{masks}\
         permit (\n    principal is Writ::Workload,\n    action in Writ::Action::\"use\",\n    resource == Writ::Target::{}\n)\n\
         when {{ principal.hasTag(\"environment\") && principal.getTag(\"environment\") == \"production\" }};\n{}",
        quoted(&settings.permitted),
        settings.statements
    )
}

fn configuration(settings: &Settings, issuer: &DevIssuer) -> String {
    let state = settings.state.display().to_string();
    let path = |name: &str| quoted(&format!("{state}/{name}"));
    let listen = settings.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let mut text = format!(
        "# Written by `writ dev` at each start.\n\n[log]\nfilter = \"warn\"\n\n\
         [broker]\nlisten = \"127.0.0.1:0\"\nurl = \"https://127.0.0.1\"\nnames = [\"localhost\"]\nstate = {}\n\
         policies = {}\naudience = \"{AUDIENCE}\"\nadmin_token_file = {}\n\n\
         [[broker.issuer]]\nname = \"dev\"\nissuer = {}\nalgorithms = [\"ES256\"]\nmax_lifetime = {}\n\
         allow_http_loopback = true\ninternal = true\n",
        path("broker"),
        path("policies"),
        path("admin-token"),
        quoted(issuer.url()),
        quoted(&format!("{}s", issuer::TOKEN_LIFE_SECONDS)),
    );
    for target in &settings.targets {
        let _ = write!(
            text,
            "\n[[broker.target]]\nname = {}\nhost = {}\nport = {}\ntls = \"{}\"\n\n\
             [broker.target.provider.database]\nuser = {}\npassword_file = {}\ndatabase = {}\n",
            quoted(&target.name),
            quoted(&target.host),
            target.port,
            if is_loopback(&target.host) { "disable" } else { "verify-full" },
            quoted(&target.admin_user),
            quoted(&password_file(&settings.state, target).display().to_string()),
            quoted(&target.database),
        );
    }
    let _ = write!(
        text,
        "\n[link]\nstate = {}\n\n[gateway]\nworkers = 2\n\n[[gateway.listeners]]\nlisten = \"{listen}\"\n",
        path("gateway")
    );
    text
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A text as TOML and Cedar write it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
