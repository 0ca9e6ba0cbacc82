//! Runs one target for as long as one likes, on stable Rust: `cargo run --release -p writ-fuzz --example long -- relay 600 [SEED]`.
//!
//! An input that fails is written into the target's corpus, from where every test run takes it.

use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs, panic};

use writ_fuzz::mutate::{Random, mutate};
use writ_fuzz::{TARGETS, target};

/// The most inputs kept in memory to mutate.
const MOST_KNOWN: usize = 4096;

#[expect(clippy::print_stdout, reason = "a program for people")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, name, seconds, more @ ..] = arguments.as_slice() else { return Err("say TARGET SECONDS [SEED]".into()) };
    let names = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    let target = target(name).ok_or_else(|| format!("no target `{name}`: there are {}", names()))?;
    let seed = more.first().map_or(Ok(1), |seed| seed.parse())?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut known = Vec::new();
    for entry in fs::read_dir(&folder)? {
        known.push(fs::read(entry?.path())?);
    }
    let (mut random, mut runs, mut failures) = (Random::new(seed), 0_u64, 0);
    let (begun, limit) = (Instant::now(), Duration::from_secs(seconds.parse()?));
    while begun.elapsed() < limit {
        let input = mutate(&known, target.words, &mut random);
        runs += 1;
        if panic::catch_unwind(|| (target.run)(&input)).is_err() {
            failures += 1;
            fs::write(folder.join(format!("found-{seed}-{runs}")), &input)?;
        } else if random.below(64) == 0 && known.len() < MOST_KNOWN {
            // Without a measure of what an input reached, some are kept at random: so mutations pile up.
            known.push(input);
        }
        if failures >= 5 {
            break;
        }
    }
    println!("{name}: {runs} runs from seed {seed}, {failures} failures");
    if failures == 0 { Ok(()) } else { Err("see the corpus for what failed".into()) }
}
