//! Azure: the planned applications and whose tokens stand for them, in the fake of Entra.

use std::path::Path;

use serde_json::Value;
use writ_fakes::entra::{App, Entra, Federated, TENANT};
use writ_world::stack::Stack;

use super::plan::planned;
use super::trial::{EVERYBODY, NAMED, WRITS, another_workload, tries, usual_workload};
use super::{left, terraform};

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

/// Registers all that the plan makes, with the broker that runs in the place of the issuer that it names.
fn load(entra: &Entra, stack: &Stack, plan: &Value) {
    let workload = usual_workload();
    let authority = std::fs::read_to_string(stack.authority()).unwrap();
    let credentials = planned(plan, "azuread_application_federated_identity_credential");
    for (number, (module, _)) in planned(plan, "azuread_application").iter().enumerate() {
        let own = credentials.iter().filter(|(of, _)| of == module);
        let federated = own.map(|(_, made)| {
            let text = |value: &Value| value.as_str().unwrap().replace(NAMED, &workload);
            let issuer = text(&made["issuer"]).replace(WRITS, &stack.broker());
            Federated {
                name: text(&made["display_name"]),
                ca_pem: (issuer == stack.broker()).then(|| authority.clone()),
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

#[test]
fn the_planned_trust_lets_its_targets_in_and_none_that_nearly_are() {
    let kept = tempfile::tempdir().unwrap();
    terraform(&["--stubs", "azure/examples/complete"], kept.path()).unwrap_or_else(|said| panic!("{said}"));
    let entra = Entra::start().unwrap();
    let stack = Stack::start_with(&[], |_, at, configuration| Ok(configured(at, &entra, &configuration))).unwrap();
    load(&entra, &stack, &left(kept.path(), "azure-complete.plan.json"));
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
