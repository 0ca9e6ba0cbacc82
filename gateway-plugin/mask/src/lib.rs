//! Masking of what flows back, sans-I/O.
