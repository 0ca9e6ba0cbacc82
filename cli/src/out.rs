//! What the user sees: plain text, one voice, and nothing from outside that could steer the terminal.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the program goes on where nobody reads, because it has something to clean up.
static OUTLIVES_ITS_READER: AtomicBool = AtomicBool::new(false);
/// Whether nobody reads any more.
static UNREAD: AtomicBool = AtomicBool::new(false);

/// From here on a closed pipe does not end the program: what it prints is dropped, and [`unread`] says so.
pub(crate) fn outlive_the_reader() {
    OUTLIVES_ITS_READER.store(true, Ordering::Relaxed);
}

/// Whether something that was printed could not be.
#[must_use]
pub(crate) fn unread() -> bool {
    UNREAD.load(Ordering::Relaxed)
}

/// Prints a line to standard output. A closed pipe ends the program quietly, as users of `head` expect.
pub(crate) fn line(text: &str) {
    write_or_leave(&mut std::io::stdout().lock(), text, "\n");
}

/// Prints text as it stands, without a line's end.
pub(crate) fn raw(text: &str) {
    write_or_leave(&mut std::io::stdout().lock(), text, "");
}

/// Prints a line to standard error.
pub(crate) fn note(text: &str) {
    write_or_leave(&mut std::io::stderr().lock(), text, "\n");
}

fn write_or_leave(to: &mut dyn std::io::Write, text: &str, end: &str) {
    if to.write_all(text.as_bytes()).and_then(|()| to.write_all(end.as_bytes())).and_then(|()| to.flush()).is_err() {
        if !OUTLIVES_ITS_READER.load(Ordering::Relaxed) {
            std::process::exit(141);
        }
        UNREAD.store(true, Ordering::Relaxed);
    }
}

/// Text from outside, made harmless for a terminal: control characters are shown as `\u{..}`, line ends and tabs stay.
#[must_use]
pub(crate) fn harmless(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, character| {
        let steers = character.is_control() && !matches!(character, '\n' | '\t');
        let hides = matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if steers || hides {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        } else {
            shown.push(character);
        }
        shown
    })
}

/// The same on one line: what came from outside cannot look like a line of ours.
#[must_use]
pub(crate) fn one_line(text: &str) -> String {
    harmless(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// The same on several lines: each behind the first is marked, so that none looks like a line of ours.
#[must_use]
pub(crate) fn marked_lines(text: &str) -> String {
    harmless(text).replace('\n', "\n    .. ")
}

/// A table with aligned columns; the first row is its head.
#[must_use]
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    rows.iter().fold(String::new(), |mut text, row| {
        let last = row.len().saturating_sub(1);
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == last { write!(text, "{cell}") } else { write!(text, "{cell:<width$}  ") };
        }
        text.push('\n');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_steered() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{202e}c\td\n"), "a\\u{1b}[2Jb\\u{202e}c\td\n");
    }

    #[test]
    fn no_text_looks_like_a_line_of_ours() {
        let forged = "x\n2026-11-23T10:00:00Z  sql_query> select\ty";
        assert_eq!(one_line(forged), "x\\n2026-11-23T10:00:00Z  sql_query> select\\ty");
        assert_eq!(marked_lines(forged), "x\n    .. 2026-11-23T10:00:00Z  sql_query> select\ty");
    }

    #[test]
    fn columns_align() {
        let rows = [vec!["A".to_owned(), "B".to_owned()], vec!["longer".to_owned(), "x".to_owned()]];
        assert_eq!(table(&rows), "A       B\nlonger  x\n");
    }
}
