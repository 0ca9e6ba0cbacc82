//! FF1, the format-preserving encryption of NIST SP 800-38G (March 2016, section 5.1), for up to 56 numerals.
//!
//! Only encryption: nothing here takes a masked value back. The domain has at least a million values, as revision 1 of the
//! publication asks; what is shorter is refused.

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, UnboundCipherKey};

/// The most numerals: halves of 28 decimal digits fit 128 bits, and one block gives all the bytes that a round needs.
pub(crate) const MOST: usize = 56;
/// The least size of a domain.
const LEAST_DOMAIN: u128 = 1_000_000;

/// The cipher under one key.
#[derive(Debug)]
pub(crate) struct Ff1(EncryptingKey);

impl Ff1 {
    /// The cipher for a key of 16 or 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
        EncryptingKey::ecb(UnboundCipherKey::new(algorithm, key).ok()?).ok().map(Self)
    }

    /// Encrypts numerals, each below `radix`, in place. False, and nothing usable in them, where their number is not one that can be
    /// encrypted.
    pub(crate) fn encrypt(&self, radix: u8, tweak: &[u8], numerals: &mut [u8]) -> bool {
        self.rounds(radix, tweak, numerals).is_some()
    }

    fn rounds(&self, radix: u8, tweak: &[u8], numerals: &mut [u8]) -> Option<()> {
        let length = numerals.len();
        let (left, right) = (length / 2, length - length / 2);
        let base = u128::from(radix);
        let size = |half: usize| base.checked_pow(u32::try_from(half).ok()?);
        let domain = base.checked_pow(u32::try_from(length).ok()?).unwrap_or(u128::MAX);
        if length > MOST || domain < LEAST_DOMAIN {
            return None;
        }
        let bits = 128 - (size(right)? - 1).leading_zeros();
        let bytes = usize::try_from(bits.div_ceil(8)).ok()?;
        let taken = 4 * bytes.div_ceil(4) + 4;
        let (head, tail) = numerals.split_at(left);
        let (mut a, mut b) = (number(base, head), number(base, tail));
        for round in 0..10_u8 {
            let half = if round % 2 == 0 { left } else { right };
            let block = self.mac(radix, left, length, tweak, round, b, bytes)?;
            let y = block.get(..taken)?.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
            let modulus = size(half)?;
            (a, b) = (b, (a + y % modulus) % modulus);
        }
        let (head, tail) = numerals.split_at_mut(left);
        write(base, a, head);
        write(base, b, tail);
        Some(())
    }

    /// The pseudorandom function over the fixed block and this round's.
    #[expect(clippy::too_many_arguments, reason = "the inputs of one step, named as the publication names them")]
    fn mac(&self, radix: u8, u: usize, n: usize, tweak: &[u8], round: u8, b: u128, bytes: usize) -> Option<[u8; 16]> {
        let mut state = [1, 2, 1, 0, 0, radix, 10, (u % 256) as u8, 0, 0, 0, 0, 0, 0, 0, 0];
        state.get_mut(8..12)?.copy_from_slice(&u32::try_from(n).ok()?.to_be_bytes());
        state.get_mut(12..16)?.copy_from_slice(&u32::try_from(tweak.len()).ok()?.to_be_bytes());
        self.block(&mut state)?;
        let padding = (16 - (tweak.len() + bytes + 1) % 16) % 16;
        let digits = b.to_be_bytes();
        let zeros = core::iter::repeat_n(&0_u8, padding);
        let input = tweak.iter().chain(zeros).chain(core::slice::from_ref(&round)).chain(digits.get(16 - bytes..)?);
        for (place, byte) in input.enumerate() {
            *state.get_mut(place % 16)? ^= byte;
            if place % 16 == 15 {
                self.block(&mut state)?;
            }
        }
        Some(state)
    }

    fn block(&self, state: &mut [u8; 16]) -> Option<()> {
        self.0.encrypt(state).ok().map(drop)
    }
}

fn number(base: u128, numerals: &[u8]) -> u128 {
    numerals.iter().fold(0, |sum, numeral| sum * base + u128::from(*numeral))
}

fn write(base: u128, mut number: u128, numerals: &mut [u8]) {
    for numeral in numerals.iter_mut().rev() {
        *numeral = (number % base) as u8;
        number /= base;
    }
}

#[cfg(test)]
mod tests;
