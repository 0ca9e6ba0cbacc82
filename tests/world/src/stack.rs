//! Writ as it is run: the real binary, its configuration in files, before a real PostgreSQL.
//!
//! In one process, as `writ serve`, or in two, as `writ broker` and `writ gateway`. Its issuer is a key that the harness holds (`jwks_file`), so that a test can sign any claims. The child has a process
//! group of its own, which is ended when the stack is dropped.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::PublicKeyData as _;
use serde_json::{Value, json};

use crate::packages;
pub use process::{Part, Process};

use crate::postgres::{self, Cluster, Version};

mod files;
mod process;

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

/// A running broker and gateway, in one process or in two, and the database behind them.
#[derive(Debug)]
pub struct Stack {
    cluster: Cluster,
    directory: tempfile::TempDir,
    processes: Vec<Process>,
    writ: PathBuf,
    key: EncodingKeyText,
    login_password: String,
    broker_port: u16,
    gateway_port: u16,
    signed: Mutex<Vec<String>>,
}

/// What differs from the usual.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Further lines of `[broker]`.
    pub broker: String,
    /// Further lines of `[link]`.
    pub link: String,
    /// Further lines of `[gateway]`.
    pub gateway: String,
}

/// The issuer's private key, in PKCS #8.
struct EncodingKeyText(Vec<u8>);

impl core::fmt::Debug for EncodingKeyText {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("EncodingKeyText")
    }
}

impl Stack {
    /// Starts broker and gateway in one process and waits until a client gets through.
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
        let mut stack = Self::prepare(settings, &Settings::default(), edit)?;
        stack.begin(Part::Serve)?;
        stack.wait_until_ready()?;
        Ok(stack)
    }

    /// Starts broker and gateway as two processes; the gateway joins with a token that an admin made.
    ///
    /// # Errors
    /// What is missing, or what one of them said.
    pub fn start_apart(settings: &Settings) -> Result<Self, String> {
        let mut stack = Self::prepare(&[], settings, |_, _, configuration| Ok(configuration))?;
        stack.begin(Part::Broker)?;
        let until = Instant::now() + START_LIMIT;
        let token = loop {
            let made = stack.writ(&["gateways", "join-token"])?;
            if made.status.success() {
                break text(&made.stdout).trim().to_owned();
            }
            if Instant::now() > until || !stack.runs(Part::Broker)? {
                return Err(format!("the broker gives no join token: {}\n{}", text(&made.stderr), stack.log()));
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        write(&stack.directory.path().join("join-token"), &token)?;
        stack.begin(Part::Gateway)?;
        stack.wait_until_ready()?;
        Ok(stack)
    }

    fn prepare(
        database: &[&str],
        settings: &Settings,
        edit: impl FnOnce(&Cluster, &Path, String) -> Result<String, String>,
    ) -> Result<Self, String> {
        let writ = binary()?;
        let cluster = Cluster::start_with(Version::V15, database)?;
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
        let texts = files::Texts { at, database: cluster.port(), broker: broker_port, gateway: gateway_port, settings };
        write(&at.join(Part::Serve.configuration()), &edit(&cluster, at, texts.serve())?)?;
        write(&at.join(Part::Broker.configuration()), &texts.broker())?;
        write(&at.join(Part::Gateway.configuration()), &texts.gateway())?;
        write(&at.join("client.toml"), &texts.client())?;
        files::certify(at)?;
        let key = EncodingKeyText(pair.serialize_der());
        let (signed, processes) = (Mutex::default(), Vec::new());
        Ok(Self { cluster, directory, processes, writ, key, login_password, broker_port, gateway_port, signed })
    }

    /// Kills `writ` as a power cut would, all of it, and starts it again over the same state.
    ///
    /// # Errors
    /// If it does not come back.
    pub fn crash(&mut self) -> Result<(), String> {
        let parts: Vec<Part> = self.processes.iter().map(|process| process.part).collect();
        self.processes.clear();
        for part in parts {
            self.begin(part)?;
        }
        self.wait_until_ready()
    }

    /// Starts one part, which must not run.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn begin(&mut self, part: Part) -> Result<(), String> {
        self.processes.retain(|process| process.part != part);
        self.processes.push(Process::start(&self.writ, self.directory.path(), part)?);
        Ok(())
    }

    /// Tells every part to read its configuration again.
    ///
    /// # Errors
    /// If one does not run.
    pub fn hang_up(&self) -> Result<(), String> {
        self.processes.iter().try_for_each(Process::hang_up)
    }

    /// Kills one part as a power cut would.
    pub fn kill(&mut self, part: Part) {
        self.processes.iter_mut().filter(|process| process.part == part).for_each(Process::kill);
    }

    /// Asks one part to end, and waits until it has.
    pub fn terminate(&mut self, part: Part) {
        self.processes.iter_mut().filter(|process| process.part == part).for_each(Process::terminate);
    }

    /// Whether one part runs.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn runs(&mut self, part: Part) -> Result<bool, String> {
        self.processes
            .iter_mut()
            .filter(|process| process.part == part)
            .try_fold(false, |some, process| Ok(some | process.runs()?))
    }

    /// The process of each part.
    #[must_use]
    pub fn ids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::id).collect()
    }

    /// Waits until a client gets through.
    ///
    /// # Errors
    /// What kept it from getting through.
    pub fn wait_until_ready(&mut self) -> Result<(), String> {
        let until = Instant::now() + START_LIMIT;
        loop {
            let mut ended = false;
            for process in &mut self.processes {
                ended |= !process.runs()?;
            }
            let last = match self.token() {
                Ok(token) if self.authority().exists() => self.psql(&token, "select 1")?,
                Ok(_) => Err("no authority yet".to_owned()),
                Err(error) => return Err(error),
            };
            match last {
                Ok(_) => return Ok(()),
                Err(error) if ended || Instant::now() > until => {
                    return Err(format!("writ takes no connection: {error}\n{}", self.log()));
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
            .env("PGSSLROOTCERT", self.roots())
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

    /// What clients of the gateway trust.
    #[must_use]
    pub fn roots(&self) -> PathBuf {
        if self.processes.iter().any(|process| process.part == Part::Gateway) {
            self.directory.path().join(files::GATEWAY_CA)
        } else {
            self.authority()
        }
    }

    /// The broker's authority; in one process it is the gateway's too.
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

    /// What all parts have said.
    #[must_use]
    pub fn log(&self) -> String {
        let read = |part: Part| fs::read_to_string(self.directory.path().join(part.log())).unwrap_or_default();
        [Part::Serve, Part::Broker, Part::Gateway].map(read).concat()
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
///
/// # Errors
/// What to build, if it is not there.
pub fn binary() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(said("the test's path"))?;
    let profile = own.ancestors().nth(2).ok_or("the test's path has no target directory")?;
    packages::need(&profile.join("writ"), "`cargo build -p writ` first")
}

fn jwks(pair: &rcgen::KeyPair) -> Value {
    // An uncompressed point: 0x04, x, y (SEC 1, 2.3.3).
    let (x, y) = pair.der_bytes().get(1..).unwrap_or_default().split_at(32);
    json!({"keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "test-1",
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    }]})
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
