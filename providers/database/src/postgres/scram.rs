//! A fresh password and its SCRAM-SHA-256 verifier (RFC 5802, RFC 7677), in the form that PostgreSQL stores:
//! `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`. The verifier is all that the server, its log and its backups
//! ever see; with 256 random bits behind it there is nothing to search for, whatever the iterations.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use writ_core::credential::Secret;
use writ_core::provider::ProviderFault;
use zeroize::Zeroizing;

const SALT: usize = 16;
const PASSWORD: usize = 32;

/// A password of 256 random bits, as 43 characters of base64url: plain ASCII, which SASLprep leaves alone.
pub(crate) fn password() -> Result<Secret, ProviderFault> {
    let mut bytes = Zeroizing::new([0_u8; PASSWORD]);
    rand::fill(bytes.as_mut_slice()).map_err(|_| no_randomness())?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()).into_bytes()))
}

/// The verifier of `password` with a fresh salt.
pub(crate) fn verifier(password: &Secret, iterations: NonZeroU32) -> Result<String, ProviderFault> {
    let mut salt = [0_u8; SALT];
    rand::fill(&mut salt).map_err(|_| no_randomness())?;
    Ok(verifier_with(password, iterations, &salt))
}

pub(crate) fn verifier_with(password: &Secret, iterations: NonZeroU32, salt: &[u8]) -> String {
    let mut salted = Zeroizing::new([0_u8; digest::SHA256_OUTPUT_LEN]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.expose(), salted.as_mut_slice());
    let key = hmac::Key::new(hmac::HMAC_SHA256, salted.as_slice());
    let stored = digest::digest(&digest::SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let server = hmac::sign(&key, b"Server Key");
    let (salt, stored, server) = (STANDARD.encode(salt), STANDARD.encode(stored), STANDARD.encode(server));
    format!("SCRAM-SHA-256${iterations}:{salt}${stored}:{server}")
}

fn no_randomness() -> ProviderFault {
    ProviderFault::Refused("this machine gives no random numbers, so no password can be made".to_owned())
}
