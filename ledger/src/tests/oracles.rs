//! Independent implementations of the same formats agree with ours: `tlog_tiles` on proofs, `signed_note` on notes.

use tlog_tiles::tlog;

use super::{entry, log, signer};
use crate::hash::{self, Hash};
use crate::proof;

fn theirs(hash: &Hash) -> tlog::Hash {
    tlog::Hash(hash.0)
}

#[test]
fn another_implementation_accepts_our_proofs() {
    for size in [1, 2, 3, 7, 255, 256, 257, 600, 1000] {
        let (files, head) = log(size, 100);
        let root = theirs(&head.root());
        for index in [0, 1, size / 2, size - 1] {
            let index = index.min(size - 1);
            let ours = proof::inclusion(index, size, &files).unwrap().iter().map(theirs).collect();
            tlog::check_record(&ours, size, root, index, tlog::record_hash(&entry(index))).unwrap();
        }
        for old in [1, size / 2, size - 1, size] {
            if old == 0 {
                continue;
            }
            let ours = proof::consistency(old, size, &files).unwrap().iter().map(theirs).collect();
            let old_root = theirs(&log(old, 100).1.root());
            tlog::check_tree(&ours, size, root, old, old_root).unwrap();
        }
    }
}

#[test]
fn leaves_hash_alike() {
    for index in 0..100 {
        assert_eq!(theirs(&hash::leaf(&entry(index))).0, tlog::record_hash(&entry(index)).0);
    }
}

#[test]
fn another_implementation_verifies_our_notes() {
    use signed_note::{Note, StandardVerifier, VerifierList};
    let key = signer().verifier().to_string();
    let verifiers = VerifierList::new(vec![Box::new(StandardVerifier::new(&key).unwrap())]);
    let text = "first line\nsecond line\n";
    let note = Note::from_bytes(signer().sign(text).as_bytes()).unwrap();
    let (verified, unverified) = note.verify(&verifiers).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 0));
}

/// Runs the auditor's script over the files, and returns its standard output, or its words of refusal.
fn script(files: &super::Files) -> Result<String, String> {
    let place = tempfile::tempdir().unwrap();
    for (path, bytes) in &files.0 {
        let path = place.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/verify.py");
    let run = std::process::Command::new("python3")
        .arg(script)
        .arg(place.path())
        .arg(signer().verifier().to_string())
        .output()
        .expect("the test needs `python3` (Debian: python3)");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if run.status.success() { Ok(text(&run.stdout)) } else { Err(text(&run.stderr)) }
}

#[test]
fn a_script_with_nothing_of_ours_verifies_what_we_write() {
    for (size, batch) in [(0, 1), (1, 1), (255, 100), (256, 100), (700, 100), (65_800, 4000)] {
        let (files, _) = log(size, batch);
        let said = script(&files).unwrap();
        assert!(said.starts_with(&format!("verified: {size} entries")), "{said}");
    }
}

#[test]
fn a_script_with_nothing_of_ours_finds_a_changed_byte() {
    let (files, _) = log(700, 700);
    for path in files.0.keys() {
        for place in [0.0, 0.4, 0.9] {
            let mut changed = files.clone();
            let bytes = changed.0.get_mut(path).unwrap();
            let at = (bytes.len() as f64 * place) as usize;
            bytes[at] ^= 1;
            assert!(script(&changed).is_err(), "{path}, byte {at}");
        }
    }
}
