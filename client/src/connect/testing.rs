//! What must hold of the messages of a login, whatever bytes they are read from, for fuzz targets.

use std::sync::{Mutex, PoisonError};

use super::hearing::Hearing;
use super::startup::{self, First};
use super::{Event, Watch};

const TARGET: &str = "payments/reader";
const DATABASE: &str = "payments";
/// Whom a client may not be, whatever it asks for, and where its own words end.
const FIRST: [&[u8]; 2] = [b"user\0payments/reader\0", b"database\0"];
const LAST: &[u8] = b"options\0-c writ.auth=password\0\0";

/// What a client begins with: nothing of it is read before it is whole; what is passed on is a request for the target alone,
/// which asks for the token as a password.
///
/// # Errors
/// It does not hold: how.
pub fn begins(client: &[u8]) -> Result<(), String> {
    let Ok(Some((first, length))) = startup::first(client) else { return Ok(()) };
    let whole = client.get(..length).ok_or("more than there is")?;
    for end in [0, 1, 3, 4, 7, 8, length / 2, length - 1].into_iter().filter(|end| *end < length) {
        if whole.get(..end).is_some_and(|part| startup::first(part) != Ok(None)) {
            return Err(format!("{end} bytes of {length} are taken for the whole"));
        }
    }
    match first {
        First::Encryption => holds(length == 8, "a request for encryption says more"),
        First::Cancel(packet) => holds(packet == whole, "a request to cancel is changed"),
        First::Startup(startup) => {
            let passed = startup.for_target(TARGET, DATABASE, None);
            let stated = passed.first_chunk().map(|length| u32::from_be_bytes(*length));
            holds(stated == u32::try_from(passed.len()).ok(), "the length is another")?;
            holds(passed.get(4..8) == whole.get(4..8), "the version is another")?;
            let body = passed.get(8..).unwrap_or_default();
            let rest = FIRST.iter().try_fold(body, |rest, expected| rest.strip_prefix(*expected));
            holds(rest.is_some() && body.ends_with(LAST), "it is for another target, or asks for another login")?;
            let names: Vec<&[u8]> = body.split(|byte| *byte == 0).step_by(2).collect();
            let count = |name: &[u8]| names.iter().filter(|found| **found == name).count();
            holds(count(b"user") == 1 && count(b"database") == 1, "it names two users or databases")?;
            match startup::first(&passed) {
                Ok(Some((First::Startup(_), read))) => holds(read == passed.len(), "bytes are behind it"),
                // What was nearly too long is too long with the target's name.
                Err(_) if passed.len() > whole.len() => Ok(()),
                other => Err(format!("it is read back as {other:?}")),
            }
        }
    }
}

/// What a gateway says: the same however it is cut.
///
/// # Errors
/// It does not hold: how.
pub fn says<'b>(gateway: &'b [u8], pieces: impl IntoIterator<Item = &'b [u8]>) -> Result<(), String> {
    if let Ok(Some((_, length))) = startup::said(gateway) {
        let part = gateway.get(..length - 1).ok_or("more than there is")?;
        holds(startup::said(part) == Ok(None), "a part of a message is taken for the whole")?;
    }
    let (whole, cut) = (heard([gateway]), heard(pieces));
    holds(whole == cut, &format!("heard is {whole:?}, and in pieces {cut:?}"))
}

fn heard<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Vec<String> {
    let notes = Notes::default();
    let mut hearing = Hearing::new(&notes, 1);
    for piece in pieces {
        if hearing.listens() {
            hearing.hear(piece);
        }
    }
    drop(hearing);
    notes.0.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

impl Watch for Notes {
    fn saw(&self, _: u64, event: Event<'_>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{event:?}"));
    }
}

fn holds(it: bool, otherwise: &str) -> Result<(), String> {
    if it { Ok(()) } else { Err(otherwise.to_owned()) }
}
