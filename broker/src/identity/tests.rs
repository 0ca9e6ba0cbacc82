//! Tests of identity: the attacks of RFC 8725 and their kin, issuers that misbehave, and the exchange.

mod attacks;
mod support;
