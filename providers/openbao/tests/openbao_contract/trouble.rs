//! What goes wrong between the broker and a real OpenBao: it gets every request, but for those that it turns away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use writ_provider_kit::Trouble;

use crate::https::{self, Https, forward};

/// An HTTPS server in front of the one at `port` that `pem` vouches for.
///
/// `Throttled` turns each request away. `ServerError` and `CutShort` let OpenBao make the secret and then lose its answer, so that
/// the user is there and nobody was told. `FarExpiry` changes what is said of a renewal.
pub(crate) fn before(port: u16, pem: String, trouble: Trouble) -> Https {
    let spent = Arc::new(AtomicBool::new(false));
    Https::start(move |head, body| {
        if trouble == Trouble::Throttled {
            return https::json(
                "429 Too Many Requests",
                r#"{"errors":["request path \"x\": rate limit quota exceeded"]}"#,
            );
        }
        let answer = forward(port, &pem, head, body);
        let makes = head.starts_with("GET /v1/database/creds/");
        match trouble {
            Trouble::ServerError if makes && !spent.swap(true, Ordering::SeqCst) => {
                https::json("500 Internal Server Error", r#"{"errors":["internal error"]}"#)
            }
            Trouble::CutShort if makes => answer[..answer.len() - 20].to_vec(),
            Trouble::FarExpiry if head.contains("renew") => relived(&answer, 10 * 365 * 86_400),
            _ => answer,
        }
    })
}

/// The answer with a life of so many seconds.
fn relived(answer: &[u8], seconds: u64) -> Vec<u8> {
    let text = String::from_utf8_lossy(answer).into_owned();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let mut body: Value = serde_json::from_str(body).unwrap();
    let place = if body["auth"].is_null() { &mut body["lease_duration"] } else { &mut body["auth"]["lease_duration"] };
    *place = json!(seconds);
    https::json("200 OK", &body.to_string())
}
