//! The broker is killed somewhere in a mint: what another broker, that knows the intent alone, finds and takes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use writ_core::provider::Provider as _;
use writ_provider_kit as kit;

use crate::https::{Https, forward};
use crate::world::{Place, World, provider};
use crate::{DEADLINE, LIFE, dynamic};

/// Login, note, secret, and the two that make it last.
const CALLS: usize = 5;

pub(crate) async fn check(world: &World) {
    for killed_at in 1..=CALLS {
        killed_in_the_mint(world, killed_at).await;
    }
    killed_before_the_outcome(world).await;
}

/// OpenBao gets the request, and the broker is gone before the answer.
async fn killed_in_the_mint(world: &World, at: usize) {
    let (port, pem) = (world.bao.port(), world.bao.ca_pem().to_owned());
    let (calls, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, ended) = (Arc::clone(&calls), Arc::clone(&done));
    let before = Https::start(move |head, body| {
        let call = counted.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = forward(port, &pem, head, body);
        ended.fetch_max(call, Ordering::SeqCst);
        if call < at { answer } else { Vec::new() }
    });
    let users = world.users().await;
    let place = Place::of(&before, world.files.path());
    let doomed = provider(&place, &json!({}), &world.issuer.trusted);
    let (writ, target) = (kit::writ(None, LIFE), world.target.clone());
    let intended = kit::intended(&writ);
    let mint = tokio::spawn(async move { doomed.mint(&target, intended, DEADLINE).await.map(drop) });
    let until = Instant::now() + Duration::from_secs(20);
    while done.load(Ordering::SeqCst) < at {
        assert!(Instant::now() < until, "call {at} was not made");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    mint.abort();
    let _ = mint.await;
    let id = writ.id.to_string();
    assert_eq!(world.noted(&id).await, at >= 2, "call {at}");
    world.another().revoke(&world.target, &writ, DEADLINE).await.unwrap();
    assert!(!world.noted(&id).await, "call {at}: the note is left");
    let left = world.tokens(&id).await;
    if at == 1 {
        // Nobody has it, nothing hangs on it, and it ends in a minute.
        assert!(left.iter().all(|(_, life)| *life <= 60), "{left:?}");
    } else {
        assert_eq!(left, [], "call {at}: a token is left");
    }
    while world.users().await != users {
        assert!(Instant::now() < until, "call {at}: a user is left");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Between the mint and the ledger's entry of its outcome.
async fn killed_before_the_outcome(world: &World) {
    let writ = kit::writ(None, LIFE);
    let minted = world.provider.mint(&world.target, kit::intended(&writ), DEADLINE).await.unwrap();
    let user = minted.credential().unwrap().principal.clone();
    drop(minted);
    assert!(world.has_user(&user).await);
    world.another().revoke(&world.target, &writ, DEADLINE).await.unwrap();
    dynamic::gone(world, &writ.id.to_string(), &user).await;
}
