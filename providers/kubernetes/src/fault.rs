//! Who is to blame for a no of the API server's, and what to do.

use k8s_openapi::api::authorization::v1::ResourceAttributes;
use writ_core::provider::ProviderFault;

use crate::account::Account;
use crate::call::{Denied, Session};
use crate::rights;

/// The fault behind a no to `asked`.
///
/// 403 is said by whoever rules over rights, and by whatever else looks at requests, a quota or a webhook. What the broker
/// had the right to ask was refused by the latter, and no right mends it.
pub(crate) async fn of(doing: &str, denied: Denied, session: &Session<'_>, asked: ResourceAttributes) -> ProviderFault {
    let words = &denied.words;
    match denied.code {
        401 => unknown(doing, session.cluster().named(), words),
        403 => match rights::allowed(doing, session, asked).await {
            Ok(Ok(true)) => refused(doing, &denied),
            _ => rights::missing(doing, words, session).await,
        },
        300..=399 => ProviderFault::Misconfigured(format!(
            "{doing}: the API server sends elsewhere (HTTP status {}): name the one that answers",
            denied.code
        )),
        _ => refused(doing, &denied),
    }
}

/// The cluster does not know who asks.
pub(crate) fn unknown(doing: &str, named: &str, words: &str) -> ProviderFault {
    ProviderFault::Misconfigured(format!(
        "{doing}: the cluster does not know {named}: {words}: renew it, or let the cluster trust its issuer and audience"
    ))
}

pub(crate) fn refused(doing: &str, denied: &Denied) -> ProviderFault {
    ProviderFault::Refused(format!("{doing}: {} (HTTP status {})", denied.words, denied.code))
}

/// No such service account, or no such namespace.
pub(crate) fn absent(account: &Account, denied: &Denied) -> ProviderFault {
    ProviderFault::Refused(format!(
        "there is no service account `{account}` ({}): make it with `kubectl create serviceaccount {} --namespace {}`",
        denied.words,
        account.name(),
        account.namespace()
    ))
}
