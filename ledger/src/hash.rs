//! The tree's hashes: RFC 6962, 2.1, with SHA-256.

use aws_lc_rs::digest::{Context, SHA256};

/// A hash of 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// The length of a hash in bytes.
pub const LENGTH: usize = 32;

impl Hash {
    /// The hash that `bytes` are; `None` unless they are 32.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The hash in lower-case hexadecimal.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn sha256(parts: [&[u8]; 3]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; LENGTH];
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    Hash(hash)
}

/// The root of a tree with no leaf.
#[must_use]
pub fn empty() -> Hash {
    sha256([b"", b"", b""])
}

/// The hash of a leaf that holds `entry`.
#[must_use]
pub fn leaf(entry: &[u8]) -> Hash {
    sha256([&[0], entry, b""])
}

/// The hash of a node over two others.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    sha256([&[1], &left.0, &right.0])
}

/// The root over a perfect subtree's hashes, whose number is a power of two; `None` if it is not.
#[must_use]
pub fn perfect(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level.chunks(2).filter_map(|pair| Some(node(pair.first()?, pair.get(1)?))).collect();
    }
    level.first().copied()
}
