//! Real PostgreSQL servers, each in its own directory on its own port, gone when dropped.
//!
//! A server is never left behind: it runs under a shell that waits for the end of a pipe whose other end only the test's
//! process holds. However that process ends (return, panic, `kill -9`), the shell then stops the server and removes the
//! directory. (A parent-death signal would not do: it follows the thread that started the server, and tests end
//! threads.) PostgreSQL refuses to run as root, so root's tests run it as `postgres` or `nobody`.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::packages;

/// The superuser of every cluster.
pub const SUPERUSER: &str = "postgres";

const START_LIMIT: Duration = Duration::from_secs(120);
const START_ATTEMPTS: usize = 5;

/// Makes the data directory in `$1` with `$2/initdb` as the superuser `$3` and runs `$2/postgres` on it with the further
/// arguments, until standard input ends; then removes `$1`. One shell does all, so that nothing is left wherever the test
/// ends. What goes wrong is in `$1/log`.
const KEEPER: &str = r#"
trap '' HUP INT TERM
directory=$1 programs=$2 superuser=$3; shift 3
if "$programs/initdb" --no-sync --encoding=UTF8 --locale=C --auth=scram-sha-256 --username "$superuser" \
    --pwfile="$directory/password" --pgdata="$directory/data" </dev/null >"$directory/initdb.log" 2>&1
then
    "$programs/postgres" -D "$directory/data" "$@" </dev/null >"$directory/log" 2>&1 &
    server=$!
    cat >/dev/null
    # Again and again: a server that has not begun to listen for signals yet loses the first.
    while kill -QUIT "$server" 2>/dev/null; do sleep 0.02; done
else
    { echo 'FATAL: initdb failed'; cat "$directory/initdb.log"; } >"$directory/log"
    cat >/dev/null
fi
rm -rf "$directory"
"#;

/// A major version that can be had: 15 from Debian 12, the others from `fetch-postgres`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// PostgreSQL 13.
    V13,
    /// PostgreSQL 14.
    V14,
    /// PostgreSQL 15, Debian 12's own.
    V15,
    /// PostgreSQL 16, which changed CREATEROLE.
    V16,
    /// PostgreSQL 17, the first with direct TLS.
    V17,
    /// PostgreSQL 18, the first with OAUTHBEARER and protocol 3.2.
    V18,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 6] = [Self::V13, Self::V14, Self::V15, Self::V16, Self::V17, Self::V18];

    /// The major version's number.
    #[must_use]
    pub const fn major(self) -> u32 {
        match self {
            Self::V13 => 13,
            Self::V14 => 14,
            Self::V15 => 15,
            Self::V16 => 16,
            Self::V17 => 17,
            Self::V18 => 18,
        }
    }

    /// The directory of its programs: at least `postgres` and `initdb`.
    ///
    /// # Errors
    /// Which script brings it, where it is missing.
    pub fn programs(self) -> Result<PathBuf, String> {
        if self == Self::V15 {
            let debian = Path::new("/usr/lib/postgresql/15/bin/postgres");
            packages::need(debian, "`tests/world/scripts/install-postgres` (Debian package `postgresql`)")?;
            return Ok(PathBuf::from("/usr/lib/postgresql/15/bin"));
        }
        let directory = packages::cache().join(format!("postgres-{}/bin", self.major()));
        let remedy = format!("`tests/world/scripts/fetch-postgres {}`", self.major());
        packages::need(&directory.join("postgres"), &remedy)?;
        Ok(directory)
    }
}

/// A running server: loopback TCP on a free port, no Unix socket, SCRAM, TLS offered (not demanded), `fsync` off.
#[derive(Debug)]
pub struct Cluster {
    version: Version,
    directory: PathBuf,
    port: u16,
    password: String,
    ca_pem: String,
    keeper: Child,
}

impl Cluster {
    /// Starts a fresh server and waits until it takes connections.
    ///
    /// # Errors
    /// Which package or script is missing, or what the server said.
    pub fn start(version: Version) -> Result<Self, String> {
        Self::start_with(version, &[])
    }

    /// The same, with more `name=value` settings.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(version: Version, settings: &[&str]) -> Result<Self, String> {
        let programs = version.programs()?;
        let identity = Identity::for_servers()?;
        let mut last = String::new();
        for _ in 0..START_ATTEMPTS {
            // A free port may be taken by another between the look and the start: then once more.
            match attempt(version, &programs, &identity, settings) {
                Ok(cluster) => return Ok(cluster),
                Err(error) => last = error,
            }
            if !last.contains("Address already in use") {
                break;
            }
        }
        Err(last)
    }

    /// Its version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The name that its certificate carries; it listens on both loopback addresses of that name.
    #[must_use]
    pub const fn host(&self) -> &'static str {
        "localhost"
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The password of [`SUPERUSER`].
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The authority that vouches for its certificate, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A connection string for the superuser, without TLS.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}:{}@127.0.0.1:{}/{database}?sslmode=disable", self.password, self.port)
    }

    /// What the server has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn attempt(version: Version, programs: &Path, identity: &Identity, settings: &[&str]) -> Result<Cluster, String> {
    let password = random_hex()?;
    let certificates = Certificates::make()?;
    let port = free_port()?;
    // From here to the keeper's start a killed test leaves its directory, so nothing slow stands between.
    let directory = identity.directory("writ-pg-")?;
    let guard = RemoveUnlessKept(Some(directory.clone()));
    identity.write(&directory.join("server.crt"), &certificates.server)?;
    identity.write(&directory.join("server.key"), &certificates.key)?;
    identity.write(&directory.join("password"), &password)?;
    let mut keeper = keep(programs, &directory, port, identity, settings)?;
    guard.keep();
    if let Err(error) = wait_until_ready(&directory) {
        drop(keeper.stdin.take());
        let _ = keeper.wait();
        return Err(error);
    }
    Ok(Cluster { version, directory, port, password, ca_pem: certificates.authority, keeper })
}

fn keep(programs: &Path, directory: &Path, port: u16, identity: &Identity, settings: &[&str]) -> Result<Child, String> {
    let mut command = identity.command(Path::new("/bin/sh"));
    command.args(["-c", KEEPER, "keeper"]).arg(directory).arg(programs).arg(SUPERUSER);
    let own = [
        format!("port={port}"),
        "listen_addresses=localhost".to_owned(),
        "unix_socket_directories=".to_owned(),
        "fsync=off".to_owned(),
        "full_page_writes=off".to_owned(),
        "shared_buffers=16MB".to_owned(),
        "password_encryption=scram-sha-256".to_owned(),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", directory.join("server.crt").display()),
        format!("ssl_key_file={}", directory.join("server.key").display()),
    ];
    for setting in own.iter().map(String::as_str).chain(settings.iter().copied()) {
        command.arg("-c").arg(setting);
    }
    command
        .current_dir(directory)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run postgres: {error}"))
}

/// Waits for the line `ready` in the server's own `postmaster.pid`.
fn wait_until_ready(directory: &Path) -> Result<(), String> {
    let until = Instant::now() + START_LIMIT;
    loop {
        let status = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap_or_default();
        if status.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
            return Ok(());
        }
        let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
        if Instant::now() > until || log.contains("FATAL") {
            return Err(format!("postgres did not start: {log}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16, String> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}

/// 256 random bits in hexadecimal: a password.
///
/// # Errors
/// If the system has no randomness to give.
pub fn random_hex() -> Result<String, String> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "no random numbers".to_owned())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// An authority, and a certificate for `localhost`, `127.0.0.1` and `::1` with its key (P-256), in PEM.
pub(crate) struct Certificates {
    pub(crate) authority: String,
    pub(crate) server: String,
    pub(crate) key: String,
}

impl Certificates {
    pub(crate) fn make() -> Result<Self, String> {
        let said = |error: rcgen::Error| format!("cannot make a certificate: {error}");
        let ca_key = rcgen::KeyPair::generate().map_err(said)?;
        let mut ca = rcgen::CertificateParams::default();
        ca.distinguished_name.push(rcgen::DnType::CommonName, "writ test authority");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        let authority = ca.self_signed(&ca_key).map_err(said)?.pem();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().map_err(said)?;
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut server = rcgen::CertificateParams::new(names).map_err(said)?;
        server.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
        server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let server = server.signed_by(&key, &issuer).map_err(said)?;
        Ok(Self { authority, server: server.pem(), key: key.serialize_pem() })
    }
}

/// Whom servers run as: ourselves, unless we are root.
pub(crate) struct Identity {
    other: Option<(u32, u32)>,
}

impl Identity {
    pub(crate) fn for_servers() -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(Self { other: None });
        }
        let user = ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| nix::unistd::User::from_name(name).ok().flatten())
            .ok_or("the server refuses to run as root, and there is neither a user `postgres` nor `nobody`")?;
        Ok(Self { other: Some((user.uid.as_raw(), user.gid.as_raw())) })
    }

    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC");
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
        command
    }

    /// A new directory that only this identity (and root) can read.
    pub(crate) fn directory(&self, prefix: &str) -> Result<PathBuf, String> {
        let said = |error: std::io::Error| format!("cannot make a directory: {error}");
        let directory = tempfile::Builder::new().prefix(prefix).tempdir().map_err(said)?.keep();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).map_err(said)?;
        self.own(&directory)?;
        Ok(directory)
    }

    pub(crate) fn write(&self, path: &Path, text: &str) -> Result<(), String> {
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
        self.own(path)
    }

    pub(crate) fn own(&self, path: &Path) -> Result<(), String> {
        let Some((user, group)) = self.other else { return Ok(()) };
        std::os::unix::fs::chown(path, Some(user), Some(group))
            .map_err(|error| format!("cannot give `{}` away: {error}", path.display()))
    }
}

/// Removes a directory, unless somebody else has come to do that.
pub(crate) struct RemoveUnlessKept(pub(crate) Option<PathBuf>);

impl RemoveUnlessKept {
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for RemoveUnlessKept {
    fn drop(&mut self) {
        if let Some(directory) = &self.0 {
            let _ = fs::remove_dir_all(directory);
        }
    }
}
