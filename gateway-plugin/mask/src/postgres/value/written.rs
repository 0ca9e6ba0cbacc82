//! Values within values, as they are written in the text formats of arrays, rows and ranges (`array_out`, `record_out`, `range_out`).
//!
//! An array's elements are of its elements' type. A row's fields may be of any type, which their text does not say, so that only
//! NULL may stand in place of one; a range's bound cannot even be that. What cannot be read so is looked at as a whole.

use writ_core::fault::Fault;

use super::{DEPTH, Engine, Fate};
use crate::detect::Sight;
use crate::postgres::column::Column;
use crate::postgres::types::Class;
use crate::rules::Otherwise;

/// `box`, the one type whose arrays are not separated by commas.
const BOX: u32 = 603;

impl Engine {
    /// Masks the values that are written within a value.
    pub(super) fn written(
        &mut self,
        column: &Column,
        value: &[u8],
        sight: Sight<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Fate, Fault> {
        let start = out.len();
        let read = if self.depth == DEPTH { None } else { self.parts(column.class, value, out)? };
        match read {
            Some(Fate::Keep) | None => out.truncate(start),
            Some(fate) => return Ok(fate),
        }
        // What lies across parts, and what is no value of this kind.
        let fate = self.found(column, value, sight, out)?;
        if read.is_none() && column.inside && fate == Fate::Keep {
            return self.unread_inside();
        }
        Ok(fate)
    }

    /// What stands in place of a value that rules for types apply to, and that cannot be read.
    fn unread_inside(&self) -> Result<Fate, Fault> {
        match self.rules.for_any_type().map(|duty| duty.otherwise) {
            Some(Otherwise::Error) => Err(super::too_strict()),
            _ => Ok(Fate::Null),
        }
    }

    fn parts(&mut self, outer: Class, value: &[u8], out: &mut Vec<u8>) -> Result<Option<Fate>, Fault> {
        self.depth += 1;
        let fate = match outer {
            Class::Array(inner) if inner != BOX => {
                let column = Column::of_type(inner, false, &self.rules, self.catalog.as_ref());
                self.written_array(&column, value, out)
            }
            Class::Composite => {
                let duty = self.rules.for_any_type();
                let column = Column { class: Class::Other, binary: false, duty, inside: false, retyped: false };
                self.written_row(&column, value, out)
            }
            Class::Range(inner) => {
                let column = Column::of_type(inner, false, &self.rules, self.catalog.as_ref());
                self.written_range(&column, value, out)
            }
            _ => Ok(None),
        };
        self.depth -= 1;
        fate
    }

    /// `{a,"b c",NULL}`, with braces within braces and lower bounds before them.
    fn written_array(&mut self, column: &Column, value: &[u8], out: &mut Vec<u8>) -> Result<Option<Fate>, Fault> {
        let begins = if value.first() == Some(&b'[') {
            value.iter().position(|byte| *byte == b'=').map_or(0, |place| place + 1)
        } else {
            0
        };
        let (bounds, mut rest) = value.split_at(begins);
        out.extend_from_slice(bounds);
        if !rest.starts_with(b"{") || !rest.ends_with(b"}") {
            return Ok(None);
        }
        let mut all = Fate::Keep;
        while let Some((first, after)) = rest.split_first() {
            if matches!(first, b'{' | b'}' | b',') {
                out.push(*first);
                rest = after;
                continue;
            }
            let Some((element, length)) = array_element(rest) else { return Ok(None) };
            let (own, after) = rest.split_at(length);
            rest = after;
            if own.eq_ignore_ascii_case(b"NULL") {
                out.extend_from_slice(own);
                continue;
            }
            let mut made = Vec::new();
            match self.value(column, &element, Sight::Unseen, &mut made)? {
                Fate::Keep => out.extend_from_slice(own),
                Fate::Drop => return Ok(Some(Fate::Drop)),
                Fate::Null => {
                    out.extend_from_slice(b"NULL");
                    all = Fate::Replaced;
                }
                Fate::Replaced => {
                    quoted(&made, out);
                    all = Fate::Replaced;
                }
            }
        }
        Ok(Some(all))
    }

    /// `(a,"b c",)`, where nothing between commas is NULL.
    fn written_row(&mut self, column: &Column, value: &[u8], out: &mut Vec<u8>) -> Result<Option<Fate>, Fault> {
        let inside = value.strip_prefix(b"(").and_then(|rest| rest.strip_suffix(b")"));
        out.push(b'(');
        let Some(mut rest) = inside else { return Ok(None) };
        let mut all = Fate::Keep;
        loop {
            let Some((field, length)) = row_field(rest) else { return Ok(None) };
            let (own, after) = rest.split_at(length);
            let mut made = Vec::new();
            let fate = if own.is_empty() { Fate::Keep } else { self.value(column, &field, Sight::Unseen, &mut made)? };
            match fate {
                Fate::Keep => out.extend_from_slice(own),
                Fate::Drop => return Ok(Some(Fate::Drop)),
                Fate::Null | Fate::Replaced => all = Fate::Replaced,
            }
            let Some((b',', next)) = after.split_first() else { break };
            out.push(b',');
            rest = next;
        }
        out.push(b')');
        Ok(Some(all))
    }

    /// `[a,"b c")`: as a whole, what its bounds ask for.
    fn written_range(&mut self, column: &Column, value: &[u8], out: &mut Vec<u8>) -> Result<Option<Fate>, Fault> {
        if value == b"empty" {
            return Ok(Some(Fate::Keep));
        }
        let (Some((b'[' | b'(', rest)), Some(b']' | b')')) = (value.split_first(), value.last()) else {
            return Ok(None);
        };
        let mut rest = rest.get(..rest.len().saturating_sub(1)).unwrap_or_default();
        let mut all = Fate::Keep;
        loop {
            let Some((bound, length)) = row_field(rest) else { return Ok(None) };
            let mut made = Vec::new();
            let fate = if length == 0 { Fate::Keep } else { self.value(column, &bound, Sight::Unseen, &mut made)? };
            match fate {
                Fate::Keep => {}
                Fate::Drop => return Ok(Some(Fate::Drop)),
                Fate::Null | Fate::Replaced => all = Fate::Null,
            }
            let Some((b',', next)) = rest.get(length..).and_then(<[u8]>::split_first) else { break };
            rest = next;
        }
        out.extend_from_slice(value);
        Ok(Some(all))
    }
}

/// What an array's element is, and how long it is written.
fn array_element(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    if rest.first() != Some(&b'"') {
        let length = rest.iter().position(|byte| matches!(byte, b',' | b'{' | b'}' | b'"')).unwrap_or(rest.len());
        return rest.get(..length).map(|element| (element.to_vec(), length));
    }
    let (mut element, mut bytes) = (Vec::new(), rest.iter().enumerate().skip(1));
    while let Some((place, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((element, place + 1)),
            b'\\' => element.push(*bytes.next()?.1),
            other => element.push(*other),
        }
    }
    None
}

/// What a row's field or a range's bound is, up to the comma behind it, and how long it is written.
fn row_field(rest: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut field, mut quoted) = (Vec::new(), false);
    let mut bytes = rest.iter().enumerate().peekable();
    while let Some((place, byte)) = bytes.next() {
        match byte {
            b',' if !quoted => return Some((field, place)),
            b'\\' => field.push(*bytes.next()?.1),
            b'"' if quoted && bytes.peek().is_some_and(|(_, next)| **next == b'"') => {
                bytes.next();
                field.push(b'"');
            }
            b'"' => quoted = !quoted,
            other => field.push(*other),
        }
    }
    (!quoted).then_some((field, rest.len()))
}

/// Writes an element of an array.
fn quoted(element: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in element {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
