//! A key that was made is in the ledger, whatever went wrong in between.

use writ_core::event::Event;
use writ_core::target::TargetName;

use super::world::{PERMIT, Place, World};
use crate::Broker;
use crate::broker::StartFault;
use crate::keys::{self, Introduced};
use crate::store::sqlite::Sqlite;

/// What is introduced of the SSH authority `web`: its key, until the ledger has it.
fn authority(place: &Place) -> Vec<Introduced> {
    let mut introduced = Vec::new();
    let name = TargetName::new("web").unwrap();
    let first = keys::ssh_authority(&place.path("keys"), &name, &mut introduced).unwrap();
    let second = keys::ssh_authority(&place.path("keys"), &name, &mut introduced).unwrap();
    assert_eq!(format!("{first:?}"), format!("{second:?}"), "it is made once");
    assert!(introduced.len() <= 1, "{introduced:?}");
    introduced
}

async fn introduced(world: &World) -> Vec<(String, String)> {
    let events = world.events().await.into_iter();
    let keys = events.filter_map(|event| match event {
        Event::KeyIntroduced { purpose, public } => Some((purpose, public)),
        _ => None,
    });
    keys.collect()
}

fn new(place: &Place) -> Vec<String> {
    let names = std::fs::read_dir(place.path("keys")).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).filter(|name| !name.ends_with(".key") && name != "ca.pem").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_start_that_failed_are_introduced_by_the_next() {
    let place = Place::new("permit (");
    keys::files::create_private_directory(&place.path("")).unwrap();
    let store = Sqlite::open(&place.path("writ.db")).unwrap();
    let config = place.config();
    let started = Broker::start_on(store, &config, place.targets(), place.clock.clone(), String::new());
    assert!(matches!(started.await.map(drop).unwrap_err(), StartFault::Policy(_)));
    assert_eq!(new(&place).len(), 6, "{:?}", new(&place));
    place.policies(PERMIT);
    let world = place.start().await;
    let found = introduced(&world).await;
    let mut purposes: Vec<&str> = found.iter().map(|(purpose, _)| purpose.as_str()).collect();
    purposes.sort_unstable();
    assert_eq!(purposes, ["bundle", "ca", "ledger", "mask", "recording", "session-token"]);
    assert_eq!(new(&world.place), Vec::<String>::new());
    let world = world.stop().await.start().await;
    assert_eq!(introduced(&world).await, found, "and by no other");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_configuration_that_was_refused_is_introduced_when_one_is_taken() {
    let world = super::world::world().await;
    let made = authority(&world.place);
    let key = (made[0].purpose.to_owned(), made[0].public.clone());
    let count = async || introduced(&world).await.iter().filter(|known| **known == key).count();
    let reload = async |made| {
        let targets = world.place.targets().introducing(made);
        world.broker.reload(&world.place.config(), targets, "again".to_owned()).await
    };
    world.place.policies("permit (");
    assert!(reload(made).await.is_err());
    world.place.policies(PERMIT);
    world.store.all(true);
    assert!(reload(authority(&world.place)).await.is_err());
    world.store.all(false);
    assert_eq!((count().await, new(&world.place).len()), (0, 1));
    reload(authority(&world.place)).await.unwrap();
    assert_eq!((count().await, new(&world.place).len()), (1, 0));
    assert_eq!(authority(&world.place), [], "the ledger has it");
    world.stop().await;
}
