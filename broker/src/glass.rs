//! Break-glass: one human lets what is held go on alone, in an emergency, and two others review that later.
//!
//! It takes an action of its own in policy, and replaces neither the digest nor the rule that nobody answers for themselves. What must
//! never happen: that the one who broke the glass reviews it, that it is forgotten before two others have, or that the local admin
//! token, which is no human, does either.

use writ_broker_api::approval::{BreakGlassRequest, ReviewRequest};
use writ_core::approval::{Approval, ApprovalState, BrokenGlass, Review};
use writ_core::event::Event;
use writ_core::id::ApprovalId;

use crate::approvals::{belongs, saw, settle, waits};
use crate::broker::Broker;
use crate::humans::Permitted;
use crate::refusal::Refusal;
use crate::revoke::check_reason;

impl Broker {
    /// Lets what is asked about go on, by one human alone, however many policy asks for.
    ///
    /// # Errors
    /// [`Refusal`] if nobody waits for it any more, the human is its requester or none (the admin token), saw something else, or
    /// gives no reason; or if it cannot be written down.
    pub async fn break_glass(
        &self,
        id: ApprovalId,
        by: &Permitted,
        request: &BreakGlassRequest,
    ) -> Result<Approval, Refusal> {
        check_reason(&request.reason)?;
        human(by)?;
        let broken = self
            .change(id, |approval, now| {
                waits(approval, now)?;
                saw(approval, by, &request.digest)?;
                let (by, reason) = (by.actor(), request.reason.clone());
                let event = Event::GlassBroken {
                    approval: id,
                    by: by.clone(),
                    reason: reason.clone(),
                    digest: approval.digest.clone(),
                };
                let due = BrokenGlass::REVIEWS;
                approval.broken = Some(Box::new(BrokenGlass { by, reason, at: now, reviews: Vec::new(), due }));
                Ok(Some([vec![event], settle(approval, ApprovalState::Approved, now)].concat()))
            })
            .await?;
        tracing::warn!(approval = %id, session = %broken.session, "a glass was broken: two reviews are due");
        metrics::counter!("writ_glass_broken_total").increment(1);
        self.ordered.notify_waiters();
        Ok(broken)
    }

    /// Takes what another human says of it later.
    ///
    /// # Errors
    /// [`Refusal`] if no review is due, the human is its requester, the one who broke the glass, one who reviewed it already, none of
    /// its approvers or none at all (the admin token), saw something else, or gives no reason; or if it cannot be written down.
    pub async fn review_glass(
        &self,
        id: ApprovalId,
        by: &Permitted,
        request: &ReviewRequest,
    ) -> Result<Approval, Refusal> {
        check_reason(&request.reason)?;
        human(by)?;
        let reviewed = self
            .change(id, |approval, now| {
                saw(approval, by, &request.digest)?;
                belongs(approval, by)?;
                let broken = approval.broken.as_mut().filter(|broken| broken.due > 0);
                let broken = broken.ok_or_else(|| Refusal::conflict("no review of it is due"))?;
                let (by, reason, justified) = (by.actor(), request.reason.clone(), request.justified);
                if broken.by == by {
                    return Err(Refusal::conflict("nobody reviews what they did themselves"));
                }
                if broken.reviews.iter().any(|review| review.by == by) {
                    return Err(Refusal::conflict("you have reviewed it already"));
                }
                broken.due -= 1;
                let due = broken.due;
                broken.reviews.push(Review { by: by.clone(), justified, reason: reason.clone(), at: now });
                Ok(Some(vec![Event::GlassReviewed { approval: id, by, justified, reason, due }]))
            })
            .await?;
        if !request.justified {
            tracing::warn!(approval = %id, "a reviewer says that a glass should not have been broken");
        }
        Ok(reviewed)
    }
}

fn human(by: &Permitted) -> Result<(), Refusal> {
    if by.is_human() {
        return Ok(());
    }
    Err(Refusal::conflict("the admin token is no human: log in with `writ login`"))
}
