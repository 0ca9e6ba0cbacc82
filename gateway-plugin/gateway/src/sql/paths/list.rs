//! A list of names, as `search_path` holds one.

use super::state::Path;

/// The names of a list as PostgreSQL writes it: between commas, folded unless they stand in double quotes. `None`: it is none.
pub(super) fn list(text: &str) -> Option<Path> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, after) = name(rest)?;
        names.push(name);
        rest = after.trim_start();
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        return (!name.is_empty() && !name.contains('"')).then(|| (name.to_ascii_lowercase(), rest));
    };
    let mut name = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match (character, characters.peek()) {
            ('"', Some((_, '"'))) => {
                characters.next();
                name.push('"');
            }
            ('"', _) => return Some((name, quoted.get(at + 1..)?)),
            _ => name.push(character),
        }
    }
    None
}
