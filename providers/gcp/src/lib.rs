//! Credentials of Google Cloud, three providers: `gcp` (access and ID tokens of service accounts), `cloudsql` (logins to Cloud SQL)
//! and `gke` (tokens for GKE clusters); how such a cluster knows the broker itself; and the key of Writ's own issuer in Google's key management service.
//!
//! Google knows who asks by an assertion of Writ's issuer, by the workload's own token, or by the identity that the broker's
//! process has there. Every request carries the writ's id as its reason, which Google's audit logs keep. A token can do what its
//! service account, its OAuth scopes and its access boundary all allow; it ends by itself.
//!
//! What this must never do: ask for a token without a scope, take one that lives longer than was asked for, put a name from outside
//! into an address or a principal unchecked, follow a redirect, use a proxy that the environment names, or let an answer's body
//! into an error or a log.
//!
//! Read [`config`], [`federation`] (how Google knows who asks), then [`provider`] with [`scope`]; then [`cloudsql`] and [`gke`],
//! which build on it. [`sts`] and [`iam`] are the calls, [`client`] how they leave, [`fault`] says who is to blame, [`ambient`] is the
//! broker's own identity, [`adc`] what it may be, [`kms`] signs for the issuer, [`secrets`] fetches what is kept in Secret Manager. What a project must trust is in `docs/providers/gcp.md`.

mod adc;
pub mod ambient;
mod client;
pub mod cloudsql;
pub mod config;
mod crc32c;
mod fault;
pub mod federation;
pub mod gke;
mod iam;
pub mod kms;
mod names;
pub mod provider;
mod scope;
pub mod secrets;
mod sts;
mod token;

pub use ambient::Ambient;
pub use cloudsql::{CloudSqlConfig, CloudSqlProvider};
pub use config::{ConfigFault, GcpConfig};
pub use federation::{By, FederationConfig};
pub use gke::{GkeAccess, GkeAccessConfig, GkeConfig};
pub use kms::KmsSigner;
pub use provider::GcpProvider;
pub use scope::{Rule, Scope};
pub use secrets::{SecretManager, SecretManagerConfig};
