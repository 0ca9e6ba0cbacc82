//! Mint: a secret that OpenBao makes for the writ, and its lease.
//!
//! The order is the point. First the login, whose token lives for a minute. Then the note, without which nothing is asked for:
//! it is what a revocation finds, and it is refused where there is one already. Then the secret. Only then token and lease are
//! made to last until the writ's end, and no longer: a broker that dies on the way leaves what ends in a minute, or what its
//! note leads to.
//!
//! Ends are counted from what is granted in seconds, never from times of OpenBao's clock.

use std::sync::Arc;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::time::Instant;
use writ_core::assertion::Assertions;
use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation};
use writ_core::proof::{Intended, Minted};
use writ_core::provider::ProviderFault;
use writ_core::target::TargetName;
use writ_core::time::{Timestamp, after};
use writ_core::writ::Writ;

use crate::call::{Answer, Call, Reply, Server, Session, Verb};
use crate::config::{DynamicConfig, OpenbaoConfig};
use crate::fields::{self, Fields};
use crate::login::{Login, login};
use crate::note::{Note, Unnoted};
use crate::revoke::{self, Known};
use crate::{fault, provider};

/// The kind of a fingerprint whose rest is the accessor of a writ's token.
pub(crate) const ACCESSOR: &str = "openbao-accessor";

/// How many seconds more than asked OpenBao may grant: it counts in whole ones.
const LEEWAY: u64 = 2;

/// What is needed to mint and to take back.
pub(crate) struct Minting<'a> {
    pub(crate) server: &'a Server,
    pub(crate) config: &'a OpenbaoConfig,
    pub(crate) dynamic: &'a DynamicConfig,
    pub(crate) assertions: &'a Arc<dyn Assertions>,
    pub(crate) target: &'a TargetName,
}

impl Minting<'_> {
    pub(crate) async fn mint(&self, intended: Intended, limit: Duration) -> Result<Minted, ProviderFault> {
        let writ = intended.writ();
        let path = provider::path(&self.dynamic.path, &self.dynamic.paths, writ)?;
        let begun = Instant::now();
        // The last quarter is for taking back what was begun.
        let session = self.server.anonymous(begun + limit.mul_f64(0.75));
        let login = login(&session, self.config, self.assertions, self.target, Some(&intended)).await?;
        let note = Note { accessor: login.accessor.clone(), expires: writ.expires };
        match provider::notes(self.config, self.dynamic).write(&login.session, writ.id, &note).await {
            Ok(()) => {}
            Err(Unnoted::Nothing(fault)) => {
                login.end().await;
                return Err(fault);
            }
            Err(Unnoted::Perhaps(fault)) => return Err(self.undone(&login, writ, None, fault, begun + limit).await),
        }
        let mut lease = None;
        match self.made(&login, path, writ, &mut lease).await {
            Ok(credential) => Ok(Minted::new(intended, credential)),
            Err(fault) => Err(self.undone(&login, writ, lease, fault, begun + limit).await),
        }
    }

    /// Asks for the secret and has it last. `lease` is named as soon as it is known.
    async fn made(
        &self,
        login: &Login<'_>,
        path: &str,
        writ: &Writ,
        lease: &mut Option<String>,
    ) -> Result<Credential, ProviderFault> {
        let reply = self.asked(&login.session, path).await?;
        let named = Some(reply.lease_id.clone()).filter(|id| sound(id));
        let doing = format!("asking for `{path}`");
        *lease = named.clone();
        let Some(lease_id) = named else {
            return Err(ProviderFault::Misconfigured(format!(
                "{doing}: it comes without a lease, so that it could not be taken back: name a path that gives one, or write \
                 `kv` for what a KV engine keeps"
            )));
        };
        let Some(given) = &reply.data else {
            return Err(ProviderFault::Refused(format!("{doing}: the answer has no secret")));
        };
        let (principal, secret) = fields::chosen(self.config, path, given)?;
        let now = Timestamp::now();
        let left = u64::try_from(writ.expires.duration_since(now).as_secs()).unwrap_or(0).max(1);
        let leased = async {
            if reply.renewable {
                self.renewed(&login.session, &lease_id, left).await
            } else {
                self.as_long_as_it_is(&doing, reply.lease_duration, left)
            }
        };
        let (leased, lasting) = tokio::try_join!(leased, self.lasting(&login.session, left))?;
        let expires = Timestamp::from_second(after(now, leased.min(lasting)).as_second()).unwrap_or(now);
        Ok(Credential {
            kind: CredentialKind::OpenbaoSecret,
            principal,
            secret,
            expires: Some(expires),
            fingerprint: Fingerprint::of_public(ACCESSOR, &login.accessor),
            audit: lease_id,
            revocation: Revocation::Individual,
        })
    }

    async fn asked(&self, session: &Session<'_>, path: &str) -> Result<Reply<Fields>, ProviderFault> {
        let doing = format!("asking for `{path}`");
        let body = self.dynamic.parameters.clone().map(Value::Object);
        let verb = if body.is_some() { Verb::Post } else { Verb::Get };
        let answer: Answer<Fields> =
            session.ask(Call { doing: &doing, verb, path, harmless: false }, body.as_ref()).await;
        let reply = answer?.map_err(|denied| fault::refused(&doing, &denied))?;
        match reply.wrap_info {
            None => Ok(reply),
            Some(_) => Err(ProviderFault::Misconfigured(format!(
                "{doing}: the answer is wrapped: let the role's policy not demand that"
            ))),
        }
    }

    /// Has the lease end in `left` seconds, sooner or later than it would, and gives in how many it does.
    async fn renewed(&self, session: &Session<'_>, lease: &str, left: u64) -> Result<u64, ProviderFault> {
        let doing = "renewing the lease until the writ's end";
        // Twice is as good as once: each counts from now.
        let call = Call { doing, verb: Verb::Post, path: "sys/leases/renew", harmless: true };
        let renewed: Answer<IgnoredAny> =
            session.ask(call, Some(&json!({ "lease_id": lease, "increment": left }))).await;
        match renewed? {
            Ok(reply) => granted(doing, reply.lease_duration, left),
            Err(denied) => Err(fault::missing(doing, &denied, &provider::rights(self.config))),
        }
    }

    /// A lease that cannot be renewed cannot be cut short. One that would outlast the writ is good only where its revocation, or
    /// its token's end, ends what the engine gave.
    fn as_long_as_it_is(&self, doing: &str, leased: u64, left: u64) -> Result<u64, ProviderFault> {
        if leased <= left + LEEWAY || self.dynamic.ends_when_revoked {
            return Ok(leased);
        }
        Err(ProviderFault::Misconfigured(format!(
            "{doing}: the lease lasts {leased} s and cannot be renewed, and the writ ends in {left} s: have the engine give shorter \
             ones, or, where it ends what it gave once the lease is revoked, write `ends_when_revoked = true` into `dynamic`"
        )))
    }

    /// Has the token, and with it all that hangs on it, end in `left` seconds at the latest.
    async fn lasting(&self, session: &Session<'_>, left: u64) -> Result<u64, ProviderFault> {
        let doing = "renewing the token until the writ's end";
        let call = Call { doing, verb: Verb::Post, path: "auth/token/renew-self", harmless: true };
        let renewed: Answer<IgnoredAny> = session.ask(call, Some(&json!({ "increment": format!("{left}s") }))).await;
        match renewed? {
            Ok(reply) => granted(doing, reply.auth.map_or(0, |auth| auth.lease_duration), left),
            Err(denied) => Err(fault::missing(doing, &denied, &provider::rights(self.config))),
        }
    }

    /// Takes back what a mint that failed has begun, as a revocation of the writ would; what could not be taken back is the
    /// broker's to come back for.
    async fn undone(
        &self,
        login: &Login<'_>,
        writ: &Writ,
        lease: Option<String>,
        fault: ProviderFault,
        end: Instant,
    ) -> ProviderFault {
        let known = Known { lease, accessor: Some(login.accessor.clone()) };
        match revoke::taken_back(self, writ.id, known, end).await {
            Ok(()) => fault,
            Err(left) => fault.leaving(&left),
        }
    }
}

fn granted(doing: &str, granted: u64, asked: u64) -> Result<u64, ProviderFault> {
    if granted == 0 || granted > asked + LEEWAY {
        return Err(ProviderFault::Refused(format!(
            "{doing}: it is given {granted} s where {asked} s were asked for: write `token_period=0` into the role, and leave \
             the lease to its request"
        )));
    }
    Ok(granted)
}

/// A lease's id goes into the ledger, and is what the audit is searched by.
fn sound(lease: &str) -> bool {
    (1..=1024).contains(&lease.len()) && lease.bytes().all(|byte| byte.is_ascii_graphic())
}
