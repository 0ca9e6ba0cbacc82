//! What a mint costs beside the calls that it makes: for the providers' benchmarks, over a target that answers at once.

use std::time::{Duration, Instant};

use writ_core::proof::Intended;
use writ_core::provider::{Provider, ProviderFault};
use writ_core::target::Target;

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// What half of the mints cost at most beside their calls.
    pub p50: Duration,
    /// What 99 of 100 do.
    pub p99: Duration,
}

/// How long a mint may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Mints `rounds` times, each time beside `bare`: the same calls to the same target with nothing around them. The two take
/// turns, so that a noisy machine spoils both alike; their distributions are compared, not the single pairs.
///
/// # Errors
/// What the provider says, or what `bare` does.
pub async fn of_mint(
    provider: &dyn Provider,
    target: &Target,
    rounds: usize,
    mut intended: impl FnMut() -> Intended,
    mut bare: impl AsyncFnMut() -> Result<(), String>,
) -> Result<Cost, String> {
    let said = |fault: ProviderFault| format!("{fault:?}");
    let (mut minted, mut called) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    // The first pays for connections and whatever is made once.
    for round in 0..rounds.saturating_add(rounds / 10) {
        let ours = intended();
        let begun = Instant::now();
        drop(provider.mint(target, ours, DEADLINE).await.map_err(said)?);
        let mint = begun.elapsed();
        let begun = Instant::now();
        bare().await?;
        if round >= rounds / 10 {
            minted.push(mint);
            called.push(begun.elapsed());
        }
    }
    let at = |share: usize| quantile(&mut minted.clone(), share).saturating_sub(quantile(&mut called.clone(), share));
    Ok(Cost { p50: at(50), p99: at(99) })
}

fn quantile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}
