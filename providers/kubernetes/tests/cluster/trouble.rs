//! What goes wrong between the broker and a real API server: it gets every request, but for those that it turns away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use writ_provider_kit::Trouble;

use super::https::{self, Https, forward};

/// An HTTPS server in front of the one at `port` that `pem` vouches for.
///
/// `Throttled` turns each request away. `ServerError` and `CutShort` let the API server do what it is asked and then lose its
/// answer, so that the Secret is there and nobody was told. The others change what is said of a token's life.
pub(crate) fn before(port: u16, pem: String, trouble: Trouble) -> Https {
    // What a probe or the deletion of what was begun asks is answered, once making something has failed.
    let spent = Arc::new(AtomicBool::new(false));
    Https::start(move |head, body| {
        if trouble == Trouble::Throttled {
            return https::json(
                "429 Too Many Requests",
                r#"{"kind":"Status","code":429,"message":"too many requests"}"#,
            );
        }
        // HTTP/1.0 knows no chunks, so that what comes can be read and changed.
        let head = if relives(trouble) { head.replacen(" HTTP/1.1", " HTTP/1.0", 1) } else { head.to_owned() };
        let answer = forward(port, &pem, &head, body);
        let makes = head.starts_with("POST /api/v1/");
        match trouble {
            Trouble::ServerError if makes && !spent.swap(true, Ordering::SeqCst) => https::json(
                "500 Internal Server Error",
                r#"{"kind":"Status","code":500,"message":"etcdserver: leader changed"}"#,
            ),
            Trouble::CutShort => answer[..answer.len() - 20].to_vec(),
            Trouble::FarExpiry => relived(&answer, 10 * 365 * 86_400),
            Trouble::ClockAhead => relived(&answer, 600),
            Trouble::ClockBehind => relived(&answer, -600),
            _ => answer,
        }
    })
}

const fn relives(trouble: Trouble) -> bool {
    matches!(trouble, Trouble::FarExpiry | Trouble::ClockAhead | Trouble::ClockBehind)
}

/// The answer with a token that ends `seconds` later. Its signature is none any more, which only the API server can tell.
fn relived(answer: &[u8], seconds: i64) -> Vec<u8> {
    let text = String::from_utf8_lossy(answer).into_owned();
    let Some((head, mut body)) = parsed(&text) else { return answer.to_vec() };
    let Some(token) = body["status"]["token"].as_str().map(str::to_owned) else { return answer.to_vec() };
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    claims["exp"] = json!(claims["exp"].as_i64().unwrap() + seconds);
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    body["status"]["token"] = json!(format!("{}.{payload}.{}", parts[0], parts[2]));
    https::json(head.lines().next().unwrap().strip_prefix("HTTP/1.0 ").unwrap(), &body.to_string())
}

fn parsed(answer: &str) -> Option<(&str, Value)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head, serde_json::from_str(body).ok()?))
}
