//! OpenSSH's own server and client. The server is started for each connection, on a socket that listens here, so that it reads
//! its files anew each time, needs no port of its own and leaves nothing behind. It runs as whoever runs the tests.
//!
//! `scripts/setup test` brings the programs.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::packages;

const SSHD: &str = "/usr/sbin/sshd";
/// How long the client waits for the server, in seconds.
const PATIENCE: &str = "30";

/// A server that trusts one authority.
#[derive(Debug)]
pub struct Sshd {
    directory: tempfile::TempDir,
    port: u16,
    stopping: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

/// What a client logs in with, and how.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The account.
    pub user: &'a str,
    /// The private key in OpenSSH's format, and the certificate behind it.
    pub secret: &'a [u8],
    /// The client's own address.
    pub from: Ipv4Addr,
    /// Options of the client, as for `-o`.
    pub options: &'a [&'a str],
    /// Its other arguments, before the host.
    pub arguments: &'a [&'a str],
    /// What it asks for.
    pub command: &'a str,
}

impl<'a> Login<'a> {
    /// From this machine's usual address, with nothing beside.
    #[must_use]
    pub const fn new(user: &'a str, secret: &'a [u8], command: &'a str) -> Self {
        Self { user, secret, from: Ipv4Addr::LOCALHOST, options: &[], arguments: &[], command }
    }
}

impl Sshd {
    /// Starts one with these lines in the file that `TrustedUserCAKeys` names, and no revoked keys. `more` is added to its
    /// configuration.
    ///
    /// # Errors
    /// What is missing.
    pub fn start(trusted: &[String], more: &str) -> Result<Self, String> {
        packages::need(Path::new(SSHD), "`scripts/setup test`")?;
        let directory = tempfile::Builder::new().prefix("writ-sshd-").tempdir().map_err(|error| error.to_string())?;
        let at = directory.path().to_owned();
        if nix::unistd::geteuid().is_root() {
            // Where the part of it that has no rights yet is shut in: compiled in, and made by the service that is not used here.
            fs::create_dir_all("/run/sshd").map_err(|error| format!("/run/sshd: {error}"))?;
        }
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "host", "-f", &at.join("host").to_string_lossy()])?;
        let lines: String = trusted.iter().map(|line| format!("{line}\n")).collect();
        write(&at.join("ca.pub"), lines.as_bytes())?;
        write(&at.join("krl"), b"")?;
        let file = |name: &str| at.join(name).display().to_string();
        let config = format!(
            "HostKey {}\nTrustedUserCAKeys {}\nRevokedKeys {}\nAuthorizedKeysFile none\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nLogLevel VERBOSE\n{more}\n",
            file("host"),
            file("ca.pub"),
            file("krl"),
        );
        write(&at.join("sshd_config"), config.as_bytes())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let stopping = Arc::new(AtomicBool::new(false));
        let (stop, place) = (Arc::clone(&stopping), at.clone());
        let accepting = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                // It ends with its connection; a client that never came back is cut by its own time for logging in.
                let _ = serve(&place, stream);
            }
        });
        Ok(Self { directory, port, stopping, accepting: Some(accepting) })
    }

    /// Its port, on the loopback address.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Replaces the list of revoked keys.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn revoke(&self, list: &[u8]) -> Result<(), String> {
        let (new, path) = (self.directory.path().join("krl.new"), self.directory.path().join("krl"));
        write(&new, list)?;
        fs::rename(new, path).map_err(|error| error.to_string())
    }

    /// Has the server show this certificate.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn host_certificate(&self, line: &str) -> Result<(), String> {
        let at = self.directory.path();
        write(&at.join("host-cert.pub"), line.as_bytes())?;
        let config = OpenOptions::new().append(true).open(at.join("sshd_config"));
        let mut config = config.map_err(|error| error.to_string())?;
        writeln!(config, "HostCertificate {}", at.join("host-cert.pub").display()).map_err(|error| error.to_string())
    }

    /// Its public key, as a line of OpenSSH.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn host_key(&self) -> Result<String, String> {
        fs::read_to_string(self.directory.path().join("host.pub")).map_err(|error| error.to_string())
    }

    /// What it has said.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Logs in with OpenSSH's client, which takes the host for good unless its options say otherwise.
    ///
    /// # Errors
    /// If the client cannot be run.
    pub fn login(&self, login: &Login<'_>) -> Result<Output, String> {
        let (key, certificate) = split(login.secret)?;
        let mine = tempfile::Builder::new().prefix("writ-ssh-").tempdir().map_err(|error| error.to_string())?;
        let (identity, certified) = (mine.path().join("key"), mine.path().join("key-cert.pub"));
        write(&identity, key)?;
        write(&certified, certificate)?;
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-T", "-p", &self.port.to_string(), "-b", &login.from.to_string(), "-i"]);
        ssh.arg(&identity);
        for option in login.options {
            ssh.args(["-o", option]);
        }
        ssh.args(["-o", &format!("CertificateFile={}", certified.display())]);
        for option in [
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "PreferredAuthentications=publickey",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "ControlPath=none",
            &format!("ConnectTimeout={PATIENCE}"),
        ] {
            ssh.args(["-o", option]);
        }
        ssh.args(login.arguments).arg("-l").arg(login.user).arg("127.0.0.1").arg(login.command);
        ssh.env_remove("SSH_AUTH_SOCK").env_remove("SSH_ORIGINAL_COMMAND").stdin(Stdio::null());
        ssh.output().map_err(|error| format!("ssh: {error}"))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // What waits for a connection gets one.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Serves one connection.
fn serve(at: &Path, stream: TcpStream) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    let out = stream.try_clone().map_err(said)?;
    let mut child = Command::new(SSHD)
        .args(["-i", "-f"])
        .arg(at.join("sshd_config"))
        .arg("-E")
        .arg(at.join("log"))
        .stdin(Stdio::from(OwnedFd::from(stream)))
        .stdout(Stdio::from(OwnedFd::from(out)))
        .stderr(Stdio::null())
        .spawn()
        .map_err(said)?;
    // Somebody must wait for it, and the next connection must not.
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// Who runs the tests: the one account that such a server lets in when it is not root.
///
/// # Errors
/// If the account has no name.
pub fn account() -> Result<String, String> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).map_err(|error| error.to_string())?;
    user.map(|user| user.name).ok_or_else(|| "whoever runs the tests has no account".to_owned())
}

/// Runs `ssh-keygen`, with times in UTC.
///
/// # Errors
/// What it said, where it failed.
pub fn keygen(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("ssh-keygen").args(arguments).env("TZ", "UTC").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("ssh-keygen: {error}"))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// A credential as the provider mints it, signed by whoever has an authority's key: five minutes for one account, with this key
/// id. `seed` is the 32 bytes of the authority's Ed25519 key.
///
/// # Errors
/// If it cannot be made.
pub fn certified(seed: &[u8], account: &str, key_id: &str) -> Result<Vec<u8>, String> {
    let mine = tempfile::Builder::new().prefix("writ-ssh-ca-").tempdir().map_err(|error| error.to_string())?;
    let (ca, key) = (mine.path().join("ca"), mine.path().join("key"));
    write(&ca, private_key(seed)?.as_bytes())?;
    let [ca, file] = [&ca, &key].map(|path| path.to_string_lossy().into_owned());
    keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", &file])?;
    keygen(&["-q", "-s", &ca, "-I", key_id, "-n", account, "-V", "-1m:+5m", &format!("{file}.pub")])?;
    let read = |name: &str| fs::read(mine.path().join(name)).map_err(|error| error.to_string());
    Ok([read("key")?, read("key-cert.pub")?].concat())
}

/// An Ed25519 key as OpenSSH keeps it, without a passphrase (PROTOCOL.key).
fn private_key(seed: &[u8]) -> Result<String, String> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| "no key of 32 bytes".to_owned())?;
    let public = pair.public_key().as_ref();
    let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes(), bytes].concat();
    let (kind, none) = (string(b"ssh-ed25519"), string(b"none"));
    let blob = string(&[kind.clone(), string(public)].concat());
    let mut secret = [vec![0; 8], kind, string(public), string(&[seed, public].concat()), string(b"")].concat();
    secret.extend((1_u8..).take(secret.len().next_multiple_of(8) - secret.len()));
    let head = [b"openssh-key-v1\0".as_slice(), &none, &none, &string(b""), &1_u32.to_be_bytes(), &blob].concat();
    let text = STANDARD.encode([head, string(&secret)].concat());
    let lines = text.as_bytes().chunks(70).map(|line| String::from_utf8_lossy(line) + "\n").collect::<String>();
    Ok(format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{lines}-----END OPENSSH PRIVATE KEY-----\n"))
}

/// The private key and the certificate behind it.
///
/// # Errors
/// If it is no such secret.
pub fn split(secret: &[u8]) -> Result<(&[u8], &[u8]), String> {
    const END: &[u8] = b"-----END OPENSSH PRIVATE KEY-----\n";
    let place = secret.windows(END.len()).position(|window| window == END);
    place
        .and_then(|place| secret.split_at_checked(place + END.len()))
        .ok_or_else(|| "no key with a certificate".to_owned())
}

/// A file of the tests' that nobody else reads.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|error| format!("{}: {error}", path.display()))
}
