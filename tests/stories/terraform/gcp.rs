//! Google Cloud: the planned pools, their conditions and the accounts' bindings, in the fake of STS and IAM.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use writ_fakes::gcp::{self, Account, Gcp, PoolProvider};
use writ_fakes::issuer::{Algorithm, Issuer};
use writ_fakes::moto;
use writ_world::stack::Stack;

use super::client::Client;
use super::job::{Job, job, near_misses, other_events, other_files};
use super::plan::{Hosted, planned};
use super::trial::{EVERYBODY, NAMED, WRITS, another_workload, tries, usual_workload};
use super::{left, terraform};

/// The pool that trusts Writ's issuer, and the one that trusts GitHub's.
const WRIT_POOL: &str = "projects/123456789012/locations/global/workloadIdentityPools/writ/providers/writ";
const DEPLOY_POOL: &str = "projects/123456789012/locations/global/workloadIdentityPools/deploy/providers/github";

/// GitHub's issuer, as the plan names it; a fake one stands in for it.
const GITHUB: &str = "https://token.actions.githubusercontent.com";

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

/// Registers all that the plan makes, with the issuers that run in the places of those that it names.
fn load(google: &Gcp, hosted: &[Hosted<'_>], plan: &Value) {
    let workload = usual_workload();
    let text = |made: &Value, name: &str| made[name].as_str().unwrap().replace(NAMED, &workload);
    for provider in providers(hosted, plan) {
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

/// The pools' providers that the plan makes.
fn providers(hosted: &[Hosted<'_>], plan: &Value) -> Vec<PoolProvider> {
    let workload = usual_workload();
    let text = |made: &Value, name: &str| made[name].as_str().unwrap().replace(NAMED, &workload);
    let provider = |(_, made): (String, Value)| {
        let oidc = &made["oidc"][0];
        let (issuer, ca_pem) = Hosted::find(hosted, oidc["issuer_uri"].as_str().unwrap());
        let audiences = oidc["allowed_audiences"].as_array().into_iter().flatten();
        let mapping = made["attribute_mapping"].as_object().unwrap().iter();
        PoolProvider {
            pool: text(&made, "workload_identity_pool_id"),
            id: text(&made, "workload_identity_pool_provider_id"),
            ca_pem,
            issuer,
            allowed_audiences: audiences.map(|one| one.as_str().unwrap().to_owned()).collect(),
            mapping: mapping.map(|(name, one)| (name.clone(), one.as_str().unwrap().to_owned())).collect(),
            condition: Some(text(&made, "attribute_condition")),
            at: None,
        }
    };
    planned(plan, "google_iam_workload_identity_pool_provider").into_iter().map(provider).collect()
}

/// What ends with the test: jobs of GitHub's go to Google themselves.
struct Direct {
    google: Gcp,
    github: Issuer,
    /// One that no pool trusts.
    other: Issuer,
    client: Client,
    directory: tempfile::TempDir,
    plan: Value,
}

impl Direct {
    fn start() -> Self {
        let kept = tempfile::tempdir().unwrap();
        terraform(&["--stubs", "gcp/examples/complete"], kept.path()).unwrap_or_else(|said| panic!("{said}"));
        let mut command = Command::new(gcp::python().unwrap());
        command.arg(moto::clients().join("google_auth_calls.py")).env_clear().env("PATH", "/usr/bin:/bin");
        let direct = Self {
            google: Gcp::start().unwrap(),
            github: Issuer::start_tls().unwrap(),
            other: Issuer::start_tls().unwrap(),
            client: Client::start(&mut command),
            directory: tempfile::tempdir().unwrap(),
            plan: left(kept.path(), "gcp-complete.plan.json"),
        };
        load(&direct.google, &direct.hosted(), &direct.plan);
        direct
    }

    fn hosted(&self) -> [Hosted<'static>; 1] {
        let ca_pem = self.github.ca_pem().unwrap().to_owned();
        [Hosted { named: GITHUB, url: self.github.url().to_owned(), ca_pem }]
    }

    fn claims(&self, job: &Job<'_>) -> Value {
        job.claims(&self.github, &format!("https://iam.googleapis.com/{DEPLOY_POOL}"))
    }

    fn token(&self, claims: &Value) -> String {
        self.github.token(Algorithm::Rs256, claims).unwrap()
    }

    /// What Google's library makes of a token that lies in a file, as google-github-actions/auth leaves it.
    fn goes(&mut self, token: &str) -> Result<String, String> {
        let file = self.directory.path().join("job.jwt");
        std::fs::write(&file, token).unwrap();
        let url = self.google.url();
        let account = "deploy@writ-example.iam.gserviceaccount.com";
        let configuration = json!({
            "type": "external_account",
            "audience": format!("//iam.googleapis.com/{DEPLOY_POOL}"),
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("{url}/v1/token"),
            "credential_source": { "file": file },
            "service_account_impersonation_url": format!("{url}/v1/projects/-/serviceAccounts/{account}:generateAccessToken"),
        });
        let scopes = ["https://www.googleapis.com/auth/cloud-platform"];
        let said = self.client.ask(&json!({ "configuration": configuration, "scopes": scopes }));
        said["token"].as_str().map(str::to_owned).ok_or_else(|| said["error"].as_str().unwrap().to_owned())
    }

    fn is_let_in(&mut self, case: &str, token: &str) {
        let given = self.goes(token).unwrap_or_else(|said| panic!("{case}: {said}"));
        let who = self.google.issued(&given).unwrap().principal;
        assert_eq!(who, "deploy@writ-example.iam.gserviceaccount.com", "{case}");
    }

    fn is_refused(&mut self, case: &str, words: &str, token: &str) {
        let before = self.google.all_issued().len();
        let said = self.goes(token).expect_err(case);
        assert!(said.contains(words), "{case}: {said}");
        assert_eq!(self.google.all_issued().len(), before, "{case}");
    }
}

/// A job goes to Google by its own token: no broker stands there, and the pool's condition alone decides.
#[test]
fn the_planned_trust_lets_the_job_in_and_none_that_nearly_is() {
    let mut direct = Direct::start();
    let right = direct.claims(&job());
    direct.is_let_in("the job", &direct.token(&right));
    let by_hand = direct.claims(&Job { event: "workflow_dispatch", ..job() });
    direct.is_let_in("the job, started by hand", &direct.token(&by_hand));

    let condition = "rejected by the attribute condition";
    for (case, job) in near_misses().into_iter().chain(other_files()).chain(other_events()) {
        let token = direct.token(&direct.claims(&job));
        direct.is_refused(case, condition, &token);
    }
    let now = right["iat"].as_i64().unwrap();
    let audience = "does not match the expected audience";
    let plain = format!("//iam.googleapis.com/{DEPLOY_POOL}");
    for (case, changes, words) in [
        ("another audience", json!({ "aud": "https://github.com/octo-org" }), audience),
        ("another pool's audience", json!({ "aud": format!("https://iam.googleapis.com/{WRIT_POOL}") }), audience),
        ("the audience in another form", json!({ "aud": plain }), audience),
        ("another issuer's name", json!({ "iss": direct.other.url() }), "does not match the expected ones"),
        ("GitHub's own name", json!({ "iss": GITHUB }), "does not match the expected ones"),
        ("one that has ended", json!({ "iat": now - 700, "nbf": now - 700, "exp": now - 100 }), "is stale to sign-in"),
        ("no environment", json!({ "environment": null }), condition),
        ("no owner", json!({ "repository_owner_id": null }), condition),
        (
            "the right numbers, as numbers",
            json!({ "repository_id": 74, "repository_owner_id": 65 }),
            "could not be computed",
        ),
    ] {
        let mut claims = direct.claims(&job());
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let token = direct.token(&claims);
        direct.is_refused(case, words, &token);
    }
    let other = direct.other.token(Algorithm::Rs256, &right).unwrap();
    direct.is_refused("another issuer's signature", "The signature of the ID Token is invalid", &other);
    let audience = format!("https://iam.googleapis.com/{DEPLOY_POOL}");
    let own = direct.other.token(Algorithm::Rs256, &job().claims(&direct.other, &audience)).unwrap();
    direct.is_refused("another issuer", "does not match the expected ones", &own);

    // They are refused for what the plan says: without its condition whatever the repository runs gets in.
    let plan = direct.plan.clone();
    for provider in providers(&direct.hosted(), &plan) {
        direct.google.pool_provider(PoolProvider { condition: None, ..provider }).unwrap();
    }
    let inside = near_misses().into_iter().filter(|(_, near)| near.repository == job().repository);
    for (case, job) in inside.chain(other_files()).chain(other_events()) {
        let token = direct.token(&direct.claims(&job));
        direct.is_let_in(case, &token);
    }
}

#[test]
fn the_planned_trust_lets_its_targets_in_and_none_that_nearly_are() {
    let kept = tempfile::tempdir().unwrap();
    terraform(&["--stubs", "gcp/examples/complete"], kept.path()).unwrap_or_else(|said| panic!("{said}"));
    let google = Gcp::start().unwrap();
    let stack = Stack::start_with(&[], |_, at, configuration| Ok(configured(at, &google, &configuration))).unwrap();
    let ca_pem = std::fs::read_to_string(stack.authority()).unwrap();
    let hosted = [Hosted { named: WRITS, url: stack.broker(), ca_pem }];
    load(&google, &hosted, &left(kept.path(), "gcp-complete.plan.json"));

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
