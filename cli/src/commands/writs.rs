//! `writ writs`: what was issued, to whom, under which policy; and taking it back.

use clap::Subcommand;
use writ_broker_api::admin::{Order, Page};
use writ_core::id::WritId;
use writ_core::writ::{Writ, WritState};

use super::{Connection, ListArgs, word};
use crate::failure::Failure;
use crate::out;

/// What to do with writs.
#[derive(Debug, Subcommand)]
pub(crate) enum Writs {
    /// List writs, newest first.
    Ls {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show one writ: workload, target, policy, credential, session.
    Show {
        /// The writ.
        writ: WritId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a writ: its session ends within a second and its credential is taken back.
    Revoke {
        /// The writ.
        writ: WritId,
        /// Why; it goes to the ledger and to the client.
        #[arg(long)]
        reason: String,
    },
}

/// Runs the command.
///
/// # Errors
/// If the broker cannot be reached or refuses.
pub(crate) async fn run(command: Writs, connection: &Connection) -> Result<(), Failure> {
    let api = connection.api()?;
    match command {
        Writs::Ls { list } => {
            let page: Page<Writ> = api.get(&list.path("/v1/writs")).await?;
            if list.json {
                return super::print_json(&page);
            }
            out::raw(&out::table(&rows(&page.items)));
            list.print_next(page.next.as_deref());
        }
        Writs::Show { writ, json } => {
            let writ: Writ = api.get(&format!("/v1/writs/{writ}")).await?;
            if json {
                return super::print_json(&writ);
            }
            out::raw(&describe(&writ));
        }
        Writs::Revoke { writ, reason } => {
            let writ: Writ = api.post(&format!("/v1/writs/{writ}/revoke"), &Order { reason }).await?;
            out::line(&format!("{} revoked; its session {} ends now", writ.id, writ.session));
        }
    }
    Ok(())
}

fn rows(writs: &[Writ]) -> Vec<Vec<String>> {
    let head = ["WRIT", "STATE", "TARGET", "WORKLOAD", "OPENED"].map(str::to_owned).to_vec();
    let row = |writ: &Writ| {
        vec![
            writ.id.to_string(),
            word(&writ.state),
            writ.target.to_string(),
            out::one_line(writ.subject.as_str()),
            writ.opened.to_string(),
        ]
    };
    core::iter::once(head).chain(writs.iter().map(row)).collect()
}

/// One writ, as people read it.
pub(crate) fn describe(writ: &Writ) -> String {
    let mut lines = vec![
        ("writ", writ.id.to_string()),
        ("state", word(&writ.state)),
        ("workload", out::one_line(writ.subject.as_str())),
        ("issuer", out::one_line(writ.issuer.as_str())),
        ("target", writ.target.to_string()),
        ("session", writ.session.to_string()),
        ("gateway", writ.gateway.to_string()),
        ("policy", writ.policy_hash.to_string()),
        ("permitted by", out::one_line(&writ.policies.join(", "))),
        ("opened", writ.opened.to_string()),
        ("ends", format!("{} (after {} s at the latest)", writ.expires, writ.obligations.ttl_seconds)),
        ("recorded", word(&writ.obligations.record)),
    ];
    if let Some(role) = &writ.obligations.role {
        lines.push(("role", out::one_line(role)));
    }
    if let Some(credential) = &writ.credential {
        let kind = word(&credential.kind);
        let life =
            if credential.long_lived { "LONG-LIVED: it outlives this writ" } else { "minted for this writ alone" };
        lines.push(("credential", format!("{kind} `{}`, {life}", out::one_line(&credential.principal))));
        lines.push(("fingerprint", credential.fingerprint.as_str().to_owned()));
    }
    if let Some(closed) = &writ.closed {
        lines.push(("closed", closed.to_string()));
    }
    if writ.state == WritState::Irrevocable {
        lines.push(("ATTENTION", "the credential could not be taken back; the broker keeps trying".to_owned()));
    }
    lines.iter().map(|(name, value)| format!("{name:<14}{value}\n")).collect()
}
