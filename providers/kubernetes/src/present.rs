//! Present: asks the API server, with what was minted, as whom it sees it.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use writ_core::provider::{Presented, ProviderFault};

use crate::call::Session;
use crate::rights::{self, username};
use crate::{account::Account, fault};

/// The key under which the API server says which credential it took; its audit has the same.
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

pub(crate) async fn present(session: &Session<'_>) -> Result<Presented, ProviderFault> {
    let doing = "presenting the token";
    match rights::whoami(session).await? {
        Ok(review) => seen(&review).ok_or_else(|| {
            ProviderFault::Refused(format!("{doing}: the API server does not say as whom it sees it, or by which id"))
        }),
        Err(denied) if denied.code == 401 => {
            Err(ProviderFault::Refused(format!("{doing}: the API server does not take it: {}", denied.words)))
        }
        Err(denied) => Err(fault::refused(doing, &denied)),
    }
}

fn seen(review: &SelfSubjectReview) -> Option<Presented> {
    let principal = username(review).filter(|user| Account::of_principal(user).is_some())?;
    let extra = review.status.as_ref()?.user_info.as_ref()?.extra.as_ref()?;
    let [audit] = extra.get(CREDENTIAL_ID)?.as_slice() else { return None };
    Some(Presented { principal, audit: audit.clone() })
}
