//! What may go wrong at STS and the IAM credentials service, switched on while they run. The rest stays sound: it is the test's own
//! eyes.

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Every provider has lost its audiences.
    WrongAudience,
    /// Every token has expired.
    ExpiredAssertion,
    /// No service account trusts anybody, and no pool's principal may do anything.
    Untrusted,
    /// 429 `RESOURCE_EXHAUSTED`.
    Throttled,
    /// 503 `UNAVAILABLE`.
    ServerError,
    /// The answer ends in its middle. What was asked is done.
    CutShort,
    /// The answer says that the token ends in ten years. It does not.
    FarExpiry,
    /// The clock is ten minutes ahead.
    ClockAhead,
    /// The clock is ten minutes behind.
    ClockBehind,
    /// No answer. What was asked is not done.
    Silent,
}

impl Trouble {
    /// How far ahead its clock is, in seconds.
    pub(crate) const fn clock(self) -> i64 {
        match self {
            Self::ClockAhead => 600,
            Self::ClockBehind => -600,
            _ => 0,
        }
    }
}
