//! Near misses: each is a good request, or a good answer, with one thing changed.

use serde_json::{Value, json};
use writ_core::provider::{Provider as _, ProviderFault};
use writ_fakes::github::{App, Trouble};

use crate::world::{CLIENT_ID, DEADLINE, World, mint, target, writ};

async fn refusal(world: &World, changes: Value) -> ProviderFault {
    let provider = world.provider(changes.clone());
    let fault = mint(&provider, &writ(None)).await.err();
    let fault = fault.unwrap_or_else(|| panic!("{changes} got a token"));
    assert_eq!(world.github.living(), 0, "{changes} left a token");
    fault
}

#[tokio::test]
async fn what_github_does_not_grant_is_refused_with_what_to_correct() {
    let world = World::start();
    let stranger = world.state.path().join("stranger.pem");
    std::fs::write(&stranger, App::new(1, CLIENT_ID).unwrap().pem().unwrap()).unwrap();
    let scope = |repositories: Value, permissions: Value| json!({ "scopes": { "read": { "repositories": repositories, "permissions": permissions } } });
    let ids = json!({ "scopes": { "read": { "repository_ids": [73], "permissions": { "contents": "read" } } } });
    for (changes, words) in [
        (json!({ "app": "Iv23liWritTest000002" }), "the App has no installation"),
        (json!({ "app": "424243" }), "the App has no installation"),
        (json!({ "private_key_file": stranger }), "GitHub knows no App `Iv23liWritTest000001` with this private key"),
        (json!({ "installation": 78 }), "the App has no installation 78"),
        (scope(json!(["octo-repo2"]), json!({ "contents": "read" })), "at least one repository that does not exist"),
        (scope(json!(["octo-repo", "secret"]), json!({ "contents": "read" })), "at least one repository"),
        (ids, "at least one repository"),
        (scope(json!(["octo-repo"]), json!({ "administration": "read" })), "not granted to this installation"),
        (scope(json!(["octo-repo"]), json!({ "pull_requests": "write" })), "not granted to this installation"),
        (scope(json!(["octo-repo"]), json!({ "contents": "admin" })), "Invalid request"),
        (scope(json!(["octo-repo"]), json!({ "content": "read" })), "Invalid request"),
    ] {
        let fault = refusal(&world, changes.clone()).await;
        assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains(words)), "{changes}: {fault:?}");
    }
}

/// A token that can do more than was asked is of no use to anybody: it is taken back before anybody has it.
#[tokio::test]
async fn an_answer_that_grants_more_is_refused_and_taken_back() {
    let world = World::start();
    for (trouble, words) in [
        (Trouble::MorePermissions, "`administration: write`, which was not asked for"),
        (Trouble::MoreRepositories, "for other repositories"),
        (Trouble::AllRepositories, "not for selected repositories alone"),
        (Trouble::FarExpiry, "from where it should be"),
    ] {
        world.github.trouble(Some(trouble));
        let fault = refusal(&world, json!({})).await;
        assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains(words)), "{trouble:?}: {fault:?}");
        assert!(!fault.detail().contains("could not be taken back"), "{fault:?}");
        assert!(world.github.seen().iter().any(|request| request.what == "DELETE /installation/token"));
    }
}

#[tokio::test]
async fn limits_and_suspensions_are_called_by_their_names() {
    let world = World::start();
    for (trouble, unreachable, words) in [
        (Trouble::Throttled, true, "it takes no more for 60 s: You have exceeded a secondary rate limit"),
        (Trouble::UsedUp, true, "API rate limit exceeded"),
        (Trouble::ServerError, true, "it failed: Server Error"),
        (Trouble::Suspended, false, "This installation has been suspended"),
        (Trouble::ClockAhead, false, "600 s apart"),
        (Trouble::ClockBehind, false, "600 s apart"),
    ] {
        world.github.trouble(Some(trouble));
        let asked = world.github.seen().len();
        let fault = refusal(&world, json!({})).await;
        assert_eq!(matches!(fault, ProviderFault::Unreachable(_)), unreachable, "{trouble:?}: {fault:?}");
        assert!(fault.detail().contains(words), "{trouble:?}: {fault:?}");
        let again = world.github.seen().len() - asked;
        assert!(again == 1 || (again == 2 && !unreachable), "{trouble:?}: asked {again} times");
    }
    world.github.trouble(Some(Trouble::Suspended));
    let fault = world.provider(json!({})).probe(&target(), DEADLINE).await.unwrap_err();
    assert!(fault.detail().contains("is suspended: unsuspend it"), "{fault:?}");
}

#[tokio::test]
async fn a_file_that_holds_no_key_is_named_and_not_shown() {
    let world = World::start();
    let file = world.state.path().join("no-key.pem");
    let whole = std::fs::read_to_string(world.key()).unwrap();
    for text in ["canary", &whole.replace("RSA PRIVATE", "PUBLIC"), whole.get(..whole.len() / 2).unwrap()] {
        std::fs::write(&file, text).unwrap();
        let provider = world.provider(json!({ "private_key_file": file }));
        for fault in
            [mint(&provider, &writ(None)).await.unwrap_err(), provider.probe(&target(), DEADLINE).await.unwrap_err()]
        {
            let ProviderFault::Misconfigured(said) = &fault else { panic!("{fault:?}") };
            assert!(said.contains("no-key.pem` holds no RSA private key in PEM") && !said.contains("canary"), "{said}");
        }
    }
    std::fs::remove_file(&file).unwrap();
    let settings = world.settings(json!({ "private_key_file": file }));
    let config: writ_provider_github::GithubConfig = serde_json::from_value(settings).unwrap();
    let fault = writ_provider_github::GithubProvider::new(&config, Default::default()).unwrap_err();
    assert!(fault.to_string().contains("cannot read"), "{fault}");
    assert!(world.github.seen().is_empty());
}

#[tokio::test]
async fn what_policy_names_and_nobody_knows_gets_nothing() {
    let world = World::start();
    let provider = world.provider(json!({ "default_scope": null }));
    for (scope, role, words) in [
        (None, None, "write `@scope` in the policy"),
        (Some("write"), None, "the provider knows `read`, `release`"),
        (Some("read"), Some("admin"), "GitHub has none"),
    ] {
        let mut writ = writ(scope);
        writ.obligations.role = role.map(str::to_owned);
        let fault = mint(&provider, &writ).await.unwrap_err();
        assert!(fault.detail().contains(words), "{fault:?}");
    }
    assert!(world.github.seen().is_empty(), "GitHub was not asked");
}
