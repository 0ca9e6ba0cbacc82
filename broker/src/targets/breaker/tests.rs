use tokio::time::advance;

use super::*;

fn broken() -> Breaker {
    let breaker = Breaker::default();
    for _ in 1..FAILURES {
        assert_eq!((breaker.admit(), breaker.tell(false)), (Ok(()), false));
    }
    assert_eq!((breaker.admit(), breaker.tell(false)), (Ok(()), true));
    breaker
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_answer_is_left_alone_and_then_asked_once() {
    let breaker = broken();
    assert_eq!((breaker.admit(), breaker.resting()), (Err(FIRST_REST), Some(FIRST_REST)));
    advance(FIRST_REST).await;
    assert_eq!(breaker.admit(), Ok(()));
    assert_eq!(breaker.admit(), Err(FIRST_REST), "one call finds out");
    assert!(breaker.tell(true) || breaker.resting().is_none());
    assert_eq!(breaker.admit(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn each_rest_is_twice_as_long_up_to_a_limit() {
    let breaker = broken();
    let mut rest = FIRST_REST;
    for _ in 0..8 {
        advance(rest).await;
        assert_eq!((breaker.admit(), breaker.tell(false)), (Ok(()), true));
        rest = (rest * 2).min(LONGEST_REST);
        assert_eq!(breaker.admit(), Err(rest));
    }
    assert_eq!(rest, LONGEST_REST);
}

#[tokio::test(start_paused = true)]
async fn failures_count_only_in_a_row() {
    let breaker = Breaker::default();
    for _ in 0..20 {
        for _ in 1..FAILURES {
            assert!(!breaker.tell(false));
        }
        assert!(!breaker.tell(true));
        assert_eq!(breaker.admit(), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_finds_out_and_is_never_heard_of_does_not_close_the_way_for_ever() {
    let breaker = broken();
    advance(FIRST_REST).await;
    assert_eq!(breaker.admit(), Ok(()));
    advance(FIRST_REST).await;
    assert_eq!(breaker.admit(), Ok(()));
}
