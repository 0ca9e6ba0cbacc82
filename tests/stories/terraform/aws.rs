//! AWS: the planned roles and OIDC providers, in the fake of STS.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use writ_fakes::issuer::{Algorithm, Issuer};
use writ_fakes::moto;
use writ_fakes::sts::{Front, OidcProvider, Role};
use writ_world::stack::{Part, Stack, binary, printed};

use super::job::{Job, job, near_misses, other_events, other_files};
use super::plan::planned;
use super::trial::NAMED;
use super::{left, terraform, trial};
use crate::stories::evidence::eventually;

/// GitHub's issuer, as the plan names it; a fake one stands in for it.
const GITHUB: &str = "token.actions.githubusercontent.com";
/// Writ's own, as the plan names it; the broker that runs stands in for it.
const WRITS: &str = "issuer.example/writ";
/// Whom GitHub's tokens are for: what the plan's provider lists.
const AUDIENCE: &str = "sts.amazonaws.com";

/// The targets, each with the role that its sessions ask for. What the plan has lets the first five in, and none of the others.
const TARGETS: [(&str, &str, &str); 12] = [
    ("reports", "writ-reports", ""),
    ("orders", "writ-orders", ""),
    ("cluster", "writ-cluster", ""),
    ("ledger", "writ-ledger", "subject = \"workload\", "),
    ("deploy", "deploy", "by = \"workload\", "),
    // Names that are nearly the one that is trusted, and targets that are trusted elsewhere.
    ("report", "writ-reports", ""),
    ("reports2", "writ-reports", ""),
    ("reports.orders", "writ-reports", ""),
    ("invoices", "writ-orders", ""),
    // By another subject, by a role that trusts another broker, by a role that is not there.
    ("ledger-by-target", "writ-ledger", ""),
    ("archive", "writ-archive", ""),
    ("nowhere", "writ-nowhere", ""),
];

/// What ends with the test.
struct Scene {
    stack: Stack,
    front: Front,
    github: Issuer,
    /// An issuer that Writ takes too, and that the account lists.
    other: Issuer,
}

impl Scene {
    fn start() -> Self {
        let kept = tempfile::tempdir().unwrap();
        terraform(&["--stubs", "aws/examples/complete"], kept.path()).unwrap_or_else(|said| panic!("{said}"));
        let plan = left(kept.path(), "aws-complete.plan.json");
        let (front, github, other) =
            (Front::start().unwrap(), Issuer::start_tls().unwrap(), Issuer::start_tls().unwrap());
        let stack = Stack::start_with(&[], |_, at, configuration| {
            Ok(configured(at, &front, &[("github", &github), ("other", &other)], &configuration))
        })
        .unwrap();
        let scene = Self { stack, front, github, other };
        scene.load(&plan);
        scene
    }

    /// Registers all that the plan makes, with the issuers that run here in the places of those that it names.
    fn load(&self, plan: &Value) {
        let writs = self.stack.broker();
        let hosted = |text: &str| {
            text.replace(WRITS, writs.trim_start_matches("https://"))
                .replace(GITHUB, self.github.url().trim_start_matches("https://"))
                .replace(NAMED, &self.subject(&job().subject()))
        };
        let authority = std::fs::read_to_string(self.stack.authority()).unwrap();
        for (_, made) in planned(plan, "aws_iam_openid_connect_provider") {
            let url = hosted(made["url"].as_str().unwrap());
            let ca_pem = if url == writs { Some(authority.clone()) } else { self.github.ca_pem().map(str::to_owned) };
            self.front.oidc_provider(OidcProvider {
                url,
                client_ids: texts(&made["client_id_list"]),
                ca_pem,
                at: None,
            });
        }
        let ca_pem = self.other.ca_pem().map(str::to_owned);
        let url = self.other.url().to_owned();
        self.front.oidc_provider(OidcProvider { url, client_ids: vec![AUDIENCE.to_owned()], ca_pem, at: None });
        let permissions: BTreeMap<String, Vec<(String, String)>> =
            planned(plan, "aws_iam_role_policy").into_iter().fold(BTreeMap::new(), |mut found, (_, made)| {
                let text = |name: &str| made[name].as_str().unwrap().to_owned();
                found.entry(text("role")).or_insert_with(Vec::new).push((text("name"), text("policy")));
                found
            });
        for (module, made) in planned(plan, "aws_iam_role") {
            let name = made["name"].as_str().unwrap().to_owned();
            let trust = hosted(made["assume_role_policy"].as_str().unwrap());
            let policies = permissions.get(&name).cloned().unwrap_or_default().into_iter().collect();
            let longest = u32::try_from(made["max_session_duration"].as_u64().unwrap()).unwrap();
            self.front.role(&Role { name, trust, policies, longest }).unwrap_or_else(|said| panic!("{module}: {said}"));
        }
    }

    /// Writ's subject for a workload of GitHub's.
    fn subject(&self, subject: &str) -> String {
        let mut command = Command::new(binary().unwrap());
        printed(command.args(["issuer", "subject", self.github.url(), subject]).stdin(Stdio::null())).unwrap()
    }

    fn token(&self, claims: &Value) -> String {
        self.github.token(Algorithm::Rs256, claims).unwrap()
    }

    /// The workload tries the target; beside what it was told, what STS wrote down of it meanwhile.
    fn tries(&self, target: &str, token: &str) -> (Result<Value, String>, Vec<Value>) {
        let before = self.front.audit().len();
        let said = trial::tries(&self.stack, target, token);
        (said, self.front.audit().split_off(before))
    }

    fn is_let_in(&self, target: &str, role: &str, token: &str) {
        let (said, audit) = self.tries(target, token);
        let said = said.unwrap_or_else(|said| panic!("{target}: {said}\n{audit:#?}"));
        let writ = said["writ"].as_str().unwrap();
        assert_eq!(said["presented"], true, "{target}: {said}");
        let session = self.front.sessions().into_iter().find(|session| session.name == writ).unwrap();
        assert!(session.role_arn.ends_with(&format!("role/{role}")), "{target}: {}", session.role_arn);
    }

    /// The broker asks, and the role's trust does not hold.
    fn is_refused_by_the_trust(&self, case: &str, target: &str, token: &str) {
        let sessions = self.front.sessions().len();
        let (said, audit) = self.tries(target, token);
        assert!(said.is_err(), "{case}: {said:?}");
        let codes: Vec<&str> = audit.iter().map(|event| event["errorCode"].as_str().unwrap_or("none")).collect();
        let refused = |code: &&str| ["AccessDenied", "InvalidIdentityToken"].contains(code);
        assert!(!codes.is_empty() && codes.iter().all(refused), "{case}: {said:?}\n{audit:#?}");
        assert_eq!(self.front.sessions().len(), sessions, "{case}");
    }

    /// Writ refuses it before AWS is asked anything.
    fn is_refused_by_writ(&self, case: &str, target: &str, token: &str) {
        let (said, audit) = self.tries(target, token);
        assert!(said.is_err(), "{case}: {said:?}");
        assert!(audit.is_empty(), "{case}: AWS was asked: {audit:#?}");
    }
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

fn configured(at: &Path, front: &Front, issuers: &[(&str, &Issuer)], configuration: &str) -> String {
    let github = issuers[0].1.url();
    let jobs = format!(
        r#"@id("jobs") @ttl("15m")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource)
when {{
  principal.issuer == "{github}" &&
  principal.hasTag("ci.repository_id") && principal.getTag("ci.repository_id") == "74" &&
  principal.hasTag("ci.owner_id") && principal.getTag("ci.owner_id") == "65" &&
  principal.hasTag("ci.environment") && principal.getTag("ci.environment") == "production"
}};

// Here the roles' trust alone decides.
@id("lax") @ttl("15m") @accepts("pull_request, pull_request_target, workflow_run")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource)
when {{ resource == Writ::Target::"deploy" || resource == Writ::Target::"ledger" }};
"#
    );
    std::fs::write(at.join("policies/terraform.cedar"), jobs).unwrap();
    let mut text = configuration.replacen("[[broker.issuer]]", "[broker.issues]\n\n[[broker.issuer]]", 1);
    for (name, issuer) in issuers {
        let authority = at.join(format!("{name}.pem"));
        std::fs::write(&authority, issuer.ca_pem().unwrap()).unwrap();
        text += &format!(
            "\n[[broker.issuer]]\nname = \"{name}\"\npreset = \"github-actions\"\nissuer = \"{}\"\n\
             audiences = [\"{AUDIENCE}\", \"writ\"]\nca_pem_file = \"{}\"\ninternal = true\n",
            issuer.url(),
            authority.display()
        );
    }
    let front = front.url();
    for (target, role, assume) in TARGETS {
        text += &format!(
            r#"
[[broker.target]]
name = "{target}"
protocol = "aws"
host = "sts.eu-west-1.amazonaws.com"

[broker.target.provider.aws]
region = "eu-west-1"
role_arn = "arn:aws:iam::123456789012:role/{role}"
default_scope = "all"
scopes = {{ all = [{{ actions = ["*"], resources = ["*"] }}] }}
assume = {{ {assume}endpoint = "{front}", iam_endpoint = "{front}" }}
"#
        );
    }
    text
}

#[test]
fn the_planned_trust_lets_its_targets_in_and_none_that_nearly_are() {
    let scene = Scene::start();
    let right = || scene.token(&job().claims(&scene.github, AUDIENCE));
    for (target, role, _) in &TARGETS[..4] {
        scene.is_let_in(target, role, &right());
    }
    for (target, _, _) in &TARGETS[5..] {
        scene.is_refused_by_the_trust(target, target, &right());
    }
    let other = Job { context: "environment:staging", ..job() };
    scene.is_refused_by_the_trust("another workload", "ledger", &scene.token(&other.claims(&scene.github, AUDIENCE)));

    // Who may use a target at all is Writ's own to say, by numbers.
    for (case, job) in near_misses() {
        scene.is_refused_by_writ(case, "reports", &scene.token(&job.claims(&scene.github, AUDIENCE)));
    }
    let changed = |name: &str, value: Value| {
        let mut claims = job().claims(&scene.github, AUDIENCE);
        claims[name] = value;
        scene.token(&claims)
    };
    scene.is_refused_by_writ("another audience", "reports", &changed("aud", json!("elsewhere")));
    scene.is_refused_by_writ("a token that has ended", "reports", &changed("exp", json!(1_700_000_000)));
    scene.is_refused_by_writ("another issuer's name", "reports", &changed("iss", json!(scene.other.url())));
    let other = scene.other.token(Algorithm::Rs256, &job().claims(&scene.other, AUDIENCE)).unwrap();
    scene.is_refused_by_writ("another issuer", "reports", &other);
    let request = Job { context: "pull_request", event: "pull_request", ..job() };
    scene.is_refused_by_writ("a pull request", "reports", &scene.token(&request.claims(&scene.github, AUDIENCE)));

    another_issuer_of_the_account_opens_nothing(&scene);
    a_looser_trust_would_be_seen(&scene, &right());
    another_audience_opens_nothing(&scene, right);
}

/// That the cases above are refused for what the plan says: without the subject the role lets one of them in.
fn a_looser_trust_would_be_seen(scene: &Scene, token: &str) {
    let provider =
        format!("arn:aws:iam::123456789012:oidc-provider/{}", scene.stack.broker().trim_start_matches("https://"));
    let loose = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": { "Federated": provider },
        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
    }] });
    let name = "writ-orders".to_owned();
    scene.front.role(&Role { name, trust: loose.to_string(), policies: BTreeMap::new(), longest: 3600 }).unwrap();
    scene.is_let_in("invoices", "writ-orders", token);
}

/// Another issuer that the account lists says what Writ's would say.
fn another_issuer_of_the_account_opens_nothing(scene: &Scene) {
    let token = scene.other.token(Algorithm::Es256, &scene.other.claims(AUDIENCE, "target:reports")).unwrap();
    let mut aws = Command::new(moto::aws_cli().unwrap());
    aws.env_clear().env("PATH", "/usr/bin:/bin").args(["--endpoint-url", scene.front.url(), "--region", "eu-west-1"]);
    aws.args([
        "sts",
        "assume-role-with-web-identity",
        "--role-session-name",
        "example",
        "--web-identity-token",
        &token,
    ]);
    let refused = printed(aws.args(["--role-arn", "arn:aws:iam::123456789012:role/writ-reports"])).unwrap_err();
    assert!(refused.contains("AccessDenied"), "{refused}");
}

/// The target's assertions are for somebody else, by a configuration that is read while the broker runs.
fn another_audience_opens_nothing(scene: &Scene, right: impl Fn() -> String) {
    let path: PathBuf = scene.stack.state().join(Part::Serve.configuration());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("assume = { endpoint", "assume = { audience = \"elsewhere\", endpoint"))
        .unwrap();
    scene.stack.hang_up().unwrap();
    let refused = || match scene.tries("reports", &right()) {
        (Ok(said), _) => Err(format!("still let in: {said}")),
        (Err(said), audit) => Ok((said, audit)),
    };
    let (said, audit) = eventually(refused).unwrap();
    let wrong = audit.iter().any(|event| event["errorMessage"].as_str().is_some_and(|text| text.contains("audience")));
    assert!(wrong, "{said}\n{audit:#?}");
}

#[test]
fn the_planned_trust_lets_the_job_in_and_none_that_nearly_is() {
    let scene = Scene::start();
    scene.is_let_in("deploy", "deploy", &scene.token(&job().claims_with_file(&scene.github, AUDIENCE)));
    for (case, job) in near_misses().into_iter().chain(other_files()) {
        scene.is_refused_by_the_trust(case, "deploy", &scene.token(&job.claims_with_file(&scene.github, AUDIENCE)));
    }
    let changed = |name: &str, value: Value| {
        let mut claims = job().claims_with_file(&scene.github, AUDIENCE);
        claims[name] = value;
        scene.token(&claims)
    };
    for (case, name, value) in [
        ("another audience", "aud", "writ"),
        ("the subject without the file", "sub", "repo:octo-org@65/octo-repo@74:environment:production"),
        ("a pull request's subject", "sub", "repo:octo-org@65/octo-repo@74:pull_request"),
        ("the subject by names alone", "sub", "repo:octo-org/octo-repo:environment:production"),
        ("a subject of other claims", "sub", "environment:production"),
    ] {
        scene.is_refused_by_the_trust(case, "deploy", &changed(name, json!(value)));
    }
    let other = scene.other.token(Algorithm::Rs256, &job().claims_with_file(&scene.other, AUDIENCE)).unwrap();
    scene.is_refused_by_the_trust("another issuer that the account lists", "deploy", &other);

    // What the module's own document says that AWS does not look at: what started the job, where the file is the same.
    for (_, job) in other_events() {
        scene.is_let_in("deploy", "deploy", &scene.token(&job.claims_with_file(&scene.github, AUDIENCE)));
    }
}
