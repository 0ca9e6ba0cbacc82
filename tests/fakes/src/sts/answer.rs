//! What goes back: XML as the Query protocol has it, JSON where STS gives it, XML as S3 has it.

use axum::body::Body;
use axum::http::{Response, StatusCode};

use super::refusal::Refusal;

/// Whose shapes an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Sts,
    Iam,
    S3,
    Json,
}

impl Shape {
    const fn namespace(self) -> &'static str {
        match self {
            Self::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            _ => "https://sts.amazonaws.com/doc/2011-06-15/",
        }
    }
}

/// An element that holds text.
pub(crate) fn text(name: &str, value: &str) -> String {
    format!("<{name}>{}</{name}>", escaped(value))
}

/// An element that holds elements.
pub(crate) fn nest(name: &str, inner: &str) -> String {
    format!("<{name}>{inner}</{name}>")
}

/// An element that may be absent.
pub(crate) fn maybe(name: &str, value: Option<&str>) -> String {
    value.map(|value| text(name, value)).unwrap_or_default()
}

fn escaped(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The first element of that name that holds text: enough to read moto's answers.
pub(crate) fn find(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    (!value.contains('<')).then(|| value.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

/// `<ActionResponse><ActionResult>...`, for what succeeded.
pub(crate) fn success(shape: Shape, action: &str, result: &str, id: &str) -> Response<Body> {
    let inner = if result.is_empty() { String::new() } else { nest(&format!("{action}Result"), result) };
    let metadata = nest("ResponseMetadata", &text("RequestId", id));
    let namespace = shape.namespace();
    let body = format!("<{action}Response xmlns=\"{namespace}\">{inner}{metadata}</{action}Response>");
    respond(200, "text/xml", body, id)
}

/// The refusal, as the service that it comes from writes it.
pub(crate) fn refused(shape: Shape, refusal: &Refusal, id: &str) -> Response<Body> {
    let Refusal { status, code, message } = refusal;
    let blame = if *status < 500 { "Sender" } else { "Receiver" };
    match shape {
        Shape::Sts | Shape::Iam => {
            let error = text("Type", blame) + &text("Code", code) + &text("Message", message);
            let body = nest("Error", &error) + &text("RequestId", id);
            let body = format!("<ErrorResponse xmlns=\"{}\">{body}</ErrorResponse>", shape.namespace());
            respond(*status, "text/xml", body, id)
        }
        Shape::S3 => {
            let error = text("Code", code) + &text("Message", message) + &text("RequestId", id);
            let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", nest("Error", &error));
            respond(*status, "application/xml", body, id)
        }
        Shape::Json => {
            let body = serde_json::json!({ "__type": format!("{code}Exception"), "message": message });
            respond(*status, "application/x-amz-json-1.1", body.to_string(), id)
        }
    }
}

/// Any answer with AWS's header for its request.
pub(crate) fn respond(status: u16, kind: &str, body: String, id: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in [("content-type", kind), ("x-amzn-requestid", id), ("x-amz-request-id", id)] {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
