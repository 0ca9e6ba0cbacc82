//! Bugs: what panics fails by itself, and takes nothing with it.

use writ_core::event::Event;
use writ_core::writ::WritState;

use super::provider::Mode;
use super::world::{ended, refusals, until, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_that_panics_is_refused_and_taken_back() {
    let world = world().await;
    world.place.provider.on_mint(Mode::Panicking);
    assert_eq!(world.open().await.unwrap_err().fault.code, "provider.unreachable");
    world.until_nothing_lives().await;
    assert_eq!(refusals(&world.events().await).len(), 1);
    world.place.provider.on_mint(Mode::Good);
    world.open().await.unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_panics_has_failed_and_is_tried_again() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    world.place.provider.on_revoke(Mode::Panicking);
    world.broker.close(&world.place.gateway, opened.session, &ended()).await.unwrap();
    let failed = |event: &Event| matches!(event, Event::RevocationFailed { detail, .. } if detail.contains("broke off by a bug"));
    world.until_event("the failure is written down", failed).await;
    world.place.provider.on_revoke(Mode::Good);
    world.place.clock.step(400);
    world.broker.due.notify_one();
    world.until_nothing_lives().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_panics_leaves_the_other_targets_theirs() {
    let world = world().await;
    let calls = || world.place.provider.swept_with().len();
    until("the first sweep is over", async || calls() == 2).await;
    world.place.provider.on_sweep(Mode::Panicking);
    world.broker.sweep().await;
    assert_eq!(calls(), 4, "each of the two targets had its turn");
    world.stop().await;
}

/// A janitor that broke off is begun anew, and the broker does not call itself ready without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_janitor_that_panics_shows_and_comes_back() {
    let world = world().await;
    let opened = world.open().await.unwrap();
    assert!(world.broker.is_ready());
    world.store.panics_at_prune(true);
    until("the broker says that it is not ready", async || !world.broker.is_ready()).await;
    world.store.panics_at_prune(false);
    until("the janitor is back", async || world.broker.is_ready()).await;
    // It settles, though nobody calls it.
    world.place.clock.step(600 + 121);
    let settled = async || world.broker.writ(opened.writ).await.unwrap().state == WritState::Closed;
    until("what is over is settled", settled).await;
    world.stop().await;
}

/// The ledger's writer is not begun anew: it must recover the head first, which a start does. Nothing is issued without it, and
/// that shows.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_whose_writer_is_gone_is_not_ready() {
    let world = world().await;
    assert!(world.broker.is_ready());
    world.store.panics_at_commit();
    assert!(world.open().await.is_err());
    until("the broker says that it is not ready", async || !world.broker.is_ready()).await;
    assert!(world.place.provider.minted().is_empty(), "without evidence nothing is minted");
    world.stop().await;
}
