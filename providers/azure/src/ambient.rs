//! The identity that the broker's process has at Azure: a workload identity of AKS where the environment names one, else the
//! managed identity of the machine. No program is started for it and no browser, and no secret in the environment is looked for.

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::error::Error;
use azure_identity::{
    ClientAssertionCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use tokio::sync::Mutex;
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use writ_core::time::{SignedDuration, Timestamp};
use writ_provider_calls::{Failed, plain, within};

use crate::cloud::{Cloud, Scope};
use crate::entra::options;
use crate::fault::{self, settled};
use crate::transport::{Carrier, Seen, client, metadata_client};

/// How much longer a kept token must live.
const FRESH: SignedDuration = SignedDuration::from_secs(300);
/// How long one search may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Where AKS says that a pod has an identity.
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
/// Which of a machine's identities is meant, where it has several.
const CLIENT_ID: &str = "AZURE_CLIENT_ID";

/// The broker's own identity at Azure. A token is kept until shortly before its end.
#[derive(Clone)]
pub struct Ambient(Arc<Inner>);

struct Inner {
    /// The machine's metadata service, if not where Azure has it.
    metadata: Option<String>,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    scope: Scope,
    token: Secret,
    expires: Timestamp,
}

impl Ambient {
    /// What the environment names, or the machine has, when it is first asked for.
    #[must_use]
    pub fn found() -> Self {
        Self(Arc::new(Inner { metadata: None, kept: Mutex::default() }))
    }

    /// The managed identity of whichever machine's metadata service this is: `http://host:port`.
    #[must_use]
    pub fn of_machine(metadata: &str) -> Self {
        let metadata = Some(metadata.trim_end_matches('/').to_owned());
        Self(Arc::new(Inner { metadata, kept: Mutex::default() }))
    }

    /// A token for one resource, that lives for some minutes yet.
    pub(crate) async fn token(&self, cloud: Cloud, scope: &Scope) -> Result<Secret, ProviderFault> {
        let mut kept = self.0.kept.lock().await;
        let fresh = |kept: &&Kept| kept.scope == *scope && kept.expires > Timestamp::now() + FRESH;
        if let Some(kept) = kept.as_ref().filter(fresh) {
            return Ok(Secret::new(kept.token.expose().to_vec()));
        }
        let doing = "asking Azure for a token of the broker's own identity";
        let AccessToken { token, expires_on } = within(doing, LIMIT, self.asked(doing, cloud, scope)).await?;
        let expires = Timestamp::from_second(expires_on.unix_timestamp()).unwrap_or_default();
        let token = token.secret().as_bytes();
        *kept = Some(Kept { scope: scope.clone(), token: Secret::new(token.to_vec()), expires });
        Ok(Secret::new(token.to_vec()))
    }

    async fn asked(&self, doing: &str, cloud: Cloud, scope: &Scope) -> Result<AccessToken, ProviderFault> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let made = |fault: crate::config::ConfigFault| ProviderFault::Misconfigured(fault.to_string());
        let (carrier, credential): (_, Result<Arc<dyn TokenCredential>, Error>) =
            if self.0.metadata.is_none() && set(TOKEN_FILE).is_some() {
                let carrier = Arc::new(Carrier::new(client(LIMIT, None).map_err(made)?, doing, None));
                let client_options = options(cloud.authority(), &carrier);
                let credential_options = ClientAssertionCredentialOptions { client_options };
                let options = WorkloadIdentityCredentialOptions { credential_options, ..Default::default() };
                (carrier, WorkloadIdentityCredential::new(Some(options)).map(|found| found as Arc<dyn TokenCredential>))
            } else {
                let carrier = Carrier::new(metadata_client(LIMIT).map_err(made)?, doing, None);
                let carrier = Arc::new(carrier.with_metadata(self.0.metadata.clone()));
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: set(CLIENT_ID).map(UserAssignedId::ClientId),
                    client_options: options(cloud.authority(), &carrier),
                };
                (carrier, ManagedIdentityCredential::new(Some(options)).map(|found| found as Arc<dyn TokenCredential>))
            };
        let no_identity = |error: &Error| {
            ProviderFault::Misconfigured(format!(
                "{doing}: the broker has no identity at Azure: give its machine a managed identity (and name it in `{CLIENT_ID}` where \
                 there are several), or its pod a workload identity, see docs/providers/azure.md ({})",
                plain(&error.to_string())
            ))
        };
        let credential = credential.map_err(|error| no_identity(&error))?;
        credential.get_token(&[scope.as_str()], None).await.map_err(|error| match carrier.seen() {
            Seen::Failed(Failed::Harmlessly(fault) | Failed::ForGood(fault)) => fault,
            Seen::Answer(status @ (429 | 500..), body) => settled(fault::of_answer(doing, status, &body)),
            Seen::Answer(200, _) => settled(fault::cut_short(doing)),
            Seen::Answer(..) | Seen::Nothing => no_identity(&error),
        })
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ambient(..)")
    }
}
