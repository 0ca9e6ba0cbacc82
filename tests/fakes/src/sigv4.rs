//! Signature version 4, signed and verified, from AWS's description of it and with nothing but a hash and an HMAC: what is
//! verified here was made by another implementation, or the tests would prove nothing.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt;

use aws_lc_rs::{digest, hmac};

use crate::clock;

mod encoding;

pub(crate) use encoding::{decode, encode, pairs};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far a request's date may be from the service's own clock, in seconds.
pub(crate) const SKEW: i64 = 900;
/// The payload's hash where none was taken of it.
pub(crate) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// An access key with its secret, and the session token that temporary ones come with.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// `AKIA...` of a user, `ASIA...` of a session.
    pub access_key: String,
    /// What signs.
    pub secret: String,
    /// What must be sent along, where there is one.
    pub token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// A request as it was heard: names of headers in lower case, path and query as they were sent.
#[derive(Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: &'a [u8],
}

impl Heard<'_> {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value.as_str())
    }
}

/// Why a signature is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// There is none.
    Missing,
    /// It is not one.
    Malformed(String),
    /// It is another's, or of another request.
    Mismatch(String),
    /// It is too old, or too young.
    Time(String),
}

/// What a request says of its signature, before anything is known to be true.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) access_key: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) token: Option<String>,
    /// The end of a presigned request's life in seconds after its date.
    pub(crate) expires: Option<i64>,
    /// In seconds since 1970.
    pub(crate) at: i64,
    date: String,
    stamp: String,
    signed: Vec<String>,
    signature: String,
    presigned: bool,
}

impl Claim {
    /// Reads the claim from the `Authorization` header, or else from the query of a presigned request; never from both.
    pub(crate) fn of(request: &Heard<'_>) -> Result<Self, Wrong> {
        let presigned = request.query.contains("X-Amz-");
        match (request.headers.iter().any(|(name, _)| name == "authorization"), presigned) {
            (true, true) => Err(Wrong::Malformed("a signature in the header and another in the query".to_owned())),
            (true, false) => Self::from_header(request),
            (false, true) => Self::from_query(request.query),
            (false, false) => Err(Wrong::Missing),
        }
    }

    fn from_header(request: &Heard<'_>) -> Result<Self, Wrong> {
        let malformed = |what: &str| Wrong::Malformed(format!("authorization header: {what}"));
        let header = request.header("authorization").ok_or_else(|| malformed("it stands twice"))?;
        let fields = header.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(' '));
        let fields = fields.ok_or_else(|| malformed("the algorithm is not AWS4-HMAC-SHA256"))?;
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for field in fields.split(',').map(str::trim) {
            let (name, value) = field.split_once('=').ok_or_else(|| malformed("a field without a value"))?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed,
                "Signature" => &mut signature,
                other => return Err(malformed(&format!("unknown field `{other}`"))),
            };
            if slot.replace(value.to_owned()).is_some() {
                return Err(malformed(&format!("`{name}` stands twice")));
            }
        }
        let (Some(credential), Some(signed), Some(signature)) = (credential, signed, signature) else {
            return Err(malformed("it lacks Credential, SignedHeaders or Signature"));
        };
        let stamp = request.header("x-amz-date").ok_or_else(|| malformed("no `x-amz-date` beside it"))?.to_owned();
        let token = request.header("x-amz-security-token").map(str::to_owned);
        Self::assemble(&credential, stamp, &signed, signature, token, None, false)
    }

    fn from_query(query: &str) -> Result<Self, Wrong> {
        let pairs = pairs(query).ok_or_else(|| Wrong::Malformed("the query is not percent-encoded".to_owned()))?;
        let take = |name: &str| -> Result<Option<String>, Wrong> {
            let mut found = pairs.iter().filter(|(known, _)| known == name);
            let value = found.next().map(|(_, value)| value.clone());
            match found.next() {
                Some(_) => Err(Wrong::Malformed(format!("`{name}` stands twice"))),
                None => Ok(value),
            }
        };
        let need = |name: &str| take(name)?.ok_or_else(|| Wrong::Malformed(format!("no `{name}`")));
        if need("X-Amz-Algorithm")? != ALGORITHM {
            return Err(Wrong::Malformed(format!("the algorithm is not {ALGORITHM}")));
        }
        let expires = need("X-Amz-Expires")?;
        let whole = (!expires.is_empty() && expires.bytes().all(|byte| byte.is_ascii_digit())).then_some(&expires);
        let seconds = whole.and_then(|text| text.parse::<i64>().ok()).filter(|seconds| (1..=604_800).contains(seconds));
        let seconds = seconds.ok_or_else(|| Wrong::Malformed("X-Amz-Expires is not within 1 and 604800".to_owned()))?;
        let (credential, signed) = (need("X-Amz-Credential")?, need("X-Amz-SignedHeaders")?);
        let (stamp, signature) = (need("X-Amz-Date")?, need("X-Amz-Signature")?);
        Self::assemble(&credential, stamp, &signed, signature, take("X-Amz-Security-Token")?, Some(seconds), true)
    }

    fn assemble(
        credential: &str,
        stamp: String,
        signed: &str,
        signature: String,
        token: Option<String>,
        expires: Option<i64>,
        presigned: bool,
    ) -> Result<Self, Wrong> {
        let malformed = |what: &str| Wrong::Malformed(what.to_owned());
        let [access_key, date, region, service, end] = credential.split('/').collect::<Vec<_>>()[..] else {
            return Err(malformed("the credential is not KEY/DATE/REGION/SERVICE/aws4_request"));
        };
        if end != "aws4_request" || access_key.is_empty() || region.is_empty() || service.is_empty() {
            return Err(malformed("the credential is not KEY/DATE/REGION/SERVICE/aws4_request"));
        }
        let at = clock::from_stamp(&stamp).ok_or_else(|| malformed("the date is not YYYYMMDDTHHMMSSZ"))?;
        if !stamp.starts_with(date) || date.len() != 8 {
            return Err(Wrong::Mismatch("the credential is of another day than the request".to_owned()));
        }
        let signed: Vec<String> = signed.split(';').map(str::to_owned).collect();
        let ordered = signed.iter().zip(signed.iter().skip(1)).all(|(one, next)| one < next);
        if !ordered || signed.iter().any(|name| name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase())) {
            return Err(malformed("the signed headers are not in lower case and in order"));
        }
        if !signed.iter().any(|name| name == "host") {
            return Err(Wrong::Mismatch("`host` is not signed".to_owned()));
        }
        let (date, region, service) = (date.to_owned(), region.to_owned(), service.to_owned());
        let access_key = access_key.to_owned();
        Ok(Self { access_key, region, service, token, expires, at, date, stamp, signed, signature, presigned })
    }

    /// Whether the signature is of this request and by this secret, and of this time.
    pub(crate) fn verify(&self, request: &Heard<'_>, secret: &str, now: i64, longest: i64) -> Result<(), Wrong> {
        self.verify_headers(request)?;
        let hash = self.payload_hash(request)?;
        let canonical = canonical(request, &self.signed, &hash, &self.service);
        let scope = format!("{}/{}/{}/aws4_request", self.date, self.region, self.service);
        let text = format!("{ALGORITHM}\n{}\n{scope}\n{}", self.stamp, hex(digest(canonical.as_bytes()).as_ref()));
        let expected = hmac::sign(&key(secret, &self.date, &self.region, &self.service), text.as_bytes());
        if hex(expected.as_ref()) != self.signature {
            return Err(Wrong::Mismatch(
                "the request signature we calculated does not match the signature you provided".to_owned(),
            ));
        }
        let age = now - self.at;
        if age < -SKEW {
            return Err(Wrong::Time("signature not yet current".to_owned()));
        }
        if age >= self.expires.unwrap_or(SKEW).min(longest) {
            return Err(Wrong::Time("signature expired".to_owned()));
        }
        Ok(())
    }

    /// Everything that says something to AWS must be under the signature.
    fn verify_headers(&self, request: &Heard<'_>) -> Result<(), Wrong> {
        for name in &self.signed {
            if !request.headers.iter().any(|(known, _)| known == name) {
                return Err(Wrong::Mismatch(format!("`{name}` is signed and was not sent")));
            }
        }
        let unsigned =
            request.headers.iter().find(|(name, _)| name.starts_with("x-amz-") && !self.signed.contains(name));
        match unsigned {
            Some((name, _)) => Err(Wrong::Mismatch(format!("`{name}` was sent and is not signed"))),
            None => Ok(()),
        }
    }

    fn payload_hash(&self, request: &Heard<'_>) -> Result<String, Wrong> {
        let actual = hex(digest(request.body).as_ref());
        let s3 = self.service == "s3";
        let Some(sent) = request.header("x-amz-content-sha256") else {
            return match (s3, self.presigned) {
                (true, true) => Ok(UNSIGNED.to_owned()),
                (true, false) => Err(Wrong::Malformed("no `x-amz-content-sha256`".to_owned())),
                (false, _) => Ok(actual),
            };
        };
        let unsigned = s3 && matches!(sent, UNSIGNED | "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
        if !unsigned && sent != actual {
            return Err(Wrong::Mismatch("`x-amz-content-sha256` is not the hash of the body".to_owned()));
        }
        Ok(sent.to_owned())
    }
}

/// The headers that sign a request with `keys` at `now`: what this crate itself asks of moto.
pub(crate) fn sign(request: &Heard<'_>, keys: &Keys, region: &str, service: &str, now: i64) -> Vec<(String, String)> {
    let stamp = clock::stamp(now);
    let date: String = stamp.chars().take(8).collect();
    let hash = hex(digest(request.body).as_ref());
    let mut own = vec![("x-amz-date".to_owned(), stamp.clone()), ("x-amz-content-sha256".to_owned(), hash.clone())];
    own.extend(keys.token.iter().map(|token| ("x-amz-security-token".to_owned(), token.clone())));
    let headers: Vec<(String, String)> = request.headers.iter().cloned().chain(own.iter().cloned()).collect();
    let mut signed: Vec<String> = headers.iter().map(|(name, _)| name.clone()).collect();
    signed.sort();
    let request = Heard { headers: &headers, ..*request };
    let canonical = canonical(&request, &signed, &hash, service);
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let text = format!("{ALGORITHM}\n{stamp}\n{scope}\n{}", hex(digest(canonical.as_bytes()).as_ref()));
    let signature = hex(hmac::sign(&key(&keys.secret, &date, region, service), text.as_bytes()).as_ref());
    let (access_key, signed) = (&keys.access_key, signed.join(";"));
    own.push((
        "authorization".to_owned(),
        format!("{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"),
    ));
    own
}

fn canonical(request: &Heard<'_>, signed: &[String], hash: &str, service: &str) -> String {
    // S3 signs the path as it is; every other service encodes it once more.
    let path = if service == "s3" { request.path.to_owned() } else { encode(request.path.as_bytes(), true) };
    let mut query: Vec<(String, String)> = pairs(request.query)
        .unwrap_or_default()
        .into_iter()
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| (encode(name.as_bytes(), false), encode(value.as_bytes(), false)))
        .collect();
    query.sort();
    let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let headers: String = signed.iter().map(|name| format!("{name}:{}\n", folded(request, name))).collect();
    format!("{}\n{path}\n{}\n{headers}\n{}\n{hash}", request.method, query.join("&"), signed.join(";"))
}

fn folded(request: &Heard<'_>, name: &str) -> String {
    let values = request.headers.iter().filter(|(known, _)| known == name);
    values.map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(",")
}

fn key(secret: &str, date: &str, region: &str, service: &str) -> hmac::Key {
    let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
    [date, region, service, "aws4_request"]
        .into_iter()
        .fold(first, |key, part| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref()))
}

fn digest(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
