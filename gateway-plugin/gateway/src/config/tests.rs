use serde_json::json;

use super::*;

fn oauth(issuer: &str, scope: &str) -> OAuth {
    OAuth { issuer: issuer.to_owned(), scope: scope.to_owned() }
}

fn listener(mut more: serde_json::Value) -> Listener {
    more["listen"] = "127.0.0.1:0".into();
    serde_json::from_value(more).unwrap()
}

#[test]
fn the_discovery_document_is_the_issuers_or_the_one_that_is_named() {
    for (issuer, url) in [
        ("https://login.test", "https://login.test/.well-known/openid-configuration"),
        ("https://login.test/realm/", "https://login.test/realm/.well-known/openid-configuration"),
        ("https://login.test/.well-known/oauth-authorization-server/realm", ""),
    ] {
        let expected = if url.is_empty() { issuer } else { url };
        assert_eq!(oauth(issuer, "openid").discovery_url(), expected);
    }
}

#[test]
fn an_issuer_is_known_by_its_name_or_by_its_document() {
    let well_known = "https://login.test/.well-known";
    for (named, issuer, same) in [
        ("https://login.test", "https://login.test".to_owned(), true),
        ("https://login.test/", "https://login.test".to_owned(), false),
        ("https://login.test", format!("{well_known}/openid-configuration"), true),
        ("https://login.test/", format!("{well_known}/openid-configuration"), true),
        ("https://login.test/a/b", "https://login.test/a/b/.well-known/openid-configuration".to_owned(), true),
        ("https://login.test/a/b", format!("{well_known}/oauth-authorization-server/a/b"), true),
        ("https://login.test/a", format!("{well_known}/oauth-authorization-server/b"), false),
        ("https://login.test/a", format!("{well_known}/openid-configuration"), false),
        ("https://else.test", format!("{well_known}/openid-configuration"), false),
    ] {
        assert_eq!(oauth(&issuer, "openid").is_of(named), same, "{issuer} {named}");
    }
}

#[test]
fn an_issuer_that_a_client_should_not_be_sent_to_is_a_mistake() {
    for fine in [
        "https://login.test",
        "https://login.test:8443/a",
        "http://127.0.0.1:9",
        "http://[::1]:9/x",
        "http://localhost",
    ] {
        assert_eq!(oauth(fine, "openid profile").mistake(), None, "{fine}");
    }
    for (bad, words) in [
        ("login.test", "issuer's URL"),
        ("ftp://login.test", "issuer's URL"),
        ("https://", "host"),
        ("https:///path", "host"),
        ("https://login.test?x=1", "host"),
        ("https://login.test/#x", "host"),
        ("https://ada@login.test", "host"),
        ("https://login.test/a b", "host"),
        ("http://login.test", "loopback"),
        ("http://127.0.0.1.login.test", "loopback"),
        ("http://localhost.login.test:80", "loopback"),
    ] {
        let problem = oauth(bad, "openid").mistake();
        assert!(problem.is_some_and(|problem| problem.contains(words)), "{bad}: {problem:?}");
    }
    for bad in ["", " ", "open\"id", "a\\b", "a\nb", "\u{e9}"] {
        assert!(
            oauth("https://login.test", bad).mistake().is_some_and(|problem| problem.contains("scopes")),
            "{bad:?}"
        );
    }
}

#[test]
fn a_listener_for_oauthbearer_says_where_tokens_are_had() {
    let (setting, problem) = listener(json!({"auth": "oauthbearer"})).mistake().unwrap();
    assert!(setting == "gateway.listeners.auth" && problem.contains("add `oauth = "), "{problem}");
    let table = json!({"issuer": "https://login.test", "scope": "openid"});
    assert_eq!(listener(json!({"auth": "oauthbearer", "oauth": table})).mistake(), None);
    assert_eq!(listener(json!({"oauth": table})).mistake(), None);
    assert_eq!(listener(json!({})).mistake(), None);
    assert!(listener(json!({"oauth": {"issuer": "http://login.test", "scope": "x"}})).mistake().is_some());
}
