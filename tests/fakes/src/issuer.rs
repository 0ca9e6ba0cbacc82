//! A small OIDC issuer on loopback, with a key of each kind, for tokens that are sound and tokens that are not.
//!
//! Over plain HTTP, or over TLS by an authority of its own ([`Issuer::ca_pem`]). Not a fake of any one product: it is what
//! discovery and JWKS ask of an issuer, and signs whatever claims it is given.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::background::{Background, acceptor, listen, serve};
use crate::certificates::Certificate;

/// Algorithms that the issuer signs with. AWS takes neither of the last two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with PKCS#1 padding and SHA-256.
    Rs256,
    /// RSA with PKCS#1 padding and SHA-384.
    Rs384,
    /// RSA with PKCS#1 padding and SHA-512.
    Rs512,
    /// P-256 and SHA-256.
    Es256,
    /// P-384 and SHA-384.
    Es384,
    /// P-521 and SHA-512.
    Es512,
    /// RSA with PSS padding and SHA-256.
    Ps256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Es256, Self::Es384, Self::Es512, Self::Ps256, Self::EdDsa];

    /// As a JWT's header names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 => "rsa",
            Self::Es256 => "p256",
            Self::Es384 => "p384",
            Self::Es512 => "p521",
            Self::EdDsa => "ed25519",
        }
    }
}

/// The keys, each by its name.
#[derive(Debug)]
struct Keys {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    p521: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Keys {
    fn make() -> Result<Self, String> {
        let broken = |_| "cannot make a key".to_owned();
        Ok(Self {
            rsa: RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).map_err(broken)?,
            p256: EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).map_err(broken)?,
            p384: EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).map_err(broken)?,
            p521: EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_FIXED_SIGNING).map_err(broken)?,
            ed25519: Ed25519KeyPair::generate().map_err(broken)?,
        })
    }

    fn sign(&self, algorithm: Algorithm, text: &[u8]) -> Result<Vec<u8>, String> {
        let broken = |_| "cannot sign".to_owned();
        let random = SystemRandom::new();
        let rsa = |padding: &'static dyn signature::RsaEncoding| {
            let mut bytes = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(padding, &random, text, &mut bytes).map_err(broken)?;
            Ok(bytes)
        };
        let ec = |key: &EcdsaKeyPair| key.sign(&random, text).map(|mac| mac.as_ref().to_vec()).map_err(broken);
        match algorithm {
            Algorithm::Rs256 => rsa(&signature::RSA_PKCS1_SHA256),
            Algorithm::Rs384 => rsa(&signature::RSA_PKCS1_SHA384),
            Algorithm::Rs512 => rsa(&signature::RSA_PKCS1_SHA512),
            Algorithm::Ps256 => rsa(&signature::RSA_PSS_SHA256),
            Algorithm::Es256 => ec(&self.p256),
            Algorithm::Es384 => ec(&self.p384),
            Algorithm::Es512 => ec(&self.p521),
            Algorithm::EdDsa => Ok(self.ed25519.sign(text).as_ref().to_vec()),
        }
    }

    fn public(&self) -> Result<Value, String> {
        let rsa = self.rsa.public_key();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let ec = |name: &str, curve: &str, key: &EcdsaKeyPair| {
            let point = key.public_key().as_ref().get(1..).unwrap_or_default();
            let (x, y) = point.split_at(point.len() / 2);
            json!({ "kty": "EC", "crv": curve, "kid": name, "use": "sig", "x": number(x), "y": number(y) })
        };
        let (modulus, exponent) =
            (rsa.modulus().big_endian_without_leading_zero(), rsa.exponent().big_endian_without_leading_zero());
        Ok(json!({ "keys": [
            { "kty": "RSA", "kid": "rsa", "use": "sig", "n": number(modulus), "e": number(exponent) },
            ec("p256", "P-256", &self.p256),
            ec("p384", "P-384", &self.p384),
            ec("p521", "P-521", &self.p521),
            { "kty": "OKP", "crv": "Ed25519", "kid": "ed25519", "use": "sig", "x": number(self.ed25519.public_key().as_ref()) },
        ]}))
    }
}

/// A running issuer.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    authority: Option<String>,
    keys: Keys,
    _background: Background,
}

impl Issuer {
    /// Starts it over plain HTTP.
    ///
    /// # Errors
    /// If there is no port or no key.
    pub fn start() -> Result<Self, String> {
        Self::start_over(None)
    }

    /// Starts it over TLS.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_tls() -> Result<Self, String> {
        Self::start_over(Some(Certificate::make(&[])?))
    }

    fn start_over(certificate: Option<Certificate>) -> Result<Self, String> {
        let background = Background::start()?;
        let tls = certificate.as_ref().map(acceptor).transpose()?;
        let (listener, address) = background.run(listen())?;
        let url = match certificate {
            None => format!("http://{address}"),
            Some(_) => format!("https://localhost:{}", address.port()),
        };
        let keys = Keys::make()?;
        let discovery = json!({
            "issuer": url,
            "jwks_uri": format!("{url}/keys"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": Algorithm::ALL.map(Algorithm::name),
        });
        let public = keys.public()?;
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(move || async { Json(discovery) }))
            .route("/keys", get(move || async { Json(public) }));
        background.spawn(serve(listener, tls, router));
        Ok(Self { url, authority: certificate.map(|own| own.authority), keys, _background: background })
    }

    /// Its `iss`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its keys, as a JWK set.
    pub(crate) fn keys_document(&self) -> Result<Value, String> {
        self.keys.public()
    }

    /// The authority that vouches for its certificate, where it speaks TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// Claims of a sound token for ten minutes from now, to be changed at will.
    #[must_use]
    pub fn claims(&self, audience: &str, subject: &str) -> Value {
        let now = Timestamp::now().as_second();
        json!({ "iss": self.url, "aud": audience, "sub": subject, "iat": now, "nbf": now, "exp": now + 600 })
    }

    /// A token of these claims, by the key of that algorithm.
    ///
    /// # Errors
    /// If it cannot sign.
    pub fn token(&self, algorithm: Algorithm, claims: &Value) -> Result<String, String> {
        self.token_with(algorithm, &json!({ "alg": algorithm.name(), "kid": algorithm.key(), "typ": "JWT" }), claims)
    }

    /// The same with another header, whatever that says.
    ///
    /// # Errors
    /// If it cannot sign.
    pub fn token_with(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> Result<String, String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(header), part(claims));
        let mac = self.keys.sign(algorithm, text.as_bytes())?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(mac)))
    }
}
