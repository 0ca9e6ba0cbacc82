//! A session of a role: what STS gave.

use core::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use serde::{Deserialize, Deserializer, Serialize};
use writ_core::credential::{Credential, Secret};
use writ_core::provider::ProviderFault;
use writ_core::time::Timestamp;
use zeroize::Zeroizing;

/// The longest output, in bytes: session tokens have no fixed size, and this is many times what any has had.
const LONGEST: usize = 64 * 1024;

/// Temporary credentials, and whose.
pub(crate) struct Session {
    /// The access key's id, which CloudTrail shows of every call: public.
    pub(crate) key: String,
    pub(crate) secret: Zeroizing<String>,
    pub(crate) token: Zeroizing<String>,
    /// Its end, as AWS granted it.
    pub(crate) expires: Timestamp,
    /// What AWS calls it: the ARN of the assumed role, with the session's name at its end.
    pub(crate) arn: String,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("arn", &self.arn).field("key", &self.key).finish_non_exhaustive()
    }
}

/// What AWS calls the output of `credential_process`, version 1.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Output<'a> {
    version: u8,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    expiration: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Read {
    access_key_id: String,
    #[serde(deserialize_with = "zeroizing")]
    secret_access_key: Zeroizing<String>,
    #[serde(deserialize_with = "zeroizing")]
    session_token: Zeroizing<String>,
    expiration: Timestamp,
}

fn zeroizing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

impl Session {
    /// The secret as it goes to the gateway. Its buffer is large enough from the start, so that none is left behind.
    pub(crate) fn to_secret(&self) -> Result<Secret, ProviderFault> {
        let mut out = Vec::with_capacity(self.token.len() + self.secret.len() + self.key.len() + 256);
        let output = Output {
            version: 1,
            access_key_id: &self.key,
            secret_access_key: &self.secret,
            session_token: &self.token,
            expiration: self.expires.to_string(),
        };
        let written = serde_json::to_writer(&mut out, &output);
        let secret = Secret::new(out);
        match written {
            Ok(()) if secret.expose().len() <= LONGEST => Ok(secret),
            _ => Err(ProviderFault::Refused("AWS gave a session token that is too long to be handed on".to_owned())),
        }
    }

    /// The session in a credential that [`Self::to_secret`] wrote.
    pub(crate) fn of(credential: &Credential) -> Result<Self, ProviderFault> {
        let read: Read = serde_json::from_slice(credential.secret.expose())
            .map_err(|_| ProviderFault::Refused("the credential is no session of AWS's".to_owned()))?;
        Ok(Self {
            key: read.access_key_id,
            secret: read.secret_access_key,
            token: read.session_token,
            expires: read.expiration,
            arn: credential.principal.clone(),
        })
    }

    /// The same for the SDK, which zeroizes it too.
    pub(crate) fn credentials(&self) -> Credentials {
        let (key, secret, token) = (self.key.clone(), self.secret.as_str().to_owned(), self.token.as_str().to_owned());
        Credentials::new(key, secret, Some(token), Some(moment(self.expires)), "writ")
    }
}

/// A time in the SDK's form.
pub(crate) fn moment(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).unwrap_or_default())
}

/// A time in ours, without its fraction: never later than it was.
pub(crate) fn timestamp(at: SystemTime) -> Option<Timestamp> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).ok()
}
