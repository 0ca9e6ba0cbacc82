//! The contract of every provider, for both, in each way in which Google can know who asks, and for each kind of token.

use std::sync::Arc;
use std::time::Duration;

use writ_core::credential::Credential;
use writ_core::provider::{Pending, Provider};
use writ_core::time::Timestamp;
use writ_core::writ::Writ;
use writ_fakes::dead::{Silent, refusing};
use writ_fakes::gcp;
use writ_provider_gcp::By;
use writ_provider_kit::under::Under;
use writ_provider_kit::{Harness, LiveSession, Trouble};

use crate::canary;
use crate::documented;
use crate::eyes::{Database, Eyes};
use crate::providers::{self, Showing, Troubled, cloudsql};
use crate::world::World;

/// A provider over the project, and the targets' eyes.
struct Kit {
    world: Arc<World>,
    eyes: Eyes,
    role: Option<String>,
    shortest: u64,
    /// Whether Google says how long a token lives alone.
    counted: bool,
    sound: Box<dyn Provider>,
    down: Box<dyn Provider>,
    silent: Box<dyn Provider>,
    troubled: Vec<(Trouble, Box<dyn Provider>)>,
    _silence: Silent,
}

/// What can go wrong between the broker and Google, and what the fake calls it.
const TROUBLES: [(Trouble, gcp::Trouble); 9] = [
    (Trouble::WrongAudience, gcp::Trouble::WrongAudience),
    (Trouble::ExpiredAssertion, gcp::Trouble::ExpiredAssertion),
    (Trouble::Untrusted, gcp::Trouble::Untrusted),
    (Trouble::Throttled, gcp::Trouble::Throttled),
    (Trouble::ServerError, gcp::Trouble::ServerError),
    (Trouble::CutShort, gcp::Trouble::CutShort),
    (Trouble::FarExpiry, gcp::Trouble::FarExpiry),
    (Trouble::ClockAhead, gcp::Trouble::ClockAhead),
    (Trouble::ClockBehind, gcp::Trouble::ClockBehind),
];

impl Kit {
    /// The kit's harness of what `make` makes over a Google at an address, whose tokens live `shortest` seconds at least.
    fn new(
        world: &Arc<World>,
        by: By,
        eyes: Eyes,
        role: Option<&str>,
        shortest: u64,
        make: &dyn Fn(&str) -> Box<dyn Provider>,
    ) -> Self {
        let made = |address: &str| match by {
            By::Workload => Under::of(make(address), Showing(Arc::clone(world))),
            By::Issuer | By::Broker => make(address),
        };
        let silence = Silent::start().unwrap();
        // Nothing is shown that is for somebody, or that ends, where the broker asks as itself.
        let shown = |kind: &Trouble| matches!(kind, Trouble::WrongAudience | Trouble::ExpiredAssertion);
        let troubles = TROUBLES.into_iter().filter(|(kind, _)| by != By::Broker || !shown(kind));
        let troubled =
            troubles.map(|(kind, ours)| (kind, Under::of(made(world.google.url()), Troubled(Arc::clone(world), ours))));
        Self {
            sound: made(world.google.url()),
            down: made(&format!("http://127.0.0.1:{}", refusing().unwrap())),
            silent: made(&silence.url()),
            troubled: troubled.collect(),
            role: role.map(str::to_owned),
            shortest,
            counted: false,
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

    /// By the reason of the request that a token was given for. A token that may only act as an account is none that was minted.
    fn knows<'a>(&'a self, principal: &'a str) -> Pending<'a, bool> {
        let acting = ["https://www.googleapis.com/auth/iam".to_owned()];
        let all = self.world.google.all_issued();
        Box::pin(async move {
            all.iter().any(|issued| issued.reason.as_deref() == Some(principal) && issued.scopes != acting)
        })
    }

    fn end_of<'a>(&'a self, _: &'a str) -> Pending<'a, Option<Timestamp>> {
        // An account is not its token.
        Box::pin(async { None })
    }

    fn mark(&self, writ: &Writ, _: &Credential) -> String {
        writ.id.to_string()
    }

    fn end_of_this<'a>(&'a self, credential: &'a Credential) -> Pending<'a, Option<Timestamp>> {
        canary::note_credential(credential);
        let actual = self.eyes.end_of(&self.world, credential.secret.expose());
        // STS says how long a token lives, and not until when: it may have been asked in one second and have answered in the next.
        let told = credential.expires.filter(|_| self.counted);
        let near = move |end: &Timestamp| {
            actual.is_some_and(|actual| (0..=1).contains(&(actual.as_second() - end.as_second())))
        };
        Box::pin(async move { told.filter(near).or(actual) })
    }

    fn shortest_life(&self) -> Duration {
        Duration::from_secs(self.shortest)
    }

    fn down(&self) -> Option<&dyn Provider> {
        Some(self.down.as_ref())
    }

    fn silent(&self) -> Option<&dyn Provider> {
        Some(self.silent.as_ref())
    }

    fn refused_role(&self) -> Option<String> {
        Some("stranger".to_owned())
    }

    fn troubled(&self, trouble: Trouble) -> Option<&dyn Provider> {
        self.troubled.iter().find(|(kind, _)| *kind == trouble).map(|(_, provider)| provider.as_ref())
    }

    fn canaries(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.world.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let machines = files.filter(|file| file.extension().is_some_and(|extension| extension == "jwt"));
        let tokens: Vec<String> = machines.map(|file| std::fs::read_to_string(file).unwrap()).collect();
        assert!(!tokens.is_empty());
        tokens
    }
}

/// A token's life is counted from when Google answers, a moment after it was asked for.
const MOMENT: u64 = 300;
/// What Google gives for an hour, whatever is asked.
const HOUR: u64 = 3_600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds() {
    let world = Arc::new(World::start("kit"));
    for bucket in ["reports", "elsewhere"] {
        let pool = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools";
        world.may(&format!("principal://{pool}/writ/subject/target:kit"), bucket, "roles/storage.objectViewer");
        let set = format!("principalSet://{pool}/github/attribute.repository_id/74");
        world.may(&set, bucket, "roles/storage.objectViewer");
    }
    for email in ["payments-app", "payments-reader"] {
        world.account(&format!("{email}@acme-prod.iam.gserviceaccount.com"), documented::bindings("kit"));
    }
    let mut broken = Vec::new();
    let mut hold = async |name: &str, kit: Kit| {
        broken.extend(writ_provider_kit::run(&kit).await.into_iter().map(|finding| format!("{name}: {finding}")));
    };
    let database = Arc::new(Database::start(&world).await);
    for by in [By::Issuer, By::Workload, By::Broker] {
        let access = |address: &str| Box::new(providers::gcp(&world, by, address, &|_| ())) as Box<dyn Provider>;
        hold(&format!("access tokens, {by:?}"), Kit::new(&world, by, Eyes::Storage, None, MOMENT, &access)).await;
        let database = Eyes::Database(Arc::clone(&database));
        let login = |address: &str| Box::new(cloudsql(&world, by, address, &|_| ())) as Box<dyn Provider>;
        hold(&format!("cloudsql, {by:?}"), Kit::new(&world, by, database, Some("reader"), MOMENT, &login)).await;
    }
    let march = |settings: &mut serde_json::Value| settings["default_scope"] = "march".into();
    let bounded = |address: &str| Box::new(providers::gcp(&world, By::Issuer, address, &march)) as Box<dyn Provider>;
    hold("bounded tokens", Kit::new(&world, By::Issuer, Eyes::Storage, Some("writer"), MOMENT, &bounded)).await;
    let identity = |address: &str| {
        Box::new(providers::gcp(&world, By::Issuer, address, &providers::identity)) as Box<dyn Provider>
    };
    hold("ID tokens", Kit::new(&world, By::Issuer, Eyes::Service, None, HOUR, &identity)).await;
    for by in [By::Issuer, By::Workload] {
        let direct =
            |address: &str| Box::new(providers::gcp(&world, by, address, &providers::direct)) as Box<dyn Provider>;
        let kit = Kit::new(&world, by, Eyes::Storage, None, HOUR, &direct);
        hold(&format!("federated tokens, {by:?}"), Kit { counted: true, ..kit }).await;
    }
    assert_eq!(broken, Vec::<String>::new());
    canary::check();
}
