//! What a writ's user is, and is not.

use mysql_async::prelude::Queryable as _;
use writ_core::provider::{Provider as _, ProviderFault};
use writ_provider_kit as kit;

use crate::server::{DEADLINE, LIFE, Server, code};

pub(crate) async fn exactly_what_was_granted(server: &Server) {
    let mut writ = kit::writ(Some("app".to_owned()), LIFE);
    writ.obligations.connection_limit = Some(2);
    let minted = server.mint(&writ).await.unwrap();
    let user = minted.credential().unwrap().principal.clone();
    let account = format!("'{user}'@'%'");
    let mut granted: Vec<String> = server.ask(&format!("SHOW GRANTS FOR {account}")).await;
    granted.retain(|grant| !grant.starts_with("SET DEFAULT ROLE"));
    let role = format!("GRANT {} TO `{user}`@`%`", server.role("app"));
    assert_eq!(granted.len(), 2, "{granted:?}");
    assert!(
        granted.contains(&role) && granted.iter().any(|grant| grant.starts_with("GRANT USAGE ON *.* TO")),
        "{granted:?}"
    );
    let made = server.ask::<String>(&format!("SHOW CREATE USER {account}")).await.concat();
    for part in ["REQUIRE SSL", "MAX_USER_CONNECTIONS 2", "PASSWORD EXPIRE INTERVAL 1 DAY"] {
        assert!(made.contains(part), "{part}: {made}");
    }
    let plugin = if server.mariadb() { "ed25519" } else { "caching_sha2_password" };
    assert!(made.contains(plugin), "{made}");
    if !server.mariadb() {
        assert!(made.contains("PASSWORD REQUIRE CURRENT"), "{made}");
        let label = "SELECT ATTRIBUTE->>'$.writ', ATTRIBUTE->>'$.session' FROM information_schema.USER_ATTRIBUTES WHERE USER = ";
        let label: Vec<(String, String)> = server.ask(&format!("{label}'{user}'")).await;
        assert_eq!(label, [(writ.id.to_string(), writ.session.to_string())]);
    }
    let mut session = server.session(&minted).await.unwrap();
    let who: (String, String) = session.query_first("SELECT CURRENT_USER(), CURRENT_ROLE()").await.unwrap().unwrap();
    assert_eq!(who.0, format!("{user}@%"));
    assert_eq!(who.1.trim_matches('`').split('`').next(), Some("app"));
    assert_eq!(session.query_first::<i64, _>("SELECT id FROM payments.orders").await.unwrap(), Some(7));
    // Nothing of another schema, of the accounts, or of a role that was not granted.
    assert_eq!(code(session.query_drop("SELECT * FROM ledger.entries").await), 1142);
    assert_eq!(code(session.query_drop("SELECT * FROM mysql.user").await), 1142);
    assert_eq!(code(session.query_drop("CREATE DATABASE mine").await), 1044);
    let other = code(session.query_drop("SET ROLE other").await);
    assert!([1959, 3530].contains(&other), "{other}");
    // Two connections, as policy said, and not three.
    let _second = server.session(&minted).await.unwrap();
    assert_eq!(code(server.session(&minted).await), 1226);
    server.revoke(&writ).await;

    let sole = kit::writ(Some("app".to_owned()), LIFE);
    let minted = server.mint(&sole).await.unwrap();
    let _first = server.session(&minted).await.unwrap();
    assert_eq!(code(server.session(&minted).await), 1226);
    server.revoke(&sole).await;
    // A policy that allows no connection does not lift the limit.
    let mut none = kit::writ(Some("app".to_owned()), LIFE);
    none.obligations.connection_limit = Some(0);
    let minted = server.mint(&none).await.unwrap();
    let _first = server.session(&minted).await.unwrap();
    assert_eq!(code(server.session(&minted).await), 1226);
    server.revoke(&none).await;
}

pub(crate) async fn default_roles_are_granted_and_probed(server: &Server) {
    let provider = server.provider_with(|config| config.default_roles = vec!["other".to_owned()]);
    let fault = provider.probe(&server.target, DEADLINE).await.unwrap_err();
    let expected = format!("GRANT {} TO `writ_broker` WITH ADMIN OPTION", server.role("other"));
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains(&expected)), "{fault:?}");
    // The fault's own words mend it.
    server.run(&expected.replace(" WITH", "@'%' WITH")).await;
    provider.probe(&server.target, DEADLINE).await.unwrap();
    for (role, roles) in [(Some("app"), ["app", "other"].as_slice()), (None, ["other"].as_slice())] {
        let writ = kit::writ(role.map(str::to_owned), LIFE);
        let minted = server.mint_by(&provider, &writ).await.unwrap();
        let user = minted.credential().unwrap().principal.clone();
        let grants = server.ask::<String>(&format!("SHOW GRANTS FOR '{user}'@'%'")).await.concat();
        for named in ["app", "other"] {
            assert_eq!(grants.contains(&server.role(named)), roles.contains(&named), "{grants}");
        }
        let mut session = server.session(&minted).await.unwrap();
        let active: String = session.query_first("SELECT CURRENT_ROLE()").await.unwrap().unwrap();
        assert!(active.contains(roles[0]), "{active}");
        server.revoke(&writ).await;
    }
    server.run(&format!("REVOKE {} FROM writ_broker@'%'", server.role("other"))).await;
    let missing = server.provider_with(|config| config.default_roles = vec!["absent".to_owned()]);
    let fault = missing.probe(&server.target, DEADLINE).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("`absent`")), "{fault:?}");
}

pub(crate) async fn from_where_the_settings_say(server: &Server) {
    let narrow = server.provider_with(|config| config.client_host = "127.0.0.1".to_owned());
    let elsewhere = server.provider_with(|config| config.client_host = "192.0.2.0/255.255.255.0".to_owned());
    let (here, there) = (kit::writ(Some("app".to_owned()), LIFE), kit::writ(Some("app".to_owned()), LIFE));
    let minted = server.mint_by(&narrow, &here).await.unwrap();
    server.session(&minted).await.unwrap();
    let minted = server.mint_by(&elsewhere, &there).await.unwrap();
    assert_eq!(code(server.session(&minted).await), 1045);
    // Settings that have changed since do not keep a user from being found.
    for writ in [&here, &there] {
        server.revoke(writ).await;
        assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
    }
}

pub(crate) async fn roles_of_which_a_login_could_be_made_are_refused(server: &Server) {
    let mut unsafe_roles = vec![
        ("maker", "GRANT CREATE USER ON *.* TO maker"),
        ("giver", "GRANT SELECT ON *.* TO giver WITH GRANT OPTION"),
        ("writer", "GRANT UPDATE ON *.* TO writer"),
        ("scribe", "GRANT INSERT ON mysql.* TO scribe"),
        ("pattern", "GRANT INSERT ON `my%`.* TO pattern"),
        ("editor", "GRANT UPDATE ON mysql.tables_priv TO editor"),
        ("columns", "GRANT UPDATE (Db) ON mysql.tables_priv TO columns"),
        ("admin_of", "GRANT other TO admin_of WITH ADMIN OPTION"),
        ("through", "GRANT maker TO through"),
    ];
    unsafe_roles.extend(if server.mariadb() {
        vec![("setter", "GRANT SET USER ON *.* TO setter"), ("root_like", "GRANT SUPER ON *.* TO root_like")]
    } else {
        vec![
            ("setter", "GRANT SET_ANY_DEFINER ON *.* TO setter"),
            ("roles", "GRANT ROLE_ADMIN ON *.* TO roles"),
            ("system", "GRANT SYSTEM_USER ON *.* TO `system`"),
        ]
    });
    for (role, grant) in &unsafe_roles {
        let make = format!("CREATE ROLE `{role}`; {grant}; GRANT `{role}` TO writ_broker@'%' WITH ADMIN OPTION");
        server.run(&make).await;
        let writ = kit::writ(Some((*role).to_owned()), LIFE);
        let fault = server.mint(&writ).await.unwrap_err();
        let named = matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("lasting login"));
        assert!(named, "{role}: {fault:?}");
        assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
    }
    for (role, _) in unsafe_roles.iter().rev() {
        server.run(&format!("DROP ROLE `{role}`")).await;
    }
}

pub(crate) async fn roles_that_cannot_be_granted_are_named(server: &Server) {
    let long = "x".repeat(33);
    for role in [None, Some("writ_broker"), Some("writ-other"), Some(""), Some(long.as_str()), Some("app ")] {
        let writ = kit::writ(role.map(str::to_owned), LIFE);
        let fault = server.mint(&writ).await.unwrap_err();
        assert!(matches!(fault, ProviderFault::Misconfigured(_)), "{role:?}: {fault:?}");
        assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
    }
    // A role that is there, and that the broker's login may not grant: nothing is left of the user.
    let writ = kit::writ(Some("other".to_owned()), LIFE);
    let fault = server.mint(&writ).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Misconfigured(text) if text.contains("ADMIN OPTION")), "{fault:?}");
    assert!(!kit::Harness::knows(server, &writ.id.to_string()).await);
}

pub(crate) async fn present_says_who_it_is(server: &Server) {
    let writ = kit::writ(Some("app".to_owned()), LIFE);
    let minted = server.mint(&writ).await.unwrap();
    let credential = minted.credential().unwrap();
    // Twice: each gives its place back.
    for _ in 0..2 {
        let mut seen = server.provider.present(&server.target, credential, DEADLINE).await;
        let until = std::time::Instant::now() + DEADLINE;
        while matches!(&seen, Err(ProviderFault::Unreachable(text)) if text.contains("1226")) {
            assert!(std::time::Instant::now() < until, "{seen:?}");
            seen = server.provider.present(&server.target, credential, DEADLINE).await;
        }
        let seen = seen.unwrap().unwrap();
        assert_eq!((seen.principal, seen.audit), (credential.principal.clone(), credential.audit.clone()));
    }
    // An account without a name, for a narrower host, stands before it.
    let mut admin = server.admin().await;
    admin.query_drop("CREATE USER ''@'127.0.0.1' IDENTIFIED BY 'x'").await.unwrap();
    let refused = server.provider.present(&server.target, credential, DEADLINE).await.unwrap_err();
    assert!(matches!(refused, ProviderFault::Misconfigured(_) | ProviderFault::Refused(_)), "{refused:?}");
    admin.query_drop("DROP USER ''@'127.0.0.1'").await.unwrap();
    server.revoke(&writ).await;
    let gone = server.provider.present(&server.target, credential, DEADLINE).await.unwrap_err();
    assert!(gone.detail().contains("1045") || gone.detail().contains("does not know the user"), "{gone:?}");
}
