//! What a name of a prepared statement or portal stands for, as the server sees it.
//!
//! A name's meaning is only known once the server answered: to prepare under a name that exists fails, and what stands
//! behind a failure in the same pipeline is skipped. So a name has versions: the settled one, if any, and behind it those
//! whose answers are outstanding. A use that could mean either of two waits, since the recorded statement must be the
//! executed one.
//!
//! # Names that SQL changes
//! SQL shares these names: `DEALLOCATE a; PREPARE a AS ...` gives a new meaning to what was made by a Parse message, and
//! `CLOSE c; DECLARE c ...` to a Bind's portal. Nothing that the server answers tells which name it was. So once a statement
//! may have been dropped by SQL, the first that SQL makes puts an end to all; and each cursor that SQL makes to all portals,
//! since any end of a transaction drops those. A later use is told that the name is not known, and drivers prepare again.
//! A text that could make a name is found by its words (`words.rs`); a use of a name behind it waits until the server has
//! said what it did. Nothing that SQL does reaches the unnamed statement.
//! A name must be ASCII and fit into what the server keeps of it, or two names here could be one at the server.
//!
//! What SQL does inside of a function or a `DO` block the server does not report: there, as everywhere, dynamic SQL is
//! recorded as the call that runs it.

use std::collections::HashMap;

use writ_core::command::CommandId;
use writ_core::fault::{Blame, Fault};

use crate::error::LIMIT;

/// One meaning of a name.
#[derive(Debug)]
pub(super) struct Version {
    /// The command that gave it.
    pub(super) id: CommandId,
    /// The types of its parameters, as far as known.
    pub(super) types: Vec<u32>,
    /// The pipeline segment (up to a Sync) that it stands in.
    pub(super) segment: u64,
    /// Whether the server has confirmed it.
    pub(super) settled: bool,
    /// Whether to execute it may give a name to another statement.
    pub(super) makes_names: bool,
    /// Whether what it reads is settled once it is bound.
    pub(super) settles: bool,
    /// The segment of a message that closes it and is not answered.
    pub(super) closing: Option<u64>,
}

#[derive(Debug, Default)]
struct Entry {
    name: Box<[u8]>,
    versions: Vec<Version>,
}

/// Where a name's versions stand. 0 is the unnamed one.
pub(super) type Slot = u32;

const UNNAMED: Slot = 0;
const OVERHEAD: usize = 64;

/// The names of one kind.
#[derive(Debug)]
pub(super) struct Names {
    entries: Vec<Entry>,
    index: HashMap<Box<[u8]>, Slot>,
    free: Vec<Slot>,
    bytes: usize,
    versions: usize,
    most: usize,
    most_bytes: usize,
    /// Whether SQL may have dropped some that are known here.
    dropped: bool,
    /// Those that stand for nothing any more, where somebody asks.
    pub(super) gone: Vec<CommandId>,
    tells: bool,
}

/// How many bytes of a name a server keeps (`NAMEDATALEN`, less its zero byte).
const LONGEST_NAME: usize = 63;

/// Whether two names that are told apart here are two names at the server, whatever the encodings.
pub(super) fn is_plain(name: &[u8]) -> bool {
    name.len() <= LONGEST_NAME && name.is_ascii() && name != super::refuse::IMPOSSIBLE
}

const fn weight(version: &Version, name: usize) -> usize {
    OVERHEAD + name + version.types.len() * 4
}

impl Names {
    pub(super) fn new(most: usize, most_bytes: usize, tells: bool) -> Self {
        let entries = vec![Entry::default()];
        Self {
            entries,
            index: HashMap::new(),
            free: Vec::new(),
            bytes: 0,
            versions: 0,
            most,
            most_bytes,
            dropped: false,
            gone: Vec::new(),
            tells,
        }
    }

    fn slot(&self, name: &[u8]) -> Option<Slot> {
        if name.is_empty() { Some(UNNAMED) } else { self.index.get(name).copied() }
    }

    fn entry(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.entries.get_mut(slot as usize)
    }

    /// All that some name stands for, or may come to stand for.
    pub(super) fn ids(&self) -> impl Iterator<Item = CommandId> + '_ {
        self.entries.iter().flat_map(|entry| &entry.versions).map(|version| version.id)
    }

    /// What the name stands for now, if all that is outstanding succeeds.
    pub(super) fn current(&self, name: &[u8]) -> Option<(Slot, &Version)> {
        let slot = self.slot(name)?;
        let last = self.entries.get(slot as usize)?.versions.last()?;
        last.closing.is_none().then_some((slot, last))
    }

    /// Whether the name may turn out to mean another thing than [`Self::current`], or nothing, for a use in `segment`:
    /// within its own segment a failure skips the use too.
    pub(super) fn is_ambiguous(&self, name: &[u8], segment: u64) -> bool {
        let versions = self.slot(name).and_then(|slot| self.entries.get(slot as usize)).map(|entry| &entry.versions);
        versions.and_then(|versions| versions.last()).is_some_and(|last| !last.settled && last.segment != segment)
    }

    /// Whether a message that closes the name is on its way.
    pub(super) fn is_closing(&self, name: &[u8]) -> bool {
        let entry = self.slot(name).and_then(|slot| self.entries.get(slot as usize));
        entry.and_then(|entry| entry.versions.last()).is_some_and(|last| last.closing.is_some())
    }

    /// Adds a meaning, not yet confirmed.
    pub(super) fn push(&mut self, name: &[u8], version: Version) -> Result<Slot, Fault> {
        let weight = weight(&version, name.len());
        if self.versions >= self.most || self.bytes.saturating_add(weight) > self.most_bytes {
            return Err(Fault::new(LIMIT, Blame::Ours, "too many prepared statements or portals are open")
                .help("close those that are not needed any more"));
        }
        let slot = match self.slot(name) {
            Some(slot) => slot,
            None => self.add(name),
        };
        if let Some(entry) = self.entry(slot) {
            entry.versions.push(version);
            self.bytes += weight;
            self.versions += 1;
        }
        Ok(slot)
    }

    fn add(&mut self, name: &[u8]) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            Slot::try_from(self.entries.len() - 1).unwrap_or(Slot::MAX)
        });
        if let Some(entry) = self.entry(slot) {
            entry.name = name.into();
        }
        self.index.insert(name.into(), slot);
        slot
    }

    fn retain(&mut self, slot: Slot, mut keep: impl FnMut(&Version) -> bool) {
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };
        let (name, before) = (entry.name.len(), entry.versions.len());
        let (mut freed, gone, tells) = (0, &mut self.gone, self.tells);
        entry.versions.retain(|version| {
            let kept = keep(version);
            freed += if kept { 0 } else { weight(version, name) };
            if tells && !kept {
                gone.push(version.id);
            }
            kept
        });
        self.versions -= before - entry.versions.len();
        self.bytes -= freed;
        if entry.versions.is_empty() && before > 0 && slot != UNNAMED {
            let name = core::mem::take(&mut entry.name);
            self.index.remove(&name);
            self.free.push(slot);
        }
    }

    /// The server answered: the version stands and those before it are gone, or it never was.
    pub(super) fn settle(&mut self, slot: Slot, id: CommandId, stands: bool) {
        if let Some(version) = self.version(slot, id) {
            version.settled = stands;
        }
        self.retain(slot, |version| if stands { version.id >= id } else { version.id != id });
    }

    /// The server told the types. They are kept as far as the bound on memory allows.
    pub(super) fn retype(&mut self, slot: Slot, id: CommandId, types: Vec<u32>) {
        let (bytes, most) = (self.bytes, self.most_bytes);
        let Some(version) = self.version(slot, id) else { return };
        let others = bytes.saturating_sub(version.types.len() * 4);
        let after = others.saturating_add(types.len() * 4);
        if after <= most {
            version.types = types;
            self.bytes = after;
        }
    }

    /// The version of a command.
    fn version(&mut self, slot: Slot, id: CommandId) -> Option<&mut Version> {
        self.entry(slot)?.versions.iter_mut().find(|version| version.id == id)
    }

    /// A message that closes the name is on its way, in `segment`.
    pub(super) fn closing(&mut self, name: &[u8], segment: u64) -> Option<Slot> {
        let slot = self.slot(name)?;
        self.mark(slot, |_| Some(segment));
        Some(slot)
    }

    /// The message of that segment was skipped, and closed nothing.
    pub(super) fn not_closed(&mut self, slot: Slot, segment: u64) {
        self.mark(slot, |closing| closing.filter(|closing| *closing != segment));
    }

    fn mark(&mut self, slot: Slot, closing: impl Fn(Option<u64>) -> Option<u64>) {
        let versions = self.entry(slot).into_iter().flat_map(|entry| &mut entry.versions);
        versions.for_each(|version| version.closing = closing(version.closing));
    }

    /// The name was closed by a message that came behind command `last`.
    pub(super) fn close(&mut self, slot: Slot, last: CommandId) {
        self.retain(slot, |version| version.id > last);
    }

    /// Forgets the settled versions that stand in a segment up to `through`; of named ones alone if `named`.
    pub(super) fn forget(&mut self, through: u64, named: bool) {
        if self.versions == 0 {
            return;
        }
        let first = Slot::from(named);
        let end = Slot::try_from(self.entries.len()).unwrap_or(Slot::MAX);
        for slot in first..end {
            self.retain(slot, |version| !version.settled || version.segment > through);
        }
    }

    /// SQL may have dropped some of them.
    pub(super) const fn dropped(&mut self) {
        self.dropped = true;
    }

    /// SQL made a name: where it may have dropped some before, any of those known here may mean another thing now.
    pub(super) fn made(&mut self) {
        if core::mem::take(&mut self.dropped) {
            self.forget(u64::MAX, true);
        }
    }

    /// The server dropped all named ones that were made up to now, or they may mean other things.
    pub(super) fn cleared(&mut self) {
        self.dropped = false;
        self.forget(u64::MAX, true);
    }
}
