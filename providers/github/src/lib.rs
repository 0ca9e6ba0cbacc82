//! The provider `github`: installation tokens of a GitHub App, narrowed to the repositories and permissions that policy's scope
//! names.
//!
//! The broker shows GitHub a JWT that it signed with the App's private key ([`app`]) and asks for a token for one
//! installation ([`call`]). What comes back is held against what was asked ([`grant`]): a token that can do more is refused,
//! and taken back at once.
//!
//! GitHub ends a token after an hour, and takes one back only from whoever shows it. So the token of each writ is held here, in
//! memory and overwritten when it goes, until its writ ends ([`held`]): an hour of life for a job of a minute would be the
//! greater risk, and whoever reads this memory reads the App's key, which makes such tokens for all its repositories.
//!
//! What this must never do: ask for a token without naming repositories and permissions, which would be all of them; repeat a
//! request that may have made one; put the key, the JWT or a token into an error or a log.

mod app;
mod call;
mod config;
mod grant;
mod held;
mod provider;

pub use config::{ConfigFault, GithubConfig, Level, Scope};
pub use held::Tokens;
pub use provider::GithubProvider;

#[cfg(test)]
mod tests;
