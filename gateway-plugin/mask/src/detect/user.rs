//! Detectors that the rules define: regular expressions over bytes, in linear time, of bounded size.

use regex::bytes::{Regex, RegexBuilder};

use super::{Detector, Hit};

/// The most detectors that rules may define.
pub const MOST_USER_DETECTORS: usize = 32;
/// The longest pattern, in bytes.
const LONGEST: usize = 4 << 10;
/// The most memory of a compiled pattern, and of the cache of its automaton, in bytes.
const SIZE: usize = 1 << 20;

/// A detector that is a regular expression.
#[derive(Debug, Clone)]
pub struct UserDetector {
    name: String,
    pattern: Regex,
}

/// Why a pattern cannot be a detector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPattern(pub String);

impl UserDetector {
    /// A detector of this name for a pattern in the syntax of the `regex` crate.
    ///
    /// # Errors
    /// [`InvalidPattern`] where the pattern is no regular expression, is longer than 4 KiB, compiles to more than 1 MiB, or
    /// matches nothing at all, which would be everywhere.
    pub fn new(name: &str, pattern: &str) -> Result<Self, InvalidPattern> {
        if pattern.len() > LONGEST {
            return Err(InvalidPattern(format!("it is longer than {LONGEST} bytes")));
        }
        let pattern = RegexBuilder::new(pattern)
            .size_limit(SIZE)
            .dfa_size_limit(SIZE)
            .build()
            .map_err(|error| InvalidPattern(reason(&error)))?;
        if pattern.is_match(b"") {
            return Err(InvalidPattern("it matches nothing at all, which is everywhere".to_owned()));
        }
        Ok(Self { name: name.to_owned(), pattern })
    }

    /// Its name in rules and marks.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn scan(&self, text: &[u8], detector: Detector, hits: &mut Vec<Hit>) {
        let found = self.pattern.find_iter(text).filter(|found| !found.is_empty());
        hits.extend(found.map(|found| Hit { start: found.start(), end: found.end(), detector }));
    }
}

fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("it compiles to more than {limit} bytes"),
        other => other.to_string().lines().last().unwrap_or_default().to_lowercase(),
    }
}

/// The detector at this place among those that the rules define.
pub(super) fn detector(place: usize) -> Detector {
    Detector::User(u8::try_from(place).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests;
