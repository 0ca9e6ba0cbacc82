//! Fakes of what no registry has: the places where clouds and CI systems answer a workload. Each is stricter than the real one:
//! it refuses another method, a header that is missing or is not what it must be, what a proxy would add, and parameters that
//! are not documented. What it refused it keeps, so that a test can say that it refused nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::net::TcpListener;

use super::{SECRET, token, token_for};

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn is(&self, name: &str, value: &str) -> bool {
        self.header(name) == Some(value) && self.headers.get_all(name).iter().count() == 1
    }

    /// The query has exactly these parameters.
    fn has_only(&self, names: &[&str]) -> bool {
        self.query.keys().map(String::as_str).eq(names.iter().copied())
    }
}

type Answering = Box<dyn Fn(&Asked) -> Response + Send + Sync>;

struct Inner {
    answer: Answering,
    asked: Mutex<Vec<(Asked, StatusCode)>>,
}

/// A server on loopback.
#[derive(Clone)]
pub(crate) struct Fake {
    inner: Arc<Inner>,
    /// Its URL, without a path.
    pub(crate) url: String,
}

impl Fake {
    /// A server that answers as `answer` says.
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner { answer: Box::new(answer), asked: Mutex::default() });
        let routes = Router::new().fallback(serve).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { inner, url }
    }

    /// Everything that was asked, with the status of its answer.
    pub(crate) fn asked(&self) -> Vec<(Asked, StatusCode)> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// Nothing was asked in a form that was refused, and something was asked.
    pub(crate) fn refused_nothing(&self) {
        let asked = self.asked();
        assert!(!asked.is_empty(), "nobody asked");
        let refused: Vec<_> = asked.iter().filter(|(_, status)| !status.is_success()).collect();
        assert!(refused.is_empty(), "{refused:?}");
    }
}

async fn serve(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 10).await.unwrap();
    let asked = Asked {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: query(&parts.uri),
        headers: parts.headers,
        body,
    };
    let proxied = ["x-forwarded-for", "forwarded", "via", "proxy-connection"];
    let answer = if proxied.iter().any(|name| asked.headers.contains_key(*name)) {
        StatusCode::FORBIDDEN.into_response()
    } else {
        (inner.answer)(&asked)
    };
    inner.asked.lock().unwrap().push((asked, answer.status()));
    answer
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://fake{uri}")).unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let all: BTreeMap<String, String> = pairs.iter().cloned().collect();
    // A parameter twice is one that two readers may read differently.
    assert_eq!(all.len(), pairs.len(), "{uri}");
    all
}

fn json_of(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// GitHub's token endpoint: its URL has a query of its own, its bearer is the canary.
pub(crate) async fn github() -> Fake {
    Fake::start(|asked| {
        let known =
            asked.method == Method::GET && asked.path == "/token" && asked.has_only(&["api-version", "audience"]);
        if !known || asked.query["api-version"] != "2.0" {
            return StatusCode::BAD_REQUEST.into_response();
        }
        if !asked.is("authorization", &format!("Bearer {SECRET}")) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        json_of(&json!({ "value": token_for(&asked.query["audience"]), "count": 1 }))
    })
    .await
}

/// EC2's metadata server, with the second version alone, as `HttpTokens: required` makes it.
pub(crate) async fn ec2() -> Fake {
    Fake::start(|asked| {
        if asked.path == "/latest/api/token" {
            let seconds = asked.header("x-aws-ec2-metadata-token-ttl-seconds").and_then(|ttl| ttl.parse().ok());
            return match (&asked.method, seconds) {
                (&Method::PUT, Some(1..=21_600_u32)) => "session-1".into_response(),
                (&Method::PUT, _) => StatusCode::BAD_REQUEST.into_response(),
                _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
            };
        }
        if asked.method != Method::GET || !asked.is("x-aws-ec2-metadata-token", "session-1") {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        match asked.path.as_str() {
            "/latest/meta-data/placement/region" => "eu-west-1".into_response(),
            "/latest/meta-data/iam/security-credentials/" => "deployer".into_response(),
            "/latest/meta-data/iam/security-credentials/deployer" => json_of(&credentials("ASIAMACHINE")),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    })
    .await
}

/// Credentials as EC2, ECS and EKS write them.
pub(crate) fn credentials(id: &str) -> serde_json::Value {
    json!({
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": id, "SecretAccessKey": SECRET, "Token": "session-token",
        "Expiration": "2099-01-01T00:00:00Z",
    })
}

/// The credentials endpoint of a container, with the authorization that it must be shown.
pub(crate) async fn container(authorization: &'static str) -> Fake {
    Fake::start(move |asked| {
        if asked.method != Method::GET || asked.path != "/v1/credentials" || !asked.query.is_empty() {
            return StatusCode::BAD_REQUEST.into_response();
        }
        if !asked.is("authorization", authorization) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        json_of(&credentials("ASIACONTAINER"))
    })
    .await
}

/// STS, for the two calls that are made: `enabled` is whether the account has outbound identity federation.
pub(crate) async fn sts(enabled: bool) -> Fake {
    Fake::start(move |asked| {
        let form = |name: &str| form(&asked.body).get(name).cloned().unwrap_or_default();
        if asked.method != Method::POST || asked.path != "/" || form("Version") != "2011-06-15" {
            return StatusCode::BAD_REQUEST.into_response();
        }
        let signed = asked.header("authorization").unwrap_or_default().to_owned();
        match form("Action").as_str() {
            "GetWebIdentityToken" => {
                let scope = "/eu-west-1/sts/aws4_request";
                if !signed.starts_with("AWS4-HMAC-SHA256 Credential=ASIA") || !signed.contains(scope) {
                    return error(StatusCode::FORBIDDEN, "IncompleteSignature");
                }
                if !asked.is("x-amz-security-token", "session-token") {
                    return error(StatusCode::FORBIDDEN, "InvalidClientTokenId");
                }
                if form("SigningAlgorithm") != "RS256" || form("DurationSeconds") != "300" || !form("Audience.member.2").is_empty() {
                    return error(StatusCode::BAD_REQUEST, "ValidationError");
                }
                if !enabled {
                    return error(StatusCode::FORBIDDEN, "OutboundWebIdentityFederationDisabledException");
                }
                let given = token_for(&form("Audience.member.1"));
                xml(&format!(
                    "<GetWebIdentityTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetWebIdentityTokenResult>\
                     <WebIdentityToken>{given}</WebIdentityToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
                     </GetWebIdentityTokenResult></GetWebIdentityTokenResponse>"
                ))
            }
            "AssumeRoleWithWebIdentity" => {
                // It is not signed: the token alone says who asks.
                if !signed.is_empty() || form("WebIdentityToken") != token_for_irsa() {
                    return error(StatusCode::BAD_REQUEST, "InvalidIdentityToken");
                }
                if form("RoleArn") != "arn:aws:iam::123456789012:role/pod" || form("RoleSessionName").is_empty() {
                    return error(StatusCode::FORBIDDEN, "AccessDenied");
                }
                xml(&format!(
                    "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                     <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAPOD</AccessKeyId><SecretAccessKey>{SECRET}\
                     </SecretAccessKey><SessionToken>session-token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
                     </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
                ))
            }
            _ => error(StatusCode::BAD_REQUEST, "InvalidAction"),
        }
    })
    .await
}

/// The token that a pod with a role of AWS has.
pub(crate) fn token_for_irsa() -> String {
    token(&json!({ "sub": "system:serviceaccount:a:b", "aud": ["sts.amazonaws.com"], "exp": 4_000_000_000_i64 }))
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = std::str::from_utf8(body).unwrap();
    reqwest::Url::parse(&format!("http://fake/?{text}")).unwrap().query_pairs().into_owned().collect()
}

fn xml(text: &str) -> Response {
    ([(header::CONTENT_TYPE, "text/xml")], text.to_owned()).into_response()
}

/// What STS answers in place of what was asked for.
pub(crate) fn error(status: StatusCode, code: &str) -> Response {
    // What it says may repeat what it was sent.
    let text = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>no, {SECRET}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    );
    (status, xml(&text)).into_response()
}

/// Google's metadata server.
pub(crate) async fn google() -> Fake {
    Fake::start(|asked| {
        if asked.method != Method::GET || !asked.is("metadata-flavor", "Google") {
            return StatusCode::FORBIDDEN.into_response();
        }
        let text = match asked.path.as_str() {
            "/" => "computeMetadata/\n".to_owned(),
            "/computeMetadata/v1/instance/service-accounts/default/identity"
                if asked.has_only(&["audience", "format"]) && asked.query["format"] == "full" =>
            {
                token_for(&asked.query["audience"])
            }
            _ => return StatusCode::BAD_REQUEST.into_response(),
        };
        ([("metadata-flavor", "Google")], text).into_response()
    })
    .await
}

/// Azure's metadata server; a resource that is no identifier is refused, as Entra does.
pub(crate) async fn azure() -> Fake {
    Fake::start(|asked| {
        if asked.method != Method::GET || !asked.is("metadata", "true") {
            return StatusCode::BAD_REQUEST.into_response();
        }
        match asked.path.as_str() {
            "/metadata/versions" => json_of(&json!({ "apiVersions": ["2018-02-01"] })),
            "/metadata/identity/oauth2/token"
                if asked.query.get("api-version").is_some_and(|version| version == "2018-02-01") =>
            {
                entra(asked)
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    })
    .await
}

/// The identity endpoint of App Service.
pub(crate) async fn app_service() -> Fake {
    Fake::start(|asked| {
        let known =
            asked.method == Method::GET && asked.path == "/msi/token" && !asked.headers.contains_key("metadata");
        if !known || asked.query.get("api-version").is_none_or(|version| version != "2019-08-01") {
            return StatusCode::BAD_REQUEST.into_response();
        }
        if asked.is("x-identity-header", SECRET) { entra(asked) } else { StatusCode::UNAUTHORIZED.into_response() }
    })
    .await
}

fn entra(asked: &Asked) -> Response {
    let resource = asked.query.get("resource").cloned().unwrap_or_default();
    let given = match resource.as_str() {
        "api://writ" => token_for("api://writ"),
        "api://second" => {
            token(&json!({ "ver": "2.0", "aud": "11111111-2222-3333-4444-555555555555", "exp": 4_000_000_000_i64 }))
        }
        _ => {
            let refused =
                json!({ "error": "invalid_resource", "error_description": format!("no application, {SECRET}") });
            return (StatusCode::BAD_REQUEST, json_of(&refused)).into_response();
        }
    };
    json_of(&json!({ "access_token": given, "expires_in": "86399", "resource": resource, "token_type": "Bearer" }))
}
