use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::rules::MaskRules;
use crate::{CopyColumn, CopyFormat};

mod paths;
mod planted;

/// A catalog with one table, 1 is `id`, 2 is `name`, and one that statements fill.
struct People;

impl Catalog for People {
    fn columns(&self, table: u32, attribute: i16) -> Option<Source> {
        let source = |name: &str, filled| Some(Source { names: vec![name.to_owned()], filled });
        match (table, attribute) {
            (1000, 1) => source("public.people.id", false),
            (1000, 2) => source("public.people.name", false),
            (1001, 1) => source("pg_catalog.pg_settings.setting", true),
            _ => None,
        }
    }

    fn type_fact(&self, type_id: u32) -> Option<TypeFact> {
        (type_id == 70_000).then_some(TypeFact::Domain(25))
    }
}

fn mask(rules: &str) -> PostgresMask {
    let rules: MaskRules = toml::from_str(rules).unwrap();
    let rules = RuleSet::new(&rules).unwrap();
    PostgresMask::new(Arc::new(rules), Arc::new(MaskKey::derive(&[7; 32])), Arc::new(People))
}

fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &u32::try_from(body.len() + 4).unwrap().to_be_bytes(), body].concat()
}

/// A table, an attribute, a type, a format.
type Described = (u32, i16, u32, u16);

fn description(columns: &[Described]) -> Vec<u8> {
    let mut body = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
    for (table, attribute, type_id, format) in columns {
        body.extend(b"c\0");
        body.extend(table.to_be_bytes());
        body.extend(attribute.to_be_bytes());
        body.extend(type_id.to_be_bytes());
        body.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        body.extend(format.to_be_bytes());
    }
    framed(b'T', &body)
}

fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        match value {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(value) => {
                body.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend(*value);
            }
        }
    }
    framed(b'D', &body)
}

fn fields(mut frame: &[u8]) -> Vec<Option<Vec<u8>>> {
    assert_eq!(usize::try_from(u32::from_be_bytes(frame[1..5].try_into().unwrap())).unwrap() + 1, frame.len());
    let count = u16::from_be_bytes(frame[5..7].try_into().unwrap());
    frame = &frame[7..];
    let read = |_| {
        let length = i32::from_be_bytes(frame[..4].try_into().unwrap());
        frame = &frame[4..];
        let length = usize::try_from(length).ok()?;
        let value = frame[..length].to_vec();
        frame = &frame[length..];
        Some(value)
    };
    let fields = (0..count).map(read).collect();
    assert!(frame.is_empty());
    fields
}

fn frames(mask: &mut PostgresMask, what: What, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match mask.frames(what, input, &mut out).unwrap() {
        Masked::Unchanged => {
            assert!(out.is_empty());
            input.to_vec()
        }
        Masked::Changed { .. } => out,
    }
}

/// What one value of this column becomes.
fn one(rules: &str, column: Described, value: &[u8]) -> Option<Vec<u8>> {
    let mut mask = mask(rules);
    mask.learn(Context::Query).unwrap();
    frames(&mut mask, What::Columns, &description(&[column]));
    fields(&frames(&mut mask, What::Rows, &row(&[Some(value)])))[0].clone()
}

const CARDS: &str = r#"rules = [{ name = "cards", detector = "pan", action = "redact" }]"#;
const NAMES: &str = r#"rules = [{ name = "names", column = "people.name", action = "redact" }]"#;

#[test]
fn a_row_keeps_all_but_what_is_masked() {
    let mut mask = mask(CARDS);
    mask.learn(Context::Query).unwrap();
    frames(&mut mask, What::Columns, &description(&[(0, 0, 25, 0), (0, 0, 23, 0), (0, 0, 25, 0)]));
    let rows = [
        row(&[Some(b"a"), Some(b"1"), None]),
        row(&[Some(b"pay 4111111111111111 now"), Some(b"2"), Some(b"b")]),
        row(&[Some(b""), None, Some(b"4111-1111-1111-1111, 5555555555554444")]),
        row(&[Some(b"c"), Some(b"4"), Some(b"d")]),
    ];
    let mut out = Vec::new();
    let masked = mask.frames(What::Rows, &rows.concat(), &mut out).unwrap();
    let expected = [
        rows[0].clone(),
        row(&[Some(b"pay REDACTED now"), Some(b"2"), Some(b"b")]),
        row(&[Some(b""), None, Some(b"REDACTED, REDACTED")]),
        rows[3].clone(),
    ];
    assert_eq!(out, expected.concat());
    assert_eq!(masked, Masked::Changed { marks: vec![MaskMark { rule: "cards".to_owned(), count: 3 }] });
}

#[test]
fn a_column_s_rule_holds_for_statements_that_are_described_once() {
    let mut mask = mask(NAMES);
    mask.learn(Context::Describes { statement: 7 }).unwrap();
    frames(&mut mask, What::Columns, &description(&[(1000, 1, 23, 0), (1000, 2, 25, 0)]));
    let rows = row(&[Some(b"1234"), Some(b"Jane")]);
    for formats in [[0, 0], [1, 1], [0, 1]] {
        opens(&mut mask, 7, &[(1000, 1, 23, formats[0]), (1000, 2, 25, formats[1])]);
        mask.learn(Context::Executes { doubted: false }).unwrap();
        let masked = frames(&mut mask, What::Rows, &rows);
        assert_eq!(fields(&masked), [Some(b"1234".to_vec()), Some(b"REDACTED".to_vec())]);
    }
    mask.learn(Context::Executes { doubted: true }).unwrap();
    let masked = frames(&mut mask, What::Rows, &rows);
    assert_eq!(fields(&masked), [None, None], "of what is not known, nothing goes back");
    mask.learn(Context::Opens { statement: 7, shown: false }).unwrap();
    assert_eq!(mask.frames(What::Rows, &rows, &mut Vec::new()).unwrap_err().code, "mask.untold");
}

/// The columns of a portal that its client does not ask for.
fn opens(mask: &mut PostgresMask, statement: u64, columns: &[Described]) {
    mask.learn(Context::Opens { statement, shown: false }).unwrap();
    frames(mask, What::Columns, &description(columns));
}

/// What a statement was described as says nothing of what it reads later, only of what its client takes it for.
#[test]
fn rows_are_those_of_their_portal_in_the_types_that_the_client_was_told() {
    let mut mask = mask(r#"rules = [{ name = "ids", column = "people.id", action = "redact" }]"#);
    let card = 4_111_111_111_111_111_i64.to_be_bytes();
    let mut rows = |before: Option<Described>, after: Described| {
        if let Some(before) = before {
            mask.learn(Context::Describes { statement: 1 }).unwrap();
            frames(&mut mask, What::Columns, &description(&[before]));
        }
        opens(&mut mask, 1, &[after]);
        mask.learn(Context::Executes { doubted: false }).unwrap();
        let shown = fields(&frames(&mut mask, What::Rows, &row(&[Some(&card)])));
        mask.learn(Context::Forget { statement: 1 }).unwrap();
        shown
    };
    let (ruled, free, redacted) = ((1000, 1, 20, 1), (0, 0, 20, 1), Some(b"REDACTED".to_vec()));
    assert_eq!(rows(None, ruled), [None], "it was told no type");
    assert_eq!(rows(Some(free), ruled), [None]);
    assert_eq!(rows(Some(ruled), ruled), std::slice::from_ref(&redacted));
    assert_eq!(rows(Some(ruled), free), [redacted], "a number is no text");
    assert_eq!(rows(Some(free), free), [Some(card.to_vec())]);
}

#[test]
fn what_is_computed_is_masked_as_policy_says() {
    let computed = format!("computed = \"mask\"\n{NAMES}");
    assert_eq!(one(NAMES, (0, 0, 25, 0), b"Jane").unwrap(), b"Jane");
    assert_eq!(one(&computed, (0, 0, 25, 0), b"Jane").unwrap(), b"REDACTED");
    assert_eq!(one(NAMES, (4242, 1, 25, 0), b"Jane").unwrap(), b"REDACTED", "a table that is not in the catalog");
    assert_eq!(one(NAMES, (1001, 1, 25, 0), b"Jane").unwrap(), b"Jane");
    assert_eq!(one(&computed, (1001, 1, 25, 0), b"Jane").unwrap(), b"REDACTED", "a column that statements fill");
}

/// What is kept of columns is the same as what is found anew, and is found anew once what relations mean may have changed.
#[test]
fn what_the_rules_ask_for_columns_is_kept_until_it_may_have_changed() {
    struct Counted(AtomicUsize);
    impl Catalog for Counted {
        fn columns(&self, table: u32, attribute: i16) -> Option<Source> {
            self.0.fetch_add(1, Ordering::Relaxed);
            People.columns(table, attribute)
        }

        fn type_fact(&self, _type_id: u32) -> Option<TypeFact> {
            None
        }
    }
    let rules: MaskRules = toml::from_str(NAMES).unwrap();
    let (rules, counted) = (RuleSet::new(&rules).unwrap(), Arc::new(Counted(AtomicUsize::new(0))));
    let catalog = Arc::<Counted>::clone(&counted);
    let mut mask = PostgresMask::new(Arc::new(rules), Arc::new(MaskKey::derive(&[7; 32])), catalog);
    let mut asked = |columns: &[Described], schema: Option<bool>| {
        if let Some(tables) = schema {
            mask.learn(Context::Schema { tables }).unwrap();
        }
        mask.learn(Context::Query).unwrap();
        frames(&mut mask, What::Columns, &description(columns));
        let values: Vec<_> = columns.iter().map(|_| Some(&b"Jane"[..])).collect();
        let shown = fields(&frames(&mut mask, What::Rows, &row(&values)));
        assert_eq!(shown.last().cloned().flatten().as_deref(), Some(&b"REDACTED"[..]));
        counted.0.swap(0, Ordering::Relaxed)
    };
    let known = [(1000, 1, 25, 0), (1000, 2, 25, 0)];
    assert_eq!(asked(&known, None), 2);
    assert_eq!(asked(&known, None), 0);
    assert_eq!(asked(&known, Some(true)), 2);
    assert_eq!(asked(&known, Some(false)), 2);
    let unknown = [(4242, 1, 25, 0)];
    assert_eq!((asked(&unknown, None), asked(&unknown, None)), (1, 1), "what is not known is asked again");
    let own_type = [(1000, 2, 70_001, 0)];
    assert_eq!((asked(&own_type, None), asked(&own_type, None)), (1, 1));
}

#[test]
fn an_action_without_an_encoding_is_null_or_an_error() {
    let text = r#"rules = [{ name = "cards", detector = "pan", action = "redact", otherwise = "OTHER" }]"#;
    let with = |other: &str| text.replace("OTHER", other);
    assert_eq!(one(&with("null"), (0, 0, 20, 0), b"4111111111111111"), None);
    let mut mask = mask(&with("error"));
    mask.learn(Context::Query).unwrap();
    frames(&mut mask, What::Columns, &description(&[(0, 0, 20, 0)]));
    let mut out = Vec::new();
    let refused = mask.frames(What::Rows, &row(&[Some(b"4111111111111111")]), &mut out).unwrap_err();
    assert_eq!(refused.code, "mask.unmaskable");
    assert!(out.is_empty());
}

#[test]
fn what_a_type_cannot_hold_is_described_as_text() {
    let rules = |action: &str| format!("rules = [{{ name = \"ids\", column = \"people.id\", action = \"{action}\" }}]");
    let card = 4_111_111_111_111_111_i64;
    for (action, shown) in [("redact", &b"REDACTED"[..]), ("partial", b"411111******1111")] {
        for (format, value) in [(0, b"4111111111111111".to_vec()), (1, card.to_be_bytes().to_vec())] {
            let mut mask = mask(&rules(action));
            mask.learn(Context::Describes { statement: 1 }).unwrap();
            let told = frames(&mut mask, What::Columns, &description(&[(1000, 2, 25, 0), (1000, 1, 20, 0)]));
            assert_eq!(told, description(&[(1000, 2, 25, 0), (1000, 1, 25, 0)]));
            opens(&mut mask, 1, &[(1000, 2, 25, 0), (1000, 1, 20, format)]);
            let out = frames(&mut mask, What::Rows, &row(&[Some(b"Jane"), Some(&value)]));
            assert_eq!(fields(&out), [Some(b"Jane".to_vec()), Some(shown.to_vec())]);
        }
    }
    let same = one(&rules("token"), (1000, 1, 20, 0), b"4111111111111111").unwrap();
    assert_eq!(one(&rules("token"), (1000, 1, 20, 1), &card.to_be_bytes()).unwrap(), same);
    let amount = [2_u16, 0, 0, 2, 1234, 5000].map(u16::to_be_bytes).concat();
    let same = one(&rules("token"), (1000, 1, 1700, 0), b"1234.50").unwrap();
    assert_eq!(one(&rules("token"), (1000, 1, 1700, 1), &amount).unwrap(), same, "a number's two forms");
    assert_eq!(one(&rules("partial"), (1000, 1, 1114, 1), &[7; 8]), None, "a form that is not read shows nothing");
    assert_eq!(one(&rules("redact"), (1000, 1, 1114, 1), &[7; 8]).unwrap(), b"REDACTED");
}

#[test]
fn what_a_type_can_hold_keeps_its_type() {
    let rules = |action: &str| format!("rules = [{{ name = \"ids\", column = \"people.id\", action = \"{action}\" }}]");
    let same = one(&rules("format-preserving"), (1000, 1, 20, 0), b"12345678").unwrap();
    assert!(same != b"12345678" && same.iter().all(u8::is_ascii_digit));
    let binary = one(&rules("format-preserving"), (1000, 1, 20, 1), &12_345_678_i64.to_be_bytes()).unwrap();
    assert_eq!(i64::from_be_bytes(binary.try_into().unwrap()).to_string().into_bytes(), same);
    let uuid = one(&rules("token"), (1000, 1, 2950, 0), b"550e8400-e29b-41d4-a716-446655440000").unwrap();
    assert_eq!((uuid.len(), uuid[14], uuid[8]), (36, b'8', b'-'));
    let mut mask = mask(&rules("null"));
    mask.learn(Context::Query).unwrap();
    let described = description(&[(1000, 1, 20, 0)]);
    assert_eq!(frames(&mut mask, What::Columns, &described), described);
}

#[test]
fn json_stays_json() {
    for (text, masked) in [
        (r#"{"pan": "4111111111111111"}"#, r#"{"pan": "REDACTED"}"#),
        (r#"{"pan": 4111111111111111, "b": 1}"#, r#"{"pan": "REDACTED", "b": 1}"#),
        (r#"[-4111111111111111.50]"#, r#"["REDACTED"]"#),
        (r#"{"a":"x\n4111111111111111\ty"}"#, r#"{"a":"x\nREDACTED\ty"}"#),
    ] {
        let got = one(CARDS, (0, 0, 114, 0), text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(got).unwrap(), masked);
        let versioned = [&[1], text.as_bytes()].concat();
        assert_eq!(one(CARDS, (0, 0, 3802, 1), &versioned).unwrap(), [&[1], masked.as_bytes()].concat());
    }
}

#[test]
fn a_row_may_be_dropped() {
    let mut mask = mask(r#"rules = [{ name = "cards", detector = "pan", action = "drop-row" }]"#);
    mask.learn(Context::Query).unwrap();
    frames(&mut mask, What::Columns, &description(&[(0, 0, 25, 0)]));
    let rows = [row(&[Some(b"a")]), row(&[Some(b"4111111111111111")]), row(&[Some(b"b")])];
    assert_eq!(frames(&mut mask, What::Rows, &rows.concat()), [rows[0].clone(), rows[2].clone()].concat());
}

#[test]
fn texts_of_errors_are_masked() {
    let mut scan = mask(CARDS);
    let body = b"SERROR\0C23505\0Mduplicate key 4111111111111111\0DKey (pan)=(4111111111111111) exists.\0\0";
    let masked = frames(&mut scan, What::Error, &framed(b'E', body));
    assert_eq!(masked, framed(b'E', b"SERROR\0C23505\0Mduplicate key REDACTED\0DKey (pan)=(REDACTED) exists.\0\0"));
    let mut names = mask(NAMES);
    let body = b"SERROR\0C22P02\0Minvalid input syntax for type integer: \"Jane\"\0DKey (name)=(Jane)\0WCOPY\0\0";
    let masked = frames(&mut names, What::Error, &framed(b'E', body));
    assert!(!masked.windows(4).any(|window| window == b"Jane"));
    let note = framed(b'A', b"\0\0\0\x01jobs\0card 4111111111111111\0");
    assert_eq!(frames(&mut scan, What::Notification, &note), framed(b'A', b"\0\0\0\x01jobs\0card REDACTED\0"));
    let parameter = framed(b'S', b"application_name\x004111111111111111\0");
    assert_eq!(frames(&mut scan, What::Parameter, &parameter), framed(b'S', b"application_name\0REDACTED\0"));
}

#[test]
fn what_cannot_be_read_is_refused() {
    let mut mask = mask(CARDS);
    let mut out = Vec::new();
    assert_eq!(mask.frames(What::Rows, &row(&[Some(b"a")]), &mut out).unwrap_err().code, "mask.untold");
    mask.learn(Context::Query).unwrap();
    frames(&mut mask, What::Columns, &description(&[(0, 0, 25, 0)]));
    let two = row(&[Some(b"a"), None]);
    for broken in [
        &two[..],
        &two[..5],
        b"D\0\0\0\x04",
        b"D\0\0\0\x08\0\x01\0\0\0",
        b"X\0\0\0\x04",
        b"D\0\0\0\x0a\0\x01\0\0\0\x09",
    ] {
        assert_eq!(mask.frames(What::Rows, broken, &mut out).unwrap_err().code, "mask.unreadable");
    }
    assert_eq!(mask.frames(What::Error, b"E\0\0\0\x06Mx", &mut out).unwrap_err().code, "mask.unreadable");
    assert_eq!(mask.part(What::Error, b"E", false, &mut out).unwrap_err().code, "mask.too_long");
    assert!(out.is_empty());
}

#[test]
fn long_rows_pass_in_parts_only_where_nothing_covers_them() {
    let mut mask = mask(NAMES);
    mask.learn(Context::Query).unwrap();
    frames(&mut mask, What::Columns, &description(&[(1000, 1, 17, 1), (1000, 2, 25, 0)]));
    let mut out = Vec::new();
    let free = row(&[Some(&[7; 1000]), None]);
    for piece in free.chunks(13) {
        assert_eq!(mask.part(What::Rows, piece, false, &mut out).unwrap(), Masked::Unchanged);
    }
    let covered = row(&[Some(&[7; 100]), Some(b"Jane")]);
    let pieces: Vec<_> = covered.chunks(13).map(|piece| mask.part(What::Rows, piece, false, &mut out)).collect();
    assert!(pieces[0].is_ok() && pieces.iter().any(Result::is_err));
}

#[test]
fn values_that_are_too_long_become_null() {
    let rules = format!("max_masked_value = 1024\n{CARDS}");
    let long = [b"4111111111111111 ".to_vec(), vec![b'x'; 2000]].concat();
    assert_eq!(one(&rules, (0, 0, 25, 0), &long), None);
    assert_eq!(one(&rules, (0, 0, 25, 0), &vec![b'x'; 2000]).unwrap().len(), 2000);
}
