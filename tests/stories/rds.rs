//! A database whose users log in by IAM: the job's token at the gateway's front door, a login token of RDS at its back door.
//!
//! RDS is a fake before a real PostgreSQL, and knows the keys that the fake STS gave out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use writ_fakes::rds::{BySts, Instance, Rds};
use writ_fakes::sts::{Front, OidcProvider, Role};
use writ_world::stack::Stack;

use super::evidence::{admin, eventually};

const HOST: &str = "orders.abcdefghijkl.eu-west-1.rds.amazonaws.com";
const RESOURCE: &str = "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// What ends with the test.
struct Aws {
    front: Front,
    rds: Rds,
}

fn stack() -> (Stack, Aws) {
    let front = Front::start().unwrap();
    let mut aws = None;
    let stack = Stack::start_with(&[], |cluster, at, configuration| {
        let instance =
            Instance { host: HOST.to_owned(), region: "eu-west-1".to_owned(), resource: RESOURCE.to_owned() };
        let rds = Rds::start(cluster, instance, Arc::new(BySts::of(&front))).unwrap();
        let text = configured(at, &front, &rds, configuration);
        aws = Some(rds);
        Ok(text)
    })
    .unwrap();
    let rds = aws.unwrap();
    stack.superuser("create role orders_app login; grant rds_iam to orders_app").unwrap();
    trust(&stack, &front);
    (stack, Aws { front, rds })
}

fn configured(at: &Path, front: &Front, rds: &Rds, configuration: String) -> String {
    let policy = "@id(\"orders\") @ttl(\"15m\")\npermit (principal is Writ::Workload, action in Writ::Action::\"use\", \
                  resource == Writ::Target::\"orders\");\n";
    std::fs::write(at.join("policies/orders.cedar"), policy).unwrap();
    std::fs::write(at.join("rds.pem"), rds.ca_pem()).unwrap();
    let (front, port, at) = (front.url(), rds.port(), at.display());
    let target = format!(
        r#"
[[broker.target]]
name = "orders"
host = "localhost"
port = {port}
ca_file = "{at}/rds.pem"

[broker.target.provider.rds]
region = "eu-west-1"
user = "orders_app"
resource_id = "{RESOURCE}"
role_arn = "arn:aws:iam::123456789012:role/orders-login"
endpoint_host = "{HOST}"
assume = {{ endpoint = "{front}", iam_endpoint = "{front}" }}
"#
    );
    configuration.replacen("[[broker.issuer]]", "[broker.issues]\n\n[[broker.issuer]]", 1) + &target
}

/// The account trusts the broker that runs now.
fn trust(stack: &Stack, front: &Front) {
    let (url, ca_pem) = (stack.broker(), Some(std::fs::read_to_string(stack.authority()).unwrap()));
    let provider =
        OidcProvider { url: url.clone(), client_ids: vec!["sts.amazonaws.com".to_owned()], ca_pem, at: None };
    let provider = front.oidc_provider(provider);
    let bare = url.trim_start_matches("https://");
    let trust = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Principal": {{"Federated": "{provider}"}},
            "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
            "Condition": {{"StringEquals": {{"{bare}:aud": "sts.amazonaws.com", "{bare}:sub": "target:orders"}}}}}}]}}"#
    );
    let allow = format!(
        r#"{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "rds-db:connect",
            "Resource": "arn:aws:rds-db:eu-west-1:123456789012:dbuser:{RESOURCE}/*"}}]}}"#
    );
    let policies = BTreeMap::from([("login".to_owned(), allow)]);
    front.role(&Role { name: "orders-login".to_owned(), trust, policies, longest: 3600 }).unwrap();
}

fn psql(stack: &Stack, token: &str, statement: &str) -> Result<String, String> {
    let mut command = stack.client(Path::new("/usr/bin/psql"), token);
    command.env("PGUSER", "orders").args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]);
    writ_world::stack::printed(&mut command)
}

#[test]
fn a_login_token_of_rds_serves_a_session_as_a_role_of_its_own_does() {
    let (stack, aws) = stack();
    let token = stack.token().unwrap();
    let row = psql(&stack, &token, "select current_user, current_setting('application_name')").unwrap();
    let (user, name) = row.trim().split_once('|').unwrap();
    assert_eq!(user, "orders_app");
    assert!(name.starts_with("writ-"), "the server sees the writ: {name}");
    assert_eq!(aws.rds.refusals(), Vec::<String>::new());

    // The writ names it, AWS's audit names the writ, and the session of AWS may do nothing but this login.
    let writ = eventually(|| {
        let page: Value = serde_json::from_str(&admin(&stack, &["writs", "ls", "--json"])?).unwrap();
        let writs = page["items"].as_array().unwrap().clone();
        let writ = writs.into_iter().find(|writ| writ["target"] == "orders").ok_or("no writ of the target yet")?;
        if writ["state"] == "closed" { Ok(writ) } else { Err(format!("it is not over: {writ}")) }
    })
    .unwrap();
    assert_eq!(
        (&writ["credential"]["kind"], &writ["credential"]["principal"]),
        (&"rds_token".into(), &"orders_app".into())
    );
    let id = writ["id"].as_str().unwrap();
    assert!(name.starts_with(id), "{name} and {id}");
    assert!(!aws.front.audit_naming(id).is_empty());
    let session = aws.front.sessions().into_iter().find(|session| session.name == id).unwrap();
    let scope = session.policies.join(" ");
    assert!(scope.contains("rds-db:connect") && scope.contains("orders_app") && !scope.contains('*'), "{scope}");

    // The token was used; a second is for somebody else's audience; nothing of AWS's was asked for them.
    let asked = aws.front.sessions().len();
    assert!(psql(&stack, &token, "select 1").unwrap_err().contains("used as often as policy allows"));
    assert_eq!(aws.front.sessions().len(), asked);
}

#[test]
fn an_account_that_does_not_trust_the_target_opens_nothing() {
    let (stack, aws) = stack();
    let nobody = Role {
        name: "orders-login".to_owned(),
        trust: r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}]}"#
            .to_owned(),
        policies: BTreeMap::new(),
        longest: 3600,
    };
    aws.front.role(&nobody).unwrap();
    let refused = psql(&stack, &stack.token().unwrap(), "select 1").unwrap_err();
    assert!(refused.contains("the target refused"), "{refused}");
    assert!(aws.front.sessions().is_empty() && aws.rds.refusals().is_empty());
}
