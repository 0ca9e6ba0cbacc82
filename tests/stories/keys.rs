//! A token that is used several times, and the key of whoever used it first: by psql's own client certificate, and by `writ connect`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm, date_time_ymd};
use serde_json::Value;
use writ_world::stack::{Stack, TARGET, printed};

use super::evidence::{admin, eventually, holding};

/// A stack whose tokens may be used four times, for the tests that run at the same time.
fn stack() -> Arc<Stack> {
    static STACK: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
    let mut known = STACK.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = known.upgrade() {
        return running;
    }
    let stack = Stack::start_with(&[], |_, at, configuration| {
        let usual = at.join("policies/workload.cedar");
        let policy = fs::read_to_string(&usual).map_err(|error| error.to_string())?;
        assert!(policy.contains("@ttl"));
        fs::write(usual, policy.replace("@ttl", "@uses(\"4\")\n@ttl")).map_err(|error| error.to_string())?;
        Ok(configuration)
    });
    let stack = Arc::new(stack.unwrap());
    *known = Arc::downgrade(&stack);
    stack
}

/// A key with certificates around it, as files that libpq takes.
struct Own {
    directory: tempfile::TempDir,
    pair: KeyPair,
}

impl Own {
    fn of(algorithm: &'static SignatureAlgorithm) -> Self {
        let own = Self { directory: tempfile::tempdir().unwrap(), pair: KeyPair::generate_for(algorithm).unwrap() };
        let key = own.path("key.pem");
        fs::write(&key, own.pair.serialize_pem()).unwrap();
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
        own.certified(2000, 1);
        own
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Another certificate around the key, which ends in this year, and so often.
    fn certified(&self, ends: i32, times: usize) {
        let mut params = CertificateParams::new(vec!["admin.example".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(1999, 1, 1), date_time_ymd(ends, 1, 1));
        fs::write(self.path("cert.pem"), params.self_signed(&self.pair).unwrap().pem().repeat(times)).unwrap();
    }
}

/// What psql says, with this key or none.
fn psql(stack: &Stack, token: &str, own: Option<&Own>, options: &str) -> Result<String, String> {
    let mut command = stack.client(Path::new("/usr/bin/psql"), token);
    command.args(["-X", "-A", "-t", "-c", "select 6 * 7"]).env("PGOPTIONS", options).env("HOME", "/nowhere");
    if let Some(own) = own {
        command.env("PGSSLCERT", own.path("cert.pem")).env("PGSSLKEY", own.path("key.pem"));
    }
    printed(&mut command)
}

/// The newest session for this reason, as JSON and as it is shown.
fn newest(stack: &Stack, reason: &str) -> (Value, String) {
    let page: Value = serde_json::from_str(&admin(stack, &["sessions", "ls", "--json"]).unwrap()).unwrap();
    let session = page["items"].as_array().unwrap().iter().find(|session| session["reason"] == reason).unwrap();
    (session.clone(), admin(stack, &["sessions", "show", session["id"].as_str().unwrap()]).unwrap())
}

fn with_key(stack: &Stack, key: &str) -> usize {
    let page = admin(stack, &["sessions", "ls", &format!("--key={key}"), "--json"]).unwrap();
    serde_json::from_str::<Value>(&page).unwrap()["items"].as_array().unwrap().len()
}

#[test]
fn a_stolen_token_is_of_no_use_without_the_key() {
    let stack = stack();
    let (own, thief) = (Own::of(&rcgen::PKCS_ECDSA_P256_SHA256), Own::of(&rcgen::PKCS_ECDSA_P384_SHA384));
    let token = stack.token().unwrap();
    assert_eq!(psql(&stack, &token, Some(&own), r"-c writ.reason=ticket\ 42").as_deref(), Ok("42"));
    let (session, shown) = newest(&stack, "ticket 42");
    let key = session["client_key"].as_str().unwrap().to_owned();
    assert!(key.len() == 43 && shown.contains(&format!("client key    {key}\n")), "{shown}");
    assert!(shown.contains("reason        ticket 42\n"), "{shown}");

    let words = "the token was used before with a key that this connection did not prove";
    let bare = psql(&stack, &token, None, "").unwrap_err();
    assert!(bare.contains(words) && bare.contains("get a fresh token"), "{bare}");
    let other = psql(&stack, &token, Some(&thief), "").unwrap_err();
    assert!(other.contains("the token was used before with another key"), "{other}");
    // Who was refused finds the reason by the request that it was told; the holder goes on, with whichever certificate.
    let request = bare.split_once("(request ").unwrap().1.split_once(')').unwrap().0;
    let found = eventually(|| {
        let found = admin(&stack, &["ledger", "find", request])?;
        if found.contains("token.bound") { Ok(found) } else { Err(found) }
    });
    assert!(found.as_ref().is_ok_and(|found| found.contains(&key) && found.contains("proved none")), "{found:?}");
    own.certified(2999, 1);
    assert_eq!(psql(&stack, &token, Some(&own), "").as_deref(), Ok("42"));
    assert_eq!(with_key(&stack, &key), 2);

    let unbound = stack.token().unwrap();
    assert_eq!(psql(&stack, &unbound, None, "").as_deref(), Ok("42"));
    let late = psql(&stack, &unbound, Some(&own), "").unwrap_err();
    assert!(late.contains("the token was used before without a key"), "{late}");
    assert_eq!(psql(&stack, &unbound, None, "").as_deref(), Ok("42"));
}

#[test]
fn what_proves_no_key_does_not_get_through_the_handshake() {
    let stack = stack();
    let token = stack.token().unwrap();
    let large = Own::of(&rcgen::PKCS_ECDSA_P521_SHA512);
    let long = Own::of(&rcgen::PKCS_ECDSA_P256_SHA256);
    long.certified(2999, 64);
    for own in [&large, &long] {
        let said = psql(&stack, &token, Some(own), "").unwrap_err();
        assert!(said.contains("SSL error") || said.contains("certificate"), "{said}");
    }
    eventually(|| match stack.log().matches("login.client_key").count() {
        2 => Ok(()),
        count => Err(format!("{count} such lines: {}", stack.log())),
    })
    .unwrap();
    assert_eq!(psql(&stack, &token, None, "-c writ.reason=unproved").as_deref(), Ok("42"), "the token is as it was");
    let (session, shown) = newest(&stack, "unproved");
    assert!(session.get("client_key").is_none() && !shown.contains("client key"), "{shown}");
}

#[test]
fn a_reason_is_one_plain_line() {
    let stack = stack();
    let token = stack.token().unwrap();
    let long = psql(&stack, &token, None, &format!("-c writ.reason={}", "x".repeat(257))).unwrap_err();
    assert!(long.contains("the reason has 257 bytes, more than the 256 that it may have"), "{long}");
    let steering = psql(&stack, &token, None, "-c writ.reason=a\u{1b}[2J").unwrap_err();
    assert!(steering.contains("the reason holds a character that is not seen"), "{steering}");
    assert!(steering.contains("HINT:") && !steering.contains('\u{1b}'), "{steering}");
}

/// `writ connect` with one token for all of its connections.
fn connect(stack: &Stack, directory: &Path, token: &str, flags: &[&str], script: &str) -> Result<String, String> {
    let file = directory.join("token");
    fs::write(&file, token).unwrap();
    let mut command = Command::new(stack.binary());
    command.args(["connect", TARGET, "--gateway", &format!("localhost:{}", stack.gateway_port())]);
    command.arg("--ca-file").arg(stack.roots()).arg("--token-file").arg(file).args(flags);
    command.args(["--", "sh", "-c", script]).env_clear().env("TMPDIR", directory);
    command.env("PATH", std::env::var_os("PATH").unwrap()).stdin(Stdio::null());
    printed(&mut command)
}

#[test]
fn a_run_proves_one_key_on_all_its_connections_and_no_other_run_has_it() {
    let stack = stack();
    let directory = tempfile::Builder::new().prefix("k").tempdir_in("/tmp").unwrap();
    let (one, twice) = ("psql -X -A -t -c 'select 1'", "psql -X -A -t -c 'select 1' && psql -X -A -t -c 'select 2'");
    let token = stack.token().unwrap();
    let bound = ["--key", "--reason", "the nightly run's \"second\" part"];
    assert_eq!(connect(&stack, directory.path(), &token, &bound, twice).as_deref(), Ok("1\n2"));
    let (session, shown) = newest(&stack, bound[2]);
    let key = session["client_key"].as_str().unwrap().to_owned();
    assert_eq!(with_key(&stack, &key), 2);
    assert!(shown.contains(bound[2]), "{shown}");

    let again = connect(&stack, directory.path(), &token, &["--key"], one).unwrap_err();
    assert!(again.contains("the token was used before with another key") && again.contains("--no-key"), "{again}");
    let none = connect(&stack, directory.path(), &token, &[], one).unwrap_err();
    assert!(none.contains("with a key that this connection did not prove"), "{none}");

    // A file's token may be others' too: runs that say nothing share it.
    let shared = stack.token().unwrap();
    for flags in [[].as_slice(), &["--no-key"], &[]] {
        assert_eq!(connect(&stack, directory.path(), &shared, flags, one).as_deref(), Ok("1"));
    }
    let wrong = connect(&stack, directory.path(), &shared, &["--reason", "two\nlines"], one).unwrap_err();
    assert!(wrong.contains("the reason holds a character that is not seen"), "{wrong}");
    assert_eq!(with_key(&stack, &key), 2);

    // The public part stands where it is looked up; nothing of the private one is in a file.
    assert!(!holding(stack.state(), key.as_bytes()).is_empty());
    fs::remove_file(directory.path().join("token")).unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
