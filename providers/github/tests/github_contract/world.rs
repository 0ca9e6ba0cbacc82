//! An App, its installation at the fake, and the provider that mints by it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use writ_core::proof::Minted;
use writ_core::provider::{Provider as _, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::writ::Writ;
use writ_fakes::github::{App, Github, Installation, Repository};
use writ_provider_github::{GithubConfig, GithubProvider, Tokens};

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const LIFE: Duration = Duration::from_secs(300);
pub(crate) const CLIENT_ID: &str = "Iv23liWritTest000001";
pub(crate) const APP: u64 = 424_242;
pub(crate) const INSTALLATION: u64 = 77;

pub(crate) struct World {
    pub(crate) github: Github,
    pub(crate) state: tempfile::TempDir,
}

impl World {
    pub(crate) fn start() -> Self {
        // As the binary does, for every library that asks the process for its default.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let app = App::new(APP, CLIENT_ID).unwrap();
        let state = tempfile::tempdir().unwrap();
        std::fs::write(state.path().join("app.pem"), app.pem().unwrap()).unwrap();
        Self { github: Github::start(app, installation()).unwrap(), state }
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.state.path().join("app.pem")
    }

    /// Settings that are good, with these changes.
    pub(crate) fn settings(&self, changes: Value) -> Value {
        let mut settings = json!({
            "app": CLIENT_ID, "installation": INSTALLATION, "private_key_file": self.key(), "api": self.github.url(),
            "scopes": {
                "read": { "repositories": ["octo-repo"], "permissions": { "contents": "read" } },
                "release": { "repository_ids": [74, 76], "permissions": { "contents": "write", "issues": "read" } },
            },
            "default_scope": "read",
        });
        settings.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        settings
    }

    pub(crate) fn provider(&self, changes: Value) -> GithubProvider {
        self.provider_with(changes, Arc::default())
    }

    pub(crate) fn provider_with(&self, changes: Value, tokens: Arc<Tokens>) -> GithubProvider {
        let config: GithubConfig = serde_json::from_value(self.settings(changes)).unwrap();
        GithubProvider::new(&config, tokens).unwrap()
    }
}

pub(crate) fn installation() -> Installation {
    let repository = |id, name: &str| Repository { id, name: name.to_owned() };
    let permissions = [("contents", "write"), ("issues", "write"), ("metadata", "read"), ("pull_requests", "read")];
    Installation {
        id: INSTALLATION,
        owner: "octo-org".to_owned(),
        repositories: vec![repository(74, "octo-repo"), repository(75, "other"), repository(76, "docs")],
        permissions: permissions.map(|(name, level)| (name.to_owned(), level.to_owned())).into(),
    }
}

pub(crate) fn target() -> Target {
    let address = Address { host: "api.github.com".to_owned(), port: 443, tls: UpstreamTls::VerifyFull, ca_pem: None };
    let (name, labels) = (TargetName::new("kit").unwrap(), BTreeMap::new());
    Target { name, labels, protocol: Protocol::Github, address, provider: "github".to_owned() }
}

pub(crate) fn writ(scope: Option<&str>) -> Writ {
    let mut writ = writ_provider_kit::writ(None, LIFE);
    writ.obligations.scope = scope.map(str::to_owned);
    writ
}

pub(crate) async fn mint(provider: &GithubProvider, writ: &Writ) -> Result<Minted, ProviderFault> {
    provider.mint(&target(), writ_provider_kit::intended(writ), DEADLINE).await
}

/// What GitHub answers to whoever shows this token.
pub(crate) async fn seen(github: &Github, token: &[u8]) -> Option<Value> {
    let client = reqwest::Client::builder().no_proxy().user_agent("a test").build().unwrap();
    let request = client.get(format!("{}/installation/repositories", github.url()));
    let request = request.header("accept", "application/vnd.github+json");
    let answer = request.bearer_auth(String::from_utf8_lossy(token)).send().await.unwrap();
    if answer.status() != 200 {
        return None;
    }
    Some(serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}
