//! The control plane: verify, decide, mint, log, seal.
