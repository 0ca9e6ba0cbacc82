//! Numbers and parameters. What runs into letters is refused, as the server has done since version 15.

use super::{Class, Lexer, Uncut, continues_word, starts_word};

impl Lexer<'_> {
    /// A number and where it ends; at its first digit or its point.
    pub(super) fn number(&self, at: usize) -> Result<(Class, usize), Uncut> {
        let radix: Option<fn(u8) -> bool> = match (self.byte(at), self.byte(at + 1)) {
            (b'0', b'x' | b'X') => Some(|byte| byte.is_ascii_hexdigit()),
            (b'0', b'o' | b'O') => Some(|byte| matches!(byte, b'0'..=b'7')),
            (b'0', b'b' | b'B') => Some(|byte| matches!(byte, b'0' | b'1')),
            _ => None,
        };
        let Some(digit) = radix else {
            let (class, end) = self.decimal(at)?;
            return if starts_word(self.byte(end)) { Err(Uncut::Number) } else { Ok((class, end)) };
        };
        let end = self.digits(at + 2, digit);
        // What the digits leave over would be part of a word that starts at the radix's letter.
        if end == at + 2 || continues_word(self.byte(end)) { Err(Uncut::Number) } else { Ok((Class::Integer, end)) }
    }

    fn decimal(&self, at: usize) -> Result<(Class, usize), Uncut> {
        let mut class = Class::Integer;
        let mut end = self.decimals(at);
        // `1..2` is a range of whole numbers, not two fractions.
        if self.byte(end) == b'.' && self.byte(end + 1) != b'.' {
            class = Class::Float;
            end += 1;
            if self.byte(end).is_ascii_digit() {
                end = self.decimals(end);
            }
        }
        if matches!(self.byte(end), b'e' | b'E') {
            class = Class::Float;
            end += 1;
            if matches!(self.byte(end), b'+' | b'-') {
                end += 1;
            }
            if !self.byte(end).is_ascii_digit() {
                return Err(Uncut::Number);
            }
            end = self.decimals(end);
        }
        Ok((class, end))
    }

    fn decimals(&self, at: usize) -> usize {
        // The first must be a digit: an underscore stands between two.
        if self.byte(at).is_ascii_digit() { self.digits(at, |byte| byte.is_ascii_digit()) } else { at }
    }

    /// Past digits, each with at most one underscore before it.
    fn digits(&self, mut at: usize, digit: fn(u8) -> bool) -> usize {
        loop {
            if digit(self.byte(at)) {
                at += 1;
            } else if self.byte(at) == b'_' && digit(self.byte(at + 1)) {
                at += 2;
            } else {
                return at;
            }
        }
    }

    /// Past `$1`, from behind the dollar.
    pub(super) fn parameter(&self, at: usize) -> Result<usize, Uncut> {
        let end = self.past(at, |byte| byte.is_ascii_digit());
        if starts_word(self.byte(end)) { Err(Uncut::Number) } else { Ok(end) }
    }
}
