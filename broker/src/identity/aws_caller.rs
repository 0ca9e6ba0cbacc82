//! A workload on AWS by what it can sign: a presigned `sts:GetCallerIdentity` stands where a token would.
//!
//! AWS tells nobody who signed a request but itself. So the broker asks STS the very question that the workload signed, and
//! STS says who it was. The order is the point. [`proof`] reads the address that was signed, strictly; then the broker makes
//! the request anew from what it read, to a host that it chose among its own regions, with its own audience in the signed
//! header; then [`caller`] reads the answer. It must never call an address that came from a client, never follow where it is
//! led, and never log what was signed: whoever has it can ask STS the same.

mod caller;
mod proof;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Url};
use tokio::sync::Mutex;
use writ_core::time::{SignedDuration, Timestamp};
use writ_core::workload::{Claims, Issuer, TokenId, TokenKind, Workload};
use zeroize::Zeroizing;

use super::asking::Asking;
use super::config::{ConfigFault, IssuerConfig};
use super::discovery::{Reach, chain, client};
use super::fault::{IdentityFault, shown};
use super::json;
use super::presets::Preset;
use crate::keys::files::hex;
pub use proof::PREFIX;
pub(super) use proof::Proof;

/// The name that its refusals are under.
const NAME: &str = Preset::AwsCaller.name();
/// The header that the workload signs the broker's audience in.
pub const AUDIENCE_HEADER: &str = "x-writ-audience";
/// How long STS takes a signature, whatever `X-Amz-Expires` says.
const SIGNATURE_LIFE: Duration = Duration::from_secs(15 * 60);
/// The greatest age that is accepted where nobody says otherwise.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);
/// The longest answer that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// How many answers are kept.
const MOST_KEPT: u64 = 4096;

/// The callers that are accepted, of one partition.
#[derive(Debug)]
pub struct AwsCallers {
    name: String,
    issuer: Issuer,
    audience: HeaderValue,
    regions: BTreeSet<String>,
    accounts: BTreeSet<String>,
    max_age: SignedDuration,
    leeway: SignedDuration,
    client: Client,
    asking: Asking,
    answers: Cache<[u8; 32], Arc<Mutex<Answer>>>,
    #[cfg(test)]
    endpoint: Option<Url>,
}

/// What STS said to one proof. Holding it is the right to ask, so that a proof that comes often is asked about once.
#[derive(Debug, Default)]
enum Answer {
    #[default]
    Unknown,
    Known(Arc<caller::Caller>),
    Refused(IdentityFault),
}

/// Whether this is a proof of this kind. No JWT begins so.
#[must_use]
pub fn is_proof(token: &str) -> bool {
    token.starts_with(PREFIX)
}

impl AwsCallers {
    /// The callers that `config` accepts, who sign `audience` unless it names another. `config` was validated and resolved.
    ///
    /// # Errors
    /// [`ConfigFault`] if no HTTP client can be made.
    pub(super) fn new(config: &IssuerConfig, audience: &str) -> Result<Self, ConfigFault> {
        let audience = config.audiences.first().map_or(audience, String::as_str);
        let visible = audience.bytes().all(|byte| byte.is_ascii_graphic());
        let audience = HeaderValue::from_str(audience)
            .ok()
            .filter(|_| visible)
            .ok_or_else(|| config.fault("its audience cannot stand in a header: use visible ASCII alone"))?;
        let reach = if config.internal { Reach::Internal } else { Reach::Public };
        let span = |span: Duration| SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        Ok(Self {
            name: config.name.clone(),
            issuer: Issuer::new(config.issuer.clone()),
            audience,
            regions: config.regions.iter().cloned().collect(),
            accounts: config.accounts.iter().cloned().collect(),
            max_age: span(config.max_age.map_or(DEFAULT_MAX_AGE, crate::duration::Span::get)),
            leeway: span(config.leeway.get()),
            client: client(config, reach)?,
            asking: Asking::new(),
            answers: Cache::builder().max_capacity(MOST_KEPT).time_to_live(SIGNATURE_LIFE).build(),
            #[cfg(test)]
            endpoint: None,
        })
    }

    /// Asks another STS than the region's.
    #[cfg(test)]
    pub(super) fn with_endpoint(mut self, endpoint: Url, client: Client) -> Self {
        (self.endpoint, self.client) = (Some(endpoint), client);
        self
    }

    /// The `iss` of its workloads.
    pub(super) fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Whether it has a region in common with another.
    pub(super) fn meets(&self, other: &Self) -> bool {
        !self.regions.is_disjoint(&other.regions)
    }

    /// The workload that made the proof. Not verified before STS said so, which is the last step.
    pub(super) async fn workload(&self, proof: &Proof, now: Timestamp) -> Result<Workload, IdentityFault> {
        self.check_times(proof, now)?;
        let caller = self.answer(proof).await?;
        if !self.accounts.contains(&caller.account) {
            return Err(shape(format!("account `{}` is not among its `accounts`", shown(&caller.account))));
        }
        let life = SignedDuration::try_from(SIGNATURE_LIFE).unwrap_or(SignedDuration::MAX).saturating_add(self.leeway);
        Ok(Workload {
            issuer: self.issuer.clone(),
            subject: caller.subject(),
            claims: Claims::from([(Preset::AwsCaller.space().to_owned(), caller.attributes())]),
            token_kind: TokenKind::Workload,
            token_id: TokenId::Digest(hex(&proof.signature_digest())),
            token_expires: proof.signed_at.saturating_add(life).unwrap_or(Timestamp::MAX),
            bound_target: None,
        })
    }

    fn check_times(&self, proof: &Proof, now: Timestamp) -> Result<(), IdentityFault> {
        let age = now.duration_since(proof.signed_at);
        if age.saturating_add(self.leeway).is_negative() {
            return Err(IdentityFault::IssuedInFuture(proof.signed_at));
        }
        let life = proof.life.min(self.max_age);
        if age >= life.saturating_add(self.leeway) {
            return Err(IdentityFault::Expired(proof.signed_at.saturating_add(life).unwrap_or(Timestamp::MAX)));
        }
        Ok(())
    }

    /// What STS says. Kept for as long as STS would say it again; a failure to hear it is not.
    async fn answer(&self, proof: &Proof) -> Result<Arc<caller::Caller>, IdentityFault> {
        let key = proof.digest();
        let answer = self.answers.get_with(key, Arc::default);
        let mut answer = answer.lock().await;
        match &*answer {
            Answer::Known(caller) => return Ok(Arc::clone(caller)),
            Answer::Refused(fault) => return Err(fault.clone()),
            Answer::Unknown => {}
        }
        let asked = self.ask(proof).await;
        match &asked {
            Ok(caller) => *answer = Answer::Known(Arc::clone(caller)),
            Err(IdentityFault::Unavailable { .. }) => {}
            Err(fault) => *answer = Answer::Refused(fault.clone()),
        }
        asked
    }

    async fn ask(&self, proof: &Proof) -> Result<Arc<caller::Caller>, IdentityFault> {
        let unavailable = |reason: String| IdentityFault::Unavailable { issuer: shown(&self.name), reason };
        let turn = self.asking.turn().await;
        let _place = turn.ok_or_else(|| unavailable("too many questions are open at STS".into()))?;
        let host = proof.host();
        let url = self.url(proof).ok_or_else(|| shape("it makes no address"))?;
        // An error of the client's names the address, which is the proof.
        let failed = |error: reqwest::Error| unavailable(format!("`{host}`: {}", chain(&error.without_url())));
        let mut response = self.client.get(url).headers(self.headers(host)).send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let is_json = is_json(response.headers());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(unavailable(format!("`{host}` answers with more than {MAX_BYTES} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        match status {
            200 if is_json => caller::read(&body, proof.partition()).map(Arc::new),
            200 => Err(unavailable(format!("`{host}` answers with something other than JSON"))),
            400..=499 if status != 429 => {
                let refused = caller::Refused::read(&body);
                let reason = format!("STS refuses it with status {status}{}", refused.shown());
                if refused.is_for_the_moment() {
                    return Err(unavailable(reason));
                }
                Err(IdentityFault::Unconfirmed { issuer: shown(&self.name), reason })
            }
            status => Err(unavailable(format!("`{host}` answers with status {status}"))),
        }
    }

    #[cfg(not(test))]
    fn url(&self, proof: &Proof) -> Option<Url> {
        Url::parse(&proof.address()).ok()
    }

    #[cfg(test)]
    fn url(&self, proof: &Proof) -> Option<Url> {
        let base = self.endpoint.clone().or_else(|| Url::parse(&format!("https://{}/", proof.host())).ok())?;
        Url::parse(&format!("{base}?{}", proof.query())).ok()
    }

    fn headers(&self, host: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(AUDIENCE_HEADER, self.audience.clone());
        // What was signed, whatever address it is sent to.
        if let (true, Ok(host)) = (cfg!(test), HeaderValue::from_str(host)) {
            headers.insert(reqwest::header::HOST, host);
        }
        headers
    }
}

/// The address that would be asked for a proof, made anew from what was read of it. It says no more than the proof does, and
/// nothing of it is verified.
///
/// # Errors
/// [`IdentityFault`] for any departure from the form.
pub fn address(token: &str) -> Result<Zeroizing<String>, IdentityFault> {
    Proof::read(token).map(|proof| proof.address())
}

/// Reads a proof, and finds whose it is by its region.
pub(super) fn find<'c>(callers: &'c [AwsCallers], token: &str) -> Result<(&'c AwsCallers, Proof), IdentityFault> {
    let proof = Proof::read(token)?;
    let callers = callers.iter().find(|callers| callers.regions.contains(&proof.region));
    match callers {
        Some(callers) => Ok((callers, proof)),
        None => Err(IdentityFault::UnknownIssuer(shown(proof.host()))),
    }
}

/// What is wrong with the settings that this preset alone has.
pub(super) fn problem(config: &IssuerConfig) -> Option<String> {
    let partitions: BTreeSet<_> = config.regions.iter().map(|region| proof::partition_of(region)).collect();
    let account = |account: &&String| account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit());
    let keys = config.jwks.is_some() || config.jwks_file.is_some() || config.jwks_url.is_some();
    if config.regions.is_empty() {
        Some("`regions` is empty: name the regions whose STS workloads sign for, such as [\"eu-west-1\"]".into())
    } else if let Some(region) = config.regions.iter().find(|region| proof::partition_of(region).is_none()) {
        Some(format!("`regions` lists `{}`, which is no region of AWS", shown(region)))
    } else if partitions.len() > 1 {
        Some(
            "`regions` are of more than one partition: configure an issuer for each, with an `issuer` of its own"
                .into(),
        )
    } else if config.accounts.is_empty() {
        Some("`accounts` is empty: anybody at AWS can make such a proof, so name the accounts that count".into())
    } else if let Some(account) = config.accounts.iter().find(account) {
        Some(format!("`accounts` lists `{}`: an account has 12 digits", shown(account)))
    } else if config.audiences.len() > 1 {
        Some("`audiences` has more than one entry, but workloads sign one: keep one".into())
    } else if config.max_age.is_some_and(|age| age.get() > SIGNATURE_LIFE) {
        Some("`max_age` is longer than the 15m that STS takes a signature: write at most that".into())
    } else if keys || !config.algorithms.is_empty() || !config.jwks_hosts.is_empty() {
        Some("keys and `algorithms` have no meaning for it, since STS alone checks the signature: remove them".into())
    } else {
        None
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn shape(problem: impl Into<String>) -> IdentityFault {
    IdentityFault::Shape { preset: NAME, problem: problem.into() }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut found = [0; 32];
    found.copy_from_slice(digest(&SHA256, bytes).as_ref());
    found
}

/// An object of the answer, without duplicates.
fn object(bytes: &[u8]) -> Option<json::Object> {
    json::object(bytes).ok()
}
