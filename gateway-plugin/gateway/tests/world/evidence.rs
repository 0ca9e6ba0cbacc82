//! A fake of the plugin: it admits whoever shows the right token, judges by tag, and keeps every record in memory.
//!
//! It holds the gateway to its promise: what is staged and not committed is not on record, and a proof is made only of a
//! commit that stood.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use writ_core::command::{Command, CommandId, CommandTag};
use writ_core::credential::Secret;
use writ_core::event::SessionEnd;
use writ_core::fault::{Blame, Fault};
use writ_core::grant::PolicyHash;
use writ_core::id::{GatewayId, SessionId, WritId};
use writ_core::proof::{Clearance, Recorded};
use writ_core::target::Target;
use writ_core::time::Timestamp;
use writ_gateway::evidence::{
    Answer, Ending, Evidence, Gate, Held, Judged, Later, Live, LoggedIn, Moment, OpenRequest, Opened, Opening,
};
use writ_gateway::masking::Masks;
use writ_mask::action::MaskKey;
use writ_mask::rules::RuleSet;
use writ_mask::{Identity, Mask};
use writ_plugin::masks::Masking;
use writ_record::entry::{Flow, OutcomeRecord, Parameter, Text};
use writ_wire_postgres::error::CANCELLED;

/// The token that is admitted.
pub(crate) const TOKEN: &str = "token-4b1d-of-the-workload";
/// What a denied client is told.
pub(crate) const DENIED: &str = "this kind of command is not allowed here";

/// A command whose text, or first parameter, has this waits until [`Fake::given`] reaches its turn.
pub(crate) const WAITS: &str = "waits";
/// Of one that waits and has this, the client is told so.
pub(crate) const TOLD: &str = "told";
/// A command whose text has this is denied.
pub(crate) const FORBIDDEN: &str = "forbidden";

/// What is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A session began.
    Open,
    /// A command: its tag, its text where it stood in memory, its parameters, and whether it was allowed.
    Command { id: CommandId, tag: CommandTag, text: String, parameters: Vec<Option<Vec<u8>>>, allowed: bool },
    /// A part of a long command.
    Spill { offset: u64, bytes: Vec<u8> },
    /// How a command came out.
    Outcome { ending: writ_record::entry::Ending, masked: u64 },
    /// How many bytes flowed back or were uploaded.
    Rows { flow: Flow, bytes: usize },
    /// A session ended.
    Close(SessionEnd, String),
}

/// What the fake does, for a test to set, and what it saw.
pub(crate) struct Fake {
    pub(crate) target: Target,
    pub(crate) principal: String,
    pub(crate) password: String,
    pub(crate) ttl: Duration,
    pub(crate) deny: Vec<CommandTag>,
    pub(crate) lengthen: bool,
    /// Rules, by which a mask is made.
    pub(crate) masks: Option<String>,
    /// Whether sessions that begin now have no mask all the same.
    pub(crate) unmasked: AtomicBool,
    /// Whether connections wait for an answer, and which it is.
    pub(crate) connections: Option<watch::Sender<Option<Result<(), Fault>>>>,
    /// How long they may wait.
    pub(crate) hold: Duration,
    /// How many waiting connections were given up, or answered.
    pub(crate) unwanted: AtomicU32,
    /// What flowed back, as it was recorded.
    pub(crate) flowed: Mutex<Vec<u8>>,
    /// How many verdicts on texts with [`WAITS`] may be given; the others wait.
    pub(crate) given: watch::Sender<u32>,
    pub(crate) fail_judge: AtomicBool,
    pub(crate) fail_commit: AtomicBool,
    pub(crate) opens: AtomicU32,
    pub(crate) abandoned: Mutex<Vec<&'static str>>,
    pub(crate) admitted: Mutex<Vec<(SessionId, WritId)>>,
    pub(crate) kill: watch::Sender<Option<Ending>>,
    records: Mutex<Vec<Entry>>,
}

impl Fake {
    pub(crate) fn new(target: Target, principal: &str, password: &str) -> Self {
        Self {
            target,
            principal: principal.to_owned(),
            password: password.to_owned(),
            ttl: Duration::from_hours(1),
            deny: Vec::new(),
            lengthen: false,
            masks: None,
            unmasked: AtomicBool::new(false),
            connections: None,
            hold: Duration::from_secs(60),
            unwanted: AtomicU32::new(0),
            flowed: Mutex::new(Vec::new()),
            given: watch::channel(0).0,
            fail_judge: AtomicBool::new(false),
            fail_commit: AtomicBool::new(false),
            opens: AtomicU32::new(0),
            abandoned: Mutex::new(Vec::new()),
            admitted: Mutex::new(Vec::new()),
            kill: watch::channel(None).0,
            records: Mutex::new(Vec::new()),
        }
    }

    /// What was committed so far.
    pub(crate) fn records(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.records.lock().unwrap()
    }

    /// The sessions that ended so far: how, and by which fault.
    pub(crate) fn ends(&self) -> Vec<(SessionEnd, String)> {
        let close = |entry: &Entry| if let Entry::Close(end, code) = entry { Some((*end, code.clone())) } else { None };
        self.records().iter().filter_map(close).collect()
    }

    /// The texts of the commands that were allowed (or were not).
    pub(crate) fn texts(&self, wanted: bool) -> Vec<String> {
        let text = |entry: &Entry| match entry {
            Entry::Command { text, allowed, .. } if *allowed == wanted => Some(text.clone()),
            _ => None,
        };
        self.records().iter().filter_map(text).collect()
    }
}

/// The fake, as the gateway sees it.
pub(crate) struct Shared(pub(crate) Arc<Fake>);
/// One worker's part: what is staged.
pub(crate) struct FakeGate(Arc<Fake>, VecDeque<Entry>, bool);
/// That a commit stood.
pub(crate) struct Flushed(());
/// A session's place.
pub(crate) struct FakeLive(watch::Receiver<Option<Ending>>);

fn full() -> Fault {
    Fault::new("spool.full", Blame::Ours, "the session cannot be recorded")
}

/// A connection that waits; counted once it does not.
struct Wanted(Arc<Fake>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.unwanted.fetch_add(1, Ordering::SeqCst);
    }
}

fn by_rules(rules: &str) -> Masks {
    let rules = RuleSet::new(&toml::from_str(rules).unwrap()).unwrap();
    Masks::Rules(Masking { rules: Arc::new(rules), key: Arc::new(MaskKey::derive(&[7; 32])) })
}

impl Evidence for Shared {
    type Ticket = ();
    type Gate = FakeGate;
    type Live = FakeLive;

    fn gateway(&self) -> GatewayId {
        GatewayId::fresh()
    }

    async fn open(&self, request: OpenRequest) -> Result<Opening<()>, Fault> {
        let fake = &self.0;
        fake.opens.fetch_add(1, Ordering::SeqCst);
        if request.token.as_slice() != TOKEN.as_bytes() {
            return Err(Fault::new("token.signature", Blame::NotAllowed, "the token is not accepted"));
        }
        let (session, writ) = (SessionId::fresh(), WritId::fresh());
        fake.admitted.lock().unwrap().push((session, writ));
        let mask: Box<dyn Mask> =
            if fake.lengthen { Box::new(super::mask::Doubling::default()) } else { Box::new(Identity) };
        let opened = Opened {
            session,
            writ,
            target: fake.target.clone(),
            principal: fake.principal.clone(),
            secret: Secret::new(fake.password.clone().into_bytes()),
            deadline: Instant::now() + fake.ttl,
            mask: match fake.masks.as_deref() {
                Some(rules) if !fake.unmasked.load(Ordering::SeqCst) => by_rules(rules),
                _ => Masks::Ready(mask),
            },
            asks_target: false,
            settings: Vec::new(),
            ticket: (),
        };
        let Some(mut answers) = fake.connections.as_ref().map(watch::Sender::subscribe) else {
            return Ok(Opening::Open(Box::new(opened)));
        };
        let (place, limit) = ("https://broker.example/apr".to_owned(), fake.hold);
        let wanted = Wanted(Arc::clone(fake));
        let answered = async move {
            let answer = answers.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
            drop(wanted);
            match answer {
                Some(Ok(())) => Ok(opened),
                Some(Err(fault)) => Err(fault),
                None => Err(full()),
            }
        };
        Ok(Opening::Held(Held { place, limit, opened: Box::pin(answered) }))
    }

    fn gate(&self, _: u32) -> Result<FakeGate, Fault> {
        Ok(FakeGate(Arc::clone(&self.0), VecDeque::new(), false))
    }

    fn register(&self, _: SessionId) -> FakeLive {
        FakeLive(self.0.kill.subscribe())
    }

    fn abandon(&self, _: SessionId, (): (), why: &Fault) {
        self.0.abandoned.lock().unwrap().push(why.code);
    }
}

impl Live for FakeLive {
    async fn ended(&mut self) -> Ending {
        let ended = self.0.wait_for(Option::is_some).await.ok().and_then(|ending| ending.clone());
        match ended {
            Some(ending) => ending,
            None => std::future::pending().await,
        }
    }
}

impl Gate for FakeGate {
    type Ticket = ();
    type Session = ();
    type Allowed = Clearance;
    type Flushed = Flushed;

    fn begin(&mut self, (): &mut (), _: &LoggedIn) -> Result<(), Fault> {
        self.1.push_back(Entry::Open);
        self.commit().map(drop)
    }

    fn judge<'p>(
        &mut self,
        (): &mut (),
        command: &Command<'_>,
        _: &Moment<'_>,
        text: Text<'_>,
        parameters: impl Iterator<Item = Parameter<'p>> + Clone,
    ) -> Result<Answer<Clearance>, Fault> {
        if self.0.fail_judge.load(Ordering::SeqCst) {
            return Err(full());
        }
        let text = match text {
            Text::Inline(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Text::Prepared(id) => format!("prepared {}", id.0),
            Text::Spilled(length) => format!("spilled {length}"),
        };
        let parameters: Vec<_> = parameters.map(|parameter| parameter.value.map(<[u8]>::to_vec)).collect();
        let told = parameters.first().is_some_and(|first| first.as_deref() == Some(WAITS.as_bytes()));
        if (told || text.contains(WAITS)) && std::mem::take(&mut self.2) {
            let fault = Fault::new(CANCELLED, Blame::NotAllowed, "cancelled");
            return Ok(Answer::Now(Judged::Deny(fault)));
        }
        if told || text.contains(WAITS) {
            let mut given = self.0.given.subscribe();
            let spent = *given.borrow_and_update() == 0;
            if spent {
                let later = Later::new(async move { drop(given.wait_for(|given| *given > 0).await) });
                return Ok(if text.contains(TOLD) {
                    Answer::Held(later, TOLD.to_owned())
                } else {
                    Answer::Later(later)
                });
            }
            self.0.given.send_modify(|given| *given -= 1);
        }
        let allowed = !self.0.deny.contains(&command.tag) && !text.contains(FORBIDDEN);
        self.1.push_back(Entry::Command { id: command.id, tag: command.tag, text, parameters, allowed });
        if !allowed {
            return Ok(Answer::Now(Judged::Deny(Fault::new("policy.command", Blame::NotAllowed, DENIED))));
        }
        #[expect(clippy::disallowed_methods, reason = "the fake stands for the policy")]
        let clearance = Clearance::by_policy(PolicyHash::new("00"));
        Ok(Answer::Now(Judged::Allow(clearance)))
    }

    fn cancel(&mut self, (): &mut ()) -> bool {
        self.2 = true;
        true
    }

    fn outcome(&mut self, (): &mut (), record: &OutcomeRecord<'_>) -> Result<(), Fault> {
        let masked = record.masks.iter().map(|mark| mark.count).sum();
        self.1.push_back(Entry::Outcome { ending: record.ending, masked });
        Ok(())
    }

    fn rows(
        &mut self,
        (): &mut (),
        _: Option<CommandId>,
        _: Timestamp,
        flow: Flow,
        bytes: &[u8],
        _: bool,
    ) -> Result<(), Fault> {
        if self.0.masks.is_some() {
            self.0.flowed.lock().unwrap().extend_from_slice(bytes);
        }
        self.1.push_back(Entry::Rows { flow, bytes: bytes.len() });
        Ok(())
    }

    fn spill(&mut self, (): &mut (), _: CommandId, _: Timestamp, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.1.push_back(Entry::Spill { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn commit(&mut self) -> Result<Flushed, Fault> {
        if self.0.fail_commit.load(Ordering::SeqCst) {
            self.1.clear();
            return Err(full());
        }
        self.0.records().extend(self.1.drain(..));
        Ok(Flushed(()))
    }

    fn prove(&self, allowed: Clearance, _: &Flushed) -> Recorded<Clearance> {
        #[expect(clippy::disallowed_methods, reason = "the fake stands for the spool")]
        Recorded::by_spool(allowed)
    }

    fn close(&mut self, (): (), _: Timestamp, end: SessionEnd, code: &str) -> Result<(), Fault> {
        self.1.push_back(Entry::Close(end, code.to_owned()));
        self.commit().map(drop)
    }
}
