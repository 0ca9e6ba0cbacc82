//! The provider against real servers of every version, with the login that the documentation gives it.

#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a test fails by panicking, in its helpers too")]

mod server;

use std::time::Duration;

use server::{Server, admin};
use writ_core::provider::{Provider, ProviderFault, Revoked};
use writ_provider_kit as kit;
use writ_world::postgres::Version;

const LIFE: Duration = Duration::from_secs(300);
const DEADLINE: Duration = Duration::from_secs(5);

macro_rules! for_each_version {
    ($($test:ident $version:ident)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let server = Server::start(Version::$version).await;
            assert_eq!(kit::run(&server).await, Vec::<String>::new());
            owned_objects_go_to_the_granted_role(&server).await;
            a_session_cannot_choose_its_heir(&server).await;
            limits_and_attributes(&server).await;
            a_session_cannot_make_a_login_for_itself(&server).await;
            two_revocations_at_once_settle(&server).await;
            a_sweep_ends_sessions_and_gives_away(&server).await;
            roles_that_cannot_be_granted_are_named(&server).await;
            a_mint_cut_short_takes_no_effect_later(&server).await;
            default_roles_are_granted_and_probed(&server).await;
            the_pool_outlives_lost_connections(&server).await;
            one_iteration_is_enough_for_the_server(&server).await;
            tls_is_verified(&server).await;
            missing_rights_are_named(&server).await;
            assert!(!server.cluster.log().contains("PANIC"));
        }
    )* };
}

for_each_version! {
    postgres_13 V13
    postgres_14 V14
    postgres_15 V15
    postgres_16 V16
    postgres_17 V17
    postgres_18 V18
}

async fn owned_objects_go_to_the_granted_role(server: &Server) {
    let mut writ = kit::writ(Some("app".to_owned()), LIFE);
    writ.obligations.connection_limit = Some(2);
    let minted = server.provider.mint(&server.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    for database in ["payments", "ledger"] {
        let session = server.session(database, &credential.principal, credential.secret.expose()).await.unwrap();
        session.batch_execute("CREATE TABLE as_granted (id int)").await.unwrap();
        session
            .batch_execute("SET ROLE NONE; CREATE TABLE as_itself (id int); GRANT SELECT ON as_itself TO PUBLIC")
            .await
            .unwrap();
    }
    server.provider.revoke(&server.target, &writ, DEADLINE).await.unwrap();
    for database in ["payments", "ledger"] {
        let admin = admin(&server.cluster, database).await;
        let owners = "SELECT tablename::text, tableowner::text FROM pg_tables WHERE tablename LIKE 'as\\_%' ORDER BY 1";
        let owners: Vec<(String, String)> =
            admin.query(owners, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
        let expected = ["as_granted", "as_itself"].map(|table| (table.to_owned(), "app".to_owned()));
        assert_eq!(owners, expected, "{database}");
        admin.batch_execute("DROP TABLE as_granted, as_itself").await.unwrap();
    }
    assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
}

async fn a_session_cannot_choose_its_heir(server: &Server) {
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let minted = server.provider.mint(&server.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    let session = server.session("payments", &credential.principal, credential.secret.expose()).await.unwrap();
    let statements = "SET ROLE NONE; CREATE TABLE planted (id int); ALTER ROLE CURRENT_USER SET role TO 'other'";
    session.batch_execute(statements).await.unwrap();
    server.provider.revoke(&server.target, &writ, DEADLINE).await.unwrap();
    let admin = admin(&server.cluster, "payments").await;
    let row = admin.query_one("SELECT tableowner::text FROM pg_tables WHERE tablename = 'planted'", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "app");
    admin.batch_execute("DROP TABLE planted").await.unwrap();
}

async fn limits_and_attributes(server: &Server) {
    let mut writ = kit::writ(Some("app".to_owned()), LIFE);
    writ.obligations.connection_limit = Some(1);
    let minted = server.provider.mint(&server.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    let first = server.session("payments", &credential.principal, credential.secret.expose()).await.unwrap();
    let row = first.query_one("SELECT current_user::text, session_user::text", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "app");
    assert_eq!(row.get::<_, String>(1), writ.id.to_string());
    let second = server.session("payments", &credential.principal, credential.secret.expose()).await.unwrap_err();
    assert_eq!(second.code().map(|code| code.code()), Some("53300"));
    let admin = admin(&server.cluster, "postgres").await;
    let plain = "SELECT NOT (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls) \
                 AND (SELECT array_agg(roleid::regrole::text) FROM pg_auth_members WHERE member = r.oid) = '{app}' \
                 FROM pg_roles r WHERE rolname = $1";
    assert!(admin.query_one(plain, &[&writ.id.to_string()]).await.unwrap().get::<_, bool>(0));
    server.provider.revoke(&server.target, &writ, DEADLINE).await.unwrap();
}

/// A session may set the password of its own role and of the one that it acts as: with neither can it come back beside the
/// gateway.
async fn a_session_cannot_make_a_login_for_itself(server: &Server) {
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let minted = server.provider.mint(&server.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    let session = server.session("payments", &credential.principal, credential.secret.expose()).await.unwrap();
    session.batch_execute("ALTER ROLE CURRENT_USER PASSWORD 'known'").await.unwrap();
    session.batch_execute("SET ROLE NONE; ALTER ROLE CURRENT_USER PASSWORD 'known'").await.unwrap();
    let beside = server.session("payments", &credential.principal, b"known").await.unwrap_err();
    assert_eq!(beside.code().map(|code| code.code()), Some("53300"));
    let granted = server.session("payments", "app", b"known").await.unwrap_err();
    assert_eq!(granted.code().map(|code| code.code()), Some("28000"));
    server.provider.revoke(&server.target, &writ, DEADLINE).await.unwrap();

    let root = admin(&server.cluster, "postgres").await;
    let roles = "CREATE ROLE person LOGIN; CREATE ROLE maker CREATEROLE; CREATE ROLE through; GRANT person TO through; \
                 GRANT person, maker, through TO writ_broker WITH ADMIN OPTION";
    root.batch_execute(roles).await.unwrap();
    for role in ["person", "maker", "through"] {
        let writ = kit::writ(Some(role.to_owned()), LIFE);
        let fault = server.provider.mint(&server.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
        assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("LOGIN")), "{role}: {fault:?}");
        assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
    }
    root.batch_execute("DROP ROLE through, person, maker").await.unwrap();
}

async fn one_iteration_is_enough_for_the_server(server: &Server) {
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let minted = server.provider.mint(&server.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let admin = admin(&server.cluster, "postgres").await;
    let stored = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
    let stored: String = admin.query_one(stored, &[&writ.id.to_string()]).await.unwrap().get(0);
    assert!(stored.starts_with("SCRAM-SHA-256$1:"), "{stored}");
    // The server logs every statement here: none holds the password.
    let password = String::from_utf8(minted.credential().unwrap().secret.expose().to_vec()).unwrap();
    let log = server.cluster.log();
    assert!(log.contains(&writ.id.to_string()) && !log.contains(&password));
    server.provider.revoke(&server.target, &writ, DEADLINE).await.unwrap();
}

async fn tls_is_verified(server: &Server) {
    let stranger = server.provider_at(server.cluster.port(), Some(server::other_authority()), server::PASSWORD);
    let fault = stranger.probe(&server.target, DEADLINE).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("set `ca_pem`")), "{fault:?}");
}

async fn missing_rights_are_named(server: &Server) {
    let wrong = server.provider_at(server.cluster.port(), Some(server.cluster.ca_pem().to_owned()), "wrong-canary");
    let fault = wrong.probe(&server.target, DEADLINE).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("28P01")), "{fault:?}");
    assert!(!format!("{fault:?}").contains("wrong-canary"));
    if server.cluster.version() >= Version::V16 {
        let writ = kit::writ(Some("other".to_owned()), LIFE);
        let fault = server.provider.mint(&server.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
        assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("ADMIN OPTION")), "{fault:?}");
    }
}

async fn two_revocations_at_once_settle(server: &Server) {
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let minted = server.provider.mint(&server.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    let session = server.session("payments", &credential.principal, credential.secret.expose()).await.unwrap();
    session.batch_execute("SET ROLE NONE; CREATE TABLE contended (id int)").await.unwrap();
    let other = server.provider_at(server.cluster.port(), Some(server.cluster.ca_pem().to_owned()), server::PASSWORD);
    let (one, two, three) = tokio::join!(
        server.provider.revoke(&server.target, &writ, DEADLINE),
        server.provider.revoke(&server.target, &writ, DEADLINE),
        other.revoke(&server.target, &writ, DEADLINE),
    );
    assert_eq!([one, two, three], [Ok(Revoked::Gone), Ok(Revoked::Gone), Ok(Revoked::Gone)]);
    assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
    admin(&server.cluster, "payments").await.batch_execute("DROP TABLE contended").await.unwrap();
}

async fn a_sweep_ends_sessions_and_gives_away(server: &Server) {
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let minted = server.provider.mint(&server.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let credential = minted.credential().unwrap();
    let session = server.session("payments", &credential.principal, credential.secret.expose()).await.unwrap();
    session.batch_execute("SET ROLE NONE; CREATE TABLE left_over (id int)").await.unwrap();
    let root = admin(&server.cluster, "payments").await;
    let end = format!("ALTER ROLE \"{}\" VALID UNTIL '2020-01-01'", writ.id);
    root.batch_execute(&end).await.unwrap();
    // A name that only begins like a writ's is not ours.
    root.batch_execute("CREATE ROLE \"writ-like\" VALID UNTIL '2020-01-01'").await.unwrap();
    let swept = server.provider.sweep(&server.target, &[], DEADLINE).await.unwrap();
    assert_eq!((swept.removed, swept.left), (1, 0));
    assert!(kit::Harness::knows(server, "writ-like").await);
    session.simple_query("SELECT 1").await.unwrap_err();
    let row =
        root.query_one("SELECT tableowner::text FROM pg_tables WHERE tablename = 'left_over'", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "app");
    root.batch_execute("DROP TABLE left_over; DROP ROLE \"writ-like\"").await.unwrap();
}

async fn roles_that_cannot_be_granted_are_named(server: &Server) {
    for role in [None, Some("writ_broker"), Some("writ-other"), Some("")] {
        let writ = kit::writ(role.map(str::to_owned), LIFE);
        let fault = server.provider.mint(&server.target, kit::intended(&writ), DEADLINE).await.unwrap_err();
        assert!(matches!(fault, ProviderFault::Misconfigured(_)), "{role:?}: {fault:?}");
        assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
    }
}

async fn a_mint_cut_short_takes_no_effect_later(server: &Server) {
    let mut root = admin(&server.cluster, "postgres").await;
    let watcher = admin(&server.cluster, "postgres").await;
    let blocking = root.transaction().await.unwrap();
    blocking.batch_execute("LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let short = Duration::from_millis(300);
    let fault = server.provider.mint(&server.target, kit::intended(&writ), short).await.unwrap_err();
    assert!(matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
    // While the lock is still held the server gives the statement up: it was told to.
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'writ_broker' AND state = 'active'";
    let until = std::time::Instant::now() + Duration::from_secs(4);
    while watcher.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(std::time::Instant::now() < until, "the statement was not given up");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    blocking.rollback().await.unwrap();
    assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
    server.provider.revoke(&server.target, &writ, DEADLINE).await.unwrap();
}

async fn default_roles_are_granted_and_probed(server: &Server) {
    let provider = server.provider_with(|config| config.default_roles = vec!["other".to_owned()]);
    let fault = provider.probe(&server.target, DEADLINE).await.unwrap_err();
    let expected = "GRANT \"other\" TO \"writ_broker\" WITH ADMIN OPTION";
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains(expected)), "{fault:?}");
    let root = admin(&server.cluster, "postgres").await;
    // The fault's own words mend it.
    root.batch_execute(expected).await.unwrap();
    provider.probe(&server.target, DEADLINE).await.unwrap();
    let granted = "SELECT array_agg(roleid::regrole::text ORDER BY 1)::text FROM pg_auth_members m \
                   JOIN pg_roles r ON r.oid = m.member WHERE rolname = $1";
    for (role, memberships) in [(Some("app"), "{app,other}"), (None, "{other}")] {
        let writ = kit::writ(role.map(str::to_owned), LIFE);
        drop(provider.mint(&server.target, kit::intended(&writ), DEADLINE).await.unwrap());
        let row = root.query_one(granted, &[&writ.id.to_string()]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), memberships);
        provider.revoke(&server.target, &writ, DEADLINE).await.unwrap();
    }
    root.batch_execute("REVOKE other FROM writ_broker").await.unwrap();
    let missing = server.provider_with(|config| config.default_roles = vec!["absent".to_owned()]);
    let fault = missing.probe(&server.target, DEADLINE).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("`absent`")), "{fault:?}");
}

async fn the_pool_outlives_lost_connections(server: &Server) {
    server.provider.probe(&server.target, DEADLINE).await.unwrap();
    let root = admin(&server.cluster, "postgres").await;
    let lost = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'writ_broker'";
    root.simple_query(lost).await.unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(4);
    while let Err(fault) = server.provider.probe(&server.target, DEADLINE).await {
        assert!(matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
        assert!(std::time::Instant::now() < until, "{fault:?}");
    }
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    drop(server.provider.mint(&server.target, kit::intended(&writ), DEADLINE).await.unwrap());
    server.provider.revoke(&server.target, &writ, DEADLINE).await.unwrap();
}
