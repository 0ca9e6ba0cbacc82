//! The broker's configuration, as it stands below `[broker]` in `writ.toml`.
//!
//! `P` is the table of a target's provider: the broker knows no provider, the composition root says what may stand there.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;
use writ_core::target::{Labels, Protocol, TargetName, UpstreamTls};

use crate::duration::Span;
use crate::identity::config::IssuerConfig;
use crate::issuer::IssuingConfig;
use crate::rates::RatesConfig;

/// The broker.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig<P> {
    /// Where the API listens, `address:port`.
    pub listen: SocketAddr,
    /// The API's URL as gateways and humans reach it: `https://broker.example:8443`.
    pub url: String,
    /// The names and addresses in the API's own certificate, beside the host in `url`.
    #[serde(default)]
    pub names: Vec<String>,
    /// The directory of keys, store, ledger and recordings.
    pub state: PathBuf,
    /// The directory of `*.cedar` policies.
    pub policies: PathBuf,
    /// The audience that workloads' tokens must be for: the name of this group of gateways.
    pub audience: String,
    /// The issuers whose tokens are accepted.
    #[serde(default, rename = "issuer")]
    pub issuers: Vec<IssuerConfig>,
    /// The broker as an issuer itself, for targets that trust one; without it no target is shown an assertion.
    #[serde(default)]
    pub issues: Option<IssuingConfig>,
    /// What workloads may reach.
    #[serde(default = "Vec::new", rename = "target")]
    pub targets: Vec<TargetConfig<P>>,
    /// How humans log in; without it only the admin token opens the API.
    #[serde(default)]
    pub humans: Option<HumansConfig>,
    /// The file with a token that may do everything. For `writ dev` and for the first steps; remove it afterwards.
    #[serde(default)]
    pub admin_token_file: Option<PathBuf>,
    /// The life of session tokens.
    #[serde(default = "defaults::session_token_life")]
    pub session_token_life: Span,
    /// How long one key signs session tokens.
    #[serde(default = "defaults::session_token_key_life")]
    pub session_token_key_life: Span,
    /// The longest session, whatever policies say.
    #[serde(default = "defaults::max_ttl")]
    pub max_ttl: Span,
    /// The life of a gateway's certificate; it renews at half of it.
    #[serde(default = "defaults::gateway_certificate_life")]
    pub gateway_certificate_life: Span,
    /// How long a provider may take to mint or revoke.
    #[serde(default = "defaults::provider_timeout")]
    pub provider_timeout: Span,
    /// How long a gateway may be unheard before its sessions count as ended. Longer than any gateway's `broker_grace`.
    #[serde(default = "defaults::gateway_lost")]
    pub gateway_lost: Span,
    /// The longest segment of a recording, in bytes.
    #[serde(default = "defaults::max_segment_bytes")]
    pub max_segment_bytes: usize,
    /// By how much the wall clock may step against the monotonic one before nothing is issued any more.
    #[serde(default = "defaults::max_clock_step")]
    pub max_clock_step: Span,
    /// How often each gateway and each address may ask.
    #[serde(default)]
    pub rates: RatesConfig,
    /// Who hears of approvals.
    #[serde(default, rename = "webhook")]
    pub webhooks: Vec<WebhookConfig>,
}

/// Who hears of approvals.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// What the operator calls it, in messages.
    pub name: String,
    /// Where it is told: HTTPS, or HTTP at loopback.
    pub url: String,
    /// The file with the secret that signs what it is told; for `pagerduty` the integration's routing key.
    pub secret_file: PathBuf,
    /// In which form.
    #[serde(default)]
    pub format: WebhookFormat,
    /// Whose answers are taken there; nobody's without it.
    #[serde(default)]
    pub answers: Option<AnswersConfig>,
}

/// Whose answers are taken in a channel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswersConfig {
    /// The file with the secret that the channel signs with.
    pub secret_file: PathBuf,
    /// Which humans the channel's users are.
    pub people: Vec<PersonConfig>,
}

/// A human whom a channel knows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonConfig {
    /// The channel's id of them.
    pub id: String,
    /// Who vouches for them elsewhere: their issuer.
    pub issuer: String,
    /// Their subject there.
    pub subject: String,
    /// The groups that they are in.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// The form of a notice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    /// Writ's own: all fields.
    #[default]
    Json,
    /// A message of Slack's incoming webhooks.
    Slack,
    /// An adaptive card of Microsoft Teams' workflows.
    Teams,
    /// An event of PagerDuty's events API, version 2.
    Pagerduty,
}

/// A target.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig<P> {
    /// Its name, which clients give as the user name.
    pub name: TargetName,
    /// Its labels, for policies.
    #[serde(default)]
    pub labels: Labels,
    /// What it speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// Its host name or address.
    pub host: String,
    /// Its port.
    #[serde(default)]
    pub port: Option<u16>,
    /// `verify-full` (default), or `disable` for a loopback address.
    #[serde(default = "defaults::tls")]
    pub tls: UpstreamTls,
    /// A file with PEM certificates of the authorities that may vouch for it; the system's where this is left out.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// What mints for it: one table, named after the provider.
    pub provider: P,
}

impl<P> TargetConfig<P> {
    /// Its port: the configured, or its protocol's own.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or_else(|| self.protocol.port())
    }
}

/// How humans log in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HumansConfig {
    /// The issuer of their tokens.
    pub issuer: IssuerConfig,
    /// The public client's id at the issuer: the audience of their tokens.
    pub client_id: String,
    /// How long ago who answers an approval may have logged in; without it, as long as their token lives. By the token's
    /// `auth_time`, where it has one, else its `iat`.
    #[serde(default)]
    pub max_auth_age: Option<Span>,
}

mod defaults {
    use super::{Span, UpstreamTls};

    pub(super) const fn session_token_life() -> Span {
        Span::seconds(300)
    }
    pub(super) const fn session_token_key_life() -> Span {
        Span::seconds(30 * 24 * 3600)
    }
    pub(super) const fn max_ttl() -> Span {
        Span::seconds(12 * 3600)
    }
    pub(super) const fn gateway_certificate_life() -> Span {
        Span::seconds(24 * 3600)
    }
    pub(super) const fn provider_timeout() -> Span {
        Span::seconds(10)
    }
    pub(super) const fn gateway_lost() -> Span {
        Span::seconds(120)
    }
    pub(super) const fn max_clock_step() -> Span {
        Span::seconds(10)
    }
    pub(super) const fn max_segment_bytes() -> usize {
        64 * 1024 * 1024
    }
    pub(super) const fn tls() -> UpstreamTls {
        UpstreamTls::VerifyFull
    }
}

/// A mistake that the form does not show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}`: {problem}")]
pub struct ConfigMistake {
    /// The setting.
    pub setting: String,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

impl ConfigMistake {
    fn new(setting: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { setting: setting.into(), problem: problem.into() }
    }
}

impl<P> BrokerConfig<P> {
    /// Every mistake that the form does not show.
    #[must_use]
    pub fn mistakes(&self) -> Vec<ConfigMistake> {
        let mut found = Vec::new();
        if self.host().is_none() {
            found.push(ConfigMistake::new("broker.url", "write it as `https://host:port`, without a path"));
        }
        if self.audience.is_empty() {
            found.push(ConfigMistake::new("broker.audience", "name the audience that workloads ask their tokens for"));
        }
        if self.issuers.is_empty() {
            found.push(ConfigMistake::new("broker.issuer", "no token would be accepted: add `[[broker.issuer]]`"));
        }
        let positive = [
            ("broker.session_token_life", self.session_token_life, 3600),
            ("broker.session_token_key_life", self.session_token_key_life, 366 * 24 * 3600),
            ("broker.max_ttl", self.max_ttl, 7 * 24 * 3600),
            ("broker.gateway_certificate_life", self.gateway_certificate_life, 30 * 24 * 3600),
            ("broker.provider_timeout", self.provider_timeout, 120),
            ("broker.gateway_lost", self.gateway_lost, 24 * 3600),
            ("broker.max_clock_step", self.max_clock_step, 3600),
        ];
        for (setting, span, most) in positive {
            if span.get().as_secs() == 0 || span.get().as_secs() > most {
                found.push(ConfigMistake::new(
                    setting,
                    format!("`{span}` is out of range: write 1s to {}", Span::seconds(most)),
                ));
            }
        }
        let rates = [
            ("broker.rates.sessions", self.rates.sessions),
            ("broker.rates.refusals", self.rates.refusals),
            ("broker.rates.exchanges", self.rates.exchanges),
            ("broker.rates.enrolments", self.rates.enrolments),
            ("broker.rates.revocations", self.rates.revocations),
        ];
        for (setting, _) in rates.into_iter().filter(|(_, rate)| *rate == 0) {
            found.push(ConfigMistake::new(setting, "0 would admit nobody: write how many a second, from 1"));
        }
        if self.session_token_key_life.get() < self.session_token_life.get() {
            let problem = "a key signs for at least as long as its tokens live: write `session_token_life` or more";
            found.push(ConfigMistake::new("broker.session_token_key_life", problem));
        }
        found.extend(
            self.issuers
                .iter()
                .filter_map(|issuer| issuer.validate().err())
                .map(|fault| ConfigMistake::new("broker.issuer", fault.to_string())),
        );
        let issues = self.issues.as_ref().and_then(IssuingConfig::mistake);
        found.extend(issues.map(|problem| ConfigMistake::new("broker.issues", problem)));
        let mut names = BTreeSet::new();
        for target in &self.targets {
            let setting = format!("broker.target `{}`", target.name);
            if !names.insert(&target.name) {
                found.push(ConfigMistake::new(&setting, "it is configured twice: keep one"));
            }
            if target.tls == UpstreamTls::Disable && !is_loopback(&target.host) {
                let problem = "`tls = \"disable\"` is for loopback addresses alone: write `verify-full`, and `ca_file` if its \
                               authority is your own";
                found.push(ConfigMistake::new(&setting, problem));
            }
        }
        found
    }

    /// The host in `url`.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let rest = self.url.strip_prefix("https://")?;
        let plain = !rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' ']);
        let host = match rest.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => host,
            Some(_) if !rest.ends_with(']') => return None,
            _ => rest,
        };
        plain.then(|| host.trim_matches(['[', ']']))
    }

    /// The names in the API's certificate.
    #[must_use]
    pub fn certificate_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.host().map(str::to_owned).into_iter().chain(self.names.iter().cloned()).collect();
        names.dedup();
        names
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
