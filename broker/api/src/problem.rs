//! Refusals: RFC 9457 problem details.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use writ_core::id::RequestId;

/// The media type of [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A refusal, as the caller may know it (RFC 9457). Why exactly is in the ledger, under the request's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:writ:problem:` and the stable code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, in a few words, the same for each problem of this type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The stable code.
    pub code: String,
    /// What to quote to an operator.
    #[schema(value_type = String)]
    pub request: RequestId,
}
