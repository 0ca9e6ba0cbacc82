//! The shape of a text: what it is, its literals left out. The key of a cache of what was understood of it.
//!
//! A SHA-256 over the tokens: each with its class before it, words in lower case, literals as their class alone. Nobody can make
//! two texts of one shape that have different tokens. A literal that follows `UESCAPE` stays, since it is part of a name.
//! Two texts of one shape parse alike; whether what was said of one holds for the other is [`Statement::literal`]'s matter.
//!
//! [`Statement::literal`]: writ_core::statement::Statement::literal

#[cfg(test)]
mod tests;

use aws_lc_rs::digest::{Context, SHA256, digest};
use writ_core::statement::Fingerprint;

use crate::lexer::{Class, Lexer, Token, Uncut};

/// The key: alike for texts that differ in literals, letter case of words, comments and white space alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape([u8; 32]);

impl Shape {
    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What is seen of a text without a grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Its shape.
    pub shape: Shape,
    /// How many statements it may hold: parts between semicolons outside parentheses that have a token. A function's
    /// `BEGIN ATOMIC` counts as several.
    pub statements: u32,
    /// How many tokens it has.
    pub tokens: u32,
}

/// Cuts a text.
///
/// # Errors
/// It is not UTF-8, or has what is no token: then it has no shape, and must be held for not understood.
pub fn outline(text: &[u8]) -> Result<Outline, Uncut> {
    let text = std::str::from_utf8(text).map_err(|_| Uncut::Encoding)?;
    let mut walk = Walk::default();
    let mut sink = Sink::new();
    for token in Lexer::new(text) {
        walk.token(&token?, &mut sink);
    }
    Ok(Outline { shape: Shape(sink.finish()), statements: walk.statements, tokens: walk.tokens })
}

/// The fingerprint of one statement; zero for what cannot be cut.
#[must_use]
pub fn fingerprint(statement: &[u8]) -> Fingerprint {
    let Ok(Outline { shape: Shape(digest), .. }) = outline(statement) else { return Fingerprint::default() };
    let mut half = [0; 16];
    half.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Fingerprint(half)
}

/// Counts, and writes each token down.
#[derive(Debug, Default)]
struct Walk {
    statements: u32,
    tokens: u32,
    depth: u32,
    /// A statement has begun and no semicolon has ended it.
    within: bool,
    /// The token before this one was `UESCAPE`.
    escape: bool,
}

impl Walk {
    fn token(&mut self, token: &Token<'_>, sink: &mut Sink) {
        self.tokens = self.tokens.saturating_add(1);
        match token.text {
            _ if token.class != Class::Symbol => {}
            b"(" => self.depth = self.depth.saturating_add(1),
            b")" => self.depth = self.depth.saturating_sub(1),
            // Empty statements are none: a semicolon is written when another statement follows it.
            b";" if self.depth == 0 => {
                self.within = false;
                return;
            }
            _ => {}
        }
        if !self.within {
            self.within = true;
            if self.statements > 0 {
                sink.put(tag(Class::Symbol), b";");
            }
            self.statements = self.statements.saturating_add(1);
        }
        let escape = token.class == Class::Word && token.text.eq_ignore_ascii_case(b"uescape");
        let part_of_name = std::mem::replace(&mut self.escape, escape);
        let text = if token.class.is_literal() && !part_of_name { &[] } else { token.text };
        if token.class == Class::Word {
            sink.put_folded(tag(token.class), text)
        } else {
            sink.put(tag(token.class), text)
        }
    }
}

/// What is written before a token's text. Not one of them is a byte of UTF-8, so that no text can look like two tokens.
const fn tag(class: Class) -> u8 {
    match class {
        Class::Word => 0xf7,
        Class::Quoted => 0xf8,
        Class::UnicodeQuoted => 0xf9,
        Class::String => 0xfa,
        Class::Bits => 0xfb,
        Class::Integer => 0xfc,
        Class::Float => 0xfd,
        Class::Parameter => 0xfe,
        Class::Symbol => 0xff,
    }
}

/// Gathers what is hashed, so that a usual statement is hashed in one call.
struct Sink {
    held: [u8; Self::HELD],
    length: usize,
    /// What did not fit into `held`.
    context: Option<Context>,
}

impl Sink {
    const HELD: usize = 1024;

    const fn new() -> Self {
        Self { held: [0; Self::HELD], length: 0, context: None }
    }

    fn put(&mut self, tag: u8, text: &[u8]) {
        if !self.hold(tag, text, |byte| byte) {
            self.long(tag, text);
        }
    }

    fn put_folded(&mut self, tag: u8, text: &[u8]) {
        if !self.hold(tag, text, |byte| byte.to_ascii_lowercase()) {
            self.long(tag, &text.to_ascii_lowercase());
        }
    }

    /// Writes it into `held`; `false` where it is longer than that. Byte by byte: most are short, and a call to copy them costs more.
    #[inline]
    fn hold(&mut self, tag: u8, text: &[u8], fold: impl Fn(u8) -> u8) -> bool {
        self.room(text.len() + 1);
        let Some([first, rest @ ..]) = self.held.get_mut(self.length..self.length + text.len() + 1) else {
            return false;
        };
        *first = tag;
        rest.iter_mut().zip(text).for_each(|(to, from)| *to = fold(*from));
        self.length += text.len() + 1;
        true
    }

    fn long(&mut self, tag: u8, text: &[u8]) {
        let context = self.context.get_or_insert_with(|| Context::new(&SHA256));
        context.update(&[tag]);
        context.update(text);
    }

    /// Empties `held` into the context where this many bytes more do not fit.
    fn room(&mut self, bytes: usize) {
        if self.length + bytes > Self::HELD {
            let context = self.context.get_or_insert_with(|| Context::new(&SHA256));
            context.update(self.held.get(..self.length).unwrap_or_default());
            self.length = 0;
        }
    }

    fn finish(mut self) -> [u8; 32] {
        let digest = match self.context.take() {
            None => digest(&SHA256, self.held.get(..self.length).unwrap_or_default()),
            Some(mut context) => {
                context.update(self.held.get(..self.length).unwrap_or_default());
                context.finish()
            }
        };
        let mut key = [0; 32];
        key.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        key
    }
}
