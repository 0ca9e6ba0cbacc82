//! Reading TOML so that every mistake comes back with file, line, what is wrong and what to write instead.

use std::fmt;

use serde::de::DeserializeOwned;

/// A mistake in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The file as it was named.
    pub file: String,
    /// The line, from 1; 0 where the mistake is in no one place.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The line's text, unless it may hold a secret.
    pub excerpt: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to write instead, where that is known.
    pub help: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what)?,
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.what)?,
        }
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n  | {excerpt}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\n help: {help}"),
            None => Ok(()),
        }
    }
}

/// Reads text as the content of `file`.
///
/// # Errors
/// A [`Mistake`] if it is no TOML, or does not have the form of `T`.
pub(crate) fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Mistake> {
    toml::from_str(text).map_err(|error| mistake(file, text, &error))
}

fn mistake(file: &str, text: &str, error: &toml::de::Error) -> Mistake {
    let (line, column) = error.span().map_or((0, 0), |span| position(text, span.start));
    let excerpt = text.lines().nth(line.wrapping_sub(1)).filter(|line| !may_hold_a_secret(line));
    let excerpt = excerpt.filter(|_| line > 0).map(crate::out::harmless);
    let message = error.message().trim();
    let (what, help) = instead(message);
    Mistake { file: file.to_owned(), line, column, excerpt, what, help }
}

/// Whether a line gives a secret its value, as people do who have not read that the file holds none.
fn may_hold_a_secret(line: &str) -> bool {
    let Some((name, _)) = line.split_once('=') else { return false };
    let name = name.trim().to_lowercase();
    let named = ["password", "secret", "token", "passphrase", "credential"].iter().any(|word| name.contains(word));
    named && !["_file", "_env", "_life"].iter().any(|end| name.ends_with(end))
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count()) + 1;
    (line, column)
}

/// Splits the parser's words into what is wrong and what to write instead.
fn instead(message: &str) -> (String, Option<String>) {
    if let Some((unknown, expected)) = message.strip_prefix("unknown field ").and_then(|rest| rest.split_once(", ")) {
        return match (nearest(unknown, expected), expected) {
            (Some(near), _) => (format!("there is no setting {unknown} here"), Some(format!("did you mean `{near}`?"))),
            (None, "there are no fields") => (format!("there is no setting {unknown} here"), None),
            (None, expected) => {
                (format!("there is no setting {unknown} here"), Some(expected.replace("expected", "write")))
            }
        };
    }
    if let Some(field) = message.strip_prefix("missing field ") {
        return (format!("the setting {field} is missing"), Some(format!("add {field}")));
    }
    match message.split_once(", expected ") {
        Some((what, expected)) => (what.to_owned(), Some(format!("write {}", plainly(expected)))),
        None if message == "invalid socket address syntax" => (
            "this is no address with a port".to_owned(),
            Some("write the address in figures and the port, such as `127.0.0.1:6432` or `[::]:6432`".to_owned()),
        ),
        None => (message.to_owned(), None),
    }
}

/// A type, in the user's words.
fn plainly(expected: &str) -> String {
    let most = match expected {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" | "usize" => u64::MAX >> 1,
        "a string" => return "text in quotes, such as `\"30s\"` for a length of time".to_owned(),
        "a boolean" => return "`true` or `false`".to_owned(),
        "a sequence" => return "a list: `[...]`".to_owned(),
        other => return other.to_owned(),
    };
    format!("a whole number from 0 to {most}, without quotes")
}

/// The expected name that is one or two changes away from the unknown one, or that begins with it.
fn nearest<'a>(unknown: &str, expected: &'a str) -> Option<&'a str> {
    let unknown = unknown.trim_matches('`');
    let mut names = expected.split('`').skip(1).step_by(2);
    let close = names.clone().map(|name| (distance(unknown, name), name)).filter(|(distance, _)| *distance <= 2).min();
    let longer = || names.find(|name| unknown.len() > 3 && name.starts_with(unknown));
    close.map(|(_, name)| name).or_else(longer)
}

/// The Levenshtein distance: how many characters to insert, remove or replace.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (number, from) in left.chars().enumerate() {
        let mut diagonal = number;
        let mut previous = number + 1;
        let mut next = vec![previous];
        for (to, above) in right.iter().zip(row.iter().skip(1)) {
            let cost = (diagonal + usize::from(from != *to)).min(above + 1).min(previous + 1);
            diagonal = *above;
            previous = cost;
            next.push(cost);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its form matters")]
    struct Sample {
        listen: String,
        workers: Option<u16>,
    }

    fn shown(text: &str) -> String {
        parse::<Sample>("writ.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn a_misspelt_setting_names_the_right_one() {
        assert_eq!(
            shown("listen = \"x\"\nworker = 2\n"),
            "writ.toml:2:1: there is no setting `worker` here\n  | worker = 2\n help: did you mean `workers`?"
        );
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown() {
        let text = shown("listen = \"x\"\npassword = \"hunter2\"\n");
        assert!(
            !text.contains("hunter2") && text.starts_with("writ.toml:2:1: there is no setting `password`"),
            "{text}"
        );
    }

    #[test]
    fn a_missing_setting_is_named() {
        assert!(shown("workers = 2\n").contains("the setting `listen` is missing"), "{}", shown("workers = 2\n"));
    }

    #[test]
    fn a_wrong_type_says_what_to_write() {
        let text = shown("listen = \"x\"\nworkers = \"two\"\n");
        assert!(text.starts_with("writ.toml:2:11: invalid type: string \"two\""), "{text}");
        assert!(text.ends_with("help: write a whole number from 0 to 65535, without quotes"), "{text}");
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("worker", "workers"), 1);
        assert_eq!(distance("listne", "listen"), 2);
    }
}
