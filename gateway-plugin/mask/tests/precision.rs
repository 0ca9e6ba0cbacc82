//! Precision and recall of each detector over the corpus.

use writ_mask::detect::{Detector, Scanner, Set};

use crate::corpus::{Random, around, near, spoiled, value};

pub(crate) const SEED: u64 = 20_260_101;
/// Planted values of each kind.
pub(crate) const PLANTED: usize = 400;
/// Values that come near, for all detectors alike.
pub(crate) const NEAR: usize = 8000;
/// Of each other kind, values in which a detector may find something too.
const OTHERS: usize = 50;

/// Per cent: rounded down, but for what is found where it should not be, which is rounded up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) precision: usize,
    pub(crate) recall: usize,
    pub(crate) others: usize,
}

fn hits(scanner: &mut Scanner, text: &str) -> usize {
    let mut hits = Vec::new();
    scanner.find(text.as_bytes(), &mut hits);
    hits.len()
}

/// Where in a value stands what nobody may see: all of it, but for the names of fields.
fn secret(planted: &str) -> (usize, usize) {
    if let Some(inside) = planted.strip_suffix("\"}") {
        return (inside.rfind('"').unwrap() + 1, inside.len());
    }
    (planted.strip_prefix("AccountKey=").map_or(0, |key| planted.len() - key.len()), planted.len())
}

/// Of texts with a planted value, those in which the detector covers it are found; of all others, those with a hit are false.
pub(crate) fn measure(detector: Detector) -> Measured {
    let name = detector.name().unwrap();
    let mut random = Random::new(SEED);
    let mut scanner = Scanner::new(Set::NONE.with(detector), &[]);
    let (mut found, mut wrong) = (0, 0);
    for _ in 0..PLANTED {
        let (front, back) = around(&mut random);
        let planted = value(name, &mut random);
        let mut hits = Vec::new();
        scanner.find(format!("{front}{planted}{back}").as_bytes(), &mut hits);
        let (start, end) = secret(&planted);
        let covers = |(from, to): (usize, usize)| from <= front.len() + start && to >= front.len() + end;
        found += usize::from(hits.len() == 1 && hits.iter().all(|hit| covers((hit.start, hit.end))));
    }
    for _ in 0..NEAR {
        let (front, back) = around(&mut random);
        wrong += hits(&mut scanner, &format!("{front}{}{back}", near(&mut random)));
    }
    let names: Vec<_> =
        Detector::ALL.iter().filter(|other| **other != detector).filter_map(|other| other.name()).collect();
    let other = |other: &str| (0..OTHERS).filter(|_| hits(&mut scanner, &value(other, &mut random)) > 0).count();
    let among: usize = names.iter().copied().map(other).sum();
    Measured {
        precision: found * 100 / (found + wrong).max(1),
        recall: found * 100 / PLANTED,
        others: (among * 100).div_ceil(names.len() * OTHERS),
    }
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
fn detectors_are_good_enough() {
    println!("seed {SEED}");
    for detector in Detector::ALL {
        let measured = measure(*detector);
        println!("{:14} {measured:?}", detector.name().unwrap());
        let (precision, recall) = least(*detector);
        assert!(measured.precision >= precision && measured.recall >= recall, "{detector:?}: {measured:?}");
    }
}

#[test]
fn a_wrong_digit_makes_a_number_none() {
    let checked = ["pan", "iban", "in-aadhaar", "de-tax-id", "fr-tax-id", "es-tax-id", "br-cpf", "br-cnpj"];
    for name in checked {
        let detector = Detector::by_name(name).unwrap();
        let (mut scanner, mut random) = (Scanner::new(Set::NONE.with(detector), &[]), Random::new(SEED));
        let wrong = (0..PLANTED).filter(|_| {
            let text = spoiled(&value(name, &mut random), &mut random);
            hits(&mut scanner, &text) > 0
        });
        let wrong = wrong.count();
        assert!(wrong * 100 <= PLANTED, "`{name}` matches {wrong} of {PLANTED} numbers with a wrong digit");
    }
}
