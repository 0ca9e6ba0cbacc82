//! Values within values, in the binary formats of arrays, rows and ranges.

use writ_core::fault::Fault;

use super::{DEPTH, Engine, Fate};
use crate::detect::Sight;
use crate::postgres::column::Column;
use crate::postgres::types::Class;
use crate::postgres::{row::put, unreadable};

impl Engine {
    /// Masks the values within a value.
    pub(super) fn nested(&mut self, outer: Class, value: &[u8], out: &mut Vec<u8>) -> Result<Fate, Fault> {
        if self.depth == DEPTH {
            return Ok(Fate::Null);
        }
        self.depth += 1;
        let fate = match outer {
            Class::Array(_) => self.array(value, out),
            Class::Composite => self.composite(value, out),
            Class::Range(inner) => self.range(inner, value, out),
            _ => Ok(None),
        };
        self.depth -= 1;
        fate?.ok_or_else(|| unreadable("a value within a value"))
    }

    fn inner(&self, type_id: u32) -> Column {
        Column::of_type(type_id, true, &self.rules, self.catalog.as_ref())
    }

    /// `array_send`: dimensions, whether there are NULLs, the elements' type, each dimension's size and lower bound, elements.
    fn array(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<Option<Fate>, Fault> {
        let Some(([d0, d1, d2, d3, _, _, _, _, t0, t1, t2, t3], rest)) = value.split_first_chunk::<12>() else {
            return Ok(None);
        };
        let dimensions = u32::from_be_bytes([*d0, *d1, *d2, *d3]);
        let inner = self.inner(u32::from_be_bytes([*t0, *t1, *t2, *t3]));
        // MAXDIM is 6.
        let Some((_, elements)) = rest.split_at_checked(dimensions as usize * 8).filter(|_| dimensions <= 6) else {
            return Ok(None);
        };
        let start = out.len();
        out.extend_from_slice(value.get(..value.len() - elements.len()).unwrap_or_default());
        let Some((fate, nulls)) = self.elements(elements, out, |rest| Some((inner, rest, rest)))? else {
            return Ok(None);
        };
        if nulls && let Some(flag) = out.get_mut(start + 7) {
            *flag = 1;
        }
        Ok(Some(fate))
    }

    /// `record_send`: the number of columns, then each one's type and value.
    fn composite(&mut self, value: &[u8], out: &mut Vec<u8>) -> Result<Option<Fate>, Fault> {
        let Some((count, rest)) = value.split_first_chunk::<4>() else { return Ok(None) };
        out.extend_from_slice(count);
        let rules = self.rules.clone();
        let catalog = self.catalog.clone();
        let done = self.elements(rest, out, |rest| {
            let (type_id, after) = rest.split_first_chunk::<4>()?;
            let type_id = u32::from_be_bytes(*type_id);
            Some((Column::of_type(type_id, true, &rules, catalog.as_ref()), rest, after))
        })?;
        Ok(done.map(|(fate, _)| fate))
    }

    /// `range_send`: flags, then the bounds there are. A bound cannot be NULL, so that the range is.
    fn range(&mut self, inner: u32, value: &[u8], out: &mut Vec<u8>) -> Result<Option<Fate>, Fault> {
        let Some((flags, rest)) = value.split_first() else { return Ok(None) };
        out.push(*flags);
        let inner = self.inner(inner);
        let done = self.elements(rest, out, |rest| Some((inner, rest, rest)))?;
        Ok(done.map(|(fate, _)| if fate == Fate::Replaced { Fate::Null } else { fate }))
    }

    /// Values with their lengths, one after another. `head` reads what stands before a length: the value's column, and the bytes
    /// with and without it. What became of them all, and whether one became NULL; nothing where they cannot be read.
    fn elements<'v>(
        &mut self,
        mut rest: &'v [u8],
        out: &mut Vec<u8>,
        head: impl Fn(&'v [u8]) -> Option<(Column, &'v [u8], &'v [u8])>,
    ) -> Result<Option<(Fate, bool)>, Fault> {
        let (mut all, mut nulls) = (Fate::Keep, false);
        while !rest.is_empty() {
            let Some((column, whole, bare)) = head(rest) else { return Ok(None) };
            out.extend_from_slice(whole.get(..whole.len() - bare.len()).unwrap_or_default());
            let Some((length, after)) = bare.split_first_chunk::<4>() else { return Ok(None) };
            let length = i32::from_be_bytes(*length);
            if length == -1 {
                out.extend_from_slice(&length.to_be_bytes());
                rest = after;
                continue;
            }
            let split = usize::try_from(length).ok().and_then(|length| after.split_at_checked(length));
            let Some((value, after)) = split else { return Ok(None) };
            let mut made = Vec::new();
            match self.value(&column, value, Sight::Unseen, &mut made)? {
                Fate::Drop => return Ok(Some((Fate::Drop, false))),
                Fate::Keep => put(Fate::Keep, value, out)?,
                fate => {
                    (all, nulls) = (Fate::Replaced, nulls | (fate == Fate::Null));
                    put(fate, &made, out)?;
                }
            }
            rest = after;
        }
        Ok(Some((all, nulls)))
    }
}
