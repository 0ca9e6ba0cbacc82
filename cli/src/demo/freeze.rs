//! The demo's kill switch: a query under way is cut, the next session is refused, and the freeze is lifted again.

use std::time::{Duration, Instant};

use writ_core::freeze::Freeze;

use super::Scene;
use super::shown::{Shown, heading};
use super::steps::{psql_query, psql_quietly, token, writ};
use crate::failure::{Doing as _, Failure};
use crate::out;

const SLEEP: &str = "select pg_sleep(600)";
/// How often is looked whether the query runs, and how many times.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: usize = 400;

/// Freezes the target while a query runs there.
///
/// # Errors
/// If a step does not show what it claims.
pub(super) async fn show(scene: &Scene, number: usize) -> Result<(), Failure> {
    heading(
        number,
        "An operator freezes the target while a query runs: it is cut, and nothing is opened until it is lifted",
    );
    let token = token(scene, "writ", 300)?;
    let (cut, frozen) = tokio::join!(query(scene, &token), freeze(scene));
    let ((cut, at), (freeze, since)) = (cut?, frozen?);
    cut.is_refused_with(&["access is frozen"])?;
    let took = at.saturating_duration_since(since).as_millis();
    out::line(&format!("    psql, asleep in `{SLEEP}`, was cut {took} ms after the order was given"));
    refused(scene).await?;
    let lift = ["unfreeze", &freeze.id.to_string(), "--reason", "recovered"];
    writ(scene, &lift, true).await?.succeeds_with(&["is lifted"])
}

async fn query(scene: &Scene, token: &str) -> Result<(Shown, Instant), Failure> {
    let shown = psql_quietly(scene, "payments", token, SLEEP).await?;
    Ok((shown, Instant::now()))
}

/// Freezes as soon as the query runs. The answer names the freeze.
async fn freeze(scene: &Scene) -> Result<(Freeze, Instant), Failure> {
    until_it_sleeps(scene).await?;
    let since = Instant::now();
    let order = ["freeze", "--target", "payments", "--reason", "a token was stolen", "--json"];
    let made = writ(scene, &order, false).await?;
    out::line("    $ writ freeze --target payments --reason \"a token was stolen\"");
    let freeze = serde_json::from_str(&made.text).doing("the freeze cannot be read")?;
    Ok((freeze, since))
}

async fn until_it_sleeps(scene: &Scene) -> Result<(), Failure> {
    let running = format!("select count(*) from pg_stat_activity where query = '{SLEEP}' and state = 'active'");
    for _ in 0..LOOKS {
        let count = scene.postgres.ask(scene.directory.path(), &running).doing("the queries cannot be counted")?;
        if count == "1" {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(Failure::new("this step did not show what it claims: no query runs"))
}

async fn refused(scene: &Scene) -> Result<(), Failure> {
    let token = token(scene, "writ", 300)?;
    psql_query(scene, "payments", &token, "select 1").await?.is_refused_with(&["FATAL", "access is frozen"])
}
