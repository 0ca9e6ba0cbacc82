//! The provider `ssh`: user certificates of OpenSSH, signed by an authority of Writ's own.
//!
//! A host trusts the authority's public key, and keeps no keys of anybody. Each writ gets a key pair of its own and a
//! certificate over it: the writ's id as key id, so that the host's log shows it; the accounts that policy let the session log
//! in to; minutes of life; where configured, the addresses from which it counts and the one command that it runs. What is not
//! granted by name is off.
//!
//! Nothing is kept: a certificate's serial number follows from its writ, so that the broker's own record of writs is all that a
//! revocation list needs ([`krl`]), after a crash and on any replica. Hosts fetch the list; sshd looks into it at each login.
//!
//! Signatures are made by whoever keeps the key ([`CaKey`]); bytes are laid out here, field by field ([`certificate`],
//! [`krl`]), and no other crypto than aws-lc-rs is used.
//!
//! What this must never do: sign for another writ than the one that is intended, for no principal, or beyond the writ's end.

mod authority;
mod certificate;
mod config;
mod key;
mod krl;
mod provider;
mod wire;

pub use authority::{Authority, CaKey};
pub use config::{ConfigFault, Permit, SshConfig, Terms};
pub use provider::SshProvider;

#[cfg(test)]
mod tests;
