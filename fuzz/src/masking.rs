//! The mask of a PostgreSQL session: whatever comes back, in whatever pieces, it passes whole frames, refuses, or writes nothing; and
//! how bytes are cut decides nothing.

use std::sync::Arc;

use writ_mask::action::MaskKey;
use writ_mask::detect::{Detector, Scanner, Set};
use writ_mask::postgres::{NoCatalog, PostgresMask};
use writ_mask::rules::{MaskRules, RuleSet};
use writ_mask::statement::StatementMask;
use writ_mask::{Context, CopyColumn, CopyFormat, Mask as _, Masked, What};

use crate::{Input, pieces};

pub(crate) const WORDS: &[&[u8]] = &[
    b"4111111111111111",
    b"4111 1111 1111 1111",
    b"5555-5555-5555-4444",
    "4\u{200b}111\u{ff11}11111111111".as_bytes(),
    b"jane@doe.example",
    b"DE89370400440532013000",
    b"\"password\": \"x\"",
    b"{\"a\": [4111111111111111]}",
    b"{4111111111111111,NULL,\"a,b\"}",
    b"(1,\"4111111111111111\",)",
    b"[4111111111111110,4111111111111112)",
    b"\\\\",
    b"\"\"",
    b"\\N",
    b"\t",
    b"\n",
    b"\\.",
    b"select '",
    b"E'\\u0034",
    b"U&'\\0034",
    b"x'3431",
    b"password '",
    b"$a$",
    b"PGCOPY\n\xff\r\n\0",
    b"\xff\xff",
    b"\0\0\0\x01\0\0\0\0\0\0\0\x19\0\0\0\x01\0\0\0\x01",
    b"\0\x0e\x9b\x08\xa5\x68\xf1\xc7",
    b"\0\x04\0\x03\0\0\0\0\x10\x0f\x04\x57\x04\x57\x04\x57",
];

const TYPES: [u32; 24] = [
    25, 25, 1043, 114, 3802, 20, 23, 21, 701, 1700, 17, 2950, 869, 1009, 1016, 1231, 1007, 2249, 2287, 3926, 3906, 199,
    3807, 99_999,
];
const ACTIONS: [&str; 7] = ["redact", "partial", "token", "format-preserving", "null", "hash", "drop-row"];

/// Bytes that choose the rules, what comes, a seed for the pieces and the columns; then what comes.
pub(crate) fn mask(data: &[u8]) {
    let mut input = Input(data);
    let (rules, what, seed) = (input.byte(), input.byte(), input.byte());
    let columns: Vec<(u32, u16)> = (0..1 + what / 16 % 4)
        .map(|_| {
            let choice = input.byte();
            (TYPES.get(usize::from(choice) / 2 % TYPES.len()).copied().unwrap_or(25), u16::from(choice & 1))
        })
        .collect();
    let Some(rules) = rule_set(rules) else { return };
    match what % 4 {
        0 => rows(&rules, &columns, input.0),
        1 => copy(&rules, &columns, what, seed.into(), input.0),
        2 => anything(&rules, &columns, what, input.0),
        _ if what & 4 == 0 => texts(input.0),
        _ => statement(&rules, input.0),
    }
}

/// What is recorded of a statement: whatever it is, and where nothing is masked in it, it is what it was.
fn statement(rules: &Arc<RuleSet>, sql: &[u8]) {
    let mut mask = StatementMask::new(rules.clone(), Arc::new(MaskKey::derive(&[7; 32])), Arc::new(NoCatalog));
    let mut out = Vec::new();
    let changed = mask.statement(sql, &mut out);
    assert!(changed || out.is_empty(), "what did not change was written");
    if let (true, Ok(was)) = (changed, writ_sql::outline(sql)) {
        let is = writ_sql::outline(&out);
        assert_eq!(
            is.map(|is| (is.tokens, is.statements)),
            Ok((was.tokens, was.statements)),
            "a mask has changed what a text says"
        );
    }
}

fn rule_set(choice: u8) -> Option<Arc<RuleSet>> {
    let action = ACTIONS.get(usize::from(choice) % ACTIONS.len())?;
    let of_column = if choice & 64 == 0 { "" } else { r#"{ name = "column", column = "a.b", action = "redact" }, "# };
    let detectors = if choice & 128 == 0 { &["pan"][..] } else { &["pan", "email", "iban", "secret-field", "entropy"] };
    let each =
        detectors.iter().map(|name| format!(r#"{{ name = "{name}", detector = "{name}", action = "{action}" }}"#));
    let computed = if choice & 32 == 0 { "detect" } else { "mask" };
    let text = format!(
        "max_masked_value = 1024\ncomputed = \"{computed}\"\nrules = [{of_column}{}]",
        each.collect::<Vec<_>>().join(", ")
    );
    let rules: MaskRules = toml::from_str(&text).ok()?;
    RuleSet::new(&rules).ok().map(Arc::new)
}

fn session(rules: &Arc<RuleSet>) -> PostgresMask {
    PostgresMask::new(rules.clone(), Arc::new(MaskKey::derive(&[7; 32])), Arc::new(NoCatalog))
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// A session of which a portal with these columns is executed.
fn described(rules: &Arc<RuleSet>, columns: &[(u32, u16)]) -> Option<PostgresMask> {
    let mut mask = session(rules);
    mask.learn(Context::Opens { statement: 1, shown: true }).ok()?;
    let mut body = u16::try_from(columns.len()).ok()?.to_be_bytes().to_vec();
    for (type_id, format) in columns {
        body.extend_from_slice(b"c\0\0\0\0\0\0\0");
        body.extend_from_slice(&type_id.to_be_bytes());
        body.extend_from_slice(&[0xff; 6]);
        body.extend_from_slice(&format.to_be_bytes());
    }
    told(&mut mask, What::Columns, &frame(b'T', &body))?;
    mask.learn(Context::Executes { doubted: false }).ok()?;
    Some(mask)
}

/// What goes on; nothing where the session ends.
fn told(mask: &mut PostgresMask, what: What, input: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match mask.frames(what, input, &mut out) {
        Ok(Masked::Changed { .. }) => Some(out),
        Ok(Masked::Unchanged) => {
            assert!(out.is_empty(), "what did not change was written");
            Some(input.to_vec())
        }
        Err(_) => {
            assert!(out.is_empty(), "something was written of what was refused");
            None
        }
    }
}

/// Values in rows: the same whether rows come one by one or all at once, and what comes out is rows again.
fn rows(rules: &Arc<RuleSet>, columns: &[(u32, u16)], data: &[u8]) {
    let mut input = Input(data);
    let mut frames = Vec::new();
    while !input.0.is_empty() && frames.len() < 20 {
        let mut body = u16::try_from(columns.len()).unwrap_or(0).to_be_bytes().to_vec();
        for _ in columns {
            let length = input.byte();
            if length == 255 {
                body.extend_from_slice(&(-1_i32).to_be_bytes());
                continue;
            }
            let value = input.take(length.into());
            body.extend_from_slice(&u32::try_from(value.len()).unwrap_or(0).to_be_bytes());
            body.extend_from_slice(value);
        }
        frames.push(frame(b'D', &body));
    }
    let Some(mut whole) = described(rules, columns) else { return };
    let Some(mut each) = described(rules, columns) else { return };
    let together = told(&mut whole, What::Rows, &frames.concat());
    let apart: Option<Vec<Vec<u8>>> = frames.iter().map(|frame| told(&mut each, What::Rows, frame)).collect();
    assert_eq!(together, apart.map(|frames| frames.concat()), "how rows come together decides what becomes of them");
    if let Some(out) = together {
        let (mut rest, mut values) = (&out[..], Vec::new());
        while !rest.is_empty() {
            rest = read_row(rest, columns.len(), &mut values);
        }
    }
}

/// Reads a row, and panics where it is none.
fn read_row<'a>(bytes: &'a [u8], columns: usize, values: &mut Vec<&'a [u8]>) -> &'a [u8] {
    let mut input = Input(bytes);
    let four = |input: &mut Input<'a>| <[u8; 4]>::try_from(input.take(4)).map(i32::from_be_bytes);
    assert_eq!(input.byte(), b'D', "what comes out is no row");
    let end = four(&mut input).ok().and_then(|length| usize::try_from(length).ok());
    let end = end.map(|length| bytes.len().checked_sub(length + 1));
    assert_eq!(usize::from(input.byte()) << 8 | usize::from(input.byte()), columns, "a row has lost a column");
    for _ in 0..columns {
        let length = four(&mut input);
        assert!(length.is_ok(), "a row ends within a length");
        if let Some(length) = length.ok().and_then(|length| usize::try_from(length).ok()) {
            let value = input.take(length);
            assert_eq!(value.len(), length, "a value is longer than its row");
            values.push(value);
        }
    }
    assert_eq!(end, Some(Some(input.0.len())), "a row is not as long as it says");
    input.0
}

/// A copy: the same however it is cut.
fn copy(rules: &Arc<RuleSet>, columns: &[(u32, u16)], what: u8, seed: u64, data: &[u8]) {
    let format = match what / 4 % 4 {
        0 => Some(CopyFormat::Text { delimiter: b'\t' }),
        1 => Some(CopyFormat::Csv { delimiter: b',', quote: b'"' }),
        2 => Some(CopyFormat::Binary),
        _ => None,
    };
    let known: Vec<CopyColumn> =
        columns.iter().map(|(type_id, _)| CopyColumn { table: 0, attribute: 0, type_id: *type_id }).collect();
    let run = |pieces: &[&[u8]]| {
        let mut mask = session(rules);
        if let Some(format) = format {
            mask.learn(Context::Copy { format, columns: Some(&known) }).ok()?;
        }
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(bodies(&told(&mut mask, What::Copy, &frame(b'd', piece))?));
        }
        mask.learn(Context::CopyEnd).ok()?;
        Some(out)
    };
    assert_eq!(run(&[data]), run(&pieces(data, seed, 9)), "how a copy is cut decides what becomes of it");
}

/// What copied frames hold, one after another.
fn bodies(frames: &[u8]) -> Vec<u8> {
    let (mut input, mut out) = (Input(frames), Vec::new());
    while !input.0.is_empty() {
        assert_eq!(input.byte(), b'd', "what comes out is no copied data");
        let length = input.take(4).iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let body = input.take(length.saturating_sub(4));
        assert_eq!(body.len() + 4, length, "copied data is not as long as it says");
        out.extend_from_slice(body);
    }
    out
}

/// Any bytes as frames of any kind, whole and as parts.
fn anything(rules: &Arc<RuleSet>, columns: &[(u32, u16)], what: u8, data: &[u8]) {
    const WHATS: [What; 8] = [
        What::Columns,
        What::Rows,
        What::Copy,
        What::Error,
        What::Notice,
        What::Notification,
        What::Parameter,
        What::Rows,
    ];
    let what = WHATS.get(usize::from(what / 4) % WHATS.len()).copied().unwrap_or(What::Rows);
    let Some(mut mask) = described(rules, columns) else { return };
    told(&mut mask, what, data);
    let Some(mut mask) = described(rules, columns) else { return };
    let (front, back) = data.split_at(data.len() / 2);
    let mut out = Vec::new();
    if mask.part(what, front, false, &mut out).is_ok() {
        drop(mask.part(what, back, true, &mut out));
    }
    assert!(out.is_empty() || out.len() == data.len(), "a part has changed its length");
}

/// Detectors over any text: what is found lies within it and in order, whatever else is looked for.
fn texts(text: &[u8]) {
    let mut all = Vec::new();
    Scanner::new(Set::ALL, &[]).find(text, &mut all);
    assert!(all.iter().all(|hit| hit.start < hit.end && hit.end <= text.len()), "a match outside of its text");
    assert!(all.is_sorted_by_key(|hit| hit.start), "matches out of order");
    for detector in Detector::ALL {
        let mut own = Vec::new();
        Scanner::new(Set::NONE.with(*detector), &[]).find(text, &mut own);
        let among: Vec<_> = all.iter().filter(|hit| hit.detector == *detector).copied().collect();
        for hit in &own {
            let seen = among.iter().any(|other| other.start <= hit.start && hit.end <= other.end);
            let covered = all.iter().any(|other| other.start < hit.end && hit.start < other.end);
            assert!(seen || covered, "{detector:?} finds by itself what it does not find among others");
        }
    }
}
