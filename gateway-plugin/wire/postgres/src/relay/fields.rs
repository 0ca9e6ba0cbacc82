//! The bodies of the client's commands, as spans.

use core::ops::Range;

use writ_wire_machine::{ParameterAt, ParameterFormat, Span};

use crate::frame::Reader;

/// A Parse message.
pub(super) struct Parse<'a> {
    pub(super) name: &'a [u8],
    pub(super) text: Span,
    pub(super) types: Vec<u32>,
}

/// Reads a Query whose frame ends where `frame` ends: the span of its text.
pub(super) fn query(frame: &[u8], at: usize) -> Option<Span> {
    let mut reader = Reader::new(frame, at);
    let text = reader.text()?;
    reader.is_empty().then_some(at..at + text.len())
}

/// Reads a Parse.
pub(super) fn parse(frame: &[u8], at: usize) -> Option<Parse<'_>> {
    let mut reader = Reader::new(frame, at);
    let name = reader.text()?;
    let start = reader.position();
    let length = reader.text()?.len();
    let count = reader.u16()?;
    let mut types = Vec::new();
    for _ in 0..count {
        types.push(reader.u32()?);
    }
    reader.is_empty().then_some(Parse { name, text: start..start + length, types })
}

/// Reads portal and statement of a Bind, and where its parameters begin.
pub(super) fn bind_names(frame: &[u8], at: usize) -> Option<(&[u8], &[u8], usize)> {
    let mut reader = Reader::new(frame, at);
    Some((reader.text()?, reader.text()?, reader.position()))
}

/// Reads the parameters of a Bind; appended to `out` and their range there returned.
pub(super) fn parameters(frame: &[u8], at: usize, types: &[u32], out: &mut Vec<ParameterAt>) -> Option<Range<usize>> {
    let first = out.len();
    let mut reader = Reader::new(frame, at);
    let format_count = usize::from(reader.u16()?);
    let formats = reader.take(format_count * 2)?;
    let count = usize::from(reader.u16()?);
    if format_count > 1 && format_count != count {
        return None;
    }
    for index in 0..count {
        let place = if format_count == 1 { 0 } else { index };
        let format = match formats.get(place * 2..place * 2 + 2) {
            None | Some([0, 0]) => ParameterFormat::Text,
            Some([0, 1]) => ParameterFormat::Binary,
            _ => return None,
        };
        let length = reader.u32()?;
        let start = reader.position();
        let value = if length == u32::MAX { None } else { Some(start..start + reader.take(length as usize)?.len()) };
        out.push(ParameterAt { type_id: types.get(index).copied().unwrap_or(0), format, value });
    }
    let results = usize::from(reader.u16()?);
    reader.take(results * 2)?;
    reader.is_empty().then_some(first..out.len())
}
