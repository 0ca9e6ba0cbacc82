//! What is wrong with a policy file, and where.

use std::fmt;

use cedar_policy::ffi::DetailedError;

/// A mistake in a policy file. A set of files with one problem is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file's name, as the caller gave it.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that is known.
    pub help: Option<String>,
}

impl Problem {
    /// A problem at a byte offset of a file's text. An offset beyond the end, or within a character, is held at the
    /// character before it.
    #[must_use]
    pub fn at(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let (line, column) = position(text, offset);
        Self { file: file.to_owned(), line, column, message: message.into(), help: None }
    }

    /// The same, with what to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// All that Cedar reported in one error, the related ones included.
    pub(crate) fn from_cedar(file: &str, text: &str, error: DetailedError) -> Vec<Self> {
        let offset = error.source_locations.first().map_or(0, |label| label.loc.start);
        let mut message = error.message;
        if let Some(label) = error.source_locations.into_iter().find_map(|label| label.label) {
            message = format!("{message}: {label}");
        }
        let mut problem = Self::at(file, text, offset, message);
        problem.help = error.help;
        let related = error.related.into_iter().flat_map(|other| Self::from_cedar(file, text, other));
        std::iter::once(problem).chain(related).collect()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.escape_debug();
        write!(f, "{file}:{}:{}: {}", self.line, self.column, Printable(&self.message))?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {}", Printable(help)),
            None => Ok(()),
        }
    }
}

/// Text from outside on a terminal: control characters escaped, all else as it is.
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| {
            if character.is_control() { write!(f, "{}", character.escape_debug()) } else { write!(f, "{character}") }
        })
    }
}

fn position(text: &str, offset: usize) -> (u32, u32) {
    let before = text.char_indices().take_while(|(at, _)| *at < offset).map(|(_, character)| character);
    before.fold((1, 1), |(line, column), character| if character == '\n' { (line + 1, 1) } else { (line, column + 1) })
}
