//! Probe: would a mint work, and a revocation, and a sweep?
//!
//! Making a token is tried, bound to a Secret that is not there: API servers look for the account, then for the Secret, and
//! make nothing. The rights on Secrets are asked for.

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1 as core;
use kube::Resource as _;
use kube::core::Request;
use kube::core::params::PostParams;
use serde::de::IgnoredAny;
use writ_core::provider::ProviderFault;

use crate::account::Account;
use crate::call::{Answer, Session};
use crate::mint::SHORTEST;
use crate::{fault, rights};

/// The Secret that is not there: no writ has this name, and no object this uid.
const NOWHERE: &str = "writ-probe";
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

pub(crate) async fn probe(session: &Session<'_>, accounts: &[Account]) -> Result<(), ProviderFault> {
    for right in session.cluster().needed() {
        for verb in ["create", "list", "delete"] {
            may(session, &right.namespace, verb).await?;
        }
    }
    for account in accounts {
        token(session, account).await?;
    }
    Ok(())
}

async fn may(session: &Session<'_>, namespace: &str, verb: &str) -> Result<(), ProviderFault> {
    let doing = format!("asking whether the broker may {verb} Secrets in `{namespace}`");
    match rights::allowed(&doing, session, rights::secrets(namespace, verb)).await? {
        Ok(true) => Ok(()),
        Ok(false) => Err(rights::missing(&doing, "it may not", session).await),
        Err(denied) if denied.code == 401 => Err(fault::unknown(&doing, session.cluster().named(), &denied.words)),
        Err(denied) => Err(fault::refused(&doing, &denied)),
    }
}

async fn token(session: &Session<'_>, account: &Account) -> Result<(), ProviderFault> {
    let doing = format!("trying to make a token of `{account}`");
    let bound_object_ref = Some(BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Secret".to_owned()),
        name: Some(NOWHERE.to_owned()),
        uid: Some(NOBODY.to_owned()),
    });
    let spec = TokenRequestSpec { expiration_seconds: Some(SHORTEST), bound_object_ref, ..Default::default() };
    let body = serde_json::to_vec(&TokenRequest { spec, ..Default::default() }).unwrap_or_default();
    let path = Request::new(core::ServiceAccount::url_path(&(), Some(account.namespace())));
    let request = path.create_subresource("token", account.name(), &PostParams::default(), body);
    let answer: Answer<IgnoredAny> = session.ask(&doing, request).await;
    match answer? {
        Ok(_) => Err(ProviderFault::Refused(format!(
            "{doing}: the API server bound one to a Secret that is not there: what it makes could not be taken back"
        ))),
        Err(denied) if denied.code == 404 && denied.kind == "secrets" => Ok(()),
        // Somebody has given a Secret that name: it has another uid.
        Err(denied) if denied.code == 409 => Ok(()),
        Err(denied) if denied.code == 404 => Err(fault::absent(account, &denied)),
        Err(denied) => Err(fault::of(&doing, denied, session, rights::tokens(account)).await),
    }
}
