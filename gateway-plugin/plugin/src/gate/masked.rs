//! What is recorded of a command in a session whose replies are masked: its text and parameters without what detectors match in them.
//!
//! What goes to the target is never touched. What must never be recorded here: a literal or parameter that could not be looked at.

use writ_mask::statement::{Shown, StatementMask};
use writ_record::entry::{Flow, Format, Parameter, Text};

/// A frame's tag and length.
const HEADER: usize = 5;
/// What stands for a byte that is hidden.
const HIDDEN: u8 = b'*';

/// A command as it is recorded.
#[derive(Debug)]
pub(super) struct Masked {
    text: Option<Vec<u8>>,
    parameters: Vec<(u32, Format, Option<Vec<u8>>)>,
}

impl Masked {
    pub(super) fn new<'p>(
        mask: &mut StatementMask,
        text: &Text<'_>,
        parameters: impl Iterator<Item = Parameter<'p>>,
    ) -> Self {
        let (text, mut made) = (statement(mask, text), Vec::new());
        let parameters = parameters.map(|parameter| {
            let Some(value) = parameter.value else { return (parameter.type_id, parameter.format, None) };
            made.clear();
            let shown = mask.parameter(parameter.type_id, parameter.format == Format::Binary, value, &mut made);
            let value = match shown {
                Shown::Unchanged => Some(value.to_vec()),
                Shown::Changed => Some(made.clone()),
                Shown::Null => None,
            };
            (parameter.type_id, parameter.format, value)
        });
        let parameters = parameters.collect();
        // The record of a command's end counts what was masked of its replies.
        drop(mask.take_marks());
        Self { text, parameters }
    }

    /// The text that is recorded in the place of `text`.
    pub(super) fn text<'a>(&'a self, text: Text<'a>) -> Text<'a> {
        self.text.as_deref().map_or(text, Text::Inline)
    }

    pub(super) fn parameters(&self) -> impl Iterator<Item = Parameter<'_>> {
        let all = self.parameters.iter();
        all.map(|(type_id, format, value)| Parameter { type_id: *type_id, format: *format, value: value.as_deref() })
    }
}

fn statement(mask: &mut StatementMask, text: &Text<'_>) -> Option<Vec<u8>> {
    let Text::Inline(sql) = text else { return None };
    let mut made = Vec::new();
    mask.statement(sql, &mut made).then_some(made)
}

/// A part of a command that is too long for memory: hidden as a whole where something is found in it. What is cut in two by its seam
/// is not seen.
pub(super) fn part(mask: &mut StatementMask, bytes: &[u8]) -> Option<Vec<u8>> {
    let found = mask.statement(bytes, &mut Vec::new());
    drop(mask.take_marks());
    found.then(|| vec![HIDDEN; bytes.len()])
}

/// Whole frames that a client uploads: those in which something is found keep their length and nothing else.
pub(super) fn upload(mask: &mut StatementMask, flow: Flow, bytes: &[u8], whole: bool) -> Option<Vec<u8>> {
    if flow != Flow::Upload {
        return None;
    }
    if !whole {
        return part(mask, bytes);
    }
    let (mut made, mut at) = (None, 0);
    while let Some([_, a, b, c, d]) = bytes.get(at..).and_then(<[u8]>::first_chunk::<HEADER>) {
        let end = at.saturating_add(1 + u32::from_be_bytes([*a, *b, *c, *d]) as usize).min(bytes.len());
        let body = at + HEADER..end.max(at + HEADER);
        let hidden = bytes.get(body.clone()).and_then(|body| part(mask, body));
        if let Some(hidden) = hidden
            && let Some(place) = made.get_or_insert_with(|| bytes.to_vec()).get_mut(body)
        {
            place.copy_from_slice(&hidden);
        }
        at = end.max(at + HEADER);
    }
    made
}

#[cfg(test)]
mod tests;
