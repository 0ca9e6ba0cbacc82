//! Rows. The prefilter reads all frames at once; only values in which a shape begins, and those of columns that a rule
//! covers or whose binary form hides text, are looked at. Nothing is copied before the first value that changes.

use writ_core::fault::Fault;

use super::column::Column;
use super::message::{frame, seal};
use super::value::Fate;
use super::{PostgresMask, too_long, unreadable, untold};
use crate::detect::{Region, Shapes, Sight};

/// Where in the regions a walk over values stands.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor(usize);

impl Cursor {
    /// Whether anything begins within a range; ranges come in order.
    #[inline]
    fn any(&mut self, regions: &[Region], start: usize, end: usize) -> bool {
        match regions.get(self.0) {
            None => false,
            Some(region) if region.offset >= end => false,
            Some(_) => !self.sight(regions, start, end).shapes().is_empty(),
        }
    }

    /// What begins within a range; ranges come in order.
    #[inline]
    fn sight<'r>(&mut self, regions: &'r [Region], start: usize, end: usize) -> Sight<'r> {
        while regions.get(self.0).is_some_and(|region| region.offset + 64 <= start) {
            self.0 += 1;
        }
        let (regions, mut shapes) = (regions.get(self.0..).unwrap_or_default(), Shapes::NONE);
        for region in regions.iter().take_while(|region| region.offset < end) {
            let (low, high) = (start.saturating_sub(region.offset), end - region.offset);
            let from = if low < 64 { region.starts >> low << low } else { 0 };
            let within = if high < 64 { from & ((1 << high) - 1) } else { from };
            if within != 0 {
                shapes = shapes | region.shapes;
            }
        }
        Sight::Near { regions, base: start, shapes }
    }
}

/// Whether this is the body of a row of so many columns.
#[inline]
fn is_row(body: &[u8], columns: usize) -> bool {
    let Some((count, mut rest)) = body.split_first_chunk::<2>() else { return false };
    if usize::from(u16::from_be_bytes(*count)) != columns {
        return false;
    }
    for _ in 0..columns {
        let Some((length, after)) = rest.split_first_chunk::<4>() else { return false };
        let length = u32::from_be_bytes(*length);
        let length = if length == u32::MAX { 0 } else { length as usize };
        let Some(after) = after.get(length..) else { return false };
        rest = after;
    }
    rest.is_empty()
}

/// What was written of an input so far.
#[derive(Debug)]
struct Copied {
    /// Up to where the input stands in the output, once anything has changed.
    done: usize,
    changed: bool,
    /// Where the frame that changes begins in the output.
    frame: Option<usize>,
}

impl PostgresMask {
    /// Masks whole frames of rows.
    pub(super) fn rows(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<bool, Fault> {
        if self.engine.rules.is_empty() {
            return Ok(false);
        }
        if !self.known {
            return Err(untold());
        }
        let mut regions = core::mem::take(&mut self.regions);
        regions.clear();
        self.engine.scanner.regions(input, &mut regions);
        let walked = self.walk(input, &regions, out);
        self.regions = regions;
        walked
    }

    fn walk(&mut self, input: &[u8], regions: &[Region], out: &mut Vec<u8>) -> Result<bool, Fault> {
        let (mut cursor, mut at) = (Cursor::default(), 0);
        let mut copied = Copied { done: 0, changed: false, frame: None };
        let plain = self.is_plain();
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            let Some((b'D', body, after)) = frame(rest) else { return Err(unreadable("a row's frame")) };
            let end = input.len() - after.len();
            if plain && !cursor.any(regions, at, end) {
                if !is_row(body, self.columns.len()) {
                    return Err(unreadable("a row"));
                }
                at = end;
                continue;
            }
            let kept = self.row(input, at, end - body.len(), regions, &mut cursor, &mut copied, out)?;
            if !kept {
                match copied.frame {
                    Some(frame) => out.truncate(frame),
                    None => out.extend_from_slice(input.get(copied.done..at).unwrap_or_default()),
                }
                (copied.done, copied.changed) = (end, true);
            } else if let Some(frame) = copied.frame {
                out.extend_from_slice(input.get(copied.done..end).unwrap_or_default());
                copied.done = end;
                seal(out, frame)?;
            }
            copied.frame = None;
            at = end;
        }
        if copied.changed {
            out.extend_from_slice(input.get(copied.done..).unwrap_or_default());
        }
        Ok(copied.changed)
    }

    /// Whether only the prefilter decides which values are looked at.
    fn is_plain(&self) -> bool {
        let of_column = |column: &Column| {
            column.duty.is_some() || column.inside || column.binary && self.engine.is_deep(column.class)
        };
        !self.engine.looks_always && !self.columns.iter().any(of_column)
    }

    /// One row; false where it is dropped.
    #[expect(clippy::too_many_arguments, reason = "the state of the one hot loop, apart for the borrow checker")]
    fn row(
        &mut self,
        input: &[u8],
        start: usize,
        body: usize,
        regions: &[Region],
        cursor: &mut Cursor,
        copied: &mut Copied,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let broken = || unreadable("a row");
        // The frame's own length ends the row, so that no field reaches into the next.
        let end = body
            + input
                .get(start + 1..start + 5)
                .and_then(<[u8]>::first_chunk)
                .map_or(0, |l| u32::from_be_bytes(*l) as usize)
            - 4;
        let frame = input.get(..end).ok_or_else(broken)?;
        let (count, _) = frame.get(body..).and_then(|rest| rest.split_first_chunk::<2>()).ok_or_else(broken)?;
        let count = usize::from(u16::from_be_bytes(*count));
        if count != self.columns.len() {
            return Err(unreadable("a row with other columns than were described"));
        }
        let always = self.engine.looks_always;
        let mut at = body + 2;
        for place in 0..count {
            let head = frame.get(at..).and_then(<[u8]>::first_chunk::<4>).ok_or_else(broken)?;
            let length = i32::from_be_bytes(*head);
            if length == -1 {
                at += 4;
                continue;
            }
            let from = at + 4;
            let to = usize::try_from(length).ok().and_then(|length| from.checked_add(length)).ok_or_else(broken)?;
            let value = frame.get(from..to).ok_or_else(broken)?;
            let column = self.columns.get(place).copied().ok_or_else(broken)?;
            let deep = column.binary && self.engine.is_deep(column.class);
            let unseen = deep || always || column.inside;
            let sight = if unseen { Sight::Unseen } else { cursor.sight(regions, from, to) };
            if column.duty.is_some() || column.inside || !sight.shapes().is_empty() {
                self.field.clear();
                let fate = self.engine.value(&column, value, sight, &mut self.field)?;
                if fate == Fate::Drop {
                    return Ok(false);
                }
                if fate != Fate::Keep {
                    copied.frame.get_or_insert(out.len() + start - copied.done.min(start));
                    copied.changed = true;
                    out.extend_from_slice(input.get(copied.done..at).unwrap_or_default());
                    copied.done = to;
                    put(fate, &self.field, out)?;
                }
            }
            at = to;
        }
        if at == end { Ok(true) } else { Err(broken()) }
    }

    /// A piece of one row that is longer than the window: what a mask could apply to is refused.
    pub(super) fn row_part(&mut self, input: &[u8], last: bool) -> Result<(), Fault> {
        let part = self.part.get_or_insert_default();
        let looks = !self.engine.rules.wanted().is_empty();
        for byte in input {
            let Some(place) = part.feed(*byte).ok_or_else(|| unreadable("a long row"))? else { continue };
            let column = self.columns.get(place).filter(|_| self.known).ok_or_else(untold)?;
            if looks || column.duty.is_some() || column.inside {
                return Err(too_long());
            }
        }
        if last || part.is_over() {
            self.part = None;
        }
        Ok(())
    }
}

/// Writes a field.
pub(super) fn put(fate: Fate, value: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    if fate == Fate::Null {
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        return Ok(());
    }
    let length = i32::try_from(value.len()).map_err(|_| too_long())?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}

/// A walk over a row that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Bytes of the frame that were seen, and all of them.
    seen: usize,
    total: usize,
    number: u32,
    digits: u32,
    /// Which field comes next.
    place: usize,
    count: usize,
    left: usize,
}

impl Part {
    /// Takes a byte: the field whose value it is part of, where it is; nothing at all where the frame is broken.
    fn feed(&mut self, byte: u8) -> Option<Option<usize>> {
        self.seen += 1;
        match self.seen {
            1 => return (byte == b'D').then_some(None),
            2..=5 => {
                self.total = self.total << 8 | usize::from(byte);
                return Some(None);
            }
            6 | 7 => {
                self.count = self.count << 8 | usize::from(byte);
                return Some(None);
            }
            _ => {}
        }
        if self.left > 0 {
            self.left -= 1;
            return Some(Some(self.place - 1));
        }
        self.number = self.number << 8 | u32::from(byte);
        self.digits += 1;
        if self.digits == 4 {
            if self.place == self.count {
                return None;
            }
            self.left = if self.number == u32::MAX { 0 } else { usize::try_from(self.number).ok()? };
            (self.number, self.digits, self.place) = (0, 0, self.place + 1);
        }
        Some(None)
    }

    const fn is_over(&self) -> bool {
        self.seen > 5 && self.seen > self.total
    }
}
