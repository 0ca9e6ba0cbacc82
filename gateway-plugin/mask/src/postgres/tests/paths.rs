//! No planted value comes back, whatever its type, its format, its way back and the seams on it.

use super::*;

const PAN: i64 = 4_111_111_111_111_111;
const TEXT: &str = "4111111111111111";

pub(super) fn element(type_id: u32, values: &[&[u8]]) -> Vec<u8> {
    let mut out = [1_u32, 0, type_id, u32::try_from(values.len()).unwrap(), 1].map(u32::to_be_bytes).concat();
    for value in values {
        out.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        out.extend(*value);
    }
    out
}

fn numeric() -> Vec<u8> {
    [4_u16, 3, 0, 0, 4111, 1111, 1111, 1111].map(u16::to_be_bytes).concat()
}

/// A type, a format, and a value that holds the number.
fn planted() -> Vec<(u32, u16, Vec<u8>)> {
    let text = TEXT.as_bytes();
    let number = PAN.to_be_bytes();
    let composite = [
        &2_u32.to_be_bytes()[..],
        &25_u32.to_be_bytes(),
        &16_u32.to_be_bytes(),
        text,
        &20_u32.to_be_bytes(),
        &8_u32.to_be_bytes(),
        &number,
    ]
    .concat();
    let range = [&[2_u8][..], &8_u32.to_be_bytes(), &number, &8_u32.to_be_bytes(), &number].concat();
    let hex: String = text.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![
        (17, 0, format!("\\x{hex}").into_bytes()),
        (20, 1, number.to_vec()),
        (701, 1, (PAN as f64).to_be_bytes().to_vec()),
        (1700, 1, numeric()),
        (3802, 1, [&[1], format!("{{\"a\": {TEXT}}}").as_bytes()].concat()),
        (1009, 1, element(25, &[b"x", text])),
        (1016, 1, element(20, &[&1_i64.to_be_bytes(), &number])),
        (2287, 1, element(2249, &[&composite])),
        (2249, 1, composite),
        (3926, 1, range),
        (99_999, 1, number.to_vec()),
        (99_999, 1, (PAN as f64).to_be_bytes().to_vec()),
        (99_999, 1, numeric()),
        (99_999, 1, element(20, &[&number])),
    ];
    for type_id in [25, 1043, 1042, 19, 114, 142, 20, 1700, 701, 1009, 1016, 2249, 3926, 99_999, 70_000] {
        all.push((type_id, 0, text.to_vec()));
    }
    for type_id in [25, 1043, 114, 17, 99_999, 70_000] {
        all.push((type_id, 1, text.to_vec()));
    }
    all.push((701, 0, b"4.111111111111111e+15".to_vec()));
    all.push((1009, 0, format!("{{a,{TEXT}}}").into_bytes()));
    all.push((2249, 0, format!("(a,{TEXT})").into_bytes()));
    all.push((99_999, 0, format!("\"k\"=>\"{TEXT}\"").into_bytes()));
    all.push((25, 0, format!("<card>{TEXT}</card>").into_bytes()));
    all.push((25, 0, "4\u{200B}111\u{FF11}11111111111".as_bytes().to_vec()));
    all
}

/// Every spelling of the number that a client could read.
fn shows(out: &[u8]) -> bool {
    let hex: String = TEXT.bytes().map(|byte| format!("{byte:02x}")).collect();
    let numeric = numeric();
    let spellings: [&[u8]; 7] = [
        TEXT.as_bytes(),
        &PAN.to_be_bytes(),
        hex.as_bytes(),
        &numeric[8..],
        &(PAN as f64).to_be_bytes(),
        "11\u{FF11}111".as_bytes(),
        b"4.111111111111111e",
    ];
    spellings.iter().any(|spelling| out.windows(spelling.len()).any(|window| window == *spelling))
}

const ACTIONS: [&str; 7] = ["redact", "partial", "token", "format-preserving", "null", "hash", "drop-row"];

fn rules(action: &str) -> String {
    format!("rules = [{{ name = \"cards\", detector = \"pan\", action = \"{action}\" }}]")
}

#[test]
fn no_type_and_no_format_lets_a_number_pass() {
    for action in ACTIONS {
        for (type_id, format, value) in planted() {
            let mut mask = mask(&rules(action));
            mask.learn(Context::Opens { statement: 1, shown: true }).unwrap();
            frames(&mut mask, What::Columns, &description(&[(0, 0, 23, 0), (0, 0, type_id, format)]));
            let plain = row(&[Some(b"1"), Some(b"harmless")]);
            if type_id == 25 {
                assert_eq!(frames(&mut mask, What::Rows, &plain), plain);
            }
            let out = frames(&mut mask, What::Rows, &row(&[Some(b"1"), Some(&value)]));
            assert!(!shows(&out), "{action} on type {type_id} in format {format}");
            if !out.is_empty() {
                assert_eq!(fields(&out)[0].as_deref(), Some(&b"1"[..]));
            }
        }
    }
}

fn cut(bytes: &[u8], seams: &[usize]) -> Vec<u8> {
    let mut places: Vec<usize> = seams.iter().map(|seam| seam % (bytes.len() + 1)).collect();
    places.sort_unstable();
    places.push(bytes.len());
    let mut from = 0;
    let mut out = Vec::new();
    for place in places {
        out.extend(framed(b'd', &bytes[from..place]));
        from = place;
    }
    out
}

fn joined(mut frames: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((b'd', body, after)) = message::frame(frames) {
        out.extend_from_slice(body);
        frames = after;
    }
    assert!(frames.is_empty());
    out
}

/// What a copy becomes where each part of its frames comes by itself.
pub(super) fn copied(rules: &str, format: CopyFormat, columns: &[CopyColumn], data: &[u8], seams: &[usize]) -> Vec<u8> {
    let mut mask = mask(rules);
    mask.learn(Context::Copy { format, columns: Some(columns) }).unwrap();
    let input = cut(data, seams);
    let mut out = Vec::new();
    let mut rest = &input[..];
    while !rest.is_empty() {
        let (_, body, after) = message::frame(rest).unwrap();
        out.extend(joined(&frames(&mut mask, What::Copy, &framed(b'd', body))));
        rest = after;
    }
    mask.learn(Context::CopyEnd).unwrap();
    out
}

const COLUMNS: &[CopyColumn] = &[
    CopyColumn { table: 1000, attribute: 1, type_id: 20 },
    CopyColumn { table: 1000, attribute: 2, type_id: 25 },
    CopyColumn { table: 0, attribute: 0, type_id: 25 },
];

const BOTH: &str = r#"rules = [{ name = "names", column = "people.name", action = "redact" }, { name = "cards", detector = "pan", action = "partial" }]"#;

proptest! {
    #[test]
    fn seams_change_nothing_of_a_text_copy(seams in prop::collection::vec(0_usize..400, 0..12)) {
        let data = format!("1\tJane\tpay {TEXT} now\n2\t\\N\tno \\t card\n{PAN}\tJo\\\tn\t\\N\n");
        let format = CopyFormat::Text { delimiter: b'\t' };
        let got = copied(BOTH, format, COLUMNS, data.as_bytes(), &seams);
        prop_assert_eq!(String::from_utf8(got).unwrap(), "1\tREDACTED\tpay 411111******1111 now\n2\t\\N\tno \\t card\n\\N\tREDACTED\t\\N\n");
    }

    #[test]
    fn seams_change_nothing_of_a_csv_copy(seams in prop::collection::vec(0_usize..400, 0..12)) {
        let data = format!("1,\"Ja\"\"ne, x\",\"a\n{TEXT}\n\"\"b\"\"\"\n2,,plain\r\n");
        let format = CopyFormat::Csv { delimiter: b',', quote: b'"' };
        let got = copied(BOTH, format, COLUMNS, data.as_bytes(), &seams);
        prop_assert_eq!(String::from_utf8(got).unwrap(), "1,\"REDACTED\",\"a\n411111******1111\n\"\"b\"\"\"\n2,,plain\r\n");
    }

    #[test]
    fn seams_change_nothing_of_a_binary_copy(seams in prop::collection::vec(0_usize..400, 0..12)) {
        let tuple = |values: &[Option<&[u8]>]| row(values)[5..].to_vec();
        let head = [b"PGCOPY\n\xff\r\n\0".as_slice(), &[0; 8]].concat();
        let id = 7_i64.to_be_bytes();
        let pan = PAN.to_be_bytes();
        let data = [head.clone(), tuple(&[Some(&id), Some(b"Jane"), Some(TEXT.as_bytes())]), tuple(&[Some(&pan), None, None]), vec![0xff, 0xff]].concat();
        let expected = [head, tuple(&[Some(&id), Some(b"REDACTED"), Some(b"411111******1111")]), tuple(&[None, None, None]), vec![0xff, 0xff]].concat();
        prop_assert_eq!(copied(BOTH, CopyFormat::Binary, COLUMNS, &data, &seams), expected);
    }

    #[test]
    fn no_bytes_break_the_mask(what in 0_usize..6, input in prop::collection::vec(any::<u8>(), 0..300)) {
        let whats = [What::Columns, What::Rows, What::Copy, What::Error, What::Notice, What::Notification];
        let mut mask = mask(BOTH);
        mask.learn(Context::Query).unwrap();
        frames(&mut mask, What::Columns, &description(&[(1000, 1, 20, 1), (1000, 2, 1009, 1)]));
        let mut out = Vec::new();
        if mask.frames(whats[what], &input, &mut out).is_err() {
            prop_assert!(out.is_empty());
        }
        let valid = row(&[Some(&input), Some(&input)]);
        drop(mask.frames(What::Rows, &valid, &mut out));
    }
}

#[test]
fn a_copy_that_ends_within_a_row_is_refused() {
    let mut mask = mask(BOTH);
    let format = CopyFormat::Text { delimiter: b'\t' };
    mask.learn(Context::Copy { format, columns: None }).unwrap();
    let mut out = Vec::new();
    assert_eq!(mask.frames(What::Copy, &framed(b'd', b"1\tJa"), &mut out).unwrap(), Masked::Changed { marks: vec![] });
    assert!(out.is_empty());
    assert_eq!(mask.learn(Context::CopyEnd).unwrap_err().code, "mask.unreadable");
}

#[test]
fn a_copy_of_which_nothing_was_told_is_masked_by_every_rule() {
    let mut mask = mask(BOTH);
    let out = frames(&mut mask, What::Copy, &framed(b'd', b"1\tJane\n"));
    assert_eq!(joined(&out), b"REDACTED\tREDACTED\n");
}

#[test]
fn escapes_of_a_copy_hide_nothing() {
    let columns = [17, 1009].map(|type_id| CopyColumn { table: 0, attribute: 0, type_id });
    let hex: String = TEXT.bytes().map(|byte| format!("{byte:02x}")).collect();
    let data = format!("\\\\x{hex}\t{{\"a\\\\\"b\",{TEXT}}}\n");
    let got = copied(CARDS, CopyFormat::Text { delimiter: b'\t' }, &columns, data.as_bytes(), &[]);
    let redacted: String = b"REDACTED".iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(String::from_utf8(got).unwrap(), format!("\\\\x{redacted}\t{{\"a\\\\\"b\",\"REDACTED\"}}\n"));
}
