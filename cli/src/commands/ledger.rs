//! `writ ledger`: verification from the files alone, and proofs that stand alone.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use writ_core::event::{Entry, Event};
use writ_core::id::WritId;
use writ_ledger::note::Verifier;
use writ_ledger::proof::{self, Bundle};
use writ_ledger::verify::{Visitor, verify};
use writ_ledger::{Checkpoint, TileSource};

use super::Connection;
use crate::failure::{Doing as _, Failure};
use crate::out;

mod audit;
mod find;

use audit::Audit;

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Verify every entry, tile, checkpoint and recording, offline.
    Verify {
        /// The evidence directory: `ledger/` and `recordings/`.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// The ledger's key, as `writ ledger key` prints it. Without it the one in the state directory is used.
        #[arg(long)]
        key: Option<String>,
        /// An earlier checkpoint that the ledger must continue. May be given more than once.
        #[arg(long, value_name = "FILE")]
        since: Vec<PathBuf>,
    },
    /// Print a proof that a writ's issuance is in the ledger; it can be checked with nothing else.
    Prove {
        /// The writ.
        writ: WritId,
        /// The evidence directory.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// The ledger's key.
        #[arg(long)]
        key: Option<String>,
    },
    /// Check a proof.
    CheckProof {
        /// The proof, as `writ ledger prove` printed it.
        file: PathBuf,
        /// The ledger's key.
        #[arg(long)]
        key: String,
    },
    /// Print the entries that name a request, a writ, a session or anything else that has an identifier: why a request was refused,
    /// for one. The ledger is verified meanwhile.
    Find {
        /// The identifier, as a client or a command showed it: `req-...`, `writ-...`, `apr-...`.
        id: String,
        /// The evidence directory.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// The ledger's key.
        #[arg(long)]
        key: Option<String>,
    },
    /// Print the ledger's key: give it to auditors by a way of its own.
    Key,
}

/// Runs the command.
///
/// # Errors
/// If something does not verify.
pub(crate) fn run(command: Ledger, connection: &Connection) -> Result<(), Failure> {
    match command {
        Ledger::Verify { dir, key, since } => {
            let place = Place::find(dir, key, connection)?;
            verify_all(&place, &since)
        }
        Ledger::Find { id, dir, key } => find::run(&Place::find(dir, key, connection)?, &id),
        Ledger::Prove { writ, dir, key } => prove(&Place::find(dir, key, connection)?, writ),
        Ledger::CheckProof { file, key } => check_proof(&file, &key),
        Ledger::Key => {
            out::line(read_key(connection)?.trim());
            Ok(())
        }
    }
}

/// Where the evidence is and who signed it.
struct Place {
    directory: PathBuf,
    verifier: Verifier,
}

impl Place {
    fn find(directory: Option<PathBuf>, key: Option<String>, connection: &Connection) -> Result<Self, Failure> {
        let directory = match directory {
            Some(directory) => directory,
            None => broker_state(connection)?.join("evidence"),
        };
        let key = match key {
            Some(key) => key,
            None => read_key(connection)?,
        };
        Ok(Self { directory, verifier: verifier(&key)? })
    }

    fn files(&self) -> Files {
        Files(self.directory.join("ledger"))
    }
}

fn verifier(key: &str) -> Result<Verifier, Failure> {
    key.trim().parse().doing("the ledger's key is refused")
}

/// The broker's own directory: the state directory, or `broker` in it, as `writ dev` keeps it.
fn broker_state(connection: &Connection) -> Result<PathBuf, Failure> {
    let state = connection.state_directory()?;
    let inner = state.join("broker");
    Ok(if inner.join("ledger.vkey").exists() { inner } else { state })
}

fn read_key(connection: &Connection) -> Result<String, Failure> {
    let path = broker_state(connection)?.join("ledger.vkey");
    std::fs::read_to_string(&path)
        .doing(format!("`{}` cannot be read", path.display()))
        .map_err(|failure| failure.help("name the broker's state directory with `--state`, or the key with `--key`"))
}

/// The longest file of a log: a full tile of the longest entries.
const MAX_TILE: u64 = 256 * (65_535 + 2);

/// A log's files. Nothing in them is believed.
struct Files(PathBuf);

impl TileSource for Files {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, std::io::Error> {
        let file = match File::open(self.0.join(path)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(MAX_TILE + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

fn verify_all(place: &Place, since: &[PathBuf]) -> Result<(), Failure> {
    let earlier = since
        .iter()
        .map(|path| {
            let note = std::fs::read_to_string(path).doing(format!("`{}` cannot be read", path.display()))?;
            Checkpoint::open(&note, &place.verifier).doing(format!("`{}` is refused", path.display()))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let style = ProgressStyle::with_template("verifying {bar:40} {pos}/{len} entries")
        .doing("the progress bar cannot be made")?;
    let mut audit = Audit::new(place.directory.join("recordings"), ProgressBar::new(0).with_style(style));
    let checkpoint =
        verify(&place.files(), &place.verifier, &earlier, &mut audit).doing("the ledger does not verify")?;
    audit.bar.finish_and_clear();
    audit.check_seen(checkpoint.size, &place.files())?;
    out::line(&format!(
        "verified: {} entries and {} segments ({} bytes), signed by {}",
        audit.entries,
        audit.segments.len(),
        audit.bytes,
        checkpoint.origin
    ));
    out::line(&format!("root {}", checkpoint.root.to_hex()));
    for remark in audit.remarks() {
        out::note(&format!("note: {remark}"));
    }
    for file in audit.unnamed() {
        out::note(&format!("note: no entry names `{}`; it is no evidence", file.display()));
    }
    for earlier in earlier {
        out::line(&format!("it continues the checkpoint of {} entries", earlier.size));
    }
    Ok(())
}

/// Finds the entry of a writ's issuance.
struct Find {
    writ: WritId,
    found: Option<(u64, Vec<u8>)>,
}

impl Visitor for Find {
    fn entry(&mut self, index: u64, bytes: &[u8]) -> Result<(), String> {
        let entry = Entry::from_canonical(bytes).map_err(|fault| fault.to_string())?;
        if matches!(&entry.event, Event::WritIssued { writ, .. } if *writ == self.writ) {
            self.found = Some((index, bytes.to_vec()));
        }
        Ok(())
    }

    fn progress(&mut self, _: u64, _: u64) {}
}

fn prove(place: &Place, writ: WritId) -> Result<(), Failure> {
    let files = place.files();
    let mut find = Find { writ, found: None };
    let checkpoint = verify(&files, &place.verifier, &[], &mut find).doing("the ledger does not verify")?;
    let (index, entry) =
        find.found.ok_or_else(|| Failure::new(format!("no entry of the ledger says that {writ} was issued")))?;
    let proof = proof::inclusion(index, checkpoint.size, &files).doing("the proof cannot be made")?;
    let note = files.read("checkpoint").doing("the checkpoint cannot be read")?.unwrap_or_default();
    let checkpoint = String::from_utf8(note).doing("the checkpoint is no text")?;
    out::raw(&Bundle { entry, index, proof, checkpoint }.to_text());
    Ok(())
}

fn check_proof(file: &Path, key: &str) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file).doing(format!("`{}` cannot be read", file.display()))?;
    let bundle = Bundle::from_text(&text).doing(format!("`{}` is refused", file.display()))?;
    let checkpoint = bundle.check(&verifier(key)?).doing(format!("`{}` is refused", file.display()))?;
    let entry = Entry::from_canonical(&bundle.entry).doing("the entry is refused")?;
    out::line(&format!("proved: entry {} of {}, signed by {}", bundle.index, checkpoint.size, checkpoint.origin));
    super::print_json(&entry)
}
