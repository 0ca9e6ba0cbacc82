//! Keys that clients proved to their gateways: whose a token is from its first use on, and what is written down of it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_broker_api::admin::SessionsQuery;
use writ_broker_api::gateway::{OpenReply, OpenRequest};
use writ_broker_api::token::{ExchangeReply, ExchangeRequest};
use writ_core::client::ClientKey;
use writ_core::event::Event;
use writ_core::fault::Fault;
use writ_core::time::Clock as _;

use super::world::{PERMIT, Place, TARGET, URL, World, request, world};
use crate::identity::exchange::{GRANT_TYPE, JWT, Refusal, Shown};
use crate::identity::jwks::Key;
use crate::store::Store as _;

fn key(letter: char) -> ClientKey {
    format!("{}A", letter.to_string().repeat(42)).parse().unwrap()
}

fn shown(token: &str, key: Option<ClientKey>) -> OpenRequest {
    OpenRequest { client_key: key, ..request(token.to_owned(), TARGET) }
}

async fn open(world: &World, request: &OpenRequest) -> Result<OpenReply, Fault> {
    let opening = world.broker.open(&world.place.gateway, request).await.map_err(|refusal| refusal.fault)?;
    Ok(opening.open().expect("no policy of this one holds connections"))
}

async fn code(world: &World, token: &str, key: Option<ClientKey>) -> &'static str {
    open(world, &shown(token, key)).await.map_or_else(|fault| fault.code, |_| "opened")
}

fn details(events: &[Event]) -> Vec<&str> {
    let of = |event: &Event| matches!(event, Event::Refused { code, .. } if code == "token.bound");
    let refused = events.iter().filter(|event| of(event));
    refused
        .filter_map(|event| if let Event::Refused { detail, .. } = event { Some(detail.as_str()) } else { None })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_with_the_key_that_it_was_first_used_with() {
    let mut world = world().await;
    let token = world.place.token();
    assert_eq!(code(&world, &token, Some(key('a'))).await, "opened");
    let stolen = open(&world, &shown(&token, None)).await.unwrap_err();
    assert_eq!(
        (stolen.code, stolen.public.as_ref()),
        ("token.bound", "the token was used before with a key that this connection did not prove",)
    );
    assert!(stolen.help.unwrap().contains("get a fresh token"));
    let other = open(&world, &shown(&token, Some(key('b')))).await.unwrap_err();
    assert_eq!((other.code, other.public.as_ref()), ("token.bound", "the token was used before with another key"));
    world = world.stop().await.start().await;
    assert_eq!(code(&world, &token, Some(key('b'))).await, "token.bound", "a restart forgets nothing");
    assert_eq!(code(&world, &token, Some(key('a'))).await, "opened", "and who was refused took no use");
    assert_eq!(code(&world, &token, Some(key('a'))).await, "opened");
    assert_eq!(code(&world, &token, Some(key('a'))).await, "token.used", "three times, as the policy says");
    let events = world.events().await;
    let named = details(&events);
    assert_eq!(named.len(), 3);
    assert!(named[0].contains(key('a').as_str()) && named[0].ends_with("this connection proved none"), "{named:?}");
    assert!(named[1].contains(key('a').as_str()) && named[1].contains(key('b').as_str()), "{named:?}");
    assert_eq!(world.place.provider.minted().len(), 3, "nothing was minted for the others");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_used_without_a_key_is_nobodys_with_one() {
    let world = world().await;
    let token = world.place.token();
    assert_eq!(code(&world, &token, None).await, "opened");
    let late = open(&world, &shown(&token, Some(key('a')))).await.unwrap_err();
    assert_eq!(late.code, "token.bound");
    assert!(late.public.contains("without a key") && late.help.unwrap().contains("--no-key"));
    assert_eq!(code(&world, &token, None).await, "opened");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_and_reason_stand_in_the_evidence_and_lead_to_the_session() {
    let world = world().await;
    let asked =
        OpenRequest { reason: Some("ticket 42".parse().unwrap()), ..shown(&world.place.token(), Some(key('a'))) };
    let opened = open(&world, &asked).await.unwrap();
    world.open().await.unwrap();
    let session = world.broker.session(opened.session).await.unwrap();
    assert_eq!((session.client_key.as_ref(), session.reason.as_ref()), (Some(&key('a')), asked.reason.as_ref()));
    let listed = async |key: Option<ClientKey>| {
        let page = world.broker.sessions(SessionsQuery { key, ..SessionsQuery::default() }).await.unwrap();
        page.items.into_iter().map(|session| session.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(Some(key('a'))).await, [opened.session]);
    assert_eq!(listed(Some(key('b'))).await, []);
    assert_eq!(listed(None).await.len(), 2);
    let events = world.events().await;
    let written = events.iter().filter_map(|event| match event {
        Event::WritIntended { client_key, reason, .. } => Some((client_key.clone(), reason.clone())),
        _ => None,
    });
    assert_eq!(written.collect::<Vec<_>>(), [(Some(key('a')), asked.reason), (None, None)]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_can_ask_for_a_key() {
    let policy = PERMIT.replace("resource.name == \"main\"", "resource.name == \"main\" && context has client_key");
    let world = Place::new(&policy.replace("Action::\"use\"", "Action::\"connect\"")).start().await;
    let token = world.place.token();
    assert_eq!(code(&world, &token, None).await, "access.refused");
    assert_eq!(code(&world, &token, Some(key('a'))).await, "opened");
    world.stop().await;
}

/// A key of a client's own, and proofs by it.
struct Own(EcdsaKeyPair);

impl Own {
    fn fresh() -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref()).unwrap())
    }

    fn jwk(&self) -> Value {
        let point = &self.0.public_key().as_ref()[1..];
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"kty": "EC", "crv": "P-256", "x": encoded(&point[..32]), "y": encoded(&point[32..])})
    }

    fn thumbprint(&self) -> ClientKey {
        Key::from_jwk(&self.jwk()).unwrap().thumbprint().parse().unwrap()
    }

    fn proof(&self, world: &World, name: &str) -> String {
        let encoded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": self.jwk()});
        let claims = json!({"htm": "POST", "htu": format!("{URL}/v1/token"), "iat": world.place.clock.now().as_second(), "jti": name});
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

async fn exchange(world: &World, token: &str, proof: Option<&str>) -> Result<ExchangeReply, Refusal> {
    let request = ExchangeRequest {
        grant_type: GRANT_TYPE.to_owned(),
        subject_token: token.to_owned(),
        subject_token_type: JWT.to_owned(),
        audience: Some(TARGET.to_owned()),
        ..ExchangeRequest::default()
    };
    let proofs: Vec<&str> = proof.into_iter().collect();
    let shown = Shown { proofs: &proofs, certificates: &[] };
    world.broker.exchange(request, shown, "192.0.2.7").await.map_err(|(_, refusal)| refusal)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_token_that_names_a_key_is_taken_from_who_proves_that_very_key() {
    let world = world().await;
    let (own, other) = (Own::fresh(), Own::fresh());
    let token = world.place.token();
    let reply = exchange(&world, &token, Some(&own.proof(&world, "one"))).await.ok().unwrap();
    assert_eq!(reply.token_type, "DPoP");
    for _ in 0..4 {
        assert_eq!(code(&world, &reply.access_token, Some(own.thumbprint())).await, "opened");
    }
    assert_eq!(code(&world, &reply.access_token, Some(other.thumbprint())).await, "token.bound");
    assert_eq!(code(&world, &reply.access_token, None).await, "token.bound");
    // The workload's own token is that key's too, there and at gateways.
    assert_eq!(code(&world, &token, Some(own.thumbprint())).await, "opened");
    assert_eq!(code(&world, &token, None).await, "token.bound");
    let stolen = exchange(&world, &token, Some(&other.proof(&world, "two"))).await.err().unwrap();
    assert_eq!((stolen.code, stolen.error), ("token.bound", "invalid_request"));
    assert_eq!(exchange(&world, &token, None).await.err().unwrap().code, "token.bound");
    assert!(exchange(&world, &token, Some(&own.proof(&world, "three"))).await.is_ok());
    let events = world.events().await;
    assert!(details(&events)[0].contains(other.thumbprint().as_str()), "{:?}", details(&events));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_token_that_names_no_key_is_its_first_holders_too() {
    let mut world = world().await;
    let fresh = async |world: &World| {
        let reply = exchange(world, &world.place.token(), None).await.ok().unwrap();
        assert_eq!(reply.token_type, "Bearer");
        reply.access_token
    };
    let (own, open_to_all) = (fresh(&world).await, fresh(&world).await);
    for _ in 0..4 {
        assert_eq!(code(&world, &own, Some(key('a'))).await, "opened", "as often as it likes");
        assert_eq!(code(&world, &open_to_all, None).await, "opened");
    }
    assert_eq!(code(&world, &own, Some(key('b'))).await, "token.bound");
    let stolen = open(&world, &shown(&own, None)).await.unwrap_err();
    assert_eq!(
        (stolen.code, stolen.public.as_ref()),
        ("token.bound", "the token was used before with a key that this connection did not prove")
    );
    assert_eq!(code(&world, &open_to_all, Some(key('a'))).await, "token.bound");
    world = world.stop().await.start().await;
    world.store.prune(world.place.clock.now()).await.unwrap();
    assert_eq!(code(&world, &own, Some(key('b'))).await, "token.bound", "nor is it forgotten");
    assert_eq!(code(&world, &own, Some(key('a'))).await, "opened");
    assert_eq!(world.place.provider.minted().len(), 9, "nothing was minted for the others");
    let events = world.events().await;
    let named = details(&events);
    assert_eq!(named.len(), 4);
    assert!(named[0].contains(key('a').as_str()) && named[0].contains(key('b').as_str()), "{named:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workloads_token_that_names_a_key_is_held_to_it() {
    let world = world().await;
    let token = world.place.token_with(json!({"cnf": {"jkt": key('a')}}));
    assert_eq!(code(&world, &token, None).await, "token.bound");
    assert_eq!(code(&world, &token, Some(key('b'))).await, "token.bound");
    assert_eq!(code(&world, &token, Some(key('a'))).await, "opened");
    for cnf in [json!({"x5t#S256": key('a')}), json!({"jkt": key('a'), "x5t#S256": "abc"}), json!({})] {
        let token = world.place.token_with(json!({"cnf": cnf}));
        assert_eq!(code(&world, &token, Some(key('a'))).await, "token.bound", "{cnf}");
    }
    world.stop().await;
}
