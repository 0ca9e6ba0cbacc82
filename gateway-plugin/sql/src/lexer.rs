//! PostgreSQL's tokens, cut as its scanner cuts them (`src/backend/parser/scan.l`, version 18).
//!
//! `standard_conforming_strings` is taken to be on and the text to be UTF-8. One pass, each byte looked at a bounded number of
//! times, no allocation. It may refuse what the server would take, and must never cut in another place than the server: a
//! literal's end that the two see differently would hide a statement from whoever judges by these tokens.

mod number;
mod quoted;
#[cfg(test)]
mod tests;

use quoted::Style;

/// What kind of token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A key word or an identifier without quotes.
    Word,
    /// `"..."`.
    Quoted,
    /// `U&"..."`.
    UnicodeQuoted,
    /// `'...'`, `E'...'`, `U&'...'`, dollar quotes. `N'...'` is the word `N` and a string.
    String,
    /// `B'...'`, `X'...'`.
    Bits,
    /// A whole number.
    Integer,
    /// A number with a point or an exponent.
    Float,
    /// `$1`.
    Parameter,
    /// An operator, or one of `, ( ) [ ] . ; : :: .. :=`.
    Symbol,
}

impl Class {
    /// Whether the token is a constant.
    #[must_use]
    pub const fn is_literal(self) -> bool {
        matches!(self, Self::String | Self::Bits | Self::Integer | Self::Float)
    }
}

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// What kind.
    pub class: Class,
    /// Where in the text it starts, in bytes.
    pub start: usize,
    /// It, quotes and prefixes with it.
    pub text: &'a [u8],
}

/// Why a text cannot be cut into tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Uncut {
    /// It is not UTF-8.
    #[error("the statement is not UTF-8")]
    Encoding,
    /// It has a NUL byte, which the server takes for its end.
    #[error("the statement has a NUL byte")]
    Nul,
    /// A literal, quoted identifier or comment has no end.
    #[error("a quote or comment of the statement is not closed")]
    Open,
    /// A number or parameter runs into letters, or is incomplete.
    #[error("a number in the statement is malformed")]
    Number,
    /// An escape in a literal is incomplete.
    #[error("an escape in a string of the statement is malformed")]
    Escape,
    /// An identifier between quotes is empty.
    #[error("an identifier between quotes is empty")]
    Empty,
    /// A byte starts no token, or an operator is longer than 63 bytes.
    #[error("the statement has a character that starts no token")]
    Stray,
}

/// The longest operator, in bytes: the server refuses longer ones.
const LONGEST_OPERATOR: usize = 63;

/// Cuts a text; an iterator that ends after the first error.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    /// Over this text.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), at: 0 }
    }

    /// The byte there; 0 beyond the end, which is no byte of a text that can be cut.
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn ended(&self, at: usize) -> bool {
        at >= self.text.len()
    }

    /// The first place from `at` on whose byte is not of the kind.
    fn past(&self, at: usize, kind: fn(u8) -> bool) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        rest.iter().position(|byte| !kind(*byte)).map_or(self.text.len(), |count| at + count)
    }

    fn line_end(&self, at: usize) -> usize {
        self.past(at, |byte| !matches!(byte, b'\n' | b'\r' | 0))
    }

    /// Past white space and comments.
    fn skip(&mut self) -> Result<(), Uncut> {
        loop {
            match (self.byte(self.at), self.byte(self.at + 1)) {
                (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, _) => self.at += 1,
                (b'-', b'-') => self.at = self.line_end(self.at + 2),
                (b'/', b'*') => self.at = self.comment(self.at + 2)?,
                _ => return Ok(()),
            }
        }
    }

    /// Past the end of a comment, which may hold others, from within it.
    fn comment(&self, mut at: usize) -> Result<usize, Uncut> {
        let mut depth = 1_u32;
        loop {
            at = self.past(at, |byte| !matches!(byte, b'/' | b'*' | 0));
            match (self.byte(at), self.byte(at + 1)) {
                (b'/', b'*') => (depth, at) = (depth + 1, at + 2),
                (b'*', b'/') if depth == 1 => return Ok(at + 2),
                (b'*', b'/') => (depth, at) = (depth - 1, at + 2),
                (0, _) => return Err(self.end_or_nul(at)),
                _ => at += 1,
            }
        }
    }

    fn end_or_nul(&self, at: usize) -> Uncut {
        if self.ended(at) { Uncut::Open } else { Uncut::Nul }
    }

    /// The class of the token at `self.at`, and where it ends.
    fn cut(&self) -> Result<(Class, usize), Uncut> {
        let (at, next) = (self.at, self.byte(self.at + 1));
        match self.byte(at) {
            b'b' | b'B' | b'x' | b'X' if next == b'\'' => Ok((Class::Bits, self.string(at + 2, Style::Bits)?)),
            b'e' | b'E' if next == b'\'' => Ok((Class::String, self.string(at + 2, Style::Escapes)?)),
            b'u' | b'U' if next == b'&' && self.byte(at + 2) == b'\'' => {
                Ok((Class::String, self.string(at + 3, Style::Plain)?))
            }
            b'u' | b'U' if next == b'&' && self.byte(at + 2) == b'"' => {
                Ok((Class::UnicodeQuoted, self.identifier(at + 3)?))
            }
            byte if starts_word(byte) => Ok((Class::Word, self.past(at + 1, continues_word))),
            b'\'' => Ok((Class::String, self.string(at + 1, Style::Plain)?)),
            b'"' => Ok((Class::Quoted, self.identifier(at + 1)?)),
            b'$' if next.is_ascii_digit() => Ok((Class::Parameter, self.parameter(at + 1)?)),
            b'$' => Ok((Class::String, self.dollar(at)?)),
            byte if byte.is_ascii_digit() || byte == b'.' && next.is_ascii_digit() => self.number(at),
            0 => Err(Uncut::Nul),
            _ => Ok((Class::Symbol, self.symbol(at)?)),
        }
    }

    fn symbol(&self, at: usize) -> Result<usize, Uncut> {
        match (self.byte(at), self.byte(at + 1)) {
            (b':', b':' | b'=') | (b'.', b'.') => Ok(at + 2),
            (b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':', _) => Ok(at + 1),
            (byte, _) if is_operator(byte) => self.operator(at),
            _ => Err(Uncut::Stray),
        }
    }

    /// Past an operator: it ends before a comment in it, and does not end in `+` or `-` unless it has a character that
    /// standard operators have not.
    fn operator(&self, at: usize) -> Result<usize, Uncut> {
        let run = self.text.get(at..self.past(at, is_operator)).unwrap_or_default();
        let comment = run.windows(2).position(|pair| pair == b"--" || pair == b"/*");
        let mut operator = comment.and_then(|length| run.get(..length)).unwrap_or(run);
        if !operator.iter().any(|byte| b"~!@#^&|`?%".contains(byte)) {
            while let [rest @ .., b'+' | b'-'] = operator {
                if rest.is_empty() {
                    break;
                }
                operator = rest;
            }
        }
        if operator.len() > LONGEST_OPERATOR { Err(Uncut::Stray) } else { Ok(at + operator.len()) }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Result<Token<'a>, Uncut>;

    fn next(&mut self) -> Option<Self::Item> {
        let cut = self.skip().and_then(|()| if self.ended(self.at) { Ok(None) } else { self.cut().map(Some) });
        match cut {
            Ok(None) => None,
            Ok(Some((class, end))) => {
                let token = Token { class, start: self.at, text: self.text.get(self.at..end).unwrap_or_default() };
                self.at = end;
                Some(Ok(token))
            }
            Err(uncut) => {
                self.at = self.text.len();
                Some(Err(uncut))
            }
        }
    }
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!'
            | b'@'
            | b'#'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
    )
}
