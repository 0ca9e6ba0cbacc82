//! Login tokens of RDS and Aurora, signed by `aws-sdk-rds`, which is large and used nowhere else.
//!
//! The SDK puts user and host into an address as they are and panics where that gives none, so that here both are checked
//! first: to be refused is better than to sign for another user. The SDK's own copy of a token is not zeroized; the one that
//! is given back is.

use core::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sdk_rds::auth_token::{AuthTokenGenerator, Config};
use aws_smithy_async::time::StaticTimeSource;
use aws_types::SdkConfig;
use aws_types::region::Region;
use writ_core::credential::Secret;

/// The lowest port that RDS lets a database have.
const LOWEST_PORT: u16 = 1150;
/// How long a token is good, in seconds: RDS takes no other.
const LIFE: u64 = 900;

/// Where a token logs in, and as whom.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The endpoint's own name, as RDS lists it.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The database's user.
    pub user: &'a str,
    /// The region that the endpoint is in.
    pub region: &'a str,
}

/// Why no token was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFault {
    /// The host is none that RDS gives to an endpoint.
    Host,
    /// The port is none that RDS gives to a database.
    Port,
    /// The user cannot be written into a token as it is.
    User,
    /// The region is no region's name.
    Region,
    /// The signer failed.
    Unsigned(String),
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("the host is no endpoint's name: write it in small letters, as RDS lists it"),
            Self::Port => write!(f, "the port is none of RDS's: write a number from {LOWEST_PORT} to 65535"),
            Self::User => f.write_str("the user cannot log in by IAM here: name one of 1 to 63 of `A-Z a-z 0-9 _ . -`"),
            Self::Region => f.write_str("the region is no region's name: write one such as `eu-west-1`"),
            Self::Unsigned(why) => write!(f, "the signer failed: {why}"),
        }
    }
}

impl std::error::Error for TokenFault {}

/// Whether the SDK can sign for a host: it would panic at what is no host's name, and sign another at what is one in
/// disguise.
///
/// # Errors
/// [`TokenFault::Host`]
pub fn check_host(host: &str) -> Result<(), TokenFault> {
    let labels: Vec<&str> = host.split('.').collect();
    let label = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
            && !label.starts_with("xn--")
    };
    let named = labels.last().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_lowercase()));
    if host.len() <= 253 && labels.len() >= 2 && named && labels.iter().all(label) {
        Ok(())
    } else {
        Err(TokenFault::Host)
    }
}

/// Whether a database of RDS can have the port.
///
/// # Errors
/// [`TokenFault::Port`]
pub const fn check_port(port: u16) -> Result<(), TokenFault> {
    if port < LOWEST_PORT { Err(TokenFault::Port) } else { Ok(()) }
}

/// Whether a user can stand in a token as it is: nothing in it would be escaped, or end its value.
///
/// # Errors
/// [`TokenFault::User`]
pub fn check_user(user: &str) -> Result<(), TokenFault> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if (1..=63).contains(&user.len()) && user.bytes().all(plain) { Ok(()) } else { Err(TokenFault::User) }
}

/// The token, signed as of `at`. It is good for a login for 15 minutes from then, and no longer than what signed it.
///
/// # Errors
/// [`TokenFault`]; nothing was signed.
pub async fn token(login: &Login<'_>, identity: &Credentials, at: SystemTime) -> Result<Secret, TokenFault> {
    check_host(login.host)?;
    check_port(login.port)?;
    check_user(login.user)?;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if login.region.is_empty() || !login.region.bytes().all(plain) {
        return Err(TokenFault::Region);
    }
    let unsigned = |error: &dyn fmt::Display| TokenFault::Unsigned(error.to_string());
    let config = Config::builder()
        .hostname(login.host)
        .port(u64::from(login.port))
        .username(login.user)
        .region(Region::new(login.region.to_owned()))
        .credentials(identity.clone())
        .expires_in(LIFE)
        .build()
        .map_err(|error| unsigned(&error))?;
    let sdk = SdkConfig::builder().time_source(StaticTimeSource::new(at)).build();
    let token = AuthTokenGenerator::new(config).auth_token(&sdk).await.map_err(|error| unsigned(&error))?;
    Ok(Secret::new(token.as_str().as_bytes().to_vec()))
}

#[cfg(test)]
mod tests;
