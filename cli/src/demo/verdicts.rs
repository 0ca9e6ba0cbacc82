//! The demo's verdicts: a statement that policy does not permit is denied, one that it holds waits until a human has approved it.

use std::time::Duration;

use writ_core::id::SessionId;

use super::Scene;
use super::shown::heading;
use super::steps::{psql_query, psql_quietly, token, writ};
use crate::failure::{Doing as _, Failure};
use crate::out;

/// What the demo's policies say of SQL: reading goes through, a `DELETE` waits for a human, all else is denied.
pub(super) const POLICY: &str = "\
@id(\"read\")
permit (
    principal is Writ::Workload,
    action in [Writ::Action::\"sql:select\", Writ::Action::\"sql:show\", Writ::Action::\"sql:transaction\",
        Writ::Action::\"sql:prepared\"],
    resource in Writ::Target::\"payments\"
);

@id(\"delete-is-held\")
@hold(\"5m\")
permit (
    principal is Writ::Workload,
    action == Writ::Action::\"sql:delete\",
    resource in Writ::Relation::\"payments/public.cardholders\"
);

@id(\"sleep\")
permit (
    principal is Writ::Workload,
    action == Writ::Action::\"sql:function\",
    resource in Writ::Target::\"payments\"
)
when { resource.name == \"pg_sleep\" };
";

const DELETE: &str = "delete from cardholders where id = 3";
/// How often is looked whether somebody is asked, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: usize = 400;

/// Denies a `DROP`, then holds a `DELETE` until it is approved.
///
/// # Errors
/// If a step does not show what it claims.
pub(super) async fn show(scene: &Scene, number: usize) -> Result<(), Failure> {
    heading(number, "Policy reads every statement: a DROP is denied, and a DELETE waits until a human approves it");
    psql_query(scene, "payments", &token(scene, "writ", 300)?, "drop table cardholders")
        .await?
        .is_refused_with(&["no policy permits `sql:ddl` on `payments/public.cardholders`"])?;
    let token = token(scene, "writ", 300)?;
    let (deleted, approved) = tokio::join!(psql_quietly(scene, "payments", &token, DELETE), approve(scene));
    let (session, deleted) = (approved?, deleted?);
    out::line(&format!("    and psql, which has waited in `{DELETE}`, goes on:"));
    for line in deleted.text.trim_end().lines() {
        out::line(&format!("    {}", out::harmless(line)));
    }
    deleted.succeeds_with(&["waits for an approval", "DELETE 1"])?;
    scene.stack.wait_until_recorded(session).await
}

/// Approves what is asked, and says in which session it waits.
async fn approve(scene: &Scene) -> Result<SessionId, Failure> {
    let (approval, session) = asked(scene).await?;
    writ(scene, &["approvals", "approve", &approval, "--reason", "the customer asked for it"], true)
        .await?
        .succeeds_with(&[DELETE, "is approved"])?;
    session.parse().doing("the session's id cannot be read")
}

/// Waits until somebody is asked, and says about what.
async fn asked(scene: &Scene) -> Result<(String, String), Failure> {
    for _ in 0..LOOKS {
        let listed = writ(scene, &["approvals", "ls", "--json"], false).await?;
        let all: serde_json::Value = serde_json::from_str(&listed.text).doing("the approvals cannot be read")?;
        let of = |name| all.get(0).and_then(|approval| approval.get(name)?.as_str());
        if let (Some(id), Some(session)) = (of("id"), of("session")) {
            return Ok((id.to_owned(), session.to_owned()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Failure::new("this step did not show what it claims: nobody is asked"))
}
