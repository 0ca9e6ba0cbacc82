//! A mask for tests: it doubles every value of PostgreSQL's `DataRow` frames, so that whoever carries masked bytes on
//! cannot count on the length of what came.

use writ_core::fault::{Blame, Fault};
use writ_core::mask::MaskMark;

use crate::{Mask, Masked, What};

/// The message type of a row in PostgreSQL's protocol, version 3.
const DATA_ROW: u8 = b'D';
/// The rule's name on its marks.
pub const RULE: &str = "lengthening";

/// Doubles each value that is not NULL. Values are taken as text.
#[derive(Debug, Clone, Copy, Default)]
pub struct LengtheningMask;

impl Mask for LengtheningMask {
    fn frames(&mut self, what: What, input: &[u8], out: &mut Vec<u8>) -> Result<Masked, Fault> {
        if what != What::Rows {
            return Ok(Masked::Unchanged);
        }
        let (mut rest, mut count, start) = (input, 0, out.len());
        while !rest.is_empty() {
            let Some((frame, after)) = split_frame(rest) else {
                out.truncate(start);
                return Err(unreadable());
            };
            let Some(changed) = double(frame, out) else {
                out.truncate(start);
                return Err(unreadable());
            };
            (rest, count) = (after, count + changed);
        }
        Ok(Masked::Changed { marks: vec![MaskMark { rule: RULE.to_owned(), count }] })
    }

    fn part(&mut self, what: What, _input: &[u8], _last: bool, _out: &mut Vec<u8>) -> Result<Masked, Fault> {
        if what == What::Rows { Err(unreadable()) } else { Ok(Masked::Unchanged) }
    }
}

fn unreadable() -> Fault {
    Fault::new("mask.unreadable", Blame::Target, "the target sent rows that cannot be masked")
        .help("select less in one row, or ask for a policy without this mask")
}

/// The body of the first frame and what follows it.
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let length = usize::try_from(u32::from_be_bytes(*rest.first_chunk()?)).ok()?;
    let (frame, after) = rest.split_at_checked(length)?;
    (*tag == DATA_ROW).then_some((frame.get(4..)?, after))
}

/// Appends the row with each value doubled and says how many values there were.
fn double(body: &[u8], out: &mut Vec<u8>) -> Option<u64> {
    let (fields, mut rest) = body.split_first_chunk::<2>()?;
    let (mut row, mut count) = (fields.to_vec(), 0);
    for _ in 0..u16::from_be_bytes(*fields) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        rest = after;
        if length == -1 {
            row.extend_from_slice(&length.to_be_bytes());
            continue;
        }
        let (value, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        row.extend_from_slice(&length.checked_mul(2)?.to_be_bytes());
        row.extend_from_slice(value);
        row.extend_from_slice(value);
        (rest, count) = (after, count + 1);
    }
    if !rest.is_empty() {
        return None;
    }
    out.push(DATA_ROW);
    out.extend_from_slice(&u32::try_from(row.len() + 4).ok()?.to_be_bytes());
    out.extend_from_slice(&row);
    Some(count)
}

#[cfg(test)]
mod tests;
