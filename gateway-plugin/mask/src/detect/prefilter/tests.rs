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

#[test]
fn a_batch_names_what_its_blocks_name() {
    const WORDS: [&[u8]; 12] = [
        b"4111 1111 1111 1111",
        b"AB123456C",
        b"a@b.example",
        b"10.0.0.1",
        b"fe80::1:2:3:4",
        b"+4930123456",
        b"\"password\": \"x\"",
        b"Aq3Aq3Aq3Aq3Aq3",
        b"2026-03-04 12:00:01",
        b"just words",
        b"\0\0\0\x07",
        b"(415) 555-2671",
    ];
    let mut random = 7_u64;
    for _ in 0..20 {
        let mut text = Vec::new();
        while text.len() < 5000 {
            random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            text.extend_from_slice(WORDS[(random >> 40) as usize % WORDS.len()]);
            text.resize(text.len() + (random >> 56) as usize % 90, b'.');
        }
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        regions(&text, Shapes::ALL, &mut found);
        blocks(&text, |offset, block| Classes::of(block).region(offset, Shapes::ALL, &mut expected));
        assert_eq!(found, expected);
    }
}

#[test]
fn what_stands_around_a_value_hides_nothing() {
    for value in ["12345678Z", "X1234567L", "AB123456C", "AB 12 34 56 C", "RSSMRA85T10A562S", "DE89370400440532013000"]
    {
        for around in ["\0", "D", "7", "Z"] {
            let mut found = Vec::new();
            regions(format!("{around}{value}{around}").as_bytes(), Shapes::CODE, &mut found);
            assert!(!found.is_empty(), "{value} in {around}");
        }
    }
}
