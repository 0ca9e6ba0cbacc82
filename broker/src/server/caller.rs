//! Who calls: what TLS proved, and what the bearer token claims. Nothing here decides; handlers hand it to the broker.

use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use writ_core::id::GatewayId;
use zeroize::Zeroizing;

/// The other end of the connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The gateway that its certificate names, with the certificate's serial number; `None` without a certificate. Whether
    /// that certificate was revoked is for the broker to say.
    pub gateway: Option<(GatewayId, String)>,
}

/// A bearer token as it was sent; empty if there was none.
pub struct Bearer(pub Zeroizing<String>);

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = core::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let token = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map_or_else(String::new, |(_, token)| token.trim().to_owned());
        Ok(Self(Zeroizing::new(token)))
    }
}
