//! Mint: a Secret named after the writ, then a token that is bound to it.
//!
//! The Secret comes first, because its deletion is what takes the token back: a token without one could not be taken back.
//! It holds nothing. What goes wrong after it was asked for deletes it again, within the same deadline; what cannot be deleted
//! then is found by its name, by a revocation of the same writ.
//!
//! What the API server gave is read from the token itself, since that is what counts at its end: whose it is, until when, and
//! that it is bound to this Secret.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use kube::core::Request;
use kube::core::params::PostParams;
use serde::Deserialize;
use tokio::time::Instant;
use writ_core::credential::{Credential, CredentialKind, Fingerprint, Revocation, Secret};
use writ_core::proof::{Intended, Minted};
use writ_core::provider::ProviderFault;
use writ_core::target::TargetName;
use writ_core::time::{Timestamp, after};
use writ_core::writ::Writ;
use zeroize::Zeroizing;

use crate::account::Account;
use crate::call::{Answer, Cluster, Session};
use crate::{fault, revoke, rights};

/// The label whose value is the writ's id.
pub(crate) const WRIT: &str = "writ";
/// Who made the Secret, by Kubernetes' recommended label.
pub(crate) const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "writ");
/// The annotation with the writ's end (RFC 3339).
pub(crate) const EXPIRES: &str = "writ/expires";

/// The shortest life that API servers give a token, in seconds.
pub(crate) const SHORTEST: i64 = 600;
/// How much later than asked a token may end: clocks differ, and the API server counts from its own.
const LEEWAY: i64 = 600;
/// The longest part of a token that is looked at.
const CLAIMS_LIMIT: usize = 64 * 1024;

/// What there is to choose from.
pub(crate) struct Choice<'a> {
    pub(crate) accounts: &'a [Account],
    pub(crate) audience: Option<&'a str>,
}

pub(crate) async fn mint(
    cluster: &Cluster,
    choice: Choice<'_>,
    target: &TargetName,
    intended: Intended,
    limit: Duration,
) -> Result<Minted, ProviderFault> {
    let writ = intended.writ();
    let account = account(choice.accounts, writ)?;
    let begun = Instant::now();
    // The last quarter is for taking back what was begun.
    let session = cluster.session(target, Some(&intended), begun + limit.mul_f64(0.75)).await?;
    let minted = match bound(&session, account, writ).await {
        Ok(uid) => token(&session, account, choice.audience, writ, &uid).await.map_err(|fault| (Some(uid), fault)),
        Err(Unbound::Nothing(fault)) => return Err(fault),
        Err(Unbound::Perhaps(fault)) => Err((None, fault)),
    };
    match minted {
        Ok(credential) => Ok(Minted::new(intended, credential)),
        Err((uid, fault)) => {
            let session = session.until(begun + limit);
            match revoke::delete(&session, account.namespace(), &writ.id.to_string(), uid).await {
                Ok(()) => Err(fault),
                // Its Secret is there, and with it perhaps a token.
                Err(left) => Err(fault.leaving(&left)),
            }
        }
    }
}

/// The account that policy names, or the first.
fn account<'a>(accounts: &'a [Account], writ: &Writ) -> Result<&'a Account, ProviderFault> {
    let Some(role) = writ.obligations.role.as_deref() else {
        let none = || ProviderFault::Misconfigured("no service account: write `service_account`".to_owned());
        return accounts.first().ok_or_else(none);
    };
    let parsed = Account::parse(role).map_err(|fault| ProviderFault::Misconfigured(format!("`@role`: {fault}")))?;
    accounts.iter().find(|account| **account == parsed).ok_or_else(|| {
        ProviderFault::Misconfigured(format!(
            "policy grants the service account `{parsed}`, which this target does not allow: add it to `service_accounts`, or \
             write another `@role`"
        ))
    })
}

enum Unbound {
    /// There is no Secret of this call's.
    Nothing(ProviderFault),
    /// There may be one.
    Perhaps(ProviderFault),
}

/// Makes the Secret and gives its uid.
async fn bound(session: &Session<'_>, account: &Account, writ: &Writ) -> Result<String, Unbound> {
    let (name, doing) = (writ.id.to_string(), format!("making the Secret `{}/{}`", account.namespace(), writ.id));
    let secret = secret(&name, writ);
    let body = serde_json::to_vec(&secret).unwrap_or_default();
    let request = Request::new(core::Secret::url_path(&(), Some(account.namespace())));
    let made: Answer<core::Secret> = session.ask(&doing, request.create(&PostParams::default(), body)).await;
    match made {
        Ok(Ok(made)) => made
            .metadata
            .uid
            .filter(|uid| !uid.is_empty())
            .ok_or_else(|| Unbound::Perhaps(ProviderFault::Unreachable(format!("{doing}: the answer has no uid")))),
        Ok(Err(denied)) if denied.code == 409 => Err(Unbound::Nothing(ProviderFault::Refused(format!(
            "{doing}: it is there already: one writ, one token (HTTP status 409)"
        )))),
        Ok(Err(denied)) if denied.code == 404 => Err(Unbound::Nothing(fault::absent(account, &denied))),
        Ok(Err(denied)) => {
            let asked = rights::secrets(account.namespace(), "create");
            Err(Unbound::Nothing(fault::of(&doing, denied, session, asked).await))
        }
        Err(fault @ ProviderFault::Unreachable(_)) => Err(Unbound::Perhaps(fault)),
        Err(fault) => Err(Unbound::Nothing(fault)),
    }
}

fn secret(name: &str, writ: &Writ) -> core::Secret {
    let (by, ours) = MANAGED_BY;
    let labels = BTreeMap::from([(WRIT.to_owned(), name.to_owned()), (by.to_owned(), ours.to_owned())]);
    let annotations = BTreeMap::from([(EXPIRES.to_owned(), writ.expires.to_string())]);
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    };
    core::Secret { immutable: Some(true), metadata, ..core::Secret::default() }
}

/// Has the token made, and looks at what was given.
async fn token(
    session: &Session<'_>,
    account: &Account,
    audience: Option<&str>,
    writ: &Writ,
    uid: &str,
) -> Result<Credential, ProviderFault> {
    let doing = format!("making a token of `{account}`");
    let asked = Timestamp::now();
    let seconds = (writ.expires.as_second() - asked.as_second()).max(SHORTEST);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: audience.map(str::to_owned).into_iter().collect(),
            expiration_seconds: Some(seconds),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Secret".to_owned()),
                name: Some(writ.id.to_string()),
                uid: Some(uid.to_owned()),
            }),
        },
        ..TokenRequest::default()
    };
    let body = serde_json::to_vec(&request).unwrap_or_default();
    let path = Request::new(core::ServiceAccount::url_path(&(), Some(account.namespace())));
    let request = path.create_subresource("token", account.name(), &PostParams::default(), body);
    let given: TokenRequest = match session.ask(&doing, request).await? {
        Ok(given) => given,
        Err(denied) if denied.code == 404 && denied.kind == "serviceaccounts" => {
            return Err(fault::absent(account, &denied));
        }
        Err(denied) => {
            let asked = rights::tokens(account);
            return Err(fault::of(&doing, denied, session, asked).await);
        }
    };
    let status = given.status.ok_or_else(|| ProviderFault::Refused(format!("{doing}: the answer has no token")))?;
    let (shown, token) = (status.expiration_timestamp.0, Secret::new(status.token.into_bytes()));
    let latest = after(asked, seconds.cast_unsigned()).as_second() + LEEWAY;
    looked_at(&token, account, &writ.id.to_string(), uid)
        .and_then(|(jti, end)| {
            if end.max(shown).as_second() > latest {
                return Err(format!(
                    "it lives until {}, far longer than the {seconds} s that were asked for, or its clock is ahead",
                    end.max(shown)
                ));
            }
            Ok((jti, end))
        })
        .map(|(jti, end)| Credential {
            kind: CredentialKind::KubernetesToken,
            principal: account.principal(),
            fingerprint: Fingerprint::of_public("kubernetes-jti", &jti),
            audit: format!("JTI={jti}"),
            secret: token,
            expires: Some(end),
            revocation: Revocation::Individual,
        })
        .map_err(|problem| ProviderFault::Refused(format!("{doing}: what the API server gave is refused: {problem}")))
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Bound,
}

#[derive(Deserialize)]
struct Bound {
    secret: Reference,
}

#[derive(Deserialize)]
struct Reference {
    name: String,
    uid: String,
}

/// The token's id and its end, if it is the account's and bound to the writ's Secret.
fn looked_at(token: &Secret, account: &Account, secret: &str, uid: &str) -> Result<(String, Timestamp), String> {
    let claims =
        claims(token).ok_or("it is no JWT with `sub`, `exp`, `jti` and a bound Secret (Kubernetes 1.30 or newer)")?;
    if claims.sub != account.principal() {
        return Err("it is another account's".to_owned());
    }
    if claims.kubernetes.secret.name != secret || claims.kubernetes.secret.uid != uid {
        return Err("it is not bound to the writ's Secret, so that it could not be taken back".to_owned());
    }
    // It goes into the ledger and is what the audit is searched by.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if claims.jti.is_empty() || claims.jti.len() > 64 || !claims.jti.bytes().all(plain) {
        return Err("its `jti` is no id".to_owned());
    }
    let end = Timestamp::from_second(claims.exp).map_err(|_| "its `exp` is no time".to_owned())?;
    Ok((claims.jti, end))
}

/// The claims of a token that its own issuer has just handed over: there is no signature to be checked.
fn claims(token: &Secret) -> Option<Claims> {
    let mut parts = token.expose().split(|byte| *byte == b'.');
    let (_, payload) = (parts.next()?, parts.next().filter(|payload| payload.len() <= CLAIMS_LIMIT)?);
    let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload).ok()?);
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests;
