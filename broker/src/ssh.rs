//! SSH authorities: what hosts are told, and what admins have signed. The broker keeps no list of what was taken back: it makes
//! one from the writs that it has, when a host asks, so that the list says what the ledger says, after a restart and on any
//! replica.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{Mutex, OnceCell};
use writ_broker_api::admin::{HostCertificateReply, HostCertificateRequest, SshFacts};
use writ_broker_api::paths::SSH_REVOCATIONS;
use writ_core::event::{Actor, Event};
use writ_core::id::WritId;
use writ_core::provider::ProviderFault;
use writ_core::ssh::{AuthorityKey, HostRequest, SshAuthority};
use writ_core::time::{Clock, SignedDuration, Timestamp, after};

use crate::broker::Broker;
use crate::operations::for_operators;
use crate::refusal::Refusal;
use crate::store::{Store, StoreFault};
use crate::targets::Served;

/// For how long what was read serves all who ask.
const FRESH: Duration = Duration::from_secs(1);
/// How long a writ stays on the list after its certificate has ended, for hosts whose clocks are behind.
const KEPT: SignedDuration = SignedDuration::from_mins(60);

/// What was read a moment ago. Whoever reads anew holds the lock, so that one does for all who ask meanwhile.
#[derive(Debug, Default)]
pub(crate) struct RevocationLists(Arc<Mutex<Option<Arc<Reading>>>>);

/// The writs whose certificates must not count any more, and the lists that were made of them.
#[derive(Debug)]
struct Reading {
    /// When it was over, by the clock that never steps.
    over: Duration,
    at: Timestamp,
    writs: Vec<WritId>,
    /// By the fingerprints of the keys that they cover.
    lists: std::sync::Mutex<BTreeMap<Vec<String>, Arc<OnceCell<Bytes>>>>,
}

impl Reading {
    async fn take(store: &dyn Store, clock: &dyn Clock) -> Result<Self, StoreFault> {
        let at = clock.now();
        let writs = store.ended_certificates(at.checked_sub(KEPT).unwrap_or(Timestamp::MIN)).await?;
        Ok(Self { over: clock.monotonic(), at, writs, lists: Default::default() })
    }

    /// The list for certificates that these keys signed, made once.
    async fn list(&self, authority: &dyn SshAuthority, keys: &[&AuthorityKey]) -> Bytes {
        let names = keys.iter().map(|key| key.fingerprint.clone()).collect();
        let place = {
            let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(lists.entry(names).or_default())
        };
        let make = || async { Bytes::from(authority.revocation_list(keys, &self.writs, self.at)) };
        place.get_or_init(make).await.clone()
    }
}

impl Broker {
    /// What hosts must know of a target's authority.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such target or it has none.
    pub fn ssh(&self, target: &str) -> Result<SshFacts, Refusal> {
        let served = self.with_authority(target)?;
        let authority = served.provider.ssh().ok_or_else(no_authority)?;
        let path = SSH_REVOCATIONS.replace("{authority}", &authority.key().fingerprint);
        let revocation_list = self.address(&path);
        Ok(SshFacts { target: served.target.name.clone(), trusted: authority.trusted(), revocation_list })
    }

    /// The revocation list that hosts who trust a key must have, made at most once a second. Whichever of an authority's keys the
    /// address names, it covers them all, so that a host that goes on fetching by the former one misses nothing.
    ///
    /// # Errors
    /// [`Refusal`] if no authority has the key, or the store fails.
    pub async fn ssh_revocations(&self, key: &str) -> Result<Bytes, Refusal> {
        let loaded = self.loaded.load_full();
        let all = loaded.targets.iter().filter_map(|served| served.provider.ssh());
        let having: Vec<_> = all.filter(|ssh| keys(*ssh).any(|of| of.fingerprint == key)).collect();
        let ssh = having.first().ok_or_else(|| Refusal::not_found("SSH authority"))?;
        let covered: BTreeSet<&AuthorityKey> = having.iter().flat_map(|ssh| keys(*ssh)).collect();
        let covered: Vec<&AuthorityKey> = covered.into_iter().collect();
        Ok(self.ended_certificates().await?.list(*ssh, &covered).await)
    }

    /// What was read less than a second ago, else read now.
    async fn ended_certificates(&self) -> Result<Arc<Reading>, StoreFault> {
        let mut kept = Arc::clone(&self.revocation_lists.0).lock_owned().await;
        let now = self.clock.monotonic();
        if let Some(fresh) = kept.as_ref().filter(|reading| now.saturating_sub(reading.over) < FRESH) {
            return Ok(Arc::clone(fresh));
        }
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        // Whoever asks may go away, and come again: what was begun is ended, and serves the next.
        let reading = tokio::spawn(async move {
            let reading = Arc::new(Reading::take(&*store, &*clock).await?);
            *kept = Some(Arc::clone(&reading));
            Ok(reading)
        });
        reading.await.unwrap_or_else(|_| Err(StoreFault("ended certificates were not read to the end".to_owned())))
    }

    /// Signs a certificate of a host by a target's authority. It leaves the broker after the ledger has it.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such target, it has no authority, what is asked cannot be signed, or it cannot be written
    /// down.
    pub async fn certify_ssh_host(
        &self,
        target: &str,
        request: HostCertificateRequest,
        by: Actor,
    ) -> Result<HostCertificateReply, Refusal> {
        let served = self.with_authority(target)?;
        let authority = served.provider.ssh().ok_or_else(no_authority)?;
        let expires = after(self.clock.now(), request.life_seconds);
        let expires = Timestamp::from_second(expires.as_second()).unwrap_or(expires);
        let asked = HostRequest { key: request.key, names: request.names, expires };
        let signing = tokio::time::timeout(self.settings.provider_timeout, authority.certify_host(&asked));
        let late = |_| Err(ProviderFault::Unreachable("the authority's key does not answer".to_owned()));
        let signed = signing.await.unwrap_or_else(late).map_err(|fault| for_operators(&fault))?;
        let (target, serial) = (served.target.name.clone(), signed.serial.to_string());
        let event = Event::HostCertified { target, key: signed.key, names: asked.names, serial, expires, by };
        self.evidence.event(event).await?;
        Ok(HostCertificateReply { certificate: signed.line, expires })
    }

    fn with_authority(&self, target: &str) -> Result<Arc<Served>, Refusal> {
        self.loaded.load().targets.find(target).ok_or_else(|| self.no_target())
    }
}

/// All keys of an authority: the one that signs, and those of others that hosts trust as well.
fn keys(authority: &dyn SshAuthority) -> impl Iterator<Item = &AuthorityKey> {
    core::iter::once(authority.key()).chain(authority.others())
}

fn no_authority() -> Refusal {
    Refusal::not_found("SSH authority: the target's provider is not `ssh`")
}
