//! What goes to GitHub, byte by byte, and what is made of its answers.

use serde_json::{Value, json};
use writ_core::credential::{CredentialKind, Revocation};
use writ_core::provider::Provider as _;

use crate::world::{CLIENT_ID, DEADLINE, World, mint, seen, target, writ};

#[tokio::test]
async fn a_token_is_asked_for_as_the_description_says() {
    let world = World::start();
    let provider = world.provider(json!({}));
    for (scope, body) in [
        (None, r#"{"repositories":["octo-repo"],"permissions":{"contents":"read"}}"#),
        (Some("release"), r#"{"repository_ids":[74,76],"permissions":{"contents":"write","issues":"read"}}"#),
    ] {
        mint(&provider, &writ(scope)).await.unwrap();
        let request = world.github.seen().pop().unwrap();
        assert_eq!((request.what.as_str(), request.body.as_str()), ("POST /app/installations/77/access_tokens", body));
        let header = |name: &str| request.headers[name].as_str();
        assert_eq!(header("accept"), "application/vnd.github+json");
        assert_eq!(header("x-github-api-version"), "2022-11-28");
        assert_eq!(header("user-agent"), concat!("writ/", env!("CARGO_PKG_VERSION")));
        assert_eq!(header("content-type"), "application/json");
        let named: Vec<&str> = request.headers.keys().map(String::as_str).collect();
        assert_eq!(named, ["accept", "content-length", "content-type", "host", "user-agent", "x-github-api-version"]);
    }
}

#[tokio::test]
async fn what_is_minted_is_what_the_scope_names() {
    let world = World::start();
    let provider = world.provider(json!({}));
    for (scope, principal, permissions) in [
        (None, "octo-org/octo-repo", json!({ "contents": "read", "metadata": "read" })),
        (
            Some("release"),
            "octo-org/docs,octo-org/octo-repo",
            json!({ "contents": "write", "issues": "read", "metadata": "read" }),
        ),
    ] {
        let writ = writ(scope);
        let minted = mint(&provider, &writ).await.unwrap();
        let credential = minted.credential().unwrap();
        assert_eq!((credential.kind, credential.principal.as_str()), (CredentialKind::GithubToken, principal));
        assert_eq!(credential.revocation, Revocation::Individual);
        assert_eq!(credential.fingerprint.as_str(), format!("hashed_token:{}", credential.audit));
        let shown = provider.present(&target(), credential, DEADLINE).await.unwrap().unwrap();
        assert_eq!((shown.principal, shown.audit), (credential.principal.clone(), credential.audit.clone()));
        assert!(world.github.knows(&credential.audit), "the audit's name for it is GitHub's");
        assert_eq!(world.github.permissions_of(&credential.audit), serde_json::from_value(permissions).ok());
    }
}

/// Tokens of the format that carries its own facts are longer than forty characters.
#[tokio::test]
async fn a_long_token_is_one_too() {
    let world = World::start();
    world.github.give_long_tokens();
    let provider = world.provider(json!({ "app": "424242" }));
    let writ = writ(None);
    let minted = mint(&provider, &writ).await.unwrap();
    let credential = minted.credential().unwrap();
    assert!(credential.secret.expose().len() > 200 && seen(&world.github, credential.secret.expose()).await.is_some());
    provider.revoke(&target(), &writ, DEADLINE).await.unwrap();
    assert_eq!(world.github.living(), 0);
}

#[tokio::test]
async fn a_jwt_serves_for_some_minutes_and_a_new_key_is_taken_up() {
    let world = World::start();
    let provider = world.provider(json!({}));
    for _ in 0..3 {
        mint(&provider, &writ(None)).await.unwrap();
    }
    assert_eq!(world.github.jwts(), 1, "one signature for all three");
    let next = writ_fakes::github::App::new(crate::world::APP, CLIENT_ID).unwrap();
    std::fs::write(world.key(), next.pem().unwrap()).unwrap();
    world.github.rekey(next);
    mint(&provider, &writ(None)).await.unwrap();
    assert_eq!(world.github.jwts(), 2, "refused once, and signed anew by the key that is there now");
}

#[tokio::test]
async fn a_probe_looks_at_the_installation_and_makes_nothing() {
    let world = World::start();
    let provider = world.provider(json!({}));
    provider.probe(&target(), DEADLINE).await.unwrap();
    let asked: Vec<String> = world.github.seen().into_iter().map(|request| request.what).collect();
    assert_eq!((asked, world.github.living()), (vec!["GET /app/installations/77".to_owned()], 0));
    let scopes = |permissions: Value| json!({ "scopes": { "read": { "repositories": ["octo-repo"], "permissions": permissions } } });
    for lacks in [json!({ "administration": "read" }), json!({ "pull_requests": "write" })] {
        let fault = world.provider(scopes(lacks)).probe(&target(), DEADLINE).await.unwrap_err();
        assert!(fault.detail().contains("the scope `read` needs the permission"), "{fault:?}");
    }
}

/// The other addresses: GitHub Enterprise Server's has a path.
#[tokio::test]
async fn a_path_of_the_address_stays() {
    let world = World::start();
    let provider = world.provider(json!({ "api": format!("{}/api/v3/", world.github.url()) }));
    mint(&provider, &writ(None)).await.unwrap_err();
    assert_eq!(world.github.seen().pop().unwrap().what, "POST /api/v3/app/installations/77/access_tokens");
}
