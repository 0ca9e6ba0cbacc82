//! The prefilter: which stretches of bytes may hold what.
//!
//! It reads blocks of 64 bytes into masks of 64 bits, one for each class of byte, and finds by shifts the shapes without which a detector
//! cannot match: thirteen digits, a letter pair before a digit pair, an `@`. It must never miss what a detector would find;
//! it may name what no detector finds, which costs time alone. It knows nothing of values: what it reads may have the
//! protocol's own bytes in it, so that no shape asks what stands before it or behind.
//!
//! Blocks overlap by 16 bytes, the length of the longest shape, so that all of it is arithmetic on single words. The classes of a
//! block are computed by loops without branches that the compiler turns into vector instructions of any machine; where there is a
//! kilobyte, [`batch`] does so for many blocks at once.

mod batch;

use super::shape::Shapes;
use batch::{BATCH, BLOCKS, Batch, REACH};

/// The bytes of a block.
const BLOCK: usize = 64;
/// How far blocks lie apart.
const STRIDE: usize = 48;
/// The bits of a mask that stand for shapes that begin in this block.
const OWN: u64 = (1 << STRIDE) - 1;

/// Where shapes begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Region {
    /// Where the block begins.
    pub(crate) offset: usize,
    /// The bytes of the block, lowest bit first, at which a shape begins.
    pub(crate) starts: u64,
    /// Which shapes.
    pub(crate) shapes: Shapes,
}

/// Appends where any of `wanted` begins in `bytes`, in order.
pub(crate) fn regions(bytes: &[u8], wanted: Shapes, out: &mut Vec<Region>) {
    if wanted.without(Shapes::DIGITS).is_empty() {
        blocks(bytes, |offset, block| {
            let starts = digits_only(block) & OWN;
            if starts != 0 {
                out.push(Region { offset, starts, shapes: Shapes::DIGITS });
            }
        });
    } else {
        let (mut rest, mut done) = (bytes, 0);
        while let Some(bytes) = rest.first_chunk::<BATCH>() {
            of_batch(bytes, done, wanted, out);
            done += REACH;
            rest = rest.get(REACH..).unwrap_or_default();
        }
        blocks(rest, |offset, block| Classes::of(block).region(done + offset, wanted, out));
    }
}

/// Appends where any shape begins in the blocks of a batch.
fn of_batch(bytes: &[u8; BATCH], from: usize, wanted: Shapes, out: &mut Vec<Region>) {
    let batch = Batch::of(bytes);
    let (digit, letter) = (batch.masks(is_digit), batch.masks(is_letter));
    let (space, hyphen) = (batch.masks(|byte| byte == b' '), batch.masks(|byte| byte == b'-'));
    let (dot, colon) = (batch.masks(|byte| byte == b'.'), batch.masks(|byte| byte == b':'));
    let ([mut quote, mut at, mut plus], mut any) = ([[0; BLOCKS]; 3], [0; BLOCKS]);
    if memchr::memchr3(b'"', b'@', b'+', bytes).is_some() {
        (quote, at) = (batch.masks(|byte| byte == b'"'), batch.masks(|byte| byte == b'@'));
        plus = batch.masks(|byte| byte == b'+');
    }
    let all = digit.iter().zip(&letter).zip(&space).zip(&hyphen).zip(&dot).zip(&colon).zip(&quote).zip(&at).zip(&plus);
    let classes = all.map(|((((((((digit, letter), space), hyphen), dot), colon), quote), at), plus)| Classes {
        digit: *digit,
        letter: *letter,
        space: *space,
        joint: *space | *hyphen,
        dot: *dot,
        colon: *colon,
        quote: *quote,
        plus: *plus,
        at: *at,
    });
    for (any, classes) in any.iter_mut().zip(classes.clone()) {
        *any = classes.any();
    }
    for (place, (any, classes)) in any.iter().zip(classes).enumerate() {
        if any & OWN != 0 {
            classes.region(from + place * STRIDE, wanted, out);
        }
    }
}

#[inline]
fn blocks(bytes: &[u8], mut each: impl FnMut(usize, &[u8; BLOCK])) {
    let mut offset = 0;
    while let Some(block) = bytes.get(offset..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
        each(offset, block);
        offset += STRIDE;
    }
    while offset < bytes.len() {
        let mut block = [0; BLOCK];
        for (to, from) in block.iter_mut().zip(bytes.iter().skip(offset)) {
            *to = *from;
        }
        each(offset, &block);
        offset += STRIDE;
    }
}

/// A bit for each byte, by which eighth of the block it is of.
const PLACES: &[u8; BLOCK] = &{
    let (mut places, mut bit) = ([0; BLOCK], 1_u8);
    let (eighths, _) = places.as_chunks_mut::<8>();
    let mut rest: &mut [[u8; 8]] = eighths;
    while let [first, others @ ..] = rest {
        *first = [bit; 8];
        bit = bit.wrapping_shl(1);
        rest = others;
    }
    places
};

/// A mask of the bytes that pass the test. Three slices in step, no counter and no branch: that is what becomes vector
/// instructions. The eighths laid over each other are a word whose transpose is the mask.
#[inline]
fn mask(block: &[u8; BLOCK], test: impl Fn(u8) -> bool) -> u64 {
    let mut bits = [0_u8; BLOCK];
    for ((bit, byte), place) in bits.iter_mut().zip(block).zip(PLACES) {
        *bit = place & 0_u8.wrapping_sub(u8::from(test(*byte)));
    }
    let (eighths, _) = bits.as_chunks::<8>();
    transpose(eighths.iter().fold(0, |all, eighth| all | u64::from_le_bytes(*eighth)))
}

/// The transpose of eight by eight bits, by exchanging ever larger blocks across the diagonal.
#[inline]
const fn transpose(bits: u64) -> u64 {
    let ones = (bits ^ (bits >> 7)) & 0x00AA_00AA_00AA_00AA;
    let bits = bits ^ ones ^ (ones << 7);
    let twos = (bits ^ (bits >> 14)) & 0x0000_CCCC_0000_CCCC;
    let bits = bits ^ twos ^ (twos << 14);
    let fours = (bits ^ (bits >> 28)) & 0x0000_0000_F0F0_F0F0;
    bits ^ fours ^ (fours << 28)
}

/// Whether any byte passes the test: cheaper than a mask.
#[inline]
fn any(block: &[u8; BLOCK], test: impl Fn(u8) -> bool) -> bool {
    block.iter().fold(0, |found, byte| found | u8::from(test(*byte))) != 0
}

/// How often a byte is in the block.
#[inline]
fn count(block: &[u8; BLOCK], wanted: u8) -> u8 {
    block.iter().fold(0, |count: u8, byte| count.wrapping_add(u8::from(*byte == wanted)))
}

#[inline]
const fn is_digit(byte: u8) -> bool {
    byte.wrapping_sub(b'0') < 10
}

#[inline]
const fn is_letter(byte: u8) -> bool {
    (byte | 0x20).wrapping_sub(b'a') < 26
}

#[inline]
const fn is_joint(byte: u8) -> bool {
    (byte == b' ') | (byte == b'-')
}

/// Runs of at least eleven digits, or of at least fourteen bytes of digits and single joints between them: with one joint,
/// thirteen digits are fourteen bytes.
#[inline]
fn digits_only(block: &[u8; BLOCK]) -> u64 {
    let digits = mask(block, is_digit);
    let filled = digits | ((digits << 1) & (digits >> 1));
    if run(filled, 11) == 0 {
        return 0;
    }
    long_digits(digits, mask(block, is_joint))
}

#[inline]
const fn long_digits(digits: u64, joints: u64) -> u64 {
    let joined = digits | (joints & (digits << 1) & (digits >> 1));
    run(digits, 11) | (run(joined, 14) & digits)
}

/// Where runs of at least `length` bits (2 to 16) begin, and each bit of a longer run that has so many behind it.
#[inline]
const fn run(bits: u64, length: u32) -> u64 {
    let two = bits & (bits >> 1);
    if length < 4 {
        return two & (two >> (length - 2));
    }
    let four = two & (two >> 2);
    if length < 8 {
        return four & (four >> (length - 4));
    }
    let eight = four & (four >> 4);
    eight & (eight >> (length - 8))
}

/// The masks of one block.
#[derive(Debug, Clone, Copy)]
struct Classes {
    digit: u64,
    letter: u64,
    space: u64,
    /// A space or a hyphen.
    joint: u64,
    dot: u64,
    colon: u64,
    quote: u64,
    plus: u64,
    at: u64,
}

impl Classes {
    /// What is rare is looked for before it is mapped; where there are no digits, what only matters next to them is let be.
    #[inline]
    fn of(block: &[u8; BLOCK]) -> Self {
        let digit = mask(block, is_digit);
        let letter = mask(block, is_letter);
        let rare = any(block, |byte| (byte == b'"') | (byte == b'@'));
        let (quote, at) =
            if rare { (mask(block, |byte| byte == b'"'), mask(block, |byte| byte == b'@')) } else { (0, 0) };
        let colon = if quote != 0 || count(block, b':') >= 2 { mask(block, |byte| byte == b':') } else { 0 };
        let space = if digit != 0 || quote != 0 { mask(block, |byte| byte == b' ') } else { 0 };
        let joint = if digit != 0 { space | mask(block, |byte| byte == b'-') } else { space };
        let dot = if digit != 0 && count(block, b'.') >= 2 { mask(block, |byte| byte == b'.') } else { 0 };
        let plus = if digit != 0 && any(block, |byte| byte == b'+') { mask(block, |byte| byte == b'+') } else { 0 };
        Self { digit, letter, space, joint, dot, colon, quote, plus, at }
    }

    /// Where each shape begins. Always inlined: the loop over many blocks becomes vector instructions only where it is.
    #[inline(always)]
    fn found(&self) -> [(Shapes, u64); 9] {
        [
            (Shapes::DIGITS, long_digits(self.digit, self.joint)),
            (Shapes::GROUPS, self.groups()),
            (Shapes::CODE, self.code()),
            (Shapes::AT, self.at),
            (Shapes::DOTS, self.dots()),
            (Shapes::COLONS, self.colons()),
            (Shapes::PLUS, self.plus & run(self.digit | self.separator(), 7) >> 1 & self.digit >> 1),
            (Shapes::WORD, run(self.digit | self.letter, 13)),
            // A key's closing quote, with its colon or a space before that.
            (Shapes::KEY, self.quote & (self.colon | self.joint) >> 1),
        ]
    }

    /// Where any shape begins.
    #[inline(always)]
    fn any(&self) -> u64 {
        self.found().iter().fold(0, |all, (_, mask)| all | mask)
    }

    /// Appends where the shapes that are wanted begin in the block at this place.
    #[inline]
    fn region(&self, offset: usize, wanted: Shapes, out: &mut Vec<Region>) {
        let (mut starts, mut shapes) = (0, Shapes::NONE);
        for (shape, mask) in self.found() {
            if mask & OWN != 0 && wanted.has(shape) {
                starts |= mask & OWN;
                shapes = shapes.with(shape);
            }
        }
        if starts != 0 {
            out.push(Region { offset, starts, shapes });
        }
    }

    #[inline]
    const fn separator(&self) -> u64 {
        self.joint | self.dot
    }

    /// Three digits between separators with three digits before the first or after the second: social security numbers,
    /// tax numbers with points, telephone numbers.
    #[inline(always)]
    fn groups(&self) -> u64 {
        let (digit, joint, separator) = (self.digit, self.joint, self.separator());
        let three = run(digit, 3);
        let two = run(digit, 2);
        let four = run(digit, 4);
        // 123-45-6789
        let social = three & (joint >> 3) & (two >> 4) & (joint >> 6) & (four >> 7);
        // 123.456.78
        let threes = three & (separator >> 3) & (three >> 4) & (separator >> 7) & (two >> 8);
        // 12.345.678/9012
        let firm = two & (self.dot >> 2) & (three >> 3) & (self.dot >> 6) & (three >> 7);
        // 01 23 45 67 89
        let four_pairs = two & (separator >> 2) & (two >> 3) & (separator >> 5) & (two >> 6) & (separator >> 8);
        let pairs = four_pairs & (two >> 9) & (separator >> 11) & (two >> 12);
        // 1234 5678 9012, 020 7946 0958
        let fours = joint & (four >> 1) & (joint >> 5) & (four >> 6);
        // 07700 900123
        let mobile = run(digit, 5) & (joint >> 5) & (run(digit, 6) >> 6);
        // (415) 555-2671, (415)555-2671
        let area =
            three & ((three >> 5) & (separator >> 8) & (four >> 9) | (three >> 4) & (separator >> 7) & (four >> 8));
        social | threes | firm | pairs | fours | mobile | area
    }

    /// The fronts of account numbers and identities that have letters.
    #[inline(always)]
    fn code(&self) -> u64 {
        let (digit, letter, space, joint) = (self.digit, self.letter, self.space, self.joint);
        let (pair, two, either) = (run(letter, 2), run(digit, 2), digit | letter);
        // AA11 and eleven more, or in groups of four
        let account = pair & (two >> 2) & (run(either, 15) | (space >> 4) & (run(either, 4) >> 5) & (space >> 9));
        // AA111111A, AA 11
        let word = run(digit, 6) >> 2 & letter >> 8;
        let insurance = pair & (word | (space >> 2) & (two >> 3) & (digit | space) >> 5);
        // AAAAAA11A
        let italian = run(letter, 6) & (two >> 6) & (letter >> 8);
        // 1111111A, 1111111-A
        let spanish = run(digit, 7) & (letter >> 7 | joint >> 7 & letter >> 8);
        account | insurance | italian | spanish
    }

    /// A point between digits, and another within four bytes.
    #[inline]
    const fn dots(&self) -> u64 {
        let dot = self.dot;
        dot & (self.digit >> 1) & (dot >> 2 | dot >> 3 | dot >> 4)
    }

    /// Two colons in a row, or three within reach of each other.
    #[inline]
    const fn colons(&self) -> u64 {
        let colon = self.colon;
        let near = colon & (colon >> 2 | colon >> 3 | colon >> 4 | colon >> 5);
        (colon & (colon >> 1)) | (near & (near >> 2 | near >> 3 | near >> 4 | near >> 5))
    }
}

#[cfg(test)]
mod tests;
