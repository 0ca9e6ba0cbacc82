//! A trial: would this workload get in, and as whom? For whoever sets up a target, before a client or a gateway is there.
//!
//! The broker opens a session for itself, as a gateway would: the same checks, the same two commit points, sealed to a key
//! that lives as long as the trial. Then it presents the credential to the target, in the target's most harmless call,
//! writes down as whom it was seen, and ends the session. Whoever asked learns that, and no secret.

use std::sync::Arc;

use writ_broker_api::gateway::{CloseRequest, OpenReply, OpenRequest};
use writ_broker_api::sealed::{OpeningKey, Purpose, SealedSession};
use writ_broker_api::trial::{TrialReply, TrialRequest};
use writ_core::credential::Credential;
use writ_core::event::{Event, SessionEnd};
use writ_core::fault::{Blame, Fault};
use writ_core::id::{GatewayId, RequestId};
use writ_core::provider::ProviderFault;
use writ_core::target::Labels;
use writ_core::writ::CredentialFacts;
use zeroize::Zeroizing;

use crate::broker::{Broker, GatewayIdentity};
use crate::issue::Opening;
use crate::refusal::Refusal;

impl Broker {
    /// Tries a target for the workload with this token. Goes on to its end though the caller is gone: nothing is left open.
    ///
    /// # Errors
    /// [`Refusal`] as for any opening; if the target refuses what was minted, or takes it for another.
    pub async fn try_out(
        self: &Arc<Self>,
        token: Zeroizing<String>,
        trial: TrialRequest,
        client: String,
    ) -> Result<TrialReply, Refusal> {
        let broker = Arc::clone(self);
        let running = tokio::spawn(async move { broker.trial(&token, trial, client).await });
        running.await.unwrap_or_else(|_| Err(failed("the trial was given up")))
    }

    async fn trial(&self, token: &str, trial: TrialRequest, client: String) -> Result<TrialReply, Refusal> {
        let (opening, sealing_key) = OpeningKey::generate().map_err(|_| failed("no random numbers can be had"))?;
        let itself = GatewayIdentity { id: GatewayId::BROKER, sealing_key, serves: Labels::new() };
        let known = self.loaded.load().targets.find(&trial.target);
        let protocol = known.map(|served| served.target.protocol).unwrap_or_default();
        let TrialRequest { target, role } = trial;
        let open = OpenRequest {
            token: token.to_owned(),
            target,
            protocol,
            role,
            database: None,
            client,
            client_key: None,
            reason: None,
            approval: None,
        };
        let Opening::Open(reply) = self.open(&itself, &open).await? else { return Err(failed("the trial is held")) };
        let _ = Zeroizing::new(open.token);
        let tried = self.presented(&opening, &reply).await;
        let close =
            CloseRequest { end: SessionEnd::Client, code: None, commands: 0, command_segments: 0, row_segments: 0 };
        self.close(&itself, reply.session, &close).await?;
        tried
    }

    async fn presented(&self, opening: &OpeningKey, reply: &OpenReply) -> Result<TrialReply, Refusal> {
        let (writ, session, target) = (reply.writ, reply.session, &reply.target.name);
        let facts = self.writ(writ).await?.credential.ok_or_else(|| failed("the writ names no credential"))?;
        let purpose = Purpose { writ, session, gateway: GatewayId::BROKER, target };
        let (credential, data_key, mask_key) = (&reply.credential, &reply.data_key, reply.mask_key.as_ref());
        let opened = opening.session(SealedSession { credential, data_key, mask_key }, purpose);
        let secret = opened.map_err(|fault| failed(fault.to_string()))?.secret;
        let served = self.loaded.load().targets.find(target.as_str());
        let served = served.ok_or_else(|| failed("the target is no longer configured"))?;
        let CredentialFacts { kind, principal, audit, fingerprint, expires, .. } = facts;
        let audit = audit.unwrap_or_else(|| principal.clone());
        let revocation = facts.revocation.unwrap_or(writ_core::credential::Revocation::None);
        let credential = Credential { kind, principal, secret, expires, fingerprint, audit, revocation };
        let seen = match served.present(&credential, self.settings.provider_timeout).await {
            Ok(seen) => seen,
            Err(fault) => return Err(self.not_presented(reply, &fault).await),
        };
        let presented = seen.is_some();
        if let Some(seen) = seen {
            let event = Event::CredentialPresented { writ, principal: seen.principal, audit: seen.audit };
            self.evidence.event(event).await?;
        }
        Ok(TrialReply {
            writ,
            session,
            target: target.clone(),
            policy_hash: reply.policy_hash.clone(),
            kind,
            principal: credential.principal,
            audit: credential.audit,
            fingerprint: credential.fingerprint,
            expires,
            revocation: Some(revocation),
            presented,
        })
    }

    async fn not_presented(&self, reply: &OpenReply, fault: &ProviderFault) -> Refusal {
        let (code, detail) = (fault.code().to_owned(), crate::issue::cut(fault.detail()));
        tracing::warn!(writ = %reply.writ, code, detail, "what was minted does not open its target");
        match self.evidence.event(Event::CredentialNotPresented { writ: reply.writ, code, detail }).await {
            Ok(()) => {
                let words = format!("what was minted does not open the target: {fault}");
                let fault = Fault::new(fault.code(), Blame::Target, words)
                    .help(format!("tell the operator, and quote {}: `writ ledger find` says why", reply.writ));
                Refusal::new(fault, RequestId::fresh())
            }
            Err(fault) => fault.into(),
        }
    }
}

fn failed(detail: impl Into<String>) -> Refusal {
    let fault = Fault::new("trial.failed", Blame::Ours, "the broker failed")
        .help("tell the operator, and quote the request")
        .detail(detail.into());
    tracing::error!(detail = %fault.detail, "a trial failed");
    Refusal::new(fault, RequestId::fresh())
}
