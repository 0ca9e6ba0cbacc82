//! RFC 8693 at `/v1/token`, without the HTTP: a workload's own token for a session token.
//!
//! Three steps, so that policy and the count of uses stand between the second and the third: [`ask`] reads the request,
//! [`Ask::admit`] verifies the token and the proof, [`Admitted::grant`] makes the reply. It must never answer with a
//! target's credential, whatever is asked for: those go to gateways alone, sealed.

use writ_broker_api::token::{ExchangeError, ExchangeReply, ExchangeRequest};
use writ_core::id::RequestId;
use writ_core::proof::Verified;
use writ_core::target::TargetName;
use writ_core::time::Timestamp;
use writ_core::workload::{TokenKind, Workload};

use super::dpop;
use super::session_token::{Binding, SessionIssuer, SessionTokenFault, binding};
use super::verify::Verifier;

/// The one grant type.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// A JWT (RFC 8693, 3).
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// An ID token.
pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
/// An access token: what a session token is.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A refusal in OAuth's words. Its status is 400, or 500 for `server_error`.
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
        if self.error == "server_error" { 500 } else { 400 }
    }
}

/// A request that is well formed.
#[derive(Clone, PartialEq, Eq)]
pub struct Ask {
    subject_token: String,
    target: TargetName,
}

/// A workload that may be given a session token, if policy says so.
#[derive(Debug)]
pub struct Admitted {
    /// The workload.
    pub workload: Verified<Workload>,
    /// The target that it asks for.
    pub target: TargetName,
    /// The key that it proved, if it did. The caller accepts the proof's `jti` once.
    pub proof: Option<dpop::Proof>,
}

/// Reads a request.
///
/// # Errors
/// [`Refusal`] for anything but one workload's token for one target's session token.
pub fn ask(request: ExchangeRequest) -> Result<Ask, Refusal> {
    if request.grant_type != GRANT_TYPE {
        let words = "the grant type must be urn:ietf:params:oauth:grant-type:token-exchange";
        return Err(Refusal::new("exchange.grant_type", "unsupported_grant_type", words));
    }
    if ![JWT, ID_TOKEN].contains(&request.subject_token_type.as_str()) {
        let words = "the subject token type must be urn:ietf:params:oauth:token-type:jwt or :id_token";
        return Err(Refusal::new("exchange.subject_token_type", "invalid_request", words));
    }
    if request.requested_token_type.as_deref().is_some_and(|asked| ![JWT, ACCESS_TOKEN].contains(&asked)) {
        let words =
            "only session tokens are issued: a target's credential is never handed out, connect through a gateway";
        return Err(Refusal::new("exchange.requested_token_type", "invalid_request", words));
    }
    if request.actor_token.is_some() {
        let words = "delegation is not offered: leave actor_token out";
        return Err(Refusal::new("exchange.actor_token", "invalid_request", words));
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
    Ok(Ask { subject_token: request.subject_token, target })
}

impl core::fmt::Debug for Ask {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ask").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Ask {
    /// Verifies the token and, where the client sent them, the proofs in its `DPoP` headers, for a request by `POST` to
    /// `url`, the address of `/v1/token` as clients see it.
    ///
    /// # Errors
    /// [`Refusal`] if the token or the proof is refused, or the token is bound to a key that was not proved.
    pub async fn admit(
        self,
        verifier: &Verifier,
        proofs: &[&str],
        url: &str,
        now: Timestamp,
    ) -> Result<Admitted, Refusal> {
        let refused = Refusal::new("exchange.subject_token", "invalid_request", "the subject token was refused");
        let workload = verifier.verify(&self.subject_token, now).await.map_err(|fault| Refusal {
            code: fault.code(),
            detail: fault.to_string(),
            ..refused.clone()
        })?;
        if workload.get().token_kind != TokenKind::Workload {
            return Err(refused.detail(SessionTokenFault::NotExchangeable));
        }
        let proof = match proofs {
            [] => None,
            [proof] => Some(dpop::verify(proof, "POST", url, now).map_err(|fault| bad_proof().detail(fault))?),
            _ => return Err(bad_proof().detail("more than one DPoP header was sent")),
        };
        let proved = proof.as_ref().map(|proof| &proof.thumbprint);
        match binding(workload.get()) {
            Binding::Bearer => {}
            Binding::Key(thumbprint) if proved == Some(&thumbprint) => {}
            Binding::Key(_) | Binding::Unprovable => {
                return Err(bad_proof().detail("the subject token is bound to a key that was not proved"));
            }
        }
        Ok(Admitted { workload, target: self.target, proof })
    }
}

fn bad_proof() -> Refusal {
    let words = "send one DPoP proof (RFC 9449) for this request, by the key that the token is bound to";
    Refusal::new("exchange.dpop", "invalid_dpop_proof", words)
}

impl Admitted {
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
