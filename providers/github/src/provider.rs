//! The provider: one installation token for each writ.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde::Deserialize;
use tokio::time::Instant;
use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation, Secret};
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Presented, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::Target;
use writ_core::time::{Timestamp, after};
use writ_core::writ::Writ;
use writ_provider_calls::within;
use zeroize::Zeroizing;

use crate::app::App;
use crate::call::{Api, Denied, Request, read};
use crate::config::{ConfigFault, GithubConfig, Level, Scope};
use crate::grant::{Answer, Asked, Repository, joined};
use crate::held::{Known, Token, Tokens};

/// The longest that a token lives whose end nobody was told, in seconds.
const LONGEST: u64 = 3_600 + 120;
/// How long the broker waits until a token that it refuses is taken back.
const REFUSED_LIMIT: Duration = Duration::from_secs(5);

/// Mints installation tokens for one installation of an App.
pub struct GithubProvider {
    config: GithubConfig,
    base: String,
    api: Api,
    app: App,
    tokens: Arc<Tokens>,
}

/// What is looked at of an installation.
#[derive(Deserialize)]
struct Installation {
    #[serde(default)]
    permissions: BTreeMap<String, String>,
    #[serde(default)]
    suspended_at: Option<String>,
}

/// What is looked at of the repositories that a token is for.
#[derive(Deserialize)]
struct Repositories {
    total_count: usize,
    repositories: Vec<Repository>,
}

impl GithubProvider {
    /// Checks the configuration, and that there is something where the App's key should be. Whether it is the key shows a probe.
    ///
    /// # Errors
    /// What is wrong, and what to write instead.
    pub fn new(config: &GithubConfig, tokens: Arc<Tokens>) -> Result<Self, ConfigFault> {
        config.validate()?;
        let source = config.source()?;
        source.read()?;
        let app = App::new(&config.app, source);
        let (base, api) = (config.base()?, Api::new(config.call_timeout())?);
        Ok(Self { config: config.clone(), base, api, app, tokens })
    }

    fn deadline(&self, deadline: Duration) -> Duration {
        deadline.min(self.config.call_timeout())
    }

    /// Asks as the App. A JWT that is refused may have been signed by a key that was changed since: the next is made anew, once.
    async fn as_app(
        &self,
        doing: &str,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        deadline: Duration,
    ) -> Result<Result<Zeroizing<Vec<u8>>, Denied>, ProviderFault> {
        let (end, body) = (Instant::now() + deadline, body.map(Arc::new));
        let mut fresh = false;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let now = Timestamp::now();
            if fresh {
                self.app.forget();
            }
            let jwt = within(doing, left, self.app.jwt(now)).await?;
            let (method, url, body) = (method.clone(), format!("{}{path}", self.base), body.clone());
            let request = Request { doing, method, url, bearer: &jwt, body };
            match self.api.ask(&request, end.saturating_duration_since(Instant::now()), now).await? {
                Err(denied) if denied.code == 401 && !fresh => fresh = true,
                answer => return Ok(answer),
            }
        }
    }

    async fn minted(&self, intended: Intended, deadline: Duration) -> Result<Minted, ProviderFault> {
        let scope = self.config.scope(intended.writ())?;
        let (writ, now) = (intended.writ().id, Timestamp::now());
        if !self.tokens.begin(intended.writ(), after(now, LONGEST), now) {
            return Err(ProviderFault::Refused(format!("a token was minted for `{writ}` already")));
        }
        let answer = match self.asked(scope, deadline).await {
            Ok(answer) => answer,
            // GitHub may have made one, which nobody got.
            Err(fault @ ProviderFault::Unreachable(_)) => return Err(fault),
            Err(fault) => {
                self.tokens.forget(writ);
                return Err(fault);
            }
        };
        let token = answer
            .token()
            .ok_or_else(|| ProviderFault::Unreachable("asking GitHub for a token: what it gave is none".to_owned()))?;
        let (audit, secret) = (hashed(&token), Secret::new(token.expose().to_vec()));
        let token = Arc::new(Token { secret: token, api: self.base.clone() });
        let granted = match answer.granted(scope, Timestamp::now()) {
            Ok(granted) => granted,
            Err(problem) => return Err(self.refused(writ, token, &problem).await),
        };
        self.tokens.keep(writ, token, Some(granted.expires));
        let credential = Credential {
            kind: CredentialKind::GithubToken,
            principal: granted.repositories,
            secret,
            expires: Some(granted.expires),
            fingerprint: Fingerprint::of_public("hashed_token", &audit),
            audit,
            revocation: Revocation::Individual,
        };
        Ok(Minted::new(intended, credential))
    }

    async fn asked(&self, scope: &Scope, deadline: Duration) -> Result<Answer, ProviderFault> {
        const DOING: &str = "asking GitHub for a token";
        let body = serde_json::to_vec(&Asked::of(scope))
            .map_err(|_| ProviderFault::Misconfigured("the scope cannot be written as JSON".to_owned()))?;
        let path = format!("/app/installations/{}/access_tokens", self.config.installation);
        match self.as_app(DOING, Method::POST, &path, Some(body), self.deadline(deadline)).await? {
            Ok(body) => read(DOING, &body),
            Err(denied) => Err(self.denied(DOING, &denied)),
        }
    }

    /// A token that is not what was asked for is taken back at once, or kept for a revocation that can.
    async fn refused(&self, writ: WritId, token: Arc<Token>, problem: &str) -> ProviderFault {
        let refused = ProviderFault::Refused(format!("GitHub's answer is refused: {problem}"));
        self.tokens.keep(writ, Arc::clone(&token), None);
        match self.take_back(&token, REFUSED_LIMIT).await {
            Ok(()) => {
                self.tokens.gone(writ);
                refused
            }
            Err(left) => refused.leaving(&left),
        }
    }

    async fn take_back(&self, token: &Token, deadline: Duration) -> Result<(), ProviderFault> {
        const DOING: &str = "taking a token back at GitHub";
        let url = format!("{}/installation/token", token.api);
        let request = Request { doing: DOING, method: Method::DELETE, url, bearer: &token.secret, body: None };
        match self.api.ask(&request, self.deadline(deadline), Timestamp::now()).await? {
            // It does not know the token: it has ended, or was taken back before.
            Ok(_) | Err(Denied { code: 401, .. }) => Ok(()),
            Err(denied) => Err(ProviderFault::Refused(format!("{DOING}: {}", denied.words))),
        }
    }

    async fn revoked(&self, writ: &Writ, deadline: Duration) -> Result<Revoked, ProviderFault> {
        let now = Timestamp::now();
        match self.tokens.known(writ.id, now) {
            Some(Known::Lives(token)) => {
                self.take_back(&token, deadline).await?;
                self.tokens.gone(writ.id);
                Ok(Revoked::Gone)
            }
            Some(Known::Gone) => Ok(Revoked::Gone),
            // Nobody got what a mint without a word may have made, so that nobody can show it.
            Some(Known::Pending) => Ok(Revoked::Left),
            None => match writ.credential.as_ref().and_then(|facts| facts.expires) {
                // GitHub is there: it is no reason to leave it alone.
                Some(ends) if ends > now => Err(ProviderFault::Refused(format!(
                    "the token was held by a broker that is gone, and GitHub takes one back only from whoever shows it: it ends by \
                     itself at {ends}"
                ))),
                Some(_) => Ok(Revoked::Gone),
                // A broker that is gone may have minted one, which nobody got.
                None if now < after(writ.expires, LONGEST) => Ok(Revoked::Left),
                None => Ok(Revoked::Gone),
            },
        }
    }

    async fn probed(&self, deadline: Duration) -> Result<(), ProviderFault> {
        const DOING: &str = "looking at the App's installation at GitHub";
        let path = format!("/app/installations/{}", self.config.installation);
        let installation: Installation =
            match self.as_app(DOING, Method::GET, &path, None, self.deadline(deadline)).await? {
                Ok(body) => read(DOING, &body)?,
                Err(denied) => return Err(self.denied(DOING, &denied)),
            };
        if installation.suspended_at.is_some() {
            let text = format!("the installation {} is suspended: unsuspend it at GitHub", self.config.installation);
            return Err(ProviderFault::Refused(text));
        }
        for (name, scope) in &self.config.scopes {
            for (permission, asked) in &scope.permissions {
                let has = installation.permissions.get(permission);
                let has = has.and_then(|level| serde_json::from_value::<Level>(level.as_str().into()).ok());
                if has.is_none_or(|has| has < *asked) {
                    return Err(ProviderFault::Refused(format!(
                        "the scope `{name}` needs the permission `{permission}`, which the installation does not have, or not so \
                         much of: grant it to the App, and accept it for the installation"
                    )));
                }
            }
        }
        Ok(())
    }

    async fn presented(&self, credential: &Credential, deadline: Duration) -> Result<Presented, ProviderFault> {
        const DOING: &str = "showing the token to GitHub";
        let url = format!("{}/installation/repositories?per_page=100", self.base);
        let request = Request { doing: DOING, method: Method::GET, url, bearer: &credential.secret, body: None };
        let seen: Repositories = match self.api.ask(&request, self.deadline(deadline), Timestamp::now()).await? {
            Ok(body) => read(DOING, &body)?,
            Err(denied) => return Err(ProviderFault::Refused(format!("{DOING}: {}", denied.words))),
        };
        if seen.total_count != seen.repositories.len() {
            let text = format!("the token is for {} repositories, more than were asked for", seen.total_count);
            return Err(ProviderFault::Refused(text));
        }
        Ok(Presented { principal: joined(&seen.repositories), audit: hashed(&credential.secret) })
    }

    /// What a refusal of the App means for whoever configures.
    fn denied(&self, doing: &str, denied: &Denied) -> ProviderFault {
        let (words, installation) = (&denied.words, self.config.installation);
        match (denied.code, denied.ahead) {
            (401, Some(ahead)) => ProviderFault::Refused(format!(
                "{doing}: {words}: GitHub's clock and this machine's are {} s apart: set this one",
                ahead.abs()
            )),
            (401, None) => ProviderFault::Refused(format!(
                "{doing}: {words}: GitHub knows no App `{}` with this private key: correct `app`, or the key",
                self.config.app
            )),
            (404, _) => ProviderFault::Refused(format!(
                "{doing}: {words}: the App has no installation {installation}: correct `installation`, or install it"
            )),
            (422, _) => ProviderFault::Refused(format!(
                "{doing}: {words}: correct the scope, or what the App is granted in the installation {installation}"
            )),
            _ => ProviderFault::Refused(format!("{doing}: {words}")),
        }
    }
}

/// What GitHub's audit log calls a token: `hashed_token`, SHA-256 over it in base64. Nothing leads back from it.
fn hashed(token: &Secret) -> String {
    STANDARD.encode(digest(&SHA256, token.expose()))
}

impl fmt::Debug for GithubProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubProvider").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Provider for GithubProvider {
    fn describe(&self) -> Description {
        Description { kind: "github", long_lived: false, revocable: true, scoped: true }
    }

    fn mint<'a>(
        &'a self,
        _target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(self.minted(intended, deadline))
    }

    fn revoke<'a>(
        &'a self,
        _target: &'a Target,
        writ: &'a Writ,
        deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(self.revoked(writ, deadline))
    }

    /// Whether GitHub knows the App and its installation, and grants it what the scopes need.
    fn probe<'a>(&'a self, _target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        Box::pin(self.probed(deadline))
    }

    fn sweep<'a>(
        &'a self,
        target: &'a Target,
        live: &'a [WritId],
        deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        Box::pin(async move {
            let (end, mut swept) = (Instant::now() + deadline, Swept::default());
            for (writ, token) in self.tokens.leftovers(target.name.as_str(), live, Timestamp::now()) {
                match self.take_back(&token, end.saturating_duration_since(Instant::now())).await {
                    Ok(()) => {
                        self.tokens.gone(writ);
                        swept.removed += 1;
                    }
                    Err(_) => swept.left += 1,
                }
            }
            Ok(swept)
        })
    }

    fn present<'a>(
        &'a self,
        _target: &'a Target,
        credential: &'a Credential,
        deadline: Duration,
    ) -> Pending<'a, Result<Option<Presented>, ProviderFault>> {
        Box::pin(async move { self.presented(credential, deadline).await.map(Some) })
    }
}
