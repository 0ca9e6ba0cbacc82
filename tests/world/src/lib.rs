//! Real servers, clients and fakes for the tests.
//!
//! Nothing here is skipped when its counterpart is absent: it fails, and says which script fetches it.

pub mod browser;
pub mod kubernetes;
pub mod mysql;
pub mod oidc;
pub mod openbao;
pub mod packages;
pub mod postgres;
pub mod spire;
pub mod sshd;
pub mod stack;
