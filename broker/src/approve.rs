//! Approval of a connection: a grant that asks for no human goes on at once, one that does by an approval of exactly what it opens.
//!
//! A connection that is held has no session, no writ in the store and no credential: what is kept of it is the question, with the
//! names that session and writ will have. The gateway waits, and opens again with the approval's name. Then everything is verified and
//! decided anew, the token as of when it was asked about, and must come to the same digest. The approval is used in the
//! transaction of the intent. What must never happen: a credential before the approval, two sessions by one, or a session that is
//! another than the one that was shown.

use writ_broker_api::approval::{About, connection_digest};
use writ_core::approval::{Approval, ApprovalState, Waits};
use writ_core::client::ClientKey;
use writ_core::event::Event;
use writ_core::fault::{Blame, Fault};
use writ_core::grant::{Grant, RecordLevel};
use writ_core::id::{ApprovalId, SessionId, WritId};
use writ_core::statement::Fingerprint;
use writ_core::target::TargetName;
use writ_core::time::{Timestamp, after};
use writ_core::verdict::HoldTerms;
use writ_core::workload::Workload;

use crate::broker::{Broker, GatewayIdentity};
use crate::freeze::not_frozen;
use crate::store::{Change, Condition, MAX_APPROVALS};

/// What every connection is, for windows: those of one workload to one target are like each other.
const CONNECTION: Fingerprint = Fingerprint(*b"writ connection.");
/// How many connections of one workload to one target may wait at once.
const MOST_WAITING: usize = 16;

/// A grant that every human whom it asks for has approved. Made here alone.
#[derive(Debug)]
pub struct Approved {
    grant: Grant,
    by: Option<Approval>,
}

impl Approved {
    /// The grant.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// The approval by which it goes on, where it asks for one.
    #[must_use]
    pub fn by(&self) -> Option<ApprovalId> {
        self.by.as_ref().map(|approval| approval.id)
    }

    /// The names of session and writ: those that were approved.
    pub(crate) fn names(&self) -> (SessionId, WritId) {
        self.by
            .as_ref()
            .map_or_else(|| (SessionId::fresh(), WritId::fresh()), |approval| (approval.session, approval.writ))
    }

    /// What has to stand in the transaction of the intent: that it was not used before, and that it is used.
    pub(crate) fn used(&self) -> Option<(Condition, Change, Event)> {
        let approval = self.by.as_ref()?;
        let condition = Condition::Approval { id: approval.id, version: approval.version };
        let used = Approval { version: approval.version + 1, state: ApprovalState::Used, ..approval.clone() };
        let event = Event::ApprovalSettled { approval: used.id, state: used.state, window: used.by_window };
        Some((condition, Change::Approval(used), event))
    }
}

/// What became of a grant.
pub(crate) enum Settled {
    /// It goes on.
    Approved(Box<Approved>),
    /// Humans are asked.
    Held(Box<Approval>),
}

/// What a connection would be, for the humans who are asked and for the digest.
pub(crate) struct Connection<'a> {
    pub(crate) gateway: &'a GatewayIdentity,
    pub(crate) workload: &'a Workload,
    pub(crate) target: &'a TargetName,
    pub(crate) database: Option<&'a str>,
    /// The client's address without its port.
    pub(crate) client: &'a str,
    /// The key that the client proved, if it did.
    pub(crate) client_key: Option<&'a ClientKey>,
    pub(crate) now: Timestamp,
}

impl Broker {
    /// The approval that a gateway shows for an opening. It was asked by the same gateway, for a connection.
    pub(crate) async fn shown(&self, gateway: &GatewayIdentity, id: ApprovalId) -> Result<Approval, Fault> {
        let found = self.approval(id).await.map_err(|refusal| refusal.fault)?;
        if found.gateway == gateway.id && found.waits == Waits::Connection {
            return Ok(found);
        }
        Err(unusable("the approval is not one of this gateway's for a connection"))
    }

    /// Lets a grant go on, or asks the humans whom it asks for. `shown` is what the gateway shows as their answer.
    pub(crate) async fn settle_grant(
        &self,
        connection: &Connection<'_>,
        grant: Grant,
        shown: Option<Approval>,
    ) -> Result<Settled, Fault> {
        let Some(terms) = grant.hold().cloned() else {
            // The token was verified as of then, which only an approval that is used excuses.
            if shown.is_some() {
                return Err(unusable("policy asks for no approval any more"));
            }
            return Ok(Settled::Approved(Box::new(Approved { grant, by: None })));
        };
        let question = connection.question(&grant, terms);
        if let Some(approval) = shown {
            if approval.digest != question.digest {
                return Err(unusable("what would be opened is not what was approved")
                    .detail(format!("{} was asked, {} is opened", approval.digest, question.digest)));
            }
            approval.may_be_used(connection.now).map_err(unusable)?;
            return Ok(Settled::Approved(Box::new(Approved { grant, by: Some(approval) })));
        }
        // Humans are not asked in vain, and how the token was used is known for as long as their answer may be shown.
        let counted = self.counted(connection.workload, grant.obligations().uses);
        if let Some(counted) = &counted {
            self.usable(counted, connection.client_key).await?;
        }
        let kept = counted.map(|counted| Change::KeepUses { token: counted.key, until: shown_until(&question) });
        self.room(&question).await?;
        let asked = self.put_question(question, kept, connection.now).await.map_err(|refusal| refusal.fault)?;
        self.announce(&asked);
        if asked.state == ApprovalState::Approved {
            return Ok(Settled::Approved(Box::new(Approved { grant, by: Some(asked) })));
        }
        Ok(Settled::Held(Box::new(asked)))
    }

    /// Whether one question more may be put.
    async fn room(&self, question: &Approval) -> Result<(), Fault> {
        let open = self.store.approvals(true).await.map_err(|fault| crate::refusal::no_evidence(&fault.into()))?;
        let same = |other: &&Approval| {
            other.waits == Waits::Connection
                && (&other.issuer, &other.subject, &other.target)
                    == (&question.issuer, &question.subject, &question.target)
        };
        if open.len() < MAX_APPROVALS && open.iter().filter(same).count() < MOST_WAITING {
            return Ok(());
        }
        Err(Fault::new("approval.many", Blame::NotAllowed, "too many connections wait for approvals")
            .help("try again when some of them were answered"))
    }
}

impl Connection<'_> {
    fn question(&self, grant: &Grant, terms: HoldTerms) -> Approval {
        let Workload { issuer, subject, token_id, .. } = self.workload;
        let role = grant.obligations().role.clone();
        let database = self.database.unwrap_or_default();
        let about = About { issuer, subject, target: self.target, role: role.as_deref(), database, schemas: &[] };
        let words = self.words(grant);
        let digest = connection_digest(&about, &words, &token_id.replay_key(issuer), grant.policy_hash());
        Approval {
            id: ApprovalId::fresh(),
            version: 1,
            waits: Waits::Connection,
            gateway: self.gateway.id,
            session: SessionId::fresh(),
            writ: WritId::fresh(),
            issuer: issuer.clone(),
            subject: subject.clone(),
            target: self.target.clone(),
            role,
            database: database.to_owned(),
            schemas: Vec::new(),
            statement: words,
            parameters: Vec::new(),
            fingerprint: CONNECTION,
            digest,
            policies: terms.policies,
            policy_hash: grant.policy_hash().clone(),
            groups: terms.groups,
            needed: terms.needed,
            asked: self.now,
            expires: after(self.now, terms.timeout_seconds),
            state: ApprovalState::Asked,
            settled: None,
            votes: Vec::new(),
            broken: None,
            window: None,
            by_window: None,
        }
    }

    /// The connection in words. What comes from outside can make no line of its own.
    fn words(&self, grant: &Grant) -> String {
        let obligations = grant.obligations();
        let role = obligations.role.as_deref().unwrap_or("a role of the provider").escape_debug();
        let database = self.database.unwrap_or("as configured").escape_debug();
        let record = match obligations.record {
            RecordLevel::Commands => "its commands",
            RecordLevel::Full => "all that flows",
        };
        let (target, client, ttl) = (self.target, self.client.escape_debug(), obligations.ttl_seconds);
        format!(
            "connect to {target} as {role}\ndatabase {database}, from {client}\nfor {ttl} s at most, recording {record}"
        )
    }
}

/// Under which condition a question may be put, or answered: whom it is for is still there.
pub(crate) fn stands(approval: &Approval) -> Condition {
    match approval.waits {
        Waits::Command => Condition::SessionOpen(approval.session),
        Waits::Connection => not_frozen(&approval.issuer, &approval.subject, &approval.target),
    }
}

/// Until when the answer may be shown: it comes at the question's end at the latest, is used soon after, and what it opens may take
/// as long again to be written down.
fn shown_until(question: &Approval) -> Timestamp {
    after(question.expires, 2 * Approval::USE_WITHIN.unsigned_abs())
}

fn unusable(why: &'static str) -> Fault {
    Fault::new("approval.unusable", Blame::NotAllowed, why).help("connect again: it is asked anew")
}
