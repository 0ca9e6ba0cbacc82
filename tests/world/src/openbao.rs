//! A real OpenBao in memory, in a directory of its own on a port of its own, gone when dropped.
//!
//! It speaks TLS by an authority of its own, is unsealed, keeps its audit in a file, and lets in [`OpenBao::root_token`]. As in
//! [`crate::postgres`] a shell that outlives the test ends it. `tests/world/scripts/fetch-openbao` brings the program.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::packages;
use crate::postgres::{free_port, random_hex};

/// The version that `fetch-openbao` brings.
const VERSION: &str = "2.7.2";
const START_LIMIT: Duration = Duration::from_secs(120);
const START_ATTEMPTS: usize = 5;

/// Runs `$2` in `$1` with the further arguments until standard input ends; then removes `$1`.
const KEEPER: &str = r#"
trap '' HUP INT TERM
directory=$1 program=$2; shift 2
( "$program" "$@" </dev/null >"$directory/log" 2>&1 & echo $! >"$directory/pid"; wait; echo over >"$directory/ended" ) &
cat >/dev/null
kill -KILL "$(cat "$directory/pid")" 2>/dev/null
wait
rm -rf "$directory"
"#;

/// A running server.
#[derive(Debug)]
pub struct OpenBao {
    directory: PathBuf,
    programs: PathBuf,
    port: u16,
    root_token: String,
    ca_pem: String,
    http: reqwest::Client,
    keeper: Child,
}

impl OpenBao {
    /// Starts a fresh server and waits until it is ready.
    ///
    /// # Errors
    /// Which script brings what is missing, or what the server said.
    pub fn start() -> Result<Self, String> {
        let program = packages::cache().join(format!("openbao-{VERSION}/bin/bao"));
        packages::need(&program, "`tests/world/scripts/fetch-openbao`")?;
        let mut last = String::new();
        for _ in 0..START_ATTEMPTS {
            // A free port may be taken by another between the look and the start: then once more.
            match attempt(&program) {
                Ok(server) => return Ok(server),
                Err(error) => last = error,
            }
            if !last.contains("address already in use") {
                break;
            }
        }
        Err(last)
    }

    /// Its port, on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The authority that vouches for it, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The same, in a file.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.directory.join("vault-ca.pem")
    }

    /// A token that may do everything.
    #[must_use]
    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    /// Asks as root: the status and the answer, null where it is empty.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value), String> {
        self.ask_as(&self.root_token, method, path, body).await
    }

    /// Asks with a token.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn ask_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), String> {
        let said = |error: reqwest::Error| format!("{method} {path}: {error}");
        let method_name = method.parse().map_err(|_| format!("`{method}` is no method"))?;
        let mut request = self.http.request(method_name, format!("{}/v1/{path}", self.url()));
        request = request.header("x-vault-token", token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(said)?;
        let (status, bytes) = (answer.status().as_u16(), answer.bytes().await.map_err(said)?);
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// Sets something up as root.
    ///
    /// # Errors
    /// What the server said instead of taking it.
    pub async fn write(&self, path: &str, body: &Value) -> Result<(), String> {
        match self.ask("POST", path, Some(body)).await? {
            (200..=299, _) => Ok(()),
            (status, answer) => Err(format!("POST {path}: {status}: {answer}")),
        }
    }

    /// Runs a script in which `bao` speaks to this server as root.
    ///
    /// # Errors
    /// If there is no shell, or what the script said that failed.
    pub fn shell(&self, script: &str) -> Result<(), String> {
        let mut command = Command::new("/bin/sh");
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.programs.display()))
            .env("HOME", &self.directory);
        command.env("BAO_ADDR", self.url()).env("BAO_CACERT", self.ca_file()).env("BAO_TOKEN", &self.root_token);
        command.args(["-c", script]).current_dir(&self.directory).stdin(Stdio::null());
        let output = command.output().map_err(|error| format!("no shell: {error}"))?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    /// The audit's entries so far, oldest first.
    #[must_use]
    pub fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.directory.join("audit.log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What the server has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn attempt(program: &Path) -> Result<OpenBao, String> {
    let (port, root_token) = (free_port()?, random_hex()?);
    let directory = tempfile::Builder::new().prefix("writ-openbao-").tempdir().map_err(said)?;
    let audit = directory.path().join("audit.log");
    let config = format!("audit \"file\" \"own\" {{\n  options {{ file_path = \"{}\" }}\n}}\n", audit.display());
    fs::write(directory.path().join("audit.hcl"), config).map_err(said)?;
    // From here on the keeper removes it.
    let directory = directory.keep();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", KEEPER, "keeper"]).arg(&directory).arg(program);
    command.args(["server", "-dev", "-dev-tls", "-dev-no-store-token"]);
    command.arg(format!("-dev-tls-cert-dir={}", directory.display()));
    command.arg(format!("-dev-listen-address=127.0.0.1:{port}")).arg(format!("-dev-root-token-id={root_token}"));
    command.arg(format!("-config={}", directory.join("audit.hcl").display()));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &directory).env("LC_ALL", "C");
    let piped = command.current_dir(&directory).process_group(0).stdin(Stdio::piped());
    let spawned = piped.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut keeper = spawned.map_err(|error| format!("cannot run OpenBao: {error}"))?;
    if let Err(error) = wait_until_ready(&directory) {
        drop(keeper.stdin.take());
        let _ = keeper.wait();
        return Err(error);
    }
    let ca_pem = fs::read_to_string(directory.join("vault-ca.pem")).map_err(said)?;
    let unmade = |error: reqwest::Error| format!("no client: {error}");
    let authority = reqwest::Certificate::from_pem(ca_pem.as_bytes()).map_err(unmade)?;
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().map_err(unmade)?;
    let programs = program.parent().unwrap_or(Path::new("/")).to_path_buf();
    Ok(OpenBao { directory, programs, port, root_token, ca_pem, http, keeper })
}

/// Ready is when its engine for values, which it mounts last, is.
fn wait_until_ready(directory: &Path) -> Result<(), String> {
    let until = Instant::now() + START_LIMIT;
    loop {
        let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
        if log.contains("OpenBao server started!") && log.contains("upgrading keys finished") {
            return Ok(());
        }
        if directory.join("ended").exists() || Instant::now() > until {
            return Err(format!("OpenBao did not start: {log}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn said(error: std::io::Error) -> String {
    format!("OpenBao's directory: {error}")
}
