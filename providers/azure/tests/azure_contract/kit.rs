//! The contract of every provider, for both.

use std::sync::Arc;
use std::time::Duration;

use writ_core::credential::Credential;
use writ_core::id::WritId;
use writ_core::provider::{Pending, Provider};
use writ_core::time::Timestamp;
use writ_core::writ::Writ;
use writ_fakes::dead::{Silent, refusing};
use writ_fakes::entra;
use writ_provider_kit::under::Under;
use writ_provider_kit::{Harness, LiveSession, Trouble};

use crate::canary;
use crate::providers::{Troubled, azure, database, token};
use crate::world::{STRANGER, World};

/// How long the fake lets tokens live.
const GRANTED: i64 = 3_700;

/// What can go wrong between the broker and Entra, and what the fake calls it.
const TROUBLES: [(Trouble, entra::Trouble); 9] = [
    (Trouble::WrongAudience, entra::Trouble::WrongAudience),
    (Trouble::ExpiredAssertion, entra::Trouble::ExpiredAssertion),
    (Trouble::Untrusted, entra::Trouble::Untrusted),
    (Trouble::Throttled, entra::Trouble::Throttled),
    (Trouble::ServerError, entra::Trouble::ServerError),
    (Trouble::CutShort, entra::Trouble::CutShort),
    (Trouble::FarExpiry, entra::Trouble::FarExpiry),
    (Trouble::ClockAhead, entra::Trouble::ClockAhead),
    (Trouble::ClockBehind, entra::Trouble::ClockBehind),
];

/// A provider over the tenant, and the resource's own eyes.
struct Kit {
    world: Arc<World>,
    audience: &'static str,
    sound: Box<dyn Provider>,
    down: Box<dyn Provider>,
    silent: Box<dyn Provider>,
    troubled: Vec<(Trouble, Box<dyn Provider>)>,
    _silence: Silent,
}

impl Kit {
    fn new(world: &Arc<World>, audience: &'static str, make: impl Fn(&str) -> Box<dyn Provider>) -> Self {
        let silence = Silent::start().unwrap();
        let url = world.entra.url();
        let troubled = TROUBLES
            .into_iter()
            .map(|(kind, trouble)| (kind, Under::of(make(url), Troubled(Arc::clone(world), trouble))));
        Self {
            sound: make(url),
            down: make(&format!("https://127.0.0.1:{}", refusing().unwrap())),
            silent: make(&silence.url().replace("http:", "https:")),
            troubled: troubled.collect(),
            audience,
            world: Arc::clone(world),
            _silence: silence,
        }
    }
}

/// Whoever has the token is let in while it lives.
struct Let {
    world: Arc<World>,
    audience: &'static str,
    token: String,
}

impl LiveSession for Let {
    fn answers(&self) -> Pending<'_, bool> {
        Box::pin(async { self.world.entra.verify(&self.token, self.audience).is_ok() })
    }
}

impl Harness for Kit {
    fn provider(&self) -> &dyn Provider {
        self.sound.as_ref()
    }

    fn role(&self) -> Option<String> {
        None
    }

    fn login<'a>(&'a self, _: &'a str, secret: &'a [u8]) -> Pending<'a, Option<Box<dyn LiveSession>>> {
        let token = String::from_utf8(secret.to_vec()).unwrap();
        canary::note(&token);
        let session = Let { world: Arc::clone(&self.world), audience: self.audience, token };
        Box::pin(async move { session.answers().await.then(|| Box::new(session) as Box<dyn LiveSession>) })
    }

    /// By the writ, or by the token's own id: whether Entra gave something out under it.
    fn knows<'a>(&'a self, name: &'a str) -> Pending<'a, bool> {
        let given = |row: &serde_json::Value| row["status"]["errorCode"] == 0;
        let known = match name.parse::<WritId>() {
            Ok(writ) => self.world.sign_ins_of(writ).iter().any(given),
            Err(_) => self.world.entra.sign_ins().iter().any(|row| given(row) && row["uniqueTokenIdentifier"] == name),
        };
        Box::pin(async move { known })
    }

    fn end_of<'a>(&'a self, _: &'a str) -> Pending<'a, Option<Timestamp>> {
        // A client has many tokens.
        Box::pin(async { None })
    }

    fn mark(&self, _: &Writ, credential: &Credential) -> String {
        credential.fingerprint.as_str().trim_start_matches("entra-uti:").to_owned()
    }

    fn end_of_this<'a>(&'a self, credential: &'a Credential) -> Pending<'a, Option<Timestamp>> {
        let claims = self.world.entra.verify(token(credential), self.audience).unwrap();
        Box::pin(async move { Timestamp::from_second(claims["exp"].as_i64()?).ok() })
    }

    fn shortest_life(&self) -> Duration {
        Duration::from_secs(GRANTED.unsigned_abs())
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
        vec![canary::last()]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds() {
    let world = Arc::new(World::start("kit"));
    world.entra.life(GRANTED);
    let mut broken = Vec::new();
    let mut hold = async |name: &str, kit: Kit| {
        broken.extend(writ_provider_kit::run(&kit).await.into_iter().map(|finding| format!("{name}: {finding}")));
    };
    // The probe asks for each client and each user, so that the one that is refused must not be among them by itself.
    let make = |authority: &str| {
        Box::new(azure(&world, authority, &|settings| {
            settings["clients"] = serde_json::json!({ "writer": settings["client_id"] });
        })) as Box<dyn Provider>
    };
    hold("azure", Kit::new(&world, "https://storage.azure.com", make)).await;
    let make = |authority: &str| Box::new(database(&world, authority, &|_| ())) as Box<dyn Provider>;
    hold("azure_database", Kit::new(&world, "https://ossrdbms-aad.database.windows.net", make)).await;
    assert_eq!(broken, Vec::<String>::new());
    canary::check();
}

/// A client that trusts nobody is refused by Entra, not by the table of clients.
#[tokio::test]
async fn a_client_that_trusts_nobody_is_refused_by_entra() {
    let world = World::start("kit");
    let provider = azure(&world, world.entra.url(), &|settings| {
        settings["clients"]["stranger"] = serde_json::json!(STRANGER);
    });
    let writ = crate::providers::writ(&world, Some("stranger"), crate::world::LIFE);
    let fault = crate::providers::mint(&world, &provider, &writ).await.unwrap_err();
    assert_eq!(fault.code(), "provider.refused");
    assert!(fault.detail().contains("AADSTS700211"), "{fault:?}");
    canary::check();
}
