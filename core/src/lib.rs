//! The vocabulary of Writ as types.
//!
//! This crate does nothing: no runtime, no I/O, no serialization of secrets. It holds the words that all others share,
//! and the proofs that one part hands to the next. Read in this order: [`workload`] and [`target`] (who asks for what),
//! [`client`] (what a connection says beside its token), [`grant`] (what policy answered), [`writ`] (what the answer is written
//! down as), [`provider`] and [`credential`] (what is minted for it), [`command`], [`statement`] and [`verdict`] (what is asked
//! through it), [`event`] (what of all this is evidence), [`assertion`] (how Writ shows itself to targets), [`ssh`] (what hosts must know of an authority), [`rotation`] (passwords that are changed in turns), [`freeze`] (what an operator forbids at once), [`proof`] (the chain of trust between these, as values that cannot be forged).

pub mod approval;
pub mod assertion;
pub mod client;
pub mod command;
pub mod credential;
pub mod event;
pub mod fault;
pub mod freeze;
pub mod grant;
pub mod id;
pub mod mask;
pub mod proof;
pub mod provider;
pub mod rotation;
pub mod ssh;
pub mod statement;
pub mod target;
pub mod time;
pub mod verdict;
pub mod workload;
pub mod writ;

#[cfg(test)]
mod tests;
