//! Primary account numbers.
//!
//! Source: ISO/IEC 7812-1 for length (here 13 to 19 digits) and check digit, and the issuer ranges that the networks
//! publish for their numbers: American Express, Diners Club, Discover, JCB, Maestro, Mastercard, Mir, RuPay, Troy,
//! `UnionPay`, Verve, Visa.
//!
//! Matched: the digits in one run, or in groups with single spaces or hyphens between them; a card's number may be followed by
//! further groups. Not matched, deliberately: a number within a longer run of digits or within a word (`a4111111111111111`, digits of a UUID),
//! the digits behind a decimal point, other separators, ranges that no network uses, and Maestro's numbers of 12 digits.

use core::ops::Range;

use super::check::luhn;
use super::text::{Gathered, before, byte, closes, opens};
use super::{Detector, Hit};

/// The most digits of a number.
const MOST: usize = 19;

/// Appends the numbers in `text` that begin in a range.
pub(crate) fn scan(text: &[u8], near: Range<usize>, hits: &mut Vec<Hit>) {
    let mut at = near.start;
    while at < near.end {
        if !byte(text, at).is_ascii_digit() {
            at += 1;
            continue;
        }
        let group = super::text::run(text, at, |byte| byte.is_ascii_digit());
        let begins = opens(text, at) && !is_fraction(text, at) && group <= MOST;
        match begins.then(|| longest(text, at)).flatten() {
            Some(end) => {
                hits.push(Hit { start: at, end, detector: Detector::Pan });
                at = end;
            }
            None => at += group,
        }
    }
}

/// Whether the digits here are behind a decimal point.
fn is_fraction(text: &[u8], at: usize) -> bool {
    before(text, at) == b'.' && at >= 2 && byte(text, at - 2).is_ascii_digit()
}

/// The end of the longest number that begins here.
fn longest(text: &[u8], start: usize) -> Option<usize> {
    let (mut digits, mut at, mut found) = (Gathered::<MOST>::new(), start, None);
    loop {
        let here = byte(text, at);
        if here.is_ascii_digit() {
            if !digits.push(here) {
                return found;
            }
            at += 1;
            continue;
        }
        if closes(text, at) && is_pan(digits.as_slice()) {
            found = Some(at);
        }
        if !matches!(here, b' ' | b'-') || !byte(text, at + 1).is_ascii_digit() {
            return found;
        }
        at += 1;
    }
}

/// Whether these digits are a primary account number.
pub(crate) fn is_pan(digits: &[u8]) -> bool {
    (13..=MOST).contains(&digits.len()) && is_issued(digits) && luhn(digits)
}

/// Whether a network issues numbers of this length that begin so.
fn is_issued(digits: &[u8]) -> bool {
    let prefix = digits.iter().take(6).fold(0, |sum, digit| sum * 10 + super::text::value(*digit));
    let length = digits.len();
    match prefix / 10_000 {
        40..=49 => matches!(length, 13 | 16 | 19),
        51..=55 => length == 16,
        22 => match prefix / 100 {
            2200..=2204 => (16..=19).contains(&length),
            2221..=2299 => length == 16,
            _ => false,
        },
        23..=26 => length == 16,
        27 => prefix / 100 <= 2720 && length == 16,
        34 | 37 => length == 15,
        30 => matches!(prefix / 1000, 300..=305) && (14..=19).contains(&length) || prefix / 100 == 3095 && length >= 14,
        36 | 38 | 39 => (14..=19).contains(&length),
        35 => matches!(prefix / 100, 3528..=3589) && (16..=19).contains(&length),
        60 | 62 | 64 | 65 | 81 | 82 => (16..=19).contains(&length),
        50 | 56..=58 | 61 | 63 | 66..=69 => {
            matches!(prefix / 10_000, 50 | 56..=58) || matches!(prefix / 100, 6304 | 6706 | 6709 | 6759..=6763 | 6771)
        }
        97 => prefix / 100 == 9792 && length == 16,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
