use super::super::{is_digit, mask};
use super::*;

#[test]
fn masks_are_those_of_the_blocks() {
    let mut random = 1_u64;
    for _ in 0..50 {
        let bytes: [u8; BATCH] = core::array::from_fn(|_| {
            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            if random >> 60 < 4 { b'0' + u8::try_from(random >> 40 & 15).unwrap() } else { (random >> 50 & 255) as u8 }
        });
        let masks = Batch::of(&bytes).masks(is_digit);
        for (place, own) in masks.iter().enumerate() {
            let block = bytes[place * STRIDE..].first_chunk().unwrap();
            assert_eq!(*own, mask(block, is_digit), "{place}");
        }
    }
}
