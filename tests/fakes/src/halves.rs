//! Answers that end in their middle.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Response, header};
use futures_util::stream;

const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// Half of an answer that announced the whole, and then the connection's end.
pub(crate) async fn cut_short(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let whole = to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    let half = whole.slice(..whole.len() / 2);
    parts.headers.insert(header::CONTENT_LENGTH, whole.len().into());
    let chunks = stream::unfold(Some(half), |rest| async move {
        match rest {
            Some(half) if !half.is_empty() => Some((Ok::<Bytes, std::io::Error>(half), Some(Bytes::new()))),
            Some(_) => {
                // The half must be on its way first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                Some((Err(std::io::Error::other("cut short")), None))
            }
            None => None,
        }
    });
    Response::from_parts(parts, Body::from_stream(chunks))
}
