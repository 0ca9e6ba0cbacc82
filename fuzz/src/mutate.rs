//! Mutations of known inputs, from a seed: flips, splices, cuts, integers at the edge, words of the format.

/// The longest input that a mutation makes, in bytes.
const LONGEST: usize = 4096;
const EDGES: [u32; 12] =
    [0, 1, 4, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x3fff_fffe, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/// Numbers from a seed: xorshift64*, which is enough to choose by and nothing else.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers from this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = if self.0 == 0 { 0x2545_f491_4f6c_dd1d } else { self.0 };
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`; 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let number = usize::try_from(self.number() >> 33).unwrap_or_default();
        number.checked_rem(limit).unwrap_or_default()
    }

    fn byte(&mut self) -> u8 {
        self.number().to_be_bytes()[0]
    }
}

/// Another input, made of those known and of the format's words.
pub fn mutate(known: &[Vec<u8>], words: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut input = pick(known, random).cloned().unwrap_or_default();
    for _ in 0..=random.below(6) {
        step(&mut input, known, words, random);
    }
    input.truncate(LONGEST);
    input
}

fn pick<'a, T>(from: &'a [T], random: &mut Random) -> Option<&'a T> {
    from.get(random.below(from.len()))
}

fn step(input: &mut Vec<u8>, known: &[Vec<u8>], words: &[&[u8]], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = at + random.below(input.len() - at + 1).min(1 + random.below(64));
    match random.below(10) {
        0 => change(input, at, |byte, random| byte ^ (1 << random.below(8)), random),
        1 => change(input, at, |_, random| random.byte(), random),
        2 => change(input, at, |byte, random| byte.wrapping_add(random.byte() % 5).wrapping_sub(2), random),
        3 => drop(input.drain(at..end)),
        4 => {
            let copy: Vec<u8> = input.get(at..end).unwrap_or_default().to_vec();
            input.splice(at..at, copy);
        }
        5 => integer(input, at, random),
        6 | 7 if !words.is_empty() => {
            let word = pick(words, random).copied().unwrap_or_default();
            let end = if random.below(2) == 0 { at } else { (at + word.len()).min(input.len()) };
            input.splice(at..end, word.iter().copied());
        }
        8 => input.truncate(at),
        _ => {
            let other = pick(known, random).map(Vec::as_slice).unwrap_or_default();
            let from = other.get(random.below(other.len() + 1)..).unwrap_or_default();
            input.splice(at..end, from.iter().copied().take(256));
        }
    }
}

fn change(input: &mut [u8], at: usize, how: impl Fn(u8, &mut Random) -> u8, random: &mut Random) {
    if let Some(byte) = input.get_mut(at) {
        *byte = how(*byte, random);
    }
}

/// Writes an integer at the edge of its range, of 1, 2 or 4 bytes, in either order.
fn integer(input: &mut [u8], at: usize, random: &mut Random) {
    let value = pick(&EDGES, random).copied().unwrap_or_default();
    let (big, little) = (value.to_be_bytes(), value.to_le_bytes());
    let width = 1 << random.below(3);
    let bytes = if random.below(2) == 0 { big.get(4 - width..) } else { little.get(..width) };
    if let (Some(place), Some(bytes)) = (input.get_mut(at..at + width), bytes) {
        place.copy_from_slice(bytes);
    }
}
