//! The provider `openbao`: secrets of an OpenBao or Vault that trusts Writ's own issuer, one login for each writ.
//!
//! Two kinds of secret, one of them for a target. A *dynamic* one is made for whoever asks and comes with a lease: a database's
//! user, say. A value of the *KV* engine is the same for everybody, outlives the writ, and is marked so.
//!
//! The broker logs in with an assertion that names the writ, so that OpenBao's audit says for which writ each request was. The
//! login's token lives for a minute at first. What OpenBao makes with it hangs on it: where the token ends, so does every
//! lease. Before the broker asks for a dynamic secret it leaves a *note* in OpenBao, named after the writ, which says by its
//! accessor with which token it is going to ask; an accessor is good for taking a token back and for nothing else. So the note is
//! what a revocation looks for, after whatever crash, and there is one for each writ. Only with the secret in hand are token and
//! lease made to last until the writ's end.
//!
//! What this must never do: keep a token or a secret beyond the call, follow a redirect, speak without TLS, put a token or a
//! secret into an error or a log, give out a dynamic secret without a lease, or take longer than the caller's deadline.
//!
//! Read [`config`], then [`provider`], then one file for each verb: [`kv`] and [`dynamic`] mint, then [`revoke`], [`sweep`],
//! [`probe`]. Below them are [`login`], [`note`], [`fields`] (which of a secret's fields are given out), [`call`] (one bounded
//! request), [`fault`] (who is to blame) and [`rights`] (what to paste).

mod call;
pub mod config;
mod dynamic;
mod fault;
mod fields;
mod kv;
mod login;
mod note;
mod probe;
pub mod provider;
mod revoke;
mod rights;
mod sweep;

pub use config::{ConfigFault, DynamicConfig, KvConfig, OpenbaoConfig};
pub use provider::OpenbaoProvider;
pub use rights::policy;

#[cfg(test)]
mod tests;
