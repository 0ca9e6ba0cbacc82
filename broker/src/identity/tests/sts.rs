//! An STS of the tests' own, and workloads that sign for it. It takes one question alone, in the form that the broker must give
//! it, and computes the signature (AWS Signature Version 4, presigned) from the secret keys that it knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::support::*;
use crate::keys::files::hex;

const KEY_ID: &str = "ASIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SESSION_TOKEN: &str = "IQoJb3JpZ2luX2VjEJr//////////wEaCWV1LXdlc3QtMSJHMEUCIQ==";

/// A workload with keys of a role.
#[derive(Clone)]
pub(super) struct Signer {
    pub(super) host: String,
    pub(super) region: String,
    pub(super) signed_headers: String,
    pub(super) parameters: Vec<(&'static str, String)>,
}

/// All but letters, digits and `-_.~` encoded.
pub(super) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn amz_date(seconds: i64) -> String {
    at(seconds).strftime("%Y%m%dT%H%M%SZ").to_string()
}

impl Signer {
    pub(super) fn new() -> Self {
        Self::at(NOW - 10)
    }

    pub(super) fn at(seconds: i64) -> Self {
        let (region, date) = ("eu-west-1".to_owned(), amz_date(seconds));
        let parameters = vec![
            ("Action", "GetCallerIdentity".to_owned()),
            ("Version", "2011-06-15".to_owned()),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", format!("{KEY_ID}/{}/{region}/sts/aws4_request", date.get(..8).unwrap())),
            ("X-Amz-Date", date),
            ("X-Amz-Expires", "300".to_owned()),
            ("X-Amz-SignedHeaders", "host;x-writ-audience".to_owned()),
            ("X-Amz-Security-Token", SESSION_TOKEN.to_owned()),
        ];
        let signed_headers = format!("host:sts.{region}.amazonaws.com\nx-writ-audience:{AUDIENCE}\n");
        Self { host: format!("sts.{region}.amazonaws.com"), region, signed_headers, parameters }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.parameters.iter_mut().filter(|(known, _)| *known == name).for_each(|(_, old)| *old = value.to_owned());
        self
    }

    pub(super) fn for_audience(mut self, audience: &str) -> Self {
        self.signed_headers = self.signed_headers.replace(AUDIENCE, audience);
        self
    }

    pub(super) fn query(&self) -> String {
        let pairs: Vec<String> =
            self.parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let signature = signature(&self.parameters, &self.signed_headers, &self.region);
        format!("{}&X-Amz-Signature={signature}", pairs.join("&"))
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}/?{}", self.host, self.query())
    }

    pub(super) fn token(&self) -> String {
        format!("aws-v1.{}", b64(self.url()))
    }
}

/// The signature of these parameters and headers.
fn signature<N: AsRef<str>, V: AsRef<str>>(parameters: &[(N, V)], headers: &str, region: &str) -> String {
    let value = |name: &str| {
        parameters.iter().find(|(known, _)| known.as_ref() == name).map_or("", |(_, value)| value.as_ref())
    };
    let mut pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{}={}", name.as_ref(), encoded(value.as_ref()))).collect();
    pairs.sort();
    let empty = hex(digest(&SHA256, b"").as_ref());
    let request = format!("GET\n/\n{}\n{headers}\n{}\n{empty}", pairs.join("&"), value("X-Amz-SignedHeaders"));
    let date = value("X-Amz-Date");
    let day = date.get(..8).unwrap_or_default();
    let digest = hex(digest(&SHA256, request.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{day}/{region}/sts/aws4_request\n{digest}");
    let step = |key: &[u8], part: &str| sign(&Key::new(HMAC_SHA256, key), part.as_bytes()).as_ref().to_vec();
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in [day, region, "sts", "aws4_request"] {
        key = step(&key, part);
    }
    hex(&step(&key, &text))
}

/// What STS says of the one whose keys it knows.
pub(super) fn role() -> Value {
    json!({
        "Account": "123456789012", "Arn": "arn:aws:sts::123456789012:assumed-role/deployer/i-0abc",
        "UserId": "AROAIOSFODNN7EXAMPLE1:i-0abc",
    })
}

pub(super) fn said(result: &Value) -> String {
    json!({"GetCallerIdentityResponse": {
        "GetCallerIdentityResult": result, "ResponseMetadata": {"RequestId": "1f0ba58e-0000-1111-2222-333344445555"},
    }})
    .to_string()
}

/// A running STS.
#[derive(Clone)]
pub(super) struct Sts {
    pub(super) url: reqwest::Url,
    pub(super) asked: Arc<AtomicUsize>,
    now: i64,
    answer: Arc<dyn Fn() -> Response<Body> + Send + Sync>,
}

pub(super) fn reply(status: u16, kind: &str, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).header("content-type", kind).body(body.into()).unwrap()
}

impl Sts {
    pub(super) async fn open(answer: impl Fn() -> Response<Body> + Send + Sync + 'static) -> Self {
        Self::at(NOW, answer).await
    }

    /// One whose clock shows this second.
    pub(super) async fn at(now: i64, answer: impl Fn() -> Response<Body> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let sts = Self { url, asked: Arc::default(), now, answer: Arc::new(answer) };
        let router = Router::new().fallback(serve).with_state(sts.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        sts
    }

    pub(super) async fn honest() -> Self {
        Self::open(|| reply(200, "application/json", said(&role()))).await
    }

    pub(super) fn questions(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn serve(State(sts): State<Sts>, method: Method, uri: Uri, headers: HeaderMap) -> Response<Body> {
    sts.asked.fetch_add(1, Ordering::SeqCst);
    match judged(&method, &uri, &headers, sts.now) {
        Ok(()) => (sts.answer)(),
        Err(code) => {
            let error = json!({"Error": {"Code": code, "Message": "no", "Type": "Sender"}, "RequestId": "r"});
            reply(403, "application/json", error.to_string())
        }
    }
}

fn judged(method: &Method, uri: &Uri, headers: &HeaderMap, now: i64) -> Result<(), &'static str> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if method != Method::GET || uri.path() != "/" || header("accept") != "application/json" {
        return Err("InvalidAction");
    }
    let pairs: Vec<(String, String)> =
        reqwest::Url::parse(&format!("http://sts{uri}")).unwrap().query_pairs().into_owned().collect();
    let value = |name: &str| {
        let mut found = pairs.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let (Some((known, value)), None) = (found.next(), found.next()) else { return Err("MalformedQueryString") };
        if known == name { Ok(value.clone()) } else { Err("MalformedQueryString") }
    };
    if value("Action")? != "GetCallerIdentity" || value("Version")? != "2011-06-15" || pairs.len() != 9 {
        return Err("InvalidAction");
    }
    let credential = value("X-Amz-Credential")?;
    let scope: Vec<&str> = credential.split('/').collect();
    let [KEY_ID, day, region, "sts", "aws4_request"] = scope.as_slice() else { return Err("InvalidClientTokenId") };
    if header("host") != format!("sts.{region}.amazonaws.com") || value("X-Amz-Security-Token")? != SESSION_TOKEN {
        return Err("InvalidClientTokenId");
    }
    // STS takes a signature for a quarter of an hour, whatever it says.
    let date = value("X-Amz-Date")?;
    let fresh = (now - 900..=now + 300).any(|second| amz_date(second) == date);
    if !fresh || !date.starts_with(day) {
        return Err("SignatureDoesNotMatch");
    }
    let signed_headers: String =
        value("X-Amz-SignedHeaders")?.split(';').map(|name| format!("{name}:{}\n", header(name))).collect();
    let unsigned: Vec<&(String, String)> = pairs.iter().filter(|(name, _)| name != "X-Amz-Signature").collect();
    let unsigned: Vec<(&str, &str)> = unsigned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if signature(&unsigned, &signed_headers, region) == value("X-Amz-Signature")? {
        Ok(())
    } else {
        Err("SignatureDoesNotMatch")
    }
}
