//! What is looked at beside the log itself: the recordings that its entries name, and what their gateways had seen of the log.
//!
//! A broker takes no segment that names a checkpoint of another ledger, so that one which does stands in a ledger that was forked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use writ_core::event::{Entry, Event, SessionEnd};
use writ_core::id::SessionId;
use writ_ledger::TileSource;
use writ_ledger::verify::{Visitor, root_at};
use writ_record::segment::Segment;

use crate::failure::{Doing as _, Failure};

/// Every entry is read; every segment that an entry names is hashed; every stored segment must be named.
pub(super) struct Audit {
    pub(super) bar: ProgressBar,
    pub(super) entries: u64,
    pub(super) segments: BTreeSet<PathBuf>,
    pub(super) bytes: u64,
    recordings: PathBuf,
    sessions: BTreeMap<SessionId, Recording>,
    /// Segments that say something else of themselves than their entries. A gateway can make such ones of its own sessions
    /// at will, so that they do not make the ledger's verification fail.
    odd: Vec<String>,
    /// The checkpoints that gateways had seen: for each size the root, and who named it.
    seen: BTreeMap<u64, (String, SessionId)>,
}

/// What the log says of one session's recording.
#[derive(Default)]
struct Recording {
    commands: Stream,
    rows: Stream,
    /// Whether it was ended without its gateway's word.
    silent: bool,
}

#[derive(Default)]
struct Stream {
    sealed: BTreeSet<u64>,
    /// How many there must be, by the gateway's own word.
    declared: u64,
}

impl Stream {
    /// The runs of numbers that are not there: the first and the last of each.
    fn gaps(&self) -> Vec<(u64, u64)> {
        let end = self.declared.max(self.sealed.last().map_or(0, |last| last.saturating_add(1)));
        let (mut gaps, mut next) = (Vec::new(), 0);
        for number in self.sealed.iter().copied().chain([end]) {
            if number > next {
                gaps.push((next, number - 1));
            }
            next = number.saturating_add(1);
        }
        gaps
    }
}

/// What an entry says of a segment.
struct Named<'a> {
    session: SessionId,
    stream: &'a str,
    sequence: u64,
    digest: &'a str,
    bytes: u64,
    seen: (u64, &'a str),
}

impl Audit {
    pub(super) fn new(recordings: PathBuf, bar: ProgressBar) -> Self {
        let (segments, sessions, seen, odd) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { bar, entries: 0, segments, bytes: 0, recordings, sessions, odd, seen }
    }

    fn segment(&mut self, index: u64, named: &Named<'_>) -> Result<(), String> {
        let Named { session, stream, sequence, digest, .. } = *named;
        let recording = self.sessions.entry(session).or_default();
        let sealed = match stream {
            "commands" => &mut recording.commands.sealed,
            "rows" => &mut recording.rows.sealed,
            unknown => return Err(format!("an unknown stream `{unknown}`")),
        };
        let name = format!("{session}/{stream}-{sequence}-{digest}");
        if !sealed.insert(sequence) {
            return Err(format!("the segment `{name}` stands where another one does"));
        }
        let path = self.recordings.join(&name);
        let bytes = std::fs::read(&path).map_err(|error| format!("the segment `{name}` cannot be read: {error}"))?;
        if hex(&writ_record::segment::sha256(&bytes)) != digest || bytes.len() as u64 != named.bytes {
            return Err(format!("the segment `{name}` is not the one that was logged: it was changed"));
        }
        if let Err(why) = check_header(&bytes, named) {
            self.odd.push(format!("the segment `{name}` {why}: its gateway lied, or whoever wrote the entry"));
        }
        self.bytes += named.bytes;
        self.segments.insert(path);
        let (size, root) = named.seen;
        if size > index {
            return Err(format!(
                "the segment `{name}` names a checkpoint of {size} entries, of which there were {index}"
            ));
        }
        let (known, by) = self.seen.entry(size).or_insert_with(|| (root.to_owned(), session));
        if size > 0 && known != root {
            return Err(format!(
                "the segment `{name}` names another ledger of {size} entries than {by}: it was forked"
            ));
        }
        Ok(())
    }

    /// Holds the checkpoints that gateways had seen against the ledger of `size` entries that was verified.
    ///
    /// # Errors
    /// One is not of this ledger, or its tiles cannot be read.
    pub(super) fn check_seen(&self, size: u64, source: &dyn TileSource) -> Result<(), Failure> {
        for (seen, (root, session)) in self.seen.iter().filter(|(seen, _)| **seen > 0) {
            if root_at(*seen, size, source).doing("the ledger does not verify")?.to_hex() != *root {
                return Err(Failure::new(format!(
                    "the gateway of {session} had seen a ledger of {seen} entries that this one does not continue: it was \
                     forked or rewritten"
                )));
            }
        }
        Ok(())
    }

    /// What is missing of recordings by the log's own word, and what is odd about those that are there.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut missing = self.odd.clone();
        for (session, recording) in &self.sessions {
            for (stream, found) in [("commands", &recording.commands), ("rows", &recording.rows)] {
                for (first, last) in found.gaps() {
                    missing.push(format!("{session} lacks the segments {first} to {last} of its {stream}"));
                }
            }
            if recording.silent {
                missing.push(format!(
                    "{session} was ended without its gateway's word: its recording may lack what was not uploaded"
                ));
            }
        }
        missing
    }

    /// Segments that no entry names: a crash left them before they were logged, or somebody put them there. They prove nothing.
    pub(super) fn unnamed(&self) -> Vec<PathBuf> {
        let below = |path: &Path| {
            let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        below(&self.recordings)
            .iter()
            .flat_map(|session| below(session))
            .filter(|file| !self.segments.contains(file))
            .collect()
    }
}

impl Visitor for Audit {
    fn entry(&mut self, index: u64, bytes: &[u8]) -> Result<(), String> {
        let entry = Entry::from_canonical(bytes).map_err(|fault| fault.to_string())?;
        self.entries += 1;
        match &entry.event {
            Event::SegmentSealed { session, sequence, stream, digest, bytes, seen_size, seen_root } => {
                let (session, sequence, bytes) = (*session, *sequence, *bytes);
                self.segment(index, &Named { session, stream, sequence, digest, bytes, seen: (*seen_size, seen_root) })
            }
            Event::SessionClosed { session, end, code, command_segments, row_segments, .. } => {
                let recording = self.sessions.entry(*session).or_default();
                recording.commands.declared = *command_segments;
                recording.rows.declared = *row_segments;
                recording.silent = code.as_deref() == Some("gateway.silent") && *end != SessionEnd::NotOpened;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn progress(&mut self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.bar.set_position(done);
    }
}

/// Whether the segment says of itself what the entry says of it. Its header is authenticated with the session's key.
fn check_header(bytes: &[u8], named: &Named<'_>) -> Result<(), String> {
    let segment = Segment::parse(bytes).map_err(|error| format!("cannot be read: {error}"))?;
    let header = segment.header();
    let own = (header.session, header.stream.as_str(), header.sequence);
    if own != (named.session, named.stream, named.sequence) {
        return Err(format!("is segment {} of the {} of {}", header.sequence, header.stream.as_str(), header.session));
    }
    if (header.seen.size, hex(&header.seen.root).as_str()) != named.seen {
        return Err("names another checkpoint than the entry".to_owned());
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
