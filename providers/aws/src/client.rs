//! How calls leave the broker: no proxy that the environment names, no redirect, an end to every wait and to every body.

use std::time::Duration;

use aws_sdk_sts::config::SharedHttpClient;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use reqwest::{Client, Response};
use writ_provider_calls::http;
use zeroize::Zeroizing;

use crate::config::ConfigFault;
use crate::fault;

/// The longest answer that is read.
const LONGEST: usize = 64 * 1024;
/// How long a connection may take to come about.
pub(crate) const CONNECT: Duration = Duration::from_secs(3);

/// What carries the SDK's calls. The SDK's own choice would take proxies from the environment.
pub(crate) fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
}

/// What carries the few calls that are made without the SDK.
pub(crate) fn plain_client(limit: Duration) -> Result<Client, ConfigFault> {
    http::client(CONNECT)
        .timeout(limit)
        .build()
        .map_err(|error| ConfigFault::new(format!("no HTTP client can be made: {}", fault::chain(&error))))
}

/// The body of an answer, if it is whole and not too long.
pub(crate) async fn body(response: Response) -> Option<Zeroizing<Vec<u8>>> {
    http::body(response, LONGEST).await.ok()
}

/// `text` as a value in a query or a form (RFC 3986, 2.3): all but the unreserved is escaped, as AWS does before it signs.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
