//! A proof of who a role is: a call of `sts:GetCallerIdentity` that is signed and not made. The broker makes it, and STS tells it
//! who signed. The audience is signed too, so that what was shown to one broker is of no use at another.
//!
//! Its form: `aws-v1.` and the presigned URL in base64url without padding.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign as signed};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use zeroize::Zeroizing;

use crate::fault::{Fault, chain};
use crate::token::{Audience, Token};

const PREFIX: &str = "aws-v1.";
const HEADER: &str = "x-writ-audience";
/// How long it is good for. STS takes a signature for a quarter of an hour, whatever it says.
const LIFE: Duration = Duration::from_secs(300);

/// Signs a proof.
pub(super) fn sign(
    credentials: &Credentials,
    region: &str,
    audience: &Audience,
    now: SystemTime,
) -> Result<Token, Fault> {
    let failed = |error: &dyn core::error::Error| Fault::new(format!("the proof cannot be signed: {}", chain(error)));
    let suffix = match region.split('-').next() {
        Some("cn") => "amazonaws.com.cn",
        Some("eusc") => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    let base = format!("https://sts.{region}.{suffix}/?Action=GetCallerIdentity&Version=2011-06-15");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFE);
    let identity = credentials.clone().into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let headers = [(HEADER, audience.as_str())].into_iter();
    let request =
        SignableRequest::new("GET", &base, headers, SignableBody::Bytes(&[])).map_err(|error| failed(&error))?;
    let (instructions, _) = signed(request, &parameters).map_err(|error| failed(&error))?.into_parts();
    let mut url = Url::parse(&base).map_err(|error| failed(&error))?;
    for (name, value) in instructions.params() {
        url.query_pairs_mut().append_pair(name, value);
    }
    let url = Zeroizing::new(String::from(url).replace('+', "%20"));
    Token::new(&Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(url.as_bytes()))), "the signer")
}

/// What may be shown of a proof: who signed it where, and for how long it is good. Not the signature, nor the session's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The host that it is for.
    pub host: String,
    /// The access key's id.
    pub access_key: String,
    /// When it was signed, as it says.
    pub signed: String,
    /// For how many seconds it is good from then on.
    pub seconds: u32,
}

impl Proof {
    /// Reads a token as a proof; `None` where it is none.
    #[must_use]
    pub fn of(token: &Token) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(token.expose().strip_prefix(PREFIX)?).ok()?);
        let url = Url::parse(core::str::from_utf8(&bytes).ok()?).ok()?;
        let value =
            |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned());
        Some(Self {
            host: url.host_str()?.to_owned(),
            access_key: value("X-Amz-Credential")?.split('/').next()?.to_owned(),
            signed: value("X-Amz-Date")?,
            seconds: value("X-Amz-Expires")?.parse().ok()?,
        })
    }
}
