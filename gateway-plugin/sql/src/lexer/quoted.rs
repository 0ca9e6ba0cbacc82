//! What stands between quotes: strings, identifiers, dollar quotes.

use super::{Lexer, Uncut, starts_word};

/// What stands for itself within a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Two quotes are one.
    Plain,
    /// Two quotes are one, and a backslash takes what follows it along.
    Escapes,
    /// The first quote ends it.
    Bits,
}

impl Lexer<'_> {
    /// Past a string and what continues it on later lines, from behind its opening quote.
    pub(super) fn string(&self, mut at: usize, style: Style) -> Result<usize, Uncut> {
        loop {
            at = self.segment(at, style)?;
            match self.continuation(at) {
                Some(next) => at = next,
                None => return Ok(at),
            }
        }
    }

    /// Past the closing quote of one segment.
    fn segment(&self, mut at: usize, style: Style) -> Result<usize, Uncut> {
        loop {
            at = self.past(at, |byte| !matches!(byte, b'\'' | b'\\' | 0));
            match (self.byte(at), self.byte(at + 1)) {
                (b'\'', b'\'') if style != Style::Bits => at += 2,
                (b'\'', _) => return Ok(at + 1),
                (b'\\', _) if style == Style::Escapes => at = self.escape(at + 1)?,
                (b'\\', _) => at += 1,
                _ => return Err(self.end_or_nul(at)),
            }
        }
    }

    /// Past an escape, from behind its backslash.
    fn escape(&self, at: usize) -> Result<usize, Uncut> {
        let digits = match self.byte(at) {
            0 => return Err(self.end_or_nul(at)),
            b'u' => 4,
            b'U' => 8,
            _ => return Ok(at + 1),
        };
        let hex = self.text.get(at + 1..at + 1 + digits).ok_or(Uncut::Escape)?;
        if hex.iter().all(u8::is_ascii_hexdigit) { Ok(at + 1 + digits) } else { Err(Uncut::Escape) }
    }

    /// Behind the quote that continues a string: on a later line, nothing but white space and line comments before it.
    fn continuation(&self, mut at: usize) -> Option<usize> {
        let mut line = false;
        loop {
            match (self.byte(at), self.byte(at + 1)) {
                (b'\n' | b'\r', _) => (line, at) = (true, at + 1),
                (b' ' | b'\t' | 0x0b | 0x0c, _) => at += 1,
                (b'-', b'-') => at = self.line_end(at + 2),
                (b'\'', _) if line => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// Past an identifier between quotes, from behind the opening one.
    pub(super) fn identifier(&self, start: usize) -> Result<usize, Uncut> {
        let mut at = start;
        loop {
            at = self.past(at, |byte| !matches!(byte, b'"' | 0));
            match (self.byte(at), self.byte(at + 1)) {
                (b'"', b'"') => at += 2,
                (b'"', _) if at == start => return Err(Uncut::Empty),
                (b'"', _) => return Ok(at + 1),
                _ => return Err(self.end_or_nul(at)),
            }
        }
    }

    /// Past `$tag$...$tag$`.
    pub(super) fn dollar(&self, start: usize) -> Result<usize, Uncut> {
        let close = match self.byte(start + 1) {
            b'$' => start + 1,
            byte if starts_word(byte) => self.past(start + 2, |byte| starts_word(byte) || byte.is_ascii_digit()),
            _ => return Err(Uncut::Stray),
        };
        if self.byte(close) != b'$' {
            return Err(Uncut::Stray);
        }
        let tag = self.text.get(start..=close).unwrap_or_default();
        let mut at = close + 1;
        loop {
            at = self.past(at, |byte| !matches!(byte, b'$' | 0));
            match self.text.get(at..) {
                Some(rest) if rest.starts_with(tag) => return Ok(at + tag.len()),
                Some([b'$', ..]) => at += 1,
                _ => return Err(self.end_or_nul(at)),
            }
        }
    }
}
