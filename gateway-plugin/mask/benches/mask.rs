//! What masking costs: rows without anything to mask, and rows with a little. Prints figures and asserts nothing.

use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use writ_mask::detect::{Detector, Scanner, Set};

type Failure = Box<dyn std::error::Error>;

/// Bytes that stay in the second cache.
const SIZE: usize = 256 << 10;
const ROUNDS: u32 = 9;
const LEAST: Duration = Duration::from_millis(120);

/// A row of an orders table as text: identifiers, names, amounts, times, a status and a remark.
fn row(number: u64) -> Vec<Vec<u8>> {
    const NAMES: [&str; 6] = ["Jane Doe", "Ravi Kumar", "Zoë Müller", "Ana Souza", "Li Wei", "Olga Petrova"];
    const NOTES: [&str; 4] = [
        "left at the reception, signed by a neighbour",
        "customer asked for a delivery after six in the evening",
        "gift wrapped; the invoice goes by post",
        "second attempt, the address was hard to find",
    ];
    let pick = |list: &[&str]| list[(number * 7919 % list.len() as u64) as usize].as_bytes().to_vec();
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    vec![
        number.to_string().into_bytes(),
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            spread >> 32,
            spread >> 16 & 0xffff,
            spread & 0xfff,
            spread >> 7 & 0xfff,
            spread >> 16
        )
        .into_bytes(),
        pick(&NAMES),
        format!("{}.{:02}", spread % 10_000, spread % 100).into_bytes(),
        format!(
            "2026-{:02}-{:02} {:02}:{:02}:{:02}.{:06}+00",
            1 + spread % 12,
            1 + spread % 28,
            spread % 24,
            spread % 60,
            spread % 59,
            spread % 1_000_000
        )
        .into_bytes(),
        b"shipped".to_vec(),
        pick(&NOTES),
    ]
}

/// Frames of rows, with a card number in each `density`th where that is not 0.
fn frames(density: u64) -> (Vec<u8>, u64) {
    let (mut out, mut rows) = (Vec::with_capacity(SIZE + 512), 0);
    while out.len() < SIZE {
        rows += 1;
        let mut fields = row(rows);
        if density > 0 && rows % density == 0 {
            fields[5] = b"4111111111111111".to_vec();
        }
        let length: usize = fields.iter().map(|field| 4 + field.len()).sum();
        out.push(b'D');
        out.extend(((length + 6) as u32).to_be_bytes());
        out.extend((fields.len() as u16).to_be_bytes());
        for field in fields {
            out.extend((field.len() as u32).to_be_bytes());
            out.extend(field);
        }
    }
    (out, rows)
}

/// The processor time that this process has used: other processes may share the core.
fn used() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}

/// The median rate in GB/s of processor time.
fn rate(bytes: usize, mut work: impl FnMut()) -> f64 {
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (before, start, mut times) = (used(), Instant::now(), 0_u32);
            while start.elapsed() < LEAST {
                work();
                times += 1;
            }
            bytes as f64 * f64::from(times) / (used() - before) / 1e9
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for (name, wanted) in [("card numbers", Set::NONE.with(Detector::Pan)), ("all detectors", Set::ALL)] {
        let mut scanner = Scanner::new(wanted, &[]);
        let (bytes, _) = frames(0);
        let mut hits = Vec::new();
        let found = rate(bytes.len(), || {
            hits.clear();
            scanner.find(black_box(&bytes), &mut hits);
            black_box(&hits);
        });
        writeln!(out, "{name}, one value of 256 KiB, no match: {found:.2} GB/s ({} hits)", hits.len())?;
    }
    Ok(())
}
