//! Where the issuer's key is, if not in the broker's state: told by the form of its name.

use std::sync::Arc;

use writ_core::assertion::AssertionSigner;
use writ_core::provider::ProviderFault;
use writ_provider_aws::KmsSigner;
use writ_provider_azure::KeyVaultSigner;

/// Whether a key's name and an endpoint are well formed.
///
/// # Errors
/// What is wrong, and what to write instead.
pub(crate) fn check(key: &str, endpoint: Option<&str>) -> Result<(), String> {
    if writ_provider_gcp::kms::is_key(key) {
        return writ_provider_gcp::kms::check(key, endpoint).map_err(|fault| fault.to_string());
    }
    if is_in_a_vault(key) {
        return writ_provider_azure::vault::check(key, endpoint).map_err(|fault| fault.to_string());
    }
    writ_provider_aws::kms::check(key, endpoint).map_err(|fault| fault.to_string())
}

/// The signer by that key.
///
/// # Errors
/// As the service says.
pub(crate) async fn open(key: &str, endpoint: Option<&str>) -> Result<Arc<dyn AssertionSigner>, ProviderFault> {
    if writ_provider_gcp::kms::is_key(key) {
        return Ok(Arc::new(writ_provider_gcp::KmsSigner::open(key, endpoint).await?));
    }
    if is_in_a_vault(key) {
        return Ok(Arc::new(KeyVaultSigner::open(key, endpoint).await?));
    }
    Ok(Arc::new(KmsSigner::open(key, endpoint).await?))
}

fn is_in_a_vault(key: &str) -> bool {
    key.starts_with("https://")
}
