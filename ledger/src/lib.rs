//! A sans-I/O Merkle log in the C2SP tlog formats.
