//! One issuance, step by step: to be read in one minute.
//!
//! Each step makes the value that the next one needs, so that none can be left out or moved. What is refused is in the ledger
//! before the gateway learns of it.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};
use writ_broker_api::approval::ApprovalReply;
use writ_broker_api::gateway::{OpenReply, OpenRequest};
use writ_broker_api::sealed::Base64;
use writ_core::approval::Approval;
use writ_core::credential::Secret;
use writ_core::event::{Event, WorkloadFacts};
use writ_core::fault::{Blame, Fault};
use writ_core::grant::{Grant, Obligations, PolicyHash};
use writ_core::id::{ApprovalId, GatewayId, RequestId};
use writ_core::proof::{Asker, Logged, Verified};
use writ_core::provider::ProviderFault;
use writ_core::target::Target;
use writ_core::time::{Timestamp, after};
use writ_core::workload::{Issuer, Subject, Workload, actors};
use writ_core::writ::{CredentialFacts, Writ, WritState};
use writ_policy::{ConnectContext, Denied};
use zeroize::Zeroizing;

use crate::approve::{Approved, Connection, Settled};
use crate::broker::{Broker, GatewayIdentity};
use crate::evidence::EvidenceFault;
use crate::freeze::not_frozen;
use crate::holder::{self, Counted, remembered};
use crate::identity::session_token::binding;
use crate::rates::Caller;
use crate::refusal::{Refusal, no_evidence};
use crate::store::{Change, Client, Condition};
use crate::targets::Served;

/// What is asked, and what becomes known of it on the way: enough for the ledger to say why it was refused.
struct Asked<'a> {
    request: RequestId,
    now: Timestamp,
    gateway: &'a GatewayIdentity,
    open: &'a OpenRequest,
    /// What an operator sees of this issuance, in whatever is logged on the way.
    span: Span,
    workload: Option<Workload>,
    policy_hash: Option<PolicyHash>,
    /// The approval that the gateway shows.
    shown: Option<Approval>,
}

/// What becomes of an opening that is not refused.
#[derive(Debug)]
pub enum Opening {
    /// The session may begin.
    Open(Box<OpenReply>),
    /// Humans are asked first; nothing was minted. To be opened again with the approval's name once they have approved.
    Held(ApprovalReply),
}

impl Opening {
    /// The session, where it may begin.
    #[must_use]
    pub fn open(self) -> Option<OpenReply> {
        match self {
            Self::Open(reply) => Some(*reply),
            Self::Held(_) => None,
        }
    }
}

impl Broker {
    /// Opens a session: eight steps, two commit points.
    ///
    /// # Errors
    /// [`Refusal`]. Its reason is durable in the ledger under the request's id; the caller learns the id. Of what is over the
    /// gateway's rates, the first in a minute.
    pub async fn open(&self, gateway: &GatewayIdentity, open: &OpenRequest) -> Result<Opening, Refusal> {
        let (request, now) = (RequestId::fresh(), self.clock.now());
        let span = span(request, gateway);
        let (span_, workload, policy_hash, shown) = (span.clone(), None, None, None);
        let mut asked = Asked { request, now, gateway, open, span: span_, workload, policy_hash, shown };
        let answered = async {
            let answer = match self.workload(&mut asked).await {
                Ok(workload) => {
                    self.admit(Caller::Opens(gateway.id)).await?;
                    self.issue(&mut asked, workload).await
                }
                Err(fault) => {
                    self.admit(Caller::Refused(gateway.id)).await?;
                    Err(fault)
                }
            };
            match answer {
                Ok(reply) => Ok(reply),
                Err(fault) => Err(self.refuse(&asked, fault).await),
            }
        };
        answered.instrument(span).await
    }

    async fn workload(&self, asked: &mut Asked<'_>) -> Result<Verified<Workload>, Fault> {
        // 0. When: nothing is judged by a clock that was stepped.
        self.check_clock().await?;

        // 1. Who asks: the token against its issuer; as of when it was asked about, where a human has answered since.
        let loaded = self.loaded.load();
        let mut at = asked.now;
        if let Some(id) = asked.open.approval {
            let shown = self.shown(asked.gateway, id).await?;
            at = shown.asked.min(asked.now);
            asked.shown = Some(shown);
        }
        let workload = loaded.verifier.verify(&asked.open.token, at).await;
        let workload = workload.map_err(|fault| Fault { code: fault.code(), ..fault.to_fault() })?;
        asked.span.record("workload", display(short_digest(workload.get())));
        asked.workload = Some(workload.get().clone());
        Ok(workload)
    }

    async fn issue(&self, asked: &mut Asked<'_>, workload: Verified<Workload>) -> Result<Opening, Fault> {
        let loaded = self.loaded.load();

        // 2. For what. An unknown target and a forbidden one look alike from outside.
        let served = loaded.targets.find(&asked.open.target).ok_or_else(unknown_target)?;
        asked.span.record("target", display(&served.target.name));
        if !served.is_served_by(&asked.gateway.serves) {
            return Err(not_served());
        }

        if served.target.protocol != asked.open.protocol {
            return Err(other_protocol(&served.target, asked.open));
        }

        // 3. Whether: policy, default deny.
        let grant = self.decide(asked, &workload, &served)?;

        if asked.gateway.id == GatewayId::BROKER && grant.hold().is_some() {
            return Err(held_trial());
        }

        // A target that does not answer is not asked again for each client.
        let pass = served.admit().map_err(|rest| resting(&served.target, rest))?;

        // 4. Whether humans must say so too.
        let approved = match self.approved(asked, workload.get(), &served, grant).await? {
            Settled::Approved(approved) => approved,
            Settled::Held(approval) => return Ok(Opening::Held(self.told(&approval))),
        };

        // 5. COMMIT POINT A: no intent, no credential.
        let writ = self.draft(asked, &workload, &served, &approved);
        asked.span.record("writ", display(writ.id)).record("session", display(writ.session));
        let counted = self.counted(workload.get(), writ.obligations.uses);
        let mut conditions = conditions(asked, workload.get(), &writ, counted);
        let client = Client {
            address: asked.open.client.clone(),
            key: asked.open.client_key.clone(),
            reason: asked.open.reason.clone(),
        };
        let mut events = vec![intended(asked, workload.get(), &writ, approved.by())];
        let used = approved.used().map(|(condition, change, event)| {
            conditions.push(condition);
            events.insert(0, event);
            change
        });
        let intended = match self.evidence.intend(writ.clone(), client, events, conditions, used).await {
            Ok(intended) => intended,
            Err(fault) => return Err(self.not_intended(asked, workload.get(), &writ, &approved, &fault).await),
        };

        // 6. The credential, labelled with the writ's id.
        let limit = self.settings.provider_timeout;
        let unlogged = self.unlogged.clone();
        let token = Secret::new(asked.open.token.as_bytes().to_vec());
        let intended = intended.asked_by(Asker { workload: workload.into_inner(), token });
        let minted = match served.mint(pass, intended, limit).await {
            Ok(minted) => minted.on_abandon(move |writ| drop(unlogged.send(writ))),
            Err(fault) => return Err(self.mint_failed(&writ, &fault).await),
        };
        let long_lived = served.provider.describe().long_lived;
        let facts = minted.credential().map(|credential| CredentialFacts::of(credential, long_lived));
        let facts = facts.ok_or_else(|| broken("provider.empty", "the provider gave no credential"))?;

        // 7. COMMIT POINT B: not logged, not released.
        let logged = match self.evidence.issued(minted, facts).await {
            Ok(logged) => logged,
            Err(fault) => return Err(self.not_logged(&writ, &fault).await),
        };

        // 8. Sealed to the gateway that asked, and to no other.
        match self.reply(asked, logged, &served) {
            Ok(reply) => {
                tracing::debug!("opened");
                Ok(Opening::Open(Box::new(reply)))
            }
            Err(fault) => {
                let _ = self.unlogged.send(writ);
                Err(fault)
            }
        }
    }

    /// Why the intent was not taken.
    async fn not_intended(
        &self,
        asked: &Asked<'_>,
        workload: &Workload,
        writ: &Writ,
        approved: &Approved,
        fault: &EvidenceFault,
    ) -> Fault {
        for (issuer, subject) in parties(workload) {
            if let (EvidenceFault::Refused, Some(frozen)) = (fault, self.frozen(&issuer, &subject, &writ.target).await)
            {
                return frozen;
            }
        }
        let known = self.store.gateway(writ.gateway).await;
        match known {
            Ok(known) if writ.gateway != GatewayId::BROKER && known.as_ref().is_none_or(|known| known.revoked) => {
                Fault::new("gateway.revoked", Blame::NotAllowed, "this gateway was revoked")
                    .help("connect to another gateway, or tell the operator")
            }
            _ => match approved.by() {
                Some(approval) if self.shown_in_vain(approval).await => {
                    Fault::new("approval.unusable", Blame::NotAllowed, "the approval is not there to be used")
                        .help("connect again: it is asked anew")
                }
                _ => match fault {
                    EvidenceFault::Refused => {
                        let counted = self.counted(workload, writ.obligations.uses);
                        self.not_counted(counted, asked.open.client_key.as_ref()).await
                    }
                    other => no_evidence(other),
                },
            },
        }
    }

    async fn shown_in_vain(&self, id: ApprovalId) -> bool {
        let now = self.clock.now();
        self.approval(id).await.is_ok_and(|approval| approval.may_be_used(now).is_err())
    }

    async fn approved(
        &self,
        asked: &mut Asked<'_>,
        workload: &Workload,
        served: &Served,
        grant: Grant,
    ) -> Result<Settled, Fault> {
        let shown = asked.shown.take();
        let connection = Connection {
            gateway: asked.gateway,
            workload,
            target: &served.target.name,
            database: asked.open.database.as_deref(),
            client: address_of(&asked.open.client),
            client_key: asked.open.client_key.as_ref(),
            now: asked.now,
        };
        self.settle_grant(&connection, grant, shown).await
    }

    /// Why what was minted is not released: a freeze came into force meanwhile, or it cannot be written down.
    async fn not_logged(&self, writ: &Writ, fault: &EvidenceFault) -> Fault {
        match (fault, self.frozen_writ(writ).await) {
            (EvidenceFault::Refused, Some(frozen)) => frozen,
            _ => no_evidence(fault),
        }
    }

    async fn frozen_writ(&self, writ: &Writ) -> Option<Fault> {
        self.frozen(&writ.issuer, &writ.subject, &writ.target).await
    }

    fn decide(&self, asked: &mut Asked<'_>, workload: &Verified<Workload>, served: &Served) -> Result<Grant, Fault> {
        holder::proved(&binding(workload.get()), asked.open.client_key.as_ref())?;
        let in_force = self.policy.borrow().clone();
        asked.policy_hash = Some(in_force.bundle.hash().clone());
        let context = ConnectContext {
            now: asked.now,
            client_address: Some(address_of(&asked.open.client).to_owned()),
            database_role: asked.open.role.clone(),
            database: asked.open.database.clone(),
            client_key: asked.open.client_key.clone(),
            ttl_cap_seconds: self.settings.max_ttl.as_secs(),
        };
        writ_policy::connect(&in_force.bundle, workload, &served.target, &context).map_err(|denied| denied.fault())
    }

    fn draft(&self, asked: &Asked<'_>, workload: &Verified<Workload>, served: &Served, approved: &Approved) -> Writ {
        let (workload, grant) = (workload.get(), approved.grant());
        let obligations: Obligations = grant.obligations().clone();
        let (session, id) = approved.names();
        Writ {
            id,
            session,
            gateway: asked.gateway.id,
            issuer: workload.issuer.clone(),
            subject: workload.subject.clone(),
            target: served.target.name.clone(),
            provider: Some(served.provider.describe().kind.to_owned()),
            expires: after(asked.now, obligations.ttl_seconds),
            obligations,
            policy_hash: grant.policy_hash().clone(),
            policies: grant.policies().to_vec(),
            state: WritState::Intended,
            opened: asked.now,
            credential: None,
            closed: None,
        }
    }

    fn reply(&self, asked: &mut Asked<'_>, logged: Logged, served: &Arc<Served>) -> Result<OpenReply, Fault> {
        let mut data_key = Zeroizing::new([0; 32]);
        let random = SystemRandom::new().fill(data_key.as_mut_slice());
        random.map_err(|_| broken("random.failed", "no random numbers can be had"))?;
        let mask_key = (!logged.writ().obligations.masks.is_empty()).then(|| self.keys.mask.expose());
        let sealed = asked.gateway.sealing_key.seal_session(&logged, &data_key, mask_key);
        let sealed = sealed.map_err(|_| broken("seal.failed", "the gateway's key is no key"))?;
        let writ = logged.into_writ();
        let wrapped = self.keys.recording.wrap(writ.session, &data_key);
        let wrapped = wrapped.map_err(|fault| broken("recording.key", fault.to_string()))?;
        let workload = asked.workload.take().ok_or_else(|| broken("workload.lost", "the workload was lost"))?;
        Ok(OpenReply {
            session: writ.session,
            writ: writ.id,
            expires: writ.expires,
            remaining_seconds: remaining(self.clock.now(), writ.expires),
            obligations: writ.obligations,
            policy_hash: writ.policy_hash,
            workload,
            target: served.target.clone(),
            credential: sealed.credential,
            data_key: sealed.data_key,
            mask_key: sealed.mask_key,
            wrapped_data_key: Base64(wrapped),
        })
    }

    /// Nothing was minted, or nobody knows: the intent is settled, and whatever the target may have is taken back.
    async fn mint_failed(&self, writ: &Writ, fault: &ProviderFault) -> Fault {
        let now = self.clock.now();
        let failed = Writ { state: WritState::Failed, closed: Some(now), ..writ.clone() };
        let detail = cut(fault.detail());
        let event = Event::WritFailed { writ: writ.id, code: fault.code().to_owned(), detail };
        let end = Change::CloseSession {
            session: writ.session,
            at: now,
            end: writ_core::event::SessionEnd::NotOpened,
            commands: 0,
        };
        let mut changes = vec![Change::Writ(failed), end];
        if matches!(fault, ProviderFault::Unreachable(_)) {
            changes.push(Change::Revoke { writ: writ.id, due: now, attempts: 0 });
        }
        let written = self.evidence.write(vec![event], Vec::new(), changes).await;
        self.due.notify_one();
        let blame = if matches!(fault, ProviderFault::Misconfigured(_)) { Blame::Ours } else { Blame::Target };
        match written {
            Ok(()) => Fault::new(fault.code(), blame, fault.to_string())
                .help("try again; if it stays so, tell the operator and quote the request")
                .detail(fault.detail().to_owned()),
            Err(fault) => no_evidence(&fault),
        }
    }

    /// The reason is durable before the caller learns that it was refused.
    async fn refuse(&self, asked: &Asked<'_>, fault: Fault) -> Refusal {
        match fault.blame {
            Blame::NotAllowed | Blame::Peer => {
                tracing::info!(request = %asked.request, gateway = %asked.gateway.id, code = fault.code, "refused");
            }
            Blame::Target | Blame::Ours | Blame::Misuse => tracing::warn!(
                request = %asked.request,
                gateway = %asked.gateway.id,
                code = fault.code,
                detail = %fault.detail,
                "a session could not be opened"
            ),
        }
        metrics::counter!("writ_refused_total", "code" => fault.code).increment(1);
        let workload = asked.workload.as_ref();
        let event = Event::Refused {
            request: asked.request,
            gateway: Some(asked.gateway.id),
            code: fault.code.to_owned(),
            detail: cut(&fault.detail),
            issuer: workload.map(|workload| workload.issuer.clone()),
            subject: workload.map(|workload| workload.subject.clone()),
            target: Some(cut(&asked.open.target)),
            policy_hash: asked.policy_hash.clone(),
        };
        match self.evidence.event(event).await {
            Ok(()) => Refusal::new(as_told(fault), asked.request),
            Err(unwritable) => Refusal::new(no_evidence(&unwritable), asked.request),
        }
    }
}

/// One span for each issuance. Its fields are filled in as they become known; none of them is what a caller merely claims, and
/// none is a token or a secret.
fn span(request: RequestId, gateway: &GatewayIdentity) -> Span {
    tracing::info_span!(
        "issuance",
        %request,
        gateway = %gateway.id,
        workload = Empty,
        target = Empty,
        writ = Empty,
        session = Empty,
    )
}

/// The workload as it may stand in logs: the first 16 hexadecimal digits of SHA-256 over its issuer, a line feed and its
/// subject. Whoever knows both finds it; the log alone does not say who ran.
fn short_digest(workload: &Workload) -> String {
    let both = format!("{}\n{}", workload.issuer, workload.subject);
    let digest = digest(&SHA256, both.as_bytes());
    crate::keys::files::hex(digest.as_ref().get(..8).unwrap_or_default())
}

/// What must hold in the transaction of the intent: that the gateway was not revoked since the request began, which may be a
/// while ago, since a gateway may take its time over the body; that nothing of it is frozen; and that the token may open one
/// session more with the key that the client proved, which is counted.
fn conditions(asked: &Asked<'_>, workload: &Workload, writ: &Writ, counted: Option<Counted>) -> Vec<Condition> {
    let parties = parties(workload).into_iter();
    let mut conditions: Vec<Condition> =
        parties.map(|(issuer, subject)| not_frozen(&issuer, &subject, &writ.target)).collect();
    if asked.gateway.id != GatewayId::BROKER {
        conditions.push(Condition::GatewayGood(asked.gateway.id));
    }
    if let Some(Counted { key, uses }) = counted {
        // Where humans are asked it was kept for longer when they were, since it may be shown for longer.
        let (expires, holder) = (remembered(workload), asked.open.client_key.clone());
        conditions.push(Condition::Use { key, expires, uses, holder });
    }
    conditions
}

/// The workload and those who act for it, each of whom may be frozen. Who names no issuer is of the workload's.
pub(crate) fn parties(workload: &Workload) -> Vec<(Issuer, Subject)> {
    let actors = actors(&workload.claims).unwrap_or_default().into_iter();
    let actors = actors.map(|actor| (actor.issuer.unwrap_or_else(|| workload.issuer.clone()), actor.subject));
    core::iter::once((workload.issuer.clone(), workload.subject.clone())).chain(actors).collect()
}

fn intended(asked: &Asked<'_>, workload: &Workload, writ: &Writ, approval: Option<ApprovalId>) -> Event {
    Event::WritIntended {
        request: asked.request,
        writ: writ.id,
        session: writ.session,
        gateway: writ.gateway,
        workload: facts(workload),
        target: writ.target.clone(),
        database: asked.open.database.as_deref().map(cut),
        client: cut(&asked.open.client),
        client_key: asked.open.client_key.clone(),
        reason: asked.open.reason.clone(),
        obligations: Box::new(writ.obligations.clone()),
        policy_hash: writ.policy_hash.clone(),
        policies: writ.policies.clone(),
        expires: writ.expires,
        approval: approval.map(Box::new),
    }
}

/// The workload as evidence names it.
pub(crate) fn facts(workload: &Workload) -> WorkloadFacts {
    WorkloadFacts {
        issuer: workload.issuer.clone(),
        subject: workload.subject.clone(),
        token_kind: workload.token_kind,
        token_id: workload.token_id.clone(),
        // A chain that is not well formed was refused with its token.
        actors: actors(&workload.claims).unwrap_or_default(),
    }
}

/// The same words as for a target that policy does not give.
fn unknown_target() -> Fault {
    Fault::new("target.unknown", Blame::NotAllowed, Denied::PUBLIC)
        .help("ask the operator of this gateway, and quote the request")
        .detail("there is no target of this name")
}

/// A gateway that was stolen learns nothing of targets that it does not serve: the same words again.
fn not_served() -> Fault {
    Fault { code: "target.not_served", ..unknown_target() }
        .detail("the target lacks a label that the gateway was enrolled for: enrol a gateway for it")
}

/// Nothing is minted for a gateway that could not use it. In the words of a target that is not there.
fn other_protocol(target: &Target, open: &OpenRequest) -> Fault {
    let (speaks, spoken) = (target.protocol.as_str(), open.protocol.as_str());
    Fault { code: "target.protocol", ..unknown_target() }.detail(format!(
        "the target speaks `{speaks}` and the client `{spoken}`: connect through a listener for `{speaks}`"
    ))
}

/// A trial asks nobody.
fn held_trial() -> Fault {
    Fault::new("trial.held", Blame::NotAllowed, "policy lets you in once humans have approved, and a trial asks nobody")
        .help("connect through a gateway: then they are asked")
}

/// Nothing is intended: the target would not answer.
fn resting(target: &Target, rest: Duration) -> Fault {
    Fault::new("target.resting", Blame::Target, "the target does not answer and is left alone for a moment")
        .help("try again in a minute; if it stays so, tell the operator and quote the request")
        .detail(format!(
            "`{}` did not answer several times in a row: it is called again in {} s",
            target.name,
            rest.as_secs() + 1
        ))
}

/// The fault as the caller may know it: why a token was refused, and whether a target is there, stand in the ledger alone.
fn as_told(fault: Fault) -> Fault {
    let code = match fault.code {
        code if code.starts_with("identity.") => "identity.refused",
        code if code.starts_with("policy.")
            || matches!(code, "target.unknown" | "target.not_served" | "target.protocol") =>
        {
            "access.refused"
        }
        code => code,
    };
    Fault { code, ..fault }
}

fn broken(code: &'static str, detail: impl Into<String>) -> Fault {
    Fault::new(code, Blame::Ours, "the broker failed")
        .help("tell the operator, and quote the request")
        .detail(detail.into())
}

fn remaining(now: Timestamp, expires: Timestamp) -> u64 {
    u64::try_from(expires.duration_since(now).as_secs()).unwrap_or(0)
}

/// An address without its port.
fn address_of(client: &str) -> &str {
    match client.parse::<std::net::SocketAddr>() {
        Ok(_) => client.rsplit_once(':').map_or(client, |(address, _)| address.trim_matches(['[', ']'])),
        Err(_) => client,
    }
}

/// The longest text from outside that an event holds.
const MAX_TEXT: usize = 2048;

/// Text from outside, cut to what an event may hold; what was cut is said.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}... ({} bytes)", text.get(..at).unwrap_or_default(), text.len()),
    }
}
