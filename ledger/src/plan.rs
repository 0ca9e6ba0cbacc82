//! The plan: which files a batch of entries makes. Computed first, applied after; applying it again changes nothing.

use crate::hash::{self, Hash};
use crate::tile::{self, TileSource, WIDTH};

/// The right edge of the tree: all that is needed to append. Holds less than a tile for each level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    size: u64,
    /// For each level the hashes of its last tile while that is partial.
    levels: Vec<Vec<Hash>>,
    /// The last tile of entries while that is partial.
    entries: Vec<u8>,
}

/// Files to write and the head that they lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Path and content. The order is safe: entries before the hashes over them, lower levels before higher ones.
    pub files: Vec<(String, Vec<u8>)>,
    /// The head once they are written.
    pub head: Head,
}

/// Why there is no plan, or no head.
#[derive(Debug, thiserror::Error)]
pub enum PlanFault {
    /// An entry is too long for a tile.
    #[error("a ledger entry of {0} bytes is longer than the {max} that a tile can hold", max = tile::MAX_ENTRY)]
    EntryTooLong(usize),
    /// A file that the head needs is missing or malformed.
    #[error("the ledger's file `{0}` is missing or malformed: restore it from a copy")]
    Missing(String),
    /// A file does not match the hashes above it.
    #[error("the ledger's file `{0}` does not match the hashes above it: it was changed; restore it from a copy")]
    Mismatch(String),
    /// A file cannot be read.
    #[error("the ledger's file `{path}` cannot be read: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Head {
    /// The head of an empty log.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// How many entries the log has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root hash.
    #[must_use]
    pub fn root(&self) -> Hash {
        Self::root_of(&self.levels)
    }

    /// The root over the hashes of each level's last, partial tile: perfect subtrees from the right, smallest first.
    pub(crate) fn root_of(levels: &[Vec<Hash>]) -> Hash {
        let subtrees = levels.iter().flat_map(|level| {
            let mut end = level.len();
            let widths = (0..8).map(|bit| 1_usize << bit).filter(|width| level.len() & width != 0);
            widths.filter_map(move |width| {
                let range = end.checked_sub(width)?..end;
                end = range.start;
                hash::perfect(level.get(range)?)
            })
        });
        subtrees.reduce(|right, left| hash::node(&left, &right)).unwrap_or_else(hash::empty)
    }

    /// Reads the head of a log of `size` entries from its files. The caller compares [`Self::root`] with what it trusts.
    ///
    /// # Errors
    /// If a file is missing, malformed or cannot be read.
    pub fn load(size: u64, source: &dyn TileSource) -> Result<Self, PlanFault> {
        let mut levels = Vec::new();
        for level in 0..8 {
            let (number, width) = tile::edge(level, size);
            if number == 0 && width == 0 {
                break;
            }
            levels.push(match width {
                0 => Vec::new(),
                width => {
                    let path = tile::path(level, number, width);
                    let bytes = read(source, &path)?;
                    tile::decode(&bytes, width).ok_or(PlanFault::Missing(path))?
                }
            });
        }
        let (number, width) = tile::edge(0, size);
        let entries = match width {
            0 => Vec::new(),
            width => {
                let path = tile::entries_path(number, width);
                let bytes = read(source, &path)?;
                let entries = tile::decode_entries(&bytes, width).ok_or(PlanFault::Missing(path.clone()))?;
                // The entries go on into the next tiles: a changed one must not.
                let leaves = entries.iter().map(|entry| hash::leaf(entry));
                if !levels.first().is_some_and(|level: &Vec<Hash>| leaves.eq(level.iter().copied())) {
                    return Err(PlanFault::Mismatch(path));
                }
                bytes
            }
        };
        Ok(Self { size, levels, entries })
    }

    /// The head after `entries`, without the files that lead there: for whoever writes the files later.
    ///
    /// # Errors
    /// [`PlanFault::EntryTooLong`] for an entry over 65,535 bytes.
    pub fn appended<'a>(&self, entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, PlanFault> {
        let mut plan = Plan { files: Vec::new(), head: self.clone() };
        for entry in entries {
            plan.append(entry)?;
            plan.files.clear();
        }
        Ok(plan.head)
    }

    /// Plans to append `entries`.
    ///
    /// # Errors
    /// [`PlanFault::EntryTooLong`] for an entry over 65,535 bytes; nothing of the batch is planned then.
    pub fn plan<'a>(&self, entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Plan, PlanFault> {
        let mut plan = Plan { files: Vec::new(), head: self.clone() };
        for entry in entries {
            plan.append(entry)?;
        }
        plan.write_edge(self.size);
        Ok(plan)
    }
}

fn read(source: &dyn TileSource, path: &str) -> Result<Vec<u8>, PlanFault> {
    match source.read(path) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(PlanFault::Missing(path.to_owned())),
        Err(source) => Err(PlanFault::Io { path: path.to_owned(), source }),
    }
}

impl Plan {
    fn append(&mut self, entry: &[u8]) -> Result<(), PlanFault> {
        if !tile::append_entry(&mut self.head.entries, entry) {
            return Err(PlanFault::EntryTooLong(entry.len()));
        }
        let number = self.head.size / WIDTH;
        self.head.size += 1;
        if self.head.size.is_multiple_of(WIDTH) {
            let full = core::mem::take(&mut self.head.entries);
            self.files.push((tile::entries_path(number, WIDTH), full));
        }
        self.push_hash(hash::leaf(entry));
        Ok(())
    }

    /// Adds a hash at level 0; a tile that fills up is written and adds its root to the level above.
    fn push_hash(&mut self, hash: Hash) {
        let mut hash = hash;
        for level in 0..=u8::MAX {
            let index = usize::from(level);
            if self.head.levels.len() == index {
                self.head.levels.push(Vec::new());
            }
            let Some(hashes) = self.head.levels.get_mut(index) else { return };
            hashes.push(hash);
            if hashes.len() < WIDTH as usize {
                return;
            }
            let full = core::mem::take(hashes);
            let (number, _) = tile::edge(level, self.head.size);
            self.files.push((tile::path(level, number.saturating_sub(1), WIDTH), tile::encode(&full)));
            let Some(root) = hash::perfect(&full) else { return };
            hash = root;
        }
    }

    /// Writes the partial tiles of the new edge, but for those that stand already.
    fn write_edge(&mut self, before: u64) {
        let size = self.head.size;
        let (number, width) = tile::edge(0, size);
        if width > 0 && size != before {
            self.files.push((tile::entries_path(number, width), self.head.entries.clone()));
        }
        for (level, hashes) in (0..).zip(&self.head.levels) {
            let (number, width) = tile::edge(level, size);
            if width > 0 && tile::edge(level, before) != (number, width) {
                self.files.push((tile::path(level, number, width), tile::encode(hashes)));
            }
        }
    }
}
