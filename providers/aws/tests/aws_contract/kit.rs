//! The contract of every provider, for all three and in each way in which AWS can know who asks.

use std::sync::Arc;
use std::time::Duration;

use writ_core::credential::Credential;
use writ_core::provider::{Pending, Provider};
use writ_core::time::Timestamp;
use writ_core::writ::Writ;
use writ_fakes::dead::{Silent, refusing};
use writ_fakes::sts;
use writ_provider_aws::By;
use writ_provider_kit::under::Under;
use writ_provider_kit::{Harness, LiveSession, Trouble};

use crate::canary;
use crate::eyes::{Database, Eyes};
use crate::providers::{Showing, Troubled, aws, eks, rds};
use crate::world::World;

/// A provider over the account, and the account's eyes.
struct Kit {
    world: Arc<World>,
    eyes: Eyes,
    role: Option<String>,
    refused: String,
    sound: Box<dyn Provider>,
    down: Box<dyn Provider>,
    silent: Box<dyn Provider>,
    troubled: Vec<(Trouble, Box<dyn Provider>)>,
    _silence: Silent,
}

/// What can go wrong between the broker and STS, and what the front calls it.
const TROUBLES: [(Trouble, sts::Trouble); 9] = [
    (Trouble::WrongAudience, sts::Trouble::WrongAudience),
    (Trouble::ExpiredAssertion, sts::Trouble::ExpiredAssertion),
    (Trouble::Untrusted, sts::Trouble::Untrusted),
    (Trouble::Throttled, sts::Trouble::Throttled),
    (Trouble::ServerError, sts::Trouble::ServerError),
    (Trouble::CutShort, sts::Trouble::CutShort),
    (Trouble::FarExpiry, sts::Trouble::FarExpiry),
    (Trouble::ClockAhead, sts::Trouble::ClockAhead),
    (Trouble::ClockBehind, sts::Trouble::ClockBehind),
];

impl Kit {
    /// The kit's harness of what `make` makes over an STS at an address.
    fn new(world: &Arc<World>, by: By, eyes: Eyes, make: impl Fn(&Eyes, &str) -> Box<dyn Provider>) -> Self {
        let made = |address: &str| match by {
            By::Workload => Under::of(make(&eyes, address), Showing(Arc::clone(world))),
            By::Issuer | By::Broker => make(&eyes, address),
        };
        let silence = Silent::start().unwrap();
        // Nothing is shown that is for somebody, or that ends, where the broker asks as itself.
        let shown = |kind: &Trouble| matches!(kind, Trouble::WrongAudience | Trouble::ExpiredAssertion);
        let troubles = TROUBLES.into_iter().filter(|(kind, _)| by != By::Broker || !shown(kind));
        let troubled = troubles
            .map(|(kind, of_sts)| (kind, Under::of(made(world.front.url()), Troubled(Arc::clone(world), of_sts))));
        let (role, refused) = match eyes {
            Eyes::Database(_) => (Some("reader"), "admin"),
            Eyes::Sessions | Eyes::Cluster(_) => (None, "stranger"),
        };
        Self {
            sound: made(world.front.url()),
            down: made(&format!("http://127.0.0.1:{}", refusing().unwrap())),
            silent: made(&silence.url()),
            troubled: troubled.collect(),
            role: role.map(str::to_owned),
            refused: refused.to_owned(),
            world: Arc::clone(world),
            eyes,
            _silence: silence,
        }
    }
}

impl Harness for Kit {
    fn provider(&self) -> &dyn Provider {
        self.sound.as_ref()
    }

    fn role(&self) -> Option<String> {
        self.role.clone()
    }

    fn login<'a>(&'a self, principal: &'a str, secret: &'a [u8]) -> Pending<'a, Option<Box<dyn LiveSession>>> {
        Box::pin(self.eyes.login(&self.world, principal, secret))
    }

    /// By the session's name or its ARN.
    fn knows<'a>(&'a self, principal: &'a str) -> Pending<'a, bool> {
        let sessions = self.world.front.sessions();
        Box::pin(async move { sessions.iter().any(|session| session.name == principal || session.arn == principal) })
    }

    fn end_of<'a>(&'a self, _: &'a str) -> Pending<'a, Option<Timestamp>> {
        // A session's name is not its key.
        Box::pin(async { None })
    }

    fn mark(&self, writ: &Writ, credential: &Credential) -> String {
        match self.eyes {
            Eyes::Database(_) => writ.id.to_string(),
            Eyes::Sessions | Eyes::Cluster(_) => credential.principal.clone(),
        }
    }

    fn end_of_this<'a>(&'a self, credential: &'a Credential) -> Pending<'a, Option<Timestamp>> {
        canary::note_credential(credential);
        Box::pin(async { self.eyes.end_of(&self.world, credential.secret.expose()) })
    }

    fn shortest_life(&self) -> Duration {
        Duration::from_secs(900)
    }

    fn down(&self) -> Option<&dyn Provider> {
        Some(self.down.as_ref())
    }

    fn silent(&self) -> Option<&dyn Provider> {
        Some(self.silent.as_ref())
    }

    fn refused_role(&self) -> Option<String> {
        Some(self.refused.clone())
    }

    fn troubled(&self, trouble: Trouble) -> Option<&dyn Provider> {
        self.troubled.iter().find(|(kind, _)| *kind == trouble).map(|(_, provider)| provider.as_ref())
    }

    fn canaries(&self) -> Vec<String> {
        let broker = &self.world.broker;
        vec![broker.secret.clone(), broker.token.clone().unwrap()]
    }
}

/// With a role that can be probed and not had.
fn stranger(settings: &mut serde_json::Value) {
    settings["roles"]["stranger"] = serde_json::json!("arn:aws:iam::123456789012:role/stranger");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds() {
    let world = Arc::new(World::start("kit"));
    let mut broken = Vec::new();
    let mut hold = async |name: &str, kit: Kit| {
        broken.extend(writ_provider_kit::run(&kit).await.into_iter().map(|finding| format!("{name}: {finding}")));
    };
    for by in [By::Issuer, By::Workload, By::Broker] {
        let make = |_: &Eyes, address: &str| Box::new(aws(&world, by, address, &stranger)) as Box<dyn Provider>;
        hold(&format!("aws, {by:?}"), Kit::new(&world, by, Eyes::Sessions, make)).await;
        let make = |_: &Eyes, address: &str| Box::new(eks(&world, by, address, &stranger)) as Box<dyn Provider>;
        hold(&format!("eks, {by:?}"), Kit::new(&world, by, Eyes::Cluster("prod".to_owned()), make)).await;
        let database = Eyes::Database(Database::start(&world).await);
        let make = |eyes: &Eyes, address: &str| {
            let Eyes::Database(database) = eyes else { panic!("a database") };
            Box::new(rds(&world, by, address, database.rds.port(), &|_| ())) as Box<dyn Provider>
        };
        hold(&format!("rds, {by:?}"), Kit::new(&world, by, database, make)).await;
    }
    assert_eq!(broken, Vec::<String>::new());
    canary::check();
}
