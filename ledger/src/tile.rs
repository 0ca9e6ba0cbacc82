//! Tiles: where hashes and entries stand (C2SP tlog-tiles).

use crate::hash::{self, Hash};

/// How many hashes or entries a full tile holds.
pub const WIDTH: u64 = 256;
/// The longest entry, in bytes.
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// Where a log's files are read from. Everything read is checked; the source is trusted with nothing.
pub trait TileSource: Sync {
    /// Reads a file, or `None` if there is none.
    ///
    /// # Errors
    /// If the file cannot be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, std::io::Error>;
}

/// The path of a tile of hashes: `width` is 1 to 256.
#[must_use]
pub fn path(level: u8, number: u64, width: u64) -> String {
    format!("tile/{level}/{}{}", grouped(number), partial(width))
}

/// The path of a tile of entries.
#[must_use]
pub fn entries_path(number: u64, width: u64) -> String {
    format!("tile/entries/{}{}", grouped(number), partial(width))
}

fn partial(width: u64) -> String {
    if width >= WIDTH { String::new() } else { format!(".p/{width}") }
}

/// A number in groups of three digits, all but the last with an `x` before them.
fn grouped(number: u64) -> String {
    let mut text = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    text
}

/// How many hashes the last tile of `level` holds in a tree of `size`, and its number. A width of 0 means that there is no
/// partial tile.
#[must_use]
pub fn edge(level: u8, size: u64) -> (u64, u64) {
    let count = size.checked_shr(u32::from(level) * 8).unwrap_or(0);
    (count / WIDTH, count % WIDTH)
}

/// Reads the hashes of a tile that must hold `width` of them.
#[must_use]
pub fn decode(bytes: &[u8], width: u64) -> Option<Vec<Hash>> {
    let count = usize::try_from(width).ok()?;
    if bytes.len() != count.checked_mul(hash::LENGTH)? {
        return None;
    }
    bytes.chunks(hash::LENGTH).map(Hash::from_slice).collect()
}

/// Writes hashes as a tile.
#[must_use]
pub fn encode(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Appends an entry to a tile of entries; `false` if it is too long.
#[must_use]
pub fn append_entry(tile: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    tile.extend_from_slice(&length.to_be_bytes());
    tile.extend_from_slice(entry);
    true
}

/// The entries of a tile that must hold `width` of them; `None` if it does not hold exactly these.
#[must_use]
pub fn decode_entries(bytes: &[u8], width: u64) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::with_capacity(usize::try_from(width.min(WIDTH)).ok()?);
    let mut rest = bytes;
    for _ in 0..width {
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (entry, tail) = tail.split_at_checked(u16::from_be_bytes(*length).into())?;
        entries.push(entry);
        rest = tail;
    }
    rest.is_empty().then_some(entries)
}
