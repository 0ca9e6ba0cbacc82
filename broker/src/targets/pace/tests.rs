use tokio::time::advance;

use super::*;

fn taken(pace: &Pace, a_second: u32, asked: usize) -> usize {
    (0..asked).filter(|_| pace.take(a_second)).count()
}

#[tokio::test(start_paused = true)]
async fn a_seconds_worth_comes_at_once_and_the_rest_evenly() {
    let pace = Pace::default();
    assert_eq!(taken(&pace, 50, 1000), 50);
    for _ in 0..10 {
        advance(Duration::from_millis(100)).await;
        assert_eq!(taken(&pace, 50, 1000), 5);
    }
    advance(Duration::from_secs(3600)).await;
    assert_eq!(taken(&pace, 50, 1000), 50, "what was not used is not kept");
}

#[tokio::test(start_paused = true)]
async fn one_a_second_is_one_a_second() {
    let pace = Pace::default();
    for _ in 0..5 {
        assert_eq!(taken(&pace, 1, 10), 1);
        advance(Duration::from_secs(1)).await;
    }
}
