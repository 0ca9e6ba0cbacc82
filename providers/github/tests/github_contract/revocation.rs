//! Tokens end with their writs, an hour before they would.

use std::sync::Arc;

use serde_json::json;
use writ_core::provider::{Provider as _, ProviderFault, Revoked, Swept};
use writ_core::time::{Timestamp, after};
use writ_core::writ::CredentialFacts;
use writ_fakes::github::Trouble;
use writ_provider_github::Tokens;

use crate::world::{DEADLINE, World, mint, seen, target, writ};

#[tokio::test]
async fn one_token_goes_and_no_other() {
    let world = World::start();
    let provider = world.provider(json!({}));
    let (first, second) = (writ(None), writ(None));
    let minted = (mint(&provider, &first).await.unwrap(), mint(&provider, &second).await.unwrap());
    provider.revoke(&target(), &first, DEADLINE).await.unwrap();
    let secret = |minted: &writ_core::proof::Minted| minted.credential().unwrap().secret.expose().to_vec();
    assert!(seen(&world.github, &secret(&minted.0)).await.is_none());
    assert!(seen(&world.github, &secret(&minted.1)).await.is_some());
    assert_eq!(world.github.living(), 1);
}

/// The configuration is read again while sessions live: who took the token back must be told where it is from.
#[tokio::test]
async fn tokens_outlive_a_change_of_the_configuration() {
    let (world, elsewhere) = (World::start(), World::start());
    let tokens: Arc<Tokens> = Arc::default();
    let writ = writ(None);
    let before = world.provider_with(json!({}), Arc::clone(&tokens));
    mint(&before, &writ).await.unwrap();
    let now = world.provider_with(json!({ "api": elsewhere.github.url() }), tokens);
    now.revoke(&target(), &writ, DEADLINE).await.unwrap();
    assert_eq!(world.github.living(), 0);
    assert!(elsewhere.github.seen().is_empty(), "the token was shown to nobody else");
}

/// GitHub takes a token back from its holder alone. What a broker that is gone held lives to its end, and is said to.
#[tokio::test]
async fn what_nobody_holds_any_more_is_said_to_live() {
    let world = World::start();
    let mut writ = writ(None);
    let minted = mint(&world.provider(json!({})), &writ).await.unwrap();
    let successor = world.provider(json!({}));
    assert_eq!(successor.revoke(&target(), &writ, DEADLINE).await, Ok(Revoked::Left), "nor is it said to be gone");
    writ.credential = Some(CredentialFacts::of(minted.credential().unwrap(), false));
    let fault = successor.revoke(&target(), &writ, DEADLINE).await.unwrap_err();
    assert!(matches!(&fault, ProviderFault::Refused(text) if text.contains("it ends by itself at")), "{fault:?}");
    if let Some(facts) = &mut writ.credential {
        facts.expires = Some(Timestamp::from_second(Timestamp::now().as_second() - 1).unwrap());
    }
    assert_eq!(successor.revoke(&target(), &writ, DEADLINE).await, Ok(Revoked::Gone));
    // Of a mint that nobody knows of, no token lives two hours later.
    (writ.credential, writ.expires) = (None, Timestamp::from_second(Timestamp::now().as_second() - 7_200).unwrap());
    assert_eq!(successor.revoke(&target(), &writ, DEADLINE).await, Ok(Revoked::Gone));
}

/// What GitHub made and said to nobody can be shown by nobody.
#[tokio::test]
async fn a_token_whose_answer_was_lost_is_said_to_be_left() {
    let world = World::start();
    let provider = world.provider(json!({}));
    let writ = writ(None);
    world.github.trouble(Some(Trouble::CutShort));
    let fault = mint(&provider, &writ).await.unwrap_err();
    assert!(matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
    world.github.trouble(None);
    assert_eq!(world.github.living(), 1);
    assert_eq!(provider.revoke(&target(), &writ, DEADLINE).await, Ok(Revoked::Left));
}

/// A token that can do too much and could not be taken back at once is the broker's to come back for.
#[tokio::test]
async fn what_was_refused_and_is_left_is_taken_back_later() {
    let world = World::start();
    let provider = world.provider(json!({}));
    let writ = writ(None);
    world.github.trouble(Some(Trouble::MorePermissionsKept));
    let fault = mint(&provider, &writ).await.unwrap_err();
    let ProviderFault::Unreachable(text) = &fault else { panic!("{fault:?}") };
    assert!(text.contains("which was not asked for") && text.contains("could not be taken back"), "{text}");
    assert!(provider.revoke(&target(), &writ, DEADLINE).await.is_err());
    assert_eq!(world.github.living(), 1);
    world.github.trouble(None);
    assert_eq!(provider.revoke(&target(), &writ, DEADLINE).await, Ok(Revoked::Gone));
    assert_eq!(world.github.living(), 0);
}

#[tokio::test]
async fn trouble_while_taking_back_is_no_success() {
    let world = World::start();
    let provider = world.provider(json!({}));
    let writ = writ(None);
    mint(&provider, &writ).await.unwrap();
    for trouble in [Trouble::ServerError, Trouble::Throttled] {
        world.github.trouble(Some(trouble));
        let fault = provider.revoke(&target(), &writ, DEADLINE).await.unwrap_err();
        assert!(matches!(fault, ProviderFault::Unreachable(_)), "{fault:?}");
    }
    world.github.trouble(None);
    assert_eq!(world.github.living(), 1);
    provider.revoke(&target(), &writ, DEADLINE).await.unwrap();
    assert_eq!(world.github.living(), 0);
}

#[tokio::test]
async fn a_sweep_is_of_its_own_target_and_counts_what_stays() {
    let world = World::start();
    let provider = world.provider(json!({}));
    let mut over = writ(None);
    over.expires = Timestamp::from_second(Timestamp::now().as_second() - 60).unwrap();
    let mut other = over.clone();
    other.id = writ_core::id::WritId::fresh();
    other.target = writ_core::target::TargetName::new("other").unwrap();
    let mut later = writ(None);
    later.expires = after(Timestamp::now(), 600);
    for writ in [&over, &other, &later] {
        mint(&provider, writ).await.unwrap();
    }
    world.github.trouble(Some(Trouble::ServerError));
    assert_eq!(provider.sweep(&target(), &[], DEADLINE).await, Ok(Swept { removed: 0, left: 1 }));
    world.github.trouble(None);
    assert_eq!(provider.sweep(&target(), &[], DEADLINE).await, Ok(Swept { removed: 1, left: 0 }));
    assert_eq!(world.github.living(), 2);
}
