//! The authorization code with PKCE (RFC 7636) on a loopback redirect (RFC 8252), for a browser on this machine.
//!
//! Never: take an answer with another state for the one that is waited for, or one that names another issuer (RFC 9207).

use std::net::Ipv4Addr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Client;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use writ_broker_api::admin::Login as Named;
use zeroize::Zeroizing;

use super::{Discovered, Tokens, check, endpoint, read};
use crate::failure::{Doing as _, Failure};

/// How long a human may take in the browser.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long the browser may take to read the page that it came back to.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the browser brings back (RFC 6749, 4.1.2; RFC 9207).
#[derive(Debug, Deserialize)]
struct Returned {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Gets an ID token from the issuer. `show` is given the address to open.
///
/// # Errors
/// If the issuer refuses or says something else than it should, or nobody logs in in time.
pub(super) async fn obtain(
    client: &Client,
    named: &Named,
    found: &Discovered,
    show: impl FnOnce(&str),
) -> Result<Zeroizing<String>, Failure> {
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
    let code = returned(listener, &state, found).await?;
    let tokens: Tokens = read(client.post(endpoint(&found.token_endpoint, &named.issuer)?).form(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", &redirect),
        ("client_id", &named.client_id),
        ("code_verifier", &verifier),
    ]))
    .await?;
    check(&tokens.id_token, named, Some(&nonce))?;
    Ok(Zeroizing::new(tokens.id_token.clone()))
}

/// Waits for the browser. A request with another state is somebody else's: it is told so, and waiting goes on.
async fn returned(listener: TcpListener, state: &str, found: &Discovered) -> Result<Zeroizing<String>, Failure> {
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
    // RFC 9207, section 2.4: an issuer that says that it names itself must do so.
    let unnamed = came.iss.is_none() && found.authorization_response_iss_parameter_supported;
    if unnamed || came.iss.as_deref().is_some_and(|iss| iss != found.issuer) {
        return Err(Failure::new("the browser came back from another issuer than it was sent to"));
    }
    match (came.code, came.error) {
        (Some(code), None) => Ok(Zeroizing::new(code)),
        (_, error) => Err(Failure::new(format!("the issuer refused: {}", error.unwrap_or_else(|| "no code".into())))),
    }
}

fn random() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(bytes.as_mut_slice()).doing("there are no random numbers")?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

#[cfg(test)]
mod tests;
