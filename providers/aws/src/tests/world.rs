//! An STS of one answer, which keeps what it was asked, and the broker's side of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use writ_core::assertion::{Assertion, Assertions};
use writ_core::credential::Secret;
use writ_core::proof::{Asker, Intended};
use writ_core::provider::{Pending, ProviderFault};
use writ_core::target::{Address, Protocol, Target, TargetName, UpstreamTls};
use writ_core::time::{Timestamp, after};
use writ_core::workload::{TokenId, TokenKind, Workload};
use writ_core::writ::Writ;

use crate::{Ambient, AwsConfig, By};

pub(super) const ROLE: &str = "arn:aws:iam::123456789012:role/app/reports";
pub(super) const OTHER: &str = "arn:aws:iam::123456789012:role/writer";
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// What stands for the workload's token and for an assertion.
pub(super) const TOKEN: &str = "workloads-own-token";
pub(super) const ASSERTION: &str = "assertion-of-writs";

/// The form of one request.
pub(super) type Asked = BTreeMap<String, String>;
type Says = dyn Fn(&Asked) -> (u16, String) + Send + Sync;

struct Served {
    says: Box<Says>,
    asked: Mutex<Vec<(Asked, HeaderMap)>>,
}

/// A listener that answers as it is told.
pub(super) struct Fake {
    pub(super) url: String,
    served: Arc<Served>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Fake {
    pub(super) async fn saying(says: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::new(Served { says: Box::new(says), asked: Mutex::default() });
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&served));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, served, serving }
    }

    /// One that gives sessions.
    pub(super) async fn giving() -> Self {
        Self::saying(|asked| (200, given(asked, |_| {}))).await
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.served.asked.lock().unwrap().iter().map(|(form, _)| form.clone()).collect()
    }

    pub(super) fn headers(&self) -> Vec<HeaderMap> {
        self.served.asked.lock().unwrap().iter().map(|(_, headers)| headers.clone()).collect()
    }
}

async fn answer(State(served): State<Arc<Served>>, headers: HeaderMap, request: axum::extract::Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let text = if body.is_empty() { query } else { String::from_utf8(body.to_vec()).unwrap() };
    let form: Asked = reqwest::Url::parse(&format!("http://x/?{text}"))
        .unwrap()
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let (status, text) = (served.says)(&form);
    served.asked.lock().unwrap().push((form, headers));
    (StatusCode::from_u16(status).unwrap(), [("content-type", "text/xml")], text).into_response()
}

/// What an answer says of a session.
pub(super) struct Given {
    pub(super) arn: String,
    pub(super) expires: Timestamp,
    pub(super) source: Option<String>,
    pub(super) packed: u32,
}

/// The answer to a request for a session, as `change` wants it.
pub(super) fn given(asked: &Asked, change: impl Fn(&mut Given)) -> String {
    let (action, name) = (&asked["Action"], &asked["RoleSessionName"]);
    let role = asked["RoleArn"].rsplit('/').next().unwrap().to_owned();
    let seconds: u64 = asked["DurationSeconds"].parse().unwrap();
    let mut given = Given {
        arn: format!("arn:aws:sts::123456789012:assumed-role/{role}/{name}"),
        expires: Timestamp::from_second(after(Timestamp::now(), seconds).as_second()).unwrap(),
        source: asked.get("SourceIdentity").cloned(),
        packed: 12,
    };
    change(&mut given);
    let source = given.source.map(|source| format!("<SourceIdentity>{source}</SourceIdentity>")).unwrap_or_default();
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
         <AssumedRoleUser><AssumedRoleId>AROATEST:{name}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>{source}\
         <Credentials><AccessKeyId>ASIATESTTESTTEST</AccessKeyId><SecretAccessKey>canary-secret</SecretAccessKey>\
         <SessionToken>canary-token</SessionToken><Expiration>{}</Expiration></Credentials>\
         <PackedPolicySize>{}</PackedPolicySize></{action}Result>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>",
        given.arn, given.expires, given.packed
    )
}

/// AWS's form of an error.
pub(super) fn error(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )
}

pub(super) fn config(by: By, endpoint: &str) -> AwsConfig {
    let by = match by {
        By::Issuer => "issuer",
        By::Workload => "workload",
        By::Broker => "broker",
    };
    let text = format!(
        r#"{{"region": "eu-west-1", "role_arn": "{ROLE}", "roles": {{"writer": "{OTHER}"}}, "default_scope": "read",
            "scopes": {{"read": [{{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::reports/*"]}}],
                       "list": [{{"actions": ["s3:ListBucket"], "resources": ["arn:aws:s3:::reports"]}}]}},
            "assume": {{"by": "{by}", "endpoint": "{endpoint}", "iam_endpoint": "{endpoint}"}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

/// What an issuer was asked for.
#[derive(Debug, Default)]
pub(super) struct Issuer(pub(super) Mutex<Vec<Told>>);

#[derive(Debug)]
pub(super) struct Told {
    pub(super) audience: String,
    pub(super) claims: BTreeMap<String, Value>,
    pub(super) for_writ: bool,
}

impl Assertions for Issuer {
    fn issuer(&self) -> &str {
        "https://writ.test"
    }

    fn assert<'a>(&'a self, assertion: Assertion<'a>) -> Pending<'a, Result<Secret, ProviderFault>> {
        let (audience, claims) = (assertion.audience.to_owned(), assertion.claims);
        self.0.lock().unwrap().push(Told { audience, claims, for_writ: assertion.intended.is_some() });
        Box::pin(async { Ok(Secret::new(ASSERTION.as_bytes().to_vec())) })
    }
}

/// The broker's own identity: keys for good, or of a role.
pub(super) fn ambient(session: Option<&str>) -> Ambient {
    let keys = Credentials::new("AKIDTESTTESTTEST", "ambient-secret", session.map(str::to_owned), None, "test");
    Ambient::given(SharedCredentialsProvider::new(keys))
}

pub(super) fn writ(role: Option<&str>, scope: Option<&str>, life: Duration) -> Writ {
    let mut writ = writ_provider_kit::writ(role.map(str::to_owned), life);
    writ.obligations.scope = scope.map(str::to_owned);
    writ
}

/// A writ as it comes from the broker, with the token that the workload showed.
pub(super) fn intended(writ: &Writ, token_kind: TokenKind) -> Intended {
    let workload = Workload {
        issuer: writ.issuer.clone(),
        subject: writ.subject.clone(),
        claims: BTreeMap::new(),
        token_kind,
        token_id: TokenId::Jti("jti".to_owned()),
        token_expires: writ.expires,
        bound_target: None,
    };
    writ_provider_kit::intended(writ).asked_by(Asker { workload, token: Secret::new(TOKEN.as_bytes().to_vec()) })
}

pub(super) fn target() -> Target {
    Target {
        name: TargetName::new("kit").unwrap(),
        labels: BTreeMap::new(),
        protocol: Protocol::Aws,
        address: address("localhost", UpstreamTls::VerifyFull),
        provider: "aws".to_owned(),
    }
}

pub(super) fn address(host: &str, tls: UpstreamTls) -> Address {
    Address { host: host.to_owned(), port: 5432, tls, ca_pem: None }
}
