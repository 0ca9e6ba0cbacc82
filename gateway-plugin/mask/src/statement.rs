//! What a recording holds of a statement: its text and parameters, without what detectors match in them.
//!
//! What goes to the server is never touched. A literal is read as the server reads it, through quotes, escapes and digits in groups, so
//! that what a detector would find in a row it finds in the statement that wrote it; what stands in its place is a literal
//! again, so that the text can still be read as SQL. Key words, identifiers without quotes and operators stay. What cannot be
//! cut into tokens is looked at as one text. What this must never do: keep a literal that it could not look at.

mod literal;

use std::sync::Arc;

use writ_core::mask::MaskMark;
use writ_sql::{Class as Kind, Lexer, outline};

use crate::action::{MaskKey, REDACTED};
use crate::detect::{Detector, Scanner, Sight};
use crate::postgres::{Catalog, Column, Engine, Fate};
use crate::rules::RuleSet;
use literal::{Numbers, Read};

/// What became of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It may be recorded as it is.
    Unchanged,
    /// What was written is recorded instead.
    Changed,
    /// It is recorded as NULL.
    Null,
}

/// Masks what is recorded of one session's statements.
pub struct StatementMask {
    engine: Engine,
    catalog: Arc<dyn Catalog>,
    /// Whether what follows the word `PASSWORD` is a secret.
    passwords: bool,
}

impl core::fmt::Debug for StatementMask {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("StatementMask(..)")
    }
}

impl StatementMask {
    /// The mask of a session under these rules and keys, in the database that this catalog describes.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, key: Arc<MaskKey>, catalog: Arc<dyn Catalog>) -> Self {
        let scanner = Scanner::new(rules.wanted(), rules.user());
        let passwords = rules.wanted().has(Detector::SecretField);
        Self { engine: Engine::new(rules, key, scanner, Arc::clone(&catalog)), catalog, passwords }
    }

    /// Which rules changed how much since this was last asked.
    pub fn take_marks(&mut self) -> Vec<MaskMark> {
        self.engine.take_marks()
    }

    /// Masks a statement's text. What is to be recorded is appended to `out` where the answer is true; where it is false,
    /// nothing is, and the text may be recorded as it is.
    pub fn statement(&mut self, sql: &[u8], out: &mut Vec<u8>) -> bool {
        if !self.engine.finds() || !self.may_hold(sql) {
            return false;
        }
        let start = out.len();
        let before = self.engine.counted().to_vec();
        if !self.render(sql, Numbers::Quoted, out) {
            out.truncate(start);
            return false;
        }
        // A quote beside another one would be no quote: then numbers become others.
        let tokens = |text: &[u8]| outline(text).map(|outline| outline.tokens);
        if tokens(sql).is_ok_and(|count| tokens(out.get(start..).unwrap_or_default()) != Ok(count)) {
            out.truncate(start);
            self.engine.count_again(&before);
            self.render(sql, Numbers::Zero, out);
        }
        true
    }

    /// Writes a statement's text; whether it is another one.
    fn render(&mut self, sql: &[u8], numbers: Numbers, out: &mut Vec<u8>) -> bool {
        let (mut done, mut changed, mut after_password) = (0, false, false);
        for token in Lexer::new(core::str::from_utf8(sql).unwrap_or_default()) {
            let Ok(token) = token else { break };
            changed |= self.between(sql.get(done..token.start).unwrap_or_default(), out);
            done = token.start + token.text.len();
            changed |= self.token(token.class, token.text, (after_password, numbers), out);
            after_password = token.class == Kind::Word && token.text.eq_ignore_ascii_case(b"password");
        }
        changed | self.text(sql.get(done..).unwrap_or_default(), out)
    }

    /// Masks a parameter of a type (0 where none was stated). What is to be recorded is appended to `out` where it is
    /// [`Shown::Changed`].
    pub fn parameter(&mut self, type_id: u32, binary: bool, value: &[u8], out: &mut Vec<u8>) -> Shown {
        let start = out.len();
        let column = if type_id == 0 && !binary {
            Column::TEXT
        } else {
            Column::of_type(type_id, binary, &self.engine.rules, self.catalog.as_ref())
        };
        let shown = match self.engine.value(&column, value, Sight::Unseen, out) {
            Ok(Fate::Keep) => Shown::Unchanged,
            Ok(Fate::Replaced) => Shown::Changed,
            Ok(Fate::Null | Fate::Drop) | Err(_) => Shown::Null,
        };
        if shown != Shown::Changed {
            out.truncate(start);
        }
        shown
    }

    /// Whether anything could be found in the text or in what its literals stand for.
    fn may_hold(&mut self, sql: &[u8]) -> bool {
        let dressed = |pair: &[u8]| {
            matches!(
                pair,
                [b'\'', b'\''] | [b'&' | b'x' | b'X' | b'b' | b'B', b'\''] | [b'0', b'x' | b'X' | b'o' | b'b']
            ) || matches!(pair, [b'_', digit] if digit.is_ascii_digit())
                || matches!(pair, [b'\\', _])
        };
        // By its one letter that is rare.
        let named = self.passwords
            && memchr::memchr2_iter(b'w', b'W', sql).any(|at| {
                let word = at.checked_sub(4).and_then(|start| sql.get(start..at + 4));
                word.is_some_and(|word| word.eq_ignore_ascii_case(b"password"))
            });
        // Strings go on over lines.
        let lines = memchr::memchr2(b'\n', b'\r', sql).is_some() && memchr::memchr(b'\'', sql).is_some();
        named || lines || self.engine.may_find(sql) || sql.windows(2).any(dressed)
    }

    /// Writes a token; whether it is another one.
    fn token(&mut self, kind: Kind, own: &[u8], (after_password, numbers): (bool, Numbers), out: &mut Vec<u8>) -> bool {
        let Some(read) = Read::of(kind, own) else {
            out.extend_from_slice(own);
            return false;
        };
        let (mut made, mut changed) = (Vec::new(), false);
        if after_password && self.passwords && kind == Kind::String {
            (made, changed) = (REDACTED.to_vec(), true);
        } else {
            for reading in &read.readings {
                made.clear();
                changed |= self.text(reading, &mut made);
            }
        }
        if changed {
            read.write(&made, numbers, out);
        } else {
            out.extend_from_slice(own);
        }
        changed
    }

    /// Writes what stands between two tokens, white space and comments; whether it is another one. What follows must not become part of
    /// a comment.
    fn between(&mut self, own: &[u8], out: &mut Vec<u8>) -> bool {
        let mut made = Vec::new();
        if !self.text(own, &mut made) {
            out.extend_from_slice(own);
            return false;
        }
        made.extend_from_slice(b"0");
        let whole = core::str::from_utf8(&made).unwrap_or_default();
        let mut tokens = Lexer::new(whole);
        let is_closed = matches!(tokens.next(), Some(Ok(token)) if token.text == b"0") && tokens.next().is_none();
        made.pop();
        out.extend_from_slice(if is_closed { &made } else { b" /* REDACTED */ " });
        true
    }

    /// Writes a text; whether it is another one.
    fn text(&mut self, own: &[u8], out: &mut Vec<u8>) -> bool {
        if own.is_empty() {
            return false;
        }
        let start = out.len();
        match self.engine.value(&Column::TEXT, own, Sight::Unseen, out) {
            Ok(Fate::Keep) => {
                out.extend_from_slice(own);
                return false;
            }
            Ok(Fate::Replaced) => {}
            Ok(Fate::Null | Fate::Drop) | Err(_) => {
                out.truncate(start);
                out.extend_from_slice(REDACTED);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
