//! Approval: a grant that asks for no human goes on at once.

use writ_core::grant::Grant;

/// A grant that every human whom it asks for has approved. Made here alone.
#[derive(Debug)]
pub struct Approved(Grant);

impl Approved {
    /// The grant.
    #[must_use]
    pub const fn grant(&self) -> &Grant {
        &self.0
    }
}

/// Settles a grant. No obligation of this version asks for a human, so none is waited for.
#[must_use]
pub const fn settle(grant: Grant) -> Approved {
    Approved(grant)
}
