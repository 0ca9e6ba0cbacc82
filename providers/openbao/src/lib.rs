//! Secrets of an OpenBao or Vault, by its JWT login.
