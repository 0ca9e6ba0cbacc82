//! The steps of the demo, in order.

use std::path::Path;

use tokio::process::Command;
use writ_core::id::{SessionId, WritId};
use writ_core::time::Timestamp;

use super::shown::{self, Shown, heading};
use super::{Scene, scratch};
use crate::dev::issuer::TokenRequest;
use crate::failure::{Doing as _, Failure};
use crate::out;

const QUERY: &str = "select id, name, card, amount_cents from cardholders order by id";

/// Runs all steps.
///
/// # Errors
/// If one does not show what it claims.
pub(crate) async fn run(scene: &Scene) -> Result<(), Failure> {
    let token = workload_has_a_token(scene)?;
    rows_come_back(scene, &token).await?;
    refusals(scene, &token).await?;
    super::verdicts::show(scene, 8).await?;
    let (writ, session) = writ_is_shown(scene).await?;
    session_is_replayed(scene, session).await?;
    ledger_verifies(scene).await?;
    tampering_is_found(scene, writ).await?;
    super::freeze::show(scene, 13).await?;
    out::line("\nEvery step showed what it claims.");
    Ok(())
}

fn workload_has_a_token(scene: &Scene) -> Result<String, Failure> {
    heading(3, "The CI job asks its own issuer for an OIDC token: the only thing that it holds");
    let token = token(scene, "writ", 300)?;
    let claims = token.split('.').nth(1).unwrap_or_default();
    out::line(&format!("    {} bytes, a header, claims and a signature; the claims say:", token.len()));
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims)
        .doing("the token's claims cannot be read")?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).doing("the token's claims cannot be read")?;
    for name in ["iss", "sub", "aud", "repository", "environment"] {
        out::line(&format!("      {name:<12}{}", claims.get(name).unwrap_or(&serde_json::Value::Null)));
    }
    Ok(token)
}

async fn rows_come_back(scene: &Scene, token: &str) -> Result<(), Failure> {
    heading(4, "It runs psql through the gateway, with the token where a password would stand; cards come back masked");
    let shown = psql(scene, "payments", token).await?;
    shown.succeeds_with(&["Ada Okafor", "4111 11** **** 1111", "3782 82**** *0005", "(3 rows)"])?;
    shown.hides("4111 1111 1111 1111")?;
    card_is_whole(scene)?;
    heading(5, "What PostgreSQL saw was a role made for this one session, and it is gone again");
    let fresh = self::token(scene, "writ", 300)?;
    psql_query(scene, "payments", &fresh, "select session_user, current_user")
        .await?
        .succeeds_with(&["writ-", "payments_reader"])?;
    roles_are_gone(scene).await
}

/// The table still holds what the mask hid on its way.
fn card_is_whole(scene: &Scene) -> Result<(), Failure> {
    const CARD: &str = "select card from cardholders where id = 1";
    let card = scene.postgres.ask_in(scene.directory.path(), "payments", CARD).doing("the card cannot be read")?;
    out::line(&format!("    as PostgreSQL's superuser: {CARD}: {card}"));
    out::line(
        "    the policy says @mask(\"cards\"): the gateway masked them, and the recording holds no more than psql got",
    );
    Ok(())
}

/// Looks, as PostgreSQL's superuser, until no role of a writ is left.
async fn roles_are_gone(scene: &Scene) -> Result<(), Failure> {
    const LEFT: &str = "select count(*) from pg_roles where rolname like 'writ-%'";
    for _ in 0..200 {
        let left = scene.postgres.ask(scene.directory.path(), LEFT).doing("the roles cannot be counted")?;
        if left == "0" {
            out::line(&format!("    as PostgreSQL's superuser: {LEFT}: {left}"));
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err(Failure::new("this step did not show what it claims: a role was left"))
}

async fn refusals(scene: &Scene, used: &str) -> Result<(), Failure> {
    heading(6, "A target that policy does not give to this workload is refused");
    psql(scene, "payroll", &token(scene, "writ", 300)?).await?.is_refused_with(&["FATAL", "req-"])?;
    heading(7, "So is a token that was used before, one that has ended, and one that is for somebody else");
    psql(scene, "payments", used).await?.is_refused_with(&["FATAL", "@uses", "/v1/token"])?;
    psql(scene, "payments", &token(scene, "writ", -300)?).await?.is_refused_with(&["FATAL", "req-"])?;
    psql(scene, "payments", &token(scene, "https://elsewhere.example", 300)?).await?.is_refused_with(&["FATAL", "req-"])
}

async fn writ_is_shown(scene: &Scene) -> Result<(WritId, SessionId), Failure> {
    heading(9, "The writ: who got what, under which policy, and which session used it");
    let listed = writ(scene, &["writs", "ls", "--json"], false).await?;
    let page: serde_json::Value = serde_json::from_str(&listed.text).doing("the list of writs cannot be read")?;
    let first = page
        .get("items")
        .and_then(|items| items.as_array()?.last())
        .ok_or_else(|| Failure::new("this step did not show what it claims: there is no writ"))?;
    let field = |name: &str| first.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let writ_id: WritId = field("id").parse().doing("the writ's id cannot be read")?;
    let session: SessionId = field("session").parse().doing("the session's id cannot be read")?;
    writ(scene, &["writs", "show", &writ_id.to_string()], true).await?.succeeds_with(&[
        "minted for this writ alone",
        "repo:acme/payments",
        "policy",
    ])?;
    Ok((writ_id, session))
}

async fn session_is_replayed(scene: &Scene, session: SessionId) -> Result<(), Failure> {
    heading(10, "The session's recording, replayed");
    scene.stack.wait_until_recorded(session).await?;
    writ(scene, &["sessions", "replay", &session.to_string(), "--speed", "0", "--rows"], true).await?.succeeds_with(&[
        "select id, name, card",
        "SELECT 3",
        "| id | name | card",
    ])
}

async fn ledger_verifies(scene: &Scene) -> Result<(), Failure> {
    heading(11, "An auditor verifies the ledger and every recording, from the files alone");
    let evidence = scene.stack.evidence_directory();
    writ(scene, &verify_arguments(scene, &evidence), true).await?.succeeds_with(&["verified"])
}

async fn tampering_is_found(scene: &Scene, writ_id: WritId) -> Result<(), Failure> {
    heading(12, "Somebody changes one byte of the evidence, and verification finds it");
    let copy = scratch(scene, "tampered")?;
    copy_evidence(&scene.stack.evidence_directory(), &copy).doing("the evidence cannot be copied")?;
    let (file, offset) = flip_one_byte(&copy, writ_id).doing("the evidence cannot be changed")?;
    out::line(&format!("    byte {offset} of `{file}` was changed in a copy of the evidence"));
    writ(scene, &verify_arguments(scene, &copy), true)
        .await?
        .is_refused_with(&["does not verify", "one of them was changed"])
}

/// Says how to go on by hand.
pub(crate) fn invite(scene: &Scene) {
    let state = scene.stack.state_directory().display().to_string();
    let exe = executable();
    out::line("\nWrit stays up. Three commands to paste into another terminal; the last one is refused:\n");
    for (target, query) in [("payments", QUERY), ("payments", "select session_user"), ("payroll", "select 1")] {
        out::line(&format!(
            "  PGPASSWORD=$({exe} token --state {state}) psql \"{}\" -c \"{query}\"",
            scene.stack.connection_string(target)
        ));
    }
    out::line("\nCtrl-C ends it and removes everything.");
}

pub(super) fn token(scene: &Scene, audience: &str, expires_in: i64) -> Result<String, Failure> {
    let request = TokenRequest { audience: audience.to_owned(), expires_in };
    scene.stack.issuer().token(&request, Timestamp::now()).doing("the dev issuer gives no token")
}

async fn psql(scene: &Scene, target: &str, token: &str) -> Result<Shown, Failure> {
    psql_query(scene, target, token, QUERY).await
}

pub(super) async fn psql_query(scene: &Scene, target: &str, token: &str, query: &str) -> Result<Shown, Failure> {
    let (line, mut command) = psql_command(scene, target, token, query);
    shown::run(&line, &mut command).await
}

/// The same, not shown.
pub(super) async fn psql_quietly(scene: &Scene, target: &str, token: &str, query: &str) -> Result<Shown, Failure> {
    let (line, mut command) = psql_command(scene, target, token, query);
    shown::quietly(&line, &mut command).await
}

fn psql_command(scene: &Scene, target: &str, token: &str, query: &str) -> (String, Command) {
    let connection = scene.stack.connection_string(target);
    let line = format!("PGPASSWORD=$OIDC_TOKEN psql \"{connection}\" -c \"{query}\"");
    // The token is the workload's own; psql takes it from its environment, as it takes any password.
    let mut command = Command::new("psql");
    command.args(["-X", &connection, "-c", query]).env("PGPASSWORD", token).env("PGCONNECT_TIMEOUT", "20");
    (line, command)
}

pub(super) async fn writ(scene: &Scene, arguments: &[&str], show: bool) -> Result<Shown, Failure> {
    let exe = std::env::current_exe().doing("this program does not know its own path")?;
    let mut command = Command::new(exe);
    command.args(arguments).arg("--state").arg(scene.stack.state_directory());
    if show {
        return shown::run(&format!("writ {}", pasted(arguments)), &mut command).await;
    }
    shown::quietly("writ", &mut command).await
}

/// Arguments as a shell takes them.
fn pasted(arguments: &[&str]) -> String {
    let quoted = arguments.iter().map(|argument| match argument.contains(' ') {
        true => format!("\"{argument}\""),
        false => (*argument).to_owned(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn verify_arguments<'a>(scene: &'a Scene, evidence: &'a Path) -> [&'a str; 6] {
    let evidence = evidence.to_str().unwrap_or_default();
    ["ledger", "verify", "--dir", evidence, "--key", scene.stack.ledger_key()]
}

fn executable() -> String {
    std::env::current_exe().map_or_else(|_| "writ".to_owned(), |path| path.display().to_string())
}

/// The checkpoint first: whatever is written meanwhile, what it covers is there.
fn copy_evidence(from: &Path, to: &Path) -> std::io::Result<()> {
    let checkpoint = Path::new("ledger").join("checkpoint");
    let covered = std::fs::read(from.join(&checkpoint))?;
    copy_tree(from, to)?;
    std::fs::write(to.join(checkpoint), covered)
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            match std::fs::copy(entry.path(), target) {
                // A file that was being written under another name has its own by now.
                Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied?),
            }
        }
    }
    Ok(())
}

/// Flips one bit inside the entry that names the writ, in the bundle of entries that the checkpoint covers: a newer one may
/// be there already, and no checkpoint vouches for it yet.
fn flip_one_byte(evidence: &Path, writ: WritId) -> std::io::Result<(String, usize)> {
    let checkpoint = std::fs::read_to_string(evidence.join("ledger").join("checkpoint"))?;
    let size = checkpoint.lines().nth(1).unwrap_or_default();
    let shown = format!("ledger/tile/entries/000.p/{size}");
    let path = evidence.join(&shown);
    let mut bytes = std::fs::read(&path)?;
    let needle = writ.to_string();
    let at = bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
    let at = at.ok_or_else(|| std::io::Error::other("no entry names the writ"))? + 6;
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1;
    }
    std::fs::write(&path, bytes)?;
    Ok((shown, at))
}
