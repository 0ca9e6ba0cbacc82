//! Credentials of Microsoft Entra, two providers: `azure` (access tokens for Azure's resources) and `azure_database` (logins to
//! Azure Database for PostgreSQL); tokens by which an AKS cluster knows the broker; and the key of Writ's own issuer in Key Vault.
//!
//! Entra knows Writ by an assertion of Writ's own issuer, which an application or a managed identity trusts by a federated
//! credential; no secret of Entra's is kept. The token request carries the writ's id as its correlation id, so that the sign-in
//! log leads to the writ. What Entra grants lives as long as Entra says, and nobody can take it back: the gateway ends its use.
//!
//! What this must never do: keep a token for a second writ, ask for more than one resource at a time, follow a redirect, use a
//! proxy that the environment names, send anything without TLS but to the metadata service of the machine, or let a token, an
//! assertion or an answer's body into an error or a log.
//!
//! Access tokens are opaque to clients by contract. They are read here for the record alone: see [`claims`].
//!
//! Read [`config`] with [`cloud`] and [`provider`], then [`entra`] (how a token is asked for) with [`transport`] and [`fault`];
//! [`database`] and [`aks`] build on it. [`ambient`] is the broker's own identity at Azure, [`vault`] signs for the issuer,
//! [`secrets`] fetches what is kept in a vault. What a
//! tenant must trust is in `docs/providers/azure.md`.

pub mod aks;
pub mod ambient;
mod claims;
pub mod cloud;
pub mod config;
pub mod database;
mod entra;
mod fault;
pub mod provider;
pub mod secrets;
mod transport;
pub mod vault;

pub use aks::{AksAccess, AksAccessConfig};
pub use ambient::Ambient;
pub use cloud::Cloud;
pub use config::{AzureConfig, ConfigFault, EntraConfig};
pub use database::{AzureDatabaseConfig, AzureDatabaseProvider};
pub use provider::AzureProvider;
pub use secrets::{KeyVaultSecret, KeyVaultSecretConfig};
pub use vault::KeyVaultSigner;

#[cfg(test)]
mod tests;
