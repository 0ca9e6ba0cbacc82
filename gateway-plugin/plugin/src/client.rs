//! The broker as a gateway speaks to it: mTLS, the pinned authority alone, no proxy, no redirect, a limit on every answer.

use std::time::Duration;

use reqwest::{Certificate, Client, Identity as TlsIdentity, Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use writ_broker_api::approval::{ApprovalReply, ApprovalRequest};
use writ_broker_api::gateway::{
    CloseRequest, EnrolReply, EnrolRequest, OpenReply, OpenRequest, RenewReply, RenewRequest, SegmentFacts,
    StreamQuery, SyncReply, SyncRequest,
};
use writ_broker_api::paths;
use writ_broker_api::problem::Problem;
use writ_core::fault::{Blame, Fault};
use writ_core::id::{ApprovalId, SessionId};

use crate::identity::Identity;

/// The longest answer that is read, but for the stream, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// The code of a fault that another token could mend: this one is malformed, expired, used up or bound to a key.
pub const TOKEN_REFUSED: &str = "broker.token";
/// The broker's codes for that.
const OF_TOKENS: [&str; 3] = ["identity.refused", "token.used", "token.bound"];

/// What the broker answers to an opening that it does not refuse.
#[derive(Debug)]
pub enum Opening {
    /// The session may begin.
    Open(Box<OpenReply>),
    /// Humans are asked first.
    Held(ApprovalReply),
}

/// A client of the broker.
#[derive(Debug, Clone)]
pub struct BrokerClient {
    client: Client,
    base: String,
    limit: Duration,
}

impl BrokerClient {
    /// A client without a certificate: for enrolment alone.
    ///
    /// # Errors
    /// If the authority's certificate is malformed.
    pub fn unknown(base: &str, ca_pem: &str, limit: Duration) -> Result<Self, Fault> {
        Self::build(base, ca_pem, limit, None)
    }

    /// A client with the gateway's certificate.
    ///
    /// # Errors
    /// If certificate or authority are malformed.
    pub fn known(base: &str, identity: &Identity, limit: Duration) -> Result<Self, Fault> {
        let tls = TlsIdentity::from_pem(identity.tls_pem().as_bytes()).map_err(|error| unusable(&error))?;
        Self::build(base, &identity.pinned().ca_pem, limit, Some(tls))
    }

    fn build(base: &str, ca_pem: &str, limit: Duration, identity: Option<TlsIdentity>) -> Result<Self, Fault> {
        let authority = Certificate::from_pem(ca_pem.as_bytes()).map_err(|error| unusable(&error))?;
        let mut builder = Client::builder()
            .tls_certs_only([authority])
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(limit)
            .tcp_nodelay(true);
        if let Some(identity) = identity {
            builder = builder.identity(identity);
        }
        let client = builder.build().map_err(|error| unusable(&error))?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), limit })
    }

    /// Joins.
    ///
    /// # Errors
    /// If the token is refused or the broker cannot be reached.
    pub async fn enrol(&self, request: &EnrolRequest) -> Result<EnrolReply, Fault> {
        self.post(paths::GATEWAY_ENROL, request).await
    }

    /// Renews the certificate.
    ///
    /// # Errors
    /// If it is refused or the broker cannot be reached.
    pub async fn renew(&self, request: &RenewRequest) -> Result<RenewReply, Fault> {
        self.post(paths::GATEWAY_RENEW, request).await
    }

    /// Asks for a session. Where humans are asked first, the answer says where (202 Accepted).
    ///
    /// # Errors
    /// If it is refused or the broker cannot be reached.
    pub async fn open(&self, request: &OpenRequest) -> Result<Opening, Fault> {
        let response = self.send(self.request(Method::POST, paths::SESSIONS).json(request)).await?;
        let held = response.status() == StatusCode::ACCEPTED;
        let bytes = limited(response).await?;
        let strange = |error: serde_json::Error| strange(&error.to_string());
        if held {
            return serde_json::from_slice(&bytes).map(Opening::Held).map_err(strange);
        }
        serde_json::from_slice(&bytes).map(|reply| Opening::Open(Box::new(reply))).map_err(strange)
    }

    /// Tells which sessions live.
    ///
    /// # Errors
    /// If the broker cannot be reached.
    pub async fn sync(&self, request: &SyncRequest) -> Result<SyncReply, Fault> {
        self.post(paths::GATEWAY_SYNC, request).await
    }

    /// Reports a session's end.
    ///
    /// # Errors
    /// If the broker cannot be reached or does not know the session.
    pub async fn close(&self, session: SessionId, request: &CloseRequest) -> Result<(), Fault> {
        let path = paths::SESSION_CLOSE.replace("{session}", &session.to_string());
        self.send(self.request(Method::POST, &path).json(request)).await.map(|_| ())
    }

    /// Stores a sealed segment.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses it.
    pub async fn put_segment(
        &self,
        session: SessionId,
        stream: &str,
        sequence: u64,
        facts: &SegmentFacts,
        bytes: Vec<u8>,
    ) -> Result<(), Fault> {
        let path = paths::SEGMENT
            .replace("{session}", &session.to_string())
            .replace("{stream}", stream)
            .replace("{sequence}", &sequence.to_string());
        // A long segment may take longer than a question.
        let request = self.request(Method::PUT, &path).query(facts).timeout(self.limit * 4).body(bytes);
        self.send(request).await.map(|_| ())
    }

    /// Asks humans about a held command.
    ///
    /// # Errors
    /// If the broker cannot be reached or refuses.
    pub async fn ask_approval(&self, request: &ApprovalRequest) -> Result<ApprovalReply, Fault> {
        self.post(paths::GATEWAY_APPROVALS, request).await
    }

    /// Where a question stands.
    ///
    /// # Errors
    /// If the broker cannot be reached or does not know it.
    pub async fn approval(&self, id: ApprovalId) -> Result<ApprovalReply, Fault> {
        let path = paths::GATEWAY_APPROVAL.replace("{approval}", &id.to_string());
        let response = self.send(self.request(Method::GET, &path)).await?;
        serde_json::from_slice(&limited(response).await?).map_err(|error| strange(&error.to_string()))
    }

    /// Withdraws a question.
    ///
    /// # Errors
    /// If the broker cannot be reached or does not know it.
    pub async fn withdraw_approval(&self, id: ApprovalId) -> Result<(), Fault> {
        let path = paths::GATEWAY_APPROVAL.replace("{approval}", &id.to_string());
        self.send(self.request(Method::DELETE, &path)).await.map(drop)
    }

    /// Uses an approval, once.
    ///
    /// # Errors
    /// If the broker cannot be reached, or it cannot be used.
    pub async fn use_approval(&self, id: ApprovalId) -> Result<ApprovalReply, Fault> {
        self.post(&paths::GATEWAY_APPROVAL_USE.replace("{approval}", &id.to_string()), &()).await
    }

    /// The broker's stream; it has no end of its own. Its first checkpoint is proved to continue that of `seen` entries.
    ///
    /// # Errors
    /// If the broker cannot be reached or does not know this gateway.
    pub async fn stream(&self, seen: u64) -> Result<Response, Fault> {
        let request = self.client.get(format!("{}{}", self.base, paths::GATEWAY_STREAM)).query(&StreamQuery { seen });
        let answer = tokio::time::timeout(self.limit, request.send()).await;
        let response = answer.map_err(|_| late())?.map_err(|error| unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).timeout(self.limit)
    }

    async fn post<B: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Fault> {
        let response = self.send(self.request(Method::POST, path).json(body)).await?;
        let bytes = limited(response).await?;
        serde_json::from_slice(&bytes).map_err(|error| strange(&error.to_string()))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Fault> {
        let response = request.send().await.map_err(|error| unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }
}

async fn limited(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(strange("it is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A refusal: the broker's public words for the client, with the request's id.
async fn refused(response: Response) -> Fault {
    let status = response.status().as_u16();
    let problem = match limited(response).await {
        Ok(bytes) => serde_json::from_slice::<Problem>(&bytes).ok(),
        Err(_) => None,
    };
    let Some(problem) = problem else { return strange(&format!("status {status} without a problem")) };
    let (code, blame) = match status {
        403 if OF_TOKENS.contains(&problem.code.as_str()) => (TOKEN_REFUSED, Blame::NotAllowed),
        400..=499 => ("broker.refused", Blame::NotAllowed),
        502 => ("broker.target", Blame::Target),
        _ => ("broker.failed", Blame::Ours),
    };
    let public = format!("{} (request {})", problem.title, problem.request);
    let fault = Fault::new(code, blame, public).detail(format!("{}: {}", problem.code, problem.title));
    match problem.detail {
        Some(help) => fault.help(help),
        None => fault,
    }
}

fn unreachable(error: &reqwest::Error) -> Fault {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    no_broker(cause.to_string())
}

fn late() -> Fault {
    no_broker("no answer in time".to_owned())
}

/// The broker cannot be asked.
pub(crate) fn no_broker(detail: String) -> Fault {
    Fault::new("broker.unreachable", Blame::Ours, "the gateway cannot reach its broker, so nothing is allowed")
        .help("try again later; if it stays so, tell the operator of the gateway")
        .detail(detail)
}

fn strange(why: &str) -> Fault {
    Fault::new("broker.strange", Blame::Ours, "the gateway does not understand its broker").detail(why.to_owned())
}

fn unusable(error: &reqwest::Error) -> Fault {
    Fault::new("gateway.tls", Blame::Ours, "the gateway's certificate cannot be used").detail(error.to_string())
}
