//! What must show nowhere: every secret of every test is noted here, and looked for in everything that was logged or said.

use writ_provider_kit::canary;
pub(crate) use writ_provider_kit::canary::{Noting, check, note, say};

/// Libraries of which the program logs nothing below `info`, whatever it is told: they show whole requests.
const TALKATIVE: &[&str] = &["aws_", "h2", "hyper", "kube", "reqwest", "tower"];

/// Begins to keep all that the program would log if it were told to log everything.
pub(crate) fn listen() {
    canary::listen(TALKATIVE);
}

/// The secret that was noted last.
pub(crate) fn last() -> String {
    canary::secrets().pop().unwrap()
}
