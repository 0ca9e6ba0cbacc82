//! The contract that every provider keeps.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use writ_core::credential::Credential;
use writ_core::id::WritId;
use writ_core::proof::{Intended, Minted};
use writ_core::provider::{Description, Pending, Provider, ProviderFault, Revoked, Swept};
use writ_core::target::Target;
use writ_core::time::Timestamp;
use writ_core::writ::Writ;
use writ_fakes::dead::Silent;
use writ_fakes::github::Trouble as At;
use writ_provider_github::GithubProvider;
use writ_provider_kit::{Harness, LiveSession, Trouble};
use writ_world::postgres::free_port;

use crate::world::{World, seen};

/// The provider with the ledger's part: which token a writ got, by the name that GitHub's audit has for it.
struct Noted {
    inner: GithubProvider,
    audits: Mutex<BTreeMap<String, String>>,
}

impl std::fmt::Debug for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Provider for Noted {
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
            self.audits.lock().unwrap().insert(id, minted.credential().unwrap().audit.clone());
            Ok(minted)
        })
    }

    fn revoke<'a>(
        &'a self,
        target: &'a Target,
        writ: &'a Writ,
        deadline: Duration,
    ) -> Pending<'a, Result<Revoked, ProviderFault>> {
        self.inner.revoke(target, writ, deadline)
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

struct Kit {
    world: World,
    noted: Noted,
    down: GithubProvider,
    silent: GithubProvider,
    troubled: Vec<(Trouble, World, GithubProvider)>,
    _silence: Silent,
}

/// A token counts as long as GitHub answers to it.
struct Shown {
    url: String,
    token: Vec<u8>,
}

impl LiveSession for Shown {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async {
            let client = reqwest::Client::builder().no_proxy().user_agent("a test").build().unwrap();
            let request = client.get(format!("{}/installation/repositories", self.url));
            let request = request.header("accept", "application/vnd.github+json");
            let answer = request.bearer_auth(String::from_utf8_lossy(&self.token)).send().await.unwrap();
            answer.status() == 200
        })
    }
}

impl Harness for Kit {
    fn provider(&self) -> &dyn Provider {
        &self.noted
    }

    fn role(&self) -> Option<String> {
        None
    }

    fn login<'a>(&'a self, principal: &'a str, secret: &'a [u8]) -> Pending<'a, Option<Box<dyn LiveSession>>> {
        Box::pin(async move {
            let answer = seen(&self.world.github, secret).await?;
            assert_eq!(answer["repositories"][0]["full_name"], principal);
            let session = Shown { url: self.world.github.url().to_owned(), token: secret.to_vec() };
            Some(Box::new(session) as Box<dyn LiveSession>)
        })
    }

    /// By a writ, whose token the ledger names; or by that name.
    fn knows<'a>(&'a self, which: &'a str) -> Pending<'a, bool> {
        Box::pin(async move {
            let audit = self.noted.audits.lock().unwrap().get(which).cloned();
            self.world.github.knows(audit.as_deref().unwrap_or(which))
        })
    }

    fn end_of<'a>(&'a self, _: &'a str) -> Pending<'a, Option<Timestamp>> {
        Box::pin(async { None })
    }

    fn end_of_this<'a>(&'a self, credential: &'a Credential) -> Pending<'a, Option<Timestamp>> {
        Box::pin(async { Timestamp::from_second(self.world.github.end_of(&credential.audit)?).ok() })
    }

    fn looks_there(&self) -> bool {
        false
    }

    fn mark(&self, _: &Writ, credential: &Credential) -> String {
        credential.audit.clone()
    }

    fn shortest_life(&self) -> Duration {
        Duration::from_secs(3_600)
    }

    fn down(&self) -> Option<&dyn Provider> {
        Some(&self.down)
    }

    fn silent(&self) -> Option<&dyn Provider> {
        Some(&self.silent)
    }

    fn refused_role(&self) -> Option<String> {
        Some("admin".to_owned())
    }

    fn troubled(&self, trouble: Trouble) -> Option<&dyn Provider> {
        self.troubled.iter().find(|(known, _, _)| *known == trouble).map(|(_, _, provider)| provider as &dyn Provider)
    }

    fn canaries(&self) -> Vec<String> {
        let pem = std::fs::read_to_string(self.world.key()).unwrap();
        pem.lines().filter(|line| !line.starts_with('-')).map(str::to_owned).collect()
    }
}

fn troubled(trouble: Trouble) -> (Trouble, World, GithubProvider) {
    let world = World::start();
    let provider = world.provider(json!({}));
    world.github.trouble(Some(match trouble {
        Trouble::WrongAudience => At::WrongApp,
        Trouble::ExpiredAssertion => At::ExpiredAssertion,
        Trouble::Untrusted => At::Untrusted,
        Trouble::Throttled => At::Throttled,
        Trouble::ServerError => At::ServerError,
        Trouble::CutShort => At::CutShort,
        Trouble::FarExpiry => At::FarExpiry,
        Trouble::ClockAhead => At::ClockAhead,
        Trouble::ClockBehind => At::ClockBehind,
    }));
    (trouble, world, provider)
}

#[tokio::test]
async fn the_contract_holds() {
    let world = World::start();
    let silence = Silent::start().unwrap();
    let noted = Noted { inner: world.provider(json!({})), audits: Mutex::default() };
    let nobody = format!("http://127.0.0.1:{}", free_port().unwrap());
    let kit = Kit {
        noted,
        down: world.provider(json!({ "api": nobody })),
        silent: world.provider(json!({ "api": silence.url() })),
        troubled: Trouble::ALL.map(troubled).into(),
        world,
        _silence: silence,
    };
    let broken = writ_provider_kit::run(&kit).await;
    assert!(broken.is_empty(), "{broken:#?}");
    for (trouble, world, _) in &kit.troubled {
        // Of an answer that was cut nobody has the token.
        let lost = usize::from(*trouble == Trouble::CutShort);
        assert_eq!(world.github.living(), lost, "{trouble:?}: what was refused was taken back");
    }
}
