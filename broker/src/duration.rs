//! Durations in the configuration: a number and a unit, `"30s"`, `"5m"`, `"1h30m"`.
//!
//! Units are `ms`, `s`, `m`, `h` and `d`, largest first, each at most once. A bare number is refused, since nobody can
//! tell its unit.

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The units, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A duration as the configuration writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

/// Text that is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a duration: write numbers with their units, largest first, like `30s`, `5m` or `1h30m` (ms, s, m, h, d)")]
pub struct InvalidSpan;

impl Span {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// The duration in whole milliseconds, held at the largest number that fits.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// Parses a duration.
    ///
    /// # Errors
    /// [`InvalidSpan`] for anything but numbers with units, largest first, or if the sum is beyond what can be counted.
    pub fn parse(text: &str) -> Result<Self, InvalidSpan> {
        let mut rest = text;
        let mut smaller = UNITS.as_slice();
        let mut millis = 0_u64;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at_checked(digits).ok_or(InvalidSpan)?;
            let letters = tail.bytes().take_while(u8::is_ascii_lowercase).count();
            let (unit, tail) = tail.split_at_checked(letters).ok_or(InvalidSpan)?;
            let place = smaller.iter().position(|(name, _)| *name == unit).ok_or(InvalidSpan)?;
            let (_, size) = smaller.get(place).ok_or(InvalidSpan)?;
            let number = number.parse::<u64>().map_err(|_| InvalidSpan)?;
            millis = number.checked_mul(*size).and_then(|part| millis.checked_add(part)).ok_or(InvalidSpan)?;
            smaller = smaller.get(place + 1..).unwrap_or_default();
            rest = tail;
        }
        if text.is_empty() { Err(InvalidSpan) } else { Ok(Self(Duration::from_millis(millis))) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.as_millis().unsigned_abs();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in UNITS {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
