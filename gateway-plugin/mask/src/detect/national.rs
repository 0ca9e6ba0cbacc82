//! Numbers that states give to people and firms. One walk over the groups of digits finds those made of digits, one over the
//! words those with letters.
//!
//! | detector | source | matched | not matched, deliberately |
//! |---|---|---|---|
//! | US SSN | Social Security Administration, randomization rules of 2011 | `ddd-dd-dddd`, also with spaces | areas 000, 666 and 9xx, group 00, serial 0000; nine plain digits, which have no check digit |
//! | BR CPF | Receita Federal | 11 digits, plain or `ddd.ddd.ddd-dd`, two check digits | eleven equal digits |
//! | BR CNPJ | Receita Federal | 14 digits, plain or `dd.ddd.ddd/dddd-dd`, two check digits | the form with letters, fourteen equal digits |
//! | IN Aadhaar | UIDAI | 12 digits, plain or in fours, first 2 to 9, Verhoeff | virtual ids of 16 digits |
//! | DE tax id | Bundeszentralamt fuer Steuern | 11 digits, plain or `dd ddd ddd ddd`, first not 0, one digit of the first ten two or three times, MOD 11,10 | the older Steuernummer |
//! | FR tax id | Direction generale des Finances publiques (numero SPI) | 13 digits, plain or `dd dd ddd ddd ddd`, first 0 to 3, last three the rest by 511 | the number of social security |
//! | ES tax id | Agencia Tributaria, Orden EHA/451/2008 | DNI (8 digits, letter) and NIE (X, Y or Z, 7 digits, letter), letter by modulo 23, a hyphen before it allowed | the CIF of firms |
//! | IT tax id | Agenzia delle Entrate, D.M. 23/12/1976 | 16 characters with the check character | numbers with letters in place of digits for equal names (omocodia) |
//! | UK NINO | HMRC, NIM39110 | two letters, six digits, A to D, with single spaces between pairs allowed | prefixes that are not given out, numbers without the last letter |

use core::ops::Range;

use super::check::{brazilian, mod_11_10, verhoeff};
use super::text::{Gathered, before, byte, closes, opens, run, value};
use super::{Detector, Hit, Set};

/// The most digits of any number here.
const MOST: usize = 14;

/// Appends the numbers of digits of the kinds that are wanted that begin in a range.
pub(crate) fn digits(text: &[u8], near: Range<usize>, wanted: Set, hits: &mut Vec<Hit>) {
    let mut at = near.start;
    while at < near.end {
        let group = run(text, at, |byte| byte.is_ascii_digit());
        if group == 0 {
            at += 1;
            continue;
        }
        let begins = opens(text, at) && before(text, at) != b'.' && matches!(group, 2 | 3 | 4 | 11..=14);
        match begins.then(|| number(text, at, group, wanted)).flatten() {
            Some(hit) => {
                at = hit.end;
                hits.push(hit);
            }
            None => at += group,
        }
    }
}

/// A form: how many digits stand in each group, and what stands between the groups.
type Form = (&'static [usize], &'static [u8]);

/// The forms of each kind, and what makes digits one of them.
type Kind = (Detector, &'static [Form], fn(&[u8]) -> bool);

const KINDS: [Kind; 6] = [
    (Detector::UsSsn, &[(&[3, 2, 4], b"--"), (&[3, 2, 4], b"  ")], is_ssn),
    (Detector::BrCpf, &[(&[11], b""), (&[3, 3, 3, 2], b"..-")], is_cpf),
    (Detector::BrCnpj, &[(&[14], b""), (&[2, 3, 3, 4, 2], b"../-")], is_cnpj),
    (Detector::InAadhaar, &[(&[12], b""), (&[4, 4, 4], b"  "), (&[4, 4, 4], b"--")], is_aadhaar),
    (Detector::DeTaxId, &[(&[11], b""), (&[2, 3, 3, 3], b"   ")], is_german),
    (Detector::FrTaxId, &[(&[13], b""), (&[2, 2, 3, 3, 3], b"    ")], is_french),
];

/// The number that begins here with a group of this many digits.
fn number(text: &[u8], start: usize, group: usize, wanted: Set) -> Option<Hit> {
    KINDS.iter().filter(|(detector, ..)| wanted.has(*detector)).find_map(|(detector, forms, test)| {
        forms.iter().filter(|(groups, _)| groups.first() == Some(&group)).find_map(|form| {
            let (digits, end) = read(text, start, *form)?;
            test(digits.as_slice()).then_some(Hit { start, end, detector: *detector })
        })
    })
}

/// The digits of a form that stands here, and where they end.
fn read(text: &[u8], start: usize, (groups, between): Form) -> Option<(Gathered<MOST>, usize)> {
    let (mut digits, mut at) = (Gathered::new(), start);
    for (index, group) in groups.iter().enumerate() {
        if run(text, at, |byte| byte.is_ascii_digit()) != *group {
            return None;
        }
        for digit in text.get(at..at + group)? {
            digits.push(*digit);
        }
        at += group;
        if let Some(separator) = between.get(index) {
            if byte(text, at) != *separator {
                return None;
            }
            at += 1;
        }
    }
    closes(text, at).then_some((digits, at))
}

fn number_of(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(value(*digit)))
}

fn all_equal(digits: &[u8]) -> bool {
    digits.windows(2).all(|pair| pair.first() == pair.last())
}

fn is_ssn(digits: &[u8]) -> bool {
    let number = number_of(digits);
    let (area, group, serial) = (number / 1_000_000, number / 10_000 % 100, number % 10_000);
    !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0
}

fn is_cpf(digits: &[u8]) -> bool {
    let Some((numbers, [first, second])) = digits.split_last_chunk() else { return false };
    let Some(ten) = digits.get(..10) else { return false };
    !all_equal(digits) && brazilian(numbers, 10) == *first && brazilian(ten, 11) == *second
}

fn is_cnpj(digits: &[u8]) -> bool {
    let Some((numbers, [first, second])) = digits.split_last_chunk() else { return false };
    let Some(thirteen) = digits.get(..13) else { return false };
    !all_equal(digits) && brazilian(numbers, 9) == *first && brazilian(thirteen, 9) == *second
}

fn is_aadhaar(digits: &[u8]) -> bool {
    matches!(digits.first(), Some(b'2'..=b'9')) && verhoeff(digits)
}

fn is_german(digits: &[u8]) -> bool {
    let mut counts = [0_u8; 10];
    for digit in digits.iter().take(10) {
        if let Some(count) = counts.get_mut(value(*digit) as usize) {
            *count += 1;
        }
    }
    let repeated = counts.iter().filter(|count| **count > 1).count();
    let most = counts.iter().max().copied().unwrap_or(0);
    digits.first() != Some(&b'0') && repeated == 1 && matches!(most, 2 | 3) && mod_11_10(digits)
}

fn is_french(digits: &[u8]) -> bool {
    let Some((numbers, check)) = digits.split_at_checked(10) else { return false };
    matches!(digits.first(), Some(b'0'..=b'3')) && number_of(numbers) % 511 == number_of(check) && !all_equal(digits)
}

/// Appends the numbers with letters of the kinds that are wanted that begin in a range.
pub(crate) fn words(text: &[u8], near: Range<usize>, wanted: Set, hits: &mut Vec<Hit>) {
    // What begins before the range is no word's beginning.
    let mut at = near.start;
    if before(text, at).is_ascii_alphanumeric() {
        at += run(text, at, |byte| byte.is_ascii_alphanumeric());
    }
    while at < near.end {
        let word = run(text, at, |byte| byte.is_ascii_alphanumeric());
        if word == 0 {
            at += 1;
            continue;
        }
        let hit = coded(text, at, word, wanted);
        at = hit.map_or(at + word, |hit| hit.end);
        hits.extend(hit);
    }
}

/// The number with letters that begins with the word here.
fn coded(text: &[u8], start: usize, word: usize, wanted: Set) -> Option<Hit> {
    let hit = |detector, end| Some(Hit { start, end, detector }).filter(|_| wanted.has(detector));
    let bytes = text.get(start..start + word)?;
    match word {
        16 if is_italian(bytes) => hit(Detector::ItTaxId, start + 16),
        9 if is_spanish(bytes) => hit(Detector::EsTaxId, start + 9),
        9 if is_nino(bytes) => hit(Detector::UkNino, start + 9),
        8 if byte(text, start + 8) == b'-' && closes(text, start + 10) => {
            let (letter, mut joined) = (byte(text, start + 9), Gathered::<9>::new());
            let whole = bytes.iter().chain([&letter]).all(|byte| joined.push(*byte));
            if whole && is_spanish(joined.as_slice()) { hit(Detector::EsTaxId, start + 10) } else { None }
        }
        2 => spaced_nino(text, start).and_then(|end| hit(Detector::UkNino, end)),
        _ => None,
    }
}

/// `QQ 12 34 56 C`, and with fewer of its spaces.
fn spaced_nino(text: &[u8], start: usize) -> Option<usize> {
    let (mut joined, mut at) = (Gathered::<9>::new(), start);
    while joined.as_slice().len() < 9 {
        if byte(text, at) == b' ' && joined.as_slice().len().is_multiple_of(2) && before(text, at) != b' ' {
            at += 1;
        }
        let next = byte(text, at);
        if !next.is_ascii_alphanumeric() {
            return None;
        }
        joined.push(next);
        at += 1;
    }
    (closes(text, at) && is_nino(joined.as_slice())).then_some(at)
}

fn is_nino(word: &[u8]) -> bool {
    let [first, second, digits @ .., suffix] = word else { return false };
    let (first, second) = (first.to_ascii_uppercase(), second.to_ascii_uppercase());
    let never = matches!(&[first, second], b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ");
    let letter = |letter: u8| letter.is_ascii_uppercase() && !matches!(letter, b'D' | b'F' | b'I' | b'Q' | b'U' | b'V');
    letter(first)
        && letter(second)
        && second != b'O'
        && !never
        && digits.len() == 6
        && digits.iter().all(u8::is_ascii_digit)
        && matches!(suffix.to_ascii_uppercase(), b'A'..=b'D')
}

fn is_spanish(word: &[u8]) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let [first, rest @ .., letter] = word else { return false };
    let first = match first.to_ascii_uppercase() {
        b'X' => b'0',
        b'Y' => b'1',
        b'Z' => b'2',
        other => other,
    };
    if !first.is_ascii_digit() || rest.len() != 7 || !rest.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let number = u64::from(value(first)) * 10_000_000 + number_of(rest);
    LETTERS.get((number % 23) as usize) == Some(&letter.to_ascii_uppercase())
}

fn is_italian(word: &[u8]) -> bool {
    const FORM: &[u8; 16] = b"LLLLLLDDLDDLDDDL";
    const MONTHS: &[u8] = b"ABCDEHLMPRST";
    /// What a character at an odd place (from 1) counts, 0 and A at the front.
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let fits = word.iter().zip(FORM).all(|(byte, form)| match form {
        b'L' => byte.is_ascii_alphabetic(),
        _ => byte.is_ascii_digit(),
    });
    if !fits || !MONTHS.contains(&byte(word, 8).to_ascii_uppercase()) {
        return false;
    }
    let sum: u32 = word
        .iter()
        .take(15)
        .enumerate()
        .map(|(place, byte)| {
            let rank = if byte.is_ascii_digit() { value(*byte) } else { u32::from(byte.to_ascii_uppercase() - b'A') };
            if place.is_multiple_of(2) { ODD.get(rank as usize).copied().unwrap_or(0) } else { rank }
        })
        .sum();
    u32::from(byte(word, 15).to_ascii_uppercase() - b'A') == sum % 26
}

#[cfg(test)]
mod tests;
