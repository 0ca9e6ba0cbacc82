//! `writ sessions`: what ran, who ran it, how it ended; ending one; replaying its recording.

use clap::Subcommand;
use writ_broker_api::admin::{Order, Page, Session};
use writ_core::client::ClientKey;
use writ_core::id::SessionId;

use super::{Connection, ListArgs, word};
use crate::failure::Failure;
use crate::out;

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum Sessions {
    /// List sessions, newest first.
    Ls {
        #[command(flatten)]
        list: ListArgs,
        /// Only those whose client proved the key with this thumbprint, as `writ listen` prints it. A thumbprint may begin with `-`.
        #[arg(long, value_name = "THUMBPRINT", allow_hyphen_values = true)]
        key: Option<ClientKey>,
    },
    /// Show one session with its writ.
    Show {
        /// The session.
        session: SessionId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Replay a session's recording; that it was read is written into the ledger.
    Replay(super::replay::Replay),
    /// End a session: within a second it is cut and its credential taken back.
    Kill {
        /// The session.
        session: SessionId,
        /// Why; it goes to the ledger and to the client.
        #[arg(long)]
        reason: String,
    },
}

/// Runs the command.
///
/// # Errors
/// If the broker cannot be reached or refuses.
pub(crate) async fn run(command: Sessions, connection: &Connection) -> Result<(), Failure> {
    if let Sessions::Replay(replay) = command {
        return super::replay::run(replay, connection).await;
    }
    let api = connection.api()?;
    match command {
        Sessions::Ls { list, key } => {
            let key = key.map(|key| format!("&key={key}")).unwrap_or_default();
            let page: Page<Session> = api.get(&format!("{}{key}", list.path("/v1/sessions"))).await?;
            if list.json {
                return super::print_json(&page);
            }
            out::raw(&out::table(&rows(&page.items)));
            list.print_next(page.next.as_deref());
        }
        Sessions::Show { session, json } => {
            let session: Session = api.get(&format!("/v1/sessions/{session}")).await?;
            if json {
                return super::print_json(&session);
            }
            out::raw(&describe(&session));
        }
        Sessions::Replay(_) => {}
        Sessions::Kill { session, reason } => {
            let session: Session = api.post(&format!("/v1/sessions/{session}/kill"), &Order { reason }).await?;
            out::line(&format!("{} ends now; its writ {} is revoked", session.id, session.writ.id));
        }
    }
    Ok(())
}

fn rows(sessions: &[Session]) -> Vec<Vec<String>> {
    let head = ["SESSION", "END", "TARGET", "WORKLOAD", "COMMANDS", "OPENED"].map(str::to_owned).to_vec();
    let row = |session: &Session| {
        vec![
            session.id.to_string(),
            session.end.as_ref().map_or_else(|| "live".to_owned(), word),
            session.writ.target.to_string(),
            out::one_line(session.writ.subject.as_str()),
            session.commands.map_or_else(|| "-".to_owned(), |count| count.to_string()),
            session.writ.opened.to_string(),
        ]
    };
    core::iter::once(head).chain(sessions.iter().map(row)).collect()
}

fn describe(session: &Session) -> String {
    let mut text = format!("{:<14}{}\n{:<14}{}\n", "session", session.id, "client", out::one_line(&session.client));
    if let Some(key) = &session.client_key {
        text.push_str(&format!("{:<14}{key}\n", "client key"));
    }
    if let Some(reason) = &session.reason {
        text.push_str(&format!("{:<14}{}\n", "reason", out::one_line(reason.as_str())));
    }
    let end = session.end.as_ref().map_or_else(|| "it is live".to_owned(), word);
    text.push_str(&format!("{:<14}{end}\n", "end"));
    if let Some(commands) = session.commands {
        text.push_str(&format!("{:<14}{commands}\n", "commands"));
    }
    for segment in &session.segments {
        let name = format!("{}-{}", out::one_line(&segment.stream), segment.sequence);
        text.push_str(&format!("{:<14}{name}, {} bytes, sha256 {}\n", "segment", segment.bytes, segment.digest));
    }
    text.push_str(&super::writs::describe(&session.writ));
    text
}
