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
