//! The form of a proof: `aws-v1.` and, in base64url without padding, the presigned address. Read so strictly that one
//! question has one form: no parameter twice or in another case, none that is not known, nothing before or after.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use writ_core::time::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::{AUDIENCE_HEADER, IdentityFault, sha256, shape};

/// What such a proof begins with.
pub const PREFIX: &str = "aws-v1.";
/// The longest address, in bytes. A session token has no fixed size.
const MAX_ADDRESS: usize = 16 * 1024;
/// The longest life that a signature may ask for, in seconds.
const MAX_LIFE: i64 = 900;

/// The parameters, in the order of their names. All but the security token, which permanent keys have not, must be there.
const PARAMETERS: [&str; 9] = [
    "Action",
    "Version",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];
const OPTIONAL: &str = "X-Amz-Security-Token";

/// A proof that has the right form. Nothing in it is verified.
pub(in crate::identity) struct Proof {
    /// The region that it was signed for.
    pub(super) region: String,
    /// When it was signed, as it says.
    pub(super) signed_at: Timestamp,
    /// How long its maker wanted it to be accepted.
    pub(super) life: SignedDuration,
    host: String,
    signature: String,
    query: Zeroizing<String>,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof")
            .field("region", &self.region)
            .field("signed_at", &self.signed_at)
            .finish_non_exhaustive()
    }
}

impl Proof {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`IdentityFault`] for any departure from the form.
    pub(in crate::identity) fn read(token: &str) -> Result<Self, IdentityFault> {
        let encoded = token.strip_prefix(PREFIX).ok_or_else(|| shape("it does not begin with `aws-v1.`"))?;
        if encoded.len() > MAX_ADDRESS / 3 * 4 {
            return Err(IdentityFault::TooLong(token.len()));
        }
        let address = URL_SAFE_NO_PAD.decode(encoded).map(Zeroizing::new);
        let address = address.map_err(|_| shape("it is not base64url without padding"))?;
        let address =
            core::str::from_utf8(&address).ok().filter(|address| address.bytes().all(|byte| byte.is_ascii_graphic()));
        let address = address.ok_or_else(|| shape("its address has characters that no address has"))?;
        let (host, query) = address
            .strip_prefix("https://")
            .and_then(|rest| rest.split_once("/?"))
            .ok_or_else(|| shape("its address is not `https://HOST/?PARAMETERS`"))?;
        let region = region_of(host).ok_or_else(|| shape("its host is not the STS endpoint of a region"))?;
        let values = parameters(query)?;
        Self::checked(host, region, &values)
    }

    fn checked(host: &str, region: &str, values: &[Option<Zeroizing<String>>; 9]) -> Result<Self, IdentityFault> {
        let [action, version, algorithm, credential, date, expires, _, signature, signed] = values;
        let text =
            |value: &Option<Zeroizing<String>>| value.as_ref().map(|value| value.to_string()).unwrap_or_default();
        let is =
            |value: &Option<Zeroizing<String>>, expected: &str| value.as_ref().is_some_and(|value| **value == expected);
        let (date, expires, signature) = (text(date), text(expires), text(signature));
        let named = [
            (is(action, "GetCallerIdentity"), "`Action` is not `GetCallerIdentity`"),
            (is(version, "2011-06-15"), "`Version` is not `2011-06-15`"),
            (is(algorithm, "AWS4-HMAC-SHA256"), "`X-Amz-Algorithm` is not `AWS4-HMAC-SHA256`"),
            (is(signed, &format!("host;{AUDIENCE_HEADER}")), "the signed headers are not `host;x-writ-audience`"),
            (is_signature(&signature), "`X-Amz-Signature` is not 64 lower-case hexadecimal digits"),
        ];
        if let Some((_, problem)) = named.into_iter().find(|(holds, _)| !holds) {
            return Err(shape(problem));
        }
        let signed_at = moment(&date).ok_or_else(|| shape("`X-Amz-Date` is not a time such as `20260102T030405Z`"))?;
        let day = date.get(..8).unwrap_or_default();
        if !is_scope(&text(credential), day, region) {
            return Err(shape("`X-Amz-Credential` is not for the day, the region and `sts`"));
        }
        let life = expires.parse().ok().filter(|life| (1..=MAX_LIFE).contains(life) && expires == life.to_string());
        let life = life.ok_or_else(|| shape("`X-Amz-Expires` is not 1 to 900"))?;
        Ok(Self {
            region: region.to_owned(),
            signed_at,
            life: SignedDuration::from_secs(life),
            host: host.to_owned(),
            signature,
            query: canonical(values),
        })
    }

    /// The host that it was signed for: the STS endpoint of its region, made from the region alone.
    pub(in crate::identity) fn host(&self) -> &str {
        &self.host
    }

    /// The partition of its region.
    pub(super) fn partition(&self) -> &'static str {
        partition_of(&self.region).map_or("", |partition| partition.name)
    }

    /// The parameters as they are sent: made anew from what was read.
    pub(in crate::identity) fn query(&self) -> &str {
        &self.query
    }

    /// The address that is asked.
    pub(super) fn address(&self) -> Zeroizing<String> {
        let mut address = Zeroizing::new(String::with_capacity(self.host.len() + self.query.len() + 16));
        for part in ["https://", self.host(), "/?", self.query()] {
            address.push_str(part);
        }
        address
    }

    /// What tells it from every other: all that is in it.
    pub(in crate::identity) fn digest(&self) -> [u8; 32] {
        sha256(format!("{}?{}", self.host, *self.query).as_bytes())
    }

    /// What tells its signature from every other. SigV4 signs without chance, so that one question has one signature.
    pub(super) fn signature_digest(&self) -> [u8; 32] {
        sha256(format!("{PREFIX}{}", self.signature).as_bytes())
    }
}

/// A partition of AWS: what its ARNs say, and what its endpoints end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Partition {
    pub(super) name: &'static str,
    suffix: &'static str,
}

/// The partition that a region is of, by its name's form (`eu-west-1`).
pub(super) fn partition_of(region: &str) -> Option<Partition> {
    let parts: Vec<&str> = region.split('-').collect();
    let lower = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let (number, words) = parts.split_last()?;
    let sound = (1..=2).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && (2..=3).contains(&words.len())
        && words.iter().all(lower)
        && region.len() <= 32;
    let (name, suffix) = match words {
        ["cn", ..] => ("aws-cn", "amazonaws.com.cn"),
        ["us", "gov", _] => ("aws-us-gov", "amazonaws.com"),
        ["eusc", ..] => ("aws-eusc", "amazonaws.eu"),
        // The isolated partitions have endpoints of their own.
        [_, "iso" | "isob" | "isoe" | "isof", ..] => return None,
        _ => ("aws", "amazonaws.com"),
    };
    sound.then_some(Partition { name, suffix })
}

fn region_of(host: &str) -> Option<&str> {
    let region = host.strip_prefix("sts.")?.split('.').next()?;
    let partition = partition_of(region)?;
    (host == format!("sts.{region}.{}", partition.suffix)).then_some(region)
}

/// The values of the parameters, each at its name's place.
fn parameters(query: &str) -> Result<[Option<Zeroizing<String>>; 9], IdentityFault> {
    let mut values: [Option<Zeroizing<String>>; 9] = Default::default();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').ok_or_else(|| shape("a parameter has no value"))?;
        let name = decoded(name).ok_or_else(|| shape("a parameter's name is not percent-encoded as it must be"))?;
        let place = PARAMETERS.iter().position(|known| *known == *name);
        let place = place
            .and_then(|place| values.get_mut(place))
            .ok_or_else(|| shape("it has a parameter that is not known"))?;
        if place.is_some() {
            return Err(shape("it has a parameter twice"));
        }
        let value = decoded(value).filter(|value| !value.is_empty());
        *place =
            Some(value.ok_or_else(|| shape("a parameter's value is empty, or not percent-encoded as it must be"))?);
    }
    let missing = PARAMETERS.iter().zip(&values).find(|(name, value)| value.is_none() && **name != OPTIONAL);
    match missing {
        Some((name, _)) => Err(shape(format!("it lacks the parameter `{name}`"))),
        None => Ok(values),
    }
}

/// Text without its percent-encoding; `None` if it has a `+`, which two readers may take for two things, or is not visible
/// ASCII once decoded.
fn decoded(text: &str) -> Option<Zeroizing<String>> {
    let mut found = Zeroizing::new(String::with_capacity(text.len()));
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => hex_digit(bytes.next()?)? * 16 + hex_digit(bytes.next()?)?,
            b'+' => return None,
            other => other,
        };
        if !byte.is_ascii_graphic() {
            return None;
        }
        found.push(char::from(byte));
    }
    Some(found)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The parameters as SigV4 writes them: all but letters, digits and `-_.~` encoded, in upper case.
fn canonical(values: &[Option<Zeroizing<String>>; 9]) -> Zeroizing<String> {
    let longest: usize = values.iter().flatten().map(|value| 32 + value.len() * 3).sum();
    // Never grown, so that no copy is left behind.
    let mut query = Zeroizing::new(String::with_capacity(longest));
    for (name, value) in PARAMETERS.iter().zip(values) {
        let Some(value) = value else { continue };
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                query.push(char::from(byte));
            } else {
                const DIGITS: [char; 16] =
                    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
                query.push('%');
                query.extend([byte >> 4, byte & 15].iter().filter_map(|half| DIGITS.get(usize::from(*half))));
            }
        }
    }
    query
}

fn is_signature(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// `KEY/DAY/REGION/sts/aws4_request`.
fn is_scope(credential: &str, day: &str, region: &str) -> bool {
    let Some(key) = credential.strip_suffix(&format!("/{day}/{region}/sts/aws4_request")) else { return false };
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    (16..=128).contains(&key.len()) && key.bytes().all(plain)
}

/// `20260102T030405Z`.
fn moment(text: &str) -> Option<Timestamp> {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    if day.len() != 8 || time.len() != 6 || !digits(day) || !digits(time) {
        return None;
    }
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<i8>().ok());
    let (year, month, date) = (day.get(..4)?.parse().ok()?, number(day.get(4..6))?, number(day.get(6..8))?);
    let (hour, minute, second) = (number(time.get(..2))?, number(time.get(2..4))?, number(time.get(4..6))?);
    let civil = DateTime::new(year, month, date, hour, minute, second, 0).ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
