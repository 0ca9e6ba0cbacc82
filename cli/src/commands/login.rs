//! `writ login`: a human's ID token from the issuer that the broker names, kept for the other commands.
//!
//! The authorization code with PKCE on a loopback redirect (RFC 8252, RFC 7636), as a public client: there is no client
//! secret to keep. The token is never printed and stands in a file that only its owner can read. The broker is asked over TLS
//! that trusts Writ's own authority alone, so whoever answers for it cannot send a human to another issuer.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use reqwest::{Certificate, Client, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use writ_broker_api::admin::Login as Named;
use writ_core::time::{Clock as _, SystemClock};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::Connection;
use crate::api::Profile;
use crate::failure::{Doing as _, Failure};
use crate::{out, private};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a human may take in the browser.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long the browser may take to read the page that it came back to.
const FAREWELL: Duration = Duration::from_secs(1);
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
    let named: Named = read(client(Some(&login.ca_file))?.get(format!("{broker}/v1/login"))).await?;
    let token = obtain(&client(login.issuer_ca_file.as_ref())?, &named, |url| {
        out::line("Open this address in a browser on this machine:\n");
        out::line(&format!("  {}", out::harmless(url)));
    })
    .await?;
    let state = connection.state_directory()?;
    private::directory(&state)?;
    let token_file = state.join("login.token");
    private::replace(&token_file, token.as_bytes())?;
    let ca_file = std::path::absolute(&login.ca_file).doing("the authority's file cannot be named")?;
    Profile { broker: broker.to_owned(), ca_file, token_file }.store(&state)?;
    out::line(&format!("\nlogged in; `writ writs ls` asks {} now", out::harmless(broker)));
    Ok(())
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
}

/// What the browser brings back (RFC 6749, 4.1.2; RFC 9207).
#[derive(Debug, Deserialize)]
struct Returned {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
struct Tokens {
    id_token: String,
}

/// Gets an ID token from the issuer. `show` is given the address to open.
async fn obtain(client: &Client, named: &Named, show: impl FnOnce(&str)) -> Result<Zeroizing<String>, Failure> {
    let issuer = endpoint(&named.issuer, &named.issuer)?;
    let found: Discovered =
        read(client.get(format!("{}/.well-known/openid-configuration", issuer.as_str().trim_end_matches('/')))).await?;
    if found.issuer != named.issuer {
        return Err(Failure::new(format!("the issuer calls itself `{}`, not `{}`", found.issuer, named.issuer)));
    }
    let (state, nonce, verifier) = (random()?, random()?, random()?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.doing("no port can be listened on")?;
    let port = listener.local_addr().doing("the port is not known")?.port();
    let redirect = format!("http://127.0.0.1:{port}/callback");
    let mut url = endpoint(&found.authorization_endpoint, &named.issuer)?;
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &named.client_id)
        .append_pair("redirect_uri", &redirect)
        .append_pair("scope", "openid")
        .append_pair("state", &state)
        .append_pair("nonce", &nonce)
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())))
        .append_pair("code_challenge_method", "S256");
    show(url.as_str());
    let code = returned(listener, &state, &named.issuer).await?;
    let tokens: Tokens = read(client.post(endpoint(&found.token_endpoint, &named.issuer)?).form(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", &redirect),
        ("client_id", &named.client_id),
        ("code_verifier", &verifier),
    ]))
    .await?;
    check(&tokens.id_token, named, &nonce)?;
    Ok(Zeroizing::new(tokens.id_token.clone()))
}

/// Waits for the browser. A request with another state is somebody else's: it is told so, and waiting goes on.
async fn returned(listener: TcpListener, state: &str, issuer: &str) -> Result<Zeroizing<String>, Failure> {
    let (send, mut receive) = mpsc::channel::<Returned>(1);
    let expected = state.to_owned();
    let answer = move |State(send): State<mpsc::Sender<Returned>>, Query(came): Query<Returned>| async move {
        if came.state.as_deref() != Some(expected.as_str()) {
            return "this is not the login that is waited for";
        }
        let _ = send.try_send(came);
        "thank you: go back to the terminal, it says how the login went"
    };
    let routes = Router::new().route("/callback", get(answer)).with_state(send);
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, routes).with_graceful_shutdown(async { drop(stopped.await) });
    let mut serving = tokio::spawn(server.into_future());
    let came = tokio::time::timeout(PATIENCE, receive.recv()).await;
    drop(stop);
    // The browser's page goes out before the listener closes, unless the browser holds its connection open.
    if tokio::time::timeout(FAREWELL, &mut serving).await.is_err() {
        serving.abort();
    }
    let came =
        came.ok().flatten().ok_or_else(|| Failure::new("nobody logged in within 5 minutes").help("try again"))?;
    if came.iss.as_deref().is_some_and(|iss| iss != issuer) {
        return Err(Failure::new("the browser came back from another issuer than it was sent to"));
    }
    match (came.code, came.error) {
        (Some(code), None) => Ok(Zeroizing::new(code)),
        (_, error) => Err(Failure::new(format!("the issuer refused: {}", error.unwrap_or_else(|| "no code".into())))),
    }
}

/// Holds the ID token against what was asked for (OpenID Connect Core, 3.1.3.7). Its signature is the broker's to verify:
/// it came from the issuer itself over TLS.
fn check(token: &str, named: &Named, nonce: &str) -> Result<(), Failure> {
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
        (text("nonce") != Some(nonce), "answers another login"),
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

fn random() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(bytes.as_mut_slice()).doing("there are no random numbers")?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

async fn read<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<T, Failure> {
    let mut response: Response = request.send().await.map_err(reqwest::Error::without_url).doing("no answer")?;
    let status = response.status();
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url).doing("the answer broke off")? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(Failure::new("the answer is too long"));
        }
        body.extend_from_slice(&chunk);
    }
    if !status.is_success() {
        let host = response.url().host_str().unwrap_or_default();
        return Err(Failure::new(format!("`{host}` refused with status {status}")));
    }
    serde_json::from_slice(&body).map_err(|_| Failure::new("the answer is not what a login needs"))
}

#[cfg(test)]
mod tests;
