//! Tests of identity: the attacks of RFC 8725 and their kin, issuers that misbehave, and the exchange.

mod attacks;
mod claims;
mod config;
mod exchange;
mod issuers;
mod keys;
mod presets;
mod support;
