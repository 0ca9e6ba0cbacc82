//! The contract between a protocol machine and its driver.
