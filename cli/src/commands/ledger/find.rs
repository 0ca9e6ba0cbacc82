//! `writ ledger find`: the entries that name an identifier, which is how an operator learns why a request was refused.
//!
//! Nothing is printed before the whole ledger has verified: an entry is evidence only as a part of the tree that was signed.

use writ_core::event::Entry;
use writ_ledger::verify::{Visitor, verify};

use super::Place;
use crate::commands::print_json;
use crate::failure::{Doing as _, Failure};
use crate::out;

/// Entries that are printed at most: a gateway's identifier stands in each of its sessions.
const MOST: usize = 1_000;

struct Named {
    /// The identifier as JSON writes it.
    wanted: Vec<u8>,
    found: Vec<Vec<u8>>,
    more: u64,
}

impl Visitor for Named {
    fn entry(&mut self, _: u64, bytes: &[u8]) -> Result<(), String> {
        if !bytes.windows(self.wanted.len()).any(|part| part == self.wanted) {
            return Ok(());
        }
        if self.found.len() < MOST {
            self.found.push(bytes.to_vec());
        } else {
            self.more += 1;
        }
        Ok(())
    }

    fn progress(&mut self, _: u64, _: u64) {}
}

/// Prints them, oldest first, as JSON.
///
/// # Errors
/// If the text is no identifier, the ledger does not verify, or no entry names it.
pub(super) fn run(place: &Place, id: &str) -> Result<(), Failure> {
    let form = |byte: u8| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if id.len() < 26 || !id.bytes().all(form) {
        return Err(Failure::new(format!("`{id}` is no identifier"))
            .help("write it as it was shown, whole: `req-` and 26 characters, for one"));
    }
    let mut named = Named { wanted: format!("\"{id}\"").into_bytes(), found: Vec::new(), more: 0 };
    verify(&place.files(), &place.verifier, &[], &mut named).doing("the ledger does not verify")?;
    if named.found.is_empty() {
        return Err(Failure::new(format!("no entry of the ledger names {id}"))
            .help("ask the ledger of the broker that the gateway is joined to"));
    }
    for bytes in &named.found {
        print_json(&Entry::from_canonical(bytes).doing("the entry is refused")?)?;
    }
    if named.more > 0 {
        out::note(&format!("note: {} later entries name it too", named.more));
    }
    Ok(())
}
