//! What must show nowhere: every secret of every test is noted here, and looked for in all that the program would log, and in
//! the server's own logs.

use std::io;
use std::sync::{Mutex, Once, PoisonError};

use base64::Engine as _;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;
use writ_core::credential::Credential;

use crate::server::{PASSWORD, Server};

static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Begins to keep all that the program would log if it were told to log everything.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false).with_writer(Ears).finish().init();
        tracing::trace!(target: "canary", "listening");
    });
}

struct Ears;

impl io::Write for Ears {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        SAID.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Ears {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

/// Takes note of a password.
pub(crate) fn note(credential: &Credential) {
    let text = std::str::from_utf8(credential.secret.expose()).unwrap();
    assert!(text.len() >= 32);
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner).push(text.to_owned());
}

/// No password that was minted, in any form, is in what was logged here or there; the users' names are.
pub(crate) fn nothing_shows(server: &Server) {
    let mut secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(secrets.len() > 3);
    let said = String::from_utf8_lossy(&SAID.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
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
