//! Proofs: that an entry is in the log, and that one head continues another (RFC 6962, 2.1.1 and 2.1.2; RFC 9162, 2.1.3 and 2.1.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::Checkpoint;
use crate::hash::{self, Hash};
use crate::note::{NoteFault, Verifier};
use crate::tile::{self, TileSource, WIDTH};

const BUNDLE_HEADER: &str = "c2sp.org/tlog-proof@v1";
/// The longest proof bundle that is read, in bytes.
const MAX_BUNDLE: usize = 256 * 1024;
/// The longest proof: one hash for each level of a tree of 2^64 leaves.
const MAX_PROOF: usize = 64;

/// Why there is no proof, or it proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofFault {
    /// The tree does not reach that far.
    #[error("entry {index} is not in a ledger of {size} entries")]
    OutOfRange {
        /// Which entry.
        index: u64,
        /// How many there are.
        size: u64,
    },
    /// A tile is missing or malformed.
    #[error("the ledger's file `{0}` is missing or malformed")]
    Missing(String),
    /// A tile cannot be read.
    #[error("the ledger's file `{path}` cannot be read: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The proof is wrong.
    #[error("the proof is wrong: the hashes do not lead to the root that was signed")]
    Wrong,
    /// The bundle is malformed.
    #[error("the proof bundle is malformed")]
    Malformed,
    /// The checkpoint in the bundle is refused.
    #[error("the checkpoint in the proof is refused: {0}")]
    Checkpoint(#[from] NoteFault),
}

/// The proof that entry `index` is in the tree of `size`.
///
/// # Errors
/// [`ProofFault`] if the entry is not in the tree, or a tile is missing.
pub fn inclusion(index: u64, size: u64, source: &dyn TileSource) -> Result<Vec<Hash>, ProofFault> {
    if index >= size {
        return Err(ProofFault::OutOfRange { index, size });
    }
    let mut proof = Vec::new();
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            proof.push(range(middle, high, size, source)?);
            high = middle;
        } else {
            proof.push(range(low, middle, size, source)?);
            low = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of `new` entries continues that of `old`.
///
/// # Errors
/// [`ProofFault`] if `old` is greater than `new`, or a tile is missing.
pub fn consistency(old: u64, new: u64, source: &dyn TileSource) -> Result<Vec<Hash>, ProofFault> {
    if old > new {
        return Err(ProofFault::OutOfRange { index: old, size: new });
    }
    let mut proof = Vec::new();
    if old == 0 || old == new {
        return Ok(proof);
    }
    let (mut low, mut high, mut whole) = (0, new, true);
    while old != high {
        let middle = low + split(high - low);
        if old <= middle {
            proof.push(range(middle, high, new, source)?);
            high = middle;
        } else {
            proof.push(range(low, middle, new, source)?);
            low = middle;
            whole = false;
        }
    }
    if !whole {
        proof.push(range(low, high, new, source)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The largest power of two below `count`, which is at least 2.
const fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// The root over the leaves from `low` to before `high`, where `low` is a multiple of the power of two that holds the range.
fn range(low: u64, high: u64, size: u64, source: &dyn TileSource) -> Result<Hash, ProofFault> {
    let count = high - low;
    if count.is_power_of_two() {
        return subtree(low, count.trailing_zeros(), size, source);
    }
    let middle = low + split(count);
    Ok(hash::node(&range(low, middle, size, source)?, &range(middle, high, size, source)?))
}

/// The root of the perfect subtree of `2^height` leaves from `low` on.
fn subtree(low: u64, height: u32, size: u64, source: &dyn TileSource) -> Result<Hash, ProofFault> {
    let level = u8::try_from(height / 8).unwrap_or(u8::MAX);
    let first = low >> (u32::from(level) * 8);
    let number = first / WIDTH;
    let (last, width) = tile::edge(level, size);
    let width = if number < last { WIDTH } else { width };
    let path = tile::path(level, number, width);
    let bytes = match source.read(&path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(ProofFault::Missing(path)),
        Err(source) => return Err(ProofFault::Io { path, source }),
    };
    let start = usize::try_from(first % WIDTH).unwrap_or(usize::MAX);
    tile::decode(&bytes, width)
        .and_then(|hashes| hash::perfect(hashes.get(start..start + (1 << (height % 8)))?))
        .ok_or(ProofFault::Missing(path))
}

/// Checks that `leaf` stands at `index` in the tree of `size` whose root is `root`.
///
/// # Errors
/// [`ProofFault::Wrong`] if the proof does not show it.
pub fn check_inclusion(index: u64, size: u64, leaf: Hash, proof: &[Hash], root: &Hash) -> Result<(), ProofFault> {
    if index >= size || proof.len() > MAX_PROOF {
        return Err(ProofFault::Wrong);
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofFault::Wrong);
        }
        if node & 1 == 1 || node == last {
            hash = hash::node(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = hash::node(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(ProofFault::Wrong) }
}

/// Checks that the tree of `new` entries with `new_root` continues that of `old` with `old_root`.
///
/// # Errors
/// [`ProofFault::Wrong`] if the proof does not show it.
pub fn check_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofFault> {
    let ends = match (old, old.cmp(&new)) {
        (_, core::cmp::Ordering::Greater) => return Err(ProofFault::Wrong),
        (_, core::cmp::Ordering::Equal) => Some(proof.is_empty() && old_root == new_root),
        (0, _) => Some(proof.is_empty() && *old_root == hash::empty()),
        _ => None,
    };
    if let Some(right) = ends {
        return if right { Ok(()) } else { Err(ProofFault::Wrong) };
    }
    let mut rest = proof.iter();
    let mut start = *old_root;
    if !old.is_power_of_two() {
        start = *rest.next().ok_or(ProofFault::Wrong)?;
    }
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut from_old, mut from_new) = (start, start);
    for hash in rest {
        if last == 0 {
            return Err(ProofFault::Wrong);
        }
        if node & 1 == 1 || node == last {
            from_old = hash::node(hash, &from_old);
            from_new = hash::node(hash, &from_new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            from_new = hash::node(&from_new, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && from_old == *old_root && from_new == *new_root { Ok(()) } else { Err(ProofFault::Wrong) }
}

/// A proof that stands alone: the entry, its place, the hashes, the checkpoint (C2SP tlog-proof, with the entry as `extra`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// Its place, from 0.
    pub index: u64,
    /// The hashes from its leaf to the root.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl Bundle {
    /// The bundle as a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let hashes: String = self.proof.iter().map(|hash| STANDARD.encode(hash.0) + "\n").collect();
        let entry = STANDARD.encode(&self.entry);
        format!("{BUNDLE_HEADER}\nextra {entry}\nindex {}\n{hashes}\n{}", self.index, self.checkpoint)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ProofFault::Malformed`] if it is no bundle.
    pub fn from_text(text: &str) -> Result<Self, ProofFault> {
        if text.len() > MAX_BUNDLE {
            return Err(ProofFault::Malformed);
        }
        Self::parse(text).ok_or(ProofFault::Malformed)
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, checkpoint) = text.split_once("\n\n")?;
        let mut lines = head.split('\n');
        if lines.next()? != BUNDLE_HEADER {
            return None;
        }
        let entry = STANDARD.decode(lines.next()?.strip_prefix("extra ")?).ok()?;
        let number = lines.next()?.strip_prefix("index ")?;
        let index: u64 = number.parse().ok()?;
        if index.to_string() != number {
            return None;
        }
        let proof: Vec<Hash> =
            lines.map(|line| Hash::from_slice(&STANDARD.decode(line).ok()?)).collect::<Option<_>>()?;
        (proof.len() <= MAX_PROOF).then(|| Self { entry, index, proof, checkpoint: checkpoint.to_owned() })
    }

    /// Checks the bundle with nothing but the log's key.
    ///
    /// # Errors
    /// [`ProofFault`] if the checkpoint is refused or the proof is wrong.
    pub fn check(&self, verifier: &Verifier) -> Result<Checkpoint, ProofFault> {
        let checkpoint = Checkpoint::open(&self.checkpoint, verifier)?;
        check_inclusion(self.index, checkpoint.size, hash::leaf(&self.entry), &self.proof, &checkpoint.root)?;
        Ok(checkpoint)
    }
}
