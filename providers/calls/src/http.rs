//! What calls over HTTP have in common, whichever target they are to.

use std::error::Error;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Response, Url};
use writ_core::provider::ProviderFault;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Failed, plain};

/// What makes a client that goes where it is told and nowhere else: it follows no redirect, calls nothing again, takes no proxy of the
/// environment, and waits for a connection no longer than `connect`. How long a call may take is for the caller to say.
pub fn client(connect: Duration) -> ClientBuilder {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(connect)
}

/// The body of an answer, which may hold a secret: whole, of at most `most` bytes, and nowhere else once it is dropped.
///
/// # Errors
/// Why there is none; nothing that was in it.
pub async fn body(mut response: Response, most: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = response.chunk().await.map_err(|error| causes(&error))? {
        if body.len() + chunk.len() > most {
            return Err(format!("the answer is longer than {most} bytes"));
        }
        // A vector that grows leaves what it held behind.
        if body.capacity() - body.len() < chunk.len() {
            let mut larger = Vec::with_capacity((body.len() + chunk.len()) * 2);
            larger.extend_from_slice(&body);
            body.zeroize();
            *body = larger;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why a call of the HTTP client's failed, without its address, which may be a secret.
#[must_use]
pub fn causes(error: &reqwest::Error) -> String {
    plain(&error.source().map_or_else(|| "no answer".to_owned(), |cause| format!("no answer: {}", chain(cause))))
}

/// An error and its causes.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let causes: Vec<String> = successors(error).map(ToString::to_string).collect();
    causes.join(": ")
}

/// Whether the other end is not whom the authorities know.
#[must_use]
pub fn is_untrusted(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        // An I/O error shows what it wraps here alone: its source is that one's source.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = wrapped.map_or_else(|| error.source(), |inner| Some(inner as &(dyn Error + 'static)));
    }
    false
}

/// What came instead of an answer, of any library. `advice` says what to look at where somebody else answers.
#[must_use]
pub fn of_transport(doing: &str, error: &(dyn Error + 'static), advice: &str) -> Failed {
    let text = format!("{doing}: {}", plain(&chain(error)));
    if text.contains("invalid peer certificate") {
        let text = format!("{text}: what answers there is not who it should be: {advice}");
        return Failed::ForGood(ProviderFault::Misconfigured(text));
    }
    // Of nothing else is it sure that the call did not arrive.
    if is_refused(error) {
        Failed::Harmlessly(ProviderFault::Unreachable(text))
    } else {
        Failed::ForGood(ProviderFault::Unreachable(text))
    }
}

fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let kind = |error: &(dyn Error + 'static)| error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    successors(error).any(|error| kind(error) == Some(std::io::ErrorKind::ConnectionRefused))
}

fn successors<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    core::iter::successors(Some(error), |error| (*error).source())
}

/// An endpoint that somebody wrote instead of the target's own: HTTPS, or plain HTTP at loopback.
///
/// # Errors
/// What is wrong with it, and what to write instead.
pub fn endpoint(setting: &str, text: &str) -> Result<Url, String> {
    let wrong = |why: &str| {
        Err(format!("`{setting}` is `{}`, {why}: write `https://host` or `https://host:port`", plain(text)))
    };
    let Ok(url) = Url::parse(text) else { return wrong("which is no address") };
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    match (url.scheme(), url.host_str()) {
        (_, None | Some("")) => wrong("which names no host"),
        _ if !bare || url.path() != "/" => wrong("which has more than a host and a port"),
        ("https", _) => Ok(url),
        ("http", Some(host)) if is_loopback(host) => Ok(url),
        ("http", _) => wrong("which would carry credentials in the clear"),
        _ => wrong("which is not HTTPS"),
    }
}

/// Whether a URL's host is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    host == "localhost" || bare.parse::<core::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
