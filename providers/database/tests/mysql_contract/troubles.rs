//! What may be wrong at the server or with the broker's login, and what is said of it.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use writ_core::provider::{Provider as _, ProviderFault};
use writ_provider_kit as kit;
use writ_world::mysql::{Release, Server as World};

use crate::server::{self, DEADLINE, LIFE, PASSWORD, Server};

fn misconfigured(fault: &ProviderFault, part: &str) {
    assert!(matches!(fault, ProviderFault::Misconfigured(text) if text.contains(part)), "{part}: {fault:?}");
}

/// MariaDB brings its plugin along and does not load it by itself.
pub(crate) async fn a_plugin_that_is_missing_is_named(release: Release) {
    if release != Release::Mariadb10 {
        return;
    }
    let world = World::start(release).unwrap();
    let login = format!(
        "CREATE USER writ_broker@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL; \
         GRANT ALL PRIVILEGES ON *.* TO writ_broker@'%' WITH GRANT OPTION"
    );
    server::admin(&world).await.query_drop(login).await.unwrap();
    let provider = server::provider(world.port(), Some(world.ca_pem().to_owned()), PASSWORD, |_| ());
    let target = server::target(world.port(), None);
    let fault = provider.probe(&target, DEADLINE).await.unwrap_err();
    misconfigured(&fault, "INSTALL SONAME 'auth_ed25519'");
    server::admin(&world)
        .await
        .query_drop("CREATE ROLE app; GRANT app TO writ_broker@'%' WITH ADMIN OPTION")
        .await
        .unwrap();
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let fault = provider.mint(&target, kit::intended(&writ), DEADLINE).await.unwrap_err();
    misconfigured(&fault, "INSTALL SONAME 'auth_ed25519'");
    server::admin(&world).await.query_drop("INSTALL SONAME 'auth_ed25519'").await.unwrap();
    provider.probe(&target, DEADLINE).await.unwrap();
}

pub(crate) async fn a_mint_cut_short_takes_no_effect_later(server: &Server) {
    let mut blocking = server.admin().await;
    // So that the mint waits where it makes the user, not where it connects.
    server.provider.probe(&server.target, DEADLINE).await.unwrap();
    blocking.query_drop("FLUSH TABLES WITH READ LOCK").await.unwrap();
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let short = Duration::from_millis(300);
    let fault = server.provider.mint(&server.target, kit::intended(&writ), short).await.unwrap_err();
    assert!(matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
    // While the lock is still held the server gives the statement up: it was told to.
    let waiting =
        "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'writ_broker' AND INFO LIKE 'CREATE USER%'";
    let until = Instant::now() + Duration::from_secs(4);
    while !server.ask::<u64>(waiting).await.is_empty() {
        assert!(Instant::now() < until, "the statement was not given up");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    blocking.query_drop("UNLOCK TABLES").await.unwrap();
    assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
    server.revoke(&writ).await;
}

pub(crate) async fn tls_is_verified(server: &Server) {
    // The web's authorities, and this machine's own where the target names none: none vouches for the server.
    for authority in [Some(server::other_authority()), None] {
        let stranger = server.provider_at(server.world.port(), authority, PASSWORD);
        let fault = stranger.probe(&server.target, DEADLINE).await.unwrap_err();
        misconfigured(&fault, "set `ca_pem`");
    }
    // Its own authority does, for the name in its certificate alone.
    let misnamed = server.provider_with(|config| config.host = Some("localhost.localdomain".to_owned()));
    let fault = misnamed.probe(&server.target, DEADLINE).await.unwrap_err();
    if !fault.detail().contains("lookup") {
        misconfigured(&fault, "the name that it carries");
    }
}

pub(crate) async fn missing_rights_are_named(server: &Server) {
    let wrong = server.provider_at(server.world.port(), Some(server.world.ca_pem().to_owned()), "wrong-canary");
    let fault = wrong.probe(&server.target, DEADLINE).await.unwrap_err();
    misconfigured(&fault, "error 1045");
    assert!(!format!("{fault:?}").contains("wrong-canary"));
    let mut rights = vec!["CREATE USER", "PROCESS"];
    rights.extend(if server.mariadb() {
        vec!["CONNECTION ADMIN"]
    } else {
        vec!["CONNECTION_ADMIN", "ALLOW_NONEXISTENT_DEFINER"]
    });
    for right in rights {
        server.run(&format!("REVOKE {right} ON *.* FROM writ_broker@'%'")).await;
        let fresh = server.provider_with(|_| ());
        let fault = fresh.probe(&server.target, DEADLINE).await.unwrap_err();
        misconfigured(&fault, &format!("GRANT {right} ON *.* TO `writ_broker`"));
        let writ = kit::writ(Some("app".to_owned()), LIFE);
        let fault = server.mint_by(&fresh, &writ).await.unwrap_err();
        misconfigured(&fault, right);
        assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
        server.run(&format!("GRANT {right} ON *.* TO writ_broker@'%'")).await;
    }
    let table = if server.mariadb() { "UPDATE ON mysql.*" } else { "SELECT ON mysql.role_edges" };
    server.run(&format!("REVOKE {table} FROM writ_broker@'%'")).await;
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let fault = server.mint_by(&server.provider_with(|_| ()), &writ).await.unwrap_err();
    misconfigured(&fault, "docs/providers/mysql.md");
    server.run(&format!("GRANT {table} TO writ_broker@'%'")).await;
}

pub(crate) async fn a_replica_is_named(server: &Server) {
    server.run("SET GLOBAL read_only = 1").await;
    let fault = server.provider.probe(&server.target, DEADLINE).await.unwrap_err();
    misconfigured(&fault, "the primary");
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let fault = server.mint(&writ).await.unwrap_err();
    misconfigured(&fault, "the primary");
    server.run("SET GLOBAL read_only = 0").await;
    server.provider.probe(&server.target, DEADLINE).await.unwrap();
}
