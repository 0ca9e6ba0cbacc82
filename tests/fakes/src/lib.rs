//! Fakes of what no registry has, stricter than the real ones.
//!
//! Each says in its head what is real behind it, what is ours, and where it is stricter or knows less than the real one.
//!
//! * [`sts`]: AWS's STS and IAM, in front of the emulator [`moto`]; S3 and the rest pass through it.
//! * [`rds`]: how RDS takes login tokens, in front of a real PostgreSQL.
//! * [`entra`]: Microsoft Entra's token endpoint, and what of ARM, Key Vault and a machine's metadata looks at its tokens.
//! * [`gcp`]: Google's STS, IAM credentials, storage and keys, and how Cloud SQL takes tokens, in front of a real PostgreSQL.
//! * [`github`]: the part of GitHub's REST API that Apps get their tokens from.
//! * [`issuer`]: a small OIDC issuer for tokens of every kind, sound and broken.
//! * [`dead`]: services that never answer, or that nobody runs.

pub mod dead;
pub mod entra;
pub mod gcp;
pub mod github;
pub mod issuer;
pub mod moto;
pub mod rds;
pub mod sts;

mod background;
mod certificates;
mod clock;
mod halves;
mod sigv4;

pub use sigv4::Keys;

/// Bytes that nobody can guess, in hexadecimal.
fn random_hex(bytes: usize) -> Result<String, String> {
    let mut random = vec![0_u8; bytes];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| "no random numbers".to_owned())?;
    Ok(sigv4::hex(&random))
}
