//! A text to its statements. It may die of a text, so that only the child calls it; it must not answer for a text that it and
//! the lexer cut differently.

#[cfg(test)]
mod tests;

use pg_query::protobuf::{RawStmt, ScanToken, Token};
use writ_core::statement::Statement;
use writ_sql::wire::{Answer, LONGEST_TEXT, Reason};
use writ_sql::{Class, Lexer, Uncut, fingerprint, outline};

use crate::walk::{Lost, Walk};

/// The most tokens of a text.
const TOKENS: u32 = 100_000;
/// The most statements of a text.
const STATEMENTS: usize = 4096;

/// What a text does. A statement that was not understood stands among the others; a text that cannot be cut or parsed is
/// [`Answer::Unknown`] as a whole.
#[must_use]
pub fn analyse(text: &[u8]) -> Answer {
    statements(text).map_or_else(Answer::Unknown, Answer::Statements)
}

fn statements(text: &[u8]) -> Result<Vec<Statement>, Reason> {
    if text.len() > LONGEST_TEXT {
        return Err(Reason::Long);
    }
    let outline = outline(text).map_err(|uncut| match uncut {
        Uncut::Encoding | Uncut::Nul => Reason::Encoding,
        _ => Reason::Syntax,
    })?;
    if outline.tokens > TOKENS {
        return Err(Reason::Long);
    }
    // The scanner's binding must not be asked for no tokens: it makes a slice of the null pointer.
    if outline.tokens == 0 {
        return Ok(Vec::new());
    }
    let text = std::str::from_utf8(text).map_err(|_| Reason::Encoding)?;
    if !agrees(text) {
        return Err(Reason::Syntax);
    }
    let parsed = pg_query::parse(text, 0).map_err(|error| reason(&error))?.protobuf.stmts;
    // A function's body may count as several for the lexer; the grammar never sees more statements than it.
    if parsed.len() > outline.statements as usize {
        return Err(Reason::Syntax);
    }
    if parsed.len() > STATEMENTS {
        return Err(Reason::Wide);
    }
    parsed.iter().map(|raw| statement(text, raw)).collect()
}

fn statement(text: &str, raw: &RawStmt) -> Result<Statement, Reason> {
    let Some(root) = raw.stmt.as_ref().and_then(|node| node.node.as_ref()) else { return Ok(Statement::unknown()) };
    match Walk::statement_of(root.to_ref(), fingerprint(span(text, raw))) {
        Ok(statement) => Ok(statement),
        Err(Lost::Foreign) => Ok(Statement::unknown()),
        Err(Lost::Wide) => Err(Reason::Wide),
    }
}

/// The statement's part of the text.
fn span<'a>(text: &'a str, raw: &RawStmt) -> &'a [u8] {
    let start = usize::try_from(raw.stmt_location).unwrap_or_default();
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    match usize::try_from(raw.stmt_len) {
        Ok(length) if length > 0 => rest.get(..length).unwrap_or(rest),
        _ => rest,
    }
}

fn reason(error: &pg_query::Error) -> Reason {
    match error {
        pg_query::Error::Decode(_) => Reason::Deep,
        pg_query::Error::Parse(message)
            if ["stack depth", "exhausted", "too deeply"].iter().any(|it| message.contains(it)) =>
        {
            Reason::Deep
        }
        _ => Reason::Syntax,
    }
}

/// Whether the server's scanner cuts the text, which has a token, where the lexer does.
pub(crate) fn agrees(text: &str) -> bool {
    let Ok(theirs) = pg_query::scan_tokens(text) else { return false };
    let mut theirs = theirs.iter().filter(|token| !is_comment(token));
    for ours in Lexer::new(text) {
        let (Ok(ours), Some(theirs)) = (ours, theirs.next()) else { return false };
        let span = (usize::try_from(theirs.start), usize::try_from(theirs.end));
        if span != (Ok(ours.start), Ok(ours.start + ours.text.len())) || !alike(ours.class, theirs) {
            return false;
        }
    }
    theirs.next().is_none()
}

fn is_comment(token: &ScanToken) -> bool {
    matches!(token.token(), Token::SqlComment | Token::CComment)
}

fn alike(class: Class, token: &ScanToken) -> bool {
    match token.token() {
        Token::Sconst | Token::Usconst => class == Class::String,
        Token::Bconst | Token::Xconst => class == Class::Bits,
        Token::Iconst => class == Class::Integer,
        // A whole number that is too large is a fraction to the server.
        Token::Fconst => matches!(class, Class::Float | Class::Integer),
        Token::Param => class == Class::Parameter,
        Token::Uident => class == Class::UnicodeQuoted,
        Token::Ident => matches!(class, Class::Word | Class::Quoted),
        _ => matches!(class, Class::Word | Class::Symbol),
    }
}
