//! One host with its authority, and the provider that mints for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use writ_broker::keys::{self, FileSigner, SignFault, Signer as _};
use writ_core::credential::Credential;
use writ_core::id::WritId;
use writ_core::proof::Minted;
use writ_core::provider::{Pending, Provider as _, ProviderFault};
use writ_core::ssh::SshAuthority as _;
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::{Clock, Timestamp, after};
use writ_core::writ::Writ;
use writ_provider_ssh::{Authority, CaKey, SshConfig, SshProvider};
use writ_world::sshd::{Login, Sshd, account};

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
pub(crate) const LIFE: Duration = Duration::from_secs(300);

/// A key as the broker keeps it.
#[derive(Debug)]
pub(crate) struct Kept(pub(crate) FileSigner);

impl CaKey for Kept {
    fn public(&self) -> &[u8] {
        self.0.public()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> Pending<'a, Result<Vec<u8>, ProviderFault>> {
        let unsigned = |fault: SignFault| ProviderFault::Unreachable(fault.to_string());
        Box::pin(async move { self.0.sign(message).await.map_err(unsigned) })
    }
}

/// A clock that stands `by` seconds from the machine's.
pub(crate) struct Off(pub(crate) i64);

impl Clock for Off {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(Timestamp::now().as_second() + self.0).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Keys, the host that trusts one of them, and its account.
pub(crate) struct World {
    pub(crate) state: tempfile::TempDir,
    pub(crate) host: Sshd,
    pub(crate) user: String,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With more in the server's configuration.
    pub(crate) fn with(more: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let trusted = authority(&state, "web").trusted();
        Self { state, host: Sshd::start(&trusted, more).unwrap(), user: account().unwrap() }
    }

    pub(crate) fn authority(&self, name: &str) -> Arc<Authority> {
        authority(&self.state, name)
    }

    /// The provider with these settings beside the account.
    pub(crate) fn provider(&self, settings: Value) -> SshProvider {
        SshProvider::new(&self.config(settings), self.authority("web")).unwrap()
    }

    pub(crate) fn config(&self, settings: Value) -> SshConfig {
        let mut all = json!({ "user": self.user });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    /// Whether the host lets the credential in.
    pub(crate) fn lets_in(&self, credential: &Credential) -> bool {
        self.runs(&Login::new(&self.user, credential.secret.expose(), "echo let in")) == Ok("let in\n".to_owned())
    }

    /// What the host answered, or what the client said instead.
    pub(crate) fn runs(&self, login: &Login<'_>) -> Result<String, String> {
        let output = self.host.login(login).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Puts the broker's list of these writs on the host.
    pub(crate) fn revoke(&self, ended: &[WritId]) {
        self.host.revoke(&list(&self.authority("web"), ended)).unwrap();
    }
}

/// The list of an authority's own, now.
pub(crate) fn list(authority: &Authority, ended: &[WritId]) -> Vec<u8> {
    let keys: Vec<_> = std::iter::once(authority.key()).chain(authority.others()).collect();
    authority.revocation_list(&keys, ended, Timestamp::now())
}

fn authority(state: &tempfile::TempDir, name: &str) -> Arc<Authority> {
    Arc::new(Authority::new(Arc::new(key(state, name)), &[]).unwrap())
}

pub(crate) fn key(state: &tempfile::TempDir, name: &str) -> Kept {
    let name = TargetName::new(name).unwrap();
    Kept(keys::ssh_authority(state.path(), &name, &mut Vec::new()).unwrap())
}

pub(crate) fn target() -> Target {
    let address = Address { host: "web.test".to_owned(), port: 22, tls: UpstreamTls::VerifyFull, ca_pem: None };
    let name = TargetName::new("web").unwrap();
    Target { name, labels: BTreeMap::new(), protocol: Protocol::Ssh, address, provider: "ssh".to_owned() }
}

pub(crate) async fn mint(provider: &SshProvider, writ: &Writ) -> Result<Minted, ProviderFault> {
    provider.mint(&target(), writ_provider_kit::intended(writ), DEADLINE).await
}

/// What is minted for a fresh writ, with it.
pub(crate) async fn minted(provider: &SshProvider) -> (Writ, Minted) {
    minted_as(provider, None, None).await
}

pub(crate) async fn minted_as(provider: &SshProvider, role: Option<&str>, scope: Option<&str>) -> (Writ, Minted) {
    let mut writ = writ_provider_kit::writ(role.map(str::to_owned), LIFE);
    writ.obligations.scope = scope.map(str::to_owned);
    let minted = mint(provider, &writ).await.unwrap();
    (writ, minted)
}

/// A writ that is opened `by` seconds from now.
pub(crate) fn writ_off(by: i64) -> Writ {
    let mut writ = writ_provider_kit::writ(None, LIFE);
    writ.opened = Timestamp::from_second(writ.opened.as_second() + by).unwrap();
    writ.expires = after(writ.opened, LIFE.as_secs());
    writ
}

pub(crate) fn secret(minted: &Minted) -> &[u8] {
    minted.credential().unwrap().secret.expose()
}
