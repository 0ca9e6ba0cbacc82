//! Answers: JSON, or a problem.

use core::error::Error;

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use writ_broker_api::problem::MEDIA_TYPE;
use writ_core::fault::{Blame, Fault};
use writ_core::id::RequestId;

use crate::refusal::Refusal;

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if self.status >= 500 {
            tracing::error!(request = %self.request, code = self.fault.code, detail = %self.fault.detail, "a request failed");
        }
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.problem())).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

/// A body, path or query that does not have its form, as a problem.
pub(super) struct Checked<T>(pub T);

macro_rules! checked {
    ($trait:ident, $method:ident, $source:ty, $extractor:ident, $what:literal) => {
        impl<S: Send + Sync, T> axum::extract::$trait<S> for Checked<axum::extract::$extractor<T>>
        where
            axum::extract::$extractor<T>: axum::extract::$trait<S>,
            <axum::extract::$extractor<T> as axum::extract::$trait<S>>::Rejection: Error + IntoResponse,
        {
            type Rejection = Refusal;

            async fn $method(source: $source, state: &S) -> Result<Self, Refusal> {
                match <axum::extract::$extractor<T> as axum::extract::$trait<S>>::$method(source, state).await {
                    Ok(value) => Ok(Self(value)),
                    Err(rejection) => Err(misshapen($what, rejection)),
                }
            }
        }
    };
}

checked!(FromRequest, from_request, axum::extract::Request, Json, "body");
checked!(FromRequestParts, from_request_parts, &mut axum::http::request::Parts, Path, "path");
checked!(FromRequestParts, from_request_parts, &mut axum::http::request::Parts, Query, "query");

impl<S: Send + Sync> axum::extract::FromRequest<S> for Checked<Bytes> {
    type Rejection = Refusal;

    async fn from_request(source: axum::extract::Request, state: &S) -> Result<Self, Refusal> {
        Bytes::from_request(source, state).await.map(Self).map_err(|rejection| misshapen("body", rejection))
    }
}

/// The refusal of what could not be read: the innermost error says what is wrong, the library's own frame says nothing more.
fn misshapen(what: &str, rejection: impl Error + IntoResponse) -> Refusal {
    let mut innermost: &dyn Error = &rejection;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    // What serde says it expected is named as the code names it, which tells a caller nothing.
    let words = innermost.to_string();
    let words = words.split(", expected ").next().unwrap_or_default().to_owned();
    let request = RequestId::fresh();
    match rejection.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let fault = Fault::new("request.too_long", Blame::Peer, "the body is too long").help("send less at once");
            Refusal { status: 413, ..Refusal::new(fault, request) }
        }
        _ => {
            let title = format!("the {what} does not have the form that is asked for");
            Refusal::new(Fault::new("request.malformed", Blame::Peer, title).help(words), request)
        }
    }
}

/// Gives a refusal that the layers below made without words, a timeout for one, the form that all others have.
pub(super) async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let bare = status.is_client_error() || status.is_server_error();
    if !bare || response.headers().contains_key(header::CONTENT_TYPE) {
        return response;
    }
    let fault = Fault::new("request.failed", Blame::Ours, "the request could not be answered")
        .help("try again; if it stays so, tell the operator");
    Refusal { status: status.as_u16(), ..Refusal::new(fault, RequestId::fresh()) }.into_response()
}
