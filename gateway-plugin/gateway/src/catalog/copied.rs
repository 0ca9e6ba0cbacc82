//! Which columns a `COPY ... TO STDOUT` copies, where its text says that beyond doubt.
//!
//! Only the plainest form is read: one table with its schema, the columns that it names or all, and the formats with nothing but `HEADER` beside
//! them. What this must never do: read a form that it does not know whole. Then nothing is known, and every rule applies.

use writ_mask::CopyFormat;

/// What the text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    /// The table's schema.
    pub(crate) schema: String,
    pub(crate) table: String,
    /// The columns, where they are named.
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) format: CopyFormat,
}

/// A token: a name that is not quoted in lower case, a quoted one, or a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Plain(String),
    Quoted(String),
    Sign(char),
}

/// The longest text that is read.
const LONGEST: usize = 64 << 10;

impl Copied {
    /// Reads a statement's text.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST)?;
        let mut tokens = tokens(text)?.into_iter().peekable();
        let word = |token: Option<Token>, wanted: &str| (token? == Token::Plain(wanted.to_owned())).then_some(());
        word(tokens.next(), "copy")?;
        let schema = name(tokens.next()?)?;
        tokens.next_if_eq(&Token::Sign('.'))?;
        let table = name(tokens.next()?)?;
        let mut columns = None;
        if tokens.next_if_eq(&Token::Sign('(')).is_some() {
            let mut named = vec![name(tokens.next()?)?];
            while tokens.next_if_eq(&Token::Sign(',')).is_some() {
                named.push(name(tokens.next()?)?);
            }
            (tokens.next()? == Token::Sign(')')).then_some(())?;
            columns = Some(named);
        }
        word(tokens.next(), "to")?;
        word(tokens.next(), "stdout")?;
        let format = format(tokens.filter(|token| *token != Token::Sign(';')))?;
        Some(Self { schema, table, columns, format })
    }
}

/// What stands behind the target: a format at most, with or without parentheses.
fn format(options: impl Iterator<Item = Token>) -> Option<CopyFormat> {
    let mut format = CopyFormat::Text { delimiter: b'\t' };
    for option in options {
        match option {
            Token::Sign('(' | ')' | ',') => {}
            Token::Plain(word) => match word.as_str() {
                "with" | "format" | "header" | "true" | "text" => {}
                "csv" => format = CopyFormat::Csv { delimiter: b',', quote: b'"' },
                "binary" => format = CopyFormat::Binary,
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(format)
}

/// Words that are no table's and no column's name unless they are quoted.
const RESERVED: [&str; 4] = ["to", "from", "only", "with"];

fn name(token: Token) -> Option<String> {
    match token {
        Token::Plain(word) if !RESERVED.contains(&word.as_str()) => Some(word),
        Token::Quoted(word) => Some(word),
        _ => None,
    }
}

/// The tokens of a text that has nothing but names and signs in it; comments and other strings are not read.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let (mut tokens, mut letters) = (Vec::new(), text.chars().peekable());
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' | '\n' | '\r' => {}
            '(' | ')' | ',' | '.' | ';' => tokens.push(Token::Sign(letter)),
            '"' => {
                let mut word = String::new();
                loop {
                    match letters.next()? {
                        '"' if letters.next_if_eq(&'"').is_some() => word.push('"'),
                        '"' => break,
                        other => word.push(other),
                    }
                }
                tokens.push(Token::Quoted(word));
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let mut word = String::from(letter);
                while let Some(more) = letters.next_if(|more| more.is_ascii_alphanumeric() || matches!(more, '_' | '$'))
                {
                    word.push(more);
                }
                // `U&"..."` and the like are other names than they look.
                if letters
                    .peek()
                    .is_some_and(|next| !matches!(next, ' ' | '\t' | '\n' | '\r' | '(' | ')' | ',' | '.' | ';'))
                {
                    return None;
                }
                tokens.push(Token::Plain(word.to_ascii_lowercase()));
            }
            _ => return None,
        }
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, Option<usize>, CopyFormat)> {
        let Copied { schema, table, columns, format } = Copied::read(text.as_bytes())?;
        Some((format!("{schema}/{table}"), columns.map(|columns| columns.len()), format))
    }

    #[test]
    fn the_plainest_forms_are_read() {
        let (text, csv) = (CopyFormat::Text { delimiter: b'\t' }, CopyFormat::Csv { delimiter: b',', quote: b'"' });
        for (sql, table, columns, format) in [
            ("copy a.people to stdout", "a/people", None, text),
            ("COPY Public.People (ID, \"Name\") TO STDOUT;", "public/people", Some(2), text),
            ("copy \"a \"\"b\"\"\".\"C\" to stdout", "a \"b\"/C", None, text),
            ("copy a.p to stdout (format csv, header)", "a/p", None, csv),
            ("copy a.p to stdout with csv header", "a/p", None, csv),
            ("copy a.p (a) to stdout with (format binary)", "a/p", Some(1), CopyFormat::Binary),
        ] {
            assert_eq!(read(sql), Some((table.to_owned(), columns, format)), "{sql}");
        }
    }

    #[test]
    fn every_other_form_is_not() {
        for sql in [
            "",
            "select 1",
            "copy people to stdout",
            "copy (select 1) to stdout",
            "copy a.people from stdin",
            "copy a.people to stdout; copy cards to stdout",
            "copy a.people to stdout (delimiter '|')",
            "copy a.people to stdout (format csv, quote 'x')",
            "copy a.people /* public */ to stdout",
            "copy a.people -- x\n to stdout",
            "copy a.U&\"p\" to stdout",
            "copy a.u&\"p\" to stdout",
            "copy only people to stdout",
            "copy a.b.c to stdout",
            "copy a.people () to stdout",
            "copy a.people to program",
            "copy a.\u{e9}t\u{e9} to stdout",
            "copy a.\"people to stdout",
            "copy a.people* to stdout",
        ] {
            assert_eq!(read(sql), None, "{sql}");
        }
    }
}
