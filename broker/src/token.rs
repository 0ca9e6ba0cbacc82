//! `/v1/token`: a workload's own token for a session token, for clients that reconnect often.

use writ_broker_api::token::{ExchangeReply, ExchangeRequest};
use writ_core::client::ClientKey;
use writ_core::event::Event;
use writ_core::fault::Fault;
use writ_core::id::RequestId;
use writ_core::time::{Timestamp, after};
use writ_core::workload::{TokenKind, Workload};
use writ_policy::{ConnectContext, Denied};

use crate::broker::Broker;
use crate::evidence::EvidenceFault;
use crate::identity::exchange::{self, Admitted, Refusal, Shown};
use crate::store::Condition;

impl Broker {
    /// Exchanges a token. It counts as one use of the workload's token, so that a token that opened its sessions cannot open
    /// more by this way.
    ///
    /// # Errors
    /// The request's id and the refusal. Its reason is in the ledger.
    pub async fn exchange(
        &self,
        request: ExchangeRequest,
        shown: Shown<'_>,
        client: &str,
    ) -> Result<ExchangeReply, (RequestId, Refusal)> {
        let (id, now) = (RequestId::fresh(), self.clock.now());
        let target = request.audience.clone();
        match self.try_exchange(id, request, shown, client, now).await {
            Ok(reply) => Ok(reply),
            Err(refusal) => {
                tracing::info!(request = %id, code = refusal.code, "an exchange was refused");
                let event = Event::Refused {
                    request: id,
                    gateway: None,
                    code: refusal.code.to_owned(),
                    detail: crate::issue::cut(&refusal.detail),
                    issuer: None,
                    subject: None,
                    target: target.as_deref().map(crate::issue::cut),
                    policy_hash: None,
                };
                match self.evidence.event(event).await {
                    Ok(()) => Err((id, refusal)),
                    Err(fault) => Err((id, no_evidence(&fault))),
                }
            }
        }
    }

    async fn try_exchange(
        &self,
        id: RequestId,
        request: ExchangeRequest,
        shown: Shown<'_>,
        client: &str,
        now: Timestamp,
    ) -> Result<ExchangeReply, Refusal> {
        self.check_clock().await.map_err(|fault| untimely(&fault))?;
        let loaded = self.loaded.load();
        let url = format!("{}{}", self.settings.url, writ_broker_api::paths::TOKEN);
        let admitted = exchange::ask(request)?.admit(&loaded.verifier, shown, &url, now).await?;
        let served = loaded.targets.find(admitted.target.as_str()).ok_or_else(denied)?;
        let in_force = self.policy.borrow().clone();
        let context = ConnectContext {
            now,
            client_address: Some(client.to_owned()),
            database_role: None,
            database: None,
            client_key: proved(&admitted),
            ttl_cap_seconds: self.settings.max_ttl.as_secs(),
        };
        let grant = writ_policy::connect(&in_force.bundle, &admitted.workload, &served.target, &context).map_err(
            |refused| Refusal { code: refused.code, detail: refused.fault().detail.into_owned(), ..denied() },
        )?;
        let reply = admitted.grant(&self.session_issuer, now)?;
        let expires = after(now, reply.expires_in);
        let event = Event::TokenExchanged {
            request: id,
            workload: crate::issue::facts(admitted.workload.get()),
            target: admitted.target.clone(),
            bound_key: admitted.proof.as_ref().map(|proof| proof.thumbprint.clone()),
            expires,
        };
        let conditions = conditions(&admitted, grant.obligations().uses);
        match self.evidence.write(vec![event], conditions, Vec::new()).await {
            Ok(()) => Ok(reply),
            Err(EvidenceFault::Refused) => Err(self.not_exchanged(&admitted).await),
            Err(fault) => Err(no_evidence(&fault)),
        }
    }

    /// Which condition did not hold.
    async fn not_exchanged(&self, admitted: &Admitted) -> Refusal {
        let mut frozen = None;
        for (issuer, subject) in crate::issue::parties(admitted.workload.get()) {
            if frozen.is_none() {
                frozen = self.frozen(&issuer, &subject, &admitted.target).await;
            }
        }
        match frozen {
            // The operator's words are not put into an OAuth error: it holds a part of ASCII alone (RFC 6749, 5.2).
            Some(frozen) => Refusal {
                detail: frozen.detail.into_owned(),
                ..Refusal::new(
                    frozen.code,
                    "invalid_target",
                    "access is frozen: wait until an operator lifts the freeze",
                )
            },
            None => match self.held(admitted).await {
                Some(held) => held,
                None => {
                    Refusal::new("token.used", "invalid_request", "a token was used as often as policy allows (@uses)")
                }
            },
        }
    }

    /// A token that was used with another key before, or with none where there is one now.
    async fn held(&self, admitted: &Admitted) -> Option<Refusal> {
        let shown = proved(admitted);
        for workload in counted(admitted) {
            let uses = self.store.uses(&workload.token_id.replay_key(&workload.issuer)).await;
            if let Ok(Some(uses)) = uses
                && uses.holder != shown
            {
                let words =
                    "a token was used with another key before, or without one: get a fresh token, and prove one key";
                let holder = uses.holder.map_or_else(|| "no key".to_owned(), |key| format!("the key {key}"));
                let detail = format!("`{}` was first used with {holder}", workload.subject);
                return Some(Refusal { detail, ..Refusal::new("token.bound", "invalid_request", words) });
            }
        }
        None
    }
}

/// The key that the client proved, if it did.
fn proved(admitted: &Admitted) -> Option<ClientKey> {
    admitted.proof.as_ref().and_then(|proof| proof.thumbprint.parse().ok())
}

/// Those whose uses are counted. A certificate's key was proved anew: there is nothing to be used twice.
fn counted(admitted: &Admitted) -> impl Iterator<Item = &Workload> {
    admitted.workloads().filter(|workload| workload.token_kind == TokenKind::Workload)
}

fn conditions(admitted: &Admitted, uses: u32) -> Vec<Condition> {
    let parties = crate::issue::parties(admitted.workload.get()).into_iter();
    let mut conditions: Vec<Condition> =
        parties.map(|(issuer, subject)| crate::freeze::not_frozen(&issuer, &subject, &admitted.target)).collect();
    for workload in counted(admitted) {
        let key = workload.token_id.replay_key(&workload.issuer);
        let (expires, holder) = (crate::holder::remembered(workload), proved(admitted));
        conditions.push(Condition::Use { key, expires, uses, holder });
    }
    if let Some(proof) = &admitted.proof {
        let key = format!("dpop:{}:{}", proof.thumbprint, proof.jti);
        conditions.push(Condition::Use { key, expires: proof.expires, uses: 1, holder: None });
    }
    conditions
}

fn denied() -> Refusal {
    Refusal::new("target.unknown", "invalid_target", Denied::PUBLIC)
}

fn untimely(fault: &Fault) -> Refusal {
    let words = "nothing is issued at this time: try again later, and tell the operator if it stays so";
    Refusal { detail: fault.detail.clone().into_owned(), ..Refusal::new(fault.code, "server_error", words) }
}

fn no_evidence(fault: &EvidenceFault) -> Refusal {
    let words = "the evidence cannot be written, so nothing is allowed: try again later";
    Refusal { detail: fault.to_string(), ..Refusal::new("evidence.unwritable", "server_error", words) }
}
