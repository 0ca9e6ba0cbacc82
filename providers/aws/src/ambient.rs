//! The identity that the broker's process has at AWS: what the SDK finds in the environment, a profile, a web identity, or at
//! the container or instance it runs on. No program is started for it and no browser.

use core::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region as SdkRegion};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use tokio::sync::Mutex;
use writ_core::provider::ProviderFault;
use writ_provider_calls::plain;

use crate::client::http_client;
use crate::fault;

/// How much longer kept credentials must live.
const FRESH: Duration = Duration::from_secs(300);
/// The longest wait for one part of the search.
const PART: Duration = Duration::from_secs(2);

/// The broker's own identity at AWS. What is found is kept until shortly before its end.
#[derive(Clone)]
pub struct Ambient(Arc<Inner>);

struct Inner {
    region: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    provider: Option<SharedCredentialsProvider>,
    kept: Option<Credentials>,
}

impl Ambient {
    /// What the SDK finds, when it is first asked for. Of regional parts of the search those of `region` are asked.
    #[must_use]
    pub fn found(region: &str) -> Self {
        Self(Arc::new(Inner { region: region.to_owned(), state: Mutex::default() }))
    }

    /// What `provider` gives.
    #[must_use]
    pub fn given(provider: SharedCredentialsProvider) -> Self {
        let state = Mutex::new(State { provider: Some(provider), kept: None });
        Self(Arc::new(Inner { region: String::new(), state }))
    }

    /// Credentials that live for some minutes yet.
    pub(crate) async fn credentials(&self) -> Result<Credentials, ProviderFault> {
        let mut state = self.0.state.lock().await;
        if let Some(kept) = state.kept.as_ref().filter(|kept| is_fresh(kept)) {
            return Ok(kept.clone());
        }
        let provider = match &state.provider {
            Some(provider) => provider.clone(),
            None => {
                let found = search(&self.0.region).await?;
                state.provider.insert(found).clone()
            }
        };
        let doing = "looking for the broker's own identity at AWS";
        let credentials = provider.provide_credentials().await.map_err(|error| match error {
            aws_credential_types::provider::error::CredentialsError::ProviderTimedOut(_) => {
                ProviderFault::Unreachable(format!("{doing}: {}", plain(&fault::chain(&error))))
            }
            error => fault::no_identity(doing, &error),
        })?;
        // Without an end they may be changed at any time, and are read where they are: that is cheap.
        state.kept = credentials.expiry().is_some().then(|| credentials.clone());
        Ok(credentials)
    }
}

async fn search(region: &str) -> Result<SharedCredentialsProvider, ProviderFault> {
    let timeouts = TimeoutConfig::builder().connect_timeout(PART).operation_attempt_timeout(PART).build();
    let found = aws_config::defaults(BehaviorVersion::latest())
        .region(SdkRegion::new(region.to_owned()))
        .http_client(http_client())
        .retry_config(RetryConfig::standard().with_max_attempts(2))
        .timeout_config(timeouts)
        .load()
        .await;
    found.credentials_provider().ok_or_else(|| {
        ProviderFault::Misconfigured("the broker has no identity at AWS: see docs/providers/aws.md".to_owned())
    })
}

fn is_fresh(credentials: &Credentials) -> bool {
    credentials.expiry().is_some_and(|expiry| expiry > SystemTime::now() + FRESH)
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ambient").field("region", &self.0.region).finish_non_exhaustive()
    }
}
