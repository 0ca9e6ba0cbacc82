//! `writ approvals`: what humans are asked, and their answers.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Args, Subcommand};
use writ_broker_api::approval::{BreakGlassRequest, ReviewRequest, VoteRequest, WindowRequest};
use writ_core::approval::{Approval, ApprovalState, Waits};
use writ_core::id::ApprovalId;

use super::Connection;
use crate::api::Api;
use crate::failure::Failure;
use crate::out;

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_secs(1);

/// What to do with approvals.
#[derive(Debug, Subcommand)]
pub(crate) enum Approvals {
    /// List what humans are asked.
    Ls {
        /// Settled ones too.
        #[arg(long)]
        all: bool,
        /// Those of which reviews are due, since one human let them go on alone.
        #[arg(long)]
        to_review: bool,
        /// Print each as it is asked, until interrupted.
        #[arg(long, conflicts_with_all = ["all", "to_review", "json"])]
        watch: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one: the statement as it will run, whom it is for, and the digest that an answer is bound to.
    Show {
        /// The approval.
        approval: ApprovalId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Approve one.
    Approve(Approve),
    /// Let one go on alone, in an emergency; two others have to review that later.
    BreakGlass {
        /// The approval.
        approval: ApprovalId,
        /// Why; it goes to the ledger.
        #[arg(long)]
        reason: String,
    },
    /// Review what another let go on alone.
    Review {
        /// The approval.
        approval: ApprovalId,
        /// Why; it goes to the ledger.
        #[arg(long)]
        reason: String,
        /// It should not have been done.
        #[arg(long)]
        unjustified: bool,
    },
    /// Deny one.
    Deny {
        /// The approval.
        approval: ApprovalId,
        /// Why; it goes to the ledger and to the client.
        #[arg(long)]
        reason: String,
    },
}

/// An approval.
#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// The approval.
    approval: ApprovalId,
    /// Why; it goes to the ledger.
    #[arg(long)]
    reason: String,
    /// The digest of what you saw, as `writ approvals show` gives it: what was asked since is not approved by it.
    #[arg(long)]
    digest: Option<String>,
    /// Approve statements like it of this workload too, for so many minutes.
    #[arg(long, value_name = "MINUTES", requires = "times", value_parser = clap::value_parser!(u64).range(1..=1440))]
    window: Option<u64>,
    /// How many of those.
    #[arg(long, requires = "window", value_parser = clap::value_parser!(u32).range(1..=1000))]
    times: Option<u32>,
}

/// Runs one of them.
///
/// # Errors
/// If the broker cannot be reached or refuses.
pub(crate) async fn run(command: Approvals, connection: &Connection) -> Result<(), Failure> {
    let api = connection.api()?;
    match command {
        Approvals::Ls { watch: true, .. } => watch(&api).await,
        Approvals::Ls { all, to_review, json, .. } => {
            let found: Vec<Approval> = api.get(&format!("/v1/approvals?all={all}&to_review={to_review}")).await?;
            if json {
                return super::print_json(&found);
            }
            out::raw(&out::table(&rows(&found)));
            Ok(())
        }
        Approvals::Show { approval, json } => {
            let found = one(&api, approval).await?;
            if json {
                return super::print_json(&found);
            }
            out::raw(&shown(&found));
            Ok(())
        }
        Approvals::Approve(approve) => {
            let window = approve.window.zip(approve.times);
            let window = window.map(|(minutes, times)| WindowRequest { seconds: minutes * 60, times });
            vote(&api, approve.approval, approve.digest, |digest| VoteRequest {
                approve: true,
                reason: approve.reason,
                digest,
                window,
            })
            .await
        }
        Approvals::BreakGlass { approval, reason } => {
            let asked = one(&api, approval).await?;
            out::raw(&shown(&asked));
            let request = BreakGlassRequest { reason, digest: asked.digest };
            let broken: Approval = api.post(&format!("/v1/approvals/{approval}/break-glass"), &request).await?;
            out::line(&format!("{approval} is approved by you alone: {} reviews are due", broken.reviews_due()));
            Ok(())
        }
        Approvals::Review { approval, reason, unjustified } => {
            let asked = one(&api, approval).await?;
            out::raw(&shown(&asked));
            let request = ReviewRequest { justified: !unjustified, reason, digest: asked.digest };
            let reviewed: Approval = api.post(&format!("/v1/approvals/{approval}/reviews"), &request).await?;
            out::line(&format!("{approval} is reviewed: {} more are due", reviewed.reviews_due()));
            Ok(())
        }
        Approvals::Deny { approval, reason } => {
            vote(&api, approval, None, |digest| VoteRequest { approve: false, reason, digest, window: None }).await
        }
    }
}

/// Answers; without a digest of what the human saw before, what is asked is shown and that is what they answer.
async fn vote(
    api: &Api,
    id: ApprovalId,
    seen: Option<String>,
    request: impl FnOnce(String) -> VoteRequest,
) -> Result<(), Failure> {
    let digest = match seen {
        Some(digest) => digest,
        None => {
            let asked = one(api, id).await?;
            out::raw(&shown(&asked));
            asked.digest
        }
    };
    let voted: Approval = api.post(&format!("/v1/approvals/{id}/votes"), &request(digest)).await?;
    let given = voted.votes.iter().filter(|vote| vote.approve).count();
    out::line(&match voted.state {
        ApprovalState::Asked => format!("{id}: {given} of {} have approved", voted.needed),
        state => format!("{id} is {}", state.as_str()),
    });
    Ok(())
}

async fn one(api: &Api, id: ApprovalId) -> Result<Approval, Failure> {
    api.get(&format!("/v1/approvals/{id}")).await
}

async fn watch(api: &Api) -> Result<(), Failure> {
    let mut known: BTreeSet<ApprovalId> = BTreeSet::new();
    loop {
        let open: Vec<Approval> = api.get("/v1/approvals?all=false").await?;
        let asked = open.iter().rev().filter(|approval| approval.state == ApprovalState::Asked);
        for approval in asked.filter(|approval| !known.contains(&approval.id)) {
            out::raw(&shown(approval));
            out::line("");
        }
        known = open.iter().map(|approval| approval.id).collect();
        tokio::time::sleep(LOOK).await;
    }
}

fn rows(approvals: &[Approval]) -> Vec<Vec<String>> {
    let head = ["APPROVAL", "STATE", "ASKED", "WORKLOAD", "TARGET", "STATEMENT"].map(str::to_owned).to_vec();
    let row = |approval: &Approval| {
        let statement: String = approval.statement.chars().take(60).collect();
        vec![
            approval.id.to_string(),
            approval.state.as_str().to_owned(),
            approval.asked.to_string(),
            out::one_line(approval.subject.as_str()),
            approval.target.to_string(),
            out::one_line(&statement),
        ]
    };
    core::iter::once(head).chain(approvals.iter().map(row)).collect()
}

fn shown(approval: &Approval) -> String {
    let mut lines = vec![
        format!("{} ({})", approval.id, approval.state.as_str()),
        format!(
            "workload   {} of {}",
            out::one_line(approval.subject.as_str()),
            out::one_line(approval.issuer.as_str())
        ),
        format!("target     {}{}", approval.target, role(approval.role.as_deref())),
        format!("database   {}{}", out::one_line(&approval.database), schemas(&approval.schemas)),
        format!("session    {} under {}", approval.session, approval.writ),
        format!("held by    {}", out::one_line(&approval.policies.join(", "))),
        format!("needed     {}{}", approval.needed, groups(&approval.groups)),
        format!("until      {}", approval.expires),
        format!("digest     {}", out::one_line(&approval.digest)),
        match approval.waits {
            Waits::Command => "statement".to_owned(),
            Waits::Connection => "connection".to_owned(),
        },
        format!("    {}", out::marked_lines(&approval.statement).trim_end()),
    ];
    for (number, parameter) in approval.parameters.iter().enumerate() {
        let value = parameter.value.as_deref().map_or_else(|| "NULL".to_owned(), out::one_line);
        let form = if parameter.binary { " (binary, in hexadecimal)" } else { "" };
        lines.push(format!("${}         {value}{form}", number + 1));
    }
    for vote in &approval.votes {
        let word = if vote.approve { "approved" } else { "denied" };
        let (who, why) = (out::one_line(vote.by.subject.as_str()), out::one_line(&vote.reason));
        lines.push(format!("{word:<10} {who}, {}: {why}", vote.at));
    }
    if let Some(broken) = &approval.broken {
        let (who, why) = (out::one_line(broken.by.subject.as_str()), out::one_line(&broken.reason));
        lines.push(format!("alone      {who}, {}: {why} ({} reviews are due)", broken.at, broken.due));
        for review in &broken.reviews {
            let word = if review.justified { "justified" } else { "objects" };
            let (who, why) = (out::one_line(review.by.subject.as_str()), out::one_line(&review.reason));
            lines.push(format!("{word:<10} {who}, {}: {why}", review.at));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn schemas(schemas: &[String]) -> String {
    if schemas.is_empty() { String::new() } else { format!(", names in {}", out::one_line(&schemas.join(", "))) }
}

fn role(role: Option<&str>) -> String {
    role.map_or_else(String::new, |role| format!(" as `{}`", out::one_line(role)))
}

fn groups(groups: &[String]) -> String {
    if groups.is_empty() { String::new() } else { format!(" of {}", out::one_line(&groups.join(", "))) }
}
