//! The client's login, up to the token that it shows in place of a password, and its answer.
//!
//! [`ClientLogin`] consumes itself with each step. The driver keeps one buffer of bytes not yet consumed, passes all of
//! it to [`ClientLogin::handle`], drops what the step consumed, writes what was put into `out`, and does what the step says.
//! On a fault it writes [`crate::error::write`] with [`crate::error::When::Login`] and closes.
//!
//! Never: ask for a password where it would travel in the clear; go on with bytes that came before TLS but behind the
//! request for it (CVE-2021-23214); accept a parameter that is not on the list.

mod login;
mod oauthbearer;
mod packet;
mod parameters;

#[cfg(test)]
mod tests;

pub use login::{ClientLogin, LoginSettings, Pending, Step, Transport};
pub use oauthbearer::OAuth;
pub use packet::LONGEST_STARTUP;
pub use parameters::{ALLOWED, Startup};

/// How a client shows its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AuthMethod {
    /// As a password, in clear text inside TLS.
    #[default]
    Password,
    /// By SASL OAUTHBEARER (RFC 7628, as in PostgreSQL 18).
    OAuthBearer,
}
