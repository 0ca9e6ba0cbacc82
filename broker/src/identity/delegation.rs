//! A subject through whom another acts (RFC 8693, 1.1 and 4).
//!
//! Both showed a token of their own. Whether the one may act for the other at all is for policy to say; here only what the
//! subject's own issuer said of it (`may_act`) is held to.

use serde_json::{Map, Value, json};
use writ_core::workload::{Workload, actors};

use super::fault::IdentityFault;

/// The subject, with the actor before those through whom it acts already.
///
/// # Errors
/// [`IdentityFault::Actor`] if the actor may not.
pub(super) fn delegate(mut subject: Workload, actor: &Workload) -> Result<Workload, IdentityFault> {
    if actor.claims.contains_key("act") {
        return Err(IdentityFault::Actor("it acts through others itself"));
    }
    if actor.issuer == subject.issuer && actor.subject == subject.subject {
        return Err(IdentityFault::Actor("it is the subject"));
    }
    if let Some(permitted) = subject.claims.get("may_act") {
        let permitted = permitted.as_object().ok_or(IdentityFault::Malformed("may_act"))?;
        if !is_named(permitted, &subject, actor) {
            return Err(IdentityFault::Actor("the claim `may_act` names another"));
        }
    }
    let mut act = json!({ "iss": actor.issuer, "sub": actor.subject });
    if let (Some(before), Some(members)) = (subject.claims.remove("act"), act.as_object_mut()) {
        // Among those before it, who names no issuer is of the subject's.
        members.insert("act".to_owned(), before);
    }
    subject.claims.insert("act".to_owned(), act);
    actors(&subject.claims).map_err(|_| IdentityFault::Actor("the chain of actors would be too long"))?;
    Ok(subject)
}

/// Whether the members of `may_act` are all the actor's own: its subject at least, and its issuer, which is the subject's where
/// none is named.
fn is_named(permitted: &Map<String, Value>, subject: &Workload, actor: &Workload) -> bool {
    let of = permitted.get("iss").map_or(Some(subject.issuer.as_str()), Value::as_str);
    let others = permitted.iter().filter(|(name, _)| !matches!(name.as_str(), "iss" | "sub"));
    of == Some(actor.issuer.as_str())
        && permitted.get("sub").and_then(Value::as_str) == Some(actor.subject.as_str())
        && others.into_iter().all(|(name, value)| actor.claims.get(name) == Some(value))
}
