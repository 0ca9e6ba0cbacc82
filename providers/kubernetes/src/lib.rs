//! The provider `kubernetes`: bound service-account tokens, one for each writ.
//!
//! For each writ there is a Secret, named after it and empty, and a token of a service account that is bound to that Secret:
//! the API server takes the token only while the Secret is there. So the Secret's deletion is the token's revocation, the
//! Secrets are the list of what is alive, and the API server's audit joins both to the writ: by the Secret's name and by the
//! token's `jti`.
//!
//! What this must never do: read a Secret's contents (lists ask for metadata alone), run a program that a kubeconfig names,
//! take a proxy or a kubeconfig from the environment, put a token into an error or a log, take longer than the caller's
//! deadline, or act as more than what [`rights`] lists.
//!
//! Read [`config`], then [`provider`], then one file for each verb: [`mint`], [`revoke`], [`sweep`], [`probe`], [`present`].
//! Below them are [`access`] (where the cluster is and who we are there), [`bearer`] (what we show), [`call`] (one bounded
//! request), [`fault`] (who is to blame) and [`rights`] (what to paste). [`secret`] stands apart: the one place that reads a
//! Secret, for the provider `static`.

mod access;
mod account;
mod bearer;
mod call;
pub mod config;
mod fault;
mod kubeconfig;
mod mint;
mod present;
mod probe;
pub mod provider;
mod revoke;
mod rights;
pub mod secret;
mod sweep;

pub use account::Account;
pub use bearer::BearerSource;
pub use config::{AssertionConfig, ConfigFault, KubernetesConfig, NoAks, NoEks};
pub use provider::{KubernetesProvider, Seams};
pub use secret::{KubernetesSecret, KubernetesSecretConfig};

#[cfg(test)]
mod tests;
