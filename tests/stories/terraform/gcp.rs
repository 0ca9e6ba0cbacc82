//! Google Cloud: the planned pool, its condition and the accounts' bindings, in the fake of STS and IAM.

use std::path::Path;

use serde_json::Value;
use writ_fakes::gcp::{Account, Gcp, PoolProvider};
use writ_world::stack::Stack;

use super::plan::planned;
use super::trial::{EVERYBODY, NAMED, WRITS, another_workload, tries, usual_workload};
use super::{left, terraform};

/// The pool that trusts Writ's issuer, and the one that trusts GitHub's.
const WRIT_POOL: &str = "projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ";
const DEPLOY_POOL: &str = "projects/123456789012/locations/global/workloadIdentityPools/deploy/providers/github";

/// The targets, each with the account that its sessions ask for, the pool, and further settings. The first three are let in.
const TARGETS: [(&str, &str, &str, &str); 12] = [
    ("reports", "writ-reports", WRIT_POOL, ""),
    ("cluster", "writ-cluster", WRIT_POOL, ""),
    ("ledger", "writ-ledger", WRIT_POOL, "subject = \"workload\""),
    // The pool's condition names none of these.
    ("report", "writ-reports", WRIT_POOL, ""),
    ("reports2", "writ-reports", WRIT_POOL, ""),
    ("reports.orders", "writ-reports", WRIT_POOL, ""),
    ("ledger-by-target", "writ-ledger", WRIT_POOL, ""),
    ("nowhere", "writ-nowhere", WRIT_POOL, ""),
    // The pool takes these, and the account trusts another; or the assertion is for somebody else; or another pool is asked.
    ("orders", "writ-reports", WRIT_POOL, ""),
    ("edge", "writ-edge-cluster", WRIT_POOL, "audience = \"elsewhere\""),
    ("reports-by-deploy", "writ-reports", DEPLOY_POOL, ""),
    ("deploy", "deploy", DEPLOY_POOL, ""),
];

fn configured(at: &Path, google: &Gcp, configuration: &str) -> String {
    std::fs::write(at.join("policies/everybody.cedar"), EVERYBODY).unwrap();
    let url = google.url();
    let mut text = configuration.replacen("[[broker.issuer]]", "[broker.issues]\n\n[[broker.issuer]]", 1);
    for (target, account, pool, more) in TARGETS {
        text += &format!(
            r#"
[[broker.target]]
name = "{target}"
protocol = "gcp"
host = "storage.googleapis.com"

[broker.target.provider.gcp]
service_account = "{account}@writ-example.iam.gserviceaccount.com"
default_scope = "all"
scopes = {{ all = {{ oauth = ["https://www.googleapis.com/auth/cloud-platform"] }} }}

[broker.target.provider.gcp.federation]
pool_provider = "{pool}"
sts_endpoint = "{url}"
iam_endpoint = "{url}"
tokeninfo_endpoint = "{url}"
{more}
"#
        );
    }
    text
}

/// Registers all that the plan makes, with the broker that runs in the place of the issuer that it names.
fn load(google: &Gcp, stack: &Stack, plan: &Value) {
    let workload = usual_workload();
    let text = |made: &Value, name: &str| made[name].as_str().unwrap().replace(NAMED, &workload);
    let authority = std::fs::read_to_string(stack.authority()).unwrap();
    for (_, made) in planned(plan, "google_iam_workload_identity_pool_provider") {
        let oidc = &made["oidc"][0];
        let issuer = text(oidc, "issuer_uri").replace(WRITS, &stack.broker());
        let audiences = oidc["allowed_audiences"].as_array().into_iter().flatten();
        // The fake's CEL has no `+`: where texts are put together to a subject, the token's own stands for it.
        let attribute = |one: &Value| match one.as_str().unwrap() {
            joined if joined.contains(" + ") => "assertion.sub".to_owned(),
            plain => plain.to_owned(),
        };
        let mapping = made["attribute_mapping"].as_object().unwrap().iter();
        let provider = PoolProvider {
            pool: text(&made, "workload_identity_pool_id"),
            id: text(&made, "workload_identity_pool_provider_id"),
            ca_pem: (issuer == stack.broker()).then(|| authority.clone()),
            issuer,
            allowed_audiences: audiences.map(|one| one.as_str().unwrap().to_owned()).collect(),
            mapping: mapping.map(|(name, one)| (name.clone(), attribute(one))).collect(),
            condition: Some(text(&made, "attribute_condition")),
            at: None,
        };
        google.pool_provider(provider).unwrap();
    }
    let members = planned(plan, "google_service_account_iam_member");
    for (module, made) in planned(plan, "google_service_account") {
        let email = format!("{}@{}.iam.gserviceaccount.com", text(&made, "account_id"), text(&made, "project"));
        let own = members.iter().filter(|(of, _)| *of == module);
        let bindings = own.map(|(_, made)| (text(made, "role"), text(made, "member"))).collect();
        google.account(Account { bindings, ..Account::of(&email, &[]) }).unwrap();
    }
}

#[test]
fn the_planned_trust_lets_its_targets_in_and_none_that_nearly_are() {
    let kept = tempfile::tempdir().unwrap();
    terraform(&["--stubs", "gcp/examples/complete"], kept.path()).unwrap_or_else(|said| panic!("{said}"));
    let google = Gcp::start().unwrap();
    let stack = Stack::start_with(&[], |_, at, configuration| Ok(configured(at, &google, &configuration))).unwrap();
    load(&google, &stack, &left(kept.path(), "gcp-complete.plan.json"));

    // Tokens of accounts, by whose address they are.
    let accounts = || google.all_issued().into_iter().filter(|issued| issued.principal.contains('@')).count();
    for (target, account, ..) in &TARGETS[..3] {
        let said = tries(&stack, target, &stack.token().unwrap());
        let said = said.unwrap_or_else(|said| panic!("{target}: {said}\n{:#?}", google.audit()));
        assert!(said["principal"].as_str().unwrap().starts_with(account), "{target}: {said}");
    }
    let (given, mut asked) = (accounts(), google.audit().len());
    assert!(given >= 3, "{given}");
    let mut refused = |case: &str, target: &str, token: &str| {
        assert!(tries(&stack, target, token).is_err(), "{case}");
        let audit = google.audit();
        assert!(audit.len() > asked, "{case}: Google was not asked");
        asked = audit.len();
        assert_eq!(accounts(), given, "{case}: {audit:#?}");
    };
    for (target, ..) in &TARGETS[3..] {
        refused(target, target, &stack.token().unwrap());
    }
    refused("another workload", "ledger", &another_workload(&stack));
}
