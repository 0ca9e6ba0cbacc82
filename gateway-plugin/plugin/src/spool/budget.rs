//! The bytes that all spools of a gateway may hold on disk. Writers take, whoever deletes a file gives back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A cap on bytes on disk, shared by the workers' spools and by whoever deletes their files.
#[derive(Debug, Clone)]
pub struct Budget {
    used: Arc<AtomicU64>,
    cap: u64,
}

impl Budget {
    /// A budget of `cap` bytes, none of it used.
    #[must_use]
    pub fn new(cap: u64) -> Self {
        Self { used: Arc::default(), cap }
    }

    /// Takes `bytes`, or nothing where they do not fit.
    #[must_use]
    pub fn take(&self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|after| *after <= self.cap);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok()
    }

    /// Counts bytes that are on disk already, whether they fit or not: files that a dead worker left.
    pub fn count(&self, bytes: u64) {
        let add = |used: u64| Some(used.saturating_add(bytes));
        let _ = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
    }

    /// Gives back `bytes` after a file was deleted.
    pub fn give_back(&self, bytes: u64) {
        let less = |used: u64| Some(used.saturating_sub(bytes));
        let _ = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }

    /// How many bytes are used.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// How many bytes there are in all.
    #[must_use]
    pub const fn cap(&self) -> u64 {
        self.cap
    }
}
