//! How Google says no: as OAuth does (RFC 6749, 5.2) at STS and `tokeninfo`, with `google.rpc.Status` everywhere else.

use serde_json::{Value, json};

/// A refusal, in the form of the service that says it.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Refusal {
    pub(crate) fn oauth(status: u16, error: &str, description: impl Into<String>) -> Self {
        Self { status, body: json!({ "error": error, "error_description": description.into() }) }
    }

    pub(crate) fn grant(description: impl Into<String>) -> Self {
        Self::oauth(400, "invalid_grant", description)
    }

    pub(crate) fn request(description: impl Into<String>) -> Self {
        Self::oauth(400, "invalid_request", description)
    }

    pub(crate) fn rpc(code: u16, status: &str, message: impl Into<String>) -> Self {
        Self { status: code, body: json!({ "error": { "code": code, "message": message.into(), "status": status } }) }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::rpc(400, "INVALID_ARGUMENT", message)
    }

    pub(crate) fn unauthenticated() -> Self {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid \
                       authentication credential.";
        Self::rpc(401, "UNAUTHENTICATED", message)
    }

    /// With the reason that Google's libraries look at.
    pub(crate) fn denied(message: impl Into<String>, reason: &str, domain: &str) -> Self {
        let mut refusal = Self::rpc(403, "PERMISSION_DENIED", message);
        let detail = json!({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain });
        if let Some(error) = refusal.body.get_mut("error").and_then(Value::as_object_mut) {
            error.insert("details".to_owned(), json!([detail]));
        }
        refusal
    }

    pub(crate) fn permission(permission: &str, resource: &str) -> Self {
        let message = format!("Permission '{permission}' denied on resource (or it may not exist). {resource}");
        Self::denied(message.trim(), "IAM_PERMISSION_DENIED", "iam.googleapis.com")
    }

    pub(crate) fn scope() -> Self {
        let message = "Request had insufficient authentication scopes.";
        Self::denied(message, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "googleapis.com")
    }
}
