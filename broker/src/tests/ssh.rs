//! What SSH hosts are told, from the writs that there are; and what admins have signed.

use std::sync::Arc;

use writ_broker_api::admin::{FreezeRequest, HostCertificateRequest};
use writ_core::event::Event;
use writ_core::freeze::FreezeScope;
use writ_core::id::WritId;
use writ_core::target::{Address, Labels, Protocol, Target, TargetName, UpstreamTls};

use super::provider::{CANARY, Fake, Mode};
use super::world::{PERMIT, Place, TARGET, URL, World, ended, kinds, operator, until, world};
use crate::targets::{Served, Targets};

async fn listed(world: &World) -> Vec<WritId> {
    let (mut keys, writs): (Vec<_>, Vec<_>) = listed_at(world, "00ff").await.into_iter().unzip();
    keys.dedup();
    assert!(keys.is_empty() || keys == ["00ff"], "{keys:?}");
    writs
}

/// The keys and the writs of the list at this key.
async fn listed_at(world: &World, key: &str) -> Vec<(String, WritId)> {
    // The one of before serves for a second.
    world.place.clock.step(1);
    let list = world.broker.ssh_revocations(key).await.unwrap();
    let lines = std::str::from_utf8(&list).unwrap().lines().map(|line| line.split_once(' ').unwrap());
    lines.map(|(key, writ)| (key.to_owned(), writ.parse().unwrap())).collect()
}

/// Targets of these names, with an authority of these keys each.
fn targets(all: &[(&str, &[&str])]) -> Targets {
    let served = |(name, keys): &(&str, &[&str])| {
        let target = Target {
            name: TargetName::new(*name).unwrap(),
            labels: Labels::new(),
            protocol: Protocol::Postgres,
            address: Address { host: "localhost".to_owned(), port: 1, tls: UpstreamTls::Disable, ca_pem: None },
            provider: "fake".to_owned(),
        };
        Served::new(target, Arc::new(Fake::with_keys(keys)))
    };
    all.iter().map(served).collect()
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

/// A host fetches by the key that it learnt when it was set up. An authority that changed has others.
#[tokio::test(flavor = "multi_thread")]
async fn every_key_of_an_authority_leads_to_a_list_that_covers_them_all() {
    let world = world().await;
    let over = world.open().await.unwrap();
    world.broker.close(&world.place.gateway, over.session, &ended()).await.unwrap();
    let changed = targets(&[(TARGET, &["00ee", "00ff"]), ("second", &["00dd", "00ee"]), ("third", &["00cc"])]);
    world.broker.reload(&world.place.config(), changed, "again".to_owned()).await.unwrap();
    for (key, covered) in [
        ("00ee", vec!["00dd", "00ee", "00ff"]),
        ("00ff", vec!["00ee", "00ff"]),
        ("00dd", vec!["00dd", "00ee"]),
        ("00cc", vec!["00cc"]),
    ] {
        let covered: Vec<_> = covered.into_iter().map(|key| (key.to_owned(), over.writ)).collect();
        assert_eq!(listed_at(&world, key).await, covered, "at {key}");
    }
    assert_eq!(world.broker.ssh(TARGET).unwrap().revocation_list, format!("{URL}/v1/ssh/00ee/krl"));
    assert_eq!(world.broker.ssh_revocations("00fe").await.unwrap_err().status, 404);
    world.stop().await;
}

/// Whoever has the certificate has it whatever the configuration says.
#[tokio::test(flavor = "multi_thread")]
async fn writs_of_a_target_that_is_gone_stay_on_the_list() {
    let world = world().await;
    let (over, live) = (world.open().await.unwrap(), world.open().await.unwrap());
    world.broker.close(&world.place.gateway, over.session, &ended()).await.unwrap();
    world.until_event("it is taken back", |event| matches!(event, Event::CredentialRevoked { .. })).await;
    let renamed = targets(&[("renamed", &["00ff"])]);
    world.broker.reload(&world.place.config(), renamed, "again".to_owned()).await.unwrap();
    assert_eq!(listed(&world).await, [over.writ]);
    world.broker.revoke_writ(live.writ, "stolen", operator()).await.unwrap();
    let mut both = [over.writ, live.writ];
    both.sort();
    assert_eq!(listed(&world).await, both, "and what is ended after that is too");
    world.stop().await;
}

/// An order stands in the ledger: hosts hear of it before the target was asked, and though it cannot be.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_ordered_to_end_is_listed_at_once() {
    let world = world().await;
    world.place.provider.on_revoke(Mode::NotPersisted);
    let (killed, kept) = (world.open().await.unwrap(), world.open().await.unwrap());
    world.broker.revoke_writ(killed.writ, "stolen", operator()).await.unwrap();
    assert_eq!(listed(&world).await, [killed.writ]);
    let freeze = FreezeRequest { scope: FreezeScope::All, reason: "stolen".to_owned() };
    world.broker.freeze(freeze, operator()).await.unwrap();
    let mut both = [killed.writ, kept.writ];
    both.sort();
    assert_eq!(listed(&world).await, both);
    world.stop().await;
}

/// Whoever knows a key may ask: all who do while a list is read get that one, and going away does not begin another.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_once_for_all_who_ask() {
    let world = world().await;
    let store = Arc::clone(&world.store);
    let held = store.lists.write().await;
    let ask = || {
        let broker = Arc::clone(&world.broker);
        tokio::spawn(async move { broker.ssh_revocations("00ff").await.unwrap() })
    };
    let gone = ask();
    until("it is read", async || world.store.listed() == 1).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    let asking: Vec<_> = (0..20).map(|_| ask()).collect();
    // However long the read took, what it gave is fresh when it is over.
    world.place.clock.step(5);
    drop(held);
    for asked in asking {
        assert!(asked.await.unwrap().is_empty());
    }
    assert_eq!(world.store.listed(), 1);
    listed(&world).await;
    assert_eq!(world.store.listed(), 2);
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
