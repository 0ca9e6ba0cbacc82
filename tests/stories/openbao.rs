//! A database whose users an OpenBao makes: the job's token at the gateway's front door, a user of OpenBao's at its back door.
//!
//! OpenBao is real, set up by the example's own script, and trusts the broker that runs.

use std::path::Path;

use serde_json::{Value, json};
use writ_world::openbao::OpenBao;
use writ_world::stack::{Stack, TARGET, printed};

use super::evidence::{admin, eventually};
use crate::coverage::root;

fn stack() -> (Stack, OpenBao) {
    let bao = OpenBao::start().unwrap();
    let stack = Stack::start_with(&[], |cluster, at, configuration| {
        let policy = "@id(\"orders\") @ttl(\"15m\")\npermit (principal is Writ::Workload, action in Writ::Action::\"use\", \
                      resource == Writ::Target::\"orders\");\n";
        std::fs::write(at.join("policies/orders.cedar"), policy).unwrap();
        std::fs::write(at.join("orders-ca.pem"), cluster.ca_pem()).unwrap();
        let example = std::fs::read_to_string(root().join("examples/providers/openbao/writ.toml")).unwrap();
        let (_, provider) = example.split_once("[broker.target.provider.openbao]").unwrap();
        let provider = provider.replace("https://bao.example:8200", &bao.url());
        let target = format!(
            "\n[[broker.target]]\nname = \"orders\"\nhost = \"localhost\"\nport = {}\nca_file = \"{}/orders-ca.pem\"\n\n\
             [broker.target.provider.openbao]\nca_file = \"{}\"{provider}",
            cluster.port(),
            at.display(),
            bao.ca_file().display(),
        );
        Ok(configuration.replacen("[[broker.issuer]]", "[broker.issues]\n\n[[broker.issuer]]", 1) + &target)
    })
    .unwrap();
    let roles = "create role orders_reader; create role orders_owner; create role openbao login createrole password 'first'; \
                 grant orders_reader, orders_owner to openbao with admin option; grant pg_signal_backend to openbao";
    stack.superuser(roles).unwrap();
    trust(&stack, &bao);
    (stack, bao)
}

/// The example's script, for the broker and the database that run.
fn trust(stack: &Stack, bao: &OpenBao) {
    let mut script = std::fs::read_to_string(root().join("examples/providers/openbao/setup.sh")).unwrap();
    let authority = format!("issuer.example/writ oidc_discovery_ca_pem=@{}\n", stack.authority().display());
    let database = format!("localhost:{}/{TARGET}?sslmode=disable", stack.cluster().port());
    for (there, here) in [
        ("orders.example:5432/orders?sslmode=verify-full", database.as_str()),
        ("the password of openbao, which the next line replaces by one that nobody knows", "first"),
        ("issuer.example/writ\n", &authority),
        ("https://issuer.example/writ", &stack.broker()),
    ] {
        assert!(script.contains(there), "{there}");
        script = script.replace(there, here);
    }
    bao.shell(&script).unwrap();
}

fn psql(stack: &Stack, token: &str, statement: &str) -> Result<String, String> {
    let mut command = stack.client(Path::new("/usr/bin/psql"), token);
    command.env("PGUSER", "orders").args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]);
    printed(&mut command)
}

#[test]
fn a_user_of_openbaos_serves_one_session_and_goes_with_it() {
    let (stack, bao) = stack();
    let row =
        psql(&stack, &stack.token().unwrap(), "select current_user, current_setting('application_name')").unwrap();
    let (user, name) = row.trim().split_once('|').unwrap();
    assert!(user.starts_with("v-jwt-targ-orders-r"), "{user}");
    assert!(name.starts_with("writ-"), "the server sees the writ: {name}");

    // The writ names the user, the lease and the token; OpenBao's audit names the writ; nothing is left.
    let writ = eventually(|| {
        let page: Value = serde_json::from_str(&admin(&stack, &["writs", "ls", "--json"])?).unwrap();
        let writs = page["items"].as_array().unwrap().clone();
        let writ = writs.into_iter().find(|writ| writ["target"] == "orders").ok_or("no writ of the target yet")?;
        if writ["state"] == "closed" { Ok(writ) } else { Err(format!("it is not over: {writ}")) }
    })
    .unwrap();
    let credential = &writ["credential"];
    assert_eq!((&credential["kind"], &credential["principal"]), (&json!("openbao_secret"), &json!(user)));
    assert_eq!(credential["long_lived"], false);
    assert!(credential["fingerprint"].as_str().unwrap().starts_with("openbao-accessor:"), "{credential}");
    let lease = credential["audit"].as_str().unwrap();
    let events = bao.audit();
    let made = events.iter().find(|event| event["response"]["secret"]["lease_id"] == lease).unwrap();
    assert_eq!(made["auth"]["metadata"]["writ"], writ["id"]);
    let left = format!("select count(*) from pg_roles where rolname = '{user}'");
    assert_eq!(stack.superuser(&left).unwrap().trim(), "0");
}

#[test]
fn an_openbao_that_does_not_trust_the_target_opens_nothing() {
    let (stack, bao) = stack();
    let role = "bao read -format=json -field=data auth/jwt/role/writ-orders | sed 's/target:orders/target:other/' \
                | bao write auth/jwt/role/writ-orders -";
    bao.shell(role).unwrap();
    let refused = psql(&stack, &stack.token().unwrap(), "select 1").unwrap_err();
    assert!(refused.contains("the target refused"), "{refused}");
    let users = "select count(*) from pg_roles where rolname like 'v-%'";
    assert_eq!(stack.superuser(users).unwrap().trim(), "0");
}
