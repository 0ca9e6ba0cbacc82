//! The App: a JWT of a few minutes, signed with its private key, by which GitHub knows it.

use std::sync::{Arc, Mutex, PoisonError};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use writ_core::time::Timestamp;
use writ_provider_source::Source;

/// A JWT begins a minute ago, for clocks that differ, and ends within the ten minutes that GitHub allows.
const BEGUN: i64 = 60;
const LIFE: i64 = 540;
/// For how long one is shown again: signing with RSA takes longer than all the rest.
const REUSED: i64 = 240;

/// The App as the broker shows itself.
pub(crate) struct App {
    issuer: String,
    source: Source,
    /// The newest JWT, and when it was signed.
    newest: Mutex<Option<(i64, Arc<Secret>)>>,
}

impl App {
    pub(crate) fn new(issuer: &str, source: Source) -> Self {
        Self { issuer: issuer.to_owned(), source, newest: Mutex::new(None) }
    }

    /// A JWT that is good for some minutes yet.
    pub(crate) async fn jwt(&self, now: Timestamp) -> Result<Arc<Secret>, ProviderFault> {
        let now = now.as_second();
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, jwt)) = newest.filter(|(signed, _)| (0..REUSED).contains(&(now - signed))) {
            return Ok(jwt);
        }
        let (source, issuer) = (self.source.clone(), self.issuer.clone());
        // Off the runtime's threads: a file may be on a disk that does not answer, and RSA takes its time.
        let signing = tokio::task::spawn_blocking(move || sign(&source, &issuer, now));
        let unsigned = |_| ProviderFault::Unreachable("signing as the App was given up".to_owned());
        let jwt = Arc::new(signing.await.map_err(unsigned)??);
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&jwt)));
        Ok(jwt)
    }

    /// GitHub did not take the newest: the next is made anew, by a key that may have been changed.
    pub(crate) fn forget(&self) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn sign(source: &Source, issuer: &str, now: i64) -> Result<Secret, ProviderFault> {
    let pem = source.read().map_err(|fault| ProviderFault::Misconfigured(format!("the App's private key: {fault}")))?;
    // The library's words may quote the key.
    let unusable = |_| {
        let text = format!("{source} holds no RSA private key in PEM: write the one that GitHub gave for the App");
        ProviderFault::Misconfigured(text)
    };
    let key = EncodingKey::from_rsa_pem(pem.expose()).map_err(unusable)?;
    let claims = json!({ "iat": now - BEGUN, "exp": now + LIFE, "iss": issuer });
    let signed = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).map_err(unusable)?;
    Ok(Secret::new(signed.into_bytes()))
}
