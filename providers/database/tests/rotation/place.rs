//! A secret in a file, and what both servers have in common for a rotation.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use writ_core::provider::{Pending, Provider as _, ProviderFault};
use writ_core::rotation::{Reached, Rotation, Turn};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_provider_kit::{self as kit, LiveSession};
use writ_provider_source::PasswordSetter;
use writ_provider_static::{RotationSettings, StaticConfig, StaticProvider};

use crate::documented::FIRST;

pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A real server, with the users that the documentation makes.
pub(crate) trait Database: Sync {
    /// What sets passwords there.
    fn setter(&self) -> Arc<dyn PasswordSetter>;

    /// Logs in as a program would.
    fn login<'a>(&'a self, user: &'a str, password: &'a str) -> Pending<'a, Option<Box<dyn LiveSession>>>;

    /// Runs statements as the admin.
    fn run<'a>(&'a self, statements: &'a str) -> Pending<'a, ()>;

    /// All that the server has written down.
    fn log(&self) -> String;
}

pub(crate) fn address(port: u16, ca_pem: &str) -> Address {
    Address { host: "localhost".to_owned(), port, tls: UpstreamTls::VerifyFull, ca_pem: Some(ca_pem.to_owned()) }
}

pub(crate) fn target() -> Target {
    Target {
        name: TargetName::new("orders").unwrap(),
        labels: std::collections::BTreeMap::new(),
        protocol: Protocol::Postgres,
        address: address(1, ""),
        provider: "static".to_owned(),
    }
}

/// The secret's file, and a provider that rotates it.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    pub(crate) target: Target,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap(), target: target() };
        place.write("app_a", FIRST);
        place
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("secret")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, user: &str, password: &str) {
        let text = format!("{{\"username\":\"{user}\",\"password\":\"{password}\",\"port\":5432}}\n");
        std::fs::write(self.file(), text).unwrap();
    }

    /// User and password, as a program reads them.
    pub(crate) fn read(&self) -> (String, String) {
        let text = std::fs::read_to_string(self.file()).unwrap();
        let secret: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(secret["port"], 5432, "the other fields stay");
        let text = |field: &str| secret[field].as_str().unwrap().to_owned();
        (text("username"), text("password"))
    }

    /// Nothing is left beside the secret, and it is its owner's.
    pub(crate) fn assert_tidy(&self) {
        let names: Vec<_> =
            std::fs::read_dir(self.directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["secret"]);
        assert_eq!(self.file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    pub(crate) fn provider(&self, setter: Arc<dyn PasswordSetter>) -> StaticProvider {
        self.provider_for(setter, ["app_a", "app_b"])
    }

    pub(crate) fn provider_for(&self, setter: Arc<dyn PasswordSetter>, users: [&str; 2]) -> StaticProvider {
        let users = users.map(str::to_owned).to_vec();
        let turns = RotationSettings { users, every: Duration::from_hours(24), setter };
        StaticProvider::new(&config(&self.file()), None, Some(turns)).unwrap()
    }

    pub(crate) async fn begin<'a>(&'a self, provider: &'a StaticProvider) -> Result<Box<dyn Turn + 'a>, ProviderFault> {
        rotation(provider).begin(&self.target, LIMIT).await
    }

    /// What a writ gets.
    pub(crate) async fn minted(&self, provider: &StaticProvider) -> (String, String) {
        let intended = kit::intended(&kit::writ(None, Duration::from_secs(60)));
        let minted = provider.mint(&self.target, intended, LIMIT).await.unwrap();
        let credential = minted.credential().unwrap();
        (credential.principal.clone(), String::from_utf8(credential.secret.expose().to_vec()).unwrap())
    }
}

pub(crate) fn rotation(provider: &StaticProvider) -> &dyn Rotation {
    provider.rotation().unwrap()
}

pub(crate) fn config(file: &Path) -> StaticConfig<(), ()> {
    StaticConfig {
        user: None,
        password_file: Some(file.to_owned()),
        password_env: None,
        source: None,
        field: None,
        user_field: None,
        rotation: Some(()),
    }
}

/// Takes steps up to one that fails, and gives back how many did not.
pub(crate) async fn steps(turn: &mut Box<dyn Turn + '_>) -> (usize, Option<ProviderFault>) {
    for taken in 0..4 {
        match turn.step(LIMIT).await {
            Ok(Reached::Set) => assert_eq!(taken, 0),
            Ok(Reached::Verified) => assert_eq!(taken, 1),
            Ok(Reached::Switched(fingerprint)) => {
                assert_eq!(taken, 2);
                assert!(fingerprint.as_str().starts_with("static:file:/"));
            }
            Err(fault) => return (taken, Some(fault)),
        }
        if taken == 2 {
            return (3, None);
        }
    }
    panic!("a turn has three steps");
}
