//! Azure: the planned applications and whose tokens stand for them, in the fake of Entra.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use writ_fakes::entra::azurite::python;
use writ_fakes::entra::{App, Entra, Federated, TENANT};
use writ_fakes::issuer::{Algorithm, Issuer};
use writ_fakes::moto;
use writ_world::stack::Stack;

use super::client::Client;
use super::job::{Job, job, near_misses, other_events, other_files};
use super::plan::{Hosted, planned};
use super::trial::{EVERYBODY, NAMED, WRITS, another_workload, tries, usual_workload};
use super::{left, terraform};

/// GitHub's issuer, as the plan names it; a fake one stands in for it.
const GITHUB: &str = "https://token.actions.githubusercontent.com";
/// Whom the job's tokens are for, as azure/login asks for them.
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// The targets, each with the module whose application its sessions ask for, and further settings. The first three are let in.
const TARGETS: [(&str, &str, &str); 12] = [
    ("reports", "module.reports", ""),
    ("sales", "module.sales.module.app", ""),
    ("ledger", "module.ledger", ", subject = \"workload\""),
    ("report", "module.reports", ""),
    ("reports2", "module.reports", ""),
    ("reports.orders", "module.reports", ""),
    ("orders", "module.reports", ""),
    ("invoices", "module.sales.module.app", ""),
    ("ledger-by-target", "module.ledger", ""),
    ("cluster", "module.cluster.module.app", ", audience = \"elsewhere\""),
    ("deploy", "module.deploy", ""),
    ("nowhere", "module.nowhere", ""),
];

/// The client id of a module's application: the plan cannot know it.
fn client_id(module: &str) -> String {
    let number = TARGETS.iter().position(|(_, of, _)| *of == module).unwrap_or(TARGETS.len());
    format!("00001111-aaaa-2222-bbbb-{number:012}")
}

fn configured(at: &Path, entra: &Entra, configuration: &str) -> String {
    std::fs::write(at.join("policies/everybody.cedar"), EVERYBODY).unwrap();
    std::fs::write(at.join("entra.pem"), entra.ca_pem()).unwrap();
    let (url, port, at) = (entra.url(), entra.port(), at.display());
    let issues = "[broker.issues]\nalgorithm = \"RS256\"\n\n[[broker.issuer]]";
    let mut text = configuration.replacen("[[broker.issuer]]", issues, 1);
    for (target, module, more) in TARGETS {
        let client = client_id(module);
        text += &format!(
            r#"
[[broker.target]]
name = "{target}"
protocol = "azure"
host = "localhost"
port = {port}
ca_file = "{at}/entra.pem"

[broker.target.provider.azure]
tenant_id = "{TENANT}"
client_id = "{client}"
resource = "arm"
entra = {{ authority = "{url}", authority_ca_file = "{at}/entra.pem"{more} }}
"#
        );
    }
    text
}

/// Registers all that the plan makes, with the issuers that run in the places of those that it names.
fn load(entra: &Entra, hosted: &[Hosted<'_>], plan: &Value) {
    let workload = usual_workload();
    let credentials = planned(plan, "azuread_application_federated_identity_credential");
    for (number, (module, _)) in planned(plan, "azuread_application").iter().enumerate() {
        let own = credentials.iter().filter(|(of, _)| of == module);
        let federated = own.map(|(_, made)| {
            let text = |value: &Value| value.as_str().unwrap().replace(NAMED, &workload);
            let (issuer, ca_pem) = Hosted::find(hosted, made["issuer"].as_str().unwrap());
            Federated {
                name: text(&made["display_name"]),
                ca_pem,
                issuer,
                subject: text(&made["subject"]),
                audience: text(&made["audiences"][0]),
                at: None,
            }
        });
        let object_id = format!("22223333-cccc-4444-dddd-{number:012}");
        entra.app(App { client_id: client_id(module), object_id, federated: federated.collect() }).unwrap();
    }
}

/// What ends with the test: jobs of GitHub's go to Azure themselves.
struct Direct {
    entra: Entra,
    github: Issuer,
    /// One that no application trusts.
    other: Issuer,
    client: Client,
    _directory: tempfile::TempDir,
}

impl Direct {
    fn start() -> Self {
        let kept = tempfile::tempdir().unwrap();
        terraform(&["--stubs", "azure/examples/complete"], kept.path()).unwrap_or_else(|said| panic!("{said}"));
        let (entra, github) = (Entra::start().unwrap(), Issuer::start_tls().unwrap());
        let ca_pem = github.ca_pem().unwrap().to_owned();
        let hosted = [Hosted { named: GITHUB, url: github.url().to_owned(), ca_pem }];
        load(&entra, &hosted, &left(kept.path(), "azure-complete.plan.json"));
        let directory = tempfile::tempdir().unwrap();
        let authority = directory.path().join("entra.pem");
        std::fs::write(&authority, entra.ca_pem()).unwrap();
        let mut command = Command::new(python().unwrap());
        command.arg(moto::clients().join("azure_tokens.py")).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("ENTRA", entra.url()).env("ENTRA_CA", &authority).env("PYTHONDONTWRITEBYTECODE", "1");
        let (client, other) = (Client::start(&mut command), Issuer::start_tls().unwrap());
        Self { entra, github, other, client, _directory: directory }
    }

    fn claims(&self, job: &Job<'_>) -> Value {
        job.claims_with_file(&self.github, AUDIENCE)
    }

    fn token(&self, claims: &Value) -> String {
        self.github.token(Algorithm::Rs256, claims).unwrap()
    }

    /// What azure-identity makes of a token, as the application of a module.
    fn goes(&mut self, module: &str, token: &str) -> Value {
        let scope = "https://management.azure.com/.default";
        self.client.ask(&json!({ "tenant": TENANT, "client": client_id(module), "assertion": token, "scope": scope }))
    }

    fn is_let_in(&mut self, case: &str, token: &str) {
        let said = self.goes("module.deploy", token);
        let given = said["token"].as_str().unwrap_or_else(|| panic!("{case}: {said}"));
        let claims = self.entra.verify(given, "https://management.azure.com").unwrap();
        assert_eq!(claims["appid"], client_id("module.deploy"), "{case}");
    }

    fn is_refused(&mut self, case: &str, code: u64, token: &str) {
        let said = self.goes("module.deploy", token);
        let refused = said["refused"].as_str().unwrap_or_else(|| panic!("{case}: {said}"));
        assert!(refused.contains(&format!("AADSTS{code}:")), "{case}: {refused}");
        assert_eq!(self.entra.sign_ins().last().unwrap()["status"]["errorCode"], code, "{case}");
    }
}

/// A job goes to Azure by its own token: no broker stands there, and the federated credential alone decides.
#[test]
fn the_planned_trust_lets_the_job_in_and_none_that_nearly_is() {
    const SUBJECT: u64 = 700_213;
    let mut direct = Direct::start();
    let right = direct.claims(&job());
    direct.is_let_in("the job", &direct.token(&right));
    for (case, job) in near_misses().into_iter().chain(other_files()) {
        let code = if case == "an environment in other letters" { 7_002_138 } else { SUBJECT };
        let token = direct.token(&direct.claims(&job));
        direct.is_refused(case, code, &token);
    }
    let now = right["iat"].as_i64().unwrap();
    let request = Job { context: "pull_request", event: "pull_request", reference: "refs/pull/7/merge", ..job() };
    for (case, changes, code) in [
        ("another audience", json!({ "aud": "https://github.com/octo-org" }), 700_212),
        ("another cloud's audience", json!({ "aud": "api://AzureADTokenExchangeUSGov" }), 700_212),
        ("another issuer's name", json!({ "iss": direct.other.url() }), 700_211),
        ("GitHub's own name", json!({ "iss": GITHUB }), 700_211),
        ("one that has ended", json!({ "iat": now - 700, "nbf": now - 700, "exp": now - 100 }), 700_024),
        ("a pull request without the environment", json!({ "sub": request.subject_with_file() }), SUBJECT),
        ("the subject without the file", json!({ "sub": job().subject() }), SUBJECT),
        ("the file before the context", json!({ "sub": turned(&job()) }), SUBJECT),
        (
            "the subject by names alone",
            json!({ "sub": job().subject_with_file().replace("@65", "").replace("@74", "") }),
            SUBJECT,
        ),
    ] {
        let mut claims = direct.claims(&job());
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let token = direct.token(&claims);
        direct.is_refused(case, code, &token);
    }
    let other = direct.other.token(Algorithm::Rs256, &right).unwrap();
    direct.is_refused("another issuer's signature", 700_027, &other);
    let own = direct.other.token(Algorithm::Rs256, &job().claims_with_file(&direct.other, AUDIENCE)).unwrap();
    direct.is_refused("another issuer", 700_211, &own);
    let elsewhere = direct.goes("module.reports", &direct.token(&right));
    assert!(elsewhere["refused"].as_str().is_some_and(|said| said.contains("AADSTS700211:")), "{elsewhere}");

    // What the module's own document says that Entra does not look at: what started the job, where the file is the same.
    for (case, job) in other_events() {
        let token = direct.token(&direct.claims(&job));
        direct.is_let_in(case, &token);
    }
}

/// The same parts in another order, as another template of the repository's would have it.
fn turned(job: &Job<'_>) -> String {
    let (subject, whole) = (job.subject(), job.subject_with_file());
    let (repository, context) = subject.split_once(":environment:").unwrap();
    format!("{repository}{}:environment:{context}", whole.strip_prefix(&subject).unwrap())
}

#[test]
fn the_planned_trust_lets_its_targets_in_and_none_that_nearly_are() {
    let kept = tempfile::tempdir().unwrap();
    terraform(&["--stubs", "azure/examples/complete"], kept.path()).unwrap_or_else(|said| panic!("{said}"));
    let entra = Entra::start().unwrap();
    let stack = Stack::start_with(&[], |_, at, configuration| Ok(configured(at, &entra, &configuration))).unwrap();
    let ca_pem = std::fs::read_to_string(stack.authority()).unwrap();
    let hosted = [Hosted { named: WRITS, url: stack.broker(), ca_pem }];
    load(&entra, &hosted, &left(kept.path(), "azure-complete.plan.json"));
    for (target, module, _) in &TARGETS[..3] {
        let said = tries(&stack, target, &stack.token().unwrap());
        said.unwrap_or_else(|said| panic!("{target}: {said}\n{:#?}", entra.sign_ins()));
        let signed_in = entra.sign_ins().last().cloned().unwrap();
        assert!(signed_in.to_string().contains(&client_id(module)), "{target}: {signed_in}");
    }
    let mut asked = entra.sign_ins().len();
    let mut refused = |case: &str, target: &str, token: &str| {
        assert!(tries(&stack, target, token).is_err(), "{case}");
        let sign_ins = entra.sign_ins();
        assert!(sign_ins.len() > asked, "{case}: Entra was not asked");
        for signed_in in &sign_ins[asked..] {
            assert_ne!(signed_in["status"]["errorCode"], 0, "{case}: {signed_in}");
        }
        asked = sign_ins.len();
    };
    for (target, ..) in &TARGETS[3..] {
        refused(target, target, &stack.token().unwrap());
    }
    refused("another workload", "ledger", &another_workload(&stack));
}
