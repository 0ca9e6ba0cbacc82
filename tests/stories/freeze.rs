//! The kill switch: a query under way is cut, nothing is opened until the freeze is lifted, and the ledger says both.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use writ_world::stack::{Stack, TARGET};

use super::approvals;
use super::evidence::{admin, eventually, holding};

/// Ten times the second that is promised.
const CUT_WITHIN: Duration = Duration::from_secs(10);

/// A psql in the middle of a query; ended with the test.
struct Asleep(Child);

impl Asleep {
    fn start(stack: &Stack) -> Self {
        let mut command = stack.client(Path::new("/usr/bin/psql"), &stack.token().unwrap());
        command.args(["-X", "-c", "select pg_sleep(600)"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let client = Self(command.spawn().unwrap());
        eventually(|| {
            match stack.superuser("select query from pg_stat_activity where query like '%pg_sleep(600)'")? {
                running if running.contains("select pg_sleep(600)") => Ok(()),
                other => Err(format!("it does not sleep yet: {other}")),
            }
        })
        .unwrap();
        client
    }

    /// Waits until it ends by itself: how long that took, and what it said.
    fn ended(mut self, since: Instant) -> (Duration, String) {
        while self.0.try_wait().unwrap().is_none() {
            assert!(since.elapsed() < CUT_WITHIN, "the session lives on");
            std::thread::sleep(Duration::from_millis(10));
        }
        let (took, mut said) = (since.elapsed(), String::new());
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (took, said)
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Issuer and subject of the newest session.
fn workload(stack: &Stack) -> String {
    let page: Value = serde_json::from_str(&admin(stack, &["sessions", "ls", "--json"]).unwrap()).unwrap();
    let writ = &page["items"][0]["writ"];
    format!("{}|{}", writ["issuer"].as_str().unwrap(), writ["subject"].as_str().unwrap())
}

#[test]
fn a_freeze_cuts_a_query_under_way_and_shuts_out_what_comes_until_it_is_lifted() {
    let stack = Stack::start().unwrap();
    for by in ["--workload", "--target", "--all"] {
        let asleep = Asleep::start(&stack);
        let named = workload(&stack);
        let scope = match by {
            "--workload" => vec![by, named.as_str()],
            "--target" => vec![by, TARGET],
            _ => vec![by],
        };
        let since = Instant::now();
        let order = [vec!["freeze"], scope, vec!["--reason", "the token leaked", "--json"]].concat();
        let frozen: Value = serde_json::from_str(&admin(&stack, &order).unwrap()).unwrap();
        let (took, said) = asleep.ended(since);
        assert!(said.contains("access is frozen: the token leaked"), "after {took:?}: {said}");
        eventually(|| match stack.superuser("select rolname from pg_roles where rolname like 'writ-%'")? {
            none if none.is_empty() => Ok(()),
            left => Err(format!("roles are left: {left}")),
        })
        .unwrap();

        let refused = stack.psql(&stack.token().unwrap(), "select 1").unwrap().unwrap_err();
        assert!(refused.contains("access is frozen: the token leaked"), "{refused}");
        let id = frozen["id"].as_str().unwrap();
        assert!(admin(&stack, &["freeze", "ls"]).unwrap().contains(id));
        assert!(admin(&stack, &["unfreeze", id]).is_err(), "a reason is needed");
        admin(&stack, &["unfreeze", id, "--reason", "it was changed"]).unwrap();
        assert!(!admin(&stack, &["freeze", "ls"]).unwrap().contains(id));
        assert_eq!(stack.psql(&stack.token().unwrap(), "select 7").unwrap().unwrap().trim(), "7");
        for reason in ["the token leaked", "it was changed"] {
            let event = format!("\"freeze\":\"{id}\",\"reason\":\"{reason}\"");
            eventually(|| match holding(&stack.state().join("broker/evidence/ledger"), event.as_bytes()) {
                none if none.is_empty() => Err(format!("the ledger has no `{event}`")),
                _ => Ok(()),
            })
            .unwrap();
        }
    }
    admin(&stack, &["ledger", "verify"]).unwrap();
}

#[test]
fn a_freeze_ends_a_statement_that_waits_for_humans() {
    let stack = approvals::stack();
    let waiting = Asleep(approvals::psql(&stack, "delete from notes"));
    let question = approvals::id(&approvals::asked(&stack).unwrap());
    let since = Instant::now();
    let frozen = admin(&stack, &["freeze", "--all", "--reason", "the token leaked", "--json"]).unwrap();
    let (took, said) = waiting.ended(since);
    assert!(said.contains("access is frozen: the token leaked"), "after {took:?}: {said}");
    approvals::state(&stack, &question, "withdrawn");
    assert!(admin(&stack, &["approvals", "approve", &question, "--reason", "too late"]).is_err());
    let frozen: Value = serde_json::from_str(&frozen).unwrap();
    admin(&stack, &["unfreeze", frozen["id"].as_str().unwrap(), "--reason", "it was changed"]).unwrap();
    assert_eq!(approvals::left(&stack), "10", "nothing reached the server");
}
