//! What the configuration says of the broker as an issuer.

use serde::Deserialize;

use crate::duration::Span;
use crate::keys::rotating::{Form, Purpose};

/// The broker as an OIDC issuer for targets: `[broker.issues]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuingConfig {
    /// The issuer's address, without a slash at its end, where targets find its two documents: the broker's own unless they
    /// are served elsewhere.
    #[serde(default)]
    pub url: Option<String>,
    /// What its keys are.
    #[serde(default)]
    pub algorithm: KeyForm,
    /// How long an assertion lives, unless its writ ends sooner.
    #[serde(default = "token_life")]
    pub token_life: Span,
    /// How old the newest key gets before another is made.
    #[serde(default = "key_life")]
    pub key_life: Span,
    /// How long a key is published before it signs: longer than targets keep the keys that they fetched.
    #[serde(default = "key_announce")]
    pub key_announce: Span,
    /// The key in a cloud's key management service that signs, instead of keys in the broker's state: an ARN at AWS,
    /// `projects/.../cryptoKeyVersions/1` at Google, an identifier with its version in Azure Key Vault. It is changed by whoever
    /// configures.
    #[serde(default)]
    pub kms_key: Option<String>,
    /// Keys there that are published and do not sign: those of before, until their tokens have ended, and the next one, before
    /// it signs.
    #[serde(default)]
    pub kms_other_keys: Vec<String>,
    /// Where that service is, if not where its cloud has it.
    #[serde(default)]
    pub kms_endpoint: Option<String>,
}

impl Default for IssuingConfig {
    fn default() -> Self {
        let (token_life, key_life, key_announce) = (token_life(), key_life(), key_announce());
        Self {
            url: None,
            algorithm: KeyForm::default(),
            token_life,
            key_life,
            key_announce,
            kms_key: None,
            kms_other_keys: Vec::new(),
            kms_endpoint: None,
        }
    }
}

/// What the issuer's keys are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum KeyForm {
    /// ECDSA on P-256: small and fast. AWS, Google Cloud and Kubernetes take it.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// RSA with 2048 bits: Entra takes nothing else.
    #[serde(rename = "RS256")]
    Rs256,
}

impl KeyForm {
    pub(super) const fn purpose(self) -> Purpose {
        match self {
            Self::Es256 => Purpose { name: "issuer", form: Form::P256 },
            Self::Rs256 => Purpose { name: "issuer-rsa", form: Form::Rsa2048 },
        }
    }
}

const fn token_life() -> Span {
    Span::seconds(300)
}

const fn key_life() -> Span {
    Span::seconds(90 * 24 * 3600)
}

const fn key_announce() -> Span {
    Span::seconds(24 * 3600)
}

impl IssuingConfig {
    /// The mistake that the form does not show, and what to write instead.
    #[must_use]
    pub fn mistake(&self) -> Option<String> {
        let plain = |url: &String| {
            let rest = url.strip_prefix("https://").unwrap_or_default();
            !rest.is_empty() && !rest.ends_with('/') && !rest.contains(['?', '#', '@', ' '])
        };
        let (token, key, announce) = (self.token_life.get(), self.key_life.get(), self.key_announce.get());
        if self.url.as_ref().is_some_and(|url| !plain(url)) {
            Some("`url` is no issuer's address: write it as `https://host/path`, without a slash at its end".to_owned())
        } else if !(60..=3600).contains(&token.as_secs()) {
            Some(format!("`token_life` is {}: write 1m to 1h", self.token_life))
        } else if key < announce * 2 || key.as_secs() > 366 * 24 * 3600 {
            let problem = "write at least twice `key_announce`, and at most 366d";
            Some(format!("`key_life` is {}: {problem}", self.key_life))
        } else if self.kms_key.is_none() && !(self.kms_other_keys.is_empty() && self.kms_endpoint.is_none()) {
            Some("`kms_other_keys` and `kms_endpoint` are of no use alone: add `kms_key`".to_owned())
        } else if self.kms_key.as_ref().is_some_and(|key| self.kms_other_keys.contains(key)) {
            Some("`kms_other_keys` names the key that signs: it is published anyway, leave it out there".to_owned())
        } else {
            None
        }
    }
}
