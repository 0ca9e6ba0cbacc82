use tokio::time::advance;

use super::*;

/// One call that is let through, and what becomes of it.
fn called(breaker: &Breaker, reached: bool) -> bool {
    let finds_out = breaker.admit().unwrap().take();
    breaker.tell(reached, finds_out)
}

fn refused(breaker: &Breaker) -> Option<Duration> {
    breaker.admit().err()
}

fn broken() -> Breaker {
    let breaker = Breaker::default();
    for _ in 1..FAILURES {
        assert!(!called(&breaker, false));
    }
    assert!(called(&breaker, false));
    breaker
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_answer_is_left_alone_and_then_asked_once() {
    let breaker = broken();
    assert_eq!((refused(&breaker), breaker.resting()), (Some(FIRST_REST), Some(FIRST_REST)));
    advance(FIRST_REST).await;
    let finds_out = breaker.admit().unwrap().take();
    assert_eq!(refused(&breaker), Some(FIRST_REST), "one call finds out");
    assert!(!breaker.tell(true, finds_out));
    assert_eq!((refused(&breaker), breaker.resting()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn each_rest_is_twice_as_long_up_to_a_limit() {
    let breaker = broken();
    let mut rest = FIRST_REST;
    for _ in 0..8 {
        advance(rest).await;
        assert!(called(&breaker, false));
        rest = (rest * 2).min(LONGEST_REST);
        assert_eq!(refused(&breaker), Some(rest));
    }
    assert_eq!(rest, LONGEST_REST);
}

#[tokio::test(start_paused = true)]
async fn failures_count_only_in_a_row() {
    let breaker = Breaker::default();
    for _ in 0..20 {
        for _ in 1..FAILURES {
            assert!(!breaker.tell(false, false));
        }
        assert!(!breaker.tell(true, false));
        assert_eq!(refused(&breaker), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_finds_out_and_is_never_heard_of_does_not_close_the_way_for_ever() {
    let breaker = broken();
    advance(FIRST_REST).await;
    assert!(breaker.admit().unwrap().take());
    assert_eq!(refused(&breaker), Some(FIRST_REST));
    advance(FIRST_REST).await;
    assert_eq!(refused(&breaker), None);
}

#[tokio::test(start_paused = true)]
async fn who_is_let_through_and_does_not_call_leaves_the_place_to_the_next() {
    let breaker = broken();
    advance(FIRST_REST).await;
    for _ in 0..3 {
        drop(breaker.admit().unwrap());
    }
    assert!(!called(&breaker, true));
    assert_eq!(breaker.resting(), None);
    // One that was given out before there was a rest ends none.
    let early = breaker.admit().unwrap();
    for _ in 0..FAILURES {
        let _ = breaker.tell(false, false);
    }
    drop(early);
    assert_eq!(refused(&breaker), Some(FIRST_REST));
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_under_way_make_a_rest_no_longer() {
    let breaker = broken();
    for _ in 0..100 {
        assert!(!breaker.tell(false, false));
    }
    assert_eq!(refused(&breaker), Some(FIRST_REST));
    advance(FIRST_REST).await;
    assert!(called(&breaker, false), "the call that finds out does");
    assert_eq!(refused(&breaker), Some(FIRST_REST * 2));
}
