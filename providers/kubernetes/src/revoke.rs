//! Revoke: the deletion of the writ's Secret. API servers remember for ten seconds that they took a token, so that one which
//! was used a moment ago may be taken for so long.

use k8s_openapi::api::core::v1 as core;
use kube::Resource as _;
use kube::core::Request;
use kube::core::params::{DeleteParams, Preconditions};
use serde::de::IgnoredAny;
use writ_core::provider::ProviderFault;
use writ_core::writ::Writ;

use crate::account::Account;
use crate::call::{Answer, Session};
use crate::fault;
use crate::rights::{self, Right};

/// Deletes the Secret of `writ`, wherever it may be.
pub(crate) async fn revoke(session: &Session<'_>, writ: &Writ) -> Result<(), ProviderFault> {
    let name = writ.id.to_string();
    for namespace in namespaces(session.cluster().needed(), writ) {
        delete(session, &namespace, &name, None).await?;
    }
    Ok(())
}

/// That of the account whose token it was; where nothing is known of it, since the broker crashed in the mint, that of the one
/// that policy named; else all.
fn namespaces(needed: &[Right], writ: &Writ) -> Vec<String> {
    let minted = writ.credential.as_ref().and_then(|facts| Account::of_principal(&facts.principal));
    let named = || writ.obligations.role.as_deref().and_then(|role| Account::parse(role).ok());
    match minted.or_else(named) {
        Some(account) => vec![account.namespace().to_owned()],
        None => needed.iter().map(|right| right.namespace.clone()).collect(),
    }
}

/// Deletes a Secret, if it is the one with this uid. Succeeds if there is none.
pub(crate) async fn delete(
    session: &Session<'_>,
    namespace: &str,
    name: &str,
    uid: Option<String>,
) -> Result<(), ProviderFault> {
    let doing = format!("deleting the Secret `{namespace}/{name}`");
    let preconditions = uid.map(|uid| Preconditions { uid: Some(uid), ..Preconditions::default() });
    let how = DeleteParams { preconditions, ..DeleteParams::default() };
    let path = Request::new(core::Secret::url_path(&(), Some(namespace)));
    let deleted: Answer<IgnoredAny> = session.ask(&doing, path.delete(name, &how)).await;
    match deleted? {
        Ok(_) => Ok(()),
        Err(denied) if denied.code == 404 => Ok(()),
        Err(denied) => Err(fault::of(&doing, denied, session, rights::secrets(namespace, "delete")).await),
    }
}
