//! The comparison itself, with clocks that the test sets.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

#[derive(Default)]
struct Set {
    wall: AtomicI64,
    monotonic: AtomicI64,
}

impl Set {
    fn pass(&self, milliseconds: i64) {
        self.wall.fetch_add(milliseconds, Ordering::SeqCst);
        self.monotonic.fetch_add(milliseconds, Ordering::SeqCst);
    }

    fn set(&self, by: i64) {
        self.wall.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + self.wall.load(Ordering::SeqCst)).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic.load(Ordering::SeqCst).unsigned_abs())
    }
}

fn untold(milliseconds: i64) -> Seen {
    Seen::Untold(SignedDuration::from_millis(milliseconds))
}

fn watched() -> (Set, ClockWatch) {
    let clock = Set::default();
    let watch = ClockWatch::new(&clock, Duration::from_secs(10));
    (clock, watch)
}

#[test]
fn time_that_passes_is_no_step_however_long_nobody_looks() {
    let (clock, watch) = watched();
    for milliseconds in [0, 1, 86_400_000 * 30] {
        clock.pass(milliseconds);
        assert_eq!(watch.look(&clock), Seen::Steady);
    }
}

#[test]
fn a_step_of_more_than_the_allowed_is_seen_either_way_and_until_it_is_told() {
    for by in [10_001, -10_001, 3_600_000, i64::from(i32::MIN)] {
        let (clock, watch) = watched();
        clock.pass(5000);
        clock.set(by);
        assert_eq!((watch.look(&clock), watch.look(&clock)), (untold(by), untold(by)));
        watch.told(SignedDuration::from_millis(by));
        clock.pass(60_000);
        assert_eq!((watch.look(&clock), watch.is_steady()), (Seen::Off, false), "it does not heal by waiting");
    }
}

#[test]
fn small_corrections_are_followed_however_many() {
    let (clock, watch) = watched();
    for _ in 0..100 {
        clock.set(10_000);
        assert_eq!(watch.look(&clock), Seen::Steady);
    }
}

#[test]
fn a_clock_that_is_set_back_is_good_again_and_that_is_told_too() {
    let (clock, watch) = watched();
    clock.set(60_000);
    assert_eq!(watch.look(&clock), untold(60_000));
    watch.told(SignedDuration::from_millis(60_000));
    clock.set(-59_000);
    assert_eq!((watch.look(&clock), watch.is_steady()), (untold(-59_000), true));
    watch.told(SignedDuration::from_millis(-59_000));
    assert_eq!(watch.look(&clock), Seen::Steady);
}
