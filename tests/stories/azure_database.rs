//! A database whose users Entra knows: the job's token at the gateway's front door, an access token of Entra at its back door.
//!
//! Entra is a fake, and so is the login of Azure's before a real PostgreSQL; what an admin pastes is the documentation's.

use std::path::Path;

use serde_json::Value;
use writ_fakes::entra::postgres::AzurePostgres;
use writ_fakes::entra::{App, Entra, Federated};
use writ_world::stack::Stack;

use super::evidence::{admin, eventually};
use crate::coverage::root;

const CLIENT: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
const OBJECT: &str = "22223333-cccc-4444-dddd-5555eeee6666";

/// What ends with the test.
struct Azure {
    entra: Entra,
    postgres: AzurePostgres,
}

fn stack() -> (Stack, Azure) {
    let entra = Entra::start().unwrap();
    let mut postgres = None;
    let stack = Stack::start_with(&[], |cluster, at, configuration| {
        let front = AzurePostgres::start(cluster, &entra).unwrap();
        // The server of the stories has a role `app` already.
        front.run(&documented("## What an admin runs, once", "sql").replace("'app'", "'orders_app'")).unwrap();
        let text = configured(at, &entra, &front, configuration);
        postgres = Some(front);
        Ok(text)
    })
    .unwrap();
    trust(&stack, &entra, OBJECT, "target:payments-azure");
    (stack, Azure { entra, postgres: postgres.unwrap() })
}

/// A block of the provider's page.
fn documented(after: &str, kind: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/providers/azure-database.md")).unwrap();
    let (_, rest) = page.split_once(after).unwrap();
    let (_, block) = rest.split_once(&format!("```{kind}\n")).unwrap();
    block.split("```").next().unwrap().to_owned()
}

fn configured(at: &Path, entra: &Entra, front: &AzurePostgres, configuration: String) -> String {
    let policy = "@id(\"payments-azure\") @ttl(\"15m\")\npermit (principal is Writ::Workload, action in Writ::Action::\"use\", \
                  resource == Writ::Target::\"payments-azure\");\n";
    std::fs::write(at.join("policies/azure.cedar"), policy).unwrap();
    std::fs::write(at.join("postgres.pem"), front.ca_pem()).unwrap();
    std::fs::write(at.join("entra.pem"), entra.ca_pem()).unwrap();
    // The documentation's target, where the fakes are.
    let (target, at) = (documented("# The provider", "toml"), at.display());
    let target = target.replace("user = \"app\"", "user = \"orders_app\"");
    let target = target.replace("name = \"payments\"", "name = \"payments-azure\"").replace(
        "host = \"payments.postgres.database.azure.com\"",
        &format!("host = \"localhost\"\nport = {}\nca_file = \"{at}/postgres.pem\"", front.port()),
    );
    let entra = format!("entra = {{ authority = \"{}\", authority_ca_file = \"{at}/entra.pem\" }}\n", entra.url());
    let issues = "[broker.issues]\nalgorithm = \"RS256\"\n\n[[broker.issuer]]";
    configuration.replacen("[[broker.issuer]]", issues, 1) + "\n" + &target + &entra
}

/// The tenant's client, of this object, trusts the broker that runs now for this subject.
fn trust(stack: &Stack, entra: &Entra, object: &str, subject: &str) {
    let credential = Federated {
        name: "writ-payments".to_owned(),
        issuer: stack.broker(),
        subject: subject.to_owned(),
        audience: "api://AzureADTokenExchange".to_owned(),
        ca_pem: Some(std::fs::read_to_string(stack.authority()).unwrap()),
        at: None,
    };
    let (client_id, object_id) = (CLIENT.to_owned(), object.to_owned());
    entra.app(App { client_id, object_id, federated: vec![credential] }).unwrap();
}

fn psql(stack: &Stack, token: &str, statement: &str) -> Result<String, String> {
    let mut command = stack.client(Path::new("/usr/bin/psql"), token);
    command.env("PGUSER", "payments-azure").args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]);
    writ_world::stack::printed(&mut command)
}

#[test]
fn an_access_token_of_entra_serves_a_session_as_a_role_of_its_own_does() {
    let (stack, azure) = stack();
    let row =
        psql(&stack, &stack.token().unwrap(), "select current_user, current_setting('application_name')").unwrap();
    let (user, name) = row.trim().split_once('|').unwrap();
    assert_eq!(user, "orders_app");
    assert!(name.starts_with("writ-"), "the server sees the writ: {name}");
    assert_eq!(azure.postgres.refusals(), Vec::<String>::new());

    // The writ names the token by its own id, and Entra's log has the writ's id and the same token's.
    let writ = eventually(|| {
        let page: Value = serde_json::from_str(&admin(&stack, &["writs", "ls", "--json"])?).unwrap();
        let writs = page["items"].as_array().unwrap().clone();
        let writ =
            writs.into_iter().find(|writ| writ["target"] == "payments-azure").ok_or("no writ of the target yet")?;
        if writ["state"] == "closed" { Ok(writ) } else { Err(format!("it is not over: {writ}")) }
    })
    .unwrap();
    assert!(name.starts_with(writ["id"].as_str().unwrap()), "{name} and {writ}");
    let credential = &writ["credential"];
    assert_eq!((&credential["kind"], &credential["principal"]), (&"entra_login".into(), &"orders_app".into()));
    let [row] = &azure.entra.sign_ins()[..] else { panic!("one sign-in: {:?}", azure.entra.sign_ins()) };
    let uti = row["uniqueTokenIdentifier"].as_str().unwrap();
    assert_eq!(credential["fingerprint"], format!("entra-uti:{uti}"));
    let audit = credential["audit"].as_str().unwrap();
    let correlation = row["correlationId"].as_str().unwrap();
    assert_eq!(audit, format!("orders_app by {CLIENT}, uti {uti}, oid {OBJECT}, correlation {correlation}"));
    assert_eq!(row["servicePrincipalId"], OBJECT);
}

#[test]
fn a_client_that_does_not_trust_the_target_opens_nothing() {
    let (stack, azure) = stack();
    trust(&stack, &azure.entra, OBJECT, "target:payments");
    let refused = psql(&stack, &stack.token().unwrap(), "select 1").unwrap_err();
    assert!(refused.contains("the target refused"), "{refused}");
    let rows = azure.entra.sign_ins();
    assert!(rows.iter().all(|row| row["status"]["errorCode"] == 700_213) && !rows.is_empty(), "{rows:?}");
    assert!(azure.postgres.refusals().is_empty());
}

#[test]
fn a_token_of_another_object_is_no_login() {
    let (stack, azure) = stack();
    trust(&stack, &azure.entra, "99990000-aaaa-1111-bbbb-2222cccc3333", "target:payments-azure");
    let refused = psql(&stack, &stack.token().unwrap(), "select 1").unwrap_err();
    assert!(!refused.contains("eyJ"), "{refused}");
    assert_eq!(azure.postgres.refusals(), ["a token of another object"]);
}
