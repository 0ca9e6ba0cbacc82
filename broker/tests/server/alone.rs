//! One state, one broker.

use std::sync::Arc;

use serde_json::{Value, json};
use writ_broker::Broker;
use writ_broker::broker::{Claim, StartFault};
use writ_broker::config::BrokerConfig;
use writ_broker::targets::Targets;
use writ_core::time::SystemClock;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_broker_on_a_state_does_not_start() {
    let world = World::start().await;
    let root = world.directory.path();
    let config: BrokerConfig<Value> = serde_json::from_value(json!({
        "listen": "127.0.0.1:0", "url": "https://localhost", "state": root.join("state"), "policies": root.join("policies"),
        "audience": "writ",
    }))
    .unwrap();
    let start = async || {
        let claim = Claim::take(&config.state)?;
        Broker::start(claim, &config, Targets::default(), Arc::new(SystemClock), String::new()).await
    };
    let fault = start().await.map(drop).unwrap_err();
    assert!(matches!(fault, StartFault::Taken { .. }), "{fault}");
    assert!(fault.to_string().contains("another broker runs on the state"), "{fault}");
    let log = root.join("state/evidence/ledger/checkpoint");
    let before = std::fs::read(&log).unwrap();
    assert!(start().await.is_err());
    assert_eq!(std::fs::read(&log).unwrap(), before, "nothing was published");

    let (serving, rest) = world.stop_listening();
    serving.await.unwrap();
    rest.await;
}
