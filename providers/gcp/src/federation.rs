//! How Google knows who asks, and tokens of service accounts by it.
//!
//! What this must never do: ask for a token without naming the writ, fall back from one way of asking to another, or let a token
//! live longer than its writ where its life can be chosen.

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use writ_core::assertion::{AssertedSubject, Assertion, Assertions};
use writ_core::credential::Secret;
use writ_core::proof::{Asker, Intended};
use writ_core::provider::ProviderFault;
use writ_core::target::{Target, TargetName};
use writ_core::time::Timestamp;
use writ_core::workload::{Claims, TokenKind};
use writ_provider_calls::{plain, within};
use zeroize::Zeroizing;

use crate::ambient::Ambient;
use crate::client::{endpoint, http_client};
use crate::config::{self, ConfigFault};
use crate::iam::{self, Iam};
use crate::names::{PoolProvider, ServiceAccount};
use crate::scope::EMAIL;
use crate::sts::{self, Sts};
use crate::token::{Token, claims};

/// What a token may do that is to act as a service account and nothing else.
const ACTING: &str = "https://www.googleapis.com/auth/iam";
/// The reason of requests that are for no writ.
const PROBE: &str = "writ-probe";
/// How long a token lives that is asked for to see whether it would be given, in seconds. It may tell its address.
const PROBE_LIFE: u64 = 60;

/// How Google knows who asks: the same for all of Google's providers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederationConfig {
    /// By what Google knows who asks.
    #[serde(default)]
    pub by: By,
    /// The provider of a workload identity pool that trusts the token's issuer. Not with `by = "broker"`.
    #[serde(default)]
    pub pool_provider: Option<String>,
    /// Whom assertions are for: an allowed audience of that provider; left out, the provider itself. Only with `by = "issuer"`.
    #[serde(default)]
    pub audience: Option<String>,
    /// Whom assertions name. Only with `by = "issuer"`.
    #[serde(default)]
    pub subject: AssertedSubject,
    /// Service accounts to act through, the first one first, each allowed to make tokens of the next.
    #[serde(default)]
    pub delegates: Vec<String>,
    /// The longest token, in seconds, 60 to 43200: at most 3600 unless the organization lets the account have more.
    #[serde(default = "defaults::max_lifetime_seconds")]
    pub max_lifetime_seconds: u64,
    /// Where STS is, if not where Google has it: a Private Service Connect endpoint.
    #[serde(default)]
    pub sts_endpoint: Option<String>,
    /// The same of the IAM credentials service.
    #[serde(default)]
    pub iam_endpoint: Option<String>,
    /// The same of the service that says what a token is.
    #[serde(default)]
    pub tokeninfo_endpoint: Option<String>,
    /// Longest time for one call to Google, in milliseconds, 100 to 60000, however long the caller would wait.
    #[serde(default = "defaults::call_timeout_ms")]
    pub call_timeout_ms: u64,
}

/// By what Google knows who asks for a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// An assertion of Writ's own issuer, made for the writ.
    #[default]
    Issuer,
    /// The workload's own token, passed on: its issuer is the one that the pool trusts.
    Workload,
    /// The identity that the broker's process has at Google.
    Broker,
}

mod defaults {
    pub(super) const fn max_lifetime_seconds() -> u64 {
        3_600
    }

    pub(super) const fn call_timeout_ms() -> u64 {
        5_000
    }
}

impl Default for FederationConfig {
    fn default() -> Self {
        Self {
            by: By::default(),
            pool_provider: None,
            audience: None,
            subject: AssertedSubject::default(),
            delegates: Vec::new(),
            max_lifetime_seconds: defaults::max_lifetime_seconds(),
            sts_endpoint: None,
            iam_endpoint: None,
            tokeninfo_endpoint: None,
            call_timeout_ms: defaults::call_timeout_ms(),
        }
    }
}

/// What was read of the settings.
pub(crate) struct Read {
    pool: Option<PoolProvider>,
    delegates: Vec<ServiceAccount>,
    endpoints: [reqwest::Url; 3],
}

impl FederationConfig {
    /// Checks everything that can be checked without Google.
    ///
    /// # Errors
    /// The first mistake, and what to write instead.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        self.read().map(drop)
    }

    pub(crate) fn read(&self) -> Result<Read, ConfigFault> {
        config::within("max_lifetime_seconds", self.max_lifetime_seconds, 60, 43_200)?;
        config::within("call_timeout_ms", self.call_timeout_ms, 100, 60_000)?;
        let pool = self.pool_provider.as_deref().map(PoolProvider::parse).transpose()?;
        match (self.by, &pool) {
            (By::Issuer | By::Workload, None) => {
                return Err(ConfigFault::new(
                    "no `pool_provider`: write the provider of the workload identity pool that trusts the token's issuer, in the \
                     provider's table `federation`",
                ));
            }
            (By::Broker, Some(_)) => {
                return Err(ConfigFault::new(
                    "`pool_provider` is of no use with `by = \"broker\"`, as no token is shown to a pool: leave it out",
                ));
            }
            _ => {}
        }
        if self.by != By::Issuer && (self.audience.is_some() || self.subject != AssertedSubject::default()) {
            return Err(ConfigFault::new(
                "`audience` and `subject` are of assertions: write them with `by = \"issuer\"` alone",
            ));
        }
        let named = |audience: &String| {
            (1..=255).contains(&audience.len()) && audience.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if self.audience.as_ref().is_some_and(|audience| !named(audience)) {
            return Err(ConfigFault::new("`audience` is none: write one of the provider's allowed audiences"));
        }
        if self.delegates.len() > 8 {
            return Err(ConfigFault::new("`delegates` has more than 8 accounts: write fewer"));
        }
        let delegate = |address: &String| ServiceAccount::parse("delegates", address);
        let delegates = self.delegates.iter().map(delegate).collect::<Result<_, _>>()?;
        let endpoints = [
            endpoint("sts_endpoint", self.sts_endpoint.as_deref(), sts::OWN)?,
            endpoint("iam_endpoint", self.iam_endpoint.as_deref(), iam::OWN)?,
            endpoint("tokeninfo_endpoint", self.tokeninfo_endpoint.as_deref(), iam::OWN_INFO)?,
        ];
        Ok(Read { pool, delegates, endpoints })
    }

    const fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
}

/// Whom Google is to give a token to, and by whose token it knows that.
#[derive(Debug)]
pub(crate) struct Federation {
    config: FederationConfig,
    pool: Option<PoolProvider>,
    delegates: Vec<ServiceAccount>,
    sts: Sts,
    iam: Iam,
    ambient: Ambient,
    assertions: Option<Seam>,
}

struct Seam(Arc<dyn Assertions>);

impl fmt::Debug for Seam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.issuer())
    }
}

impl Federation {
    pub(crate) fn new(
        config: &FederationConfig,
        assertions: Option<&Arc<dyn Assertions>>,
        ambient: Ambient,
    ) -> Result<Self, ConfigFault> {
        let Read { pool, delegates, endpoints: [sts, iam, info] } = config.read()?;
        if config.by == By::Issuer && assertions.is_none() {
            let text = "the broker is no issuer, so that it has no assertion to show: add `[broker.issues]`, or write `by` as \
                        `broker` or `workload`";
            return Err(ConfigFault::new(text));
        }
        let client = http_client(config.call_timeout())?;
        Ok(Self {
            config: config.clone(),
            pool,
            delegates,
            sts: Sts::new(client.clone(), sts),
            iam: Iam::new(client, iam, info),
            ambient,
            assertions: assertions.cloned().map(Seam),
        })
    }

    /// How long one call may take of what the caller gives for all.
    pub(crate) fn limit(&self, deadline: Duration) -> Duration {
        deadline.min(self.config.call_timeout())
    }

    /// An access token of a service account for a writ: as long as the writ lives, within what `longest` and the configuration
    /// allow.
    pub(crate) async fn access_token(
        &self,
        intended: &Intended,
        account: &ServiceAccount,
        scopes: &[String],
        longest: u64,
        deadline: Duration,
    ) -> Result<Token, ProviderFault> {
        let (limit, writ) = (self.limit(deadline), intended.writ());
        let reason = writ.id.to_string();
        let asking = async {
            let caller = self.caller(&writ.target, Some(intended), &reason, limit).await?;
            let seconds = self.seconds(Timestamp::now(), writ.expires).min(longest);
            self.iam.access_token(&self.asked(&caller, account, &reason, limit), scopes, seconds).await
        };
        within(&format!("acting as `{account}`"), deadline, asking).await
    }

    /// An ID token of a service account.
    pub(crate) async fn id_token(
        &self,
        intended: &Intended,
        account: &ServiceAccount,
        audience: &str,
        deadline: Duration,
    ) -> Result<Token, ProviderFault> {
        let (limit, writ) = (self.limit(deadline), intended.writ());
        let reason = writ.id.to_string();
        let asking = async {
            let caller = self.caller(&writ.target, Some(intended), &reason, limit).await?;
            self.iam.id_token(&self.asked(&caller, account, &reason, limit), audience).await
        };
        within(&format!("acting as `{account}`"), deadline, asking).await
    }

    /// A token of the pool's principal itself, and what Google calls that one.
    pub(crate) async fn federated(
        &self,
        intended: &Intended,
        scopes: &[String],
        deadline: Duration,
    ) -> Result<(Token, String), ProviderFault> {
        let (limit, writ) = (self.limit(deadline), intended.writ());
        let asking = async {
            let (pool, shown) = (self.pool()?, self.shown(&writ.target, Some(intended)).await?);
            let subject = subject(shown.expose())?;
            let (scopes, reason) = (scopes.join(" "), writ.id.to_string());
            let token = self.sts.federated(pool, shown.expose(), &scopes, &reason, limit).await?;
            Ok((token, pool.principal(&subject)))
        };
        within("asking for a token of the pool's principal", deadline, asking).await
    }

    /// A token that may do less.
    pub(crate) async fn bounded(
        &self,
        intended: &Intended,
        token: &Token,
        options: &str,
        deadline: Duration,
    ) -> Result<Token, ProviderFault> {
        self.sts.bounded(token, options, &intended.writ().id.to_string(), self.limit(deadline)).await
    }

    /// A token of a service account for the broker's own errands at `target`.
    pub(crate) async fn errand(
        &self,
        target: &TargetName,
        intended: Option<&Intended>,
        account: &ServiceAccount,
        scopes: &[String],
        seconds: u64,
    ) -> Result<Token, ProviderFault> {
        let limit = self.config.call_timeout();
        let reason = intended.map_or_else(|| PROBE.to_owned(), |intended| intended.writ().id.to_string());
        let caller = self.caller(target, intended, &reason, limit).await?;
        let seconds = seconds.min(self.config.max_lifetime_seconds);
        self.iam.access_token(&self.asked(&caller, account, &reason, limit), scopes, seconds).await
    }

    /// Whether tokens of these accounts would be given: some are asked for that tell their address and no more, and dropped.
    /// Where the workload is who asks there is none to ask with, and what is seen is whether STS answers.
    pub(crate) async fn probe(
        &self,
        target: &Target,
        accounts: &[&ServiceAccount],
        deadline: Duration,
    ) -> Result<(), ProviderFault> {
        let limit = self.limit(deadline);
        let by_workload = self.config.by == By::Workload
            || (self.config.by == By::Issuer && self.config.subject == AssertedSubject::Workload);
        let asking = async {
            if by_workload {
                return self.sts.answers().await;
            }
            let caller = self.caller(&target.name, None, PROBE, limit).await?;
            for account in accounts {
                let asked = self.asked(&caller, account, PROBE, limit);
                self.iam.access_token(&asked, &[EMAIL.to_owned()], PROBE_LIFE).await?;
            }
            Ok(())
        };
        within("probing Google", deadline, asking).await
    }

    /// Whose Google says that a token is.
    pub(crate) async fn whose(
        &self,
        parameter: &str,
        token: &[u8],
        deadline: Duration,
    ) -> Result<String, ProviderFault> {
        self.iam.whose(parameter, token, self.limit(deadline)).await
    }

    fn asked<'a>(
        &'a self,
        caller: &'a str,
        account: &'a ServiceAccount,
        reason: &'a str,
        limit: Duration,
    ) -> iam::Asked<'a> {
        iam::Asked { caller, account, delegates: &self.delegates, reason, limit }
    }

    fn seconds(&self, now: Timestamp, end: Timestamp) -> u64 {
        let left = u64::try_from(end.as_second() - now.as_second()).unwrap_or_default();
        left.clamp(1, self.config.max_lifetime_seconds)
    }

    /// The token of whoever may act as a service account.
    async fn caller(
        &self,
        target: &TargetName,
        intended: Option<&Intended>,
        reason: &str,
        limit: Duration,
    ) -> Result<Zeroizing<String>, ProviderFault> {
        if self.config.by == By::Broker {
            return self.ambient.token().await;
        }
        let shown = self.shown(target, intended).await?;
        Ok(self.sts.federated(self.pool()?, shown.expose(), ACTING, reason, limit).await?.text)
    }

    /// What is shown to the pool.
    async fn shown(&self, target: &TargetName, intended: Option<&Intended>) -> Result<Secret, ProviderFault> {
        match self.config.by {
            By::Workload => own_token(intended),
            By::Issuer => self.assertion(target, intended).await,
            By::Broker => Err(ProviderFault::Misconfigured("the broker shows no token to a pool".to_owned())),
        }
    }

    async fn assertion(&self, target: &TargetName, intended: Option<&Intended>) -> Result<Secret, ProviderFault> {
        let Seam(assertions) = self
            .assertions
            .as_ref()
            .ok_or_else(|| ProviderFault::Misconfigured("the broker is no issuer: add `[broker.issues]`".to_owned()))?;
        let own = self.pool()?.token_audience();
        let audience = self.config.audience.as_deref().unwrap_or(&own);
        let (subject, claims) = (self.config.subject, Claims::default());
        assertions.assert(Assertion { audience, subject, target, intended, claims }).await
    }

    fn pool(&self) -> Result<&PoolProvider, ProviderFault> {
        let none = || ProviderFault::Misconfigured("no `pool_provider`: add it to `federation`".to_owned());
        self.pool.as_ref().ok_or_else(none)
    }
}

/// The token that the workload showed, where it is its issuer's and not Writ's own.
fn own_token(intended: Option<&Intended>) -> Result<Secret, ProviderFault> {
    match intended.and_then(Intended::asker) {
        Some(Asker { workload, token }) if workload.token_kind == TokenKind::Workload => {
            Ok(Secret::new(token.expose().to_vec()))
        }
        Some(_) => Err(ProviderFault::Refused(
            "the workload showed a session token of Writ's, which Google does not know: it must show its own token to the \
             gateway, or write `by = \"issuer\"`"
                .to_owned(),
        )),
        None => Err(ProviderFault::Refused("there is no token of the workload's to pass on".to_owned())),
    }
}

/// Whom a token names. It was verified where it came from, and Google verifies it again.
fn subject(token: &[u8]) -> Result<String, ProviderFault> {
    let said = claims(token).unwrap_or_default();
    let subject = said.get("sub").and_then(Value::as_str).unwrap_or_default();
    if subject.is_empty() || subject.len() > 127 || subject.chars().any(char::is_control) {
        return Err(ProviderFault::Refused(format!(
            "the token's subject is `{}`, and Google takes 1 to 127 bytes: let the workload go through a service account, or write \
             `by = \"issuer\"`",
            plain(subject)
        )));
    }
    Ok(subject.to_owned())
}
