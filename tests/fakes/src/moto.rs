//! moto's server: the emulator of AWS behind [`crate::sts`]. It checks signatures and session tokens; what it passes over is
//! checked before it. Not a fake of ours: PyPI's `moto`, fetched by `tests/world/scripts/fetch-aws`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use jiff::Timestamp;
use writ_world::packages;

use crate::sigv4::{Heard, Keys, encode, sign};
use crate::sts::answer_text;

const START_LIMIT: Duration = Duration::from_secs(60);
const CALL_LIMIT: Duration = Duration::from_secs(30);
const FETCH: &str = "`tests/world/scripts/fetch-aws`";

/// The Python of the environment that `fetch-aws` made.
///
/// # Errors
/// That it is missing, and what brings it.
pub fn python() -> Result<PathBuf, String> {
    packages::need(&packages::cache().join("aws/venv/bin/python"), FETCH)
}

/// The AWS CLI of the same environment.
///
/// # Errors
/// As [`python`].
pub fn aws_cli() -> Result<PathBuf, String> {
    packages::need(&packages::cache().join("aws/venv/bin/aws"), FETCH)
}

/// The directory of the programs in `tests/clients`.
#[must_use]
pub fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients")
}

/// A running server, which ends when this is dropped or its process ends.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    address: String,
    admin: Keys,
}

impl Moto {
    /// Starts it and makes its first user, whose key may do everything.
    pub(crate) async fn start() -> Result<Self, String> {
        let mut command = Command::new(python()?);
        command.arg(clients().join("moto_server.py")).env_remove("AWS_ENDPOINT_URL");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot run moto: {error}"))?;
        let stdout = child.stdout.take().ok_or("no pipe from moto")?;
        let nobody = Keys { access_key: "none".to_owned(), secret: "none".to_owned(), token: None };
        let mut moto = Self { child, address: String::new(), admin: nobody };
        let port = tokio::task::spawn_blocking(move || first_line(stdout)).await.map_err(|error| error.to_string())?;
        moto.address = format!("127.0.0.1:{}", port.ok_or("moto did not start")?.trim());
        moto.admin = moto.user("writ-fakes").await?.1;
        Ok(moto)
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn caller(&self) -> Emulator {
        Emulator { address: self.address.clone(), admin: self.admin.clone() }
    }

    async fn user(&self, name: &str) -> Result<(String, Keys), String> {
        self.caller().user(name).await
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// May everything: what a session may do is the front's to say.
const EVERYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

/// How the front asks moto.
#[derive(Debug, Clone)]
pub(crate) struct Emulator {
    pub(crate) address: String,
    admin: Keys,
}

impl Emulator {
    /// One call of the Query protocol, signed by the first user.
    async fn query(&self, service: &str, version: &str, fields: &[(&str, &str)]) -> Result<String, String> {
        let version = ("Version", version);
        let fields = fields.iter().chain([&version]);
        let form: Vec<String> =
            fields.map(|(name, value)| format!("{name}={}", encode(value.as_bytes(), false))).collect();
        self.send("POST", "/", service, form.join("&")).await
    }

    async fn send(&self, method: &str, path: &str, service: &str, body: String) -> Result<String, String> {
        let headers = [
            ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
            ("host".to_owned(), self.address.clone()),
        ];
        let heard = Heard { method, path, query: "", headers: &headers, body: body.as_bytes() };
        let signed = sign(&heard, &self.admin, "us-east-1", service, Timestamp::now().as_second());
        let method = method.parse::<reqwest::Method>().map_err(|error| error.to_string())?;
        let mut request = client()?.request(method, format!("http://{}{path}", self.address)).body(body);
        for (name, value) in headers.into_iter().chain(signed) {
            request = request.header(name, value);
        }
        let said = |error: reqwest::Error| format!("moto: {error}");
        let response = request.send().await.map_err(said)?;
        let (status, text) = (response.status(), response.text().await.map_err(said)?);
        if status.is_success() { Ok(text) } else { Err(format!("moto answered {status}: {text}")) }
    }

    /// A user that may everything, with its id and its key.
    pub(crate) async fn user(&self, name: &str) -> Result<(String, Keys), String> {
        let iam = "2010-05-08";
        let made = self.query("iam", iam, &[("Action", "CreateUser"), ("UserName", name)]).await?;
        let keys = self.query("iam", iam, &[("Action", "CreateAccessKey"), ("UserName", name)]).await?;
        let policy =
            [("Action", "PutUserPolicy"), ("UserName", name), ("PolicyName", "all"), ("PolicyDocument", EVERYTHING)];
        self.query("iam", iam, &policy).await?;
        Ok((need(&made, "UserId")?, keys_in(&keys, false)?))
    }

    /// A role that may everything, with its id.
    pub(crate) async fn role(&self, name: &str, trust: &str) -> Result<String, String> {
        let iam = "2010-05-08";
        let made = [("Action", "CreateRole"), ("RoleName", name), ("AssumeRolePolicyDocument", trust)];
        let made = self.query("iam", iam, &made).await?;
        let policy =
            [("Action", "PutRolePolicy"), ("RoleName", name), ("PolicyName", "all"), ("PolicyDocument", EVERYTHING)];
        self.query("iam", iam, &policy).await?;
        need(&made, "RoleId")
    }

    /// Credentials of a role that moto knows. It asks nothing about web identities, which is why this is the way.
    pub(crate) async fn session(&self, role: &str, name: &str) -> Result<Keys, String> {
        let asked = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", role),
            ("RoleSessionName", name),
            ("WebIdentityToken", "checked before"),
        ];
        keys_in(&self.query("sts", "2011-06-15", &asked).await?, true)
    }

    pub(crate) async fn bucket(&self, name: &str) -> Result<(), String> {
        self.send("PUT", &format!("/{name}"), "s3", String::new()).await.map(drop)
    }
}

/// Asks moto: no proxy, no redirect.
pub(crate) fn client() -> Result<reqwest::Client, String> {
    let builder = reqwest::Client::builder().timeout(CALL_LIMIT).no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.build().map_err(|error| format!("no client: {error}"))
}

fn need(xml: &str, name: &str) -> Result<String, String> {
    answer_text(xml, name).ok_or_else(|| format!("moto's answer has no `{name}`"))
}

fn keys_in(xml: &str, session: bool) -> Result<Keys, String> {
    let token = if session { Some(need(xml, "SessionToken")?) } else { None };
    Ok(Keys { access_key: need(xml, "AccessKeyId")?, secret: need(xml, "SecretAccessKey")?, token })
}

fn first_line(stdout: std::process::ChildStdout) -> Option<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let _ = send.send(line);
        }
    });
    receive.recv_timeout(START_LIMIT).ok()?.ok()
}
