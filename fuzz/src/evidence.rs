//! Evidence as an auditor, or a gateway after a crash, reads it back: it may have been written by anyone.

use std::io::Write as _;

use writ_core::id::SessionId;
use writ_ledger::note::{Signer, Verifier};
use writ_ledger::{Checkpoint, Hash, hash, proof as proofs, tile as tiles};
use writ_plugin::spool::{Item, SpoolReader};
use writ_record::segment::{Output, Progress, Sealer, Segment, Settings};
use writ_record::spool::{FILE_MAGIC, HEADER_BYTES, Header, SessionMeta};
use writ_record::{DataKey, Entry, Kind};

use crate::Input;

pub(crate) const NOTE_WORDS: &[&[u8]] = &[
    b"\n\n",
    "\n\u{2014} log.example ".as_bytes(),
    b"log.example\n",
    b"0\n",
    b"18446744073709551615\n",
    b"c2sp.org/tlog-proof@v1\n",
    b"extra ",
    b"index ",
    b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
];

/// The longest proof that is tried: more than any tree has levels.
const LONGEST_PROOF: usize = 80;

fn key() -> Option<DataKey> {
    DataKey::from_slice(&[7; 32]).ok()
}

fn kind(input: &mut Input<'_>) -> Option<Kind> {
    Kind::from_number(input.byte() & 15)
}

/// A kind, then a payload.
pub(crate) fn entry(data: &[u8]) {
    let mut input = Input(data);
    let Some(kind) = kind(&mut input) else { return };
    assert_eq!(Kind::from_number(kind.number()), Some(kind));
    if let Ok(entry) = Entry::decode(kind, input.0) {
        drop((entry.command(), entry.at(), format!("{entry:?}")));
    }
}

/// A segment as it is stored, or, where the first byte is 0, entries to be sealed and read back: a kind, a length, a payload.
pub(crate) fn segment(data: &[u8]) {
    let Some(key) = key() else { return };
    let mut input = Input(data);
    if input.byte() != 0 {
        let Ok(segment) = Segment::parse(data) else { return };
        assert!(segment.check(&segment.digest()).is_ok());
        let Ok(open) = segment.open(&key) else { return };
        for entry in open.entries() {
            assert!(entry.is_ok(), "a frame of a segment that verifies cannot be read");
        }
        return;
    }
    let meta = SessionMeta::decode(SessionId::from_bytes([1; 16]), META);
    let (Ok(meta), Ok(mut sealer)) = (meta, Sealer::new(Settings { frame_bytes: 100, ..Settings::default() })) else {
        return;
    };
    let (session, mut out, mut order, mut taken) = (meta.session, Vec::new(), 1, Vec::new());
    sealer.open(meta, key.clone(), Progress::default());
    while !input.0.is_empty() && sealer.has(session) {
        let Some(kind) = kind(&mut input) else { break };
        let count = input.byte().into();
        let payload = input.take(count);
        let Ok(entry) = Entry::decode(kind, payload) else { continue };
        if sealer.push(session, order, kind, payload, &mut out).is_err() {
            break;
        }
        taken.push(entry);
        order += 1;
    }
    let drained = sealer.drain(&mut out);
    assert!(drained.is_ok(), "what was taken cannot be sealed");
    read_back(&out, &key, &taken);
}

/// The fields of a session's opening that are not in the header of its record.
const META: &[u8] = b"\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\0\0\0\0\0\0\0\0\x02\x08\0payments\x06\0\0\0sealed\x07\0\0\0wrapped";

fn read_back(out: &[Output], key: &DataKey, taken: &[Entry]) {
    let mut read = Vec::new();
    for output in out {
        let Output::Segment(sealed) = output else { continue };
        let Ok(segment) = Segment::parse(&sealed.bytes) else { return assert!(read.is_empty(), "own segment") };
        let opened = segment.open(key);
        assert!(opened.is_ok(), "a segment that was just sealed does not open");
        let Ok(open) = opened else { return };
        for entry in open.entries() {
            assert!(entry.is_ok(), "an entry that was just sealed cannot be read");
            read.extend(entry.ok().map(|recorded| recorded.entry));
        }
    }
    for entry in taken {
        assert!(read.contains(entry), "an entry was lost: {entry:?}");
    }
}

/// A spool's file, but for its first eight bytes, which are right.
pub(crate) fn spool(data: &[u8]) {
    if let Some(Ok(header)) = data.first_chunk::<HEADER_BYTES>().map(Header::decode) {
        assert!(header.record_bytes() > HEADER_BYTES);
    }
    if let Ok(meta) = SessionMeta::decode(SessionId::from_bytes([1; 16]), data) {
        assert_eq!(meta.encode(), data, "an opening has two forms");
    }
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if file.write_all(&FILE_MAGIC).and_then(|()| file.write_all(data)).is_err() {
        return;
    }
    let Ok(mut reader) = SpoolReader::open(file.path()) else { return };
    let mut bytes = 0;
    let read = reader.read(true, &mut |_| key(), &mut |item| {
        if let Item::Record { kind, payload, .. } = item {
            bytes += payload.len();
            drop(Entry::decode(kind, payload));
        }
        Ok(())
    });
    assert!(read.is_ok() && bytes <= data.len(), "more was read than was there");
}

fn signer() -> Option<(Signer, Verifier)> {
    let signer = Signer::from_seed("log.example", &[5; 32]).ok()?;
    let verifier = signer.verifier();
    Some((signer, verifier))
}

/// A note as it comes, and the same text under a good signature.
pub(crate) fn note(data: &[u8]) {
    let (Ok(text), Some((signer, verifier))) = (core::str::from_utf8(data), signer()) else { return };
    drop(Checkpoint::open(text, &verifier));
    if let Ok(verifier) = text.parse::<Verifier>() {
        assert_eq!(verifier.to_string().parse().as_ref(), Ok(&verifier), "a key has two forms");
    }
    let signed = signer.sign(text);
    if let Ok(opened) = verifier.open(&signed) {
        assert_eq!(opened, text, "a note's text is not what was signed");
    }
    if let Ok(checkpoint) = Checkpoint::open(&signed, &verifier) {
        let again = Checkpoint::sign(&signer, checkpoint.size, &checkpoint.root);
        assert_eq!(Checkpoint::open(&again, &verifier), Ok(checkpoint));
    }
}

/// A width, then a tile.
pub(crate) fn tile(data: &[u8]) {
    let mut input = Input(data);
    let width = u64::from(input.byte());
    if let Some(hashes) = tiles::decode(input.0, width) {
        assert_eq!(tiles::encode(&hashes), input.0);
    }
    if let Some(entries) = tiles::decode_entries(input.0, width) {
        let mut again = Vec::new();
        assert!(entries.iter().all(|entry| tiles::append_entry(&mut again, entry)));
        assert_eq!(again, input.0);
    }
}

/// A proof's bundle; and two sizes in 16 bytes with hashes, for the proofs themselves.
pub(crate) fn proof(data: &[u8]) {
    let Some((_, verifier)) = signer() else { return };
    if let Some(Ok(bundle)) = core::str::from_utf8(data).ok().map(proofs::Bundle::from_text) {
        let again = proofs::Bundle::from_text(&bundle.to_text()).ok();
        assert_eq!(again.as_ref(), Some(&bundle), "a bundle changes when it is written and read");
        drop(bundle.check(&verifier));
    }
    let mut input = Input(data);
    let (one, other) = (number(&mut input), number(&mut input));
    let hashes: Vec<Hash> = input.0.chunks(hash::LENGTH).take(LONGEST_PROOF).filter_map(Hash::from_slice).collect();
    let (leaf, root) = (hash::leaf(b"entry"), hash::empty());
    let included = proofs::check_inclusion(one, other, leaf, &hashes, &root);
    assert!(included.is_err(), "an entry is proved to be in an empty tree");
    drop(proofs::check_consistency(one, &root, other, &leaf, &hashes));
}

fn number(input: &mut Input<'_>) -> u64 {
    let bytes = input.take(8);
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}
