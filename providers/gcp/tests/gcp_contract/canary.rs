//! What must show nowhere: every secret of every test is noted here, and looked for in everything that was logged or said.

use writ_core::credential::Credential;
use writ_provider_kit::canary;
pub(crate) use writ_provider_kit::canary::{Noting, check, note, say};

/// Libraries of which the program logs nothing below `info`, whatever it is told: they show whole requests.
const TALKATIVE: &[&str] = &["h2", "hyper", "reqwest", "tower"];

/// Begins to keep all that the program would log if it were told to log everything.
pub(crate) fn listen() {
    canary::listen(TALKATIVE);
}

/// Takes note of all that is secret in a credential.
pub(crate) fn note_credential(credential: &Credential) {
    note(std::str::from_utf8(credential.secret.expose()).unwrap());
}
