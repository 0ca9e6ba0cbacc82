//! One front and one issuer for all tests, and the clients that ask it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde_json::{Value, json};
use writ_fakes::issuer::{Algorithm, Issuer};
use writ_fakes::sts::{Front, OidcProvider, Role};
use writ_fakes::{Keys, moto};

pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";
pub(crate) const SUBJECT: &str = "writ:kit";
pub(crate) const EVERYTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// A front, an issuer that it knows, and boto3.
pub(crate) struct World {
    pub(crate) front: Front,
    pub(crate) issuer: Issuer,
    pub(crate) provider: String,
    boto: Mutex<Boto>,
    pub(crate) directory: tempfile::TempDir,
}

/// The world that all tests share which do not bring it into trouble.
pub(crate) fn shared() -> Arc<World> {
    static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());
    let mut known = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(world) = known.upgrade() {
        return world;
    }
    let world = Arc::new(World::start());
    *known = Arc::downgrade(&world);
    world
}

impl World {
    pub(crate) fn start() -> Self {
        let front = Front::start().unwrap();
        let issuer = Issuer::start().unwrap();
        let provider = front.oidc_provider(OidcProvider {
            url: issuer.url().to_owned(),
            client_ids: vec![AUDIENCE.to_owned()],
            ca_pem: None,
            at: None,
        });
        front.bucket("reports").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let boto = Mutex::new(Boto::start(front.url(), None));
        Self { front, issuer, provider, boto, directory }
    }

    /// A name that no other test has.
    pub(crate) fn fresh(&self, stem: &str) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        format!("{stem}-{}", NEXT.fetch_add(1, Ordering::SeqCst))
    }

    /// A trust policy's statement for the issuer's workload, with more conditions and actions.
    pub(crate) fn trust(&self, actions: &[&str], conditions: &Value) -> String {
        let host = self.issuer.url().trim_start_matches("http://");
        let mut equals = json!({ format!("{host}:aud"): AUDIENCE, format!("{host}:sub"): SUBJECT });
        equals.as_object_mut().unwrap().extend(conditions.as_object().unwrap().clone());
        json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow",
            "Principal": { "Federated": self.provider },
            "Action": actions,
            "Condition": { "StringEquals": equals },
        }]})
        .to_string()
    }

    /// A role for the issuer's workload, with any tags, that may do everything; its ARN.
    pub(crate) fn role(&self, name: &str) -> String {
        let actions = ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"];
        self.role_with(name, self.trust(&actions, &json!({})))
    }

    pub(crate) fn role_with(&self, name: &str, trust: String) -> String {
        let policies = BTreeMap::from([("all".to_owned(), EVERYTHING.to_owned())]);
        self.front.role(&Role { name: name.to_owned(), trust, policies, longest: 7200 }).unwrap()
    }

    pub(crate) fn token(&self) -> String {
        self.token_of(&self.claims())
    }

    pub(crate) fn token_of(&self, claims: &Value) -> String {
        self.issuer.token(Algorithm::Es256, claims).unwrap()
    }

    pub(crate) fn claims(&self) -> Value {
        self.issuer.claims(AUDIENCE, SUBJECT)
    }

    /// What boto3 hears.
    pub(crate) fn boto(&self, keys: Option<&Keys>, service: &str, call: &str, arguments: &Value) -> Heard {
        self.boto.lock().unwrap_or_else(PoisonError::into_inner).ask(keys, service, call, arguments)
    }

    /// A session by web identity, and the whole answer.
    pub(crate) fn web_identity(&self, role: &str, token: &str, more: &Value) -> Heard {
        let mut arguments = json!({ "RoleArn": role, "RoleSessionName": "writ-session", "WebIdentityToken": token });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.boto(None, "sts", "assume_role_with_web_identity", &arguments)
    }

    /// The AWS CLI with an environment of its own.
    pub(crate) fn cli(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Result<Value, String> {
        let mut command = Command::new(moto::aws_cli().unwrap());
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.directory.path());
        command.env("AWS_ENDPOINT_URL", self.front.url()).env("AWS_DEFAULT_REGION", "us-east-1");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_MAX_ATTEMPTS", "1").env("AWS_DEFAULT_OUTPUT", "json");
        let output = command.envs(environment.iter().copied()).args(arguments).output().unwrap();
        let (said, wrong) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        if !output.status.success() {
            return Err(wrong);
        }
        Ok(serde_json::from_str(&said).unwrap_or(Value::String(said)))
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// An answer, or a refusal's code, status and message.
#[derive(Debug)]
pub(crate) struct Heard(pub(crate) Value);

impl Heard {
    #[track_caller]
    pub(crate) fn answer(&self) -> &Value {
        self.0.get("answer").unwrap_or_else(|| panic!("refused: {}", self.0))
    }

    /// The keys in an answer of STS.
    #[track_caller]
    pub(crate) fn keys(&self) -> Keys {
        let credentials = &self.answer()["Credentials"];
        let text = |name: &str| credentials[name].as_str().unwrap().to_owned();
        Keys { access_key: text("AccessKeyId"), secret: text("SecretAccessKey"), token: Some(text("SessionToken")) }
    }

    #[track_caller]
    pub(crate) fn refused(&self, code: &str, status: u64) {
        let (heard, of) = (self.0["code"].as_str(), self.0["status"].as_u64());
        assert_eq!((heard, of), (Some(code), Some(status)), "{}", self.0);
    }
}

pub(crate) fn environment(keys: &Keys) -> Vec<(&str, &str)> {
    let mut environment =
        vec![("AWS_ACCESS_KEY_ID", keys.access_key.as_str()), ("AWS_SECRET_ACCESS_KEY", &keys.secret)];
    environment.extend(keys.token.as_deref().map(|token| ("AWS_SESSION_TOKEN", token)));
    environment
}

/// A program that answers each line with a line.
pub(crate) struct Lines {
    child: Child,
    asks: ChildStdin,
    hears: BufReader<ChildStdout>,
}

impl Lines {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (asks, hears) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, asks, hears }
    }

    pub(crate) fn ask(&mut self, asked: &Value) -> String {
        writeln!(self.asks, "{asked}").unwrap();
        let mut line = String::new();
        self.hears.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "it ended: {line}");
        line.trim_end().to_owned()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `boto_calls.py`.
pub(crate) struct Boto(Lines);

impl Boto {
    pub(crate) fn start(endpoint: &str, authority: Option<&Path>) -> Self {
        let mut command = Command::new(moto::python().unwrap());
        command.arg(moto::clients().join("boto_calls.py")).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
        command.envs(authority.map(|path| ("AWS_CA_BUNDLE", path)));
        Self(Lines::start(command))
    }

    pub(crate) fn ask(&mut self, keys: Option<&Keys>, service: &str, call: &str, arguments: &Value) -> Heard {
        let keys =
            keys.map(|keys| json!({ "access_key": keys.access_key, "secret": keys.secret, "token": keys.token }));
        let asked = json!({ "service": service, "call": call, "arguments": arguments, "keys": keys });
        Heard(serde_json::from_str(&self.0.ask(&asked)).unwrap())
    }
}
