//! Bulk copies. Their pieces need not end where a row ends: what is not a whole row yet is held back, up to the longest value that
//! rules allow. A row goes on as one piece, as PostgreSQL itself sends it.
//!
//! A copy of which the mask was told nothing is read as text or, by its signature, as binary, and as if every rule
//! applied to each of its columns.

use writ_core::fault::Fault;

use super::column::Column;
use super::message::{frame, seal};
use super::row::put;
use super::types::{Catalog, Class};
use super::value::Fate;
use super::{PostgresMask, too_long, unreadable};
use crate::detect::Sight;
use crate::rules::RuleSet;
use crate::{CopyColumn, CopyFormat};

/// What binary copies begin with.
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The signature, flags and the length of an extension.
const HEADER: usize = 19;

/// A copy that goes on.
#[derive(Debug)]
pub(super) struct Copy {
    format: Option<CopyFormat>,
    /// Its columns; none where they are not known, and `unknown` is each of them.
    columns: Vec<Column>,
    unknown: Column,
    /// Whether the header of a binary copy, and its end, were seen.
    begun: bool,
    ended: bool,
    held: Vec<u8>,
    /// How far what is held was searched for the end of a row, and whether within quotes.
    searched: usize,
    quoted: bool,
}

impl Copy {
    pub(super) fn new(
        format: CopyFormat,
        columns: Option<&[CopyColumn]>,
        rules: &RuleSet,
        catalog: &dyn Catalog,
    ) -> Self {
        let binary = format == CopyFormat::Binary;
        let known = columns.unwrap_or_default().iter();
        let mut copy = Self::untold(rules);
        copy.columns = known.map(|column| Column::copied(*column, binary, rules, catalog)).collect();
        copy.unknown = copy.unknown.in_format(binary);
        copy.format = Some(format);
        copy
    }

    fn untold(rules: &RuleSet) -> Self {
        Self {
            format: None,
            columns: Vec::new(),
            unknown: Column::unknown(false, rules),
            begun: false,
            ended: false,
            held: Vec::new(),
            searched: 0,
            quoted: false,
        }
    }

    /// Whether nothing is held back.
    pub(super) const fn is_done(&self) -> bool {
        self.held.is_empty()
    }

    /// The format, where it is told or can be seen; nothing as long as too little is there to see it.
    fn known_format(&mut self) -> Option<CopyFormat> {
        if self.format.is_none() {
            let seen = self.held.len().min(SIGNATURE.len());
            let binary = self.held.get(..seen) == SIGNATURE.get(..seen);
            if binary && seen < SIGNATURE.len() {
                return None;
            }
            self.format = Some(if binary { CopyFormat::Binary } else { CopyFormat::Text { delimiter: b'\t' } });
            self.unknown = self.unknown.in_format(binary);
        }
        self.format
    }

    fn column(&self, place: usize) -> Result<Column, Fault> {
        if self.columns.is_empty() {
            return Ok(self.unknown);
        }
        self.columns.get(place).copied().ok_or_else(|| unreadable("a copied row with more columns than were told"))
    }

    /// Where the first row that is held ends, if it does.
    fn row_end(&mut self, from: usize, format: CopyFormat) -> Option<usize> {
        self.searched = self.searched.max(from);
        while let Some(byte) = self.held.get(self.searched) {
            self.searched += 1;
            match format {
                CopyFormat::Csv { quote, .. } if *byte == quote => self.quoted = !self.quoted,
                _ if *byte == b'\n' && !self.quoted => return Some(self.searched),
                _ => {}
            }
        }
        None
    }
}

impl PostgresMask {
    /// Masks whole frames of copied data.
    pub(super) fn copied(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
        if self.engine.rules.is_empty() {
            return Ok(false);
        }
        let mut copy = self.copy.take().unwrap_or_else(|| Copy::untold(&self.engine.rules));
        let start = out.len();
        let done = self.copy_rows(&mut copy, input, out);
        self.copy = Some(copy);
        done?;
        // What went in came out: nothing is said to have changed.
        if out.get(start..) == Some(input) {
            out.truncate(start);
            return Ok(false);
        }
        Ok(true)
    }

    fn copy_rows(&mut self, copy: &mut Copy, input: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut rest = input;
        while !rest.is_empty() {
            let Some((b'd', body, after)) = frame(rest) else { return Err(unreadable("copied data")) };
            copy.held.extend_from_slice(body);
            self.copy_held(copy, out)?;
            rest = after;
        }
        Ok(())
    }

    /// Sends on the whole rows that are held.
    fn copy_held(&mut self, copy: &mut Copy, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Some(format) = copy.known_format() else { return Ok(()) };
        let mut at = 0;
        loop {
            let frame_at = out.len();
            out.extend_from_slice(b"d\0\0\0\0");
            let next = match format {
                CopyFormat::Binary => self.tuple(copy, at, out)?,
                CopyFormat::Text { delimiter } => self.line(copy, at, format, delimiter, out)?,
                CopyFormat::Csv { delimiter, .. } => self.line(copy, at, format, delimiter, out)?,
            };
            let Some((end, kept)) = next else {
                out.truncate(frame_at);
                break;
            };
            if kept {
                seal(out, frame_at)?;
            } else {
                out.truncate(frame_at);
            }
            at = end;
        }
        copy.held.drain(..at);
        copy.searched = copy.searched.saturating_sub(at);
        if copy.held.len() > self.engine.rules.max_masked_value.saturating_mul(2) {
            return Err(too_long());
        }
        Ok(())
    }

    /// One line: where it ends, and whether it goes on.
    fn line(
        &mut self,
        copy: &mut Copy,
        at: usize,
        format: CopyFormat,
        delimiter: u8,
        out: &mut Vec<u8>,
    ) -> Result<Option<(usize, bool)>, Fault> {
        let Some(end) = copy.row_end(at, format) else { return Ok(None) };
        let line = copy.held.get(at..end - 1).unwrap_or_default();
        let (mut from, mut place) = (0, 0);
        loop {
            let to = from + field_length(line.get(from..).unwrap_or_default(), format, delimiter);
            let column = copy.column(place)?;
            if !self.written(&column, line.get(from..to).unwrap_or_default(), format, out)? {
                return Ok(Some((end, false)));
            }
            if to >= line.len() {
                break;
            }
            out.push(delimiter);
            (from, place) = (to + 1, place + 1);
        }
        out.push(b'\n');
        Ok(Some((end, true)))
    }

    /// Writes a field of a line; false where its row is dropped.
    fn written(&mut self, column: &Column, field: &[u8], format: CopyFormat, out: &mut Vec<u8>) -> Result<bool, Fault> {
        let carriage = field.ends_with(b"\r");
        let bare = field.strip_suffix(b"\r").unwrap_or(field);
        let null: &[u8] = if matches!(format, CopyFormat::Text { .. }) { b"\\N" } else { b"" };
        if bare == null || bare == b"\\." {
            out.extend_from_slice(field);
            return Ok(true);
        }
        let opened = match format {
            CopyFormat::Csv { quote, .. } => unquoted(bare, quote),
            CopyFormat::Text { .. } if bare.contains(&b'\\') => Some(unescaped(bare)),
            _ => None,
        };
        let at = out.len();
        let value = opened.as_deref().unwrap_or(bare);
        // A line's column of which the type is not known is text to whoever reads lines, or bytes where it looks like them.
        let class = match column.class {
            Class::Other | Class::Unknown if !column.binary && value.starts_with(b"\\x") => Class::Bytes,
            Class::Other | Class::Unknown if !column.binary => Class::Text,
            known => known,
        };
        let column = Column { class, ..*column };
        let fate = self.engine.value(&column, value, Sight::Unseen, out)?;
        match fate {
            Fate::Drop => return Ok(false),
            Fate::Keep => out.extend_from_slice(bare),
            Fate::Null => {
                out.truncate(at);
                out.extend_from_slice(null);
            }
            Fate::Replaced => {
                let made = out.split_off(at);
                match (&opened, format) {
                    (Some(_), CopyFormat::Csv { quote, .. }) => requote(&made, quote, out),
                    (None, CopyFormat::Csv { delimiter, quote }) if needs_quotes(&made, delimiter, quote) => {
                        requote(&made, quote, out);
                    }
                    (_, CopyFormat::Text { delimiter }) => escape(&made, delimiter, out),
                    _ => out.extend_from_slice(&made),
                }
            }
        }
        if carriage {
            out.push(b'\r');
        }
        Ok(true)
    }

    /// The header, one row or the end of a binary copy: where it ends, and whether it goes on.
    fn tuple(&mut self, copy: &mut Copy, at: usize, out: &mut Vec<u8>) -> Result<Option<(usize, bool)>, Fault> {
        if !copy.begun {
            return header(copy, out);
        }
        let Some(held) = copy.held.get(at..).filter(|held| !held.is_empty()) else { return Ok(None) };
        let Some((count, mut rest)) = held.split_first_chunk::<2>() else { return Ok(None) };
        out.extend_from_slice(count);
        if *count == [0xff, 0xff] {
            copy.ended = true;
            return Ok(Some((at + 2, true)));
        }
        if copy.ended {
            return Err(unreadable("what follows the end of a binary copy"));
        }
        let mut kept = true;
        for place in 0..usize::from(u16::from_be_bytes(*count)) {
            let Some((length, after)) = rest.split_first_chunk::<4>() else { return Ok(None) };
            let length = i32::from_be_bytes(*length);
            if length == -1 {
                put(Fate::Null, &[], out)?;
                rest = after;
                continue;
            }
            let length = usize::try_from(length).map_err(|_| unreadable("a copied value's length"))?;
            let Some((value, after)) = after.split_at_checked(length) else { return Ok(None) };
            self.field.clear();
            let fate = self.engine.value(&copy.column(place)?, value, Sight::Unseen, &mut self.field)?;
            match fate {
                Fate::Drop => kept = false,
                Fate::Keep => put(fate, value, out)?,
                _ => put(fate, &self.field, out)?,
            }
            rest = after;
        }
        Ok(Some((copy.held.len() - rest.len(), kept)))
    }
}

fn header(copy: &mut Copy, out: &mut Vec<u8>) -> Result<Option<(usize, bool)>, Fault> {
    let Some(head) = copy.held.first_chunk::<HEADER>() else { return Ok(None) };
    let [.., l0, l1, l2, l3] = head;
    let extension = u32::from_be_bytes([*l0, *l1, *l2, *l3]);
    if !head.starts_with(SIGNATURE) || extension != 0 {
        return Err(unreadable("the header of a binary copy"));
    }
    out.extend_from_slice(head);
    copy.begun = true;
    Ok(Some((HEADER, true)))
}

/// How long the first field is.
fn field_length(line: &[u8], format: CopyFormat, delimiter: u8) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (place, byte) in line.iter().enumerate() {
        match format {
            CopyFormat::Csv { quote, .. } if *byte == quote => quoted = !quoted,
            CopyFormat::Text { .. } if !escaped && *byte == b'\\' => {
                escaped = true;
                continue;
            }
            _ if *byte == delimiter && !quoted && !escaped => return place,
            _ => {}
        }
        escaped = false;
    }
    line.len()
}

/// What a quoted field holds; nothing where it is not quoted.
fn unquoted(field: &[u8], quote: u8) -> Option<Vec<u8>> {
    let (first, rest) = field.split_first()?;
    let (last, inside) = rest.split_last()?;
    if *first != quote || *last != quote {
        return None;
    }
    let mut second = false;
    Some(
        inside
            .iter()
            .copied()
            .filter(|byte| {
                second = *byte == quote && !second;
                !second
            })
            .collect(),
    )
}

fn requote(value: &[u8], quote: u8, out: &mut Vec<u8>) {
    out.push(quote);
    for byte in value {
        if *byte == quote {
            out.push(quote);
        }
        out.push(*byte);
    }
    out.push(quote);
}

/// Whether a field of CSV would be read as others without quotes around it.
fn needs_quotes(field: &[u8], delimiter: u8, quote: u8) -> bool {
    field.is_empty() || field.iter().any(|byte| [delimiter, quote, b'\n', b'\r'].contains(byte))
}

/// What a field of the text format holds.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let (mut out, mut bytes) = (Vec::with_capacity(field.len()), field.iter());
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        match bytes.next() {
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'v') => out.push(11),
            other => out.extend(other),
        }
    }
    out
}

/// Writes a field of the text format.
fn escape(field: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    for byte in field {
        let letter = match byte {
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            11 => b'v',
            other if *other == b'\\' || *other == delimiter => *other,
            other => {
                out.push(*other);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
}
