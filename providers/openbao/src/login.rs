//! Login: an assertion of Writ's own issuer for a token that lives for a minute.
//!
//! A token that nobody got because the answer was lost is of no use to anybody and soon gone; that is why a role whose tokens
//! live long from the start is not worked with.

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::{Value, json};
use writ_core::assertion::{AssertedSubject, Assertion, Assertions};
use writ_core::credential::Secret;
use writ_core::proof::Intended;
use writ_core::provider::ProviderFault;
use writ_core::target::TargetName;
use writ_core::workload::Claims;
use zeroize::Zeroize as _;

use crate::call::{Answer, Auth, Call, Session, Verb};
use crate::config::OpenbaoConfig;
use crate::fault;

/// The longest life that a fresh token may have, in seconds.
const FRESH: u64 = 600;
/// The claim that names the writ, and the name under which the role keeps it.
const WRIT: &str = "writ";

/// A token, and the requests that are made with it.
pub(crate) struct Login<'a> {
    pub(crate) session: Session<'a>,
    /// What names the token; empty for a batch token.
    pub(crate) accessor: String,
}

/// Logs in for a writ, or for the broker itself. Everything that is done with the token ends when `session` does.
pub(crate) async fn login<'a>(
    session: &Session<'a>,
    config: &OpenbaoConfig,
    assertions: &Arc<dyn Assertions>,
    target: &TargetName,
    intended: Option<&Intended>,
) -> Result<Login<'a>, ProviderFault> {
    let (audience, subject, claims) = (config.audience.as_str(), AssertedSubject::Target, Claims::default());
    let asserted = assertions.assert(Assertion { audience, subject, target, intended, claims });
    let none = |_| ProviderFault::Unreachable("an assertion to log in with: none in time".to_owned());
    let assertion = tokio::time::timeout(session.left(), asserted).await.map_err(none)??;
    let auth = asked(session, config, assertions.issuer(), target, &assertion).await?;
    let unusable = || ProviderFault::Refused(format!("{}: the answer's token is no token", doing(config)));
    let login =
        Login { session: session.with(&auth.client_token).ok_or_else(unusable)?, accessor: auth.accessor.clone() };
    match looked_at(&auth, config, intended) {
        Ok(()) => Ok(login),
        Err(problem) => {
            login.end().await;
            Err(ProviderFault::Misconfigured(format!("{}: its token is not used: {problem}", doing(config))))
        }
    }
}

fn doing(config: &OpenbaoConfig) -> String {
    format!("logging in as `{}` at `auth/{}`", config.role, config.auth_mount)
}

async fn asked(
    session: &Session<'_>,
    config: &OpenbaoConfig,
    issuer: &str,
    target: &TargetName,
    assertion: &Secret,
) -> Result<Auth, ProviderFault> {
    let doing = doing(config);
    let mut body = json!({ "role": config.role, "jwt": String::from_utf8_lossy(assertion.expose()) });
    let path = format!("auth/{}/login", config.auth_mount);
    // A second token does no harm: the first has made nothing and soon ends.
    let call = Call { doing: &doing, verb: Verb::Post, path: &path, harmless: true };
    let answer: Answer<IgnoredAny> = session.ask(call, Some(&body)).await;
    if let Some(Value::String(jwt)) = body.get_mut("jwt") {
        jwt.zeroize();
    }
    match answer? {
        Ok(reply) => {
            let none = || ProviderFault::Refused(format!("{doing}: the answer has no token"));
            reply.auth.ok_or_else(none)
        }
        Err(denied) if denied.code == 404 => Err(fault::refused(&doing, &denied)),
        Err(denied) => Err(ProviderFault::Refused(format!(
            "{doing}: an assertion of `{issuer}` for the audience `{}` and the subject `target:{target}` is not taken: {} (HTTP \
             status {}): check that `auth/{}` trusts the issuer, what the role binds, and that the clocks agree",
            config.audience, denied.words, denied.code, config.auth_mount
        ))),
    }
}

/// What is wrong with the role, as its token shows.
fn looked_at(auth: &Auth, config: &OpenbaoConfig, intended: Option<&Intended>) -> Result<(), String> {
    let role = format!("auth/{}/role/{}", config.auth_mount, config.role);
    if auth.mfa_requirement.is_some() {
        return Err("the login asks for a second factor, which the broker has not".to_owned());
    }
    if auth.num_uses != 0 {
        return Err(format!("it is good for {} uses: write `token_num_uses=0` into `{role}`", auth.num_uses));
    }
    if auth.lease_duration == 0 || auth.lease_duration > FRESH {
        let life = auth.lease_duration;
        return Err(format!("it lives for {life} s from the start: write `token_ttl=60s` into `{role}`"));
    }
    if config.dynamic.is_some() && (auth.token_type != "service" || auth.accessor.is_empty()) {
        return Err(format!("it cannot be taken back: write `token_type=service` into `{role}`"));
    }
    if config.dynamic.is_some() && !auth.renewable {
        return Err(format!("it cannot be renewed: leave `token_max_ttl` of `{role}` longer than its `token_ttl`"));
    }
    // An accessor goes into the ledger and into a path.
    if auth.accessor.len() > 128 || !auth.accessor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.') {
        return Err("its accessor is none".to_owned());
    }
    let Some(writ) = intended.map(|intended| intended.writ().id.to_string()) else { return Ok(()) };
    let named = auth.metadata.as_ref().and_then(|metadata| metadata.get(WRIT));
    if named != Some(&writ) {
        return Err(format!(
            "the audit would not say for which writ it is: write `claim_mappings={{\"writ\":\"writ\"}}` into `{role}`"
        ));
    }
    Ok(())
}

impl Login<'_> {
    /// Takes the token back, and with it whatever hangs on it. What fails here ends by itself soon.
    pub(crate) async fn end(&self) {
        let call = Call {
            doing: "taking back the broker's own token",
            verb: Verb::Post,
            path: "auth/token/revoke-self",
            harmless: true,
        };
        let ended: Answer<IgnoredAny> = self.session.ask(call, None).await;
        match ended {
            Ok(Ok(_)) => {}
            Ok(Err(denied)) => tracing::debug!(words = denied.words, "a token was not taken back: it ends by itself"),
            Err(fault) => tracing::debug!(detail = fault.detail(), "a token was not taken back: it ends by itself"),
        }
    }
}
