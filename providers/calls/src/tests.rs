use std::cell::Cell;

use super::*;

fn gone() -> ProviderFault {
    ProviderFault::Unreachable("gone".to_owned())
}

#[tokio::test(start_paused = true)]
async fn what_fails_harmlessly_is_called_again_and_not_for_ever() {
    let calls = Cell::new(0);
    let answer = repeated("calling", Duration::from_secs(5), || {
        calls.set(calls.get() + 1);
        let third = calls.get() == 3;
        async move { if third { Ok(7) } else { Err(Failed::Harmlessly(gone())) } }
    });
    assert_eq!(answer.await, Ok(7));
    calls.set(0);
    let answer = repeated("calling", Duration::from_secs(5), || {
        calls.set(calls.get() + 1);
        async { Err::<(), _>(Failed::Harmlessly(gone())) }
    });
    assert_eq!(answer.await, Err(gone()));
    assert_eq!(calls.get(), ATTEMPTS);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_taken_effect_is_not_called_again() {
    let calls = Cell::new(0);
    let answer = repeated("calling", Duration::from_secs(5), || {
        calls.set(calls.get() + 1);
        async { Err::<(), _>(Failed::ForGood(gone())) }
    });
    assert_eq!(answer.await, Err(gone()));
    assert_eq!(calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_takes_longer_than_its_deadline() {
    let (begun, deadline) = (Instant::now(), Duration::from_millis(250));
    let never = repeated("calling", deadline, std::future::pending::<Result<(), Failed>>).await;
    assert_eq!(never, Err(ProviderFault::Unreachable("calling: no answer within 250 ms".to_owned())));
    assert_eq!(begun.elapsed(), deadline);
    let begun = Instant::now();
    let never = within("calling", deadline, std::future::pending::<Result<(), ProviderFault>>()).await;
    assert!(never.is_err());
    assert_eq!(begun.elapsed(), deadline);
    let refused = repeated("calling", Duration::from_millis(40), || async { Err::<(), _>(Failed::Harmlessly(gone())) });
    assert_eq!(refused.await, Err(gone()), "there was no time for another attempt");
}

#[test]
fn words_from_outside_stay_on_their_line() {
    assert_eq!(plain("a\r\nb\u{1b}[0m"), "a  b [0m");
    assert_eq!(plain(&"x".repeat(1000)).len(), MESSAGE_LIMIT);
}
