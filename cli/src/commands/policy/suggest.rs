//! `writ policy suggest`: the narrowest policies that cover what a workload did.
//!
//! What was allowed and executed is covered, and nothing else: what was denied is counted, what humans had to approve is held again. It is
//! a proposal. That something was done does not say that it should be.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use writ_broker_api::admin::Session;
use writ_core::grant::RecordLevel;
use writ_core::id::SessionId;
use writ_core::target::TargetName;
use writ_core::workload::{Issuer, Subject};
use writ_policy::Bundle;
use writ_record::entry::CommandEntry;

use super::case::Answer;
use super::history::{self, Piece, Which};
use super::judges::{Given, Judges};
use super::replay::answered;
use super::rerun::Rerun;
use super::suggested::{self, Uses};
use crate::commands::Connection;
use crate::failure::{Doing as _, Failure};
use crate::out;

/// Lets everything pass, so that every statement is followed, and names actions for SQL, so that it is understood.
const ALL: &str = r#"permit (principal, action in [Writ::Action::"use", Writ::Action::"sql", Writ::Action::"sql:unknown"], resource);"#;

/// Of what.
#[derive(Debug, Args)]
pub(crate) struct Suggest {
    #[command(flatten)]
    which: Which,
}

/// Who, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) issuer: Issuer,
    pub(super) subject: Subject,
    pub(super) target: TargetName,
}

/// What a workload did at a target.
#[derive(Debug, Default)]
pub(super) struct Did {
    pub(super) sessions: u64,
    pub(super) commands: u64,
    /// Those that were denied.
    pub(super) denied: u64,
    /// The longest life that a session was given, in seconds.
    pub(super) ttl_seconds: u64,
    pub(super) role: Option<String>,
    pub(super) full: bool,
    pub(super) allowed: Uses,
    pub(super) held: Uses,
}

/// Runs the command.
///
/// # Errors
/// If no workload is named, or a recording cannot be read: a policy that covers a part would cut off the rest.
pub(crate) async fn run(suggest: &Suggest, connection: &Connection) -> Result<(), Failure> {
    if !suggest.which.names_workload() {
        return Err(Failure::new("no workload is named").help("name one with `--workload 'ISSUER|SUBJECT'`"));
    }
    let bundle = Bundle::load(vec![("all.cedar".to_owned(), ALL.to_owned())]);
    let judges =
        Judges::collecting(bundle.map_err(|_| Failure::new("the policies that let everything pass do not load"))?);
    let api = Arc::new(connection.api()?);
    let mut pieces = history::read(api, &suggest.which)?;
    let mut open: BTreeMap<SessionId, Rerun<'_>> = BTreeMap::new();
    let mut all: BTreeMap<At, Did> = BTreeMap::new();
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Entries(session, entries) => {
                let rerun = open.entry(session.id).or_default();
                let did = all.entry(At::of(&session)).or_default();
                for recorded in entries {
                    if let Some(judged) = rerun.take(&judges, &session, recorded).await {
                        did.command(&judged.command, &judged.given);
                    }
                }
            }
            Piece::End(session, remarks) => {
                open.remove(&session.id);
                all.entry(At::of(&session)).or_default().session(&session);
                if !remarks.is_empty() {
                    return Err(incomplete(&session, &remarks.join("; ")));
                }
            }
            Piece::Unreadable(session, failure) => return Err(incomplete(&session, &failure.to_string())),
            Piece::Broken(failure) => return Err(failure),
        }
    }
    if all.values().all(|did| did.sessions == 0) {
        return Err(Failure::new("the workload had no session in that time"));
    }
    let text = suggested::text(&all);
    // What is proposed is a policy set, or is not shown.
    Bundle::load(vec![("suggested.cedar".to_owned(), text.clone())])
        .map_err(|problems| problems.first().map_or_else(String::new, ToString::to_string))
        .map_err(std::io::Error::other)
        .doing("the proposal is no policy set")?;
    out::raw(&text);
    out::note("read it before you use it; hold it against what was recorded with `writ policy replay --with DIR`");
    Ok(())
}

fn incomplete(session: &Session, why: &str) -> Failure {
    Failure::new(format!("{} cannot be read whole, so nothing is proposed: {why}", session.id))
        .help("narrow the time with `--since`, or mend the recording first: `writ ledger verify`")
}

impl At {
    fn of(session: &Session) -> Self {
        let writ = &session.writ;
        Self { issuer: writ.issuer.clone(), subject: writ.subject.clone(), target: writ.target.clone() }
    }
}

impl Did {
    fn session(&mut self, session: &Session) {
        let obligations = &session.writ.obligations;
        self.sessions += 1;
        self.ttl_seconds = self.ttl_seconds.max(obligations.ttl_seconds);
        self.role = self.role.take().or_else(|| obligations.role.clone());
        self.full |= obligations.record == RecordLevel::Full;
    }

    fn command(&mut self, command: &CommandEntry, given: &Given) {
        self.commands += 1;
        match answered(command) {
            Answer::Allow => self.allowed.add(&given.asked),
            // One that nobody approved was not executed.
            Answer::Hold if command.approval.is_some() => self.held.add(&given.asked),
            Answer::Hold | Answer::Deny => self.denied += 1,
        }
    }
}
