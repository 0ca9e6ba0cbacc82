//! What a provider's test gives to the kit, and the writs that the kit makes.

use std::collections::BTreeMap;
use std::time::Duration;

use writ_core::credential::Credential;
use writ_core::grant::{Obligations, PolicyHash, RecordLevel};
use writ_core::id::{GatewayId, SessionId, WritId};
use writ_core::proof::Intended;
use writ_core::provider::{Pending, Provider};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::{Timestamp, after};
use writ_core::workload::{Issuer, Subject};
use writ_core::writ::{Writ, WritState};

/// A provider over its real target, and the target's own eyes.
pub trait Harness: Sync {
    /// The provider under test.
    fn provider(&self) -> &dyn Provider;

    /// The role that writs name, where the target has roles.
    fn role(&self) -> Option<String>;

    /// Logs in to the target with a credential and keeps the session open. `None` where the target refuses.
    fn login<'a>(&'a self, principal: &'a str, secret: &'a [u8]) -> Pending<'a, Option<Box<dyn LiveSession>>>;

    /// Whether the target knows the principal.
    fn knows<'a>(&'a self, principal: &'a str) -> Pending<'a, bool>;

    /// When the principal's credential ends, by the target's own account.
    fn end_of<'a>(&'a self, principal: &'a str) -> Pending<'a, Option<Timestamp>>;

    /// The same provider over a target that refuses connections, where it connects at all.
    fn down(&self) -> Option<&dyn Provider>;

    /// The same provider over a target that takes connections and never answers, where it connects at all.
    fn silent(&self) -> Option<&dyn Provider>;

    /// A role that the target refuses to grant, where the target has roles.
    fn refused_role(&self) -> Option<String>;

    /// Whether the target keeps what was minted for it. One that checks a signature, and a list of what was taken back, cannot
    /// tell a second mint for a writ from the first, and has nothing to be swept.
    fn keeps(&self) -> bool {
        self.provider().describe().revocable
    }

    /// Whether taking back and sweeping ask the target what there is, even for a writ of which nothing is known.
    fn looks_there(&self) -> bool {
        self.keeps()
    }

    /// The shortest life that the target grants: a credential for a shorter writ lives this long, and the gateway ends the
    /// session before it.
    fn shortest_life(&self) -> Duration {
        Duration::ZERO
    }

    /// By what the target tells this writ's credential from another's: its principal, unless writs share that.
    fn mark(&self, writ: &Writ, credential: &Credential) -> String {
        let _ = writ;
        credential.principal.clone()
    }

    /// When this very credential ends, by the target's own account, where its principal does not say.
    fn end_of_this<'a>(&'a self, credential: &'a Credential) -> Pending<'a, Option<Timestamp>> {
        self.end_of(&credential.principal)
    }

    /// How long the target may go on taking a credential after its revocation, with room: some remember for a while that they
    /// took it.
    fn forgets_within(&self) -> Duration {
        Duration::ZERO
    }

    /// The same provider over a target in trouble, where it can get into this one.
    fn troubled(&self, trouble: Trouble) -> Option<&dyn Provider> {
        let _ = trouble;
        None
    }

    /// Secrets that must show nowhere: the provider's own password among them.
    fn canaries(&self) -> Vec<String>;
}

/// What may go wrong at a target, or between it and Writ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// What Writ shows is for another audience than the target's.
    WrongAudience,
    /// What Writ shows has expired.
    ExpiredAssertion,
    /// The target trusts another issuer, or another subject.
    Untrusted,
    /// The target asks every caller to come back later.
    Throttled,
    /// The target answers that it failed.
    ServerError,
    /// The target's answer ends in its middle.
    CutShort,
    /// The target says that what it gave lives for years.
    FarExpiry,
    /// The target's clock is ten minutes ahead of Writ's.
    ClockAhead,
    /// The target's clock is ten minutes behind Writ's.
    ClockBehind,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::WrongAudience,
        Self::ExpiredAssertion,
        Self::Untrusted,
        Self::Throttled,
        Self::ServerError,
        Self::CutShort,
        Self::FarExpiry,
        Self::ClockAhead,
        Self::ClockBehind,
    ];
}

/// An open session at the target.
pub trait LiveSession: Send + Sync {
    /// Whether it still answers.
    fn answers(&self) -> Pending<'_, bool>;
}

/// A writ that ends `life` from now, for the harness's role.
#[must_use]
pub fn writ(role: Option<String>, life: Duration) -> Writ {
    let now = Timestamp::now();
    Writ {
        id: WritId::fresh(),
        session: SessionId::fresh(),
        gateway: GatewayId::fresh(),
        issuer: Issuer::new("https://issuer.test"),
        subject: Subject::new("repo:writ/kit"),
        target: name(),
        provider: None,
        obligations: Obligations {
            ttl_seconds: life.as_secs(),
            role,
            scope: None,
            record: RecordLevel::Commands,
            uses: 1,
            connection_limit: None,
            limits: Box::default(),
            masks: Vec::new(),
        },
        policy_hash: PolicyHash::new("0".repeat(64)),
        policies: vec!["kit".to_owned()],
        state: WritState::Intended,
        opened: now,
        expires: after(now, life.as_secs()),
        credential: None,
        closed: None,
    }
}

/// What a provider mints for.
#[expect(clippy::disallowed_methods, reason = "the kit plays the broker, whose ledger took the intent")]
#[must_use]
pub fn intended(writ: &Writ) -> Intended {
    Intended::durable(writ.clone())
}

/// The target that the kit names in its calls. Providers hold their own target's address.
pub(crate) fn target() -> Target {
    Target {
        name: name(),
        labels: BTreeMap::new(),
        protocol: Protocol::Postgres,
        address: Address { host: "localhost".to_owned(), port: 1, tls: UpstreamTls::Disable, ca_pem: None },
        provider: "kit".to_owned(),
    }
}

#[expect(clippy::expect_used, reason = "a constant that is a target's name")]
fn name() -> TargetName {
    TargetName::new("kit").expect("a target's name")
}
