//! Real MySQL and MariaDB servers, each in its own directory on its own port, gone when dropped.
//!
//! As with PostgreSQL's (`postgres`), a server runs under a shell that waits for the end of a pipe whose other end only the
//! test's process holds, so that none is left behind however the test ends. Root's tests run it as another user.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::packages;
use crate::postgres::{Certificates, Identity, RemoveUnlessKept, free_port, random_hex};
use crate::stack::printed;

/// The administrator of every server, who may log in from anywhere over TLS.
pub const ADMIN: &str = "admin";

const START_LIMIT: Duration = Duration::from_secs(120);
const START_ATTEMPTS: usize = 5;

/// Copies the fresh data directory `$3` into `$1` and runs the server `$2` on it with the further arguments, until standard
/// input ends; then removes `$1`. What goes wrong is in `$1/log`.
const KEEPER: &str = r#"
trap '' HUP INT TERM
directory=$1 server=$2 fresh=$3; shift 3
if cp -r "$fresh" "$directory/data" 2>"$directory/log"; then
    "$server" "$@" </dev/null >"$directory/log" 2>&1 &
    server=$!
    cat >/dev/null
    while kill -KILL "$server" 2>/dev/null; do sleep 0.02; done
else
    echo '[ERROR] Aborting' >>"$directory/log"
    cat >/dev/null
fi
rm -rf "$directory"
"#;

/// A server that can be had from `fetch-mysql`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// MariaDB 10.11, Debian 12's own.
    Mariadb10,
    /// MariaDB 11.8, Debian 13's own.
    Mariadb11,
    /// MySQL 9, from Debian's unstable.
    Mysql9,
}

impl Release {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mariadb10, Self::Mariadb11, Self::Mysql9];

    /// Its name, as `fetch-mysql` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mariadb10 => "mariadb-10.11",
            Self::Mariadb11 => "mariadb-11.8",
            Self::Mysql9 => "mysql-9",
        }
    }

    /// Whether it is MariaDB.
    #[must_use]
    pub const fn is_mariadb(self) -> bool {
        matches!(self, Self::Mariadb10 | Self::Mariadb11)
    }

    /// The directory of its programs and libraries.
    ///
    /// # Errors
    /// Which script brings it, where it is missing.
    pub fn tree(self) -> Result<PathBuf, String> {
        let tree = packages::cache().join(self.name());
        packages::need(&tree.join(".version"), &format!("`tests/world/scripts/fetch-mysql {}`", self.name()))?;
        Ok(tree)
    }

    /// Its own command-line client, with the arguments that let it find its plugins.
    ///
    /// # Errors
    /// As [`Self::tree`].
    pub fn client(self) -> Result<(PathBuf, Vec<String>), String> {
        let tree = self.tree()?;
        if !self.is_mariadb() {
            return Ok((tree.join("bin/mysql"), Vec::new()));
        }
        let plugins = tree.join("usr/lib/x86_64-linux-gnu/libmariadb3/plugin");
        Ok((tree.join("bin/mariadb"), vec![format!("--plugin-dir={}", plugins.display())]))
    }
}

/// A running server: loopback TCP on a free port, TLS offered (not demanded), every statement in its general log, and a binary
/// log.
#[derive(Debug)]
pub struct Server {
    release: Release,
    directory: PathBuf,
    port: u16,
    password: String,
    ca_pem: String,
    keeper: Child,
}

impl Server {
    /// Starts a fresh server and waits until it takes connections.
    ///
    /// # Errors
    /// Which script brings it, or what the server said.
    pub fn start(release: Release) -> Result<Self, String> {
        let tree = release.tree()?;
        let identity = Identity::for_servers()?;
        let mut last = String::new();
        for _ in 0..START_ATTEMPTS {
            // A free port may be taken by another between the look and the start: then once more.
            match attempt(release, &tree, &identity) {
                Ok(server) => return Ok(server),
                Err(error) => last = error,
            }
            if !last.contains("Address already in use") {
                break;
            }
        }
        Err(last)
    }

    /// What it is.
    #[must_use]
    pub const fn release(&self) -> Release {
        self.release
    }

    /// The name that its certificate carries.
    #[must_use]
    pub const fn host(&self) -> &'static str {
        "localhost"
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The password of [`ADMIN`].
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The authority that vouches for its certificate, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The same in a file.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }

    /// Runs statements as [`ADMIN`] by the server's own command-line client, and gives back what it prints.
    ///
    /// # Errors
    /// If the client is missing, or what the server refused.
    pub fn run(&self, statements: &str) -> Result<String, String> {
        let (program, arguments) = self.release.client()?;
        let settings = self.directory.join("admin.cnf");
        let verify = if self.release.is_mariadb() { "ssl-verify-server-cert" } else { "ssl-mode=VERIFY_IDENTITY" };
        let text = format!(
            "[client]\nuser={ADMIN}\npassword={}\nhost={}\nport={}\nprotocol=TCP\nssl-ca={}\n{verify}\n",
            self.password,
            self.host(),
            self.port,
            self.ca_file().display()
        );
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&settings)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| format!("cannot write `{}`: {error}", settings.display()))?;
        let mut command = Command::new(program);
        command.arg(format!("--defaults-file={}", settings.display())).args(arguments);
        command.args(["--batch", "--skip-column-names", "--execute", statements]);
        printed(command.env_clear().env("PATH", "/usr/bin:/bin"))
    }

    /// What the server has logged so far: errors and every statement.
    #[must_use]
    pub fn log(&self) -> String {
        let read = |name: &str| fs::read(self.directory.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&[read("log"), read("general")].concat()).into_owned()
    }

    /// Its binary logs so far, one after another.
    #[must_use]
    pub fn binary_log(&self) -> Vec<u8> {
        let files = fs::read_dir(self.directory.join("binary")).into_iter().flatten().flatten();
        files.flat_map(|file| fs::read(file.path()).unwrap_or_default()).collect()
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn attempt(release: Release, tree: &Path, identity: &Identity) -> Result<Server, String> {
    let password = random_hex()?;
    let certificates = Certificates::make()?;
    let port = free_port()?;
    // From here to the keeper's start a killed test leaves its directory, so nothing slow stands between.
    let directory = identity.directory("writ-my-")?;
    let guard = RemoveUnlessKept(Some(directory.clone()));
    identity.write(&directory.join("ca.crt"), &certificates.authority)?;
    identity.write(&directory.join("server.crt"), &certificates.server)?;
    identity.write(&directory.join("server.key"), &certificates.key)?;
    identity.write(&directory.join("first.sql"), &first_statements(&password))?;
    let mut keeper = keep(release, tree, &directory, port, identity)?;
    guard.keep();
    if let Err(error) = wait_until_ready(&directory) {
        drop(keeper.stdin.take());
        let _ = keeper.wait();
        return Err(error);
    }
    Ok(Server { release, directory, port, password, ca_pem: certificates.authority, keeper })
}

/// What the server runs before it takes connections, one statement a line.
fn first_statements(password: &str) -> String {
    format!(
        "ALTER USER root@localhost IDENTIFIED BY '{password}';\n\
         CREATE USER {ADMIN}@'%' IDENTIFIED BY '{password}' REQUIRE SSL;\n\
         GRANT ALL PRIVILEGES ON *.* TO {ADMIN}@'%' WITH GRANT OPTION;\n"
    )
}

fn keep(release: Release, tree: &Path, directory: &Path, port: u16, identity: &Identity) -> Result<Child, String> {
    let program = if release.is_mariadb() { "mariadbd" } else { "mysqld" };
    let mut command = identity.command(Path::new("/bin/sh"));
    command.args(["-c", KEEPER, "keeper"]).arg(directory).arg(tree.join("bin").join(program)).arg(tree.join("data"));
    // Before all others, or it is not taken for what it is.
    command.arg("--no-defaults");
    for (option, path) in [
        ("basedir", tree.join("usr")),
        ("lc-messages-dir", tree.join("usr/share/mysql")),
        ("character-sets-dir", tree.join("usr/share/mysql/charsets")),
        ("plugin-dir", tree.join("usr/lib/mysql/plugin")),
        ("datadir", directory.join("data")),
        ("tmpdir", directory.to_owned()),
        ("socket", directory.join("socket")),
        ("pid-file", directory.join("pid")),
        ("init-file", directory.join("first.sql")),
        ("general-log-file", directory.join("general")),
        ("log-bin", directory.join("binary/log")),
        ("ssl-cert", directory.join("server.crt")),
        ("ssl-key", directory.join("server.key")),
    ] {
        command.arg(format!("--{option}={}", path.display()));
    }
    command.arg(format!("--port={port}")).args([
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--general-log",
        "--server-id=1",
        "--sync-binlog=0",
        "--innodb-flush-method=nosync",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=16M",
    ]);
    if !release.is_mariadb() {
        command.args(["--mysqlx=OFF", "--secure-file-priv=NULL"]);
    }
    fs::create_dir(directory.join("binary"))
        .map_err(|error| format!("cannot make a directory: {error}"))
        .and_then(|()| identity.own(&directory.join("binary")))?;
    command
        .current_dir(directory)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))
}

fn wait_until_ready(directory: &Path) -> Result<(), String> {
    let until = Instant::now() + START_LIMIT;
    loop {
        let log = String::from_utf8_lossy(&fs::read(directory.join("log")).unwrap_or_default()).into_owned();
        if log.contains("ready for connections") {
            return Ok(());
        }
        if Instant::now() > until || log.contains("Aborting") {
            return Err(format!("the server did not start: {log}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
