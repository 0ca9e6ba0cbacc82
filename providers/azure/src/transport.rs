//! How calls leave the broker: over the one TLS stack, no proxy that the environment names, no redirect, an end to every wait and
//! to every body. The SDK's own transport is not compiled in.

use core::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Method, Request};
use reqwest::{Certificate, Client, Response};
use writ_provider_calls::{Failed, http};
use zeroize::Zeroizing;

use crate::config::ConfigFault;
use crate::fault;

/// The longest answer that is read.
const LONGEST: usize = 64 * 1024;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);

/// A client for HTTPS alone, with these authorities or the system's.
pub(crate) fn client(limit: Duration, authorities: Option<(&str, &[u8])>) -> Result<Client, ConfigFault> {
    built(builder(limit, authorities)?.https_only(true))
}

/// A client for the metadata service of the machine, which speaks no TLS.
pub(crate) fn metadata_client(limit: Duration) -> Result<Client, ConfigFault> {
    built(builder(limit, None)?)
}

fn builder(limit: Duration, authorities: Option<(&str, &[u8])>) -> Result<reqwest::ClientBuilder, ConfigFault> {
    let builder = http::client(CONNECT).timeout(limit);
    let Some((setting, pem)) = authorities else { return Ok(builder) };
    let bundle = Certificate::from_pem_bundle(pem).ok().filter(|bundle| !bundle.is_empty());
    let none = || ConfigFault::new(format!("`{setting}` has no certificate of an authority in PEM"));
    Ok(builder.tls_certs_only(bundle.ok_or_else(none)?))
}

fn built(builder: reqwest::ClientBuilder) -> Result<Client, ConfigFault> {
    builder.build().map_err(|error| ConfigFault::new(format!("no HTTP client can be made: {}", fault::chain(&error))))
}

/// The body of an answer, if it is whole and not too long.
pub(crate) async fn body(response: Response) -> Option<Zeroizing<Vec<u8>>> {
    http::body(response, LONGEST).await.ok()
}

/// What became of a call that the SDK made.
#[derive(Debug, Default)]
pub(crate) enum Seen {
    /// It was never made.
    #[default]
    Nothing,
    /// No whole answer came.
    Failed(Failed),
    /// An answer of this status came; its body is kept unless it says success.
    Answer(u16, Vec<u8>),
}

/// Carries one call of the SDK's, and remembers what became of it: the SDK's own error drops half of that.
pub(crate) struct Carrier {
    client: Client,
    /// What is being done, for faults.
    doing: String,
    /// The id by which Entra's log will know the call.
    correlation: Option<String>,
    /// The machine's metadata service, if not where Azure has it.
    metadata: Option<String>,
    seen: Mutex<Seen>,
}

/// Where every machine at Azure finds its metadata service.
const METADATA: &str = "http://169.254.169.254";

impl Carrier {
    pub(crate) fn new(client: Client, doing: &str, correlation: Option<String>) -> Self {
        Self { client, doing: doing.to_owned(), correlation, metadata: None, seen: Mutex::default() }
    }

    pub(crate) fn with_metadata(self, metadata: Option<String>) -> Self {
        Self { metadata, ..self }
    }

    fn url(&self, asked: &str) -> String {
        match (&self.metadata, asked.strip_prefix(METADATA)) {
            (Some(metadata), Some(rest)) => format!("{metadata}{rest}"),
            _ => asked.to_owned(),
        }
    }

    /// What became of the last call.
    pub(crate) fn seen(&self) -> Seen {
        core::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn saw(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    async fn carried(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let failed = |failed: Failed| {
            self.saw(Seen::Failed(failed));
            // No kind that the SDK would repeat.
            Error::with_message(ErrorKind::Other, "the call failed")
        };
        let Body::Bytes(sent) = request.body() else {
            return Err(Error::with_message(ErrorKind::Other, "a body that is no text"));
        };
        let method = match request.method() {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            _ => return Err(Error::with_message(ErrorKind::Other, "a method that is not used here")),
        };
        let mut call = self.client.request(method, self.url(request.url().as_str())).body(sent.clone());
        for (name, value) in request.headers().iter() {
            call = call.header(name.as_str(), value.as_str());
        }
        if let Some(id) = &self.correlation {
            call = call.header("client-request-id", id).header("return-client-request-id", "true");
        }
        let answer =
            call.send().await.map_err(|error| failed(fault::of_transport(&self.doing, &error.without_url())))?;
        let status = answer.status().as_u16();
        let mut body = body(answer).await.ok_or_else(|| failed(fault::cut_short(&self.doing)))?;
        self.saw(Seen::Answer(status, if status == 200 { Vec::new() } else { body.to_vec() }));
        Ok(AsyncRawResponse::from_bytes(status.into(), Headers::new(), core::mem::take(&mut *body)))
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier").field("doing", &self.doing).finish_non_exhaustive()
    }
}

type Carried<'a> = Pin<Box<dyn Future<Output = azure_core::Result<AsyncRawResponse>> + Send + 'a>>;

// The signature is what `async_trait`, by which the SDK declares it, makes of `async fn`.
impl HttpClient for Carrier {
    fn execute_request<'life0, 'life1, 'async_trait>(&'life0 self, request: &'life1 Request) -> Carried<'async_trait>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.carried(request))
    }
}
