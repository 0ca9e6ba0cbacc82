//! The gateway's own part of a configuration file. Text in, checked values out.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::proxy::Peers;

/// How clients show their token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// As a password.
    #[default]
    Password,
    /// By SASL OAUTHBEARER.
    OAuthBearer,
}

/// A certificate and its key, in PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The chain, leaf first.
    pub chain: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// What a client that has no token is told (RFC 7628, section 3.2.2): where it may get one, and what to ask for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    /// The issuer, byte by byte as its discovery document names it, or the document's own URL with `/.well-known/` in it.
    /// https; plain http on loopback only.
    pub issuer: String,
    /// The scopes to ask for, with blanks between them.
    pub scope: String,
}

impl OAuth {
    /// The URL of the issuer's discovery document (OpenID Connect Discovery 1.0, section 4.1).
    #[must_use]
    pub fn discovery_url(&self) -> String {
        if self.issuer.contains(WELL_KNOWN) {
            return self.issuer.clone();
        }
        format!("{}{WELL_KNOWN}openid-configuration", self.issuer.trim_end_matches('/'))
    }

    /// Whether it speaks of `issuer`, as an `iss` claim names it.
    #[must_use]
    pub fn is_of(&self, issuer: &str) -> bool {
        match self.issuer.split_once(WELL_KNOWN) {
            None => self.issuer == issuer,
            // The path stands before the well-known part (OpenID Connect) or behind it (RFC 8414, section 3.1).
            Some((before, after)) => {
                let behind = after.split_once('/').map_or("", |(_, path)| path);
                let issuer = issuer.trim_end_matches('/');
                issuer == before
                    || issuer.strip_prefix(before).is_some_and(|path| path.strip_prefix('/') == Some(behind))
            }
        }
    }

    /// What is wrong with it that its form does not show, and what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<&'static str> {
        let (rest, plain) = match (self.issuer.strip_prefix("https://"), self.issuer.strip_prefix("http://")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => return Some("write the issuer's URL: `https://login.example`"),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let strange = |byte: u8| !byte.is_ascii_graphic() || b"?#\"\\<>@".contains(&byte);
        if authority.is_empty() || rest.bytes().any(strange) {
            return Some("write a URL of scheme, host, port and path alone: `https://login.example`");
        }
        if plain && !is_loopback(authority) {
            return Some("plain http is for an issuer on loopback alone: write `https://`");
        }
        // RFC 6749, section 3.3: the characters of a scope, and the blank between two.
        let in_scope = |byte: u8| byte == b' ' || byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if self.scope.trim().is_empty() || !self.scope.bytes().all(in_scope) {
            return Some("write the scopes that clients ask for, with blanks between them: `openid`");
        }
        None
    }
}

const WELL_KNOWN: &str = "/.well-known/";

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// One address that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How clients show their token where they do not say.
    #[serde(default)]
    pub auth: Auth,
    /// Where clients that show their token by OAUTHBEARER may get one; such a listener needs it.
    #[serde(default)]
    pub oauth: Option<OAuth>,
    /// What clients verify. Without it only plain connections can be had.
    #[serde(default)]
    pub certificate: Option<Certificate>,
    /// Whether a client on loopback may show its token without TLS. For development.
    #[serde(default)]
    pub allow_plain_loopback: bool,
    /// Peers that must begin with a PROXY header, version 2, by address or network. No other peer may.
    #[serde(default)]
    pub proxy_protocol_from: Vec<Peers>,
}

impl Listener {
    /// What is wrong with it that its form does not show: the setting, and what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<(&'static str, &'static str)> {
        match (&self.oauth, self.auth) {
            (Some(oauth), _) => oauth.mistake().map(|problem| ("gateway.listeners.oauth", problem)),
            (None, Auth::OAuthBearer) => Some((
                "gateway.listeners.auth",
                "with `oauthbearer` clients are told where to get a token: add `oauth = { issuer = \"https://...\", scope = \
                 \"openid\" }`",
            )),
            (None, Auth::Password) => None,
        }
    }
}

/// The gateway's settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Where clients connect.
    pub listeners: Vec<Listener>,
    /// How many worker threads; one for each core where it is absent.
    #[serde(default)]
    pub workers: Option<u32>,
    /// How long a login may take, from the first byte to the target's answer.
    #[serde(default = "login_timeout", deserialize_with = "duration")]
    pub login_timeout: Duration,
    /// How long a session may be idle.
    #[serde(default = "idle_timeout", deserialize_with = "duration")]
    pub idle_timeout: Duration,
    /// How long a shutdown waits for sessions.
    #[serde(default = "drain_timeout", deserialize_with = "duration")]
    pub drain_timeout: Duration,
    /// The most sessions at one time.
    #[serde(default = "max_sessions")]
    pub max_sessions: u32,
    /// The most connections at one time that have not logged in.
    #[serde(default = "max_pending")]
    pub max_pending: u32,
    /// The most cancel requests in a second.
    #[serde(default = "cancel_rate")]
    pub cancel_rate: u32,
}

const fn login_timeout() -> Duration {
    Duration::from_secs(30)
}

const fn idle_timeout() -> Duration {
    Duration::from_hours(1)
}

const fn drain_timeout() -> Duration {
    Duration::from_secs(30)
}

const fn max_sessions() -> u32 {
    10_000
}

const fn max_pending() -> u32 {
    1_000
}

const fn cancel_rate() -> u32 {
    100
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is not a duration; write a whole number and ms, s, m or h: `30s`"))
    })
}

/// A duration from text such as `500ms`, `30s`, `5m`, `1h`; `None` where it is not one or is zero.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let length = Duration::from_millis(number.checked_mul(milliseconds)?);
    (!length.is_zero()).then_some(length)
}

#[cfg(test)]
mod tests;
