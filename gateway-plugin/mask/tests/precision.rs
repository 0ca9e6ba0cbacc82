//! Precision and recall of each detector, held to `docs/masking.md`.

use writ_mask::detect::{Detector, Scanner, Set};

use crate::corpus::{Random, around, near, value};

const SEED: u64 = 20_260_101;
/// Planted values of each kind.
const PLANTED: usize = 400;
/// Values that come near, for all detectors alike.
const NEAR: usize = 8000;

/// Per cent, rounded down.
#[derive(Debug, PartialEq, Eq)]
struct Measured {
    precision: usize,
    recall: usize,
}

fn hits(scanner: &mut Scanner, text: &str) -> usize {
    let mut hits = Vec::new();
    scanner.find(text.as_bytes(), &mut hits);
    hits.len()
}

/// Of texts with a planted value, those in which the detector covers it are found; of all others, those with a hit are false.
fn measure(detector: Detector) -> Measured {
    let name = detector.name().unwrap();
    let mut random = Random::new(SEED);
    let mut scanner = Scanner::new(Set::NONE.with(detector), &[]);
    let (mut found, mut wrong) = (0, 0);
    for _ in 0..PLANTED {
        let (front, back) = around(&mut random);
        found += usize::from(hits(&mut scanner, &format!("{front}{}{back}", value(name, &mut random))) == 1);
    }
    for _ in 0..NEAR {
        let (front, back) = around(&mut random);
        wrong += hits(&mut scanner, &format!("{front}{}{back}", near(&mut random)));
    }
    Measured { precision: found * 100 / (found + wrong).max(1), recall: found * 100 / PLANTED }
}

/// The least of each, in per cent.
fn least(detector: Detector) -> (usize, usize) {
    match detector {
        Detector::InAadhaar => (80, 99),
        Detector::Entropy => (97, 80),
        Detector::Pan => (95, 99),
        _ => (95, 98),
    }
}

#[test]
fn detectors_are_as_good_as_the_manual_says() {
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/masking.md")).unwrap();
    let mut missing = Vec::new();
    for detector in Detector::ALL {
        let measured = measure(*detector);
        let (precision, recall) = least(*detector);
        let line = format!("| `{}` | {} % | {} % |", detector.name().unwrap(), measured.precision, measured.recall);
        assert!(measured.precision >= precision && measured.recall >= recall, "{line}");
        if !manual.contains(&line) {
            missing.push(line);
        }
    }
    assert!(missing.is_empty(), "docs/masking.md does not say:\n{}", missing.join("\n"));
}
