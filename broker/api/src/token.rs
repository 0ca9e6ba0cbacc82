//! RFC 8693 token exchange: a workload's own token, or its certificate, for a Writ session token. Never for a target's credential.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The request, as a form (RFC 8693, 2.1; RFC 6749, 4.4.2). The target is named by `audience`.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ExchangeRequest {
    /// `urn:ietf:params:oauth:grant-type:token-exchange`, or `client_credentials` where the client's certificate is an
    /// X.509-SVID (RFC 8705, 2.1).
    pub grant_type: String,
    /// The workload's OIDC token; none with `client_credentials`.
    #[serde(default)]
    pub subject_token: String,
    /// `urn:ietf:params:oauth:token-type:jwt` or `...:id_token`; `urn:ietf:params:aws:token-type:aws4_request` for a presigned
    /// `sts:GetCallerIdentity`.
    #[serde(default)]
    pub subject_token_type: String,
    /// The target that the session token is for.
    #[serde(default)]
    pub audience: Option<String>,
    /// `urn:ietf:params:oauth:token-type:access_token` or `...:jwt`, or absent.
    #[serde(default)]
    pub requested_token_type: Option<String>,
    /// Refused: a session token has no scope of its own.
    #[serde(default)]
    pub scope: Option<String>,
    /// Refused: name the target by `audience`.
    #[serde(default)]
    pub resource: Option<String>,
    /// The token of who acts for the subject, where somebody does. Policy has to accept it (`@accepts("delegation")`).
    #[serde(default)]
    pub actor_token: Option<String>,
    /// As `subject_token_type`; given with an `actor_token` alone.
    #[serde(default)]
    pub actor_token_type: Option<String>,
    /// With `client_credentials`: the SPIFFE ID that the certificate names, or absent.
    #[serde(default)]
    pub client_id: Option<String>,
}

/// The reply (RFC 8693, 2.2.1).
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ExchangeReply {
    /// The session token.
    pub access_token: String,
    /// `urn:ietf:params:oauth:token-type:access_token`.
    pub issued_token_type: String,
    /// `Bearer`, or `DPoP` where it is bound to the client's key (RFC 9449).
    pub token_type: String,
    /// Its life in seconds.
    pub expires_in: u64,
}

/// A refusal in the form of RFC 6749, 5.2, with the request's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExchangeError {
    /// `invalid_request`, `invalid_target`, `invalid_client`, `unsupported_grant_type`, `invalid_scope`.
    pub error: String,
    /// What to do about it.
    pub error_description: String,
    /// What to quote to an operator.
    pub request: String,
}
