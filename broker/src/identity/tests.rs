//! Tests of identity: the attacks of RFC 8725 and their kin, issuers that misbehave, and the exchange.

mod attacks;
mod aws_caller;
mod claims;
mod config;
mod delegation;
mod exchange;
mod issuers;
mod keys;
mod presets;
mod review;
mod sts;
mod support;
mod svid;
