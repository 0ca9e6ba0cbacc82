//! Who calls: what TLS proved, and what the bearer token claims. Nothing here decides; the broker is asked.

use core::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Extension, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;
use writ_core::id::GatewayId;
use writ_policy::HumanAction;
use zeroize::Zeroizing;

use super::App;
use crate::broker::GatewayIdentity;
use crate::humans::Permitted;
use crate::refusal::Refusal;

/// The other end of the connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The gateway that its certificate names, with the certificate's serial number; `None` without a certificate. Whether
    /// that certificate was revoked is for the broker to say.
    pub gateway: Option<(GatewayId, String)>,
    /// The certificates of a client that names itself by a SPIFFE ID: the key of the first was proved, and nothing else. They
    /// count at `/v1/token` alone.
    pub workload: Arc<[CertificateDer<'static>]>,
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

/// Changes to `true` when the listener stops: what would never end by itself ends then.
#[derive(Debug, Clone)]
pub struct Stopping(pub watch::Receiver<bool>);

/// A gateway of ours. Comes before the body in a handler's arguments, so that nothing is read from one who is not.
pub(super) struct Known(pub GatewayIdentity);

impl FromRequestParts<App> for Known {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let peer = Extension::<Peer>::from_request_parts(parts, app).await.map_err(|_| Refusal::unauthenticated())?;
        app.broker.identify(peer.gateway.as_ref()).await.map(Self)
    }
}

/// An action that a handler needs.
pub(super) trait Needed {
    /// Which.
    const ACTION: HumanAction;
}

macro_rules! needed {
    ($($name:ident => $action:ident),*) => {$(
        /// The action of this name.
        pub(super) enum $name {}

        impl Needed for $name {
            const ACTION: HumanAction = HumanAction::$action;
        }
    )*};
}

needed!(ToAdmin => Admin, ToApprove => Approve, ToAudit => Audit, ToBreakGlass => BreakGlass, ToView => View);

/// A human who may do what the handler needs. Comes before path, query and body in its arguments, so that nothing of them is
/// judged or read for one who may not.
pub(super) struct May<N> {
    /// Who.
    pub(super) by: Permitted,
    needed: PhantomData<N>,
}

impl<N: Needed> FromRequestParts<App> for May<N> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let Ok(Bearer(token)) = Bearer::from_request_parts(parts, app).await;
        let by = app.broker.permit(&token, N::ACTION).await?;
        Ok(Self { by, needed: PhantomData })
    }
}
