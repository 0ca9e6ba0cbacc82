//! What may go wrong at STS and IAM, switched on while they run. S3 and the rest stay sound: they are the test's own eyes.

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Every provider has lost its audiences.
    WrongAudience,
    /// Every token has expired.
    ExpiredAssertion,
    /// No role trusts anybody.
    Untrusted,
    /// `Throttling`.
    Throttled,
    /// 503 `ServiceUnavailable`.
    ServerError,
    /// The answer ends in its middle. What was asked is done.
    CutShort,
    /// The answer says that the session ends in ten years. It does not.
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
