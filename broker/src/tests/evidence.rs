//! No evidence, no access: what happens when the ledger cannot be written.

use writ_core::event::Event;
use writ_core::writ::WritState;

use super::world::{refusals, until, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_whose_issuance_cannot_be_written_is_not_released_and_is_taken_back() {
    let world = world().await;
    world.store.next_outcome();
    let refusal = world.open().await.unwrap_err();
    assert_eq!((refusal.status, refusal.fault.code), (503, "evidence.unwritable"));
    world.until_nothing_lives().await;
    let writ = world.place.provider.minted()[0];
    let events = world.until_event("it is settled", |event| matches!(event, Event::CredentialRevoked { .. })).await;
    assert!(events.iter().any(|event| matches!(event, Event::WritAbandoned { writ: of } if *of == writ)));
    assert!(!events.iter().any(|event| matches!(event, Event::WritIssued { .. })));
    let stored = world.broker.writ(writ).await.unwrap();
    assert_eq!((stored.state, stored.closed.is_some()), (WritState::Abandoned, true));
    world.open().await.unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_for_long_leaves_no_credential_and_no_open_writ() {
    let world = world().await;
    // The intent is durable; from then on nothing is, as if the disk were full.
    world.store.after_next_commit();
    let refusal = world.open().await.unwrap_err();
    assert_eq!(refusal.fault.code, "evidence.unwritable");
    // Taken back at once, without waiting for evidence.
    world.until_nothing_lives().await;
    assert_eq!(world.open().await.unwrap_err().fault.code, "evidence.unwritable");
    assert_eq!(world.place.provider.minted().len(), 1, "nothing is minted while nothing can be written");

    world.store.all(false);
    world.place.clock.step(60);
    world.broker.settle().await;
    let writ = world.place.provider.minted()[0];
    let events = world.until_event("it is settled", |event| matches!(event, Event::CredentialRevoked { .. })).await;
    assert!(events.iter().any(|event| matches!(event, Event::WritAbandoned { writ: of } if *of == writ)));
    world.open().await.unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_whose_files_cannot_be_written_stops_issuance_until_it_can() {
    let world = world().await;
    world.open().await.unwrap();
    world.events().await;
    // A directory where the checkpoint's next form is written: no permissions are needed for it to fail.
    let obstacle = world.place.path("evidence/ledger/checkpoint.partial");
    std::fs::create_dir(&obstacle).unwrap();
    let _ = world.open().await;
    until("the broker says that it cannot serve", async || !world.broker.is_ready()).await;
    let minted = world.place.provider.minted().len();
    assert_eq!(world.open().await.unwrap_err().fault.code, "evidence.unwritable");
    assert_eq!(world.place.provider.minted().len(), minted);
    std::fs::remove_dir(&obstacle).unwrap();
    until("it serves again", async || world.open().await.is_ok()).await;
    assert!(world.broker.is_ready());
    let refused = refusals(&world.events().await).len();
    assert_eq!(refused, 0, "what was refused while nothing could be written is not there");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_leaves_no_credential_and_stops_nothing_that_comes_after() {
    let world = world().await;
    world.open().await.unwrap();
    for _ in 0..3 {
        world.store.lose_next_answer();
        let refusal = world.open().await.unwrap_err();
        assert_eq!(refusal.fault.code, "evidence.unwritable", "what may not be durable lets nothing go");
        world.open().await.expect("the head that the store has is taken over");
    }
    assert_eq!(world.place.provider.living().len(), 4, "nothing was minted for what was refused");
    let intents = world.events().await.iter().filter(|event| matches!(event, Event::WritIntended { .. })).count();
    assert_eq!(intents, 7, "the intents whose answer was lost are durable all the same");
    world.place.clock.step(3600);
    world.broker.settle().await;
    let settled = async || {
        let events = world.events().await;
        events.iter().filter(|event| matches!(event, Event::WritAbandoned { .. })).count() == 3
    };
    until("each is settled", settled).await;
    world.stop().await;
}
