//! What stands behind the gateway: a PostgreSQL with three targets, an issuer as GitHub's is, a policy for one repository.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{chown, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Value, json};
use writ_world::stack::{AUDIENCE, Stack, TARGET, binary, printed};

use super::super::canary::Canary;
use super::super::evidence::admin;
use crate::coverage::root;

/// A target that the repository may reach too.
pub(super) const SECOND: &str = "reports";
/// A target that it may not.
pub(super) const FORBIDDEN: &str = "ledger";
/// The issuer: GitHub Enterprise Server's, since GitHub's own key is GitHub's.
pub(super) const ISSUER: &str = "https://ghe.example.test/_services/token";

pub(super) struct World {
    pub(super) stack: Stack,
}

/// One world for the tests that run at the same time.
pub(super) fn world() -> Arc<World> {
    static WORLD: Mutex<Weak<World>> = Mutex::new(Weak::new());
    let mut known = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = known.upgrade() {
        return running;
    }
    let world = Arc::new(World::start());
    *known = Arc::downgrade(&world);
    world
}

impl World {
    fn start() -> Self {
        let stack = Stack::start_with(&[], |cluster, at, configuration| {
            let mut text = configuration;
            text += &format!(
                "\n[[broker.issuer]]\nname = \"github\"\npreset = \"github-actions\"\nissuer = \"{ISSUER}\"\n\
                 algorithms = [\"ES256\"]\njwks_file = \"{}/jwks.json\"\n",
                at.display()
            );
            for name in [SECOND, FORBIDDEN] {
                text += &format!(
                    "\n[[broker.target]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"disable\"\n\n\
                     [broker.target.provider.database]\nuser = \"writ_broker\"\npassword_file = \"{}/login.password\"\n\
                     database = \"{TARGET}\"\n",
                    cluster.port(),
                    at.display()
                );
            }
            std::fs::write(at.join("policies/github.cedar"), policy()).map_err(|error| error.to_string())?;
            // The usual policy lets every workload in: here it is for the harness's own alone.
            let usual = at.join("policies/workload.cedar");
            let policy = std::fs::read_to_string(&usual).map_err(|error| error.to_string())?;
            let narrowed = policy.replace(");\n", ")\nwhen { principal.issuer == \"https://issuer.test\" };\n");
            // GitLab gives a job one token, whatever it connects.
            let narrowed = narrowed.replace("@ttl", "@uses(\"5\")\n@ttl");
            std::fs::write(usual, narrowed).map_err(|error| error.to_string())?;
            Ok(text)
        });
        Self { stack: stack.unwrap() }
    }

    /// What every job gives the action: the gateway, what vouches for it, and the program.
    pub(super) fn inputs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("gateway", format!("localhost:{}", self.stack.gateway_port())),
            ("audience", AUDIENCE.to_owned()),
            ("ca-cert", std::fs::read_to_string(self.stack.roots()).unwrap()),
            ("cli-path", self.stack.binary().display().to_string()),
        ]
    }

    /// Why the sessions of a run connected, by the run's key.
    pub(super) fn reasons(&self, key: &str) -> Vec<String> {
        let page = admin(&self.stack, &["sessions", "ls", &format!("--key={key}"), "--json"]).unwrap();
        let page: Value = serde_json::from_str(&page).unwrap();
        let all = page["items"].as_array().unwrap().iter();
        all.map(|row| row["reason"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// What may stand nowhere in the job: the signature of each token, and the broker's own login at the target.
    pub(super) fn canaries(&self) -> Vec<Canary> {
        let own =
            |secret: String| secret.rsplit_once('.').map_or(secret.clone(), |(_, signature)| signature.to_owned());
        let secrets = self.stack.secrets().into_iter().map(own).enumerate();
        secrets.map(|(number, secret)| Canary::new(format!("secret {number}"), secret.as_bytes(), &[])).collect()
    }

    /// The fingerprints of what was minted for the sessions.
    pub(super) fn fingerprints(&self) -> Vec<String> {
        let page: Value = serde_json::from_str(&admin(&self.stack, &["writs", "ls", "--json"]).unwrap()).unwrap();
        let all = page["items"].as_array().unwrap().iter();
        all.filter_map(|row| row["credential"]["fingerprint"].as_str().map(str::to_owned)).collect()
    }

    fn token(&self, claims: &[(&str, &str)]) -> String {
        let text = std::fs::read_to_string(root().join("examples/issuers/github-actions/claims.json")).unwrap();
        let mut all: Value = serde_json::from_str(&text).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let own = [
            ("iss", json!(ISSUER)),
            ("aud", json!(AUDIENCE)),
            ("iat", json!(now)),
            ("nbf", json!(now)),
            ("exp", json!(now + 300)),
            ("jti", json!(format!("{now}-{number}"))),
        ];
        for (name, value) in own.into_iter().chain(claims.iter().map(|(name, value)| (*name, json!(value)))) {
            all[name] = value;
        }
        // A subject that names the repository has to agree with its numbers.
        all["sub"] = json!(format!(
            "repo:octo-org@{}/octo-repo@{}:environment:{}",
            all["repository_owner_id"].as_str().unwrap(),
            all["repository_id"].as_str().unwrap(),
            all["environment"].as_str().unwrap()
        ));
        self.stack.sign(&all).unwrap()
    }
}

/// The policies that `writ` writes for the repository.
fn policy() -> String {
    let own = [
        "--repository-id",
        "74",
        "--owner-id",
        "65",
        "--environment",
        "production",
        "--issuer",
        ISSUER,
        "--role",
        "app",
    ];
    let permit = |target: &str| {
        let mut command = Command::new(binary().unwrap());
        command.args(["policy", "from-github", "octo-org/octo-repo", "--target", target]).args(own);
        printed(&mut command).unwrap() + "\n"
    };
    [TARGET, SECOND].map(permit).concat()
}

/// What another user may have made where a job's directory goes: a link to a directory of the job's user, a directory with links into it,
/// and, where these tests run as root, one with everything in it. For each: what it is, the secret that must not be printed, and a
/// process that must not be ended. What is there stays as it is.
pub(super) fn hostile(place: &Path, mut look: impl FnMut(&str, &str, &mut Child)) {
    const SECRET: &str = "what only its owner may read";
    let others = tempfile::tempdir().unwrap();
    let mut bystander = Command::new("/bin/sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
    std::fs::write(others.path().join("process"), bystander.id().to_string()).unwrap();
    std::fs::write(others.path().join("events"), SECRET).unwrap();
    std::fs::write(others.path().join("complaints"), SECRET).unwrap();
    let mut look = |case: &str| {
        look(case, SECRET, &mut bystander);
        assert_eq!(std::fs::read_to_string(others.path().join("events")).unwrap(), SECRET, "{case}");
        assert!(place.symlink_metadata().is_ok(), "{case}: it was removed");
    };
    symlink(others.path(), place).unwrap();
    look("a link");
    std::fs::remove_file(place).unwrap();
    // Only root can be somebody else: for others the link has to do.
    if nix::unistd::geteuid().is_root() {
        const NOBODY: u32 = 65534;
        std::fs::create_dir(place).unwrap();
        chown(place, Some(NOBODY), Some(NOBODY)).unwrap();
        for name in ["process", "events", "complaints"] {
            symlink(others.path().join(name), place.join(name)).unwrap();
        }
        look("a directory with links");
        std::fs::remove_dir_all(place).unwrap();
    }
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

/// A fake of GitHub's token endpoint: it answers nobody who asks otherwise than a job does, and gives another token each time.
pub(super) struct Endpoint {
    pub(super) url: String,
    /// What a job asks with.
    pub(super) secret: &'static str,
    /// How many tokens it has given.
    pub(super) given: Arc<AtomicU64>,
}

impl Endpoint {
    pub(super) fn start(world: &Arc<World>, claims: &[(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = Self {
            url: format!("http://{}/token?api-version=2.0", listener.local_addr().unwrap()),
            secret: "request-token-of-this-job",
            given: Arc::default(),
        };
        let (world, secret, claims) = (Arc::downgrade(world), own.secret, claims.to_vec());
        let given = Arc::clone(&own.given);
        // It ends with the process; without the world it gives nothing.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Some(world) = world.upgrade() else { return };
                answer(socket.unwrap(), secret, || {
                    given.fetch_add(1, Ordering::SeqCst);
                    world.token(&claims)
                });
            }
        });
        own
    }
}

fn answer(mut socket: TcpStream, secret: &str, token: impl Fn() -> String) {
    let mut head = Vec::new();
    for byte in BufReader::new(&socket).bytes() {
        head.push(byte.unwrap());
        if head.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(head).unwrap();
    let names: Vec<String> =
        head.lines().filter_map(|line| Some(line.split_once(':')?.0.to_ascii_lowercase())).collect();
    let asked = head.starts_with(&format!("GET /token?api-version=2.0&audience={AUDIENCE} HTTP/1.1\r\n"))
        && head.lines().any(|line| line.eq_ignore_ascii_case(&format!("authorization: bearer {secret}")))
        && ["x-forwarded-for", "forwarded", "via"].iter().all(|proxied| !names.contains(&(*proxied).to_owned()));
    let (status, body) = if asked {
        ("200 OK", json!({ "value": token(), "count": 1 }).to_string())
    } else {
        ("403 Forbidden", String::new())
    };
    write!(
        socket,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
}
