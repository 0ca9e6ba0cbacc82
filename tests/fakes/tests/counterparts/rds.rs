//! Login tokens of RDS: made by botocore, shown by psql, to the front and to a server with PAM.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use writ_fakes::Keys;
use writ_fakes::moto;
use writ_fakes::rds::pam::{PamModule, PamServer};
use writ_fakes::rds::{Anyone, BySts, Instance, Rds};
use writ_world::packages;
use writ_world::postgres::{Cluster, Version};

use crate::support::{Lines, shared};

const HOST: &str = "orders.abc123.eu-central-1.rds.amazonaws.com";
const REGION: &str = "eu-central-1";

fn instance() -> Instance {
    Instance { host: HOST.to_owned(), region: REGION.to_owned(), resource: "db-ORDERS".to_owned() }
}

fn keys() -> Keys {
    let token = Some(format!("{}/+==", "t".repeat(400)));
    Keys { access_key: "ASIAEXAMPLE".to_owned(), secret: "s3cr3t/+".to_owned(), token }
}

fn psql() -> PathBuf {
    packages::need(&PathBuf::from("/usr/lib/postgresql/15/bin/psql"), "`apt-get install postgresql`").unwrap()
}

fn superuser(cluster: &Cluster, sql: &str) -> String {
    let output = Command::new(psql()).args([&cluster.url("postgres"), "-XAtc", sql]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A running `rds_token.py`.
struct Botocore(Lines);

impl Botocore {
    fn start() -> Self {
        let mut command = Command::new(moto::python().unwrap());
        command.arg(moto::clients().join("rds_token.py")).env_clear().env("PATH", "/usr/bin:/bin");
        Self(Lines::start(command))
    }

    /// A token for a time so many seconds from now.
    fn token(&mut self, keys: &Keys, user: &str, port: u16, after: i64, change: &Value) -> String {
        let at = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap() + after;
        let at = jiff::Timestamp::from_second(at).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut asked = json!({
            "host": HOST, "port": port, "user": user, "region": REGION, "at": at,
            "access_key": keys.access_key, "secret": keys.secret, "token": keys.token,
        });
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        self.0.ask(&asked)
    }
}

/// What psql prints, or what it complains of.
fn log_in(port: u16, user: &str, token: &str, tls: &str) -> Result<String, String> {
    let target = format!("host={HOST} hostaddr=127.0.0.1 port={port} user={user} dbname=postgres {tls}");
    let mut command = Command::new(psql());
    command.args([&target, "-XAtc", "select current_user"]).env("PGPASSWORD", token).env("PGCONNECT_TIMEOUT", "60");
    let output = command.output().unwrap();
    let (said, wrong) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    if output.status.success() { Ok(said.trim().to_owned()) } else { Err(wrong) }
}

struct Front {
    cluster: Cluster,
    rds: Rds,
    directory: tempfile::TempDir,
}

impl Front {
    fn start(authority: Arc<dyn writ_fakes::rds::Authority>) -> Self {
        let cluster = Cluster::start(Version::V15).unwrap();
        let rds = Rds::start(&cluster, instance(), authority).unwrap();
        superuser(
            &cluster,
            "create user app; grant rds_iam to app; create user other; grant rds_iam to other; create user local",
        );
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), rds.ca_pem()).unwrap();
        Self { cluster, rds, directory }
    }

    fn log_in(&self, user: &str, token: &str) -> Result<String, String> {
        let authority = self.directory.path().join("ca.pem");
        let tls = format!("sslmode=verify-full sslrootcert={}", authority.display());
        log_in(self.rds.port(), user, token, &tls)
    }

    #[track_caller]
    fn refused(&self, user: &str, token: &str, why: &str) {
        let said = self.log_in(user, token).unwrap_err();
        let expected = format!("FATAL:  PAM authentication failed for user \"{user}\"");
        assert!(said.contains(&expected), "{said}");
        let reasons = self.rds.refusals();
        assert!(reasons.last().unwrap().contains(why), "{why}: {reasons:?}");
    }
}

/// Tokens that were changed after they were signed, and why each is refused.
fn changed(token: &str) -> Vec<(String, &'static str)> {
    let last = if token.ends_with('0') { "1" } else { "0" };
    vec![
        (format!("{}{last}", &token[..token.len() - 1]), "does not match"),
        (token[..token.len() - 1].to_owned(), "does not match"),
        (format!("{token}0"), "does not match"),
        (token.replace("X-Amz-Expires=900", "X-Amz-Expires=899"), "does not match"),
        (token.replace("X-Amz-Expires=900", "X-Amz-Expires=901"), "more than 900 s"),
        (token.replace("X-Amz-Expires=900", "X-Amz-Expires=-1"), "X-Amz-Expires"),
        (format!("https://{token}"), "another host or port"),
        (token.replace(HOST, "other.abc123.eu-central-1.rds.amazonaws.com"), "another host or port"),
        (token.replacen(":", ":1", 1), "another host or port"),
        (format!("{token}&DBUser=app"), "`DBUser` twice"),
        (token.replace("DBUser=app", "DBUser=other"), "another user"),
        (token.replace("DBUser=app", "DBUser=App"), "another user"),
        (format!("{token}&Comment=x"), "unknown parameter"),
        (token.replace("Action=connect", "Action=CONNECT"), "another action"),
        (token.replace("rds-db", "rds"), "another service or region"),
        (token.replace("SignedHeaders=host", "SignedHeaders=host%3Bx"), "something else than `host`"),
        (token.replace("tttt%2F", "tttT%2F"), "not the key's own"),
        (token.replace("%2F", "%2"), "not percent-encoded"),
        (token.replace("/?", "?"), "not a token"),
        ("a-password".to_owned(), "not a token"),
    ]
}

#[test]
fn psql_logs_in_by_a_token_of_botocore_and_by_nothing_near_it() {
    let front = Front::start(Arc::new(Anyone(vec![keys()])));
    let port = front.rds.port();
    let mut botocore = Botocore::start();
    let mut make = |user: &str, after: i64, change: Value| botocore.token(&keys(), user, port, after, &change);
    let sound = make("app", 0, json!({}));
    assert_eq!(front.log_in("app", &sound).unwrap(), "app");
    assert_eq!(front.log_in("app", &sound).unwrap(), "app");
    for (changed, why) in changed(&sound) {
        front.refused("app", &changed, why);
    }
    front.refused("other", &sound, "another user");
    front.refused("app", &make("app", -901, json!({})), "expired");
    front.refused("app", &make("app", 1000, json!({})), "not yet current");
    front.refused("app", &make("app", 0, json!({ "region": "us-east-1" })), "service or region");
    front.refused("app", &make("app", 0, json!({ "secret": "other" })), "does not match");
    front.refused("app", &make("app", 0, json!({ "access_key": "ASIAOTHER" })), "not known");
    front.refused("app", &make("app", 0, json!({ "token": null })), "not the key's own");
    front.refused("app", &make("app", 0, json!({ "token": "t".repeat(9000) })), "more than 8192");
    front.refused("local", &make("local", 0, json!({})), "without rds_iam");
    front.refused("postgres", &make("postgres", 0, json!({})), "without rds_iam");
    front.rds.clock_ahead(600);
    assert_eq!(front.log_in("app", &make("app", 0, json!({}))).unwrap(), "app");
    front.rds.clock_ahead(901);
    front.refused("app", &sound, "expired");
    let plain = log_in(port, "app", &sound, "sslmode=disable").unwrap_err();
    assert!(plain.contains("no pg_hba.conf entry") && plain.contains("no encryption"), "{plain}");
    // The server behind it has no such way in.
    let tls = "sslmode=require";
    assert!(log_in(front.cluster.port(), "app", &sound, tls).unwrap_err().contains("password authentication failed"));
}

#[test]
fn an_open_session_goes_on_and_can_be_cancelled() {
    let front = Front::start(Arc::new(Anyone(vec![keys()])));
    let sound = Botocore::start().token(&keys(), "app", front.rds.port(), 0, &json!({}));
    let authority = front.directory.path().join("ca.pem");
    let (port, authority) = (front.rds.port(), authority.display());
    let target = format!(
        "host={HOST} hostaddr=127.0.0.1 port={port} user=app dbname=postgres sslmode=verify-full sslrootcert={authority}"
    );
    let mut command = Command::new(psql());
    command.args([&target, "-XAt"]).env("PGPASSWORD", &sound).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "select 6 * 7;\nselect pg_sleep(600);").unwrap();
    let asleep = "select count(*) from pg_stat_activity where query = 'select pg_sleep(600);'";
    let seen = (0..600).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        superuser(&front.cluster, asleep).trim() == "1"
    });
    assert!(seen, "the session did not come to its query");
    // As Ctrl-C: psql sends a cancel request on a connection of its own.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()), nix::sys::signal::SIGINT)
        .unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "42");
    assert!(String::from_utf8_lossy(&output.stderr).contains("canceling statement due to user request"));
}

#[test]
fn the_keys_of_sts_open_what_their_policies_allow() {
    let world = shared();
    let front = Front::start(Arc::new(BySts::of(&world.front)));
    let role = world.role(&world.fresh("rds"));
    let by_policy = |user: &str| {
        let resource = format!("arn:aws:rds-db:{REGION}:123456789012:dbuser:db-ORDERS/{user}");
        let statement = json!({ "Effect": "Allow", "Action": "rds-db:connect", "Resource": resource });
        let policy = json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        world.web_identity(&role, &world.token(), &json!({ "Policy": policy })).keys()
    };
    let arguments = json!({ "DBHostname": HOST, "Port": front.rds.port(), "DBUsername": "app", "Region": REGION });
    let token = |keys: &Keys| {
        let given = world.boto(Some(keys), "rds", "generate_db_auth_token", &arguments);
        given.answer().as_str().unwrap().to_owned()
    };
    assert_eq!(front.log_in("app", &token(&by_policy("app"))).unwrap(), "app");
    front.refused("app", &token(&by_policy("other")), "no session policy allows the rds-db:connect action");
}

fn long() -> Keys {
    Keys { access_key: "ASIALONG".to_owned(), secret: "s".to_owned(), token: Some("t".repeat(7500)) }
}

#[test]
fn the_pam_module_refuses_what_the_front_refuses() {
    let port = 5432;
    let module = PamModule::prepare(&format!("{HOST}:{port}"), REGION, &[keys(), long()]).unwrap();
    let mut botocore = Botocore::start();
    let mut make =
        |keys: &Keys, user: &str, after: i64, change: Value| botocore.token(keys, user, port, after, &change);
    let opens = |user: &str, token: &str| module.opens(user, token).unwrap();
    let sound = make(&keys(), "app", 0, json!({}));
    assert!(opens("app", &sound));
    assert!(opens("app", &make(&keys(), "app", -600, json!({}))));
    for (changed, why) in changed(&sound) {
        assert!(!opens("app", &changed), "{why}");
    }
    assert!(!opens("other", &sound));
    for (after, change) in [
        (-901, json!({})),
        (1000, json!({})),
        (0, json!({ "region": "us-east-1" })),
        (0, json!({ "secret": "other" })),
        (0, json!({ "access_key": "ASIAOTHER" })),
        (0, json!({ "token": null })),
    ] {
        assert!(!opens("app", &make(&keys(), "app", after, change.clone())), "{after} {change}");
    }
    // Far beyond the 512 bytes that libpam's own conversation would keep.
    let token = make(&long(), "app", 0, json!({}));
    assert!(token.len() > 7500 && opens("app", &token));
    assert!(!opens("app", &make(&long(), "app", 0, json!({ "token": "t".repeat(9000) }))));
}

/// Root alone may add a service to `/etc/pam.d`; whoever is not root holds the module to account above, in libpam.
#[test]
fn a_real_server_takes_tokens_by_pam() {
    assert_eq!(PamServer::possible(), nix::unistd::geteuid().is_root());
    if !PamServer::possible() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(PamServer::start(HOST, REGION, &[keys(), long()])).unwrap();
    superuser(server.cluster(), "create user app; create user other");
    let port = server.cluster().port();
    let mut botocore = Botocore::start();
    let opens = |user: &str, token: &str| log_in(port, user, token, "sslmode=require");
    let sound = botocore.token(&keys(), "app", port, 0, &json!({}));
    assert_eq!(opens("app", &sound).unwrap(), "app");
    let token = botocore.token(&long(), "app", port, 0, &json!({}));
    assert_eq!(opens("app", &token).unwrap(), "app");
    for (user, token) in [("other", sound.as_str()), ("app", &sound[1..]), ("app", &sound[..sound.len() - 1])] {
        let said = opens(user, token).unwrap_err();
        assert!(said.contains(&format!("PAM authentication failed for user \"{user}\"")), "{said}");
    }
    let plain = log_in(port, "app", &sound, "sslmode=disable").unwrap_err();
    assert!(plain.contains("no pg_hba.conf entry"), "{plain}");
}
