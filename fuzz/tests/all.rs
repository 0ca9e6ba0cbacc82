//! Each target over its corpus and a fixed number of mutations of it.

#![cfg(test)]

use std::path::Path;

use writ_fuzz::mutate::{Random, mutate};
use writ_fuzz::{TARGETS, target};

const SEED: u64 = 20_260_101;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Says which input failed, by a form that `examples/long.rs` takes.
struct Trace<'a>(&'a str, &'a [u8]);

impl Drop for Trace<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex: String = self.1.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("`{}` fails for the input {hex}", self.0);
        }
    }
}

fn short(name: &str) {
    let target = target(name).unwrap();
    let known = corpus(name);
    assert!(!known.is_empty(), "`{name}` has no corpus");
    for input in &known {
        let _trace = Trace(name, input);
        (target.run)(input);
    }
    let mut random = Random::new(SEED);
    for _ in 0..target.short {
        let input = mutate(&known, target.words, &mut random);
        let _trace = Trace(name, &input);
        (target.run)(&input);
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { short(stringify!($name)); })*

        #[test]
        fn every_target_is_run_and_every_corpus_has_one() {
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), [$(stringify!($name)),*]);
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
            for entry in std::fs::read_dir(folder).unwrap() {
                assert!(target(entry.unwrap().file_name().to_str().unwrap()).is_some());
            }
        }
    };
}

targets! { startup client_login upstream relay names proxy token keys discovery aws_proof config policy entry segment spool note tile proof sealed tokens statements mask frames }
