//! What the documentation says to paste.

use serde_json::{Value, json};
use writ_core::provider::Provider as _;
use writ_fakes::github::{App, Github};
use writ_provider_github::{GithubConfig, GithubProvider};

use crate::world::{DEADLINE, installation, mint, target, writ};

const GUIDE: &str = include_str!("../../../../docs/providers/github.md");

fn settings() -> Value {
    let text = GUIDE.split("\n```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let table: toml::Table = toml::from_str(text).unwrap();
    serde_json::to_value(table).unwrap()["broker"]["target"][0]["provider"]["github"].clone()
}

/// An App and an installation as the guide says to make them.
#[tokio::test]
async fn the_settings_do_what_the_guide_says() {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let mut settings = settings();
    let app = App::new(1, settings["app"].as_str().unwrap()).unwrap();
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), app.pem().unwrap()).unwrap();
    let mut installed = installation();
    installed.id = settings["installation"].as_u64().unwrap();
    installed.permissions.insert("pull_requests".to_owned(), "write".to_owned());
    let github = Github::start(app, installed).unwrap();
    settings["private_key_file"] = json!(key.path());
    settings["api"] = github.url().into();
    let config: GithubConfig = serde_json::from_value(settings).unwrap();
    let provider = GithubProvider::new(&config, std::sync::Arc::default()).unwrap();
    provider.probe(&target(), DEADLINE).await.unwrap();
    for (scope, principal) in [("read", "octo-org/octo-repo"), ("release", "octo-org/docs,octo-org/octo-repo")] {
        let writ = writ(Some(scope));
        let minted = mint(&provider, &writ).await.unwrap();
        assert_eq!(minted.credential().unwrap().principal, principal);
        provider.revoke(&target(), &writ, DEADLINE).await.unwrap();
    }
    assert_eq!(github.living(), 0);
}

#[test]
fn each_setting_stands_in_the_table() {
    let (_, table) = GUIDE.split_once("## Settings").unwrap();
    let mut written: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let said = serde_json::from_value::<GithubConfig>(json!({ "none": 1 })).unwrap_err().to_string();
    let mut known: Vec<&str> = said.split('`').skip(3).step_by(2).collect();
    written.sort_unstable();
    known.sort_unstable();
    assert_eq!(written, known);
}
