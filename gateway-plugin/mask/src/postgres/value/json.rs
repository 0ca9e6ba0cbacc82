//! Where a match stands in JSON, so that what is written in its place leaves the document one.

use crate::detect::Hit;

/// The bytes to be replaced, and what to put around what replaces them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) quote: &'static [u8],
}

impl Place {
    /// The place of a match in any text: an escape before it stays whole.
    pub(super) fn plain(text: &[u8], hit: &Hit) -> Self {
        let slashes = text.get(..hit.start).unwrap_or_default().iter().rev().take_while(|byte| **byte == b'\\').count();
        let escaped = match text.get(hit.start) {
            Some(b'u') if slashes % 2 == 1 => 5,
            Some(_) if slashes % 2 == 1 => 1,
            _ => 0,
        };
        Self { start: (hit.start + escaped).min(hit.end), end: hit.end, quote: b"" }
    }
}

/// Reads a document from left to right.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    in_string: bool,
}

impl<'t> Reader<'t> {
    pub(super) const fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0, in_string: false }
    }

    /// The place of a match; matches come in order. Nothing where it is neither within a string nor part of a number.
    pub(super) fn place(&mut self, hit: &Hit) -> Option<Place> {
        self.read_to(hit.start);
        if self.in_string {
            let mut place = Place::plain(self.text, hit);
            place.end = place.end.min(self.string_end(place.start));
            return (place.start < place.end).then_some(place);
        }
        let number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let start = hit.start - self.text.get(..hit.start)?.iter().rev().take_while(|byte| number(byte)).count();
        let end = start + self.text.get(start..)?.iter().take_while(|byte| number(byte)).count();
        (hit.end <= end).then_some(Place { start, end, quote: b"\"" })
    }

    fn read_to(&mut self, place: usize) {
        while self.at < place {
            match self.text.get(self.at) {
                Some(b'\\') if self.in_string => self.at += 1,
                Some(b'"') => self.in_string = !self.in_string,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Where the string that holds this place ends.
    fn string_end(&self, from: usize) -> usize {
        let mut at = from.max(self.at);
        loop {
            match self.text.get(at) {
                None => return self.text.len(),
                Some(b'"') => return at,
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
            }
        }
    }
}
