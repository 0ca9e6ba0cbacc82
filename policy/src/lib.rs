//! Policy decisions: the only crate that calls Cedar.
