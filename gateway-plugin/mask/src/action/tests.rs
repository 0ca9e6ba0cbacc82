use super::*;

fn key() -> MaskKey {
    MaskKey::derive(&[7; 32])
}

fn applied(action: Action, detector: Option<Detector>, text: &str) -> Option<String> {
    let mut out = Vec::new();
    key().apply(action, detector, text.as_bytes(), &mut out).then(|| String::from_utf8(out).unwrap())
}

#[test]
fn a_card_number_shows_its_first_six_and_last_four() {
    assert_eq!(applied(Action::Partial, Some(Detector::Pan), "4111 1111 1111 1234").unwrap(), "4111 11** **** 1234");
    assert_eq!(applied(Action::Partial, Some(Detector::Pan), "378282246310005").unwrap(), "378282*****0005");
    assert_eq!(applied(Action::Partial, None, "4111111111111234").unwrap(), "411111******1234");
    assert_eq!(applied(Action::Partial, Some(Detector::UsSsn), "219-09-9999").unwrap(), "***-**-9999");
    assert_eq!(applied(Action::Partial, None, "Jane").unwrap(), "****");
    assert!(!applied(Action::Partial, None, "Zoë Müller-Weiß").unwrap().contains('M'));
}

#[test]
fn tokens_are_the_same_for_each_spelling_of_a_number() {
    let token = applied(Action::Token, None, "4111111111111111").unwrap();
    assert_eq!(token.len(), 30);
    assert_eq!(applied(Action::Token, None, "4111-1111-1111-1111").unwrap(), token);
    assert_ne!(applied(Action::Token, None, "4111111111111112").unwrap(), token);
    let mut other = Vec::new();
    assert!(MaskKey::derive(&[8; 32]).apply(Action::Token, None, b"4111111111111111", &mut other));
    assert_ne!(other, token.into_bytes());
    assert_eq!(applied(Action::Hash, None, "a").unwrap().len(), 64);
}

#[test]
fn the_format_is_preserved_and_the_check_digit_too() {
    let masked = applied(Action::FormatPreserving, None, "4111 1111-1111 1111").unwrap();
    assert_ne!(masked, "4111 1111-1111 1111");
    assert_eq!((masked.as_bytes()[4], masked.as_bytes()[9]), (b' ', b'-'));
    assert!(luhn(&masked.bytes().filter(u8::is_ascii_digit).collect::<Vec<_>>()));
    assert_eq!(applied(Action::FormatPreserving, None, "219-09-9999").unwrap().len(), 11);
    for text in ["12345", "AB123456C", "", &"1".repeat(60)] {
        assert_eq!(applied(Action::FormatPreserving, None, text), None, "{text}");
    }
}

#[test]
fn keys_do_not_show() {
    assert_eq!(format!("{:?}", key()), "MaskKey(..)");
}

#[test]
fn stricter_actions_are_greater() {
    assert!(Action::Partial < Action::FormatPreserving && Action::Token < Action::Hash);
    assert!(Action::Redact < Action::Null && Action::Null < Action::DropRow);
}
