//! The contract that every provider keeps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use writ_core::credential::Credential;
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::Target;
use writ_core::time::Timestamp;
use writ_core::writ::Writ;
use writ_provider_kit::{Harness, LiveSession};
use writ_provider_ssh::{Authority, CaKey, SshProvider};
use writ_world::sshd::{Login, keygen, split, write};

use crate::world::{World, key};

/// The provider with the broker's part: what was taken back is on the host's list.
struct Listed {
    inner: SshProvider,
    world: Arc<World>,
    ended: Mutex<Vec<WritId>>,
    /// What was minted, by its writ: the host is asked whether it takes it.
    minted: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl std::fmt::Debug for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Provider for Listed {
    fn describe(&self) -> Description {
        self.inner.describe()
    }

    fn mint<'a>(
        &'a self,
        target: &'a Target,
        intended: Intended,
        deadline: Duration,
    ) -> Pending<'a, Result<Minted, ProviderFault>> {
        Box::pin(async move {
            let id = intended.writ().id.to_string();
            let minted = self.inner.mint(target, intended, deadline).await?;
            let secret = minted.credential().unwrap().secret.expose().to_vec();
            self.minted.lock().unwrap().insert(id, secret);
            Ok(minted)
        })
    }

    fn revoke<'a>(
        &'a self,
        target: &'a Target,
        writ: &'a Writ,
        deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        Box::pin(async move {
            let revoked = self.inner.revoke(target, writ, deadline).await?;
            let mut ended = self.ended.lock().unwrap();
            ended.push(writ.id);
            self.world.revoke(&ended);
            Ok(revoked)
        })
    }

    fn probe<'a>(&'a self, target: &'a Target, deadline: Duration) -> Pending<'a, Result<(), ProviderFault>> {
        self.inner.probe(target, deadline)
    }

    fn sweep<'a>(
        &'a self,
        target: &'a Target,
        live: &'a [WritId],
        deadline: Duration,
    ) -> Pending<'a, Result<Swept, ProviderFault>> {
        self.inner.sweep(target, live, deadline)
    }
}

/// A key behind a service that is not there, or says nothing.
#[derive(Debug)]
enum Away {
    Gone,
    Silent,
}

impl CaKey for Away {
    fn public(&self) -> &[u8] {
        &[7; 32]
    }

    fn sign<'a>(&'a self, _: &'a [u8]) -> Pending<'a, Result<Vec<u8>, ProviderFault>> {
        match self {
            Self::Gone => Box::pin(async { Err(ProviderFault::Unreachable("no connection".to_owned())) }),
            Self::Silent => Box::pin(std::future::pending()),
        }
    }
}

struct Host {
    listed: Listed,
    down: SshProvider,
    silent: SshProvider,
}

/// A login is checked once: whether the credential still counts shows at another.
struct Again {
    world: Arc<World>,
    secret: Vec<u8>,
}

impl LiveSession for Again {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async { enters(&self.world, &self.world.user, &self.secret) })
    }
}

fn enters(world: &World, user: &str, secret: &[u8]) -> bool {
    world.runs(&Login::new(user, secret, "echo in")) == Ok("in\n".to_owned())
}

impl Harness for Host {
    fn provider(&self) -> &dyn Provider {
        &self.listed
    }

    fn role(&self) -> Option<String> {
        Some("deployer".to_owned())
    }

    fn login<'a>(&'a self, principal: &'a str, secret: &'a [u8]) -> Pending<'a, Option<Box<dyn LiveSession>>> {
        Box::pin(async move {
            let session = Again { world: Arc::clone(&self.listed.world), secret: secret.to_vec() };
            enters(&self.listed.world, principal, secret).then(|| Box::new(session) as Box<dyn LiveSession>)
        })
    }

    /// Whether the host still takes what was minted for this writ.
    fn knows<'a>(&'a self, writ: &'a str) -> Pending<'a, bool> {
        Box::pin(async move {
            let secret = self.listed.minted.lock().unwrap().get(writ).cloned();
            secret.is_some_and(|secret| enters(&self.listed.world, &self.listed.world.user, &secret))
        })
    }

    fn end_of<'a>(&'a self, _: &'a str) -> Pending<'a, Option<Timestamp>> {
        Box::pin(async { None })
    }

    /// By `ssh-keygen`'s account: `Valid: from 2027-01-15T08:00:00 to 2027-01-15T08:05:00`.
    fn end_of_this<'a>(&'a self, credential: &'a Credential) -> Pending<'a, Option<Timestamp>> {
        Box::pin(async {
            let file = self.listed.world.state.path().join("shown-cert.pub");
            write(&file, split(credential.secret.expose()).unwrap().1).unwrap();
            let said = keygen(&["-L", "-f", &file.to_string_lossy()]).unwrap();
            let valid = said.lines().find(|line| line.contains("Valid: from ")).unwrap();
            format!("{}Z", valid.rsplit(' ').next().unwrap()).parse().ok()
        })
    }

    fn keeps(&self) -> bool {
        false
    }

    fn mark(&self, writ: &Writ, _: &Credential) -> String {
        writ.id.to_string()
    }

    fn down(&self) -> Option<&dyn Provider> {
        Some(&self.down)
    }

    fn silent(&self) -> Option<&dyn Provider> {
        Some(&self.silent)
    }

    fn refused_role(&self) -> Option<String> {
        Some("stranger".to_owned())
    }

    fn canaries(&self) -> Vec<String> {
        let seed = std::fs::read(self.listed.world.state.path().join("ssh-authority-web.key.new")).unwrap();
        vec![seed.iter().map(|byte| format!("{byte:02x}")).collect()]
    }
}

#[tokio::test]
async fn the_contract_holds() {
    let world = Arc::new(World::start());
    let config = world.config(serde_json::json!({ "users": { "deployer": world.user } }));
    let inner = SshProvider::new(&config, world.authority("web")).unwrap();
    let away = |key: Away| {
        let authority = Arc::new(Authority::new(Arc::new(key), &[]).unwrap());
        SshProvider::new(&config, authority).unwrap()
    };
    let (down, silent) = (away(Away::Gone), away(Away::Silent));
    let (ended, minted) = Default::default();
    // The broker's list stands on the host from the first.
    world.revoke(&[]);
    let _ = key(&world.state, "web");
    let host = Host { listed: Listed { inner, world, ended, minted }, down, silent };
    let broken = writ_provider_kit::run(&host).await;
    assert!(broken.is_empty(), "{broken:#?}");
}
