//! The dev issuer: an OIDC issuer on loopback that stands for a CI system's.
//!
//! It speaks the way that GitHub Actions does: `GET /token?audience=...` with a request token as bearer answers
//! `{"value": "<token>"}`. The request token is in a file that only its owner can read: being on loopback is not enough.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use writ_core::credential::Secret;
use writ_core::id::RequestId;
use writ_core::time::Timestamp;

/// How long a token lives, in seconds, where the caller does not say.
pub(crate) const TOKEN_LIFE_SECONDS: i64 = 300;
/// The workload that the issuer speaks for.
pub(crate) const SUBJECT: &str = "repo:acme/payments:environment:production";

/// Why the issuer cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuerFault {
    /// No key could be made.
    #[error("the dev issuer's key cannot be made")]
    Key,
    /// The address cannot be listened on.
    #[error("the dev issuer cannot listen on loopback: {0}")]
    Listen(#[source] std::io::Error),
}

/// A running dev issuer.
#[derive(Clone)]
pub(crate) struct DevIssuer {
    inner: Arc<Inner>,
}

struct Inner {
    url: String,
    key: EncodingKey,
    key_id: String,
    jwks: JwkSet,
    request_token: Secret,
}

/// What a token says beyond its subject. The defaults are what a well-behaved CI job gets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// Whom the token is for.
    pub audience: String,
    /// Its end, in seconds from now; negative for one that has ended.
    #[serde(default = "default_life")]
    pub expires_in: i64,
}

const fn default_life() -> i64 {
    TOKEN_LIFE_SECONDS
}

impl DevIssuer {
    /// Starts it on a free loopback port. It runs until the runtime ends.
    ///
    /// # Errors
    /// If no key can be made or no port can be had.
    pub(crate) async fn start(request_token: Secret) -> Result<Self, IssuerFault> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.map_err(IssuerFault::Listen)?;
        let address = listener.local_addr().map_err(IssuerFault::Listen)?;
        let issuer = Self { inner: Arc::new(Inner::new(format!("http://{address}"), request_token)?) };
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/token", get(token))
            .with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(issuer)
    }

    /// Its URL: the `iss` of its tokens.
    #[must_use]
    pub(crate) fn url(&self) -> &str {
        &self.inner.url
    }

    /// Signs a token for the dev workload.
    ///
    /// # Errors
    /// [`IssuerFault::Key`] if the key cannot sign.
    pub(crate) fn token(&self, request: &TokenRequest, now: Timestamp) -> Result<String, IssuerFault> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.inner.key_id.clone());
        jsonwebtoken::encode(&header, &self.claims(request, now), &self.inner.key).map_err(|_| IssuerFault::Key)
    }

    fn claims(&self, request: &TokenRequest, now: Timestamp) -> Value {
        let expires = now.as_second().saturating_add(request.expires_in);
        let issued = now.as_second().min(expires.saturating_sub(TOKEN_LIFE_SECONDS));
        json!({
            "iss": self.inner.url,
            "sub": SUBJECT,
            "aud": request.audience,
            "iat": issued,
            "nbf": issued,
            "exp": expires,
            "jti": RequestId::fresh().to_string(),
            "repository": "acme/payments",
            "repository_id": "4711",
            "repository_owner_id": "42",
            "environment": "production",
            "event_name": "push",
            "ref": "refs/heads/main",
            "actor": "dev",
        })
    }
}

impl Inner {
    fn new(url: String, request_token: Secret) -> Result<Self, IssuerFault> {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|_| IssuerFault::Key)?;
        let key = EncodingKey::from_ec_der(pair.serialized_der());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(|_| IssuerFault::Key)?;
        let key_id = "dev-1".to_owned();
        jwk.common.key_id = Some(key_id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { url, key, key_id, jwks: JwkSet { keys: vec![jwk] }, request_token })
    }
}

async fn discovery(State(issuer): State<DevIssuer>) -> Json<Value> {
    let url = issuer.url();
    Json(json!({
        "issuer": url,
        "jwks_uri": format!("{url}/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    }))
}

async fn jwks(State(issuer): State<DevIssuer>) -> Json<JwkSet> {
    Json(issuer.inner.jwks.clone())
}

async fn token(
    State(issuer): State<DevIssuer>,
    Query(request): Query<TokenRequest>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    match given {
        Some(given) if Secret::new(given.to_vec()) == issuer.inner.request_token => issuer
            .token(&request, Timestamp::now())
            .map(|token| Json(json!({ "value": token })))
            .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR),
        _ => Err(StatusCode::UNAUTHORIZED),
    }
}
