use serde_json::{Value, json};
use writ_core::time::Timestamp;

use crate::GithubConfig;
use crate::config::Scope;
use crate::grant::{Answer, Asked};

fn settings(changes: Value) -> Value {
    let mut settings = json!({
        "app": "Iv23liExample0000001", "installation": 1, "private_key_file": "/etc/writ/app.pem",
        "scopes": { "read": { "repositories": ["one"], "permissions": { "contents": "read" } } },
    });
    settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    settings
}

fn refusal(changes: Value) -> String {
    match serde_json::from_value::<GithubConfig>(settings(changes)) {
        Ok(config) => config.validate().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_mistake_says_what_to_write() {
    let scope = |scope: Value| json!({ "scopes": { "x": scope } });
    let contents = json!({ "contents": "read" });
    for (changes, words) in [
        (json!({ "app": "" }), "write the App's client id"),
        (json!({ "app": "my app" }), "`app` is `my app`"),
        (json!({ "installation": 0 }), "`installation` is 0"),
        (json!({ "private_key_file": null }), "no private key: write `private_key_file` or `private_key_env`"),
        (json!({ "private_key_env": "KEY" }), "both `private_key_file` and `private_key_env`"),
        (json!({ "scopes": {} }), "no scope: write `scopes`"),
        (json!({ "default_scope": "write" }), "`default_scope` names `write`"),
        (json!({ "call_timeout_ms": 99 }), "write a number from 100 to 60000"),
        (json!({ "api": "http://api.github.com" }), "write `https://api.github.com`"),
        (json!({ "api": "https://token@api.github.com" }), "is no address of an API"),
        (json!({ "api": "https://api.github.com/?x" }), "is no address of an API"),
        (scope(json!({ "permissions": contents })), "it names no repository, which would be all of them"),
        (scope(json!({ "repositories": ["one"], "permissions": {} })), "it names no permission, which would be all"),
        (scope(json!({ "repositories": ["one"] })), "missing field `permissions`"),
        (
            scope(json!({ "repositories": ["one"], "repository_ids": [1], "permissions": contents })),
            "write one of the two",
        ),
        (scope(json!({ "repositories": ["octo/one"], "permissions": contents })), "without its owner's"),
        (scope(json!({ "repositories": ["*"], "permissions": contents })), "`*` is no repository's name"),
        (scope(json!({ "repositories": ["one", "ONE"], "permissions": contents })), "names a repository twice"),
        (scope(json!({ "repository_ids": [1, 1], "permissions": contents })), "names a repository twice"),
        (
            scope(json!({ "repository_ids": (1..=51).collect::<Vec<u64>>(), "permissions": contents })),
            "write 50 at most",
        ),
        (scope(json!({ "repositories": ["one"], "permissions": { "pull-requests": "read" } })), "as `pull_requests`"),
        (scope(json!({ "repositories": ["one"], "permissions": { "contents": "none" } })), "unknown variant `none`"),
        (json!({ "token": "x" }), "unknown field `token`"),
    ] {
        let said = refusal(changes.clone());
        assert!(said.contains(words), "{changes}: {said}");
    }
    for api in ["https://ghe.example/api/v3/", "https://api.octo.ghe.com", "http://127.0.0.1:8080"] {
        let config: GithubConfig = serde_json::from_value(settings(json!({ "api": api }))).unwrap();
        config.validate().unwrap();
        assert_eq!(config.base().unwrap(), api.trim_end_matches('/'));
    }
}

fn scope(scope: Value) -> Scope {
    serde_json::from_value(scope).unwrap()
}

fn answer(changes: Value) -> Answer {
    let end = Timestamp::from_second(1_800_003_600).unwrap();
    let mut answer = json!({
        "token": "ghs_0123456789abcdef0123456789abcdef0123", "expires_at": end.to_string(),
        "permissions": { "contents": "read", "metadata": "read" }, "repository_selection": "selected",
        "repositories": [{ "id": 7, "name": "one", "full_name": "octo/one", "private": true }], "has_more": 1,
    });
    answer.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(answer).unwrap()
}

/// An answer is held against the scope in every part.
#[test]
fn only_what_was_asked_is_taken() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let read = scope(json!({ "repositories": ["One"], "permissions": { "contents": "read" } }));
    let granted = answer(json!({})).granted(&read, now).unwrap();
    assert_eq!((granted.repositories.as_str(), granted.expires.as_second()), ("octo/one", 1_800_003_600));
    let one = json!({ "id": 7, "name": "one", "full_name": "octo/one" });
    for (changes, words) in [
        (json!({ "permissions": { "contents": "write", "metadata": "read" } }), "`contents: write`"),
        (json!({ "permissions": { "contents": "read", "metadata": "write" } }), "`metadata: write`"),
        (json!({ "permissions": { "contents": "read", "issues": "read" } }), "`issues: read`"),
        (json!({ "permissions": { "contents": "all" } }), "`contents: all`"),
        (json!({ "permissions": { "metadata": "read" } }), "lacks the permission `contents`"),
        (json!({ "permissions": {} }), "lacks the permission `contents`"),
        (json!({ "repository_selection": "all" }), "not for selected repositories"),
        (json!({ "repository_selection": null }), "not for selected repositories"),
        (json!({ "repositories": [] }), "other repositories"),
        (json!({ "repositories": [one, { "id": 8, "name": "two", "full_name": "octo/two" }] }), "other repositories"),
        (json!({ "repositories": [{ "id": 7, "name": "two", "full_name": "octo/two" }] }), "other repositories"),
        (json!({ "repositories": [{ "id": 7, "name": "one", "full_name": "octo/two" }] }), "other repositories"),
        (json!({ "repositories": [one, one] }), "other repositories"),
        (json!({ "expires_at": "2027-01-15T08:00:00Z" }), "from where it should be"),
        (json!({ "expires_at": "2037-01-15T08:00:00Z" }), "from where it should be"),
    ] {
        let problem = answer(changes.clone()).granted(&read, now).err();
        let problem = problem.unwrap_or_else(|| panic!("{changes} was taken"));
        assert!(problem.contains(words), "{changes}: {problem}");
    }
    let by_number = scope(json!({ "repository_ids": [7], "permissions": { "contents": "read" } }));
    assert!(answer(json!({})).granted(&by_number, now).is_ok());
    let another = json!({ "repositories": [{ "id": 9, "name": "one", "full_name": "octo/one" }] });
    assert!(answer(another).granted(&by_number, now).is_err(), "the name alone is not enough");
    let metadata = scope(json!({ "repositories": ["one"], "permissions": { "metadata": "read" } }));
    assert!(answer(json!({ "permissions": { "metadata": "read" } })).granted(&metadata, now).is_ok());
}

#[test]
fn a_token_that_no_header_can_hold_is_none() {
    for token in ["", "short", "ghs_0123456789abcdef 0123456789", "ghs_0123456789abcdef\n0123456789"] {
        assert!(answer(json!({ "token": token })).token().is_none(), "{token:?}");
    }
    assert!(answer(json!({})).token().is_some());
}

#[test]
fn nothing_is_asked_for_that_would_be_everything() {
    let read = scope(json!({ "repositories": ["one"], "permissions": { "contents": "read" } }));
    let text = serde_json::to_string(&Asked::of(&read)).unwrap();
    assert_eq!(text, r#"{"repositories":["one"],"permissions":{"contents":"read"}}"#);
}
