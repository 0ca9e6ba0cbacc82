//! Masks: rules that change sensitive values in what flows back. The vocabulary; the detectors are in `writ-mask`.

use serde::{Deserialize, Serialize};

/// That a value was masked: what a recording keeps of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskMark {
    /// The rule that hit.
    pub rule: String,
    /// How many values it changed.
    pub count: u64,
}
