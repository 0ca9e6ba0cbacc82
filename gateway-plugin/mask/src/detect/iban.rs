//! International bank account numbers.
//!
//! Source: ISO 13616-1 and the IBAN registry of SWIFT for the lengths of each country; check digits by ISO 7064 MOD 97-10.
//!
//! Matched: letters of either case, in one run or in groups of four with single spaces between them. Not matched, deliberately:
//! countries that are not in the registry, other separators, numbers within a word.

use core::ops::Range;

use super::check::mod_97;
use super::text::{Gathered, byte, closes, opens};
use super::{Detector, Hit};

/// The most characters of any country.
const MOST: usize = 34;

/// The countries of the registry with the length of their numbers.
const COUNTRIES: &[(&[u8; 2], u8)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// Appends the numbers in `text` that begin in a range.
pub(crate) fn scan(text: &[u8], near: Range<usize>, hits: &mut Vec<Hit>) {
    let (mut from, first) = (0, near.start);
    let reach = text.get(first..text.len().min(near.end + 3)).unwrap_or_default();
    for (place, window) in reach.windows(4).enumerate() {
        let [a, b, c, d] = window else { break };
        let at = first + place;
        let begins = a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && c.is_ascii_digit() && d.is_ascii_digit();
        if !begins || at < from || !opens(text, at) {
            continue;
        }
        if let Some(end) = number(text, at, [a.to_ascii_uppercase(), b.to_ascii_uppercase()]) {
            hits.push(Hit { start: at, end, detector: Detector::Iban });
            from = end;
        }
    }
}

fn number(text: &[u8], start: usize, country: [u8; 2]) -> Option<usize> {
    let index = COUNTRIES.binary_search_by(|(code, _)| (**code).cmp(&country)).ok()?;
    let length = usize::from(COUNTRIES.get(index)?.1);
    let (mut number, mut at, spaced) = (Gathered::<MOST>::new(), start, byte(text, start + 4) == b' ');
    while number.as_slice().len() < length {
        let next = byte(text, at);
        let whole_group = number.as_slice().len().is_multiple_of(4) && number.as_slice().len() >= 4;
        let next = if spaced && whole_group && next == b' ' {
            at += 1;
            byte(text, at)
        } else {
            next
        };
        if !next.is_ascii_alphanumeric() {
            return None;
        }
        number.push(next);
        at += 1;
    }
    let (head, rest) = number.as_slice().split_at_checked(4)?;
    (closes(text, at) && mod_97(rest.iter().chain(head).copied()) == 1).then_some(at)
}

#[cfg(test)]
mod tests;
