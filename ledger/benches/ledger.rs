//! How fast the log takes batches of entries, and how fast a log of a million entries verifies. Files are held in memory: what is
//! measured is planning and hashing. Prints `name value unit`.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use writ_ledger::note::Signer;
use writ_ledger::verify::{Visitor, verify};
use writ_ledger::{Checkpoint, Head, TileSource};

/// How many entries the log gets.
const ENTRIES: u64 = 1_000_000;
/// How many of them come at once.
const BATCH: u64 = 512;

type Failure = Box<dyn core::error::Error + Send + Sync>;

/// The log's files.
#[derive(Default)]
struct Memory(HashMap<String, Vec<u8>>);

impl TileSource for Memory {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, io::Error> {
        Ok(self.0.get(path).cloned())
    }
}

/// Counts entries.
struct Count(u64);

impl Visitor for Count {
    fn entry(&mut self, _index: u64, _bytes: &[u8]) -> Result<(), String> {
        self.0 += 1;
        Ok(())
    }

    fn progress(&mut self, _done: u64, _of: u64) {}
}

/// An entry as long as the broker's are.
fn entry(index: u64) -> Vec<u8> {
    format!("{{\"kind\":\"session.opened\",\"index\":{index},\"session\":\"{}\"}}", "s".repeat(300)).into_bytes()
}

#[expect(clippy::print_stdout, reason = "a benchmark says what it measured")]
fn main() -> Result<(), Failure> {
    let signer = Signer::from_seed("bench.example", &[7; 32])?;
    let (mut head, mut files) = (Head::empty(), Memory::default());
    let mut took = std::time::Duration::ZERO;
    for first in (0..ENTRIES).step_by(usize::try_from(BATCH)?) {
        let batch: Vec<_> = (first..ENTRIES.min(first + BATCH)).map(entry).collect();
        let begun = Instant::now();
        let plan = head.plan(batch.iter().map(Vec::as_slice))?;
        let checkpoint = Checkpoint::sign(&signer, plan.head.size(), &plan.head.root());
        took += begun.elapsed();
        files.0.insert("checkpoint".to_owned(), checkpoint.into_bytes());
        files.0.extend(plan.files);
        head = plan.head;
    }
    println!("ledger_entries_per_second {:.0} 1/s", ENTRIES as f64 / took.as_secs_f64());
    let mut count = Count(0);
    let begun = Instant::now();
    verify(&files, &signer.verifier(), &[], &mut count)?;
    println!("ledger_verify_million {:.2} s", begun.elapsed().as_secs_f64());
    if count.0 == ENTRIES { Ok(()) } else { Err(format!("{} of {ENTRIES} entries were seen", count.0).into()) }
}
