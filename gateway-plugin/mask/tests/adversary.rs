//! Values that a workload dresses up: what comes of each is asserted here, and what a detector does not see is named in the manual and
//! in the security model.

use std::sync::Arc;

use writ_mask::action::MaskKey;
use writ_mask::detect::{Scanner, Set};
use writ_mask::postgres::{Catalog, PostgresMask, Source, TypeFact};
use writ_mask::rules::{MaskRules, RuleSet};
use writ_mask::{Context, Mask as _, Masked, What};

/// One way to dress a card's number.
struct Dress {
    /// As the manual calls it.
    name: &'static str,
    /// What an expression over the column `card` would be.
    sql: &'static str,
    /// The values that come back: columns of a row, or a value of each row.
    comes: &'static [&'static str],
    /// Whether a detector finds something in one of them.
    caught: bool,
}

const fn dress(name: &'static str, sql: &'static str, comes: &'static [&'static str], caught: bool) -> Dress {
    Dress { name, sql, comes, caught }
}

const DRESSES: &[Dress] = &[
    dress("plain", "card", &["4111111111111111"], true),
    dress("cast", "card::int8::text", &["4111111111111111"], true),
    dress("concatenated with words", "'no' || ' ' || card", &["no 4111111111111111"], true),
    dress("grouped", "regexp_replace(card, '(....)', '\\1 ', 'g')", &["4111 1111 1111 1111"], true),
    dress("full-width digits", "translate(card, '41', '４１')", &["\u{FF14}111\u{FF11}11111111111"], true),
    dress("zero-width characters", "insert U&'\\200B'", &["4111\u{200B}1111\u{200D}1111\u{2060}1111"], true),
    dress("soft hyphens", "insert U&'\\00AD'", &["4111\u{AD}1111\u{AD}1111\u{AD}1111"], true),
    dress("in JSON", "json_build_object('a', E'\\n' || card)", &["{\"a\":\"\\n4111111111111111\"}"], true),
    dress("in XML", "xmlforest(card)", &["<a b='4111111111111111'/>"], true),
    dress("in a query string", "'?pan=' || card || '&x'", &["?pan=4111111111111111&x"], true),
    dress("aggregated", "string_agg(card, ',')", &["4111111111111111,5555555555554444"], true),
    dress("base64", "encode(card::bytea, 'base64')", &["NDExMTExMTExMTExMTExMQ=="], false),
    dress("hexadecimal", "encode(card::bytea, 'hex')", &["34313131313131313131313131313131"], false),
    dress("a number in hexadecimal", "to_hex(card::int8)", &["e9b08a568f1c7"], false),
    dress("reversed", "reverse(card)", &["1111111111111114"], false),
    dress("concatenated with other digits", "'994' || card", &["994411111111111111199"], false),
    dress("substring in two columns", "left(card, 8), right(card, 8)", &["41111111", "11111111"], false),
    dress("CASE for each digit", "case left(card, 1) when '4' then 'four' end", &["four one one one"], false),
    dress("translated letters", "translate(card, '0123456789', 'abcdefghij')", &["ebbbbbbbbbbbbbbb"], false),
    dress("arithmetic", "card::int8 + 1", &["4111111111111112"], false),
    dress("other separators", "overlay '_'", &["4111_1111_1111_1111"], false),
    dress("one digit in each row", "regexp_split_to_table(card, '')", &["4", "1", "1", "1"], false),
    dress("an array of digits", "regexp_split_to_array(card, '')", &["{4,1,1,1,1,1,1,1}"], false),
    dress("other scripts' digits", "translate to Arabic", &["\u{0664}\u{0661}\u{0661}\u{0661}111111111111"], false),
    dress("JSON escapes", "'\\u0034' || ...", &["\\u0034111111111111111"], false),
    dress("entities of XML", "'&#52;' || ...", &["&#52;111111111111111"], false),
    dress("percent signs of URLs", "'%34' || ...", &["%34111111111111111"], false),
];

fn document(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn each_dress_is_caught_or_documented() {
    let (manual, model) = (document("masking.md"), document("security-model.md"));
    let mut scanner = Scanner::new(Set::ALL, &[]);
    for Dress { name, sql, comes, caught } in DRESSES {
        let mut hits = Vec::new();
        comes.iter().for_each(|value| scanner.find(value.as_bytes(), &mut hits));
        assert_eq!(!hits.is_empty(), *caught, "{name}: `{sql}`");
        if !caught {
            assert!(manual.contains(&format!("- {name}: ")), "docs/masking.md does not name `{name}`");
            assert!(model.contains(name), "docs/security-model.md does not name `{name}`");
        }
    }
}

/// A catalog in which every column of a table is that of the cards.
struct Cards;

impl Catalog for Cards {
    fn columns(&self, _table: u32, _attribute: i16) -> Option<Source> {
        Some(Source { names: vec!["public.payments.card".to_owned()], filled: false })
    }

    fn type_fact(&self, _type_id: u32) -> Option<TypeFact> {
        None
    }
}

fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &u32::try_from(body.len() + 4).unwrap().to_be_bytes(), body].concat()
}

/// What comes of values in computed columns of text.
fn through(rules: &str, values: &[&str]) -> Vec<u8> {
    let rules: MaskRules = toml::from_str(rules).unwrap();
    let rules = Arc::new(RuleSet::new(&rules).unwrap());
    let mut mask = PostgresMask::new(rules, Arc::new(MaskKey::derive(&[7; 32])), Arc::new(Cards));
    let count = u16::try_from(values.len()).unwrap().to_be_bytes();
    let column = b"c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";
    mask.learn(Context::Query).unwrap();
    let columns = [&count[..], &column.repeat(values.len())].concat();
    mask.frames(What::Columns, &framed(b'T', &columns), &mut Vec::new()).unwrap();
    let value = |value: &&str| [&u32::try_from(value.len()).unwrap().to_be_bytes()[..], value.as_bytes()].concat();
    let row = framed(b'D', &[count.to_vec(), values.iter().flat_map(value).collect()].concat());
    let mut out = Vec::new();
    match mask.frames(What::Rows, &row, &mut out).unwrap() {
        Masked::Unchanged => row,
        Masked::Changed { .. } => out,
    }
}

#[test]
fn a_column_s_rule_with_computed_columns_stops_every_dress() {
    let rules = "computed = \"mask\"\nrules = [{ name = \"cards\", column = \"payments.card\", action = \"redact\" }]";
    for Dress { name, comes, .. } in DRESSES {
        let out = through(rules, comes);
        for value in comes.iter().filter(|value| value.len() > 1) {
            let shown = out.windows(value.len()).any(|window| window == value.as_bytes());
            assert!(!shown, "{name}");
        }
        assert_eq!(out.windows(8).filter(|window| window == b"REDACTED").count(), comes.len(), "{name}");
    }
}
