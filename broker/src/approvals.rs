//! Approvals: a gateway asks about a command that it holds, humans answer, and the gateway uses the answer once. Connections that are held
//! are asked about, and opened, in [`crate::approve`].
//!
//! Each step is one transaction with its event, under the condition that nothing of the approval changed since it was read. What
//! must never happen: that the requester answers, that one human counts twice, that an answer to other bytes counts, that an
//! approval is used twice, or outside of its time or its session.

use writ_broker_api::approval::{
    About, ApprovalReply, ApprovalRequest, ApprovalsQuery, VoteRequest, WindowRequest, digest,
};
use writ_core::approval::{Approval, ApprovalState, Offer, Vote, Waits, Window};
use writ_core::event::{Actor, Event};
use writ_core::freeze::FreezeScope;
use writ_core::id::{ApprovalId, GatewayId};
use writ_core::statement::Fingerprint;
use writ_core::time::{SignedDuration, Timestamp};

use crate::approve::stands;
use crate::broker::{Broker, GatewayIdentity};
use crate::evidence::EvidenceFault;
use crate::humans::Permitted;
use crate::refusal::Refusal;
use crate::revoke::check_reason;
use crate::store::{Change, Condition, MAX_APPROVALS};

/// The longest that a command may wait, in seconds.
const LONGEST: u64 = 86_400;
/// The longest statement with its parameters, in bytes of what humans see.
const MAX_ASKED: usize = 160 << 10;
/// How many may have to approve.
const MAX_NEEDED: u32 = 10;
/// How many times a window may be used.
const MAX_TIMES: u32 = 1000;
/// How often a change is tried again that others came before.
const TRIES: u32 = 8;

impl Broker {
    /// Asks humans about a command that a gateway holds. Where a window covers it, it is approved at once.
    ///
    /// # Errors
    /// [`Refusal`] if the question is malformed, its session is not an open one of this gateway, too many are asked, or it
    /// cannot be written down.
    pub async fn ask_approval(
        &self,
        gateway: &GatewayIdentity,
        request: ApprovalRequest,
    ) -> Result<ApprovalReply, Refusal> {
        let session = self.own_session(gateway, request.session).await?;
        check(&request)?;
        if self.store.open_approvals().await? >= MAX_APPROVALS as u64 {
            return Err(Refusal::conflict(format!("{MAX_APPROVALS} approvals are asked for already")));
        }
        let now = self.clock.now();
        let writ = session.writ;
        let role = writ.obligations.role.clone();
        let about = About {
            issuer: &writ.issuer,
            subject: &writ.subject,
            target: &writ.target,
            role: role.as_deref(),
            database: &request.database,
            schemas: &request.schemas,
        };
        if digest(&about, &request.statement, &request.parameters, &request.policy_hash) != request.digest {
            return Err(Refusal::malformed("the digest is not that of the question"));
        }
        let approval = Approval {
            id: ApprovalId::fresh(),
            version: 1,
            waits: Waits::Command,
            gateway: gateway.id,
            session: writ.session,
            writ: writ.id,
            issuer: writ.issuer,
            subject: writ.subject,
            target: writ.target,
            role,
            database: request.database,
            schemas: request.schemas,
            statement: request.statement,
            parameters: request.parameters,
            fingerprint: request.fingerprint,
            digest: request.digest,
            policies: request.policies,
            policy_hash: request.policy_hash,
            groups: request.groups,
            needed: request.needed,
            asked: now,
            expires: after(now, i64::try_from(request.timeout_seconds).unwrap_or(i64::MAX)),
            state: ApprovalState::Asked,
            settled: None,
            votes: Vec::new(),
            broken: None,
            window: None,
            by_window: None,
        };
        let approval = self.put_question(approval, None, now).await?;
        self.announce(&approval);
        Ok(self.told(&approval))
    }

    /// A question was put.
    pub(crate) fn announce(&self, approval: &Approval) {
        let waits = approval.waits;
        tracing::info!(approval = %approval.id, session = %approval.session, ?waits, "humans are asked");
        metrics::counter!("writ_approvals_asked_total").increment(1);
        if approval.state == ApprovalState::Asked {
            self.tell(approval);
        }
    }

    /// Writes a question down, approved already where a window covers it, and with it what else has to be kept for its sake.
    pub(crate) async fn put_question(
        &self,
        asked: Approval,
        kept: Option<Change>,
        now: Timestamp,
    ) -> Result<Approval, Refusal> {
        for _ in 0..TRIES {
            let mut approval = asked.clone();
            let mut events = vec![asked_event(&approval)];
            let mut conditions = vec![stands(&approval)];
            let mut changes: Vec<Change> = kept.iter().cloned().collect();
            if let Some(mut open) = self.window_for(&approval, now).await? {
                conditions.push(Condition::Approval { id: open.id, version: open.version });
                open.version += 1;
                if let Some(window) = &mut open.window {
                    window.left = window.left.saturating_sub(1);
                }
                approval.by_window = Some(open.id);
                (approval.state, approval.settled) = (ApprovalState::Approved, Some(now));
                events.push(settled_event(&approval));
                changes.push(Change::Approval(open));
            }
            let windowed = approval.by_window.is_some();
            changes.push(Change::Approval(approval.clone()));
            match self.evidence.write(events, conditions, changes).await {
                Ok(()) => return Ok(approval),
                Err(EvidenceFault::Refused) if windowed => {}
                Err(EvidenceFault::Refused) => return Err(gone(&approval)),
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(Refusal::conflict("too many ask at once: ask again"))
    }

    async fn window_for(&self, asked: &Approval, now: Timestamp) -> Result<Option<Approval>, Refusal> {
        let windows = self.store.approval_windows(now).await?;
        Ok(windows.into_iter().find(|open| open.covers(asked, now)))
    }

    /// Where a question of a gateway's stands.
    ///
    /// # Errors
    /// [`Refusal`] if there is none of this gateway's.
    pub async fn gateways_approval(&self, gateway: &GatewayIdentity, id: ApprovalId) -> Result<ApprovalReply, Refusal> {
        Ok(self.told(&self.own_approval(gateway, id).await?))
    }

    /// Withdraws a question that its gateway does not wait for any more; one that is settled stays as it is.
    ///
    /// # Errors
    /// [`Refusal`] if there is none of this gateway's, or it cannot be written down.
    pub async fn withdraw_approval(&self, gateway: &GatewayIdentity, id: ApprovalId) -> Result<(), Refusal> {
        self.own_approval(gateway, id).await?;
        self.change(id, |approval, now| {
            let open = matches!(approval.state, ApprovalState::Asked | ApprovalState::Approved);
            Ok(open.then(|| settle(approval, ApprovalState::Withdrawn, now)))
        })
        .await
        .map(drop)
    }

    /// Uses an approval: the command goes on when this returns. Once.
    ///
    /// # Errors
    /// [`Refusal`] if it is not approved, was used, is over, or cannot be written down.
    pub async fn use_approval(&self, gateway: &GatewayIdentity, id: ApprovalId) -> Result<ApprovalReply, Refusal> {
        if self.own_approval(gateway, id).await?.waits != Waits::Command {
            return Err(Refusal::conflict("a connection's approval is used by opening its session"));
        }
        let used = self
            .change(id, |approval, now| {
                approval.may_be_used(now).map_err(Refusal::conflict)?;
                Ok(Some(settle(approval, ApprovalState::Used, now)))
            })
            .await?;
        Ok(self.told(&used))
    }

    /// Takes a human's answer.
    ///
    /// # Errors
    /// [`Refusal`] if the question is settled or over, the human is its requester or none of its approvers, has answered, saw
    /// something else, or gives no reason; or if it cannot be written down.
    pub async fn vote(&self, id: ApprovalId, by: &Permitted, request: &VoteRequest) -> Result<Approval, Refusal> {
        check_reason(&request.reason)?;
        request.window.map_or(Ok(()), check_window)?;
        let actor = by.actor();
        let voted = self
            .change(id, |approval, now| {
                may_vote(approval, by, request, now)?;
                let offer = request.window.map(|window| Offer { seconds: window.seconds, times: window.times });
                let (approve, reason) = (request.approve, request.reason.clone());
                approval.votes.push(Vote { by: actor.clone(), approve, reason: reason.clone(), at: now, offer });
                let event = Event::ApprovalVoted {
                    approval: id,
                    by: actor.clone(),
                    approve,
                    reason,
                    digest: approval.digest.clone(),
                };
                let mut events = vec![event];
                let given = approval.votes.iter().filter(|vote| vote.approve).count();
                if !approve {
                    events.extend(settle(approval, ApprovalState::Denied, now));
                } else if given >= approval.needed as usize {
                    approval.window = approval.offered().map(|offer| Window {
                        until: after(now, i64::try_from(offer.seconds).unwrap_or(i64::MAX)),
                        left: offer.times,
                    });
                    events.extend(settle(approval, ApprovalState::Approved, now));
                }
                Ok(Some(events))
            })
            .await?;
        metrics::counter!("writ_approvals_answered_total").increment(1);
        self.ordered.notify_waiters();
        Ok(voted)
    }

    /// What humans are asked now, or of all that is kept, newest first.
    ///
    /// # Errors
    /// [`Refusal`] if the store fails.
    pub async fn approvals(&self, which: &ApprovalsQuery) -> Result<Vec<Approval>, Refusal> {
        let now = self.clock.now();
        let all = which.all || which.to_review;
        let mut found = self.store.approvals(!all).await?;
        found.retain(|approval| (all || approval.expires > now) && (!which.to_review || approval.reviews_due() > 0));
        Ok(found)
    }

    /// One question.
    ///
    /// # Errors
    /// [`Refusal`] if there is none.
    pub async fn approval(&self, id: ApprovalId) -> Result<Approval, Refusal> {
        self.store.approval(id).await?.ok_or_else(|| Refusal::not_found("approval"))
    }

    /// What a gateway's questions came to of late, and has not been told of a use.
    pub(crate) async fn settled_approvals(&self, gateway: GatewayId) -> Result<Vec<ApprovalReply>, Refusal> {
        let since = after(self.clock.now(), -Approval::USE_WITHIN);
        let settled = self.store.settled_approvals(gateway, since).await?;
        Ok(settled.iter().map(|approval| self.told(approval)).collect())
    }

    /// Ends what nobody answered, or used, in time.
    pub(crate) async fn expire_approvals(&self) {
        let now = self.clock.now();
        let Ok(open) = self.store.approvals(true).await else { return };
        for approval in open.into_iter().filter(|approval| is_over(approval, now)) {
            let expired = self.change(approval.id, |approval, now| {
                Ok(is_over(approval, now).then(|| settle(approval, ApprovalState::Expired, now)))
            });
            if let Err(refusal) = expired.await {
                tracing::error!(code = refusal.fault.code, "an approval that is over cannot be settled");
            }
        }
    }

    async fn own_approval(&self, gateway: &GatewayIdentity, id: ApprovalId) -> Result<Approval, Refusal> {
        let approval = self.approval(id).await?;
        if approval.gateway == gateway.id { Ok(approval) } else { Err(Refusal::not_found("approval")) }
    }

    /// One step of an approval: `step` changes it and gives the events, or nothing where there is nothing to do.
    pub(crate) async fn change(
        &self,
        id: ApprovalId,
        step: impl Fn(&mut Approval, Timestamp) -> Result<Option<Vec<Event>>, Refusal>,
    ) -> Result<Approval, Refusal> {
        for _ in 0..TRIES {
            let mut approval = self.approval(id).await?;
            let (version, was) = (approval.version, approval.state);
            let Some(events) = step(&mut approval, self.clock.now())? else { return Ok(approval) };
            approval.version = version + 1;
            let mut conditions = vec![Condition::Approval { id, version }];
            let settles = approval.state != was;
            let goes_on = matches!(approval.state, ApprovalState::Approved | ApprovalState::Used);
            if approval.state == ApprovalState::Asked || goes_on && settles {
                conditions.push(stands(&approval));
            }
            match self.evidence.write(events, conditions, vec![Change::Approval(approval.clone())]).await {
                Ok(()) => {
                    if settles && approval.state != ApprovalState::Used {
                        self.tell(&approval);
                    }
                    return Ok(approval);
                }
                Err(EvidenceFault::Refused) => {
                    if !self.stands(&approval).await? {
                        return Err(gone(&approval));
                    }
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(Refusal::conflict("too many answer at once: answer again"))
    }

    /// Whether whom it is for is still there.
    async fn stands(&self, approval: &Approval) -> Result<bool, Refusal> {
        Ok(match approval.waits {
            Waits::Command => {
                self.store.session(approval.session).await?.is_some_and(|session| session.closed.is_none())
            }
            Waits::Connection => {
                let Approval { issuer, subject, target, .. } = approval;
                self.frozen(issuer, subject, target).await.is_none()
            }
        })
    }

    /// Withdraws what waits for connections that were frozen: nobody could open them.
    pub(crate) async fn withdraw_frozen(&self, scope: &FreezeScope) {
        let Ok(open) = self.store.approvals(true).await else { return };
        let covered = |approval: &&Approval| {
            approval.waits == Waits::Connection && scope.covers(&approval.issuer, &approval.subject, &approval.target)
        };
        for approval in open.iter().filter(covered) {
            let withdrawn = self.change(approval.id, |approval, now| {
                let open = matches!(approval.state, ApprovalState::Asked | ApprovalState::Approved);
                Ok(open.then(|| settle(approval, ApprovalState::Withdrawn, now)))
            });
            if let Err(refusal) = withdrawn.await {
                tracing::error!(code = refusal.fault.code, "an approval of what is frozen cannot be withdrawn");
            }
        }
    }

    pub(crate) fn told(&self, approval: &Approval) -> ApprovalReply {
        let denial = approval.votes.iter().find(|vote| !vote.approve).map(|vote| vote.reason.clone());
        let left = approval.expires.duration_since(self.clock.now()).as_secs();
        ApprovalReply {
            approval: approval.id,
            state: approval.state,
            reason: denial,
            place: self.place_of(approval),
            remaining_seconds: u64::try_from(left).unwrap_or(0),
        }
    }

    /// Where it is answered.
    pub(crate) fn place_of(&self, approval: &Approval) -> String {
        self.address(&format!("/v1/approvals/{}", approval.id))
    }
}

fn check(request: &ApprovalRequest) -> Result<(), Refusal> {
    let parameters = request.parameters.iter().filter_map(|parameter| parameter.value.as_ref()).map(String::len);
    let length = request.statement.len() + parameters.sum::<usize>();
    let names = request.policies.iter().chain(&request.groups).chain(&request.schemas).chain([&request.database]);
    let names = names.into_iter().all(|name| name.len() <= 256);
    let good = length <= MAX_ASKED
        && !request.statement.is_empty()
        && request.parameters.len() <= 1 << 16
        && (1..=MAX_NEEDED).contains(&request.needed)
        && (1..=LONGEST).contains(&request.timeout_seconds)
        && request.policies.len() <= 64
        && request.groups.len() <= 64
        && request.schemas.len() <= 64
        && names;
    if good { Ok(()) } else { Err(Refusal::malformed("the question is too long, or asks for what cannot be given")) }
}

fn check_window(window: WindowRequest) -> Result<(), Refusal> {
    if (1..=LONGEST).contains(&window.seconds) && (1..=MAX_TIMES).contains(&window.times) {
        return Ok(());
    }
    Err(Refusal::malformed(format!("a window lasts 1 to {LONGEST} s, for 1 to {MAX_TIMES} times")))
}

/// Whether a human saw what they answer, and did not ask for it themselves.
pub(crate) fn saw(approval: &Approval, by: &Permitted, digest: &str) -> Result<(), Refusal> {
    if digest != approval.digest {
        return Err(Refusal::conflict("the digest is not that of what is asked: look at it again"));
    }
    let Actor { issuer, subject } = by.actor();
    if (&issuer, &subject) == (&approval.issuer, &approval.subject) {
        return Err(Refusal::conflict("nobody approves what they asked for themselves"));
    }
    Ok(())
}

/// Whether somebody waits for an answer.
pub(crate) fn waits(approval: &Approval, now: Timestamp) -> Result<(), Refusal> {
    if approval.state == ApprovalState::Asked && now < approval.expires {
        return Ok(());
    }
    Err(Refusal::conflict("nobody waits for an answer any more"))
}

/// Whether a human is in a group that policy names.
pub(crate) fn belongs(approval: &Approval, by: &Permitted) -> Result<(), Refusal> {
    if approval.groups.is_empty() || approval.groups.iter().any(|group| by.groups().contains(group)) {
        return Ok(());
    }
    let groups = approval.groups.join("`, `");
    Err(Refusal::conflict(format!("a member of `{groups}` has to answer")))
}

fn may_vote(approval: &Approval, by: &Permitted, request: &VoteRequest, now: Timestamp) -> Result<(), Refusal> {
    waits(approval, now)?;
    saw(approval, by, &request.digest)?;
    belongs(approval, by)?;
    let Actor { issuer, subject } = by.actor();
    if approval.votes.iter().any(|vote| (&vote.by.issuer, &vote.by.subject) == (&issuer, &subject)) {
        return Err(Refusal::conflict("you have answered already"));
    }
    if request.window.is_some() && approval.fingerprint == Fingerprint::default() {
        return Err(Refusal::conflict(
            "what this statement does stands in its literals too, or it is several: it is approved for this once alone",
        ));
    }
    Ok(())
}

fn is_over(approval: &Approval, now: Timestamp) -> bool {
    match approval.state {
        ApprovalState::Asked => now >= approval.expires,
        ApprovalState::Approved => approval.may_be_used(now).is_err(),
        _ => false,
    }
}

fn gone(approval: &Approval) -> Refusal {
    Refusal::conflict(match approval.waits {
        Waits::Command => "the session that waits for it has ended",
        Waits::Connection => "access was frozen",
    })
}

/// Settles it, and gives the event of that.
pub(crate) fn settle(approval: &mut Approval, state: ApprovalState, now: Timestamp) -> Vec<Event> {
    approval.state = state;
    if state != ApprovalState::Used {
        approval.settled = Some(now);
    }
    vec![settled_event(approval)]
}

fn settled_event(approval: &Approval) -> Event {
    Event::ApprovalSettled { approval: approval.id, state: approval.state, window: approval.by_window }
}

fn asked_event(approval: &Approval) -> Event {
    Event::ApprovalAsked {
        approval: approval.id,
        session: approval.session,
        writ: approval.writ,
        digest: approval.digest.clone(),
        policies: approval.policies.clone(),
        policy_hash: approval.policy_hash.clone(),
        groups: approval.groups.clone(),
        needed: approval.needed,
    }
}

fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
