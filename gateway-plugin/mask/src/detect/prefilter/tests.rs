use super::*;

#[test]
fn runs_begin_where_enough_bits_follow() {
    for length in 2..=16 {
        for at in 0..=(64 - length) {
            let bits = ((1_u64 << length) - 1) << at;
            assert_eq!(run(bits, length), 1 << at, "{length} at {at}");
            assert_eq!(run(bits & !(1 << (at + length / 2)), length), 0);
        }
    }
}

#[test]
fn masks_have_a_bit_for_each_byte() {
    for at in 0..64 {
        let mut block = [b'x'; 64];
        block[at] = b'7';
        assert_eq!(mask(&block, is_digit), 1 << at);
    }
}

#[test]
fn a_number_is_seen_wherever_it_stands() {
    for at in 0..200 {
        let text = [&vec![b'x'; at][..], b"4111 1111 1111 1111 and more"].concat();
        for wanted in [Shapes::DIGITS, Shapes::ALL] {
            let mut found = Vec::new();
            regions(&text, wanted, &mut found);
            let begins =
                |region: &Region| (0..48).any(|bit| region.starts >> bit & 1 == 1 && region.offset + bit == at);
            assert!(found.iter().any(|region| region.shapes.has(Shapes::DIGITS) && begins(region)), "{at}");
        }
    }
}
