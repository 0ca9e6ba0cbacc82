//! RFC 8693 at `/v1/token`, without the HTTP: a workload's own token for a session token; and client credentials (RFC 6749,
//! 4.4), where the client is a workload by the certificate of its connection (RFC 8705, 2.1).
//!
//! Three steps, so that policy and the count of uses stand between the second and the third: [`ask`] reads the request,
//! [`Ask::admit`] verifies the token and the proof, [`Admitted::grant`] makes the reply. It must never answer with a
//! target's credential, whatever is asked for: those go to gateways alone, sealed.

use rustls_pki_types::CertificateDer;
use writ_broker_api::token::{ExchangeError, ExchangeReply, ExchangeRequest};
use writ_core::id::RequestId;
use writ_core::proof::Verified;
use writ_core::target::TargetName;
use writ_core::time::Timestamp;
use writ_core::workload::{TokenKind, Workload};
use zeroize::Zeroizing;

use super::aws_caller;
use super::dpop;
use super::fault::IdentityFault;
use super::session_token::{Binding, SessionIssuer, SessionTokenFault, binding};
use super::verify::Verifier;

/// The grant type of a token exchange.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The grant type of a client that shows its certificate.
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
/// A JWT (RFC 8693, 3).
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// An ID token.
pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
/// A signed request to AWS, as other exchanges call it too: what [`super::aws_caller`] takes.
pub const AWS_REQUEST: &str = "urn:ietf:params:aws:token-type:aws4_request";
/// An access token: what a session token is.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A refusal in OAuth's words. Its status is 400; 401 for `invalid_client`, 500 for `server_error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The OAuth error code. A subject token that is not accepted is `invalid_request` (RFC 8693, 2.2.2).
    pub error: &'static str,
    /// What to do about it, for the client.
    pub description: &'static str,
    /// A stable code for logs, metrics and the ledger.
    pub code: &'static str,
    /// What the operator must know. Never sent to a client.
    pub detail: String,
}

impl Refusal {
    pub(crate) const fn new(code: &'static str, error: &'static str, description: &'static str) -> Self {
        Self { error, description, code, detail: String::new() }
    }

    fn detail(mut self, detail: impl core::fmt::Display) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self, request: RequestId) -> ExchangeError {
        ExchangeError {
            error: self.error.to_owned(),
            error_description: self.description.to_owned(),
            request: request.to_string(),
        }
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.error {
            "server_error" => 500,
            "invalid_client" => 401,
            _ => 400,
        }
    }
}

/// A request that is well formed.
#[derive(Clone, PartialEq, Eq)]
pub struct Ask {
    who: Who,
    target: TargetName,
}

/// How the client says who it is.
#[derive(Clone, PartialEq, Eq)]
enum Who {
    /// By a token, and the actor by another, where it acts for the subject.
    Token { subject: Zeroizing<String>, actor: Option<Zeroizing<String>> },
    /// By the certificate of its connection, which it may name.
    Certificate { id: Option<String> },
}

/// What the connection and the headers show beside the request.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'s> {
    /// The proofs in its `DPoP` headers.
    pub proofs: &'s [&'s str],
    /// The client's certificates, the leaf first, whose key the connection proved. None of them is verified.
    pub certificates: &'s [CertificateDer<'static>],
}

/// A workload that may be given a session token, if policy says so.
#[derive(Debug)]
pub struct Admitted {
    /// The workload.
    pub workload: Verified<Workload>,
    /// Who acts for it, by a token of its own that counts as used too. The workload's claims name it.
    pub actor: Option<Verified<Workload>>,
    /// The target that it asks for.
    pub target: TargetName,
    /// The key that it proved, if it did. The caller accepts the proof's `jti` once.
    pub proof: Option<dpop::Proof>,
}

/// Reads a request.
///
/// # Errors
/// [`Refusal`] for anything but one workload's session token for one target.
pub fn ask(request: ExchangeRequest) -> Result<Ask, Refusal> {
    let who = match request.grant_type.as_str() {
        GRANT_TYPE => exchanged(&request)?,
        CLIENT_CREDENTIALS => client(&request)?,
        _ => {
            let words = "the grant type must be urn:ietf:params:oauth:grant-type:token-exchange, or client_credentials \
                         for a client that shows an X.509-SVID";
            return Err(Refusal::new("exchange.grant_type", "unsupported_grant_type", words));
        }
    };
    if request.requested_token_type.as_deref().is_some_and(|asked| ![JWT, ACCESS_TOKEN].contains(&asked)) {
        let words =
            "only session tokens are issued: a target's credential is never handed out, connect through a gateway";
        return Err(Refusal::new("exchange.requested_token_type", "invalid_request", words));
    }
    if request.scope.is_some_and(|scope| !scope.is_empty()) {
        let words = "a session token has no scope: leave scope out";
        return Err(Refusal::new("exchange.scope", "invalid_scope", words));
    }
    if request.resource.is_some() {
        let words = "the target is named by audience: leave resource out";
        return Err(Refusal::new("exchange.resource", "invalid_target", words));
    }
    let words = "audience must name one target, as in the gateway's user name";
    let unnamed = Refusal::new("exchange.audience", "invalid_target", words);
    let target = request.audience.and_then(|audience| TargetName::new(audience).ok()).ok_or(unnamed)?;
    Ok(Ask { who, target })
}

fn exchanged(request: &ExchangeRequest) -> Result<Who, Refusal> {
    let (token, kind) = (request.subject_token.as_str(), request.subject_token_type.as_str());
    if token.is_empty() {
        let words = "subject_token is missing: give the workload's own token";
        return Err(Refusal::new("exchange.subject_token_missing", "invalid_request", words));
    }
    if !fits(token, kind) {
        let words = "the subject token type must be urn:ietf:params:oauth:token-type:jwt or :id_token, or \
                     urn:ietf:params:aws:token-type:aws4_request for a request that is signed for AWS";
        return Err(Refusal::new("exchange.subject_token_type", "invalid_request", words));
    }
    let misplaced = |words| Err(Refusal::new("exchange.actor_token_type", "invalid_request", words));
    match (&request.actor_token, &request.actor_token_type) {
        (None, None) => {}
        (Some(actor), Some(kind)) if fits(actor, kind) => {}
        (Some(_), None) => return misplaced("an actor_token needs an actor_token_type"),
        (None, Some(_)) => return misplaced("an actor_token_type goes with an actor_token: leave it out"),
        (Some(_), Some(_)) => {
            return misplaced(
                "the actor token type must be urn:ietf:params:oauth:token-type:jwt or :id_token, or \
                 urn:ietf:params:aws:token-type:aws4_request for a request that is signed for AWS",
            );
        }
    }
    let kept = |token: &str| Zeroizing::new(token.to_owned());
    Ok(Who::Token { subject: kept(token), actor: request.actor_token.as_deref().map(kept) })
}

/// Whether a token is of the type that is said of it: what is signed for AWS is no JWT.
fn fits(token: &str, kind: &str) -> bool {
    if aws_caller::is_proof(token) { kind == AWS_REQUEST } else { [JWT, ID_TOKEN].contains(&kind) }
}

fn client(request: &ExchangeRequest) -> Result<Who, Refusal> {
    let tokens = !request.subject_token.is_empty()
        || !request.subject_token_type.is_empty()
        || request.actor_token.is_some()
        || request.actor_token_type.is_some();
    if tokens {
        let words = "client_credentials goes by the certificate alone: leave subject_token and actor_token out";
        return Err(Refusal::new("exchange.two_subjects", "invalid_request", words));
    }
    Ok(Who::Certificate { id: request.client_id.clone() })
}

impl core::fmt::Debug for Ask {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ask").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Ask {
    /// Verifies what the client showed, for a request by `POST` to `url`, the address of `/v1/token` as clients see it.
    ///
    /// # Errors
    /// [`Refusal`] if a token, the certificate or the proof is refused, or a token is bound to a key that was not proved.
    pub async fn admit(
        self,
        verifier: &Verifier,
        shown: Shown<'_>,
        url: &str,
        now: Timestamp,
    ) -> Result<Admitted, Refusal> {
        let (workload, actor) = match self.who {
            Who::Certificate { id } => (certified(verifier, shown.certificates, id.as_deref(), now).await?, None),
            Who::Token { subject, actor: None } => (verified(verifier, &subject, &SUBJECT, now).await?, None),
            Who::Token { subject, actor: Some(actor) } => {
                let subject = verified(verifier, &subject, &SUBJECT, now).await?;
                let actor = verified(verifier, &actor, &ACTOR, now).await?;
                let delegated = Verifier::delegate(subject, &actor).map_err(|fault| because(&ACTOR, &fault))?;
                (delegated, Some(actor))
            }
        };
        let proof = match shown.proofs {
            [] => None,
            [proof] => Some(dpop::verify(proof, "POST", url, now).map_err(|fault| bad_proof().detail(fault))?),
            _ => return Err(bad_proof().detail("more than one DPoP header was sent")),
        };
        let proved = proof.as_ref().map(|proof| &proof.thumbprint);
        for shown in [Some(&workload), actor.as_ref()].into_iter().flatten() {
            match binding(shown.get()) {
                Binding::Bearer => {}
                Binding::Key(thumbprint) if proved == Some(&thumbprint) => {}
                Binding::Key(_) | Binding::Unprovable => {
                    return Err(bad_proof().detail("a token is bound to a key that was not proved"));
                }
            }
        }
        Ok(Admitted { workload, actor, target: self.target, proof })
    }
}

const SUBJECT: Refusal = Refusal::new("exchange.subject_token", "invalid_request", "the subject token was refused");
const ACTOR: Refusal = Refusal::new("exchange.actor_token", "invalid_request", "the actor token was refused");

async fn verified(
    verifier: &Verifier,
    token: &str,
    refused: &Refusal,
    now: Timestamp,
) -> Result<Verified<Workload>, Refusal> {
    let workload = verifier.verify(token, now).await.map_err(|fault| because(refused, &fault))?;
    match workload.get().token_kind {
        TokenKind::Workload => Ok(workload),
        _ => Err(refused.clone().detail(SessionTokenFault::NotExchangeable)),
    }
}

fn because(refused: &Refusal, fault: &IdentityFault) -> Refusal {
    Refusal { code: fault.code(), detail: fault.to_string(), ..refused.clone() }
}

/// The workload whose certificate the connection showed.
async fn certified(
    verifier: &Verifier,
    certificates: &[CertificateDer<'static>],
    id: Option<&str>,
    now: Timestamp,
) -> Result<Verified<Workload>, Refusal> {
    let words =
        "connect with an X.509-SVID of a trust domain that is taken here; client_id, if it is given, is its SPIFFE ID";
    let refused = Refusal::new("exchange.client", "invalid_client", words);
    let workload = verifier.verify_certificates(certificates, now).await.map_err(|fault| because(&refused, &fault))?;
    match id {
        Some(id) if id != workload.get().subject.as_str() => Err(refused.detail("client_id names another")),
        _ => Ok(workload),
    }
}

fn bad_proof() -> Refusal {
    let words = "send one DPoP proof (RFC 9449) for this request, by the key that the token is bound to";
    Refusal::new("exchange.dpop", "invalid_dpop_proof", words)
}

impl Admitted {
    /// The workload, and who acts for it.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = &Workload> {
        [Some(&self.workload), self.actor.as_ref()].into_iter().flatten().map(Verified::get)
    }

    /// Makes the reply. The caller has asked policy and counted the use.
    ///
    /// # Errors
    /// [`Refusal`] if no token can be made.
    pub fn grant(&self, sessions: &SessionIssuer, now: Timestamp) -> Result<ExchangeReply, Refusal> {
        let thumbprint = self.proof.as_ref().map(|proof| proof.thumbprint.as_str());
        let token = sessions.mint(&self.workload, &self.target, thumbprint, now).map_err(|fault| {
            let (error, words) = match fault {
                SessionTokenFault::Key | SessionTokenFault::Signing => ("server_error", "try again later"),
                SessionTokenFault::NotExchangeable => ("invalid_request", "the subject token was refused"),
                SessionTokenFault::TooLong => ("invalid_request", "the subject token's claims are too long"),
            };
            Refusal::new("exchange.mint", error, words).detail(fault)
        })?;
        Ok(ExchangeReply {
            access_token: token,
            issued_token_type: ACCESS_TOKEN.to_owned(),
            token_type: if thumbprint.is_some() { "DPoP" } else { "Bearer" }.to_owned(),
            expires_in: sessions.life().get().as_secs(),
        })
    }
}
