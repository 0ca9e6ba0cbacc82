//! Humans at the API: who they are, by OIDC or by the admin token, and what policy lets them do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use writ_broker_api::admin::{Login, Me};
use writ_core::credential::Secret;
use writ_core::event::Actor;
use writ_core::proof::Verified;
use writ_core::time::Timestamp;
use writ_core::workload::{Claims, Issuer, Subject, TokenKind};
use writ_policy::{Human, HumanAction};

use crate::broker::Broker;
use crate::config::BrokerConfig;
use crate::duration::Span;
use crate::identity::config::ConfigFault;
use crate::identity::verify::Verifier;
use crate::refusal::Refusal;
use crate::webhooks::answers::Person;

/// The issuer that stands for the admin token in evidence.
const LOCAL: &str = "writ";
/// The longest admin token that is read, in bytes.
const MAX_TOKEN: usize = 4096;
/// The shortest one, in bytes: 128 random bits in hexadecimal.
const LEAST_ADMIN_TOKEN: usize = 32;

/// How humans are known.
#[derive(Debug)]
pub struct Humans {
    verifier: Option<Verifier>,
    login: Option<Login>,
    admin_token_file: Option<PathBuf>,
    max_auth_age: Option<Duration>,
}

/// A human who has shown who they are and may do what was asked. Made by [`Broker::permit`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permitted {
    actor: Actor,
    groups: Vec<String>,
}

impl Permitted {
    /// The human as evidence names them.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.actor.clone()
    }

    /// Whether this is a human, and not the local admin token, which stands for whoever has the file.
    pub(crate) fn is_human(&self) -> bool {
        self.actor.issuer.as_str() != LOCAL
    }

    /// A human of a test.
    #[cfg(test)]
    pub(crate) const fn of_a_test(actor: Actor, groups: Vec<String>) -> Self {
        Self { actor, groups }
    }

    /// The groups that their issuer says they are in: the claim `groups`, a text or a list of texts.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }
}

fn groups(claims: &Claims) -> Vec<String> {
    match claims.get("groups") {
        Some(Value::String(group)) => vec![group.clone()],
        Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Whether who bears these claims has logged in lately enough to answer for others.
fn is_fresh(claims: &Claims, most: Option<Duration>, now: Timestamp) -> bool {
    let Some(most) = most else { return true };
    let at = claims.get("auth_time").or_else(|| claims.get("iat")).and_then(Value::as_i64);
    let age = at.map(|at| now.as_second().saturating_sub(at));
    age.is_some_and(|age| age <= i64::try_from(most.as_secs()).unwrap_or(i64::MAX))
}

impl Humans {
    /// How humans are known, as configured.
    ///
    /// # Errors
    /// [`ConfigFault`] if their issuer is misconfigured.
    pub fn new<P>(config: &BrokerConfig<P>) -> Result<Self, ConfigFault> {
        let verifier = match &config.humans {
            Some(humans) => Some(Verifier::new(core::slice::from_ref(&humans.issuer), &humans.client_id, None)?),
            None => None,
        };
        let login = config.humans.as_ref().map(|humans| Login {
            issuer: humans.issuer.issuer(),
            client_id: humans.client_id.clone(),
            audience: humans.client_id.clone(),
        });
        let max_auth_age = config.humans.as_ref().and_then(|humans| humans.max_auth_age).map(Span::get);
        Ok(Self { verifier, login, admin_token_file: config.admin_token_file.clone(), max_auth_age })
    }

    /// The admin token is read each time, so that removing the file ends it.
    fn is_admin_token(&self, token: &str) -> bool {
        let Some(path) = &self.admin_token_file else { return false };
        match admin_token(path) {
            Ok(Some(expected)) => token.len() <= MAX_TOKEN && expected == Secret::new(token.as_bytes().to_vec()),
            Ok(None) => false,
            Err(problem) => {
                tracing::warn!(problem, "the admin token opens nothing");
                false
            }
        }
    }
}

/// The admin token in a file; `None` if there is no file, as when the first steps are done.
///
/// # Errors
/// Why it opens nothing, and what to do.
pub fn admin_token(path: &Path) -> Result<Option<Secret>, String> {
    let Some(bytes) = crate::keys::files::read(path).map_err(|fault| fault.to_string())? else { return Ok(None) };
    let token = bytes.trim_ascii_end();
    if token.len() < LEAST_ADMIN_TOKEN {
        return Err(format!(
            "the token in `{}` has {} characters, and could be guessed: write at least {LEAST_ADMIN_TOKEN}, as by `openssl rand -hex 32`",
            path.display(),
            token.len()
        ));
    }
    Ok(Some(Secret::new(token.to_vec())))
}

impl Broker {
    /// Who the bearer of this token is, if policy lets them do this.
    ///
    /// # Errors
    /// [`Refusal`]: unknown, or known and not permitted.
    pub async fn permit(&self, token: &str, action: HumanAction) -> Result<Permitted, Refusal> {
        let loaded = self.loaded.load();
        if token.is_empty() {
            return Err(Refusal::unauthenticated());
        }
        if loaded.humans.is_admin_token(token) {
            let actor = Actor { issuer: Issuer::new(LOCAL), subject: Subject::new("admin-token") };
            return Ok(Permitted { actor, groups: Vec::new() });
        }
        let human = self.human(token).await?;
        let actor = Actor { issuer: human.get().issuer.clone(), subject: human.get().subject.clone() };
        let in_force = self.policy.borrow().clone();
        let answers = matches!(action, HumanAction::Approve | HumanAction::BreakGlass);
        match writ_policy::human(&in_force.bundle, &human, action, self.clock.now()) {
            Ok(_) if answers && !is_fresh(&human.get().claims, loaded.humans.max_auth_age, self.clock.now()) => {
                Err(Refusal::stale())
            }
            Ok(_) => Ok(Permitted { actor, groups: groups(&human.get().claims) }),
            Err(denied) => {
                tracing::info!(code = denied.code, "a human was refused");
                Err(Refusal::forbidden())
            }
        }
    }

    /// A human who answered in a channel that vouches for them, if policy lets them answer. Policies know such a human by the claims
    /// `groups`, as configured, and `channel`.
    pub(crate) fn permit_person(&self, person: &Person, channel: &str) -> Result<Permitted, Refusal> {
        let Person { actor, groups } = person;
        let list = groups.iter().map(|group| Value::String(group.clone())).collect();
        let claims = [("groups", Value::Array(list)), ("channel", Value::String(channel.to_owned()))];
        let claims: Claims = claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let human = Human { issuer: actor.issuer.clone(), subject: actor.subject.clone(), claims };
        #[expect(clippy::disallowed_methods, reason = "the channel signed, and configuration says who its user is")]
        let human = Verified::by_identity(human);
        let in_force = self.policy.borrow().clone();
        match writ_policy::human(&in_force.bundle, &human, HumanAction::Approve, self.clock.now()) {
            Ok(_) => Ok(Permitted { actor: actor.clone(), groups: groups.clone() }),
            Err(denied) => {
                tracing::info!(code = denied.code, channel, "a human was refused");
                Err(Refusal::forbidden())
            }
        }
    }

    /// Who the caller is and what they may do.
    ///
    /// # Errors
    /// [`Refusal`] if the token is refused.
    pub async fn me(&self, token: &str) -> Result<Me, Refusal> {
        let actions = [
            (HumanAction::Admin, "admin"),
            (HumanAction::Approve, "approve"),
            (HumanAction::Audit, "audit"),
            (HumanAction::BreakGlass, "break_glass"),
            (HumanAction::View, "view"),
        ];
        let mut may = Vec::new();
        let mut actor = None;
        for (action, name) in actions {
            match self.permit(token, action).await {
                Ok(permitted) => {
                    may.push(name.to_owned());
                    actor = Some(permitted.actor);
                }
                Err(refusal) if refusal.status == 403 => {}
                Err(refusal) => return Err(refusal),
            }
        }
        let actor = actor.ok_or_else(Refusal::forbidden)?;
        Ok(Me { issuer: actor.issuer.as_str().to_owned(), subject: actor.subject.as_str().to_owned(), may })
    }

    /// How humans log in.
    ///
    /// # Errors
    /// [`Refusal`] if they cannot.
    pub fn login(&self) -> Result<Login, Refusal> {
        self.loaded
            .load()
            .humans
            .login
            .clone()
            .ok_or_else(|| Refusal::not_found("login: no issuer of humans is configured"))
    }

    async fn human(&self, token: &str) -> Result<Verified<Human>, Refusal> {
        let loaded = self.loaded.load();
        let verifier = loaded.humans.verifier.as_ref().ok_or_else(Refusal::unauthenticated)?;
        let checked = verifier.verify_claims(token, self.clock.now()).await.map_err(|fault| {
            tracing::info!(code = fault.code(), "a human's token was refused");
            Refusal::unauthenticated()
        })?;
        if checked.kind != TokenKind::Workload {
            return Err(Refusal::unauthenticated());
        }
        let human = Human { issuer: checked.issuer, subject: checked.subject, claims: checked.claims };
        #[expect(clippy::disallowed_methods, reason = "the identity module checked signature, issuer and audience")]
        let verified = Verified::by_identity(human);
        Ok(verified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_has_logged_in_lately() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let fresh = |claims: Value, most: Option<u64>| {
            let claims: Claims = serde_json::from_value(claims).unwrap();
            is_fresh(&claims, most.map(Duration::from_secs), now)
        };
        for (claims, most, expected) in [
            (serde_json::json!({}), None, true),
            (serde_json::json!({}), Some(300), false),
            (serde_json::json!({ "iat": 999_700 }), Some(300), true),
            (serde_json::json!({ "iat": 999_699 }), Some(300), false),
            (serde_json::json!({ "iat": 999_990, "auth_time": 1 }), Some(300), false),
            (serde_json::json!({ "iat": 1, "auth_time": 999_990 }), Some(300), true),
            (serde_json::json!({ "iat": "999990" }), Some(300), false),
        ] {
            assert_eq!(fresh(claims.clone(), most), expected, "{claims} {most:?}");
        }
    }
}
