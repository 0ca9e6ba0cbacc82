//! A caller that asks too often: refused with a status of its own, in the ledger once.

use std::net::Ipv4Addr;

use serde_json::json;

use super::world::{Place, TARGET, refusals, request};
use crate::broker::Broker;
use crate::rates::{Caller, RatesConfig};

const PERMIT: &str = r#"@id("jobs") @ttl("10m")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource is Writ::Target);"#;

async fn limited(broker: &Broker) -> usize {
    let address = Ipv4Addr::new(192, 0, 2, 1).into();
    let mut refused = 0;
    for _ in 0..RatesConfig::default().exchanges * 10 + 100 {
        if let Err(refusal) = broker.admit(Caller::exchanges(address)).await {
            assert_eq!((refusal.status, refusal.fault.code), (429, "rate.limited"));
            refused += 1;
        }
    }
    refused
}

#[tokio::test]
async fn what_is_over_the_rate_is_refused_and_told_once_in_a_minute() {
    let world = Place::new(PERMIT).start().await;
    assert_eq!(limited(&world.broker).await, 100);
    assert_eq!(limited(&world.broker).await, 600, "no time has gone by");
    let told = refusals(&world.events().await);
    assert_eq!(told.len(), 1, "{told:?}");
    world.place.clock.step(60);
    assert_eq!(limited(&world.broker).await, 100);
    assert_eq!(refusals(&world.events().await).len(), 2);
    world.stop().await;
}

#[tokio::test]
async fn tokens_that_are_refused_take_nothing_from_good_ones() {
    let mut place = Place::new(PERMIT);
    place.rates = json!({ "sessions": 1, "refusals": 2 });
    let world = place.start().await;
    let mut codes = Vec::new();
    for _ in 0..50 {
        let open = request("no token".to_owned(), TARGET);
        codes.push(world.broker.open(&world.place.gateway, &open).await.unwrap_err().fault.code);
    }
    let limited = codes.iter().filter(|code| **code == "rate.limited").count();
    assert_eq!((limited, codes[0]), (30, "identity.refused"));
    assert_eq!(refusals(&world.events().await).len(), 21, "each, and the first over the rate");
    for _ in 0..10 {
        world.open().await.expect("a good token");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_gateway_that_asks_too_often_opens_nothing_and_another_does() {
    let mut place = Place::new(PERMIT);
    place.rates = json!({ "sessions": 1 });
    let world = place.start().await;
    for _ in 0..10 {
        world.open().await.expect("within the burst");
    }
    let refusal = world.open().await.expect_err("over the rate");
    assert_eq!((refusal.status, refusal.fault.code), (429, "rate.limited"));
    assert_eq!(world.place.provider.living().len(), 10, "nothing was minted for it");
    world.place.clock.step(1);
    world.open().await.expect("a second later");
    world.stop().await;
}
