//! Credentials of AWS, three providers: `aws` (sessions of roles, by STS), `rds` (login tokens of RDS and Aurora) and `eks`
//! (tokens for EKS clusters); and the key of Writ's own issuer in AWS's key management service.
//!
//! AWS knows who asks by an assertion of Writ's issuer, by the workload's own token, or by the identity that the broker's
//! process has there. A session is named after its writ, so that CloudTrail shows the writ in every call; it can do what its
//! role and its scope both allow; it ends by itself.
//!
//! What this must never do: ask for a session without a scope, take a credential that lives longer than was asked for, put a
//! name from outside into an ARN, a tag or an address unchecked, follow a redirect, use a proxy that the environment names, or
//! let an answer's body into an error or a log.
//!
//! Read [`config`], [`provider`], then [`assume`] (how a role is assumed) with [`scope`], [`tags`] and [`sts`]; then [`rds`]
//! and [`eks`], which build on it; [`access`] is how a cluster knows the broker. [`iam`] takes sessions back, [`ambient`] is the broker's own identity, [`fault`] says who is
//! to blame, [`kms`] signs for the issuer, [`secrets`] fetches what is kept in Secrets Manager. What an account must trust is in `docs/providers/aws.md`.

pub mod access;
pub mod ambient;
mod arn;
mod assume;
mod client;
pub mod config;
pub mod eks;
mod fault;
mod iam;
pub mod kms;
pub mod provider;
pub mod rds;
mod region;
mod scope;
pub mod secrets;
mod session;
mod sts;
mod tags;
mod xml;

pub use access::{EksAccess, EksAccessConfig};
pub use ambient::Ambient;
pub use config::{AssumeConfig, AwsConfig, By, ConfigFault};
pub use eks::{EksConfig, EksProvider};
pub use kms::KmsSigner;
pub use provider::AwsProvider;
pub use rds::{RdsConfig, RdsProvider};
pub use scope::Statement;
pub use secrets::{SecretsManager, SecretsManagerConfig};

#[cfg(test)]
mod tests;
