//! The clients that AWS gives to everybody: boto3, and the CLI.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use writ_core::credential::Credential;
use writ_fakes::{Keys, moto};

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
    pub(crate) fn start(endpoint: &str) -> Self {
        let mut command = Command::new(moto::python().unwrap());
        command.arg(moto::clients().join("boto_calls.py")).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
        Self(Lines::start(command))
    }

    pub(crate) fn ask(&mut self, keys: Option<&Keys>, service: &str, call: &str, arguments: &Value) -> Heard {
        let keys =
            keys.map(|keys| json!({ "access_key": keys.access_key, "secret": keys.secret, "token": keys.token }));
        let asked = json!({ "service": service, "call": call, "arguments": arguments, "keys": keys });
        Heard(serde_json::from_str(&self.0.ask(&asked)).unwrap())
    }
}

/// An answer, or a refusal's code, status and message.
#[derive(Debug)]
pub(crate) struct Heard(Value);

impl Heard {
    #[track_caller]
    pub(crate) fn answer(&self) -> &Value {
        self.0.get("answer").unwrap_or_else(|| panic!("refused: {}", self.0))
    }

    pub(crate) fn is_answer(&self) -> bool {
        self.0.get("answer").is_some()
    }

    #[track_caller]
    pub(crate) fn refused(&self, code: &str, words: &str) {
        assert_eq!(self.0["code"].as_str(), Some(code), "{}", self.0);
        assert!(self.0["message"].as_str().unwrap().contains(words), "{}", self.0);
    }
}

/// What the AWS CLI says, which is given nothing but these keys, or what it complains of.
pub(crate) fn cli(endpoint: &str, keys: &Keys, arguments: &[&str]) -> Result<Value, String> {
    let mut command = Command::new(moto::aws_cli().unwrap());
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent").env("AWS_ENDPOINT_URL", endpoint);
    command.env("AWS_DEFAULT_REGION", "eu-west-1").env("AWS_DEFAULT_OUTPUT", "json").env("AWS_MAX_ATTEMPTS", "1");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ACCESS_KEY_ID", &keys.access_key).env("AWS_SECRET_ACCESS_KEY", &keys.secret);
    command.envs(keys.token.as_ref().map(|token| ("AWS_SESSION_TOKEN", token)));
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8(output.stderr).unwrap());
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

/// The keys in what was minted: what AWS calls the output of `credential_process`.
pub(crate) fn keys_of(secret: &[u8]) -> Option<Keys> {
    let session: Value = serde_json::from_slice(secret).ok()?;
    let text = |name: &str| session[name].as_str().map(str::to_owned);
    Some(Keys {
        access_key: text("AccessKeyId")?,
        secret: text("SecretAccessKey")?,
        token: Some(text("SessionToken")?),
    })
}

/// The same of a credential that holds a session.
#[track_caller]
pub(crate) fn keys(credential: &Credential) -> Keys {
    keys_of(credential.secret.expose()).unwrap()
}
