//! The provider `mysql`: one user of MySQL or MariaDB for each writ.
//!
//! The user bears the writ's id in its name, so that the server's own logs show the writ. It logs in over TLS alone, has room
//! for the gateway's connection, and is granted the roles that the grant names and nothing else; the first is active from its
//! first statement. It goes when the session ends, by [`revoke`], or after its end, by [`sweep`]: neither server has an account
//! that ends at a point in time.
//!
//! What this must never do: send a password to the server (a verifier goes, made here), send anything before the server's
//! certificate was verified, read a file because the server asks for one, write a secret into an error or a log, put a name
//! from outside into SQL without [`sql`]'s quoting, take longer than the caller's deadline, or mint with a login that could not
//! end sessions. What that login needs is written down, and tested, in `docs/providers/mysql.md`.
//!
//! Read [`config`], then [`provider`], then one file for each verb: [`mint`], [`revoke`], [`sweep`], [`probe`], [`present`].
//! Below them are [`dialect`] (where the two servers differ), [`roles`] (which may be granted), [`rows`] (what the server answers), [`verifier`], [`pool`] (bounded
//! connections), [`connect`] (TLS), [`rights`] (of the broker's login) and [`fault`] (who is to blame).

pub mod config;
mod connect;
mod dialect;
mod fault;
mod mint;
mod pool;
mod present;
mod probe;
pub mod provider;
mod revoke;
mod rights;
mod roles;
mod rows;
mod sql;
mod sweep;
mod verifier;

pub use config::MysqlConfig;
pub use provider::MysqlProvider;

#[cfg(test)]
mod tests;
