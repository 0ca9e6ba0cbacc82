//! Answers, and GitHub's errors.

use serde_json::{Value, json};

/// One answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

impl Answer {
    pub(super) fn new(status: u16, body: Value) -> Self {
        let headers = vec![("x-ratelimit-limit", "5000".to_owned()), ("x-ratelimit-remaining", "4999".to_owned())];
        Self { status, headers, body: Some(body) }
    }

    pub(super) fn none() -> Self {
        Self { body: None, ..Self::new(204, Value::Null) }
    }

    /// An error in GitHub's shape.
    pub(super) fn error(status: u16, message: &str) -> Self {
        let documentation = "https://docs.github.com/rest";
        Self::new(
            status,
            json!({ "message": message, "documentation_url": documentation, "status": status.to_string() }),
        )
    }

    pub(super) fn not_found() -> Self {
        Self::error(404, "Not Found")
    }

    pub(super) fn bad_credentials() -> Self {
        Self::error(401, "Bad credentials")
    }

    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_string()));
        self
    }
}
