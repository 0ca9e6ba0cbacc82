//! Who is calling: verification of OIDC tokens, and Writ's own session tokens.
//!
//! [`verify`] is the only maker of `Verified<Workload>`. It must never take an algorithm, a key or an address from the
//! token: the token names an issuer, and all else comes from that issuer's configuration. So the token is parsed here,
//! strictly, and the library is asked for one thing only: whether this key made this signature over these bytes.
//!
//! Read in this order: [`config`] (what is trusted), [`header`] (the token's form), [`jwks`] (which keys count),
//! [`cache`] and [`discovery`] (where they come from), [`claims`] (what the token must say), [`verify`] (all of it in
//! order), [`presets`] (what is known of issuers without being told), [`session_token`], [`exchange`] and [`dpop`] (RFC 8693 and
//! RFC 9449 at `/v1/token`), [`fault`] (why not). Beside tokens stand what AWS ([`aws_caller`]) and a cluster ([`review`]) are
//! asked about, and the certificates of SPIFFE ([`svid`]).

mod asking;
pub mod aws_caller;
pub mod cache;
pub mod claims;
pub mod config;
mod delegation;
pub mod discovery;
pub mod dpop;
pub mod exchange;
pub mod fault;
pub mod header;
pub mod json;
pub mod jwks;
pub mod presets;
pub mod review;
pub mod session_token;
pub(crate) mod signing;
pub mod svid;
pub mod verify;

pub use config::{Algorithm, IssuerConfig};
pub use fault::IdentityFault;
pub use verify::Verifier;

#[cfg(test)]
mod tests;
