//! SSH certificates, signed by a CA of Writ's own.
