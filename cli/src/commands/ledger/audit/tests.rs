//! What the audit finds in ledgers that verify: recordings that are not whole, and a past that gateways saw and is not there.

use std::collections::BTreeMap;
use std::path::Path;

use indicatif::ProgressBar;
use tempfile::TempDir;
use writ_core::event::{Entry, Event, SessionEnd};
use writ_core::id::{SessionId, WritId};
use writ_core::time::Timestamp;
use writ_ledger::TileSource;
use writ_ledger::note::Signer;
use writ_ledger::plan::Head;
use writ_ledger::verify::verify;
use writ_ledger::{Checkpoint, Hash};

use super::{Audit, hex};

struct Files(BTreeMap<String, Vec<u8>>);

impl TileSource for Files {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, std::io::Error> {
        Ok(self.0.get(path).cloned())
    }
}

/// The files of a log with these events, and its root.
fn log(events: &[Event]) -> (Files, Hash) {
    let entries: Vec<_> =
        events.iter().map(|event| Entry::new(Timestamp::UNIX_EPOCH, event.clone()).to_canonical().unwrap()).collect();
    let plan = Head::empty().plan(entries.iter().map(Vec::as_slice)).unwrap();
    let signer = Signer::from_seed("ledger.example", &[7; 32]).unwrap();
    let mut files = Files(plan.files.into_iter().collect());
    let note = Checkpoint::sign(&signer, plan.head.size(), &plan.head.root());
    files.0.insert("checkpoint".to_owned(), note.into_bytes());
    (files, plan.head.root())
}

fn closed(session: SessionId, code: Option<&str>, command_segments: u64) -> Event {
    let (writ, end, code) = (WritId::fresh(), SessionEnd::Crash, code.map(str::to_owned));
    Event::SessionClosed { session, writ, end, code, commands: 1, command_segments, row_segments: 0 }
}

/// A segment of the session in `recordings`, and the event that names it.
fn sealed(recordings: &Path, session: SessionId, sequence: u64, (seen_size, seen_root): (u64, String)) -> Event {
    let bytes = b"no segment";
    let digest = hex(&writ_record::segment::sha256(bytes));
    let folder = recordings.join(session.to_string());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("commands-{sequence}-{digest}")), bytes).unwrap();
    let (stream, bytes) = ("commands".to_owned(), bytes.len() as u64);
    Event::SegmentSealed { session, sequence, stream, digest, bytes, seen_size, seen_root }
}

/// What is remarked of a ledger of these events, or why it does not verify.
fn audited(recordings: &TempDir, events: &[Event]) -> Result<Vec<String>, String> {
    let (files, _) = log(events);
    let mut audit = Audit::new(recordings.path().to_owned(), ProgressBar::hidden());
    let signer = Signer::from_seed("ledger.example", &[7; 32]).unwrap();
    let checkpoint = verify(&files, &signer.verifier(), &[], &mut audit).map_err(|fault| fault.to_string())?;
    audit.check_seen(checkpoint.size, &files).map_err(|failure| failure.to_string())?;
    Ok(audit.remarks())
}

#[test]
fn what_is_missing_of_a_recording_is_remarked() {
    let (place, one, other) = (TempDir::new().unwrap(), SessionId::fresh(), SessionId::fresh());
    let none = || (0, "0".repeat(64));
    let events = [
        sealed(place.path(), one, 1, none()),
        sealed(place.path(), one, 4, none()),
        closed(one, None, 7),
        closed(other, Some("gateway.silent"), 0),
    ];
    let remarks = audited(&place, &events).unwrap();
    let said = |what: &str| remarks.iter().filter(|remark| remark.contains(what)).count();
    for gap in ["segments 0 to 0 of its commands", "segments 2 to 3 of its", "segments 5 to 6 of its"] {
        assert_eq!(said(gap), 1, "{gap}: {remarks:?}");
    }
    assert_eq!(said("cannot be read: "), 2, "{remarks:?}");
    assert_eq!(said("without its gateway's word"), 1, "{remarks:?}");
    assert_eq!(remarks.len(), 6, "{remarks:?}");
    let twice = [sealed(place.path(), one, 1, none()), sealed(place.path(), one, 1, none())];
    assert!(audited(&place, &twice).unwrap_err().contains("stands where another one does"));
}

#[test]
fn a_past_that_a_gateway_saw_and_is_not_there_fails() {
    let (place, session) = (TempDir::new().unwrap(), SessionId::fresh());
    let first = closed(session, None, 1);
    let root = log(std::slice::from_ref(&first)).1.to_hex();
    let other = log(&[closed(session, None, 1)]).1.to_hex();
    let with =
        |size, root: &String| audited(&place, &[first.clone(), sealed(place.path(), session, 0, (size, root.clone()))]);
    assert_eq!(with(1, &root).unwrap().len(), 1, "it is no segment");
    assert!(with(1, &other).unwrap_err().contains("forked or rewritten"));
    assert!(with(2, &root).unwrap_err().contains("names a checkpoint of 2 entries, of which there were 1"));
    let two =
        [first.clone(), sealed(place.path(), session, 0, (1, root)), sealed(place.path(), session, 1, (1, other))];
    assert!(audited(&place, &two).unwrap_err().contains("it was forked"));
}
