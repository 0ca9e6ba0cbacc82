//! What must show nowhere: every secret of every test is noted here, and looked for in all that the program would log, and in
//! the server's own logs.

use base64::Engine as _;
use writ_core::credential::Credential;
use writ_provider_kit::canary;

use crate::server::{PASSWORD, Server};

/// Begins to keep all that the program would log if it were told to log everything.
pub(crate) fn listen() {
    canary::listen(&[]);
}

/// Takes note of a password.
pub(crate) fn note(credential: &Credential) {
    let text = std::str::from_utf8(credential.secret.expose()).unwrap();
    assert!(text.len() >= 32);
    canary::note(text);
}

/// No password that was minted, in any form, is in what was logged here or there; the users' names are.
pub(crate) fn nothing_shows(server: &Server) {
    let mut secrets = canary::secrets();
    assert!(secrets.len() > 3);
    let said = canary::said();
    assert!(said.contains("listening"));
    let (log, binary) = (server.world.log(), server.world.binary_log());
    let binary = String::from_utf8_lossy(&binary).into_owned();
    for place in [&log, &binary] {
        let made = place.contains("CREATE USER `writ-") || place.contains("CREATE USER 'writ-");
        assert!(made, "the server's log is not where it is looked for");
    }
    for secret in &secrets {
        let forms = [
            secret.clone(),
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret),
            secret.bytes().map(|byte| format!("{byte:02X}")).collect(),
            secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ];
        for form in &forms {
            assert!(!said.contains(form) && !log.contains(form) && !binary.contains(form), "a password shows");
        }
    }
    secrets.push(PASSWORD.to_owned());
    assert!(secrets.iter().all(|secret| !said.contains(secret)));
}
