//! What was known of a session when its commands were judged, so that they can be judged again by other policies.
//!
//! It stands in the recording, behind its key, and nowhere else: claims say who ran, and are for auditors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The name of the event that holds it.
pub const NAME: &str = "session.known";

/// What was known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKnown {
    /// The token's claims.
    pub claims: BTreeMap<String, Value>,
    /// The target's labels.
    pub labels: BTreeMap<String, String>,
    /// The database.
    pub database: String,
    /// What the server said of the session, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerKnown>,
}

/// What a server said of a session right after its login.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerKnown {
    /// `search_path`.
    pub search_path: String,
    /// Whether there is a schema called like the role.
    pub user_schema: bool,
    /// The role.
    pub role: String,
    /// The functions, by schema and name, of the database's own that the server may take a name for; `None` where any name may be one.
    #[serde(default = "none_of_them")]
    pub functions: Option<Vec<(String, String)>>,
}

/// What recordings say that tell nothing of functions: that the database has none of its own.
#[expect(clippy::unnecessary_wraps, reason = "it is the value of a field")]
const fn none_of_them() -> Option<Vec<(String, String)>> {
    Some(Vec::new())
}

impl SessionKnown {
    /// As the event's detail.
    #[must_use]
    pub fn to_detail(&self) -> Vec<u8> {
        // Every map here has names as keys: it has a form in JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Of an event's detail; `None` for what is none.
    #[must_use]
    pub fn of_detail(detail: &[u8]) -> Option<Self> {
        serde_json::from_slice(detail).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_known_survives_its_event() {
        let claims = [("sub".to_owned(), serde_json::json!(["a", 1]))].into();
        let server = ServerKnown {
            search_path: "\"$user\", public".to_owned(),
            user_schema: true,
            role: "r".to_owned(),
            functions: Some(vec![("public".to_owned(), "lower".to_owned())]),
        };
        let known =
            SessionKnown { claims, database: "shop".to_owned(), server: Some(server), ..SessionKnown::default() };
        assert_eq!(SessionKnown::of_detail(&known.to_detail()), Some(known));
        assert_eq!(SessionKnown::of_detail(b"payments"), None);
    }
}
