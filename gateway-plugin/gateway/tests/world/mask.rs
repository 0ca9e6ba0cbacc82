//! A mask that doubles what flows back: each value of a row, and the bytes of each piece of a copy.

use writ_core::fault::{Blame, Fault};
use writ_core::mask::MaskMark;
use writ_mask::testing::LengtheningMask;
use writ_mask::{Mask, Masked, What};

/// Doubles rows and copied data.
#[derive(Debug, Default)]
pub(crate) struct Doubling(LengtheningMask);

impl Mask for Doubling {
    fn frames(&mut self, what: What, input: &[u8], out: &mut Vec<u8>) -> Result<Masked, Fault> {
        if what != What::Copy {
            return self.0.frames(what, input, out);
        }
        let (mut rest, mut count) = (input, 0);
        while !rest.is_empty() {
            let unreadable = || Fault::new("mask.unreadable", Blame::Target, "the target sent what is no copied data");
            let length = usize::try_from(u32::from_be_bytes(rest[1..5].try_into().unwrap())).unwrap();
            let (frame, after) =
                rest.split_at_checked(length + 1).filter(|_| rest[0] == b'd').ok_or_else(unreadable)?;
            out.push(b'd');
            out.extend_from_slice(&u32::try_from(4 + 2 * (length - 4)).unwrap().to_be_bytes());
            out.extend_from_slice(&frame[5..]);
            out.extend_from_slice(&frame[5..]);
            (rest, count) = (after, count + 1);
        }
        Ok(Masked::Changed { marks: vec![MaskMark { rule: "doubling".to_owned(), count }] })
    }

    fn part(&mut self, what: What, input: &[u8], last: bool, out: &mut Vec<u8>) -> Result<Masked, Fault> {
        self.0.part(what, input, last, out)
    }
}
