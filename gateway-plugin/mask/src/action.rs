//! Actions: what becomes of a value that a rule covers.
//!
//! An action writes letters, digits, `*` and `_` alone, so that what it writes is legal inside of a string of JSON, an element
//! of XML, a quoted field and an error's text. Keyed actions are deterministic: equal values give equal results under one
//! key, so that joins and counts still work, and whoever knows the key can test a guess. What an action must never do: leave a
//! value as it was where it cannot be applied.

mod ff1;

use core::fmt;

use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::detect::{Detector, luhn, luhn_digit};
use ff1::Ff1;

/// What stands for a value that is redacted.
pub const REDACTED: &[u8] = b"REDACTED";

/// What is done. From the mildest to the strictest: where several rules apply to one value, the strictest action is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Stars for all but a few characters: a card number keeps its first six and last four digits, which is the most that PCI DSS
    /// 3.4.1 shows; anything else of eight characters or more keeps its last four, and what is shorter nothing.
    Partial,
    /// Other digits in the place of digits, by FF1 of NIST SP 800-38G under AES-256: keyed, deterministic, one to one among values of
    /// the same number of digits. A number that passes Luhn's check still does. Signs between digits stay. It takes 6 to 56
    /// digits and nothing with letters in it.
    FormatPreserving,
    /// `tok_` and 26 characters of base32: the first 130 bits of a keyed HMAC-SHA-256. A number's separators do not count.
    Token,
    /// 64 hexadecimal digits: a keyed HMAC-SHA-256 under a key of its own.
    Hash,
    /// The word `REDACTED`.
    Redact,
    /// NULL.
    Null,
    /// The row does not go back.
    DropRow,
}

/// The keys of the keyed actions, all derived from one.
pub struct MaskKey {
    token: hmac::Key,
    hash: hmac::Key,
    format: Option<Ff1>,
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey(..)")
    }
}

impl MaskKey {
    /// The keys that follow from 32 secret bytes. Whoever holds other bytes gives other tokens.
    #[must_use]
    pub fn derive(secret: &[u8; 32]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = |purpose: &str| {
            let mut bytes = Zeroizing::new([0_u8; 32]);
            bytes.copy_from_slice(hmac::sign(&root, purpose.as_bytes()).as_ref());
            bytes
        };
        Self {
            token: hmac::Key::new(hmac::HMAC_SHA256, derived("writ mask token v1").as_slice()),
            hash: hmac::Key::new(hmac::HMAC_SHA256, derived("writ mask hash v1").as_slice()),
            format: Ff1::new(derived("writ mask ff1 v1").as_slice()),
        }
    }

    /// Appends what stands for a text. False, and nothing appended, where the action cannot be applied to it.
    #[must_use]
    pub fn apply(&self, action: Action, detector: Option<Detector>, text: &[u8], out: &mut Vec<u8>) -> bool {
        match action {
            Action::Redact => out.extend_from_slice(REDACTED),
            Action::Token => {
                out.extend_from_slice(b"tok_");
                base32(hmac::sign(&self.token, &canonical(text)).as_ref(), out);
            }
            Action::Hash => hex(hmac::sign(&self.hash, &canonical(text)).as_ref(), out),
            Action::Partial => partial(detector, text, out),
            Action::FormatPreserving => return self.preserve(text, out),
            Action::Null | Action::DropRow => return false,
        }
        true
    }

    /// 16 bytes that stand for a value: what a token is in a type of 16 bytes.
    pub(crate) fn sixteen(&self, text: &[u8]) -> [u8; 16] {
        let tag = hmac::sign(&self.token, &canonical(text));
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        bytes
    }

    fn preserve(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(cipher) = &self.format else { return false };
        let between = |byte: &u8| matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')' | b'+' | b',');
        if !text.iter().all(|byte| byte.is_ascii_digit() || between(byte)) {
            return false;
        }
        let mut digits: Vec<u8> = text.iter().copied().filter(u8::is_ascii_digit).collect();
        let checked = digits.len() >= 13 && luhn(&digits);
        let kept = usize::from(checked);
        let Some(numerals) = digits.len().checked_sub(kept).and_then(|most| digits.get_mut(..most)) else {
            return false;
        };
        numerals.iter_mut().for_each(|digit| *digit -= b'0');
        if !cipher.encrypt(10, &[], numerals) {
            return false;
        }
        numerals.iter_mut().for_each(|numeral| *numeral += b'0');
        if checked {
            digits.pop();
            let check = luhn_digit(&digits);
            digits.push(check);
        }
        let mut digits = digits.iter();
        out.extend(text.iter().map(|byte| if byte.is_ascii_digit() { digits.next().unwrap_or(&b'0') } else { byte }));
        true
    }
}

/// A number without its separators, so that all its spellings have one token; any other text as it is.
fn canonical(text: &[u8]) -> Vec<u8> {
    let number = text.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'.' | b'/'));
    text.iter().copied().filter(|byte| !number || byte.is_ascii_digit()).collect()
}

fn partial(detector: Option<Detector>, text: &[u8], out: &mut Vec<u8>) {
    let counts = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80;
    let all = text.iter().filter(|byte| counts(byte)).count();
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let (first, last) = match detector {
        Some(Detector::Pan) => (6, 4),
        None if digits == all && (13..=19).contains(&all) => (6, 4),
        _ if all >= 8 && text.is_ascii() => (0, 4),
        _ => (0, 0),
    };
    let mut place = 0;
    for byte in text {
        let shown = !counts(byte) || place < first || place + last >= all;
        place += usize::from(counts(byte));
        let legal = byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'.' | b'_' | b'@');
        out.push(if shown && legal { *byte } else { b'*' });
    }
}

/// Appends 26 characters of base32 in lower case, RFC 4648 section 6, without padding.
fn base32(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let (mut held, mut bits, mut left) = (0_u32, 0, 26);
    for byte in bytes {
        held = (held & 0x1f) << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 && left > 0 {
            bits -= 5;
            left -= 1;
            let rank = (held >> bits & 31) as usize;
            out.push(ALPHABET.get(rank).copied().unwrap_or(b'a'));
        }
    }
}

/// Appends bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            out.push(DIGITS.get(usize::from(half)).copied().unwrap_or(b'0'));
        }
    }
}

#[cfg(test)]
mod tests;
