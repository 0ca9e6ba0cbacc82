//! Answers: JSON, or a problem.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use writ_broker_api::problem::MEDIA_TYPE;

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
    ($trait:ident, $method:ident, $source:ty, $extractor:ident) => {
        impl<S: Send + Sync, T> axum::extract::$trait<S> for Checked<axum::extract::$extractor<T>>
        where
            axum::extract::$extractor<T>: axum::extract::$trait<S>,
            <axum::extract::$extractor<T> as axum::extract::$trait<S>>::Rejection: core::fmt::Display,
        {
            type Rejection = Refusal;

            async fn $method(source: $source, state: &S) -> Result<Self, Refusal> {
                match <axum::extract::$extractor<T> as axum::extract::$trait<S>>::$method(source, state).await {
                    Ok(value) => Ok(Self(value)),
                    Err(rejection) => Err(Refusal::malformed(rejection.to_string())),
                }
            }
        }
    };
}

checked!(FromRequest, from_request, axum::extract::Request, Json);
checked!(FromRequestParts, from_request_parts, &mut axum::http::request::Parts, Path);
checked!(FromRequestParts, from_request_parts, &mut axum::http::request::Parts, Query);
