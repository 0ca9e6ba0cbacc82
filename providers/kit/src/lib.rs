//! The contract that every provider passes.
