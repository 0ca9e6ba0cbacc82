//! A PostgreSQL server for the demo: Debian's own, in a directory of its own, on a free loopback port.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User, chown};

/// How long the server may take to answer.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How many free ports are tried.
const PORTS_TRIED: u32 = 5;

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostgresFault {
    /// No server is installed.
    #[error("no PostgreSQL server is installed: `apt-get install postgresql` gives one")]
    NotInstalled,
    /// There is no account to run it as.
    #[error(
        "PostgreSQL does not run as root, and there is no `postgres` account: `apt-get install postgresql` makes one"
    )]
    NoAccount,
    /// A file or process could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A command failed.
    #[error("`{command}` failed: {output}")]
    Failed {
        /// Which.
        command: String,
        /// What it printed.
        output: String,
    },
    /// It ended by itself.
    #[error("PostgreSQL ended by itself: {0}")]
    Ended(String),
    /// It does not answer.
    #[error("PostgreSQL did not answer within {0:?}: see `{1}`")]
    NotReady(Duration, String),
}

/// A running server. It stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Postgres {
    bin: PathBuf,
    port: u16,
    server: Server,
}

impl Postgres {
    /// Makes a database cluster in `directory` and starts it.
    ///
    /// # Errors
    /// [`PostgresFault`] if there is no server, or it does not come up.
    pub(crate) fn start(directory: &Path) -> Result<Self, PostgresFault> {
        let bin = find_binaries().ok_or(PostgresFault::NotInstalled)?;
        let account = account()?;
        let data = directory.join("postgres");
        std::fs::create_dir_all(&data).map_err(|source| io("the server's directory cannot be made", source))?;
        if let Some(user) = &account {
            hand_over(directory, &data, user)?;
        }
        let cluster = data.join("cluster");
        let mut initdb = command(&bin.join("initdb"), account.as_ref());
        initdb.args(["-D".as_ref(), cluster.as_os_str()]);
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]);
        run(&mut initdb)?;
        std::fs::write(cluster.join("pg_hba.conf"), HBA)
            .map_err(|source| io("pg_hba.conf cannot be written", source))?;
        for _ in 1..PORTS_TRIED {
            match Self::listen(&bin, account.as_ref(), &data) {
                // Somebody else took the port since it was found free.
                Err(PostgresFault::Ended(log)) if log.contains("could not bind") => {}
                outcome => return outcome,
            }
        }
        Self::listen(&bin, account.as_ref(), &data)
    }

    fn listen(bin: &Path, account: Option<&User>, data: &Path) -> Result<Self, PostgresFault> {
        let log = data.join("server.log");
        let port = free_port()?;
        let mut server = command(&bin.join("postgres"), account);
        server.args(["-D".as_ref(), data.join("cluster").as_os_str()]).args(["-k".as_ref(), data.as_os_str()]);
        server.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=16MB"]);
        server.args(["-c", "fsync=off", "-c", "log_connections=off"]);
        let output = std::fs::File::create(&log).map_err(|source| io("the server's log cannot be made", source))?;
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let server = Server::start(server).map_err(|source| io("the server cannot be started", source))?;
        let postgres = Self { bin: bin.to_owned(), port, server };
        postgres.wait_until_ready(data, &log)?;
        Ok(postgres)
    }

    /// The loopback port it listens on.
    #[must_use]
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Runs SQL as the superuser, over the server's own socket.
    ///
    /// # Errors
    /// If `psql` reports an error.
    pub(crate) fn sql(&self, directory: &Path, database: &str, text: &str) -> Result<(), PostgresFault> {
        let mut psql = self.psql(&directory.join("postgres"), database);
        psql.args(["-v", "ON_ERROR_STOP=1", "-q", "-X"]);
        let mut child = psql
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| io("psql cannot be started", source))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(text.as_bytes()).map_err(|source| io("psql takes no input", source))?;
        }
        let output = child.wait_with_output().map_err(|source| io("psql", source))?;
        if output.status.success() {
            return Ok(());
        }
        Err(PostgresFault::Failed {
            command: "psql".to_owned(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a query as the superuser, over the server's own socket.
    ///
    /// # Errors
    /// If `psql` reports an error.
    pub(crate) fn ask(&self, directory: &Path, query: &str) -> Result<String, PostgresFault> {
        self.ask_in(directory, "postgres", query)
    }

    /// The same in another database than `postgres`.
    ///
    /// # Errors
    /// If `psql` reports an error.
    pub(crate) fn ask_in(&self, directory: &Path, database: &str, query: &str) -> Result<String, PostgresFault> {
        let mut psql = self.psql(&directory.join("postgres"), database);
        let output = psql.args(["-X", "-A", "-t", "-c", query]).output().map_err(|source| io("psql", source))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Err(PostgresFault::Failed {
            command: "psql".to_owned(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn psql(&self, socket: &Path, database: &str) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-h".as_ref(), socket.as_os_str()]);
        psql.args(["-p", &self.port.to_string(), "-U", "postgres", "-d", database]);
        psql
    }

    fn wait_until_ready(&self, socket: &Path, log: &Path) -> Result<(), PostgresFault> {
        let begun = Instant::now();
        while begun.elapsed() < START_LIMIT {
            let mut probe = self.psql(socket, "postgres");
            probe.args(["-X", "-q", "-c", "select 1"]).stdout(Stdio::null()).stderr(Stdio::null());
            if probe.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            if self.server.ended() {
                return Err(PostgresFault::Ended(std::fs::read_to_string(log).unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(PostgresFault::NotReady(START_LIMIT, log.display().to_string()))
    }
}

/// The server's process and the thread that waits for it.
///
/// The kernel ends the server (`PR_SET_PDEATHSIG`) with the *thread* that started it, so that it does not outlive a demo that
/// was killed. That thread therefore lives exactly as long as the server.
#[derive(Debug)]
struct Server {
    pid: Pid,
    waiting: Option<JoinHandle<()>>,
}

impl Server {
    fn start(mut command: Command) -> std::io::Result<Self> {
        let (started, pid) = mpsc::channel();
        let waiting = std::thread::Builder::new().name("postgres".to_owned()).spawn(move || {
            let _ = match command.spawn() {
                Ok(mut child) => started.send(Ok(child.id())).map(|()| drop(child.wait())),
                Err(error) => started.send(Err(error)),
            };
        })?;
        let pid = pid.recv().map_err(std::io::Error::other)??;
        let pid = i32::try_from(pid).map_err(std::io::Error::other)?;
        Ok(Self { pid: Pid::from_raw(pid), waiting: Some(waiting) })
    }

    fn ended(&self) -> bool {
        self.waiting.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Server {
    /// Fast shutdown: sessions end, and the server's own processes with them.
    fn drop(&mut self) {
        if !self.ended() {
            let _ = kill(self.pid, Signal::SIGINT);
        }
        if let Some(waiting) = self.waiting.take() {
            let _ = waiting.join();
        }
    }
}

/// The socket is in a directory that only the server's account and root can enter; over TCP a password is needed.
const HBA: &str = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

fn find_binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("postgres").exists() && bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

fn account() -> Result<Option<User>, PostgresFault> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    match User::from_name("postgres") {
        Ok(Some(user)) => Ok(Some(user)),
        _ => Err(PostgresFault::NoAccount),
    }
}

/// Gives the server's directory to its account, and lets that account pass through the directory above.
fn hand_over(above: &Path, data: &Path, user: &User) -> Result<(), PostgresFault> {
    chown(data, Some(user.uid), Some(user.gid))
        .map_err(|errno| io("the server's directory cannot be handed over", errno.into()))?;
    std::fs::set_permissions(above, std::fs::Permissions::from_mode(0o711))
        .map_err(|source| io("the state directory's mode cannot be set", source))
}

/// A program of the server's, as the server's account. It has a process group of its own: Ctrl-C in the terminal is for Writ,
/// which ends its sessions before it ends the server.
fn command(program: &Path, account: Option<&User>) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(user) = account {
        command.args(["--reuid", &user.uid.to_string(), "--regid", &user.gid.to_string(), "--clear-groups"]);
        command.current_dir("/");
    }
    command.args(["--pdeathsig", "INT"]).arg(program).process_group(0);
    command
}

fn run(command: &mut Command) -> Result<(), PostgresFault> {
    let output = command.output().map_err(|source| io("a command cannot be started", source))?;
    if output.status.success() {
        return Ok(());
    }
    Err(PostgresFault::Failed {
        command: command.get_program().to_string_lossy().into_owned(),
        output: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn free_port() -> Result<u16, PostgresFault> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| io("no loopback port is free", source))
}

fn io(what: &str, source: std::io::Error) -> PostgresFault {
    PostgresFault::Io { what: what.to_owned(), source }
}
