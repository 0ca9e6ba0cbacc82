//! The sources of CI systems.

use std::os::unix::fs::PermissionsExt as _;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use serde_json::json;
use writ_client::{Audience, Found, Source};

use super::support::fakes::{self, Fake};
use super::support::programs;
use super::support::{SECRET, asked, checked, environment, now, token, token_for, writ};

fn github(url: &str) -> writ_client::Environment {
    environment(&[("ACTIONS_ID_TOKEN_REQUEST_URL", url), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", SECRET)])
}

#[tokio::test]
async fn github_is_asked_for_the_audience_whatever_is_in_it() {
    let fake = fakes::github().await;
    for audience in ["writ", "https://writ.example/a?b=c&d#e", "a+b%20c"] {
        let audience = Audience::new(audience).unwrap();
        let found = Found::named(Source::GithubActions, github(&format!("{}/token?api-version=2.0", fake.url)));
        let token = found.token(&audience).await.unwrap();
        assert_eq!(token.expose(), token_for(audience.as_str()));
        assert_eq!(token.claims().unwrap().audiences(), [audience.as_str()]);
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
    fake.refused_nothing();
}

#[tokio::test]
async fn github_is_asked_again_where_it_cannot_answer_at_the_moment() {
    let calls = std::sync::atomic::AtomicU32::new(0);
    let fake = Fake::start(move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
        0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        1 => StatusCode::TOO_MANY_REQUESTS.into_response(),
        _ => json!({ "value": token_for("writ") }).to_string().into_response(),
    })
    .await;
    assert_eq!(asked(Source::GithubActions, github(&fake.url)).await.unwrap(), token_for("writ"));
    assert_eq!(fake.asked().len(), 3);
}

#[tokio::test]
async fn what_is_no_answer_of_githubs_is_refused() {
    let elsewhere = fakes::github().await;
    let there = format!("{}/token?api-version=2.0&audience=writ", elsewhere.url);
    type Answer = Box<dyn Fn() -> axum::response::Response + Send + Sync>;
    let answers: [(&str, Answer); 8] = [
        ("refused with status 403", Box::new(|| (StatusCode::FORBIDDEN, SECRET).into_response())),
        (
            "refused with status 302",
            Box::new(move || (StatusCode::FOUND, [(header::LOCATION, there.clone())]).into_response()),
        ),
        ("no JSON", Box::new(|| SECRET.into_response())),
        ("without `value`", Box::new(|| json!({ "token": SECRET }).to_string().into_response())),
        ("gave nothing", Box::new(|| json!({ "value": " " }).to_string().into_response())),
        ("is no token", Box::new(|| json!({ "value": format!("{SECRET}\n{SECRET}") }).to_string().into_response())),
        ("more than", Box::new(|| "x".repeat(300 << 10).into_response())),
        (
            "is for `other`, not for `writ`",
            Box::new(|| json!({ "value": token_for("other") }).to_string().into_response()),
        ),
    ];
    for (words, answer) in answers {
        let fake = Fake::start(move |_| answer()).await;
        let fault = asked(Source::GithubActions, github(&fake.url)).await.unwrap_err();
        assert!(fault.what().contains(words), "{words}: {fault}");
    }
    assert!(elsewhere.asked().is_empty(), "a redirect was followed");
}

#[tokio::test]
async fn the_request_token_goes_nowhere_in_the_clear() {
    for url in ["http://192.0.2.1/token", "http://metadata.example/token", "ftp://127.0.0.1/", "token"] {
        let fault = asked(Source::GithubActions, github(url)).await.unwrap_err();
        assert!(fault.what().contains("is no https URL") || fault.what().contains("is no URL"), "{fault}");
    }
}

#[tokio::test]
async fn gitlabs_token_is_taken_from_the_variable_that_is_named() {
    let (good, other) = (token_for("writ"), token_for("other"));
    let usual = environment(&[("WRIT_ID_TOKEN", &good)]);
    assert_eq!(asked(Source::Gitlab, usual).await.unwrap(), good);
    let named = [("WRIT_ID_TOKEN_VARIABLE", "VAULT_ID_TOKEN"), ("VAULT_ID_TOKEN", &good), ("WRIT_ID_TOKEN", &other)];
    let found = Found::named(Source::Gitlab, environment(&named));
    assert_eq!(found.token(&writ()).await.unwrap().expose(), good);
    assert_eq!(found.variables(), ["VAULT_ID_TOKEN"]);

    let fault = asked(Source::Gitlab, environment(&[("WRIT_ID_TOKEN", &other)])).await.unwrap_err();
    assert_eq!(fault.what(), "the token that `WRIT_ID_TOKEN` gave is for `other`, not for `writ`");
    assert!(fault.remedy().unwrap().contains("id_tokens: { WRIT_ID_TOKEN: { aud: writ } }"), "{fault:?}");
    let old = token(&json!({ "aud": "writ", "exp": now() - 3600 }));
    let fault = asked(Source::Gitlab, environment(&[("WRIT_ID_TOKEN", &old)])).await.unwrap_err();
    assert!(fault.what().contains("ended 36"), "{fault}");
    let fault = asked(Source::Gitlab, environment(&[("WRIT_ID_TOKEN", SECRET)])).await.unwrap_err();
    assert!(fault.what().contains("is no JWT"), "{fault}");
    let misplaced = environment(&[("GITLAB_CI", "true"), ("WRIT_ID_TOKEN_VARIABLE", &good)]);
    assert_eq!(
        asked(Source::Gitlab, misplaced).await.unwrap_err().what(),
        "`WRIT_ID_TOKEN_VARIABLE` is no variable's name"
    );
}

#[tokio::test]
async fn bitbucket_and_terraform_put_their_tokens_into_variables() {
    let (good, other) = (token_for("writ"), token_for("aws.workload.identity"));
    assert_eq!(asked(Source::Bitbucket, environment(&[("BITBUCKET_STEP_OIDC_TOKEN", &good)])).await.unwrap(), good);
    let fault = asked(Source::Bitbucket, environment(&[("BITBUCKET_STEP_OIDC_TOKEN", &other)])).await.unwrap_err();
    assert!(fault.remedy().unwrap().contains("oidc: { audiences: [writ] }"), "{fault:?}");

    let only = environment(&[("TFC_WORKLOAD_IDENTITY_TOKEN", &good)]);
    assert_eq!(asked(Source::TerraformCloud, only).await.unwrap(), good);
    let both = environment(&[("TFC_WORKLOAD_IDENTITY_TOKEN", &other), ("TFC_WORKLOAD_IDENTITY_TOKEN_WRIT", &good)]);
    assert_eq!(asked(Source::TerraformCloud, both).await.unwrap(), good);
    let fault =
        asked(Source::TerraformCloud, environment(&[("TFC_WORKLOAD_IDENTITY_TOKEN", &other)])).await.unwrap_err();
    assert!(fault.remedy().unwrap().contains("`TFC_WORKLOAD_IDENTITY_AUDIENCE_WRIT`"), "{fault:?}");
}

#[tokio::test]
async fn buildkites_agent_is_asked_with_the_ids_that_are_not_given_again() {
    let directory = tempfile::tempdir().unwrap();
    let words = ["oidc", "request-token", "--audience", "writ", "--claim", "organization_id", "--claim", "pipeline_id"];
    programs::strict(directory.path(), "buildkite-agent", &words, &token_for("writ"));
    let path = directory.path().display().to_string();
    let environment = || environment(&[("PATH", &path), ("BUILDKITE", "true")]);
    assert_eq!(asked(Source::Buildkite, environment()).await.unwrap(), token_for("writ"));
    let other = Found::named(Source::Buildkite, environment());
    let fault = checked(other.token(&Audience::new("--audience").unwrap()).await.unwrap_err());
    assert!(fault.what().contains("`buildkite-agent` gave no token: exit status: 65"), "{fault}");
}

#[tokio::test]
async fn circleci_is_asked_unless_the_job_has_a_token_for_the_audience() {
    let directory = tempfile::tempdir().unwrap();
    programs::strict(
        directory.path(),
        "circleci",
        &["run", "oidc", "get", "--claims", r#"{"aud":"writ"}"#],
        &token_for("writ"),
    );
    let path = directory.path().display().to_string();
    let organization = token_for("00000000-0000-0000-0000-000000000000");
    let custom = environment(&[("PATH", &path), ("CIRCLE_OIDC_TOKEN_V2", &organization)]);
    assert_eq!(asked(Source::Circleci, custom).await.unwrap(), token_for("writ"));
    let own = token_for("writ");
    let left = environment(&[("PATH", "/nonexistent"), ("CIRCLE_OIDC_TOKEN_V2", &own)]);
    assert_eq!(asked(Source::Circleci, left).await.unwrap(), own);
}

#[tokio::test]
async fn a_program_that_misbehaves_gives_no_token() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let ask = async |name: &str| {
        let found = Found::program(at.join(name).display().to_string(), vec!["{audience}".to_owned()]);
        found.token(&writ()).await.map(|token| token.expose().to_owned()).map_err(checked)
    };
    programs::write(at, "audience", "printf 'opaque-for-%s' \"$1\"");
    assert_eq!(ask("audience").await.unwrap(), "opaque-for-writ");
    programs::write(at, "shell", "printf '%s' \"$#\"");
    let found = Found::program(at.join("shell").display().to_string(), vec!["$(id); `id`".to_owned()]);
    assert_eq!(found.token(&writ()).await.unwrap().expose(), "1", "the argument is one word, and no shell's");
    programs::write(at, "fails", &format!("echo {SECRET}; exit 3"));
    assert!(ask("fails").await.unwrap_err().what().ends_with("gave no token: exit status: 3"));
    programs::write(at, "silent", ":");
    assert!(ask("silent").await.unwrap_err().what().contains("gave nothing where a token should be"));
    programs::write(at, "loud", &format!("while echo {SECRET} 2>/dev/null; do :; done; exit 0"));
    assert!(ask("loud").await.unwrap_err().what().ends_with("is no token: it is longer than 65536 bytes"));
    std::fs::set_permissions(at.join("silent"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(ask("silent").await.unwrap_err().what().contains("cannot be run"));
}
