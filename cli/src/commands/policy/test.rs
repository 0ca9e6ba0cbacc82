//! `writ policy test`: cases that say what a policy set must answer, asked of the policies and of the parser that gateways use.
//!
//! A case about a statement is asked of a session that the same policies would open: one that they would not open has no
//! statements, and such a case fails whatever it expects, so that a slip in a claim never looks like a denial that works.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use writ_core::target::{Address, Protocol, Target, UpstreamTls};
use writ_core::time::{Clock as _, SystemClock, Timestamp};
use writ_core::workload::{Issuer, Subject, TokenId, TokenKind, Workload};
use writ_policy::{ConnectContext, explain_connect};

use super::case::{self, Answer, Case};
use super::judges::{Asked, Given, Judges};
use crate::commands::{explain, print_json};
use crate::failure::Failure;
use crate::out;

/// The longest session that a case is asked about, in seconds: a day.
const TTL_CAP: u64 = 86_400;

/// Which cases, of which policies.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The directory with the cases, `*.yaml` files; or one file.
    cases: PathBuf,
    /// The directory of `*.cedar` files.
    #[arg(long, default_value = "policies", value_name = "DIR")]
    policies: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What became of all cases.
#[derive(Debug, Serialize)]
struct Report {
    policy_hash: String,
    passed: usize,
    failed: usize,
    cases: Vec<Outcome>,
}

/// What became of one.
#[derive(Debug, Serialize)]
struct Outcome {
    file: PathBuf,
    line: u64,
    name: String,
    passed: bool,
    expected: Expected,
    /// Absent where the question could not be asked.
    got: Option<Given>,
    /// Why it could not.
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct Expected {
    verdict: Answer,
    policies: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// If the cases or the policies cannot be read, or a case fails.
pub(crate) async fn run(test: &Test) -> Result<(), Failure> {
    let cases = case::read(&test.cases)?;
    let judges = Judges::new(explain::bundle(&test.policies)?);
    let mut outcomes = Vec::with_capacity(cases.len());
    for case in cases {
        outcomes.push(outcome(&judges, case).await);
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
    let policy_hash = judges.bundle().hash().as_str().to_owned();
    let report = Report { policy_hash, passed: outcomes.len() - failed, failed, cases: outcomes };
    if test.json {
        print_json(&report)?;
    } else {
        report.cases.iter().filter(|outcome| !outcome.passed).for_each(|outcome| out::raw(&difference(outcome)));
        out::line(&format!("{} cases: {} passed, {failed} failed", report.cases.len(), report.passed));
    }
    if failed == 0 { Ok(()) } else { Err(Failure::new("the policies do not answer as the cases expect")) }
}

async fn outcome(judges: &Judges, case: Case) -> Outcome {
    let asked = ask(judges, &case).await;
    let Case { file, line, name, verdict, policies, .. } = case;
    let (got, problem) = match asked {
        Ok(given) => (Some(given), None),
        Err(problem) => (None, Some(problem)),
    };
    let holds =
        |given: &Given| given.verdict == verdict && policies.iter().all(|policy| given.policies.contains(policy));
    let passed = got.as_ref().is_some_and(holds);
    Outcome { file, line, name, passed, expected: Expected { verdict, policies }, got, problem }
}

/// What the policies answer, or why they cannot be asked.
async fn ask(judges: &Judges, case: &Case) -> Result<Given, String> {
    let now = case.setting.now.unwrap_or_else(|| SystemClock.now());
    let (workload, target) = (workload(case), target(case));
    let connect = connect(judges, case, &workload, &target, now);
    let Some(statement) = &case.statement else { return Ok(connect) };
    if connect.verdict != Answer::Allow {
        let why = connect.reason.unwrap_or_default();
        return Err(format!("the workload may not connect, so nothing is asked about a statement: {why}"));
    }
    let mut session = judges.session(&workload, &target, &case.known());
    for before in &case.before {
        let given = session.ask(before, now).await;
        if given.verdict != Answer::Allow {
            let why = given.reason.unwrap_or_default();
            return Err(format!("`{}`, which comes before, is not allowed: {why}", out::one_line(before)));
        }
    }
    Ok(session.ask(statement, now).await)
}

fn connect(judges: &Judges, case: &Case, workload: &Workload, target: &Target, now: Timestamp) -> Given {
    let setting = &case.setting;
    let context = ConnectContext {
        now,
        client_address: setting.client_address.clone(),
        database_role: None,
        database: setting.database.clone(),
        client_key: setting.client_key.clone(),
        ttl_cap_seconds: TTL_CAP,
    };
    let explained = explain_connect(judges.bundle(), workload, target, &context);
    let matched = explained.said.iter().filter(|said| said.outcome == writ_policy::explain::Outcome::Matched);
    match explained.decision {
        Ok(_) => Given {
            verdict: if explained.hold.is_some() { Answer::Hold } else { Answer::Allow },
            policies: matched.filter(|said| !said.forbids).map(|said| said.policy.clone()).collect(),
            code: None,
            reason: None,
            asked: Asked::default(),
        },
        Err(denied) => Given {
            verdict: Answer::Deny,
            policies: denied.policies,
            code: Some(denied.code.to_owned()),
            reason: Some(denied.detail),
            asked: Asked::default(),
        },
    }
}

fn workload(case: &Case) -> Workload {
    let text = |claim: &str| case.claims.get(claim).and_then(serde_json::Value::as_str).unwrap_or_default();
    Workload {
        issuer: Issuer::new(text("iss")),
        subject: Subject::new(text("sub")),
        token_kind: TokenKind::Workload,
        token_id: TokenId::Jti(text("jti").to_owned()),
        token_expires: Timestamp::MAX,
        bound_target: None,
        claims: case.claims.clone().into_iter().collect(),
    }
}

fn target(case: &Case) -> Target {
    let host = String::new();
    Target {
        name: case.target.clone(),
        labels: case.setting.labels.clone().unwrap_or_default(),
        protocol: Protocol::Postgres,
        address: Address { host, port: 5432, tls: UpstreamTls::VerifyFull, ca_pem: None },
        provider: "database".to_owned(),
    }
}

/// A case that failed, as it is shown: what was expected, and what came.
fn difference(outcome: &Outcome) -> String {
    let mut text =
        format!("FAIL {}:{} {}\n", outcome.file.display(), outcome.line, out::one_line(outcome.name.trim_end()));
    text.push_str(&format!("  - {}\n", answer(outcome.expected.verdict, &outcome.expected.policies)));
    match (&outcome.got, &outcome.problem) {
        (Some(given), _) => {
            text.push_str(&format!("  + {}\n", answer(given.verdict, &given.policies)));
            let why = [given.reason.as_deref(), given.code.as_deref()].into_iter().flatten().collect::<Vec<_>>();
            if !why.is_empty() {
                text.push_str(&format!("    {}\n", out::one_line(&why.join(" / "))));
            }
        }
        (None, problem) => {
            text.push_str(&format!("  + not asked: {}\n", out::one_line(problem.as_deref().unwrap_or_default())));
        }
    }
    text
}

fn answer(verdict: Answer, policies: &[String]) -> String {
    let names: BTreeSet<String> = policies.iter().map(|policy| format!("`{}`", out::one_line(policy))).collect();
    let by = if names.is_empty() { String::new() } else { " by ".to_owned() };
    format!("{}{by}{}", super::super::word(&verdict), names.into_iter().collect::<Vec<_>>().join(", "))
}
