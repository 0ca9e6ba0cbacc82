//! Characters that hide digits and letters from a detector: full-width digits, letters and signs (Unicode's block of half-width and full-width
//! forms), and characters of no width between others. They are read as the ASCII that they look like, or over.
//!
//! Not read, deliberately: other digits of Unicode, letters of other scripts that look Latin, combining marks.

/// What begins a character that is folded.
pub(crate) const FRONTS: &[&[u8]] = &[
    b"\xEF\xBC",     // U+FF00 to U+FF3F
    b"\xEF\xBD",     // U+FF40 to U+FF7F
    b"\xE2\x80\x8B", // zero width space
    b"\xE2\x80\x8C", // zero width non-joiner
    b"\xE2\x80\x8D", // zero width joiner
    b"\xE2\x81\xA0", // word joiner
    b"\xEF\xBB\xBF", // zero width no-break space
    b"\xC2\xAD",     // soft hyphen
];

/// A value as it looks, and where each of its bytes came from.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub(crate) text: Vec<u8>,
    places: Vec<usize>,
}

impl Folded {
    /// Reads a value.
    pub(crate) fn read(&mut self, text: &[u8]) {
        self.text.clear();
        self.places.clear();
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let (length, shown) = folded(rest);
            if let Some(shown) = shown {
                self.text.push(shown);
                self.places.push(at);
            }
            at += length;
        }
        self.places.push(text.len());
    }

    /// The bytes of the value that stand behind a range of what it looks like.
    pub(crate) fn source(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        Some((*self.places.get(start)?, *self.places.get(end)?))
    }
}

/// How many bytes of the value are read, and what they look like.
fn folded(rest: &[u8]) -> (usize, Option<u8>) {
    match rest {
        // U+FF01 to U+FF5E are the ASCII characters from `!` to `~`.
        [0xEF, 0xBC, last @ 0x81..=0xBF, ..] => (3, Some(last - 0x60)),
        [0xEF, 0xBD, last @ 0x80..=0x9E, ..] => (3, Some(last - 0x20)),
        [0xE2, 0x80, 0x8B..=0x8D, ..] | [0xE2, 0x81, 0xA0, ..] | [0xEF, 0xBB, 0xBF, ..] => (3, None),
        [0xC2, 0xAD, ..] => (2, None),
        [other, ..] => (1, Some(*other)),
        [] => (1, None),
    }
}

#[cfg(test)]
mod tests;
