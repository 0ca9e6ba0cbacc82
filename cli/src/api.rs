//! The broker's API as the command line uses it: TLS that trusts Writ's own authority alone, a token from a file that only
//! its owner can read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use writ_broker_api::problem::Problem;

use crate::failure::{Doing as _, Failure};
use crate::private;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the broker is and how to speak to it: `client.toml` in the state directory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// The broker's URL.
    pub broker: String,
    /// The file with the certificate of the broker's authority.
    pub ca_file: PathBuf,
    /// The file with the token of the human who asks.
    pub token_file: PathBuf,
}

impl Profile {
    /// Where the profile stands in a state directory.
    #[must_use]
    pub(crate) fn path(state: &Path) -> PathBuf {
        state.join("client.toml")
    }

    /// Reads the profile in a state directory.
    ///
    /// # Errors
    /// If there is none or it is malformed.
    pub(crate) fn load(state: &Path) -> Result<Self, Failure> {
        let path = Self::path(state);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Failure::new(format!("`{}` cannot be read: {error}", path.display()))
                .help("start `writ dev`, or log in with `writ login --broker https://... --ca-file FILE`, at first with the broker's `--token-file`")
        })?;
        toml::from_str(&text).doing(format!("`{}` is malformed", path.display()))
    }

    /// Writes the profile into a state directory.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn store(&self, state: &Path) -> Result<(), Failure> {
        let text = toml::to_string(self).doing("the client's profile cannot be written")?;
        private::replace(&Self::path(state), text.as_bytes())
    }
}

/// A client of the broker.
pub(crate) struct Api {
    client: Client,
    base: String,
    token: zeroize::Zeroizing<String>,
}

impl Api {
    /// Connects as the profile says. Nothing is sent yet.
    ///
    /// # Errors
    /// If the authority's certificate or the token cannot be read.
    pub(crate) fn new(profile: &Profile) -> Result<Self, Failure> {
        Self::of(&profile.broker, &profile.ca_file, private::read_text(&profile.token_file)?)
    }

    /// Connects to this broker, which the authority in `ca_file` vouches for, with this token. Nothing is sent yet.
    ///
    /// # Errors
    /// If the authority's certificate cannot be read.
    pub(crate) fn of(broker: &str, ca_file: &Path, token: zeroize::Zeroizing<String>) -> Result<Self, Failure> {
        let pem = std::fs::read(ca_file).doing(format!("`{}` cannot be read", ca_file.display()))?;
        let authority = Certificate::from_pem(&pem).doing(format!("`{}` is not a certificate", ca_file.display()))?;
        let client = Client::builder()
            .tls_certs_only([authority])
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()
            .doing("the client cannot be set up")?;
        Ok(Self { client, base: broker.trim_end_matches('/').to_owned(), token })
    }

    /// Asks for JSON.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let response = self.send(Method::GET, path, None::<&()>).await?;
        response.json().await.doing("the broker's answer cannot be read")
    }

    /// Asks for bytes.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses.
    pub(crate) async fn get_bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let response = self.send(Method::GET, path, None::<&()>).await?;
        response.bytes().await.map(Vec::from).doing("the broker's answer cannot be read")
    }

    /// Posts JSON and reads JSON.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses.
    pub(crate) async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        let response = self.send(Method::POST, path, Some(body)).await?;
        response.json().await.doing("the broker's answer cannot be read")
    }

    /// Deletes, and reads JSON.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses.
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let response = self.send(Method::DELETE, path, None::<&()>).await?;
        response.json().await.doing("the broker's answer cannot be read")
    }

    /// Posts nothing and reads nothing.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses.
    pub(crate) async fn post_nothing(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::POST, path, None::<&()>).await.map(|_| ())
    }

    async fn send<B: Serialize>(&self, method: Method, path: &str, body: Option<&B>) -> Result<Response, Failure> {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(self.token.as_str());
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| {
            Failure::new(format!("the broker at {} cannot be reached: {}", self.base, root_cause(&error)))
                .help("is it running? `writ dev` starts one on this machine")
        })?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }
}

async fn refused(response: Response) -> Failure {
    let status = response.status();
    match response.json::<Problem>().await {
        Ok(problem) => {
            let failure = Failure::new(format!(
                "the broker refused: {} ({}, request {})",
                problem.title, problem.code, problem.request
            ));
            match problem.detail {
                Some(detail) => failure.help(detail),
                None => failure,
            }
        }
        Err(_) if status == StatusCode::UNAUTHORIZED => {
            Failure::new("the broker does not know you").help("log in again with `writ login`")
        }
        Err(_) => Failure::new(format!("the broker answered with status {status}")),
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
