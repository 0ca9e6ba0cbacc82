use super::*;

const KEY: &str = "2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94";
const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2).unwrap(), 16).unwrap()).collect()
}

fn encrypted(key: &[u8], radix: u8, tweak: &str, plain: &str) -> String {
    let rank = |byte| u8::try_from(DIGITS.iter().position(|digit| *digit == byte).unwrap()).unwrap();
    let mut numerals: Vec<u8> = plain.bytes().map(rank).collect();
    assert!(Ff1::new(key).unwrap().encrypt(radix, &bytes(tweak), &mut numerals));
    numerals.iter().map(|numeral| char::from(DIGITS[usize::from(*numeral)])).collect()
}

/// The samples that NIST publishes for FF1 with keys of 128 and 256 bits.
#[test]
fn the_published_samples_hold() {
    let key = bytes(KEY);
    for (length, radix, tweak, plain, cipher) in [
        (16, 10, "", "0123456789", "2433477484"),
        (16, 10, "39383736353433323130", "0123456789", "6124200773"),
        (16, 36, "3737373770717273373737", "0123456789abcdefghi", "a9tv40mll9kdu509eum"),
        (32, 10, "", "0123456789", "6657667009"),
        (32, 10, "39383736353433323130", "0123456789", "1001623463"),
        (32, 36, "3737373770717273373737", "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"),
    ] {
        assert_eq!(encrypted(&key[..length], radix, tweak, plain), cipher);
    }
}

#[test]
fn what_is_too_short_or_too_long_is_refused() {
    let cipher = Ff1::new(&bytes(KEY)).unwrap();
    assert!(!cipher.encrypt(10, &[], &mut [1; 5]));
    assert!(cipher.encrypt(10, &[], &mut [1; 6]));
    assert!(cipher.encrypt(10, &[], &mut [9; MOST]));
    assert!(!cipher.encrypt(10, &[], &mut [1; MOST + 1]));
}
