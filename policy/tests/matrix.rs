//! The decision matrix: `matrix/cases.txt` against `matrix/policies.cedar`, so that a change of behaviour is a readable
//! difference.

use writ_core::command::CommandTag;
use writ_core::grant::{Grant, RecordLevel};
use writ_core::proof::Verified;
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::Timestamp;
use writ_core::verdict::Verdict;
use writ_core::workload::{Issuer, Subject, TokenId, TokenKind, Workload};
use writ_policy::{Bundle, ConnectContext, Denied, SessionPolicy, connect};

const POLICIES: &str = include_str!("matrix/policies.cedar");
const CASES: &str = include_str!("matrix/cases.txt");

#[expect(clippy::expect_used, reason = "a matrix that cannot be read is a failed test")]
fn workload(issuer: &str, claims: &str) -> Workload {
    Workload {
        issuer: Issuer::new(issuer),
        subject: Subject::new("job"),
        claims: serde_json::from_str(claims).expect("claims are an object"),
        token_kind: TokenKind::Workload,
        token_id: TokenId::Jti("1".to_owned()),
        token_expires: Timestamp::MAX,
        bound_target: None,
    }
}

#[expect(clippy::expect_used, reason = "a matrix that cannot be read is a failed test")]
fn target(name: &str) -> Target {
    let env = if name == "staging" { "staging" } else { "production" };
    Target {
        name: TargetName::new(name).expect("a target's name"),
        labels: [("env".to_owned(), env.to_owned())].into(),
        protocol: Protocol::Postgres,
        address: Address { host: "localhost".to_owned(), port: 5432, tls: UpstreamTls::Disable, ca_pem: None },
        provider: "database".to_owned(),
    }
}

fn shown(decided: &Result<Grant, Denied>) -> String {
    match decided {
        Ok(grant) => {
            let obligations = grant.obligations();
            let record = if obligations.record == RecordLevel::Full { "full" } else { "commands" };
            let role = obligations.role.as_deref().unwrap_or("-");
            let limit = obligations.connection_limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
            let policies = grant.policies().join(",");
            format!("{} {role} {record} {} {limit} {policies}", obligations.ttl_seconds, obligations.uses)
        }
        Err(denied) => format!("{} {}", denied.code, denied.policies.join(",")).trim_end().to_owned(),
    }
}

fn commands(table: &SessionPolicy) -> String {
    let letters = CommandTag::ALL.into_iter().zip(['q', 'p', 'x']);
    letters.map(|(tag, letter)| if matches!(table.verdict(tag), Verdict::Allow(_)) { letter } else { '-' }).collect()
}

#[test]
fn every_case_is_decided_as_written() {
    let bundle = Bundle::load(vec![("policies.cedar".to_owned(), POLICIES.to_owned())]).expect("the policies load");
    let bundle = std::sync::Arc::new(bundle);
    let cases = CASES.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut wrong = Vec::new();
    for line in cases.clone() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [issuer, claims, name, asked, expected, allowed] = cells.as_slice() else { panic!("six cells: {line}") };
        let (workload, target) = (workload(issuer, claims), target(name));
        let table = SessionPolicy::prepare(&bundle, &workload, &target);
        let context = ConnectContext {
            now: Timestamp::UNIX_EPOCH,
            client_address: None,
            database_role: Some((*asked).to_owned()).filter(|asked| asked != "-"),
            database: None,
            client_key: None,
            ttl_cap_seconds: 3600,
        };
        #[expect(clippy::disallowed_methods, reason = "the matrix stands in for identity")]
        let verified = Verified::by_identity(workload);
        let decided = shown(&connect(&bundle, &verified, &target, &context));
        if decided != *expected || commands(&table) != *allowed {
            wrong.push(format!("{line}\n  decided: {decided} | {}", commands(&table)));
        }
    }
    assert!(cases.count() >= 20, "the matrix lost cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
