//! A database whose users log in by Google's IAM: the job's token at the gateway's front door, a service account's access token at its
//! back door.
//!
//! Cloud SQL is a fake before a real PostgreSQL, and knows the tokens that the fake of Google gave out.

use std::path::Path;

use serde_json::Value;
use writ_fakes::gcp::cloudsql::CloudSql;
use writ_fakes::gcp::{Account, Gcp, PoolProvider};
use writ_world::stack::Stack;

use super::evidence::{admin, eventually};

const APP: &str = "orders-app@acme-prod.iam";
const POOL: &str = "projects/123456789012/locations/global/workloadIdentityPools/writ";

fn stack() -> (Stack, Gcp, CloudSql) {
    let google = Gcp::start().unwrap();
    let mut sql = None;
    let stack = Stack::start_with(&[], |cluster, at, configuration| {
        let front = CloudSql::start(cluster, &google).unwrap();
        let text = configured(at, &google, &front, configuration);
        sql = Some(front);
        Ok(text)
    })
    .unwrap();
    stack.superuser(&format!("create role \"{APP}\" login; grant cloudsqliamserviceaccount to \"{APP}\"")).unwrap();
    // The project trusts the broker that runs now.
    let ca_pem = Some(std::fs::read_to_string(stack.authority()).unwrap());
    google.pool_provider(PoolProvider { ca_pem, ..PoolProvider::of(&stack.broker()) }).unwrap();
    trust(&google, "target:orders");
    (stack, google, sql.unwrap())
}

fn trust(google: &Gcp, subject: &str) {
    let member = format!("principal://iam.googleapis.com/{POOL}/subject/{subject}");
    let roles = vec!["roles/cloudsql.instanceUser".to_owned()];
    google.account(Account { roles, ..Account::of(&format!("{APP}.gserviceaccount.com"), &[&member]) }).unwrap();
}

fn configured(at: &Path, google: &Gcp, sql: &CloudSql, configuration: String) -> String {
    let policy = "@id(\"orders\") @ttl(\"15m\")\npermit (principal is Writ::Workload, action in Writ::Action::\"use\", \
                  resource == Writ::Target::\"orders\");\n";
    std::fs::write(at.join("policies/orders.cedar"), policy).unwrap();
    std::fs::write(at.join("cloudsql.pem"), sql.ca_pem()).unwrap();
    let (url, port, at) = (google.url(), sql.port(), at.display());
    let target = format!(
        r#"
[[broker.target]]
name = "orders"
host = "localhost"
port = {port}
ca_file = "{at}/cloudsql.pem"

[broker.target.provider.cloudsql]
service_account = "{APP}.gserviceaccount.com"

[broker.target.provider.cloudsql.federation]
pool_provider = "{POOL}/providers/writ"
sts_endpoint = "{url}"
iam_endpoint = "{url}"
"#
    );
    configuration.replacen("[[broker.issuer]]", "[broker.issues]\n\n[[broker.issuer]]", 1) + &target
}

fn psql(stack: &Stack, token: &str, statement: &str) -> Result<String, String> {
    let mut command = stack.client(Path::new("/usr/bin/psql"), token);
    command.env("PGUSER", "orders").args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]);
    writ_world::stack::printed(&mut command)
}

#[test]
fn a_token_of_a_service_account_serves_a_session_as_a_role_of_its_own_does() {
    let (stack, google, sql) = stack();
    let token = stack.token().unwrap();
    let row = psql(&stack, &token, "select current_user, current_setting('application_name')").unwrap();
    let (user, name) = row.trim().split_once('|').unwrap();
    assert_eq!(user, APP);
    assert!(name.starts_with("writ-"), "the server sees the writ: {name}");
    assert_eq!(sql.refusals(), Vec::<String>::new());

    // The writ names the user, Google's audit names the writ, and the token may do nothing but this login.
    let writ = eventually(|| {
        let page: Value = serde_json::from_str(&admin(&stack, &["writs", "ls", "--json"])?).unwrap();
        let writs = page["items"].as_array().unwrap().clone();
        let writ = writs.into_iter().find(|writ| writ["target"] == "orders").ok_or("no writ of the target yet")?;
        if writ["state"] == "closed" { Ok(writ) } else { Err(format!("it is not over: {writ}")) }
    })
    .unwrap();
    let credential = &writ["credential"];
    assert_eq!((&credential["kind"], &credential["principal"]), (&"cloud_sql_token".into(), &APP.into()));
    let id = writ["id"].as_str().unwrap();
    assert!(name.starts_with(id), "{name} and {id}");
    let record = google.audit_naming(id);
    let methods: Vec<&str> = record.iter().map(|entry| entry["protoPayload"]["methodName"].as_str().unwrap()).collect();
    assert!(methods[0].ends_with("ExchangeToken") && methods[1].ends_with("GenerateAccessToken"), "{methods:?}");
    let given = google.all_issued().into_iter().find(|issued| issued.principal.starts_with(APP)).unwrap();
    assert_eq!(given.scopes, ["https://www.googleapis.com/auth/sqlservice.login"]);

    // The job's token was used; nothing of Google's was asked for a second time.
    let asked = google.all_issued().len();
    assert!(psql(&stack, &token, "select 1").unwrap_err().contains("used as often as policy allows"));
    assert_eq!(google.all_issued().len(), asked);
}

#[test]
fn an_account_that_trusts_another_target_opens_nothing() {
    let (stack, google, sql) = stack();
    trust(&google, "target:payments");
    let refused = psql(&stack, &stack.token().unwrap(), "select 1").unwrap_err();
    assert!(refused.contains("the target refused"), "{refused}");
    assert!(google.all_issued().iter().all(|issued| !issued.principal.starts_with(APP)) && sql.refusals().is_empty());
}
