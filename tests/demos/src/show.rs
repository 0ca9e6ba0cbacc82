//! What the reader sees.

use std::fmt::Write as _;
use std::io::Write as _;

/// Prints a line. Where nobody reads any more the demo goes on to its end, which cleans up.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a line to standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints a heading.
pub(crate) fn heading(number: usize, text: &str) {
    line(&format!("\n[{number}] {text}"));
}

/// Prints what a program said, and lines of our own that belong to it.
pub(crate) fn quoted(text: &str) {
    for part in text.trim_end().lines() {
        line(&format!("    {}", harmless(part)));
    }
}

fn harmless(text: &str) -> String {
    text.chars().fold(String::new(), |mut shown, character| {
        if character.is_control() && character != '\t' {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(character));
        } else {
            shown.push(character);
        }
        shown
    })
}
