//! A real SPIRE: server and agent on this machine, the agent attested by a join token, workloads by their Unix user.
//!
//! `tests/world/scripts/fetch-spire` brings the programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::packages;
use crate::postgres::free_port;
use crate::stack::printed;

/// The trust domain.
pub const TRUST_DOMAIN: &str = "prod.example.org";
/// The version that `fetch-spire` brings.
const VERSION: &str = "1.13.3";
const LIMIT: Duration = Duration::from_secs(60);

/// A running server and its agent. Both end when it is dropped.
#[derive(Debug)]
pub struct Spire {
    // In the order in which they end.
    agent: Child,
    server: Child,
    programs: PathBuf,
    directory: tempfile::TempDir,
}

impl Spire {
    /// Starts both and waits until they answer.
    ///
    /// # Errors
    /// What is missing, or what one of them said.
    pub fn start() -> Result<Self, String> {
        let programs = packages::cache().join(format!("spire-{VERSION}/bin"));
        packages::need(&programs.join("spire-agent"), "`tests/world/scripts/fetch-spire`")?;
        let directory = tempfile::Builder::new().prefix("writ-spire-").tempdir().map_err(|error| error.to_string())?;
        let (at, port) = (directory.path(), free_port()?);
        write(&at.join("server.conf"), &server(at, port))?;
        write(&at.join("agent.conf"), &agent(at, port))?;
        let mut server = run(&programs.join("spire-server"), at, "server", &[])?;
        let started = (|| {
            wait(&mut server, at, || socket(&programs, at, "server", &["healthcheck"]).is_ok())?;
            write(&at.join("bootstrap.pem"), &socket(&programs, at, "server", &["bundle", "show"])?)?;
            let node = format!("spiffe://{TRUST_DOMAIN}/node");
            let token = socket(&programs, at, "server", &["token", "generate", "-spiffeID", &node, "-output", "json"])?;
            let token: Value = serde_json::from_str(&token).map_err(|error| format!("no join token: {error}"))?;
            let token = token.get("value").and_then(Value::as_str).ok_or("no join token")?.to_owned();
            run(&programs.join("spire-agent"), at, "agent", &["-joinToken", &token])
        })();
        let mut agent = match started {
            Ok(agent) => agent,
            Err(why) => {
                end(&mut server);
                return Err(why);
            }
        };
        let ready = wait(&mut agent, at, || socket(&programs, at, "agent", &["healthcheck"]).is_ok());
        let spire = Self { agent, server, programs, directory };
        ready.map(|()| spire)
    }

    /// Registers this user's processes as `spiffe://TRUST-DOMAIN` and `path`, and waits until the agent knows it.
    ///
    /// # Errors
    /// What SPIRE said instead.
    pub fn register(&self, path: &str) -> Result<String, String> {
        let (id, node) = (format!("spiffe://{TRUST_DOMAIN}{path}"), format!("spiffe://{TRUST_DOMAIN}/node"));
        let user = format!("unix:uid:{}", nix::unistd::geteuid());
        self.server(&["entry", "create", "-parentID", &node, "-spiffeID", &id, "-selector", &user])?;
        let until = Instant::now() + LIMIT;
        loop {
            let fetched =
                socket(&self.programs, self.directory.path(), "agent", &["api", "fetch", "jwt", "-audience", "ready"]);
            match fetched {
                Ok(text) if text.contains(&id) => return Ok(id),
                Ok(_) | Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(100)),
                Ok(text) | Err(text) => return Err(format!("the agent does not know `{id}`: {text}\n{}", self.log())),
            }
        }
    }

    /// Asks the server something, as its administrator does.
    ///
    /// # Errors
    /// What it said.
    pub fn server(&self, arguments: &[&str]) -> Result<String, String> {
        socket(&self.programs, self.directory.path(), "server", arguments)
    }

    /// The trust domain's bundle, in SPIFFE's own form: its keys for JWT-SVIDs and its X.509 authorities.
    ///
    /// # Errors
    /// What the server said.
    pub fn bundle(&self) -> Result<String, String> {
        self.server(&["bundle", "show", "-format", "spiffe"])
    }

    /// The Workload API's address, as `SPIFFE_ENDPOINT_SOCKET` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.directory.path().join("agent.sock").display())
    }

    /// What both have said.
    #[must_use]
    pub fn log(&self) -> String {
        log(self.directory.path())
    }
}

impl Drop for Spire {
    fn drop(&mut self) {
        end(&mut self.agent);
        end(&mut self.server);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn log(at: &Path) -> String {
    ["server.log", "agent.log"].map(|name| fs::read_to_string(at.join(name)).unwrap_or_default()).concat()
}

fn run(program: &Path, at: &Path, part: &str, more: &[&str]) -> Result<Child, String> {
    let log = fs::File::create(at.join(format!("{part}.log"))).map_err(|error| format!("a log: {error}"))?;
    let both = log.try_clone().map_err(|error| format!("a log: {error}"))?;
    let mut command = Command::new(program);
    command.arg("run").arg("-config").arg(at.join(format!("{part}.conf"))).args(more);
    let child = command.stdin(Stdio::null()).stdout(both).stderr(log).spawn();
    child.map_err(|error| format!("{}: {error}", program.display()))
}

fn wait(child: &mut Child, at: &Path, ready: impl Fn() -> bool) -> Result<(), String> {
    let until = Instant::now() + LIMIT;
    while !ready() {
        let ended = child.try_wait().map_err(|error| error.to_string())?.is_some();
        if ended || Instant::now() > until {
            end(child);
            return Err(format!("SPIRE does not start: {}", log(at)));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Asks one part by its socket.
fn socket(programs: &Path, at: &Path, part: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(programs.join(format!("spire-{part}")));
    command.args(arguments).arg("-socketPath").arg(at.join(format!("{part}.sock")));
    printed(command.stdin(Stdio::null()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

fn server(at: &Path, port: u16) -> String {
    let at = at.display();
    format!(
        r#"server {{
  bind_address = "127.0.0.1"
  bind_port = {port}
  socket_path = "{at}/server.sock"
  trust_domain = "{TRUST_DOMAIN}"
  data_dir = "{at}/server"
  log_level = "WARN"
  default_jwt_svid_ttl = "5m"
}}
plugins {{
  DataStore "sql" {{ plugin_data {{ database_type = "sqlite3" connection_string = "{at}/server.sqlite3" }} }}
  NodeAttestor "join_token" {{ plugin_data {{}} }}
  KeyManager "memory" {{ plugin_data {{}} }}
}}
"#
    )
}

fn agent(at: &Path, port: u16) -> String {
    let at = at.display();
    format!(
        r#"agent {{
  server_address = "127.0.0.1"
  server_port = {port}
  socket_path = "{at}/agent.sock"
  trust_domain = "{TRUST_DOMAIN}"
  trust_bundle_path = "{at}/bootstrap.pem"
  data_dir = "{at}/agent"
  log_level = "WARN"
}}
plugins {{
  NodeAttestor "join_token" {{ plugin_data {{}} }}
  KeyManager "memory" {{ plugin_data {{}} }}
  WorkloadAttestor "unix" {{ plugin_data {{}} }}
}}
"#
    )
}
