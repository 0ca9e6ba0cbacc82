//! npm `oidc-provider`, a conformant OpenID provider, over https on loopback: the issuer of humans.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::packages;

/// The client that psql says it is.
pub const PSQL: &str = "writ-psql";
/// The client that `writ login` says it is.
pub const CLI: &str = "writ-cli";

const START_LIMIT: Duration = Duration::from_secs(60);

/// A running issuer. It ends when it is dropped.
#[derive(Debug)]
pub struct Oidc {
    directory: tempfile::TempDir,
    child: Child,
    url: String,
}

impl Oidc {
    /// Starts `program` with the node modules at `modules`; access tokens for [`PSQL`] are for `audience`.
    ///
    /// # Errors
    /// What is missing, or what the program complained of.
    pub fn start(program: &Path, modules: &Path, audience: &str) -> Result<Self, String> {
        let node = packages::need(Path::new("/usr/bin/node"), "`apt-get install nodejs`")?;
        let directory = tempfile::Builder::new().prefix("writ-oidc-").tempdir().map_err(said)?;
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
        let own = own.map_err(|error| format!("no certificate: {error}"))?;
        let (certificate, key) = (directory.path().join("issuer.pem"), directory.path().join("issuer.key"));
        std::fs::write(&certificate, own.cert.pem()).map_err(said)?;
        std::fs::write(&key, own.signing_key.serialize_pem()).map_err(said)?;
        let log = std::fs::File::create(directory.path().join("log")).map_err(said)?;
        let mut command = Command::new(node);
        command.arg(program).env("WRIT_NODE_MODULES", modules.join("package.json")).env("WRIT_AUDIENCE", audience);
        command.env("WRIT_CERT", &certificate).env("WRIT_KEY", &key);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().map_err(said)?;
        let stdout = child.stdout.take().ok_or("no pipe from the issuer")?;
        let mut issuer = Self { directory, child, url: String::new() };
        issuer.url = first_line(stdout)
            .and_then(|line| serde_json::from_str::<Value>(&line).ok())
            .and_then(|line| line.get("issuer").and_then(Value::as_str).map(str::to_owned))
            .ok_or_else(|| format!("the issuer did not start: {}", issuer.log()))?;
        Ok(issuer)
    }

    /// Its `iss`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The authority that vouches for it: its own certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("issuer.pem")
    }

    /// What it complained of.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Oidc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn first_line(stdout: std::process::ChildStdout) -> Option<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        // The rest is read too: the program goes on talking, and a pipe that nobody reads would end it.
        for line in BufReader::new(stdout).lines() {
            let _ = send.send(line);
        }
    });
    receive.recv_timeout(START_LIMIT).ok()?.ok()
}

fn said(error: std::io::Error) -> String {
    format!("the issuer: {error}")
}
