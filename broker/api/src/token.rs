//! RFC 8693 token exchange: a workload's OIDC token for a Writ session token. Never for a target's credential.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The request, as a form (RFC 8693, 2.1). The target is named by `audience`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct ExchangeRequest {
    /// `urn:ietf:params:oauth:grant-type:token-exchange`.
    pub grant_type: String,
    /// The workload's OIDC token.
    pub subject_token: String,
    /// `urn:ietf:params:oauth:token-type:jwt` or `...:id_token`.
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
    /// Refused: delegation is not offered here.
    #[serde(default)]
    pub actor_token: Option<String>,
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
    /// `invalid_request`, `invalid_target`, `unsupported_grant_type`, `invalid_scope`.
    pub error: String,
    /// What to do about it.
    pub error_description: String,
    /// What to quote to an operator.
    pub request: String,
}
