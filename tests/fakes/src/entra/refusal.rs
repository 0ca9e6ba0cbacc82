//! Entra's refusals: OAuth's error, a number of Entra's own, words for a human, and ids by which support finds the call.

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// OAuth's error: `invalid_client`, ...
    pub error: &'static str,
    /// The number after `AADSTS`.
    pub code: i64,
    /// What a human reads.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, error: &'static str, code: i64, message: impl Into<String>) -> Self {
        Self { status, error, code, message: message.into() }
    }

    pub(crate) fn client(code: i64, message: impl Into<String>) -> Self {
        Self::new(401, "invalid_client", code, message)
    }

    pub(crate) fn request(code: i64, message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request", code, message)
    }

    pub(crate) fn response(&self, now: i64, correlation: &str, trace: &str) -> Response<Body> {
        let Self { status, error, code, message } = self;
        let at = crate::clock::iso(now).replace('T', " ");
        let description =
            format!("AADSTS{code}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {at}");
        let body = json!({
            "error": error, "error_description": description, "error_codes": [code], "timestamp": at, "trace_id": trace,
            "correlation_id": correlation, "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        });
        json_response(*status, &body)
    }
}

pub(crate) fn json_response(status: u16, body: &Value) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "application/json; charset=utf-8");
    let response = response.header("cache-control", "no-store, no-cache").body(Body::from(body.to_string()));
    response.unwrap_or_default()
}

/// 16 random bytes in the form of a GUID.
pub(crate) fn fresh_guid() -> String {
    let digits = crate::random_hex(16).unwrap_or_default();
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}
