//! Fetching an issuer's keys (OpenID Connect Discovery 1.0, 4).
//!
//! The addresses come from the configuration and from a document that the issuer's host served over TLS. They must never
//! lead elsewhere: no redirects, no proxy, the key address on the issuer's own host or a listed one, and no address inside
//! unless the issuer is marked internal, so that nobody who controls an issuer's document or name makes the broker call
//! its own network.

use core::net::IpAddr;
use core::time::Duration;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::CACHE_CONTROL;
use reqwest::{Certificate, Client, ClientBuilder, Url};
use serde_json::Value;

use super::cache::{Fetched, Fetching, Source, freshness};
use super::config::{ConfigFault, IssuerConfig};
use super::fault::shown;
use super::jwks::{KeySet, Use};
use super::svid::Endpoint;
use super::verify::key_use;

/// The longest document that is read.
const MAX_BYTES: usize = 1024 * 1024;
/// How long one request may take, from the name's resolution to the last byte.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// An issuer's keys, fetched by discovery.
#[derive(Debug)]
pub struct Discovery {
    client: Client,
    issuer: String,
    start: Start,
    purpose: Use,
    jwks_hosts: Vec<String>,
    reach: Reach,
    /// The bundle endpoint, where its certificate is an X.509-SVID.
    endpoint: Option<Arc<Endpoint>>,
}

/// Where fetching begins.
#[derive(Debug)]
enum Start {
    /// At the issuer's document, which says where its keys are.
    Document(Url),
    /// At its keys.
    Keys(Url),
}

impl Start {
    const fn url(&self) -> &Url {
        match self {
            Self::Document(url) | Self::Keys(url) => url,
        }
    }
}

/// Which addresses may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those of the public internet.
    Public,
    /// Any.
    Internal,
    /// This machine's own, over plain HTTP too.
    Loopback,
}

impl Discovery {
    /// A source for an issuer that is configured without keys.
    ///
    /// # Errors
    /// [`ConfigFault`] if the issuer is no address or its certificates cannot be read.
    pub fn new(config: &IssuerConfig) -> Result<Self, ConfigFault> {
        let issuer = &config.issuer;
        let start = match &config.jwks_url {
            Some(url) => Url::parse(url).map(Start::Keys).map_err(|_| config.fault("`jwks_url` is no address"))?,
            None => {
                let base = issuer.strip_suffix('/').unwrap_or(issuer);
                Url::parse(&format!("{base}/.well-known/openid-configuration"))
                    .map(Start::Document)
                    .map_err(|_| config.fault("`issuer` is no address: give `jwks_file`, or an https address"))?
            }
        };
        let reach = match () {
            () if config.allow_http_loopback && is_loopback(start.url()) => Reach::Loopback,
            () if config.internal => Reach::Internal,
            () => Reach::Public,
        };
        let endpoint = first_bundle(config)?;
        let client = match &endpoint {
            Some(endpoint) => spiffe_client(config, reach, endpoint)?,
            None => client(config, reach)?,
        };
        let (issuer, jwks_hosts, purpose) = (issuer.clone(), config.jwks_hosts.clone(), key_use(config));
        Ok(Self { client, issuer, start, purpose, jwks_hosts, reach, endpoint })
    }

    async fn discover(&self) -> Result<Fetched, String> {
        let address = match &self.start {
            Start::Keys(address) => address.clone(),
            Start::Document(document) => self.jwks_uri(&self.get(document).await?.0)?,
        };
        let (body, fresh) = self.get(&address).await?;
        let keys = KeySet::parse_for(&body, self.purpose)
            .map_err(|fault| format!("the key set at `{}` is of no use: {fault}", shown(address.as_str())))?;
        if let Some(endpoint) = &self.endpoint {
            endpoint.hold(keys.authorities());
        }
        let hinted = if self.purpose == Use::JwtSvid { refresh_hint(&body) } else { None };
        Ok(Fetched { keys, fresh: hinted.or(fresh) })
    }

    /// Where a discovery document (OpenID Connect Discovery 1.0, section 3) says that the issuer's keys are.
    ///
    /// # Errors
    /// If it is not JSON, is another issuer's, or leads to where nothing may be fetched.
    pub fn jwks_uri(&self, document: &[u8]) -> Result<Url, String> {
        let document: Value = serde_json::from_slice(document)
            .map_err(|_| format!("the document at `{}` is not JSON", shown(self.start.url().as_str())))?;
        let named = document.get("issuer").and_then(Value::as_str).unwrap_or_default();
        if named != self.issuer {
            return Err(format!(
                "the discovery document names issuer `{}`, not `{}`",
                shown(named),
                shown(&self.issuer)
            ));
        }
        let address = self.jwks_address(document.get("jwks_uri").and_then(Value::as_str).unwrap_or_default())?;
        self.permits(&address)?;
        Ok(address)
    }

    fn jwks_address(&self, text: &str) -> Result<Url, String> {
        let address = Url::parse(text).map_err(|_| format!("`jwks_uri` is no address: `{}`", shown(text)))?;
        let place = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
        let listed = |host: &String| {
            let name = address.host_str().unwrap_or_default();
            let port = address.port_or_known_default().unwrap_or_default();
            *host == format!("{name}:{port}") || (host == name && port == 443)
        };
        if place(&address) == place(self.start.url()) || self.jwks_hosts.iter().any(listed) {
            return Ok(address);
        }
        Err(format!("`jwks_uri` leads to `{}`, which is neither the issuer's host nor in `jwks_hosts`", shown(text)))
    }

    async fn get(&self, url: &Url) -> Result<(Vec<u8>, Option<Duration>), String> {
        self.permits(url)?;
        let failed = |error: reqwest::Error| format!("`{}` cannot be fetched: {}", shown(url.as_str()), chain(&error));
        let mut response = self.client.get(url.clone()).send().await.map_err(failed)?;
        if response.status().as_u16() != 200 {
            return Err(format!("`{}` answers with status {}", shown(url.as_str()), response.status().as_u16()));
        }
        let control = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok());
        let fresh = control.and_then(freshness);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(format!("`{}` answers with more than {MAX_BYTES} bytes", shown(url.as_str())));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body, fresh))
    }

    /// Whether the scheme, and a host that is an address, are permitted. Names are looked at when they are resolved.
    fn permits(&self, url: &Url) -> Result<(), String> {
        let plain = url.scheme() == "http" && self.reach == Reach::Loopback && is_loopback(url);
        if url.scheme() != "https" && !plain {
            return Err(format!("`{}` is not https", shown(url.as_str())));
        }
        match host_address(url) {
            Some(address) if !self.reach.permits(address) => Err(outside_reach(&address.to_string())),
            _ => Ok(()),
        }
    }
}

impl Source for Discovery {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(self.discover())
    }
}

fn builder(reach: Reach) -> ClientBuilder {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .https_only(reach != Reach::Loopback)
        .timeout(REQUEST_LIMIT)
        .connect_timeout(REQUEST_LIMIT)
        .pool_max_idle_per_host(0)
        .dns_resolver(Resolver { reach })
}

/// The bundle endpoint of a trust domain that vouches for it itself, by the bundle in `jwks_file`.
fn first_bundle(config: &IssuerConfig) -> Result<Option<Arc<Endpoint>>, ConfigFault> {
    let (Some(id), Some(path)) = (&config.endpoint_spiffe_id, &config.jwks_file) else { return Ok(None) };
    let problem = |what: &str| config.fault(format!("`jwks_file` `{}` {what}", path.display()));
    let bundle = std::fs::read(path).map_err(|error| problem(&format!("cannot be read: {error}")))?;
    let keys = KeySet::parse_for(&bundle, Use::JwtSvid).map_err(|fault| problem(&format!("is of no use: {fault}")))?;
    match keys.authorities() {
        [] => Err(problem("holds no X.509 authority, which has to vouch for the endpoint")),
        authorities => Ok(Some(Endpoint::new(id, authorities))),
    }
}

fn spiffe_client(config: &IssuerConfig, reach: Reach, endpoint: &Arc<Endpoint>) -> Result<Client, ConfigFault> {
    let problem =
        |error: &dyn core::error::Error| config.fault(format!("no HTTP client can be made: {}", chain(error)));
    let tls = endpoint.tls().map_err(|error| problem(&error))?;
    builder(reach).tls_backend_preconfigured(tls).build().map_err(|error| problem(&error))
}

/// A client for what this issuer's addresses are.
pub(super) fn client(config: &IssuerConfig, reach: Reach) -> Result<Client, ConfigFault> {
    client_trusting(config, reach, ("ca_pem_file", config.ca_pem_file.as_deref()))
}

/// A client that trusts the authorities in the file of a setting, where it names one, instead of the system's.
pub(super) fn client_trusting(
    config: &IssuerConfig,
    reach: Reach,
    (setting, authorities): (&str, Option<&Path>),
) -> Result<Client, ConfigFault> {
    let mut builder = builder(reach);
    if let Some(path) = authorities {
        let problem = |what: &str| config.fault(format!("`{setting}` `{}` {what}", path.display()));
        let pem = std::fs::read(path).map_err(|error| problem(&format!("cannot be read: {error}")))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|_| problem("holds no PEM certificates"))?;
        if certificates.is_empty() {
            return Err(problem("holds no PEM certificates"));
        }
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().map_err(|error| config.fault(format!("no HTTP client can be made: {}", chain(&error))))
}

/// Resolves names, and keeps of their addresses those that are permitted: what is checked is what is called.
#[derive(Debug)]
struct Resolver {
    reach: Reach,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<SocketAddr> = found.filter(|address| reach.permits(address.ip())).collect();
            if permitted.is_empty() {
                return Err(outside_reach(name.as_str()).into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

fn outside_reach(host: &str) -> String {
    format!("`{}` has no address that may be called: mark the issuer `internal` if it should", shown(host))
}

impl Reach {
    fn permits(self, address: IpAddr) -> bool {
        match self {
            Self::Internal => true,
            Self::Loopback => address.to_canonical().is_loopback(),
            Self::Public => is_public(address),
        }
    }
}

/// How soon a SPIFFE bundle wants to be fetched again (SPIFFE Trust Domain and Bundle, 4.1.2), in seconds. What HTTP says of
/// caching is not the trust domain's word.
fn refresh_hint(bundle: &[u8]) -> Option<Duration> {
    let bundle: Value = serde_json::from_slice(bundle).ok()?;
    bundle.get("spiffe_refresh_hint")?.as_u64().map(Duration::from_secs)
}

/// Whether the URL's host is this machine: `localhost` or a loopback address.
pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost") || host_address(url).is_some_and(|address| address.is_loopback())
}

fn host_address(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether an address is of the public internet (RFC 6890 and its registries list what is not).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, third, _] = address.octets();
            let shared = first == 100 && second & 0b1100_0000 == 64;
            let protocols = first == 192 && second == 0 && third == 0;
            let benchmarks = first == 198 && second & 0b1111_1110 == 18;
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || first == 0
                || first >= 224
                || shared
                || protocols
                || benchmarks)
        }
        // Global unicast alone, without the ranges that carry an IPv4 address (6to4, Teredo) or that document.
        IpAddr::V6(address) => match address.segments() {
            [0x2001, 0, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] => false,
            [first, ..] => first & 0xe000 == 0x2000,
        },
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn core::error::Error) -> String {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
