//! What must show nowhere: every secret of every test is noted here, and looked for in everything that was logged or said.

use std::io;
use std::sync::{Arc, Mutex, Once, PoisonError};

use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use writ_core::assertion::{Assertion, Assertions};
use writ_core::credential::Secret;
use writ_core::provider::{Pending, ProviderFault};

static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Libraries of which the program logs nothing below `info`, whatever it is told: they show whole requests.
const TALKATIVE: [&str; 6] = ["aws_", "h2", "hyper", "kube", "reqwest", "tower"];

/// Begins to keep all that the program would log if it were told to log everything.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let all = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false).with_writer(Ears).finish();
        let never = filter_fn(|metadata| {
            let talkative = TALKATIVE.iter().any(|library| metadata.target().starts_with(library));
            *metadata.level() <= Level::INFO || !talkative
        });
        all.with(never).init();
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

/// Takes note of a secret.
pub(crate) fn note(secret: &str) {
    assert!(secret.len() >= 8, "too short to be looked for");
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner).push(secret.to_owned());
}

/// Takes note of what somebody would read: a `Debug`, a fault.
pub(crate) fn say(text: &str) {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.extend_from_slice(text.as_bytes());
    said.push(b'\n');
}

/// Looks for every secret so far in everything that was said so far.
#[track_caller]
pub(crate) fn check() {
    let secrets = SECRETS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let said = String::from_utf8_lossy(&SAID.lock().unwrap_or_else(PoisonError::into_inner)).into_owned();
    assert!(!secrets.is_empty() && said.contains("listening"), "there was nothing to look for, or nowhere");
    for secret in &secrets {
        if let Some(at) = said.find(secret.as_str()) {
            let from = said[..at].rfind('\n').map_or(0, |line| line + 1);
            panic!("a secret shows: {}", &said[from..at]);
        }
    }
}

/// An issuer whose assertions are noted.
#[derive(Debug)]
pub(crate) struct Noting(pub(crate) Arc<dyn Assertions>);

impl Assertions for Noting {
    fn issuer(&self) -> &str {
        self.0.issuer()
    }

    fn assert<'a>(&'a self, assertion: Assertion<'a>) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(async {
            let given = self.0.assert(assertion).await?;
            note(std::str::from_utf8(given.expose()).unwrap());
            Ok(given)
        })
    }
}

/// The secret that was noted last.
pub(crate) fn last() -> String {
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner).last().cloned().unwrap()
}
