//! Tests of the log: published vectors, a naive reference, independent implementations, and whoever changes a byte.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::Checkpoint;
use crate::hash::{self, Hash};
use crate::note::{NoteFault, Signer, Verifier};
use crate::plan::Head;
use crate::proof::{self, Bundle};
use crate::tile::{self, TileSource};
use crate::verify::{VerifyFault, Visitor, root_at, verify};

mod oracles;

/// A log in memory.
#[derive(Default, Clone)]
struct Files(BTreeMap<String, Vec<u8>>);

impl TileSource for Files {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, std::io::Error> {
        Ok(self.0.get(path).cloned())
    }
}

#[derive(Default)]
struct Seen(Mutex<Vec<u64>>);

impl Visitor for Seen {
    fn entry(&mut self, index: u64, _: &[u8]) -> Result<(), String> {
        self.0.get_mut().unwrap().push(index);
        Ok(())
    }

    fn progress(&mut self, _: u64, _: u64) {}
}

fn signer() -> Signer {
    Signer::from_seed("ledger.example", &[7; 32]).unwrap()
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index} {}", "x".repeat(usize::try_from(index % 7).unwrap())).into_bytes()
}

/// A log of `size` entries, appended in batches of `batch`.
fn log(size: u64, batch: u64) -> (Files, Head) {
    let mut files = Files::default();
    let mut head = Head::empty();
    while head.size() < size {
        let entries: Vec<Vec<u8>> = (head.size()..(head.size() + batch).min(size)).map(entry).collect();
        let plan = head.plan(entries.iter().map(Vec::as_slice)).unwrap();
        files.0.extend(plan.files);
        head = plan.head;
    }
    let note = Checkpoint::sign(&signer(), head.size(), &head.root());
    files.0.insert("checkpoint".to_owned(), note.into_bytes());
    (files, head)
}

/// RFC 6962, 2.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => hash::empty(),
        [leaf] => *leaf,
        leaves => {
            let mut split = 1;
            while split * 2 < leaves.len() {
                split *= 2;
            }
            hash::node(&naive_root(&leaves[..split]), &naive_root(&leaves[split..]))
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap()).collect()
}

#[test]
fn published_roots_and_proofs() {
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    assert_eq!(Head::empty().root().to_hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let leaves = leaves.map(hex);
    let mut files = Files::default();
    let mut head = Head::empty();
    for (leaf, root) in leaves.iter().zip(roots) {
        let plan = head.plan([leaf.as_slice()]).unwrap();
        files.0.extend(plan.files);
        head = plan.head;
        assert_eq!(head.root().to_hex(), root);
    }
    let begin = |proof: Vec<Hash>| {
        proof.iter().map(|hash| hash.to_hex().chars().take(16).collect::<String>()).collect::<Vec<_>>()
    };
    let inclusion = begin(proof::inclusion(5, 8, &files).unwrap());
    assert_eq!(inclusion, ["bc1a0643b12e4d2d", "ca854ea128ed050b", "d37ee418976dd957"]);
}

#[test]
fn published_consistency() {
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"].map(hex);
    let mut files = Files::default();
    let mut head = Head::empty();
    for leaf in &leaves {
        let plan = head.plan([leaf.as_slice()]).unwrap();
        files.0.extend(plan.files);
        head = plan.head;
    }
    let proof = proof::consistency(3, 7, &files).unwrap();
    let begin: Vec<_> = proof.iter().map(|hash| hash.to_hex().chars().take(16).collect::<String>()).collect();
    assert_eq!(begin, ["0298d122906dcfc1", "07506a85fd9dd2f1", "fac54203e7cc696c", "837dbb152e9b0790"]);
}

#[test]
fn a_published_note_verifies() {
    let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let verifier: Verifier = key.parse().unwrap();
    assert_eq!(verifier.to_string(), key);
    let signature = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=";
    let note = format!("This is an example message.\n\n\u{2014} example.com/foo {signature}\n");
    assert_eq!(verifier.open(&note), Ok("This is an example message.\n"));
    let changed = note.replace("example message", "example massage");
    assert_eq!(verifier.open(&changed), Err(NoteFault::BadSignature("example.com/foo".to_owned())));
    let stranger = format!("{note}\u{2014} stranger AAAAAAAAAA==\n");
    assert!(verifier.open(&stranger).is_ok());
    for bad in ["", "\n", "a\n", "a\n\n", "a\n\nb\n", "a\r\n\n\u{2014} example.com/foo AAAAAAAA\n"] {
        assert_eq!(verifier.open(bad), Err(NoteFault::Malformed), "{bad:?}");
    }
    for bad in ["", "a+b", "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", "a+00000000+AQ=="] {
        assert_eq!(bad.parse::<Verifier>(), Err(NoteFault::MalformedKey), "{bad:?}");
    }
}

#[test]
fn tiles_stand_where_the_specification_says() {
    assert_eq!(tile::path(0, 1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(tile::path(0, 1000, 256), "tile/0/x001/000");
    assert_eq!(tile::path(1, 273, 112), "tile/1/273.p/112");
    assert_eq!(tile::entries_path(0, 1), "tile/entries/000.p/1");
    assert_eq!([0, 1, 2].map(|level| tile::edge(level, 70_000)), [(273, 112), (1, 17), (0, 1)]);
    let (files, _) = log(256, 100);
    assert!(files.0.contains_key("tile/0/000") && files.0.contains_key("tile/1/000.p/1"));
    assert!(!files.0.contains_key("tile/0/001.p/0"));
}

#[test]
fn every_size_has_the_root_that_the_rfc_defines() {
    let leaves: Vec<Hash> = (0..600).map(|index| hash::leaf(&entry(index))).collect();
    let mut head = Head::empty();
    for size in 1..=600 {
        head = head.plan([entry(size - 1).as_slice()]).unwrap().head;
        assert_eq!(head.root(), naive_root(&leaves[..usize::try_from(size).unwrap()]), "{size}");
    }
}

#[test]
fn batches_and_reloads_lead_to_the_same_log() {
    let (one, head_one) = log(70_001, 70_001);
    let (many, head_many) = log(70_001, 997);
    assert_eq!(head_one, head_many);
    assert_eq!(Head::load(70_001, &many).unwrap(), head_one);
    for (path, bytes) in &one.0 {
        assert_eq!(many.0.get(path), Some(bytes), "{path}");
    }
}

#[test]
fn proofs_hold_for_their_entry_and_head_alone() {
    let (files, head) = log(600, 37);
    let root = head.root();
    for index in [0, 1, 255, 256, 257, 511, 512, 598, 599] {
        let proof = proof::inclusion(index, 600, &files).unwrap();
        let leaf = hash::leaf(&entry(index));
        proof::check_inclusion(index, 600, leaf, &proof, &root).unwrap();
        assert!(proof::check_inclusion(index, 600, hash::leaf(b"other"), &proof, &root).is_err());
        assert!(proof::check_inclusion((index + 1) % 600, 600, leaf, &proof, &root).is_err());
        assert!(proof::check_inclusion(index, 600, leaf, &proof[1..], &root).is_err());
        assert!(proof::check_inclusion(index, 600, leaf, &[proof.clone(), vec![root]].concat(), &root).is_err());
    }
    assert!(proof::inclusion(600, 600, &files).is_err());
    let leaves: Vec<Hash> = (0..600).map(|index| hash::leaf(&entry(index))).collect();
    for old in 0..=600 {
        let old_root = naive_root(&leaves[..usize::try_from(old).unwrap()]);
        let proof = proof::consistency(old, 600, &files).unwrap();
        proof::check_consistency(old, &old_root, 600, &root, &proof).unwrap();
        assert!(proof::check_consistency(old, &hash::leaf(b"other"), 600, &root, &proof).is_err(), "{old}");
        if old > 0 && old < 600 {
            assert!(proof::check_consistency(old, &old_root, 600, &hash::leaf(b"other"), &proof).is_err(), "{old}");
        }
    }
}

#[test]
fn the_root_of_any_past_size_is_read_from_the_tiles() {
    for of in [1, 255, 256, 257, 600] {
        let (files, head) = log(of, 100);
        let leaves: Vec<Hash> = (0..of).map(|index| hash::leaf(&entry(index))).collect();
        for size in (0..=of).filter(|size| size % 37 == 0 || of - size < 3 || (254..259).contains(size)) {
            let past = naive_root(&leaves[..usize::try_from(size).unwrap()]);
            assert_eq!(root_at(size, of, &files).unwrap(), past, "{size} of {of}");
        }
        assert_eq!(root_at(of, of, &files).unwrap(), head.root());
        assert!(matches!(root_at(of + 1, of, &files), Err(VerifyFault::NotContinued(_))));
    }
}

#[test]
fn a_whole_log_verifies_and_continues_its_past() {
    let (files, _) = log(5000, 611);
    let verifier = signer().verifier();
    let earlier: Vec<Checkpoint> = [0, 1, 256, 4999, 5000]
        .map(|size| Checkpoint { origin: "ledger.example".into(), size, root: log(size, 1000).1.root() })
        .to_vec();
    let mut seen = Seen::default();
    assert_eq!(verify(&files, &verifier, &earlier, &mut seen).unwrap().size, 5000);
    assert_eq!(seen.0.into_inner().unwrap(), (0..5000).collect::<Vec<_>>());
    let forked = [Checkpoint { root: hash::leaf(b"other"), ..earlier[2].clone() }];
    let fault = verify(&files, &verifier, &forked, &mut Seen::default());
    assert!(matches!(fault, Err(VerifyFault::NotContinued(256))), "{fault:?}");
    let ahead = [Checkpoint { size: 5001, ..earlier[4].clone() }];
    assert!(matches!(verify(&files, &verifier, &ahead, &mut Seen::default()), Err(VerifyFault::NotContinued(5001))));
}

#[test]
fn any_changed_byte_is_found() {
    let (files, head) = log(300, 300);
    let verifier = signer().verifier();
    let needed: Vec<String> = files.0.keys().cloned().collect();
    for path in needed {
        let whole = files.0[&path].clone();
        for at in 0..whole.len() {
            let mut changed = files.clone();
            changed.0.get_mut(&path).unwrap()[at] ^= 1 << (at % 8);
            let outcome = verify(&changed, &verifier, &[], &mut Seen::default());
            // The line that names the signature's key is not signed, but then it names no known key.
            assert!(outcome.is_err(), "{path} byte {at} of {} entries", head.size());
        }
        for changed_to in
            [None, Some(Vec::new()), Some(whole[..whole.len() - 1].to_vec()), Some([&whole[..], b"\0"].concat())]
        {
            let mut changed = files.clone();
            match changed_to {
                None => changed.0.remove(&path),
                Some(bytes) => changed.0.insert(path.clone(), bytes),
            };
            assert!(verify(&changed, &verifier, &[], &mut Seen::default()).is_err(), "{path}");
        }
    }
}

#[test]
fn checkpoints_have_one_form() {
    let verifier = signer().verifier();
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let open = |text: String| Checkpoint::open(&signer().sign(&text), &verifier);
    assert_eq!(open(format!("ledger.example\n0\n{root}\n")).unwrap().size, 0);
    assert_eq!(open(format!("ledger.example\n0\n{root}\nextension\n")).unwrap().size, 0);
    for bad in ["00", "01", "+1", "-1", " 1", "", "18446744073709551616", "1e3"] {
        assert_eq!(open(format!("ledger.example\n{bad}\n{root}\n")), Err(NoteFault::Malformed), "{bad}");
    }
    assert_eq!(open(format!("other.example\n0\n{root}\n")), Err(NoteFault::Malformed));
    assert_eq!(open("ledger.example\n0\nAAAA\n".to_owned()), Err(NoteFault::Malformed));
    let other = Signer::from_seed("ledger.example", &[8; 32]).unwrap();
    let foreign = Checkpoint::sign(&other, 0, &hash::empty());
    assert!(matches!(Checkpoint::open(&foreign, &verifier), Err(NoteFault::NotSigned(_))));
}

#[test]
fn a_proof_bundle_stands_alone() {
    let (files, _) = log(1000, 1000);
    let checkpoint = String::from_utf8(files.0["checkpoint"].clone()).unwrap();
    let bundle =
        Bundle { entry: entry(700), index: 700, proof: proof::inclusion(700, 1000, &files).unwrap(), checkpoint };
    let text = bundle.to_text();
    let again = Bundle::from_text(&text).unwrap();
    assert_eq!(again, bundle);
    assert_eq!(again.check(&signer().verifier()).unwrap().size, 1000);
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        let Ok(changed) = String::from_utf8(changed) else { continue };
        let outcome = Bundle::from_text(&changed).and_then(|bundle| bundle.check(&signer().verifier()));
        assert!(outcome.is_err(), "byte {at}");
    }
}

#[test]
fn an_entry_that_is_too_long_is_refused_with_its_batch() {
    let long = vec![0; tile::MAX_ENTRY + 1];
    assert!(Head::empty().plan([b"a".as_slice(), &long]).is_err());
    assert!(Head::empty().plan([&long[1..]]).is_ok());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_note_panic(text in "\\PC{0,200}", tail in "[\\n\u{2014} a-zA-Z0-9+/=]{0,100}") {
        let verifier = signer().verifier();
        let _ = verifier.open(&text);
        let _ = verifier.open(&format!("{text}\n\n{tail}\n"));
        let _ = Bundle::from_text(&format!("c2sp.org/tlog-proof@v1\nextra {text}\nindex 1\n{tail}"));
        let _ = text.parse::<Verifier>();
    }

    #[test]
    fn no_bytes_make_a_tile_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600), width in 0_u64..300) {
        let _ = tile::decode(&bytes, width);
        let _ = tile::decode_entries(&bytes, width);
    }
}
