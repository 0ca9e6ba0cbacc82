//! Login tokens of RDS: botocore's to the byte, and of use for one login alone.

use std::process::Command;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use serde_json::{Value, json};
use writ_aws_rds::{Login, token};
use writ_core::credential::{CredentialKind, Revocation};
use writ_core::provider::Provider;
use writ_core::target::{Address, UpstreamTls};
use writ_fakes::Keys;
use writ_fakes::moto;
use writ_fakes::rds::pam::{PamModule, PamServer};
use writ_provider_aws::{By, RdsConfig, RdsProvider};
use writ_world::packages;

use crate::canary;
use crate::clients::Lines;
use crate::documented;
use crate::eyes::Database;
use crate::providers::{mint, rds, target, writ};
use crate::world::{DEADLINE, LIFE, World, ambient, shared};

const ENDPOINTS: [(&str, &str, u16); 6] = [
    ("payments.abcdefghijkl.eu-west-1.rds.amazonaws.com", "eu-west-1", 5432),
    ("payments.cluster-ro-abcdefghijkl.us-east-1.rds.amazonaws.com", "us-east-1", 3306),
    ("pool.proxy-abcdefghijkl.ap-southeast-2.rds.amazonaws.com", "ap-southeast-2", 65_535),
    ("orders.abcdefghijkl.rds.cn-north-1.amazonaws.com.cn", "cn-north-1", 5432),
    ("orders.abcdefghijkl.us-gov-west-1.rds.amazonaws.com", "us-gov-west-1", 1150),
    ("a-1.x.us-east-1.rds.amazonaws.com", "us-east-1", 15_432),
];

const USERS: [&str; 6] =
    ["app", "app_reader", "App.Reader-2", "0", "_", "a23456789012345678901234567890123456789012345678901234567890123"];

/// Times at the ends of days and years, in seconds since 1970.
const TIMES: [u64; 4] = [1_440_938_160, 1_767_225_599, 1_772_582_400, 4_102_444_799];

#[tokio::test]
async fn a_token_is_botocores_to_the_byte() {
    let mut command = Command::new(moto::python().unwrap());
    command.arg(moto::clients().join("rds_token.py")).env_clear().env("PATH", "/usr/bin:/bin");
    let mut botocore = Lines::start(command);
    let long = format!("{}/+==", "IQoJb3JpZ2luX2Vj".repeat(60));
    let signers = [
        ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None),
        ("ASIAEXAMPLE", "s/+=", Some(long.as_str())),
    ];
    let mut compared = 0;
    for (row, (host, region, port)) in ENDPOINTS.into_iter().enumerate() {
        for (column, user) in USERS.into_iter().enumerate() {
            // Each endpoint with every second user, each user with every second endpoint.
            if (row + column) % 2 == 1 {
                continue;
            }
            let time = TIMES[(row + column) / 2 % TIMES.len()];
            for (key, secret, session) in signers {
                let identity = Credentials::new(key, secret, session.map(str::to_owned), None, "test");
                let at = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
                let ours = token(&Login { host, port, user, region }, &identity, at).await.unwrap();
                let stamp = writ_core::time::Timestamp::from_second(time.cast_signed()).unwrap();
                let theirs = botocore.ask(&json!({
                    "host": host, "port": port, "user": user, "region": region, "access_key": key, "secret": secret,
                    "token": session, "at": stamp.strftime("%Y%m%dT%H%M%SZ").to_string(),
                }));
                let ours = std::str::from_utf8(ours.expose()).unwrap();
                // AWS's SDK for Rust writes the session's token last and botocore the signature, which stands for both orders.
                if session.is_some() {
                    assert_eq!(in_order(ours), in_order(&theirs), "{host} {user} {time}");
                } else {
                    assert_eq!(ours, theirs, "{host} {user} {time}");
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 36);
}

/// The host of a token, and its parameters in the order in which they are signed.
fn in_order(token: &str) -> (&str, Vec<&str>) {
    let (host, query) = token.split_once('?').unwrap();
    let mut parameters: Vec<&str> = query.split('&').collect();
    parameters.sort_unstable();
    (host, parameters)
}

/// Tokens that were changed after they were signed, and why each is refused.
fn changed(token: &str) -> Vec<(String, &'static str)> {
    let at = token.find("X-Amz-Signature=").unwrap() + 16;
    let flip = |place: usize| {
        let other = if token.as_bytes()[place] == b'0' { "1" } else { "0" };
        format!("{}{other}{}", &token[..place], &token[place + 1..])
    };
    let mut changed: Vec<(String, &str)> = [at, at + 31, at + 63].map(|place| (flip(place), "does not match")).into();
    changed.push((format!("{}{}", &token[..at + 63], &token[at + 64..]), "does not match"));
    changed.push((format!("{}0{}", &token[..at + 64], &token[at + 64..]), "does not match"));
    changed.push((flip(token.find("X-Amz-Security-Token=").unwrap() + 21), "not the key's own"));
    changed.push((token.replacen("X-Amz-Security-Token=", "X-Amz-Security-Tokem=", 1), "unknown parameter"));
    for (from, to, why) in [
        ("X-Amz-Expires=900", "X-Amz-Expires=899", "does not match"),
        ("X-Amz-Expires=900", "X-Amz-Expires=901", "more than 900 s"),
        ("DBUser=app&", "DBUser=app_reader&", "another user"),
        ("payments.", "orders.", "another host or port"),
        ("Action=connect", "Action=Connect", "another action"),
        ("%2Feu-west-1%2F", "%2Fus-east-1%2F", "another service or region"),
    ] {
        assert!(token.contains(from), "{from}");
        changed.push((token.replacen(from, to, 1), why));
    }
    changed
}

#[tokio::test]
async fn a_token_opens_one_login_and_nothing_near_it() {
    let world = shared();
    let database = Database::start(&world).await;
    let port = database.rds.port();
    for by in [By::Issuer, By::Workload, By::Broker] {
        database.rds.clock_ahead(0);
        let provider = rds(&world, by, world.front.url(), port, &|_| ());
        let given = async |role: Option<&str>| {
            let writ = writ(&world, role, LIFE);
            let minted = mint(&world, &provider, &writ).await.unwrap();
            let credential = minted.credential().unwrap();
            let arn = format!("of arn:aws:sts::123456789012:assumed-role/payments-login/{}", writ.id);
            assert!(credential.audit.ends_with(&arn), "{}", credential.audit);
            assert_eq!((credential.kind, credential.revocation), (CredentialKind::RdsToken, Revocation::WholeRole));
            (credential.principal.clone(), String::from_utf8(credential.secret.expose().to_vec()).unwrap())
        };
        let refused = async |user: &str, token: &str, why: &str| {
            let said = database.login(user, token).await.err().unwrap_or_else(|| panic!("{why}: it was let in"));
            assert_eq!(said, format!("PAM authentication failed for user \"{user}\""));
            let reasons = database.rds.refusals();
            assert!(reasons.last().unwrap().contains(why), "{why}: {reasons:?}");
        };
        let ((app, token), (reader, other)) = (given(None).await, given(Some("reader")).await);
        assert_eq!((app.as_str(), reader.as_str()), ("app", "app_reader"));
        for (user, token) in [("app", &token), ("app", &token), ("app_reader", &other)] {
            let row =
                database.login(user, token).await.unwrap().query_one("SELECT current_user::text", &[]).await.unwrap();
            assert_eq!(row.get::<_, String>(0), user);
        }
        refused("app", &other, "another user").await;
        refused("app_reader", &token, "another user").await;
        for (changed, why) in changed(&token) {
            refused("app", &changed, why).await;
        }
        database.rds.clock_ahead(901);
        refused("app", &token, "expired").await;
    }
    assert!(!database.cluster.log().contains("X-Amz-Signature"));
    canary::check();
}

/// What the session that signs may not, no token can: the scope names one user of one database.
#[tokio::test]
async fn a_session_signs_for_one_user_of_one_database() {
    let world = shared();
    let database = Database::start(&world).await;
    let port = database.rds.port();
    let (_, host) = documented::rds_settings();
    let elsewhere = host.replace("payments", "orders");
    for (change, why) in [
        (
            json!({ "resource_id": "db-ZYXWVUTSRQPONMLKJIHGFEDCBA" }),
            "no session policy allows the rds-db:connect action",
        ),
        (
            json!({ "resource_id": "cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ" }),
            "no session policy allows the rds-db:connect action",
        ),
        (
            json!({ "role_arn": "arn:aws:iam::123456789012:role/cluster-reader" }),
            "no identity-based policy allows the rds-db:connect",
        ),
        (json!({ "endpoint_host": elsewhere }), "another host or port"),
        (json!({ "endpoint_port": 5432 }), "another host or port"),
    ] {
        let change =
            |settings: &mut Value| settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let provider = rds(&world, By::Issuer, world.front.url(), port, &change);
        let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap();
        let token = String::from_utf8(minted.credential().unwrap().secret.expose().to_vec()).unwrap();
        assert!(database.login("app", &token).await.is_err());
        let reasons = database.rds.refusals();
        assert!(reasons.last().unwrap().contains(why), "{why}: {reasons:?}");
    }
    // Without the resource's id the session may connect to any, and the role's own policy still to one.
    let any = |settings: &mut Value| settings["resource_id"] = Value::Null;
    let provider = rds(&world, By::Issuer, world.front.url(), port, &any);
    let minted = mint(&world, &provider, &writ(&world, None, LIFE)).await.unwrap();
    let token = String::from_utf8(minted.credential().unwrap().secret.expose().to_vec()).unwrap();
    database.login("app", &token).await.unwrap();
    canary::check();
}

/// The provider with the broker's own identity, which signs by itself and asks nobody.
fn signing(keys: &Keys, port: u16) -> RdsProvider {
    let (mut settings, host) = documented::rds_settings();
    for of_roles in ["role_arn", "resource_id", "assume"] {
        settings.as_object_mut().unwrap().remove(of_roles);
    }
    let config: RdsConfig = serde_json::from_value(settings).unwrap();
    let address = Address { host, port, tls: UpstreamTls::VerifyFull, ca_pem: None };
    RdsProvider::with_ambient(&config, &address, None, ambient(keys)).unwrap()
}

async fn signed(world: &World, provider: &RdsProvider) -> String {
    let minted = mint(world, provider, &writ(world, None, LIFE)).await.unwrap();
    let credential = minted.credential().unwrap();
    assert_eq!((credential.principal.as_str(), credential.revocation), ("app", Revocation::None));
    String::from_utf8(credential.secret.expose().to_vec()).unwrap()
}

#[tokio::test]
async fn the_brokers_own_identity_signs_where_there_is_no_role() {
    let world = World::start("reports");
    let database = Database::start(&world).await;
    let provider = signing(&world.admin, database.rds.port());
    provider.probe(&target(&world), DEADLINE).await.unwrap();
    let before = world.front.audit().len();
    let token = signed(&world, &provider).await;
    assert_eq!(world.front.audit().len(), before, "AWS keeps no record of a token");
    database.login("app", &token).await.unwrap();
    // One that may assume roles and no more.
    let token = signed(&world, &signing(&world.broker, database.rds.port())).await;
    database.login("app", &token).await.unwrap_err();
    assert!(database.rds.refusals().last().unwrap().contains("no identity-based policy allows the rds-db:connect"));
    canary::check();
}

fn long() -> Keys {
    let keys = Keys {
        access_key: "ASIALONGLONGLONG".to_owned(),
        secret: "a-secret-of-eight".to_owned(),
        token: Some("t".repeat(7_000)),
    };
    canary::note(&keys.secret);
    keys
}

/// The same rules once more, in another language.
#[tokio::test]
async fn the_pam_module_takes_the_same_tokens() {
    let world = shared();
    let (settings, host) = documented::rds_settings();
    let region = settings["region"].as_str().unwrap();
    for keys in [world.broker.clone(), long()] {
        let module = PamModule::prepare(&format!("{host}:5432"), region, std::slice::from_ref(&keys)).unwrap();
        let token = signed(&world, &signing(&keys, 5432)).await;
        assert!(module.opens("app", &token).unwrap());
        assert!(!module.opens("app_reader", &token).unwrap());
        for (changed, why) in changed(&token) {
            assert!(!module.opens("app", &changed).unwrap(), "{why}");
        }
        assert!(!module.opens("app", &signed(&world, &signing(&keys, 5433)).await).unwrap());
    }
    canary::check();
}

/// Root alone may add a service of PAM; whoever is not root holds the same module to account above, in libpam.
#[tokio::test]
async fn a_real_server_takes_tokens_by_pam() {
    let root = nix::unistd::geteuid().is_root();
    assert_eq!(PamServer::possible(), root);
    if !root {
        return;
    }
    let world = shared();
    let (settings, host) = documented::rds_settings();
    let keys = [world.broker.clone(), long()];
    let server = PamServer::start(&host, settings["region"].as_str().unwrap(), &keys).await.unwrap();
    let (client, connection) =
        tokio_postgres::connect(&server.cluster().url("postgres"), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute("CREATE USER app; CREATE USER app_reader").await.unwrap();
    connection.abort();
    let port = server.cluster().port();
    for keys in &keys {
        let token = signed(&world, &signing(keys, port)).await;
        assert_eq!(psql(port, "app", &token).unwrap(), "app");
        let near = [("app_reader", token.as_str()), ("app", &token[1..]), ("app", &token[..token.len() - 1])];
        for (user, token) in near {
            let said = psql(port, user, token).unwrap_err();
            assert!(said.contains(&format!("PAM authentication failed for user \"{user}\"")), "{said}");
        }
    }
    canary::check();
}

/// What psql prints, or what it complains of: the server's certificate is not the endpoint's.
fn psql(port: u16, user: &str, token: &str) -> Result<String, String> {
    let program = packages::need("/usr/lib/postgresql/15/bin/psql".as_ref(), "`apt-get install postgresql`").unwrap();
    let target = format!("host=127.0.0.1 port={port} user={user} dbname=postgres sslmode=require");
    let mut command = Command::new(program);
    command.args([&target, "-XAtc", "select current_user"]).env("PGPASSWORD", token).env("PGCONNECT_TIMEOUT", "60");
    let output = command.output().unwrap();
    let (said, wrong) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    if output.status.success() { Ok(said.trim().to_owned()) } else { Err(wrong) }
}
