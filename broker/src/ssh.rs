//! SSH authorities: what hosts are told, and what admins have signed. The broker keeps no list of what was taken back: it makes
//! one from the writs that it has, whenever a host asks, so that the list says what the ledger says, after a restart and on any
//! replica.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::Mutex;
use writ_broker_api::admin::{HostCertificateReply, HostCertificateRequest, SshFacts};
use writ_broker_api::paths::SSH_REVOCATIONS;
use writ_core::event::{Actor, Event};
use writ_core::provider::ProviderFault;
use writ_core::ssh::HostRequest;
use writ_core::target::TargetName;
use writ_core::time::{SignedDuration, Timestamp, after};

use crate::broker::Broker;
use crate::operations::for_operators;
use crate::refusal::Refusal;
use crate::targets::Served;

/// For how long one list serves all who ask.
const FRESH: Duration = Duration::from_secs(1);
/// How long a writ stays on the list after its certificate has ended, for hosts whose clocks are behind.
const KEPT: SignedDuration = SignedDuration::from_mins(60);

/// The lists that were made a moment ago, by authority.
#[derive(Debug, Default)]
pub(crate) struct RevocationLists(Mutex<BTreeMap<String, (Duration, Bytes)>>);

impl Broker {
    /// What hosts must know of a target's authority.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such target or it has none.
    pub fn ssh(&self, target: &str) -> Result<SshFacts, Refusal> {
        let served = self.with_authority(target)?;
        let authority = served.provider.ssh().ok_or_else(no_authority)?;
        let path = SSH_REVOCATIONS.replace("{authority}", authority.fingerprint());
        let revocation_list = self.address(&path);
        Ok(SshFacts { target: served.target.name.clone(), trusted: authority.trusted(), revocation_list })
    }

    /// The revocation list of an authority, at most a second old.
    ///
    /// # Errors
    /// [`Refusal`] if there is no such authority, or the store fails.
    pub async fn ssh_revocations(&self, authority: &str) -> Result<Bytes, Refusal> {
        let loaded = self.loaded.load_full();
        let of_it = |served: &&Arc<Served>| served.provider.ssh().is_some_and(|ssh| ssh.fingerprint() == authority);
        let served: Vec<&Arc<Served>> = loaded.targets.iter().filter(of_it).collect();
        let ssh = served.first().and_then(|served| served.provider.ssh()).ok_or_else(no_authority)?;
        let mut lists = self.revocation_lists.0.lock().await;
        let age = |made: Duration| self.clock.monotonic().saturating_sub(made);
        if let Some((_, list)) = lists.get(authority).filter(|(made, _)| age(*made) < FRESH) {
            return Ok(list.clone());
        }
        let (made, now) = (self.clock.monotonic(), self.clock.now());
        let targets: Vec<TargetName> = served.iter().map(|served| served.target.name.clone()).collect();
        let ended = self.store.ended_writs(&targets, now.checked_sub(KEPT).unwrap_or(Timestamp::MIN)).await?;
        let list = Bytes::from(ssh.revocation_list(&ended, now));
        lists.retain(|_, (made, _)| age(*made) < FRESH);
        lists.insert(authority.to_owned(), (made, list.clone()));
        Ok(list)
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

fn no_authority() -> Refusal {
    Refusal::not_found("SSH authority: the target's provider is not `ssh`")
}
