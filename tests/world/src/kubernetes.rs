//! A real Kubernetes API server on etcd, in a directory of its own on ports of its own, gone when dropped.
//!
//! There are no nodes and no controllers: what is asked of it is who may do what, and what its audit says. It keeps its audit
//! in a file, lets in [`Kubernetes::admin_token`], client certificates of its authority, its own service accounts' tokens,
//! and whomever [`Options::authentication`] names. As in [`crate::postgres`] a shell that outlives the test ends both servers.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::packages;
use crate::postgres::{free_port, random_hex};

/// How long an API server remembers that it took a token (`TokenSuccessCacheTTL` in its source), with room.
pub const FORGETS_WITHIN: Duration = Duration::from_secs(60);

const START_LIMIT: Duration = Duration::from_secs(300);
const START_ATTEMPTS: usize = 5;

/// Runs etcd and an API server from `$2` in `$1`, etcd on the ports `$3` and `$4`, the API server with the further arguments,
/// until standard input ends; then removes `$1`.
const KEEPER: &str = r#"
trap '' HUP INT TERM
directory=$1 programs=$2 client=$3 peer=$4; shift 4
run() {
    name=$1; shift
    ( "$programs/$name" "$@" </dev/null >"$directory/$name.log" 2>&1 &
      echo $! >"$directory/$name.pid"; wait; echo "$name" >>"$directory/ended" ) &
}
run etcd --data-dir "$directory/etcd" --log-level error --unsafe-no-fsync \
    --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
    --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
    --initial-cluster "default=http://127.0.0.1:$peer"
run kube-apiserver --etcd-servers "http://127.0.0.1:$client" "$@"
cat >/dev/null
for name in kube-apiserver etcd; do kill -KILL "$(cat "$directory/$name.pid")" 2>/dev/null; done
wait
rm -rf "$directory"
"#;

/// Every request but reads of the servers' own; requests for tokens with their bodies, which hold none.
const AUDIT_POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver"]
- level: Request
  resources: [{group: "", resources: ["serviceaccounts/token"]}]
- level: Metadata
"#;

/// What a server is started with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// An `AuthenticationConfiguration` in YAML or JSON.
    pub authentication: Option<String>,
    /// Further arguments of the API server.
    pub arguments: Vec<String>,
}

/// A running API server.
#[derive(Debug)]
pub struct Kubernetes {
    directory: PathBuf,
    programs: PathBuf,
    port: u16,
    admin_token: String,
    authority: Authority,
    keeper: Child,
}

impl Kubernetes {
    /// Starts a fresh server and waits until it is ready.
    ///
    /// # Errors
    /// Which script brings what is missing, or what the servers said.
    pub fn start(options: &Options) -> Result<Self, String> {
        let programs = packages::cache().join("kubernetes-1.33/bin");
        packages::need(&programs.join("kube-apiserver"), "`tests/world/scripts/fetch-kubernetes`")?;
        let mut last = String::new();
        for _ in 0..START_ATTEMPTS {
            // A free port may be taken by another between the look and the start: then once more.
            match attempt(&programs, options) {
                Ok(server) => return Ok(server),
                Err(error) => last = error,
            }
            if !last.contains("address already in use") {
                break;
            }
        }
        Err(last)
    }

    /// The name in its certificate, at which it listens.
    #[must_use]
    pub const fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Its port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.host(), self.port)
    }

    /// The authority that vouches for it, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.authority.pem
    }

    /// A token that may do everything.
    #[must_use]
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// Its directory: what is put here goes with it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A client certificate for `user`, and its key, in PEM.
    ///
    /// # Errors
    /// If none can be made.
    pub fn client_certificate(&self, user: &str) -> Result<(String, String), String> {
        self.authority.client(user)
    }

    /// Writes a kubeconfig whose user is `user`, in the form that kubeconfigs have for it, as JSON.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn kubeconfig(&self, name: &str, user: &Value) -> Result<PathBuf, String> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{ "name": "test", "cluster": {
                "server": self.url(), "certificate-authority": self.directory.join("ca.pem"),
            } }],
            "users": [{ "name": name, "user": user }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": name } }],
        });
        let path = self.directory.join(format!("{name}.kubeconfig"));
        write(&path, &config.to_string())?;
        Ok(path)
    }

    /// kubectl with a kubeconfig and nothing of this process's environment.
    #[must_use]
    pub fn kubectl(&self, kubeconfig: &Path) -> Command {
        let mut command = Command::new(self.programs.join("kubectl"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", &self.directory).current_dir(&self.directory);
        command.env("KUBECONFIG", kubeconfig).arg("--request-timeout=30s").stdin(Stdio::null());
        command
    }

    /// kubectl as the admin.
    ///
    /// # Errors
    /// If it cannot be run.
    pub fn admin(&self, arguments: &[&str]) -> Result<Output, String> {
        let mut kubectl = self.kubectl(&self.directory.join("admin.kubeconfig"));
        kubectl.args(arguments).output().map_err(|error| format!("kubectl: {error}"))
    }

    /// Applies manifests, in YAML or JSON, as the admin.
    ///
    /// # Errors
    /// What kubectl said.
    pub fn apply(&self, manifests: &str) -> Result<(), String> {
        let mut kubectl = self.kubectl(&self.directory.join("admin.kubeconfig"));
        kubectl.args(["apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = kubectl.spawn().map_err(|error| format!("kubectl: {error}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(manifests.as_bytes()).map_err(|error| format!("kubectl: {error}"))?;
        }
        let output = child.wait_with_output().map_err(|error| format!("kubectl: {error}"))?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    /// The audit's events so far, oldest first.
    #[must_use]
    pub fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.directory.join("audit.log")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What the API server has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("kube-apiserver.log")).unwrap_or_default()
    }
}

impl Drop for Kubernetes {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn attempt(programs: &Path, options: &Options) -> Result<Kubernetes, String> {
    let (port, client, peer) = (free_port()?, free_port()?, free_port()?);
    let authority = Authority::make()?;
    let admin_token = random_hex()?;
    let directory = tempfile::Builder::new().prefix("writ-kubernetes-").tempdir().map_err(said)?;
    authority.server(directory.path())?;
    let accounts = rcgen::KeyPair::generate().map_err(unmade)?;
    let files = [
        ("sa.key", accounts.serialize_pem()),
        ("sa.pub", accounts.public_key_pem()),
        ("tokens.csv", format!("{admin_token},admin,admin,system:masters\n")),
        ("audit-policy.yaml", AUDIT_POLICY.to_owned()),
        ("authentication.yaml", options.authentication.clone().unwrap_or_default()),
    ];
    for (name, text) in files {
        write(&directory.path().join(name), &text)?;
    }
    // From here on the keeper removes it.
    let directory = directory.keep();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", KEEPER, "keeper"]).arg(&directory).arg(programs).arg(client.to_string()).arg(peer.to_string());
    command.args(arguments(&directory, port, options)).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
    command.current_dir(&directory).process_group(0);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let keeper = piped.spawn().map_err(|error| format!("cannot run the API server: {error}"))?;
    let programs = programs.to_path_buf();
    let server = Kubernetes { directory, programs, port, admin_token, authority, keeper };
    server.kubeconfig("admin", &json!({ "token": server.admin_token }))?;
    wait_until_ready(&server)?;
    Ok(server)
}

fn arguments(directory: &Path, port: u16, options: &Options) -> Vec<String> {
    let file = |name: &str| directory.join(name).display().to_string();
    let mut arguments = vec![
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={port}"),
        format!("--tls-cert-file={}", file("server.pem")),
        format!("--tls-private-key-file={}", file("server.key")),
        format!("--client-ca-file={}", file("ca.pem")),
        format!("--token-auth-file={}", file("tokens.csv")),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        format!("--audit-policy-file={}", file("audit-policy.yaml")),
        format!("--audit-log-path={}", file("audit.log")),
        "--audit-log-mode=blocking-strict".to_owned(),
    ];
    if options.authentication.is_some() {
        arguments.push(format!("--authentication-config={}", file("authentication.yaml")));
    }
    arguments.extend(options.arguments.iter().cloned());
    arguments
}

/// Ready is when it says so to the admin, its rules for RBAC made.
fn wait_until_ready(server: &Kubernetes) -> Result<(), String> {
    let until = Instant::now() + START_LIMIT;
    loop {
        // kubectl is a large program to ask with: not before there is somebody to answer.
        let listens = TcpStream::connect((server.host(), server.port)).is_ok();
        if listens && server.admin(&["get", "--raw", "/readyz"])?.status.success() {
            return Ok(());
        }
        let ended = server.directory.join("ended").exists();
        if ended || Instant::now() > until {
            let log = server.log();
            let last: Vec<&str> = log.lines().rev().take(20).collect();
            let etcd = fs::read_to_string(server.directory.join("etcd.log")).unwrap_or_default();
            return Err(format!("the API server did not start: {}\n{etcd}", last.join("\n")));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The authority of one server.
struct Authority {
    pem: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority(..)")
    }
}

impl Authority {
    fn make() -> Result<Self, String> {
        let key = rcgen::KeyPair::generate().map_err(unmade)?;
        let mut ca = rcgen::CertificateParams::default();
        ca.distinguished_name.push(rcgen::DnType::CommonName, "writ test cluster");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        let pem = ca.self_signed(&key).map_err(unmade)?.pem();
        Ok(Self { pem, issuer: rcgen::Issuer::new(ca, key) })
    }

    fn server(&self, directory: &Path) -> Result<(), String> {
        let names = ["localhost", "127.0.0.1", "kubernetes.default.svc"].map(str::to_owned);
        let mut server = rcgen::CertificateParams::new(names).map_err(unmade)?;
        server.distinguished_name.push(rcgen::DnType::CommonName, "kube-apiserver");
        server.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let key = rcgen::KeyPair::generate().map_err(unmade)?;
        let certificate = server.signed_by(&key, &self.issuer).map_err(unmade)?;
        write(&directory.join("ca.pem"), &self.pem)?;
        write(&directory.join("server.pem"), &certificate.pem())?;
        write(&directory.join("server.key"), &key.serialize_pem())
    }

    fn client(&self, user: &str) -> Result<(String, String), String> {
        let mut client = rcgen::CertificateParams::default();
        client.distinguished_name = rcgen::DistinguishedName::new();
        client.distinguished_name.push(rcgen::DnType::CommonName, user);
        client.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let key = rcgen::KeyPair::generate().map_err(unmade)?;
        let certificate = client.signed_by(&key, &self.issuer).map_err(unmade)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(said)
}

fn said(error: std::io::Error) -> String {
    format!("the API server's directory: {error}")
}

fn unmade(error: rcgen::Error) -> String {
    format!("cannot make a certificate: {error}")
}
