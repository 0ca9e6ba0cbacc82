//! What is logged of a session: which one it is and how it ended, under one span; never a token, a credential or a command.

use serde_json::Value;

use crate::world::evidence::TOKEN;
use crate::world::logs::lines_with;
use crate::world::raw::Raw;
use crate::world::{World, cluster, until};

fn parsed(text: &str) -> Vec<Value> {
    lines_with(text).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn each_session_has_one_span_with_its_numbers() {
    let world = World::start(|_| {}).await;
    let (mut one, two) = (world.raw().await, world.raw().await);
    one.ask("select 7").await;
    drop((one, two));
    world.ended(2).await;
    let admitted = world.fake.admitted.lock().unwrap().clone();
    for (session, writ) in admitted {
        let (session, writ) = (session.to_string(), writ.to_string());
        let count = |message: &str| parsed(&session).iter().filter(|line| line["fields"]["message"] == message).count();
        until("the span to close", || (count("close") > 0).then_some(())).await;
        assert_eq!((count("new"), count("close"), count("a session ended")), (1, 1, 1));
        let lines = parsed(&session);
        let end = lines.iter().find(|line| line["fields"]["message"] == "a session ended").unwrap();
        assert_eq!((end["span"]["session"].as_str(), end["span"]["writ"].as_str()), (Some(&*session), Some(&*writ)));
        assert_eq!(end["fields"]["end"], "Client");
    }
}

#[tokio::test]
async fn no_token_credential_or_value_is_logged() {
    let world = World::start(|_| {}).await;
    let mut raw = world.raw().await;
    raw.ask("select 'value-6a1f-of-a-customer'").await;
    raw.ask("select broken-6a1f-syntax from").await;
    let refused = Raw::login(world.port(), "token-6a1f-that-is-refused").await;
    assert!(refused.is_err());
    drop(raw);
    world.ended(1).await;
    assert!(!lines_with("a login was refused").is_empty() && !lines_with("a session ended").is_empty());
    for secret in [TOKEN, cluster().password(), "6a1f-"] {
        assert_eq!(lines_with(secret), Vec::<String>::new());
    }
}
