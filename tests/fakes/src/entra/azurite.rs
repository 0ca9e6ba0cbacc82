//! The emulator of Azure Storage, which takes access tokens. Not a fake of ours: npm's `azurite`, fetched by
//! `tests/world/scripts/fetch-azure`.
//!
//! Of a token it checks issuer, audience and times, and *not the signature*: what it takes shows that a token is one for Storage, and
//! nothing more.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use writ_world::packages;

use crate::certificates::Certificate;

const FETCH: &str = "`tests/world/scripts/fetch-azure`";
const SAYS: &str = "listens on https://127.0.0.1:";

/// The Python of the environment that has azure-identity.
///
/// # Errors
/// If it was not fetched.
pub fn python() -> Result<PathBuf, String> {
    packages::need(&packages::cache().join("azure/venv/bin/python"), FETCH)
}

/// A running emulator, over https, which ends when this is dropped.
#[derive(Debug)]
pub struct Azurite {
    child: Child,
    url: String,
    authority: String,
    _directory: tempfile::TempDir,
}

impl Azurite {
    /// Starts it on a free port of loopback; what it keeps is in memory.
    ///
    /// # Errors
    /// What is missing, and which script fetches it.
    pub fn start() -> Result<Self, String> {
        let program = packages::cache().join("azure/azurite/node_modules/azurite/dist/src/blob/main.js");
        let program = packages::need(&program, FETCH)?;
        let said = |error: std::io::Error| format!("azurite: {error}");
        let directory = tempfile::tempdir().map_err(said)?;
        let certificate = Certificate::make(&[])?;
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).map(|()| path).map_err(said)
        };
        let mut command = Command::new("node");
        command.arg(program).args(["--blobPort", "0", "--oauth", "basic", "--inMemoryPersistence", "--silent"]);
        command.arg("--disableTelemetry").arg("--cert").arg(file("chain.pem", &certificate.chain)?);
        command.arg("--key").arg(file("key.pem", &certificate.key)?);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", directory.path()).current_dir(directory.path());
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(said)?;
        let lines =
            child.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines).map_while(Result::ok);
        let port = lines.take(20).find_map(|line| line.split_once(SAYS).map(|(_, port)| port.trim().to_owned()));
        let azurite = |port: &str| format!("https://127.0.0.1:{port}/devstoreaccount1");
        let url = port.as_deref().map(azurite).unwrap_or_default();
        let started = Self { child, url, authority: certificate.authority, _directory: directory };
        if port.is_none() { Err("azurite ended before it listened".to_owned()) } else { Ok(started) }
    }

    /// The account's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authority that vouches for its certificate, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.authority
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
