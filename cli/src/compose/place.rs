//! Where a setting stands in a file, so that a mistake that its form does not show is still named with its line.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The line, from 1, on which a setting stands; 0 where neither it nor its table does.
///
/// `setting` is a path such as `broker.max_ttl`. In a list of tables the one is meant whose name stands in backticks, behind the
/// path or at the head of the problem; a setting of it that the problem names in backticks is looked for in turn.
#[must_use]
pub(crate) fn line(text: &str, setting: &str, problem: &str) -> usize {
    let Ok(file) = DeTable::parse(text) else { return 0 };
    let (path, name) = setting.split_once(' ').unwrap_or((setting, ""));
    let mut words = quoted(problem);
    let name = match quoted(name).pop() {
        Some(name) => Some(name),
        None if problem.starts_with("issuer `") && !words.is_empty() => Some(words.remove(0)),
        None => None,
    };
    let mut place = Place { table: Some(file.get_ref()), at: None };
    for key in path.split('.') {
        place = place.below(key, name);
    }
    for word in words {
        let key = word.split(' ').next().unwrap_or_default();
        let inner = key.split('.').try_fold(place, |place, key| place.known(key, name));
        if let Some(inner) = inner.or_else(|| place.valued(word)) {
            place = inner;
            break;
        }
    }
    place.at.map_or(0, |at| text.get(..at).unwrap_or(text).matches('\n').count() + 1)
}

/// The line, from 1, on which a file is named; 0 where none is.
#[must_use]
pub(crate) fn line_of_file(text: &str, path: &std::path::Path) -> usize {
    let named = format!("\"{}\"", path.display());
    text.lines().position(|line| line.contains(&named)).map_or(0, |line| line + 1)
}

#[derive(Clone, Copy)]
struct Place<'a> {
    table: Option<&'a DeTable<'a>>,
    at: Option<usize>,
}

impl<'a> Place<'a> {
    /// The key's place, or where it is not there, that of its table.
    fn below(self, key: &str, name: Option<&str>) -> Self {
        self.known(key, name).unwrap_or(self)
    }

    fn known(self, key: &str, name: Option<&str>) -> Option<Self> {
        let (key, value) = self.table?.get_key_value(key)?;
        let at = key.span().start;
        Some(match value.get_ref() {
            DeValue::Table(table) => Place { table: Some(table), at: Some(at) },
            DeValue::Array(all) => Self::element(all, name).unwrap_or(Place { table: None, at: Some(at) }),
            _ => Place { table: None, at: Some(at) },
        })
    }

    /// The setting that has this value.
    fn valued(self, value: &str) -> Option<Self> {
        let (key, _) = self.table?.iter().find(|(_, own)| own.get_ref().as_str() == Some(value))?;
        Some(Place { table: None, at: Some(key.span().start) })
    }

    fn element(all: &'a [Spanned<DeValue<'a>>], name: Option<&str>) -> Option<Self> {
        let named = |element: &&Spanned<DeValue<'_>>| {
            let table = element.get_ref().as_table();
            let own = table.and_then(|table| table.get("name")).and_then(|value| value.get_ref().as_str());
            name.is_some() && own == name
        };
        let element = all.iter().rfind(named).or_else(|| all.first())?;
        let table = element.get_ref().as_table()?;
        Some(Place { table: Some(table), at: Some(element.span().start) })
    }
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
