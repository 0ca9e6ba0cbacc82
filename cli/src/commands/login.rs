//! `writ login`: a human's ID token from the issuer that the broker names, kept for the other commands.
//!
//! By [`code`], for a browser on this machine, or by [`device`], for one elsewhere; as a public client: there is no client
//! secret to keep. The token is never printed and stands in a file that only its owner can read. The broker is asked over TLS
//! that trusts Writ's own authority alone, so whoever answers for it cannot send a human to another issuer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use reqwest::{Certificate, Client, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use writ_broker_api::admin::Login as Named;
use writ_broker_api::paths;
use writ_core::time::{Clock as _, SystemClock};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::Connection;
use crate::api::{Api, Profile};
use crate::failure::{Doing as _, Failure};
use crate::{out, private};

mod code;
mod device;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// Where to log in.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The broker's URL.
    #[arg(long, value_name = "URL")]
    broker: String,
    /// The certificate of the broker's authority, in PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: PathBuf,
    /// Certificates of the authorities that may vouch for the issuer, instead of the system's.
    #[arg(long, value_name = "FILE")]
    issuer_ca_file: Option<PathBuf>,
    /// Log in with a browser on another machine: enter a code there (the device flow).
    #[arg(long)]
    device: bool,
    /// Log in with the token in this file, the broker's `admin_token_file` for one: no issuer is asked, and the file stays where it
    /// is.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["device", "issuer_ca_file"])]
    token_file: Option<PathBuf>,
}

/// Logs in.
///
/// # Errors
/// If the broker names no issuer, the issuer refuses or says something else than it should, or nobody logs in in time.
pub(crate) async fn run(login: &Login, connection: &Connection) -> Result<(), Failure> {
    let broker = login.broker.trim_end_matches('/');
    if !broker.starts_with("https://") {
        return Err(Failure::new("the broker's URL is not https").help("write it as `--broker https://host:port`"));
    }
    let state = connection.state_directory()?;
    let ca_file = std::path::absolute(&login.ca_file).doing("the authority's file cannot be named")?;
    if let Some(token_file) = &login.token_file {
        let token_file = std::path::absolute(token_file).doing("the token's file cannot be named")?;
        return keep(Profile { broker: broker.to_owned(), ca_file, token_file }, &state).await;
    }
    let named: Named = read(client(Some(&login.ca_file))?.get(format!("{broker}/v1/login"))).await?;
    let client = client(login.issuer_ca_file.as_ref())?;
    let found = discover(&client, &named).await?;
    let token = if login.device {
        let shown = |address: &str, user_code: &str| {
            out::line("Open this address in a browser, on any machine:\n");
            out::line(&format!(
                "  {}\n\nand enter the code:\n\n  {}",
                out::harmless(address),
                out::harmless(user_code)
            ));
        };
        device::obtain(&client, &named, &found, shown).await?
    } else {
        let shown = |url: &str| {
            out::line("Open this address in a browser on this machine (elsewhere: `writ login --device`):\n");
            out::line(&format!("  {}", out::harmless(url)));
        };
        code::obtain(&client, &named, &found, shown).await?
    };
    private::directory(&state)?;
    let token_file = state.join("login.token");
    private::replace(&token_file, token.as_bytes())?;
    Profile { broker: broker.to_owned(), ca_file, token_file }.store(&state)?;
    out::line(&logged_in(broker));
    Ok(())
}

/// Keeps a profile by which the broker lets its owner see what was issued.
async fn keep(profile: Profile, state: &Path) -> Result<(), Failure> {
    Api::new(&profile)?.get::<Value>(&format!("{}?limit=1", paths::WRITS)).await?;
    private::directory(state)?;
    profile.store(state)?;
    out::line(&logged_in(&profile.broker));
    Ok(())
}

fn logged_in(broker: &str) -> String {
    format!("\nlogged in; `writ writs ls` asks {} now", out::harmless(broker))
}

fn client(authority: Option<&PathBuf>) -> Result<Client, Failure> {
    let mut builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT);
    if let Some(path) = authority {
        let pem = std::fs::read(path).doing(format!("`{}` cannot be read", path.display()))?;
        let found = Certificate::from_pem_bundle(&pem).doing(format!("`{}` is no certificate", path.display()))?;
        builder = builder.tls_certs_only(found);
    }
    builder.build().doing("the client cannot be set up")
}

/// What an issuer says of itself (OpenID Connect Discovery, 3), as far as it is needed.
#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    /// RFC 9207, section 3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    /// RFC 8628, section 4.
    device_authorization_endpoint: Option<String>,
}

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Tokens {
    id_token: String,
}

/// Asks the issuer that the broker names for its endpoints.
async fn discover(client: &Client, named: &Named) -> Result<Discovered, Failure> {
    let issuer = endpoint(&named.issuer, &named.issuer)?;
    let found: Discovered =
        read(client.get(format!("{}/.well-known/openid-configuration", issuer.as_str().trim_end_matches('/')))).await?;
    if found.issuer != named.issuer {
        return Err(Failure::new(format!("the issuer calls itself `{}`, not `{}`", found.issuer, named.issuer)));
    }
    Ok(found)
}

/// Holds the ID token against what was asked for (OpenID Connect Core, 3.1.3.7). Its signature is the broker's to verify:
/// it came from the issuer itself over TLS. The device flow has no `nonce`.
fn check(token: &str, named: &Named, nonce: Option<&str>) -> Result<(), Failure> {
    let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = claims.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let claims = claims.ok_or_else(|| Failure::new("the issuer's ID token is malformed"))?;
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    let meant = match claims.get("aud") {
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(&named.audience)),
        other => other.and_then(Value::as_str) == Some(&named.audience),
    };
    let live = claims.get("exp").and_then(Value::as_i64).is_some_and(|exp| exp > SystemClock.now().as_second());
    let wrong = [
        (text("iss") != Some(&named.issuer), "is from another issuer"),
        (!meant, "is for somebody else"),
        (nonce.is_some() && text("nonce") != nonce, "answers another login"),
        (!live, "has expired"),
    ];
    match wrong.into_iter().find(|(wrong, _)| *wrong) {
        Some((_, what)) => Err(Failure::new(format!("the issuer's ID token {what}")).help("log in again")),
        None => Ok(()),
    }
}

/// An address of the issuer: https, or plain http on loopback where the issuer itself is there.
fn endpoint(text: &str, issuer: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).doing(format!("`{text}` is no address"))?;
    let local =
        |url: &Url| url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    let issuer_local = Url::parse(issuer).is_ok_and(|issuer| local(&issuer));
    if url.scheme() == "https" || issuer_local && local(&url) {
        Ok(url)
    } else {
        Err(Failure::new(format!("`{text}` is not https: nobody's login is sent there")))
    }
}

/// What the other side answers, if it agrees.
async fn read<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<T, Failure> {
    let (status, host, body) = answer(request).await?;
    if !status.is_success() {
        return Err(Failure::new(format!("`{host}` refused with status {status}")));
    }
    serde_json::from_slice(&body).map_err(|_| Failure::new("the answer is not what a login needs"))
}

/// What the other side answers: status, who it is, body.
async fn answer(request: reqwest::RequestBuilder) -> Result<(StatusCode, String, Zeroizing<Vec<u8>>), Failure> {
    let mut response = request.send().await.map_err(reqwest::Error::without_url).doing("no answer")?;
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url).doing("the answer broke off")? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(Failure::new("the answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    let host = response.url().host_str().unwrap_or_default().to_owned();
    Ok((response.status(), host, body))
}

#[cfg(test)]
mod tests;
