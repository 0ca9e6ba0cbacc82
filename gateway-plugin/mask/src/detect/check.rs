//! Check digits, each over ASCII digits and nothing else: whoever calls has seen to that.

use super::text::value;

/// The check of ISO/IEC 7812-1 annex B (Luhn), the check digit included.
pub(crate) fn luhn(digits: &[u8]) -> bool {
    luhn_sum(digits, false).is_multiple_of(10)
}

/// The digit that makes these digits pass [`luhn`].
pub(crate) fn luhn_digit(digits: &[u8]) -> u8 {
    let rest = luhn_sum(digits, true) % 10;
    b'0' + ((10 - rest) % 10) as u8
}

fn luhn_sum(digits: &[u8], double_last: bool) -> u32 {
    let mut double = double_last;
    digits.iter().rev().fold(0, |sum, digit| {
        let digit = value(*digit);
        let add = match (double, digit) {
            (false, digit) => digit,
            (true, 5..) => 2 * digit - 9,
            (true, digit) => 2 * digit,
        };
        double = !double;
        sum + add
    })
}

/// Verhoeff's check by the dihedral group of order ten, the check digit included: the multiplication table and the
/// permutation of J. Verhoeff, Error Detecting Decimal Codes (1969).
pub(crate) fn verhoeff(digits: &[u8]) -> bool {
    let mut check = 0_u8;
    for (place, digit) in digits.iter().rev().enumerate() {
        let permuted = permute(digit.wrapping_sub(b'0'), place % 8);
        check = dihedral(check, permuted);
    }
    check == 0
}

const fn dihedral(left: u8, right: u8) -> u8 {
    match (left < 5, right < 5) {
        (true, true) => (left + right) % 5,
        (true, false) => (left + right - 5) % 5 + 5,
        (false, true) => (left - 5 + 5 - right) % 5 + 5,
        (false, false) => (left + 5 - right) % 5,
    }
}

fn permute(mut digit: u8, times: usize) -> u8 {
    const ONCE: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    for _ in 0..times {
        digit = ONCE.get(usize::from(digit)).copied().unwrap_or(0);
    }
    digit
}

/// ISO 7064 MOD 11,10, the check digit included.
pub(crate) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, digits)) = digits.split_last() else { return false };
    let product = digits.iter().fold(10, |product, digit| {
        let sum = (value(*digit) + product) % 10;
        (if sum == 0 { 10 } else { sum } * 2) % 11
    });
    (11 - product) % 10 == value(*check)
}

/// The remainder by 97 of a number in which each letter stands for two digits, A for 10 and Z for 35: ISO 7064 MOD 97-10.
pub(crate) fn mod_97(characters: impl Iterator<Item = u8>) -> u32 {
    characters.fold(0, |rest, character| match character {
        b'0'..=b'9' => (rest * 10 + value(character)) % 97,
        letter => (rest * 100 + u32::from(letter.to_ascii_uppercase().wrapping_sub(b'A')) + 10) % 97,
    })
}

/// A Brazilian check digit: weights from 2 upward from the right, begun again after `highest`, modulo 11.
pub(crate) fn brazilian(digits: &[u8], highest: u32) -> u8 {
    let weights = (2..=highest).cycle();
    let sum: u32 = digits.iter().rev().zip(weights).map(|(digit, weight)| value(*digit) * weight).sum();
    match sum % 11 {
        0 | 1 => b'0',
        rest => b'0' + (11 - rest) as u8,
    }
}

#[cfg(test)]
mod tests;
