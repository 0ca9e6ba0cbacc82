use super::*;

#[test]
fn luhn_holds_for_the_published_test_numbers() {
    for number in ["4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "4222222222222"] {
        assert!(luhn(number.as_bytes()), "{number}");
        let (last, rest) = number.as_bytes().split_last().unwrap();
        assert_eq!(luhn_digit(rest), *last);
    }
    assert!(!luhn(b"4111111111111112"));
}

#[test]
fn verhoeff_holds_for_its_textbook_example() {
    assert!(verhoeff(b"2363"));
    assert!(!verhoeff(b"2364"));
    assert!(!verhoeff(b"2633"), "a transposition is seen");
}

#[test]
fn iso_7064_holds_for_known_numbers() {
    assert!(mod_11_10(b"86095742719"));
    assert!(!mod_11_10(b"86095742718"));
    assert_eq!(mod_97(b"WEST12345698765432GB82".iter().copied()), 1);
}

#[test]
fn brazilian_digits_are_those_of_known_numbers() {
    assert_eq!(brazilian(b"111444777", 10), b'3');
    assert_eq!(brazilian(b"1114447773", 11), b'5');
    assert_eq!(brazilian(b"112223330001", 9), b'8');
    assert_eq!(brazilian(b"1122233300018", 9), b'1');
}
