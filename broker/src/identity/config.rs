//! What the configuration says of an issuer.

use std::collections::BTreeSet;
use std::path::PathBuf;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::fault::shown;
use super::header::media_type;
use super::presets::Preset;
use super::review::ReviewConfig;
use super::session_token;
use crate::duration::Span;

/// Stands in `typ` for a header without a type.
pub const ABSENT: &str = "absent";
/// The longest leeway: RFC 7519, 4.1.4 says "no more than a few minutes".
const MAX_LEEWAY: Span = Span::seconds(300);

/// A signature algorithm that is accepted where an issuer is configured for it. There are no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519 (RFC 8037).
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// Its name in a JOSE header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name, compared byte by byte.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The signature's length in bytes, where the algorithm fixes it (RFC 7518, 3.4 and RFC 8037, 3.1).
    #[must_use]
    pub const fn signature_bytes(self) -> Option<usize> {
        match self {
            Self::Rs256 | Self::Ps256 => None,
            Self::Es256 | Self::EdDsa => Some(64),
            Self::Es384 => Some(96),
        }
    }
}

/// An OIDC issuer whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// What the operator calls it, in messages and metrics.
    pub name: String,
    /// What is known of this issuer: then address, algorithms and limits need not be given, and tokens must have its form.
    #[serde(default)]
    pub preset: Option<Preset>,
    /// Whose issuer it is, where the preset's differ by customer: GitHub's enterprise slug, CircleCI's organization,
    /// Bitbucket's workspace, Entra's directory, SPIFFE's trust domain.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The `iss` claim, byte by byte: a trailing slash matters.
    #[serde(default)]
    pub issuer: String,
    /// The audiences that its tokens may be for, instead of the gateway group's.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// The algorithms that it signs with. Pinned here, never taken from the token or the issuer's document.
    #[serde(default)]
    pub algorithms: Vec<Algorithm>,
    /// The types that its tokens' headers may have; `absent` stands for none.
    #[serde(default = "default_typ")]
    pub typ: Vec<String>,
    /// The `azp` claims that are accepted. Empty: `azp` is not looked at.
    #[serde(default)]
    pub authorized_parties: Vec<String>,
    /// The longest life (`exp` less `iat`) that is accepted: the preset's own, or an hour.
    #[serde(default)]
    pub max_lifetime: Option<Span>,
    /// The greatest age (now less `iat`) that is accepted. Absent: `max_lifetime` alone bounds it.
    #[serde(default)]
    pub max_age: Option<Span>,
    /// How far clocks may differ.
    #[serde(default = "default_leeway")]
    pub leeway: Span,
    /// Whether a token without `jti` is refused. Otherwise its digest tells it from others.
    #[serde(default)]
    pub require_jti: bool,
    /// Its keys as a JWK set in JSON. Then nothing is fetched.
    #[serde(default)]
    pub jwks: Option<String>,
    /// A file with its keys as a JWK set in JSON. Then nothing is fetched.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// The address of its JWK set, where it has no discovery document, or of its SPIFFE bundle.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// Further hosts, `host` or `host:port`, that its discovery document may name for its keys.
    #[serde(default)]
    pub jwks_hosts: Vec<String>,
    /// PEM certificates of the authorities that may vouch for it, instead of the system's.
    #[serde(default)]
    pub ca_pem_file: Option<PathBuf>,
    /// Whether it may have an address inside: private, link-local, loopback.
    #[serde(default)]
    pub internal: bool,
    /// Whether it may be fetched over plain HTTP from a loopback address. For development.
    #[serde(default)]
    pub allow_http_loopback: bool,
    /// How its keys are kept.
    #[serde(default)]
    pub cache: CacheConfig,
    /// The API server that is asked about each token of a cluster's.
    #[serde(default)]
    pub review: Option<ReviewConfig>,
    /// The regions whose STS endpoints callers of AWS sign for.
    #[serde(default)]
    pub regions: Vec<String>,
    /// The AWS accounts whose callers count.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// The SPIFFE ID of the trust domain's bundle endpoint, where its certificate is an X.509-SVID (profile `https_spiffe`).
    /// The first bundle is in `jwks_file`.
    #[serde(default)]
    pub endpoint_spiffe_id: Option<String>,
    /// Whether the trust domain's X.509-SVIDs are taken at `/v1/token`, beside its JWT-SVIDs.
    #[serde(default)]
    pub x509_svids: bool,
}

/// How fetched keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// Keys count as fresh at least this long, whatever the issuer says.
    pub min_fresh: Span,
    /// Keys count as fresh at most this long, whatever the issuer says.
    pub max_fresh: Span,
    /// Keys are used at most this long after they were fetched, if the issuer cannot be reached.
    pub max_stale: Span,
    /// The least time between two fetches, whatever tokens arrive: 10 s is at most six fetches a minute.
    pub fetch_interval: Span,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            min_fresh: Span::seconds(60),
            max_fresh: Span::seconds(3600),
            max_stale: Span::seconds(6 * 3600),
            fetch_interval: Span::seconds(10),
        }
    }
}

fn default_typ() -> Vec<String> {
    [ABSENT, "JWT", "JOSE"].map(str::to_owned).to_vec()
}

/// The longest life of a token where nobody says otherwise.
const DEFAULT_MAX_LIFETIME: Span = Span::seconds(3600);

const fn default_leeway() -> Span {
    Span::seconds(30)
}

/// A mistake in an issuer's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("issuer `{name}`: {problem}")]
pub struct ConfigFault {
    /// The issuer's configured name.
    pub name: String,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

impl IssuerConfig {
    /// Whether the keys are fetched.
    #[must_use]
    pub fn discovers(&self) -> bool {
        let file = self.jwks_file.is_some() && self.endpoint_spiffe_id.is_none();
        let given = self.jwks.is_some() || file;
        !given && self.preset != Some(Preset::AwsCaller) && !self.is_reviewed_alone()
    }

    /// Whether the API server's word stands for the signature.
    #[must_use]
    pub fn is_reviewed_alone(&self) -> bool {
        self.review.as_ref().is_some_and(|review| review.alone)
    }

    /// The longest life that is accepted.
    #[must_use]
    pub fn longest_life(&self) -> Span {
        self.max_lifetime.unwrap_or(DEFAULT_MAX_LIFETIME)
    }

    /// The configuration with everything filled in that its preset knows.
    ///
    /// # Errors
    /// [`ConfigFault`] if the preset needs to be told more, or was told what has no meaning for it.
    pub fn resolved(&self) -> Result<Self, ConfigFault> {
        let mut resolved = self.clone();
        match self.preset {
            Some(preset) => preset.fill(&mut resolved).map_err(|problem| self.fault(problem))?,
            None if self.tenant.is_some() => return Err(self.fault("`tenant` is given without a `preset`: remove it")),
            None => {}
        }
        Ok(resolved)
    }

    /// Adds the named attributes of its preset to the claims of a token, and checks that the token has its form. It proves
    /// nothing of the token.
    ///
    /// # Errors
    /// [`IdentityFault`](super::IdentityFault) for what this issuer would not have written.
    pub fn attribute(&self, claims: &mut super::json::Object) -> Result<(), super::IdentityFault> {
        self.preset.map_or(Ok(()), |preset| preset.apply(claims, self.tenant.as_deref()))
    }

    /// The `iss` claim of its tokens, where the configuration is sound enough to tell.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.resolved().map_or_else(|_| self.issuer.clone(), |resolved| resolved.issuer)
    }

    /// The types that are accepted, as they are compared.
    pub(crate) fn types(&self) -> BTreeSet<Option<String>> {
        self.typ.iter().map(|typ| (typ != ABSENT).then(|| media_type(typ))).collect()
    }

    /// The mistake in one place for a caller who knows more.
    pub(crate) fn fault(&self, problem: impl Into<String>) -> ConfigFault {
        ConfigFault { name: shown(&self.name), problem: problem.into() }
    }

    /// Looks for mistakes.
    ///
    /// # Errors
    /// [`ConfigFault`] naming the first.
    pub fn validate(&self) -> Result<(), ConfigFault> {
        let filled = self.resolved()?;
        let problem = filled
            .names_problem()
            .or_else(|| filled.times_problem())
            .or_else(|| filled.preset_problem())
            .or_else(|| filled.keys_problem());
        problem.map_or(Ok(()), |problem| Err(self.fault(problem)))
    }

    fn names_problem(&self) -> Option<String> {
        let types = self.types();
        let ours = [session_token::TYP, super::dpop::TYP];
        if self.name.is_empty() {
            Some("`name` is empty: write what you call it".into())
        } else if self.issuer.is_empty() {
            Some("`issuer` is empty: write the `iss` claim of its tokens".into())
        } else if self.algorithms.is_empty() && self.preset != Some(Preset::AwsCaller) {
            Some("`algorithms` is empty: write the ones that it signs with, such as [\"RS256\"]".into())
        } else if self.audiences.iter().any(String::is_empty) {
            Some("`audiences` has an empty entry: remove it".into())
        } else if types.is_empty() {
            Some(format!("`typ` is empty: leave it out, or list types (`{ABSENT}` for none)"))
        } else {
            let own = ours.into_iter().find(|own| types.contains(&Some((*own).to_owned())));
            own.map(|own| format!("`typ` lists `{own}`, which is the broker's own: remove it"))
        }
    }

    /// What is wrong with the settings that one preset alone has.
    fn preset_problem(&self) -> Option<String> {
        match self.preset {
            Some(Preset::AwsCaller) => return super::aws_caller::problem(self),
            _ if !self.regions.is_empty() || !self.accounts.is_empty() => {
                return Some("`regions` and `accounts` are for the preset `aws-caller` alone: remove them".into());
            }
            _ => {}
        }
        if self.x509_svids && self.preset != Some(Preset::Spiffe) {
            return Some("`x509_svids` is for the preset `spiffe` alone: remove it".into());
        }
        let review = self.review.as_ref()?;
        if self.preset != Some(Preset::Kubernetes) {
            return Some("`review` is for the preset `kubernetes` alone: remove it".into());
        }
        if review.alone && (self.jwks.is_some() || self.jwks_file.is_some() || self.jwks_url.is_some()) {
            return Some(
                "`review.alone` leaves no use for keys: remove it, or `jwks`, `jwks_file` and `jwks_url`".into(),
            );
        }
        review.problem(self.allow_http_loopback)
    }

    fn times_problem(&self) -> Option<String> {
        let zero = Span::seconds(0);
        if self.leeway > MAX_LEEWAY {
            Some(format!("`leeway` is {}: write at most {MAX_LEEWAY}", self.leeway))
        } else if self.longest_life() == zero {
            Some("`max_lifetime` is 0s: write how long its tokens may live, such as \"1h\"".into())
        } else if self.max_age == Some(zero) {
            Some("`max_age` is 0s: leave it out, or write how old its tokens may be".into())
        } else if self.cache.min_fresh > self.cache.max_fresh {
            Some("`cache.min_fresh` is longer than `cache.max_fresh`: swap them".into())
        } else if self.cache.max_stale < self.cache.max_fresh {
            Some("`cache.max_stale` is shorter than `cache.max_fresh`: write at least as much".into())
        } else if self.cache.fetch_interval < Span::seconds(1) {
            Some(format!("`cache.fetch_interval` is {}: write at least 1s", self.cache.fetch_interval))
        } else {
            None
        }
    }

    /// What is wrong with a bundle endpoint of the profile `https_spiffe`.
    fn endpoint_problem(&self) -> Option<String> {
        let id = self.endpoint_spiffe_id.as_ref()?;
        let domain = super::presets::trust_domain(id);
        if self.preset != Some(Preset::Spiffe) {
            Some("`endpoint_spiffe_id` is for the preset `spiffe` alone: remove it".into())
        } else if domain.is_none() || domain != self.tenant.as_deref() {
            Some("`endpoint_spiffe_id` is not an ID in the trust domain, such as `spiffe://prod.example.org/spire/server`".into())
        } else if self.jwks_url.is_none() || self.jwks_file.is_none() || self.jwks.is_some() {
            Some(
                "`endpoint_spiffe_id` needs `jwks_url`, the endpoint, and `jwks_file`, the first bundle, and no `jwks`"
                    .into(),
            )
        } else if self.ca_pem_file.is_some() {
            Some("`ca_pem_file` has no meaning beside `endpoint_spiffe_id`: the bundle vouches for the endpoint".into())
        } else {
            None
        }
    }

    fn keys_problem(&self) -> Option<String> {
        if let Some(problem) = self.endpoint_problem() {
            return Some(problem);
        }
        let first_bundle = self.jwks_file.is_some() && self.endpoint_spiffe_id.is_some();
        let given = [self.jwks.is_some(), self.jwks_file.is_some() && !first_bundle, self.jwks_url.is_some()];
        if given.into_iter().filter(|given| *given).count() > 1 {
            return Some("more than one of `jwks`, `jwks_file` and `jwks_url` is given: keep one".into());
        }
        if !self.discovers() {
            return None;
        }
        if self.preset == Some(Preset::Spiffe) && self.jwks_url.is_none() {
            return Some("give `jwks_url`, the trust domain's bundle endpoint, or `jwks_file`, its bundle".into());
        }
        let Ok(url) = Url::parse(self.jwks_url.as_ref().unwrap_or(&self.issuer)) else {
            return Some(format!(
                "`{}` is no address to fetch keys from: give `jwks_file`, or an https address",
                shown(&self.issuer)
            ));
        };
        let plain = url.scheme() == "http" && self.allow_http_loopback && super::discovery::is_loopback(&url);
        if url.scheme() != "https" && !plain {
            Some("`issuer` is not an https address: plain http needs `allow_http_loopback` and a loopback host".into())
        } else if url.query().is_some() || url.fragment().is_some() {
            Some("`issuer` has a query or a fragment, which no issuer has (OpenID Connect Discovery, 2)".into())
        } else if !url.username().is_empty() || url.password().is_some() {
            Some("`issuer` carries a user name or password: remove it".into())
        } else {
            None
        }
    }
}
