//! A clock that can be set: the fakes' own, so many seconds ahead of the machine's.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The machine's clock, and how far this one is ahead of it.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    ahead: AtomicI64,
}

impl Clock {
    /// In seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        Timestamp::now().as_second() + self.ahead.load(Ordering::SeqCst)
    }

    pub(crate) fn set_ahead(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::SeqCst);
    }
}

/// `20260102T030405Z`.
pub(crate) fn stamp(seconds: i64) -> String {
    time(seconds).strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Seconds since 1970 of `20260102T030405Z`, which must be exactly that long.
pub(crate) fn from_stamp(stamp: &str) -> Option<i64> {
    let exact = stamp.len() == 16 && stamp.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'T' | b'Z'));
    let civil = exact.then(|| DateTime::strptime("%Y%m%dT%H%M%SZ", stamp).ok())??;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// `2026-01-02T03:04:05Z`, as AWS's answers and CloudTrail have it.
pub(crate) fn iso(seconds: i64) -> String {
    time(seconds).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `Fri, 02 Jan 2026 03:04:05 GMT`, as HTTP has it.
pub(crate) fn http(seconds: i64) -> String {
    time(seconds).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Seconds since 1970 of a date in a policy: ISO 8601 with its zone, or a day alone, or seconds.
pub(crate) fn from_policy(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(seconds);
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>() {
        return Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second());
    }
    // A date within a second is after it.
    text.parse::<Timestamp>().ok().map(|at| at.as_second())
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
