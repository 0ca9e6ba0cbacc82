//! Writ as it is run: the real binary, its configuration in files, before a real PostgreSQL.
//!
//! Its issuer is a key that the harness holds (`jwks_file`), so that a test can sign any claims. The child has a process
//! group of its own, which is ended when the stack is dropped.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::PublicKeyData as _;
use serde_json::{Value, json};

use crate::packages;
use crate::postgres::{self, Cluster, Version};

/// The `iss` of every token.
pub const ISSUER: &str = "https://issuer.test";
/// The audience that the broker takes.
pub const AUDIENCE: &str = "writ";
/// The one target: also the database's name.
pub const TARGET: &str = "payments";

const START_LIMIT: Duration = Duration::from_secs(20);
const POLICY: &str = r#"@id("workload")
@ttl("15m")
@role("app")
@record("commands")
permit (principal is Writ::Workload, action in Writ::Action::"use", resource == Writ::Target::"payments");
"#;

/// A running broker and gateway in one process, and the database behind them.
#[derive(Debug)]
pub struct Stack {
    cluster: Cluster,
    directory: tempfile::TempDir,
    child: Child,
    writ: PathBuf,
    key: EncodingKeyText,
    login_password: String,
    broker_port: u16,
    gateway_port: u16,
    signed: Mutex<Vec<String>>,
}

/// The issuer's private key, in PKCS #8.
struct EncodingKeyText(Vec<u8>);

impl core::fmt::Debug for EncodingKeyText {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("EncodingKeyText")
    }
}

impl Stack {
    /// Starts everything and waits until a client gets through.
    ///
    /// # Errors
    /// What is missing, or what `writ serve` said.
    pub fn start() -> Result<Self, String> {
        Self::start_with(&[], |_, _, configuration| Ok(configuration))
    }

    /// The same, with more `name=value` settings of PostgreSQL, and with what `edit` makes of the configuration's text. It
    /// gets the database and the directory of all files, where policies stand in `policies/`.
    ///
    /// # Errors
    /// As [`Self::start`], or `edit`'s own.
    pub fn start_with(
        settings: &[&str],
        edit: impl FnOnce(&Cluster, &Path, String) -> Result<String, String>,
    ) -> Result<Self, String> {
        let writ = binary()?;
        let cluster = Cluster::start_with(Version::V15, settings)?;
        let login_password = postgres::random_hex()?;
        prepare(&cluster, &login_password)?;
        let pair = rcgen::KeyPair::generate().map_err(|error| format!("no issuer key: {error}"))?;
        let directory = tempfile::Builder::new().prefix("writ-stack-").tempdir().map_err(said("a directory"))?;
        let (broker_port, gateway_port) = (postgres::free_port()?, postgres::free_port()?);
        let at = directory.path();
        fs::create_dir(at.join("policies")).map_err(said("a directory"))?;
        write(&at.join("policies/workload.cedar"), POLICY)?;
        write(&at.join("jwks.json"), &jwks(&pair).to_string())?;
        write(&at.join("admin-token"), &postgres::random_hex()?)?;
        write(&at.join("login.password"), &login_password)?;
        let configuration = edit(&cluster, at, configuration(at, cluster.port(), broker_port, gateway_port))?;
        write(&at.join("writ.toml"), &configuration)?;
        let authority = at.join("broker/keys/ca.pem");
        let client = format!(
            "broker = \"https://127.0.0.1:{broker_port}\"\nca_file = \"{}\"\ntoken_file = \"{}\"\n",
            authority.display(),
            at.join("admin-token").display()
        );
        write(&at.join("client.toml"), &client)?;
        let child = serve(&writ, at)?;
        let key = EncodingKeyText(pair.serialize_der());
        let signed = Mutex::default();
        let mut stack =
            Self { cluster, directory, child, writ, key, login_password, broker_port, gateway_port, signed };
        stack.wait_until_ready()?;
        Ok(stack)
    }

    /// Kills `writ serve` as a power cut would, and starts it again over the same state.
    ///
    /// # Errors
    /// If it does not come back.
    pub fn crash(&mut self) -> Result<(), String> {
        self.kill();
        self.child = serve(&self.writ, self.directory.path())?;
        self.wait_until_ready()
    }

    fn kill(&mut self) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let until = Instant::now() + START_LIMIT;
        loop {
            let ended = self.child.try_wait().map_err(said("the state of writ"))?;
            let last = match self.token() {
                Ok(token) if self.authority().exists() => self.psql(&token, "select 1")?,
                Ok(_) => Err("no authority yet".to_owned()),
                Err(error) => return Err(error),
            };
            match last {
                Ok(_) => return Ok(()),
                Err(error) if ended.is_some() || Instant::now() > until => {
                    return Err(format!("writ serve takes no connection: {error}\n{}", self.log()));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// A token for the usual workload: five minutes, one use.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn token(&self) -> Result<String, String> {
        let now = now();
        self.sign(&json!({
            "iss": ISSUER, "sub": "repo:acme/payments:environment:production", "aud": AUDIENCE,
            "iat": now, "nbf": now, "exp": now + 300, "jti": postgres::random_hex()?,
        }))
    }

    /// Signs any claims.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub fn sign(&self, claims: &Value) -> Result<String, String> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("test-1".to_owned());
        let token = jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_der(&self.key.0))
            .map_err(|error| format!("cannot sign: {error}"))?;
        self.signed.lock().map_err(|_| "a test panicked")?.push(token.clone());
        Ok(token)
    }

    /// A session token for a fresh workload token, as clients that reconnect get it (RFC 8693).
    ///
    /// # Errors
    /// What the broker answered instead.
    pub fn session_token(&self) -> Result<String, String> {
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience={TARGET}\
             &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token={}",
            self.token()?
        );
        let curl = packages::need(Path::new("/usr/bin/curl"), "`apt-get install curl`")?;
        let mut command = Command::new(curl);
        command.args(["--silent", "--show-error", "--max-time", "10", "--data", "@-", "--cacert"]);
        command.arg(self.authority()).arg(format!("https://127.0.0.1:{}/v1/token", self.broker_port));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(said("curl"))?;
        child.stdin.take().ok_or("no pipe to curl")?.write_all(form.as_bytes()).map_err(said("curl"))?;
        let output = child.wait_with_output().map_err(said("curl"))?;
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let token = answer.get("access_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| format!("no session token: {answer} {}", text(&output.stderr)))?.to_owned();
        self.signed.lock().map_err(|_| "a test panicked")?.push(token.clone());
        Ok(token)
    }

    /// A client program with the usual variables set, `token` as the password.
    #[must_use]
    pub fn client(&self, program: &Path, token: &str) -> Command {
        let mut command = Command::new(program);
        command
            .envs([("PGHOST", "localhost"), ("PGUSER", TARGET), ("PGDATABASE", TARGET), ("PGPASSWORD", token)])
            .envs([("PGSSLMODE", "verify-full"), ("PGCONNECT_TIMEOUT", "10")])
            .env("PGPORT", self.gateway_port.to_string())
            .env("PGSSLROOTCERT", self.authority())
            .stdin(Stdio::null());
        command
    }

    /// Runs one statement with psql through the gateway: outside, whether psql could be run; inside, what it said.
    ///
    /// # Errors
    /// If psql is missing.
    pub fn psql(&self, token: &str, statement: &str) -> Result<Result<String, String>, String> {
        let mut command = self.client(&psql()?, token);
        command.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement]);
        Ok(printed(&mut command))
    }

    /// Runs one statement as the superuser, past the gateway.
    ///
    /// # Errors
    /// What psql said.
    pub fn superuser(&self, statement: &str) -> Result<String, String> {
        as_superuser(&self.cluster, TARGET, statement)
    }

    /// Runs `writ` as an admin does.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn writ(&self, arguments: &[&str]) -> Result<Output, String> {
        let mut command = Command::new(&self.writ);
        command.arg("--state").arg(self.directory.path()).args(arguments).stdin(Stdio::null());
        command.output().map_err(said("writ"))
    }

    /// Where the gateway listens, on 127.0.0.1.
    #[must_use]
    pub const fn gateway_port(&self) -> u16 {
        self.gateway_port
    }

    /// The authority of broker and gateway.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("broker/keys/ca.pem")
    }

    /// The broker's URL.
    #[must_use]
    pub fn broker(&self) -> String {
        format!("https://127.0.0.1:{}", self.broker_port)
    }

    /// The binary.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.writ
    }

    /// Everything that Writ keeps, and its log.
    #[must_use]
    pub fn state(&self) -> &Path {
        self.directory.path()
    }

    /// What `writ serve` has said.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("serve.log")).unwrap_or_default()
    }

    /// The database behind.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What may stand nowhere but in its own file: the broker's login's password and every token so far.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let mut all = self.signed.lock().map(|signed| signed.clone()).unwrap_or_default();
        all.push(self.login_password.clone());
        all
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program and gives what it printed; in an error also what it complained of.
///
/// # Errors
/// If it cannot be run or fails.
pub fn printed(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run {:?}: {error}", command.get_program()))?;
    if output.status.success() {
        Ok(text(&output.stdout).trim_end().to_owned())
    } else {
        Err(format!("{}: {}{}", output.status, text(&output.stdout), text(&output.stderr)))
    }
}

fn prepare(cluster: &Cluster, password: &str) -> Result<(), String> {
    let login = format!("create role writ_broker login createrole inherit password '{password}'");
    let owner = format!("create database {TARGET} owner app");
    for statement in ["create role app", &login, "grant app to writ_broker with admin option", &owner] {
        as_superuser(cluster, "postgres", statement)?;
    }
    as_superuser(cluster, TARGET, "grant all on schema public to app").map(drop)
}

fn as_superuser(cluster: &Cluster, database: &str, statement: &str) -> Result<String, String> {
    let mut command = Command::new(psql()?);
    command.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, "-d", database]);
    command.args(["-h", "127.0.0.1", "-U", postgres::SUPERUSER, "-p", &cluster.port().to_string()]);
    printed(command.env("PGPASSWORD", cluster.password()).stdin(Stdio::null()))
}

fn psql() -> Result<PathBuf, String> {
    packages::need(Path::new("/usr/bin/psql"), "`apt-get install postgresql-client`")
}

/// The binary beside the tests: `target/PROFILE/writ`, the tests being in `target/PROFILE/deps`.
fn binary() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(said("the test's path"))?;
    let profile = own.ancestors().nth(2).ok_or("the test's path has no target directory")?;
    packages::need(&profile.join("writ"), "`cargo build -p writ` first")
}

fn serve(writ: &Path, at: &Path) -> Result<Child, String> {
    let log = fs::File::create(at.join("serve.log")).map_err(said("a log"))?;
    let both = log.try_clone().map_err(said("a log"))?;
    let mut command = Command::new(writ);
    command.arg("serve").arg("--config").arg(at.join("writ.toml"));
    command.stdin(Stdio::null()).stdout(both).stderr(log).process_group(0).spawn().map_err(said("writ"))
}

fn jwks(pair: &rcgen::KeyPair) -> Value {
    // An uncompressed point: 0x04, x, y (SEC 1, 2.3.3).
    let (x, y) = pair.der_bytes().get(1..).unwrap_or_default().split_at(32);
    json!({"keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "test-1",
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    }]})
}

fn configuration(at: &Path, database: u16, broker: u16, gateway: u16) -> String {
    let at = at.display();
    format!(
        r#"[log]
filter = "info"

[broker]
listen = "127.0.0.1:{broker}"
url = "https://127.0.0.1:{broker}"
names = ["localhost"]
state = "{at}/broker"
policies = "{at}/policies"
audience = "{AUDIENCE}"
admin_token_file = "{at}/admin-token"

[[broker.issuer]]
name = "test"
issuer = "{ISSUER}"
algorithms = ["ES256"]
max_lifetime = "1h"
jwks_file = "{at}/jwks.json"

[[broker.target]]
name = "{TARGET}"
host = "127.0.0.1"
port = {database}
tls = "disable"

[broker.target.provider.database]
user = "writ_broker"
password_file = "{at}/login.password"
database = "{TARGET}"

[link]
state = "{at}/gateway"

[gateway]
workers = 2

[[gateway.listeners]]
listen = "127.0.0.1:{gateway}"
"#
    )
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

fn said(what: &'static str) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{what}: {error}")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
