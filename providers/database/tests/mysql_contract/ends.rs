//! How a writ's user goes.

use mysql_async::prelude::Queryable as _;
use writ_core::provider::{Provider as _, ProviderFault, Revoked};
use writ_core::time::Timestamp;
use writ_core::writ::Writ;
use writ_provider_kit as kit;

use crate::server::{DEADLINE, LIFE, PASSWORD, Server, code};

fn app() -> Writ {
    kit::writ(Some("app".to_owned()), LIFE)
}

async fn sessions(server: &Server, user: &str) -> usize {
    let question = format!("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '{user}'");
    server.ask::<u64>(&question).await.len()
}

pub(crate) async fn two_revocations_at_once_settle(server: &Server) {
    let writ = app();
    let minted = server.mint(&writ).await.unwrap();
    let mut session = server.session(&minted).await.unwrap();
    let other = server.provider_at(server.world.port(), Some(server.world.ca_pem().to_owned()), PASSWORD);
    let (one, two, three) = tokio::join!(
        server.provider.revoke(&server.target, &writ, DEADLINE),
        server.provider.revoke(&server.target, &writ, DEADLINE),
        other.revoke(&server.target, &writ, DEADLINE),
    );
    assert_eq!([one, two, three], [Ok(Revoked::Gone), Ok(Revoked::Gone), Ok(Revoked::Gone)]);
    assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
    session.query_drop("SELECT 1").await.unwrap_err();
}

/// What a broker that died in the middle leaves: a user without roles, a locked user with its session, a session without user.
pub(crate) async fn what_a_crash_left_is_finished(server: &Server) {
    let (locked, dropped) = (app(), app());
    for (writ, statement) in [(&locked, "ALTER USER '{}'@'%' ACCOUNT LOCK"), (&dropped, "DROP USER '{}'@'%'")] {
        let minted = server.mint(writ).await.unwrap();
        let user = &minted.credential().unwrap().principal;
        let mut session = server.session(&minted).await.unwrap();
        server.run(&statement.replace("{}", user)).await;
        session.query_drop("SELECT 1").await.unwrap();
        server.revoke(writ).await;
        session.query_drop("SELECT 1").await.unwrap_err();
        assert_eq!(sessions(server, user).await, 0);
        assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
    }
    let bare = app();
    let end = bare.expires.as_second();
    let user = if server.mariadb() { format!("{}-{end}", bare.id) } else { bare.id.to_string() };
    server.run(&format!("CREATE USER '{user}'@'%' REQUIRE SSL ACCOUNT LOCK")).await;
    server.revoke(&bare).await;
    assert!(!kit::Harness::knows(server, &bare.id.to_string()).await);
}

/// Objects that name the user as their definer do not hold it back, and work no more.
pub(crate) async fn a_session_that_made_things_goes(server: &Server) {
    let writ = app();
    let minted = server.mint(&writ).await.unwrap();
    let mut session = server.session(&minted).await.unwrap();
    session.query_drop("CREATE VIEW payments.mine AS SELECT id FROM payments.orders").await.unwrap();
    session.query_drop("CREATE PROCEDURE payments.also() SELECT id FROM payments.orders").await.unwrap();
    server.revoke(&writ).await;
    assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
    let mut admin = server.admin().await;
    admin.query_drop("SELECT * FROM payments.mine").await.unwrap_err();
    admin.query_drop("CALL payments.also()").await.unwrap_err();
    admin.query_drop("DROP VIEW payments.mine; DROP PROCEDURE payments.also").await.unwrap();
}

pub(crate) async fn a_transaction_is_rolled_back(server: &Server) {
    let writ = app();
    let minted = server.mint(&writ).await.unwrap();
    let mut session = server.session(&minted).await.unwrap();
    session.query_drop("BEGIN; INSERT INTO payments.orders VALUES (8)").await.unwrap();
    server.revoke(&writ).await;
    assert_eq!(server.ask::<i64>("SELECT id FROM payments.orders").await, [7]);
}

/// What is left after a day of a user whom nobody removed.
pub(crate) async fn an_expired_password_opens_nothing(server: &Server) {
    let writ = app();
    let minted = server.mint(&writ).await.unwrap();
    let user = minted.credential().unwrap().principal.clone();
    server.run(&format!("ALTER USER '{user}'@'%' PASSWORD EXPIRE")).await;
    let refused = match server.session(&minted).await {
        Ok(mut session) => code(session.query_drop("SELECT id FROM payments.orders").await),
        refused => code(refused),
    };
    assert!([1820, 1862].contains(&refused), "{refused}");
    server.revoke(&writ).await;
}

pub(crate) async fn a_sweep_takes_only_what_is_ours(server: &Server) {
    let mut forgotten = app();
    forgotten.expires = Timestamp::from_second(Timestamp::now().as_second() - 60).unwrap();
    let minted = server.mint(&forgotten).await.unwrap();
    let mut session = server.session(&minted).await.unwrap();
    let other = kit::writ(None, LIFE).id;
    // Names that only look like a writ's, and a writ's name that carries no end.
    let strangers = ["writ-like".to_owned(), "writ-00000000000000000000000000".to_owned(), format!("{other}")];
    let strangers = strangers.map(|name| if server.mariadb() && name.len() == 31 { format!("{name}-x") } else { name });
    for name in &strangers {
        server.run(&format!("CREATE USER '{name}'@'%' ACCOUNT LOCK")).await;
    }
    let swept = server.provider.sweep(&server.target, &[], DEADLINE).await.unwrap();
    assert_eq!((swept.removed, swept.left), (1, 0));
    session.query_drop("SELECT 1").await.unwrap_err();
    for name in &strangers {
        assert!(kit::Harness::knows(server, name).await, "{name}");
        server.run(&format!("DROP USER '{name}'@'%'")).await;
    }
    // One at a time where the settings say so; the rest is counted.
    let sparing = server.provider_with(|config| config.sweep_limit = 1);
    for _ in 0..2 {
        let mut past = app();
        past.expires = forgotten.expires;
        drop(server.mint(&past).await.unwrap());
    }
    let swept = sparing.sweep(&server.target, &[], DEADLINE).await.unwrap();
    assert_eq!((swept.removed, swept.left), (1, 1));
    let swept = sparing.sweep(&server.target, &[], DEADLINE).await.unwrap();
    assert_eq!((swept.removed, swept.left), (1, 0));
}

pub(crate) async fn the_pool_outlives_lost_connections(server: &Server) {
    server.provider.probe(&server.target, DEADLINE).await.unwrap();
    let lost: Vec<u64> = server.ask("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'writ_broker'").await;
    assert!(!lost.is_empty());
    for id in lost {
        let _ = server.admin().await.query_drop(format!("KILL {id}")).await;
    }
    let until = std::time::Instant::now() + DEADLINE;
    while let Err(fault) = server.provider.probe(&server.target, DEADLINE).await {
        assert!(matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
        assert!(std::time::Instant::now() < until, "{fault:?}");
    }
    let writ = app();
    drop(server.mint(&writ).await.unwrap());
    server.revoke(&writ).await;
}
