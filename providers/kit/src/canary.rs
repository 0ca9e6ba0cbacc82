//! What must show nowhere: every secret that a test meets is noted, and looked for in all that was logged or said.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use writ_core::assertion::{Assertion, Assertions};
use writ_core::credential::Secret;
use writ_core::provider::{Pending, ProviderFault};

/// The shortest secret that can be looked for.
const SHORTEST: usize = 8;

static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static SAID: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// All that is logged, in memory.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What was logged so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&held(&self.0)).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        held(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// What the whole process logs.
struct Ears;

impl io::Write for Ears {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        held(&SAID).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to keep all that the process would log if it were told to log everything; of `talkative` libraries, whose targets begin
/// so, nothing below `info`, as the program does.
pub fn listen(talkative: &'static [&'static str]) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let all = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false).with_writer(|| Ears).finish();
        let never = filter_fn(|metadata| {
            let is_talkative = talkative.iter().any(|library| metadata.target().starts_with(library));
            *metadata.level() <= Level::INFO || !is_talkative
        });
        all.with(never).init();
        tracing::trace!(target: "canary", "listening");
    });
}

/// Takes note of a secret.
#[track_caller]
pub fn note(secret: &str) {
    assert!(secret.len() >= SHORTEST, "too short to be looked for");
    held(&SECRETS).push(secret.to_owned());
}

/// Takes note of what somebody would read: a `Debug`, a fault.
pub fn say(text: &str) {
    let mut said = held(&SAID);
    said.extend_from_slice(text.as_bytes());
    said.push(b'\n');
}

/// All that was logged or said so far.
#[must_use]
pub fn said() -> String {
    String::from_utf8_lossy(&held(&SAID)).into_owned()
}

/// The secrets so far, in the order in which they were noted.
#[must_use]
pub fn secrets() -> Vec<String> {
    held(&SECRETS).clone()
}

/// Looks for every secret so far in everything that was said so far.
#[track_caller]
pub fn check() {
    let (secrets, said) = (secrets(), said());
    assert!(!secrets.is_empty() && said.contains("listening"), "there was nothing to look for, or nowhere");
    for secret in &secrets {
        let before = said.split_once(secret.as_str()).map(|(before, _)| before.rsplit('\n').next().unwrap_or_default());
        assert_eq!(before, None, "a secret shows, behind this on its line");
    }
}

/// An issuer whose assertions are noted.
#[derive(Debug)]
pub struct Noting(pub Arc<dyn Assertions>);

impl Assertions for Noting {
    fn issuer(&self) -> &str {
        self.0.issuer()
    }

    fn assert<'a>(&'a self, assertion: Assertion<'a>) -> Pending<'a, Result<Secret, ProviderFault>> {
        Box::pin(async {
            let given = self.0.assert(assertion).await?;
            note(&String::from_utf8_lossy(given.expose()));
            Ok(given)
        })
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
