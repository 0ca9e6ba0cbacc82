//! Who is to blame for a no of OpenBao's, and what to do.

use writ_core::provider::ProviderFault;

use crate::call::Denied;
use crate::rights::Rights;

/// OpenBao says no to the secret itself.
pub(crate) fn refused(doing: &str, denied: &Denied) -> ProviderFault {
    let advice = match denied.code {
        403 => ": let a policy of the role allow it",
        404 => ": there is none, or it was deleted",
        _ => "",
    };
    ProviderFault::Refused(format!("{doing}: {} (HTTP status {}){advice}", denied.words, denied.code))
}

/// OpenBao says no to what the broker needs beside the secret.
pub(crate) fn missing(doing: &str, denied: &Denied, rights: &Rights<'_>) -> ProviderFault {
    match denied.code {
        403..=405 => ProviderFault::Misconfigured(format!(
            "{doing}: {} (HTTP status {}): the role's policy needs: {rights}",
            denied.words, denied.code
        )),
        _ => refused(doing, denied),
    }
}
