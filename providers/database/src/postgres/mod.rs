//! The provider `database`: one PostgreSQL role for each writ.
//!
//! The role bears the writ's id as its name, so that the server's own log shows the writ; it can log in until the writ
//! ends, is a member of the roles that the grant names and of nothing else, and acts as the granted role from its first
//! statement, so that what a session creates belongs to that role. It goes when the session ends, by [`revoke`], or
//! after its end, by [`sweep`].
//!
//! What this must never do: send a password to the server (a SCRAM verifier goes, made here), write a secret into an
//! error or a log, put a name from outside into SQL without [`sql`]'s quoting, take longer than the caller's deadline,
//! or act as more than a login with CREATEROLE. What that login needs is written down, and tested, in
//! `docs/providers/database.md`.
//!
//! Read [`config`], then [`provider`], then one file for each verb: [`mint`], [`revoke`], [`sweep`], [`probe`]. Below
//! them are [`pool`] (bounded connections), [`connect`] (TLS), [`scram`] (the verifier) and [`fault`] (who is to blame). [`passwords`] is apart: it sets those of users that
//! stay, for the provider `static`.

pub mod config;
mod connect;
mod fault;
mod mint;
pub mod passwords;
mod pool;
mod probe;
pub mod provider;
mod revoke;
mod scram;
mod sql;
mod sweep;

#[cfg(test)]
mod tests;
