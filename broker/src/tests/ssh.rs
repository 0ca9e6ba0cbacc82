//! What SSH hosts are told, from the writs that there are; and what admins have signed.

use writ_broker_api::admin::HostCertificateRequest;
use writ_core::event::Event;
use writ_core::id::WritId;

use super::provider::{CANARY, Mode};
use super::world::{PERMIT, Place, TARGET, URL, World, ended, kinds, operator, until, world};

async fn listed(world: &World) -> Vec<WritId> {
    // The one of before serves for a second.
    world.place.clock.step(1);
    let list = world.broker.ssh_revocations("00ff").await.unwrap();
    std::str::from_utf8(&list).unwrap().lines().map(|line| line.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_what_ended_until_it_would_have_ended_by_itself() {
    let world = world().await;
    let (over, live) = (world.open().await.unwrap(), world.open().await.unwrap());
    assert_eq!(listed(&world).await, []);
    world.broker.close(&world.place.gateway, over.session, &ended()).await.unwrap();
    world.until_event("it is taken back", |event| matches!(event, Event::CredentialRevoked { .. })).await;
    assert_eq!(listed(&world).await, [over.writ]);
    // The same after a restart: it is nowhere but in the writs.
    let world = world.stop().await.start().await;
    assert!(!listed(&world).await.contains(&live.writ));
    // The writs' ten minutes, and an hour for hosts whose clocks are behind.
    world.place.clock.step(600 + 3_590);
    assert!(listed(&world).await.contains(&over.writ));
    world.place.clock.step(60);
    assert!(!listed(&world).await.contains(&over.writ));
    world.stop().await;
}

/// Whoever the crash left without an outcome may have got a certificate.
#[tokio::test(flavor = "multi_thread")]
async fn an_intent_without_an_outcome_is_on_the_list() {
    let place = Place::new(PERMIT);
    place.provider.on_mint(Mode::Persisted);
    let world = place.start().await;
    world.open().await.unwrap_err();
    let [writ] = world.place.provider.minted()[..] else { panic!("one mint") };
    until("it is listed", async || listed(&world).await.contains(&writ)).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_serves_for_a_second_and_no_longer() {
    let world = world().await;
    let over = world.open().await.unwrap();
    let first = world.broker.ssh_revocations("00ff").await.unwrap();
    world.broker.close(&world.place.gateway, over.session, &ended()).await.unwrap();
    world.until_event("it is taken back", |event| matches!(event, Event::CredentialRevoked { .. })).await;
    assert_eq!(world.broker.ssh_revocations("00ff").await.unwrap(), first, "whoever asks much costs no more");
    assert_eq!(listed(&world).await, [over.writ]);
    assert_eq!(world.broker.ssh_revocations("00fe").await.unwrap_err().status, 404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosts_certificate_stands_in_the_ledger_before_it_is_given() {
    let world = world().await;
    let asked = |key: &str, life_seconds| HostCertificateRequest {
        key: key.to_owned(),
        names: vec!["web.test".to_owned()],
        life_seconds,
    };
    let facts = world.broker.ssh(TARGET).unwrap();
    assert_eq!(
        (facts.trusted, facts.revocation_list),
        (vec!["ssh-ed25519 AAAA writ".to_owned()], format!("{URL}/v1/ssh/00ff/krl"))
    );
    let given = world.broker.certify_ssh_host(TARGET, asked("a key", 60), operator()).await.unwrap();
    assert_eq!(given.certificate, "certificate for web.test");
    let events = world.events().await;
    let Some(Event::HostCertified { target, key, names, serial, expires, by }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((target.as_str(), key.as_str(), names.len()), (TARGET, "SHA256:one", 1));
    assert_eq!((serial.as_str(), *expires, by.clone()), ("18446744073709551615", given.expires, operator()));
    let refused = world.broker.certify_ssh_host(TARGET, asked(CANARY, 60), operator()).await.unwrap_err();
    assert_eq!(refused.status, 409);
    assert_eq!(world.broker.certify_ssh_host("absent", asked("a key", 60), operator()).await.unwrap_err().status, 404);
    assert_eq!(kinds(&world.events().await), ["host_certified"]);
    world.stop().await;
}
