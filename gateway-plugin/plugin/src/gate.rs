//! The gate: a verdict, its record, and only then the proof that lets a command go on.
//!
//! One thread, no lock, no allocation for an allowed command. [`WorkerGate::stage`] stages the record of a verdict, whichever;
//! [`WorkerGate::commit`] writes all that is staged by one write; [`WorkerGate::prove`] asks for both, so that nothing can be
//! released that the spool did not take.

mod masked;

use std::path::PathBuf;
use std::sync::mpsc::Sender;

use writ_core::command::{Command, CommandId};
use writ_core::event::SessionEnd;
use writ_core::fault::{Blame, Fault};
use writ_core::grant::{PolicyHash, RecordLevel};
use writ_core::id::SessionId;
use writ_core::proof::{Clearance, Recorded};
use writ_core::time::Timestamp;
use writ_core::verdict::Verdict;
use writ_mask::statement::StatementMask;
use writ_record::DataKey;
use writ_record::entry::{CommandRecord, Decision, Flow, OutcomeRecord, Parameter, Text};
use writ_record::known::SessionKnown;
use writ_record::spool::SessionMeta;

use crate::seal::Notice;
use crate::spool::{SessionSpool, SpoolError, WorkerSpool};
use masked::Masked;

/// A verdict whose record is staged.
#[derive(Debug)]
pub enum Judged {
    /// It may go on once [`WorkerGate::prove`] says so.
    Allow(Allowed),
    /// It may not.
    Deny(Fault),
}

/// A command that policy allows and whose record is staged.
#[derive(Debug)]
pub struct Allowed(Clearance);

/// That everything staged before was written. Made by [`WorkerGate::commit`] alone.
#[derive(Debug)]
pub struct Flushed(());

/// One session at the gate.
pub struct SessionGate {
    session: SessionId,
    level: RecordLevel,
    policy_hash: PolicyHash,
    spool: SessionSpool,
    commands: u64,
    /// Masks what is recorded of its commands.
    statements: Option<Box<StatementMask>>,
}

impl SessionGate {
    /// From now on what detectors match in its commands is not recorded.
    pub fn mask_statements(&mut self, mask: StatementMask) {
        self.statements = Some(Box::new(mask));
    }
}

impl core::fmt::Debug for SessionGate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SessionGate").field("session", &self.session).field("commands", &self.commands).finish()
    }
}

/// One worker's gate.
#[derive(Debug)]
pub struct WorkerGate {
    spool: WorkerSpool,
    notices: Sender<Notice>,
    followed: PathBuf,
}

impl WorkerGate {
    pub(crate) fn new(spool: WorkerSpool, notices: Sender<Notice>) -> Self {
        let followed = spool.path().to_owned();
        let _ = notices.send(Notice::File(followed.clone()));
        Self { spool, notices, followed }
    }

    /// Begins a session; its opening is written when this returns.
    ///
    /// # Errors
    /// If the spool takes nothing: no evidence, no access.
    pub fn begin(&mut self, meta: &SessionMeta, key: &DataKey, policy_hash: PolicyHash) -> Result<SessionGate, Fault> {
        let spool = self.spool.open_session(meta, key).map_err(|error| no_record(&error))?;
        self.commit()?;
        Ok(SessionGate { session: meta.session, level: meta.level, policy_hash, spool, commands: 0, statements: None })
    }

    /// Stages what verdicts on the session's commands depend on.
    ///
    /// # Errors
    /// If the spool takes nothing; the session must end.
    pub fn known(&mut self, session: &mut SessionGate, at: Timestamp, known: &SessionKnown) -> Result<(), Fault> {
        let staged = self.spool.event(&mut session.spool, None, at, writ_record::known::NAME, &known.to_detail());
        staged.map_err(|error| no_record(&error))
    }

    /// Stages the record of the verdict on a command. `approval` is what humans approved it by.
    ///
    /// # Errors
    /// If the spool takes nothing, or the command still waits for humans; the session must end.
    pub fn stage<'p>(
        &mut self,
        session: &mut SessionGate,
        command: &Command<'_>,
        at: Timestamp,
        text: Text<'_>,
        parameters: impl Iterator<Item = Parameter<'p>>,
        (verdict, approval): (Verdict, Option<&str>),
    ) -> Result<Judged, Fault> {
        let (decision, code, judged) = match verdict {
            Verdict::Allow(clearance) => (Decision::Allow, "", Judged::Allow(Allowed(clearance))),
            Verdict::Deny(fault) => (Decision::Deny, fault.code, Judged::Deny(fault)),
            Verdict::Hold(_) => {
                return Err(Fault::new("gate.held", Blame::Misuse, "a held command has no verdict yet"));
            }
        };
        let policy_hash = session.policy_hash.as_str();
        let approval = approval.map(str::as_bytes);
        let record =
            CommandRecord { id: command.id, tag: command.tag, at, text, decision, policy_hash, code, approval };
        session.commands += 1;
        let staged = match &mut session.statements {
            None => self.spool.command(&mut session.spool, &record, parameters),
            Some(mask) => {
                let masked = Masked::new(mask, &text, parameters);
                let record = CommandRecord { text: masked.text(text), ..record };
                self.spool.command(&mut session.spool, &record, masked.parameters())
            }
        };
        staged.map_err(|error| no_record(&error))?;
        Ok(judged)
    }

    /// Stages how a command came out.
    ///
    /// # Errors
    /// If the spool takes nothing; the session must end.
    pub fn outcome(&mut self, session: &mut SessionGate, record: &OutcomeRecord<'_>) -> Result<(), Fault> {
        self.spool.outcome(&mut session.spool, record).map_err(|error| no_record(&error))
    }

    /// Stages what flowed, where the session's level asks for it. `whole` is false where the bytes end within a frame.
    ///
    /// # Errors
    /// If the spool takes nothing; the session must end.
    pub fn rows(
        &mut self,
        session: &mut SessionGate,
        command: Option<CommandId>,
        at: Timestamp,
        flow: Flow,
        bytes: &[u8],
        whole: bool,
    ) -> Result<(), Fault> {
        match session.level {
            RecordLevel::Commands => Ok(()),
            RecordLevel::Full => {
                let hidden = session.statements.as_mut().and_then(|mask| masked::upload(mask, flow, bytes, whole));
                let bytes = hidden.as_deref().unwrap_or(bytes);
                self.spool.rows(&mut session.spool, command, at, flow, bytes, whole).map_err(|error| no_record(&error))
            }
        }
    }

    /// Stages a part of a command that is too long for memory.
    ///
    /// # Errors
    /// If the spool takes nothing; the session must end.
    pub fn spill(
        &mut self,
        session: &mut SessionGate,
        command: CommandId,
        at: Timestamp,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        let hidden = session.statements.as_mut().and_then(|mask| masked::part(mask, bytes));
        let bytes = hidden.as_deref().unwrap_or(bytes);
        self.spool.spill(&mut session.spool, command, at, offset, bytes).map_err(|error| no_record(&error))
    }

    /// COMMIT POINT: writes all that is staged, by one write. Before it nothing that was staged may go on.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn commit(&mut self) -> Result<Flushed, Fault> {
        self.spool.flush().map_err(|error| no_record(&error))?;
        if self.spool.path() != self.followed {
            self.followed = self.spool.path().to_owned();
            let _ = self.notices.send(Notice::File(self.followed.clone()));
        }
        Ok(Flushed(()))
    }

    /// The proof that lets a command go on.
    #[must_use]
    pub fn prove(&self, allowed: Allowed, _: &Flushed) -> Recorded<Clearance> {
        #[expect(clippy::disallowed_methods, reason = "this is the one maker: the spool took the record")]
        let recorded = Recorded::by_spool(allowed.0);
        recorded
    }

    /// Ends a session; its end is written when this returns, and its recording is on the way.
    ///
    /// # Errors
    /// If the spool takes nothing; a recovery then closes the session as crashed.
    pub fn close(&mut self, session: SessionGate, at: Timestamp, end: SessionEnd, code: &str) -> Result<(), Fault> {
        let commands = session.commands;
        self.spool.close(session.spool, at, end, code, commands).map_err(|error| no_record(&error))?;
        self.commit()?;
        let _ = self.notices.send(Notice::Closed);
        Ok(())
    }
}

/// No evidence, no access.
fn no_record(error: &SpoolError) -> Fault {
    let detail = match error {
        SpoolError::Write(source) => format!("{error}: {source}"),
        other => other.to_string(),
    };
    Fault::new("record.unwritable", Blame::Ours, "the session cannot be recorded, so nothing is allowed")
        .help("try again later; if it stays so, tell the operator of the gateway")
        .detail(detail)
}

#[cfg(test)]
mod tests;
