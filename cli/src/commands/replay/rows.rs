//! Recorded rows, as far as they are shown: the first few of each command, from PostgreSQL's own frames (protocol 3, "Message
//! Formats").

use std::collections::HashMap;

use serde::Serialize;
use writ_core::command::CommandId;
use writ_record::entry::{Flow, RowsEntry};

/// The longest frame that is put together of several entries, in bytes; of a longer one nothing is shown.
const MOST_JOINED: usize = 1 << 20;

/// What flowed back for one command.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Table {
    /// The columns' names, where they were described with it.
    pub(super) columns: Vec<String>,
    /// The first rows; `None` is NULL.
    pub(super) rows: Vec<Vec<Option<String>>>,
    /// How many more there were.
    pub(super) more: u64,
}

/// The rows of a session.
#[derive(Debug)]
pub(super) struct Rows {
    most: usize,
    tables: HashMap<CommandId, Table>,
    joined: Vec<u8>,
}

impl Rows {
    /// Keeps at most so many of each command.
    pub(super) fn keeping(most: usize) -> Self {
        Self { most, tables: HashMap::new(), joined: Vec::new() }
    }

    /// Takes an entry of the recording, in their order.
    pub(super) fn push(&mut self, entry: &RowsEntry) {
        let (Some(command), Flow::Columns | Flow::Rows | Flow::Copy) = (entry.id, entry.flow) else { return };
        let room = MOST_JOINED.saturating_sub(self.joined.len());
        self.joined.extend_from_slice(entry.bytes.get(..room).unwrap_or(&entry.bytes));
        if entry.continues {
            return;
        }
        let bytes = std::mem::take(&mut self.joined);
        let table = self.tables.entry(command).or_default();
        let mut rest = bytes.as_slice();
        while let Some((tag, body, after)) = frame(rest) {
            rest = after;
            match tag {
                b'T' => table.columns = columns(body).unwrap_or_default(),
                b'D' | b'd' if table.rows.len() == self.most => table.more += 1,
                b'D' => table.rows.push(values(body).unwrap_or_default()),
                b'd' => table.rows.push(vec![Some(shown(body).trim_end_matches('\n').to_owned())]),
                _ => {}
            }
        }
        if !rest.is_empty() {
            table.more += 1;
        }
    }

    /// The rows of a command, with the columns of the one that prepared it where it has none of its own.
    pub(super) fn take(&mut self, command: CommandId, prepared_by: Option<CommandId>) -> Option<Table> {
        let mut table = self.tables.remove(&command).filter(|table| !table.rows.is_empty() || table.more > 0)?;
        if let (true, Some(by)) = (table.columns.is_empty(), prepared_by) {
            table.columns = self.tables.get(&by).map(|prepared| prepared.columns.clone()).unwrap_or_default();
        }
        Some(table)
    }
}

impl Table {
    /// As lines for a terminal.
    pub(super) fn lines(&self) -> String {
        let mut lines = String::new();
        let mut line = |cells: Vec<String>| lines.push_str(&format!("    | {}\n", cells.join(" | ")));
        if !self.columns.is_empty() {
            line(self.columns.iter().map(|name| crate::out::one_line(name)).collect());
        }
        for row in &self.rows {
            let cell =
                |value: &Option<String>| value.as_deref().map_or_else(|| "NULL".to_owned(), crate::out::one_line);
            line(row.iter().map(cell).collect());
        }
        if self.more > 0 {
            lines.push_str(&format!("    | and {} more\n", self.more));
        }
        lines
    }
}

fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let length = usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?;
    let (frame, after) = rest.split_at_checked(length)?;
    Some((*tag, frame.get(4..)?, after))
}

fn columns(body: &[u8]) -> Option<Vec<String>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut names = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let end = rest.iter().position(|byte| *byte == 0)?;
        names.push(shown(rest.get(..end)?));
        // Table, attribute, type, size, modifier, format.
        rest = rest.get(end + 1 + 18..)?;
    }
    Some(names)
}

fn values(body: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            values.push(None);
            rest = after;
            continue;
        };
        let (value, after) = after.split_at_checked(length)?;
        values.push(Some(shown(value)));
        rest = after;
    }
    Some(values)
}

/// Text as it is, anything else in hexadecimal.
fn shown(value: &[u8]) -> String {
    match core::str::from_utf8(value) {
        Ok(text)
            if !text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t' | '\r')) =>
        {
            text.to_owned()
        }
        _ => value.iter().fold("\\x".to_owned(), |hex, byte| format!("{hex}{byte:02x}")),
    }
}

#[cfg(test)]
mod tests {
    use writ_core::time::Timestamp;

    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        [&[tag][..], &u32::try_from(body.len() + 4).unwrap().to_be_bytes(), body].concat()
    }

    fn entry(id: u64, flow: Flow, continues: bool, bytes: &[u8]) -> RowsEntry {
        RowsEntry { id: Some(CommandId(id)), at: Timestamp::UNIX_EPOCH, flow, continues, bytes: bytes.to_vec() }
    }

    fn described() -> Vec<u8> {
        message(b'T', &[&[0, 1][..], b"name\0", &[0; 18]].concat())
    }

    fn row(value: &[u8]) -> Vec<u8> {
        message(b'D', &[&[0, 2][..], &u32::try_from(value.len()).unwrap().to_be_bytes(), value, &[0xff; 4]].concat())
    }

    #[test]
    fn rows_stand_with_their_command_and_the_rest_is_counted() {
        let mut rows = Rows::keeping(2);
        rows.push(&entry(1, Flow::Columns, false, &described()));
        rows.push(&entry(2, Flow::Rows, false, &[row(b"one"), row(&[0, 255])].concat()));
        rows.push(&entry(2, Flow::Rows, false, &row(b"three")));
        let table = rows.take(CommandId(2), Some(CommandId(1))).unwrap();
        assert_eq!(table.lines(), "    | name\n    | one | NULL\n    | \\x00ff | NULL\n    | and 1 more\n");
        assert_eq!(rows.take(CommandId(1), None), None, "a description alone is no row");
    }

    #[test]
    fn a_frame_in_several_entries_is_one_row_and_nothing_broken_is_shown() {
        let mut rows = Rows::keeping(9);
        let one = row(b"in pieces");
        rows.push(&entry(1, Flow::Rows, true, &one[..7]));
        rows.push(&entry(1, Flow::Rows, false, &one[7..]));
        rows.push(&entry(1, Flow::Rows, false, &one[..9]));
        rows.push(&entry(1, Flow::Copy, false, &message(b'd', b"a\tb\n")));
        let table = rows.take(CommandId(1), None).unwrap();
        assert_eq!(table.rows, [vec![Some("in pieces".to_owned()), None], vec![Some("a\tb".to_owned())]]);
        assert_eq!(table.more, 1);
    }

    #[test]
    fn a_value_cannot_look_like_a_command() {
        let mut rows = Rows::keeping(1);
        rows.push(&entry(1, Flow::Rows, false, &row(b"x\n2026-11-23T10:00:00Z  sql_query> drop")));
        let table = rows.take(CommandId(1), None).unwrap();
        assert_eq!(table.lines(), "    | x\\n2026-11-23T10:00:00Z  sql_query> drop | NULL\n");
    }
}
