use std::sync::Arc;

use writ_mask::action::MaskKey;
use writ_mask::postgres::NoCatalog;
use writ_mask::rules::RuleSet;

use super::*;

const CARD: &[u8] = b"4111111111111111";

fn mask() -> StatementMask {
    let rules = toml::from_str("rules = [{ name = \"cards\", detector = \"pan\", action = \"redact\" }]").unwrap();
    let rules = Arc::new(RuleSet::new(&rules).unwrap());
    StatementMask::new(rules, Arc::new(MaskKey::derive(&[7; 32])), Arc::new(NoCatalog))
}

fn holds(bytes: &[u8]) -> bool {
    bytes.windows(CARD.len()).any(|part| part == CARD)
}

#[test]
fn literals_and_parameters_are_recorded_masked() {
    let sql = b"select 1 where card = '4111111111111111' and id = 7";
    let parameter = |value| Parameter { type_id: 25, format: Format::Text, value: Some(value) };
    let number = 4_111_111_111_111_111_i64.to_be_bytes();
    let of_number = Parameter { type_id: 20, format: Format::Binary, value: Some(&number) };
    let parameters = [parameter(CARD), parameter(b"plain"), of_number, Parameter { value: None, ..of_number }];
    let masked = Masked::new(&mut mask(), &Text::Inline(sql), parameters.into_iter());
    let Text::Inline(text) = masked.text(Text::Inline(sql)) else { panic!("a text") };
    assert!(!holds(text) && text.ends_with(b"and id = 7"), "{}", String::from_utf8_lossy(text));
    let values: Vec<_> = masked.parameters().map(|parameter| parameter.value).collect();
    assert_eq!(values, [Some(&b"REDACTED"[..]), Some(b"plain"), None, None]);
    let plain = Masked::new(&mut mask(), &Text::Inline(b"select 1"), core::iter::empty());
    assert_eq!(plain.text(Text::Inline(b"select 1")), Text::Inline(b"select 1"));
}

#[test]
fn uploads_keep_their_frames_and_long_commands_their_length() {
    let frame = |body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [b"d".as_slice(), &length, body].concat()
    };
    let (first, second) = (frame(b"1\tplain\n"), frame(&[b"2\t", CARD, b"\n"].concat()));
    let both = [first.as_slice(), &second].concat();
    let hidden = upload(&mut mask(), Flow::Upload, &both, true).unwrap();
    assert_eq!((hidden.len(), hidden.starts_with(&first)), (both.len(), true));
    assert_eq!(hidden.get(first.len()..first.len() + HEADER), second.get(..HEADER));
    assert!(!holds(&hidden));
    assert_eq!(upload(&mut mask(), Flow::Upload, &first, true), None);
    assert_eq!(upload(&mut mask(), Flow::Rows, &both, true), None, "rows are masked before they come here");
    assert_eq!(part(&mut mask(), &second).map(|part| part.len()), Some(second.len()));
    for broken in [&b"d\0\0"[..], b"d\0\0\0\0", b"d\xff\xff\xff\xff4111111111111111"] {
        let hidden = upload(&mut mask(), Flow::Upload, broken, true);
        assert!(!hidden.is_some_and(|hidden| holds(&hidden) || hidden.len() != broken.len()));
    }
}
