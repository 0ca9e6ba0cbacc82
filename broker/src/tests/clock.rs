//! What a stepped clock stops.

use writ_core::event::Event;

use super::world::{TARGET, kinds, world};

fn steps(events: &[Event]) -> Vec<i64> {
    let by = |event: &Event| match event {
        Event::ClockStepped { by_milliseconds } => Some(*by_milliseconds),
        _ => None,
    };
    events.iter().filter_map(by).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_issued_by_a_clock_that_was_set() {
    let world = world().await;
    let before = world.place.token();
    world.open().await.unwrap();
    for by in [-3600, 3600] {
        world.place.clock.set_wall(by);
        // A token that the new time makes good is refused for the clock, not for itself.
        for token in [before.clone(), world.place.token()] {
            let refusal = world.open_with(token, TARGET).await.unwrap_err();
            assert_eq!((refusal.status, refusal.fault.code), (503, "clock.stepped"));
        }
        assert!(!world.broker.is_ready());
        world.place.clock.set_wall(-by);
        world.open().await.unwrap();
        assert!(world.broker.is_ready());
    }
    assert_eq!(world.place.provider.minted().len(), 3);
    assert_eq!(steps(&world.events().await), [-3_600_000, 3_600_000, 3_600_000, -3_600_000]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_ahead_makes_no_used_token_new() {
    let world = world().await;
    let token = world.place.token();
    for _ in 0..3 {
        world.open_with(token.clone(), TARGET).await.unwrap();
    }
    world.place.clock.set_wall(3600);
    world.broker.settle().await;
    world.place.clock.set_wall(-3600);
    assert_eq!(world.open_with(token, TARGET).await.unwrap_err().fault.code, "token.used");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_in_the_ledger_though_nobody_asks_for_anything() {
    let world = world().await;
    world.place.clock.set_wall(-11);
    world.broker.settle().await;
    world.broker.settle().await;
    assert_eq!(kinds(&world.events().await), ["clock_stepped"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_cannot_be_written_down_stops_everything_until_it_is() {
    let world = world().await;
    world.store.all(true);
    world.place.clock.set_wall(60);
    assert_eq!(world.open().await.unwrap_err().fault.code, "evidence.unwritable");
    world.place.clock.set_wall(-60);
    assert_eq!(world.open().await.unwrap_err().fault.code, "evidence.unwritable");
    world.store.all(false);
    world.open().await.unwrap();
    world.stop().await;
}
