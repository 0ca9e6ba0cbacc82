//! The classes of many blocks at once.
//!
//! A kilobyte is first laid out anew: all bytes whose place is a multiple of eight, then those behind them, and so on. The first eighth then
//! gives bit 0 of each byte of a mask, the next bit 1, so that a mask is made without moving a bit. The masks are then cut
//! into the same overlapping blocks as elsewhere, whose shapes are looked for several at a time. All of it is loops in step,
//! without counters and branches, that the compiler turns into vector instructions of any machine.

use super::{BLOCK, STRIDE};

/// The bytes that are read at once.
pub(super) const BATCH: usize = 1024;
/// The blocks in them.
pub(super) const BLOCKS: usize = (BATCH - BLOCK) / STRIDE + 1;
/// How far batches lie apart.
pub(super) const REACH: usize = BLOCKS * STRIDE;

const EIGHTH: usize = BATCH / 8;

/// A batch, laid out anew.
pub(super) struct Batch([u8; BATCH]);

impl Batch {
    pub(super) fn of(bytes: &[u8; BATCH]) -> Self {
        let (mut one, mut other) = ([0; BATCH], [0; BATCH]);
        part(bytes, &mut one);
        part(&one, &mut other);
        part(&other, &mut one);
        Self(one)
    }

    /// The masks of the blocks, of the bytes that pass the test.
    #[inline]
    pub(super) fn masks(&self, test: impl Fn(u8) -> bool) -> [u64; BLOCKS] {
        let mut bits = [0; EIGHTH];
        let (eighths, _) = self.0.as_chunks::<EIGHTH>();
        if let [a, b, c, d, e, f, g, h] = eighths {
            let bytes = a.iter().zip(b).zip(c).zip(d).zip(e).zip(f).zip(g).zip(h);
            for (bit, (((((((a, b), c), d), e), f), g), h)) in bits.iter_mut().zip(bytes) {
                let low = place(test(*a), 1) | place(test(*b), 2) | place(test(*c), 4) | place(test(*d), 8);
                *bit = low | place(test(*e), 16) | place(test(*f), 32) | place(test(*g), 64) | place(test(*h), 128);
            }
        }
        let mut masks = [0; BLOCKS];
        for (mask, window) in masks.iter_mut().zip(bits.windows(BLOCK / 8).step_by(STRIDE / 8)) {
            *mask = window.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        }
        masks
    }
}

#[inline]
fn place(passes: bool, bit: u8) -> u8 {
    0_u8.wrapping_sub(u8::from(passes)) & bit
}

/// The bytes at even places, then those at odd ones. Each half has a loop of its own, of words that are cut: that has vector
/// instructions everywhere, which a loop of pairs of bytes does not.
#[inline(never)]
fn part(bytes: &[u8; BATCH], out: &mut [u8; BATCH]) {
    let (pairs, _) = bytes.as_chunks::<2>();
    let (evens, odds) = out.split_at_mut(BATCH / 2);
    for (even, pair) in evens.iter_mut().zip(pairs) {
        *even = (u16::from_le_bytes(*pair) & 0xff) as u8;
    }
    for (odd, pair) in odds.iter_mut().zip(pairs) {
        *odd = (u16::from_le_bytes(*pair) >> 8) as u8;
    }
}

#[cfg(test)]
mod tests;
