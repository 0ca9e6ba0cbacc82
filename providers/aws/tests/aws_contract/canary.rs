//! What must show nowhere: every secret of every test is noted here, and looked for in everything that was logged or said.

use writ_core::credential::{Credential, CredentialKind};
use writ_provider_kit::canary;
pub(crate) use writ_provider_kit::canary::{Noting, check, note, say};

/// Libraries of which the program logs nothing below `info`, whatever it is told: they show whole requests.
const TALKATIVE: &[&str] = &["aws_", "h2", "hyper", "kube", "reqwest", "tower"];

/// Begins to keep all that the program would log if it were told to log everything.
pub(crate) fn listen() {
    canary::listen(TALKATIVE);
}

/// Takes note of all that is secret in a credential.
pub(crate) fn note_credential(credential: &Credential) {
    let text = std::str::from_utf8(credential.secret.expose()).unwrap();
    note(text);
    match credential.kind {
        CredentialKind::AwsSession => {
            let session: serde_json::Value = serde_json::from_str(text).unwrap();
            for member in ["SecretAccessKey", "SessionToken"] {
                note(session[member].as_str().unwrap());
            }
        }
        CredentialKind::RdsToken => {
            let parts = text.split('&').filter_map(|part| part.split_once('='));
            parts
                .filter(|(name, _)| matches!(*name, "X-Amz-Signature" | "X-Amz-Security-Token"))
                .for_each(|(_, value)| note(value));
        }
        CredentialKind::EksToken => note(&crate::eyes::presigned(credential.secret.expose()).unwrap()),
        _ => {}
    }
}

/// Whether something was said.
pub(crate) fn said(text: &str) -> bool {
    canary::said().contains(text)
}
