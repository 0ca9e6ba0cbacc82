//! The identity that the broker's process has at Google: application default credentials, in a file that the environment names, or
//! of the machine that it runs on.

use core::fmt;
use std::sync::Arc;
use std::time::Duration;

use google_cloud_auth::credentials::AccessTokenCredentials;
use tokio::sync::Mutex;
use writ_core::provider::ProviderFault;
use writ_provider_calls::plain;
use zeroize::Zeroizing;

use crate::adc;

/// How long the search may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The broker's own identity at Google. Tokens are kept, and renewed before they end, by the library.
#[derive(Clone)]
pub struct Ambient(Arc<Mutex<State>>);

enum State {
    /// It is looked for when it is first needed, again after it failed.
    Sought(Option<AccessTokenCredentials>),
    Given(AccessTokenCredentials),
}

impl Ambient {
    /// What is found, when it is first asked for.
    #[must_use]
    pub fn found() -> Self {
        Self(Arc::new(Mutex::new(State::Sought(None))))
    }

    /// What these credentials give.
    #[must_use]
    pub fn given(credentials: AccessTokenCredentials) -> Self {
        Self(Arc::new(Mutex::new(State::Given(credentials))))
    }

    /// A token that lives for some minutes yet.
    pub(crate) async fn token(&self) -> Result<Zeroizing<String>, ProviderFault> {
        let credentials = self.credentials().await?;
        let doing = "looking for the broker's own identity at Google";
        let asked = tokio::time::timeout(LIMIT, credentials.access_token()).await;
        let Ok(asked) = asked else {
            let text = format!("{doing}: no answer within {} s", LIMIT.as_secs());
            return Err(ProviderFault::Unreachable(text));
        };
        match asked {
            Ok(token) => Ok(Zeroizing::new(token.token)),
            Err(error) => {
                // What failed for good stays so until it is made anew.
                if let State::Sought(known) = &mut *self.0.lock().await {
                    *known = None;
                }
                // What answered is not repeated: it may be anything.
                let words = error.to_string();
                let words = plain(words.split("body=").next().unwrap_or_default());
                Err(if error.is_transient() {
                    ProviderFault::Unreachable(format!("{doing}: {words}"))
                } else {
                    nobody(&words)
                })
            }
        }
    }

    async fn credentials(&self) -> Result<AccessTokenCredentials, ProviderFault> {
        match &mut *self.0.lock().await {
            State::Given(credentials) | State::Sought(Some(credentials)) => Ok(credentials.clone()),
            State::Sought(known) => Ok(known.insert(adc::found()?).clone()),
        }
    }
}

pub(crate) fn nobody(words: &str) -> ProviderFault {
    ProviderFault::Misconfigured(format!(
        "the broker has no identity at Google: run it as a service account, or name its credentials in \
         `GOOGLE_APPLICATION_CREDENTIALS`, see docs/providers/gcp.md ({words})"
    ))
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ambient(..)")
    }
}
