//! Verification of a whole log, from its files alone: every entry, every tile, the checkpoint, and any earlier checkpoint.

use crate::checkpoint::Checkpoint;
use crate::hash::{self, Hash};
use crate::note::{NoteFault, Verifier};
use crate::plan::Head;
use crate::tile::{self, TileSource, WIDTH};

/// What is wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum VerifyFault {
    /// There is no checkpoint.
    #[error("there is no checkpoint: this is no ledger, or its head was removed")]
    NoCheckpoint,
    /// The checkpoint is refused.
    #[error("the checkpoint is refused: {0}")]
    Checkpoint(#[from] NoteFault),
    /// A file is missing.
    #[error("the ledger's file `{0}` is missing")]
    Missing(String),
    /// A file cannot be read.
    #[error("the ledger's file `{path}` cannot be read: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file does not have the form of its kind.
    #[error("the ledger's file `{0}` is malformed")]
    Malformed(String),
    /// A tile does not follow from the entries below it.
    #[error("the ledger's file `{0}` does not match the entries below it: one of them was changed")]
    Mismatch(String),
    /// The entries do not lead to the root that was signed.
    #[error("the entries do not lead to the root that was signed for {0} of them")]
    Root(u64),
    /// The log does not continue an earlier checkpoint.
    #[error("the ledger does not continue the checkpoint of {0} entries: its history was rewritten")]
    NotContinued(u64),
    /// An entry is not what it should be.
    #[error("entry {index}: {why}")]
    Entry {
        /// Which.
        index: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// What is told while verification runs.
pub trait Visitor: Send {
    /// An entry of the log whose bytes were hashed. Its place in a signed tree is certain only once [`verify`] returns.
    ///
    /// # Errors
    /// What is wrong with the entry, in words.
    fn entry(&mut self, index: u64, bytes: &[u8]) -> Result<(), String>;

    /// So many of so many entries are done.
    fn progress(&mut self, done: u64, of: u64);
}

/// How many tiles of entries one thread takes at a time: 4,096 entries.
const CHUNK: u64 = 16;

/// Verifies the log that `source` holds, signed by `verifier`, and that it continues each of `earlier`.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(
    source: &dyn TileSource,
    verifier: &Verifier,
    earlier: &[Checkpoint],
    visitor: &mut dyn Visitor,
) -> Result<Checkpoint, VerifyFault> {
    let note = source.read("checkpoint").map_err(|source| VerifyFault::Io { path: "checkpoint".to_owned(), source })?;
    let note = String::from_utf8(note.ok_or(VerifyFault::NoCheckpoint)?).map_err(|_| NoteFault::Malformed)?;
    let checkpoint = Checkpoint::open(&note, verifier)?;
    if let Some(ahead) = earlier.iter().find(|earlier| earlier.size > checkpoint.size) {
        return Err(VerifyFault::NotContinued(ahead.size));
    }
    let mut tree = Tree { source, size: checkpoint.size, levels: Vec::new(), roots: Vec::new() };
    tree.note_earlier(earlier);
    tree.read_all(visitor)?;
    if tree.root()? != checkpoint.root {
        return Err(VerifyFault::Root(checkpoint.size));
    }
    match earlier.iter().zip(&tree.roots).find(|(earlier, found)| found.1 != Some(earlier.root)) {
        Some((earlier, _)) => Err(VerifyFault::NotContinued(earlier.size)),
        None => Ok(checkpoint),
    }
}

/// The root that the log of `of` entries had when it had `size`, from its tiles of hashes. Only a log that was verified says it
/// truly.
///
/// # Errors
/// If it never had so many, or a tile is missing, malformed or cannot be read.
pub fn root_at(size: u64, of: u64, source: &dyn TileSource) -> Result<Hash, VerifyFault> {
    if size > of {
        return Err(VerifyFault::NotContinued(size));
    }
    let mut levels = Vec::new();
    for level in 0..8 {
        let (number, count) = tile::edge(level, size);
        if number == 0 && count == 0 {
            break;
        }
        let (last, partial) = tile::edge(level, of);
        let width = if number < last { WIDTH } else { partial };
        let mut hashes = Vec::new();
        if count > 0 {
            let path = tile::path(level, number, width);
            let bytes = read(source, &path)?;
            hashes = tile::decode(&bytes, width).ok_or(VerifyFault::Malformed(path))?;
            hashes.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        }
        levels.push(hashes);
    }
    Ok(Head::root_of(&levels))
}

/// The tree as it is recomputed from the entries, checked against the stored tiles as each fills up.
struct Tree<'a> {
    source: &'a dyn TileSource,
    size: u64,
    levels: Vec<Vec<Hash>>,
    /// For each earlier checkpoint its size, and the root that the entries give for it.
    roots: Vec<(u64, Option<Hash>)>,
}

impl Tree<'_> {
    fn note_earlier(&mut self, earlier: &[Checkpoint]) {
        self.roots = earlier.iter().map(|checkpoint| (checkpoint.size, None)).collect();
        self.snapshot(0);
    }

    fn read_all(&mut self, visitor: &mut dyn Visitor) -> Result<(), VerifyFault> {
        let tiles = self.size.div_ceil(WIDTH);
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(8)) as u64;
        let mut first = 0;
        while first < tiles {
            let batches: Vec<_> = (0..threads)
                .map(|thread| first + thread * CHUNK..(first + (thread + 1) * CHUNK).min(tiles))
                .filter(|range| !range.is_empty())
                .collect();
            let read = hash_in_parallel(self.source, self.size, &batches);
            for chunk in read {
                for tile in chunk? {
                    self.take(tile, visitor)?;
                }
            }
            first = (first + threads * CHUNK).min(tiles);
            visitor.progress((first * WIDTH).min(self.size), self.size);
        }
        self.check_edges()
    }

    fn take(&mut self, tile: HashedTile, visitor: &mut dyn Visitor) -> Result<(), VerifyFault> {
        let base = tile.number * WIDTH;
        let entries = tile::decode_entries(&tile.bytes, tile.hashes.len() as u64).unwrap_or_default();
        for (index, entry) in (base..).zip(entries) {
            visitor.entry(index, entry).map_err(|why| VerifyFault::Entry { index, why })?;
        }
        for (done, hash) in (base + 1..).zip(tile.hashes) {
            self.push(hash, done)?;
            self.snapshot(done);
        }
        Ok(())
    }

    fn push(&mut self, hash: Hash, done: u64) -> Result<(), VerifyFault> {
        let mut hash = hash;
        for level in 0..=u8::MAX {
            let index = usize::from(level);
            if self.levels.len() == index {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(index) else { return Ok(()) };
            hashes.push(hash);
            if hashes.len() < WIDTH as usize {
                return Ok(());
            }
            let full = core::mem::take(hashes);
            let (number, _) = tile::edge(level, done);
            self.check_tile(level, number.saturating_sub(1), &full)?;
            let Some(root) = hash::perfect(&full) else { return Ok(()) };
            hash = root;
        }
        Ok(())
    }

    fn check_tile(&self, level: u8, number: u64, hashes: &[Hash]) -> Result<(), VerifyFault> {
        let path = tile::path(level, number, hashes.len() as u64);
        let bytes = read(self.source, &path)?;
        if bytes == tile::encode(hashes) { Ok(()) } else { Err(VerifyFault::Mismatch(path)) }
    }

    fn check_edges(&self) -> Result<(), VerifyFault> {
        for (level, hashes) in (0..).zip(&self.levels) {
            if !hashes.is_empty() {
                self.check_tile(level, tile::edge(level, self.size).0, hashes)?;
            }
        }
        Ok(())
    }

    fn snapshot(&mut self, done: u64) {
        if self.roots.iter().all(|(size, _)| *size != done) {
            return;
        }
        let root = Head::root_of(&self.levels);
        self.roots.iter_mut().filter(|(size, _)| *size == done).for_each(|(_, found)| *found = Some(root));
    }

    fn root(&self) -> Result<Hash, VerifyFault> {
        Ok(Head::root_of(&self.levels))
    }
}

/// A tile of entries with the hashes of its leaves.
struct HashedTile {
    number: u64,
    bytes: Vec<u8>,
    hashes: Vec<Hash>,
}

/// Reads and hashes tiles of entries, a range for each thread: all the work but the upper levels.
fn hash_in_parallel(
    source: &dyn TileSource,
    size: u64,
    ranges: &[core::ops::Range<u64>],
) -> Vec<Result<Vec<HashedTile>, VerifyFault>> {
    let chunk = |range: &core::ops::Range<u64>| range.clone().map(|number| hash_tile(source, size, number)).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = ranges.iter().map(|range| scope.spawn(move || chunk(range))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(VerifyFault::Malformed("tile/entries".to_owned()))))
            .collect()
    })
}

fn hash_tile(source: &dyn TileSource, size: u64, number: u64) -> Result<HashedTile, VerifyFault> {
    let (last, partial) = tile::edge(0, size);
    let width = if number < last { WIDTH } else { partial };
    let path = tile::entries_path(number, width);
    let bytes = read(source, &path)?;
    let entries = tile::decode_entries(&bytes, width).ok_or(VerifyFault::Malformed(path))?;
    let hashes = entries.iter().map(|entry| hash::leaf(entry)).collect();
    Ok(HashedTile { number, bytes, hashes })
}

fn read(source: &dyn TileSource, path: &str) -> Result<Vec<u8>, VerifyFault> {
    match source.read(path) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(VerifyFault::Missing(path.to_owned())),
        Err(source) => Err(VerifyFault::Io { path: path.to_owned(), source }),
    }
}
