//! The parser as a gateway uses it: a child process.

#![cfg(test)]

mod process;
