//! Tables, types, formats, actions, batches and seams at random: no planted card number comes back.

use super::paths::{copied, element};
use super::*;

/// A card number, as digits.
#[derive(Debug, Clone)]
struct Card(String);

fn luhn(digits: &str) -> bool {
    let value = |(place, digit): (usize, u8)| match u32::from(digit - b'0') * (1 + u32::try_from(place % 2).unwrap()) {
        double @ 10.. => double - 9,
        single => single,
    };
    digits.bytes().rev().enumerate().map(value).sum::<u32>().is_multiple_of(10)
}

fn card() -> impl Strategy<Value = Card> {
    let issuers = prop::sample::select(vec![("4", 16), ("51", 16), ("2221", 16), ("6011", 16), ("37", 15), ("36", 14)]);
    (issuers, 0_u64..1_000_000_000_000_000).prop_map(|((front, length), rest)| {
        let rest = format!("{rest:015}");
        let front = format!("{front}{}", rest.get(..length - 1 - front.len()).unwrap());
        Card((0..10).map(|digit| format!("{front}{digit}")).find(|number| luhn(number)).unwrap())
    })
}

impl Card {
    fn number(&self) -> i64 {
        self.0.parse().unwrap()
    }

    fn hex(&self) -> String {
        self.0.bytes().map(|byte| format!("{byte:02x}")).collect()
    }

    fn numeric(&self) -> Vec<u8> {
        let number = self.number();
        let groups = [3, 2, 1, 0].map(|place| u16::try_from(number / 10_i64.pow(4 * place) % 10_000).unwrap());
        [[4, 3, 0, 0], groups].concat().into_iter().flat_map(u16::to_be_bytes).collect()
    }

    /// Whether it can be read from these bytes: in digits, as an integer, a float, groups of four, hexadecimal.
    fn is_in(&self, bytes: &[u8]) -> bool {
        let grouped = |between: &str| {
            self.0
                .as_bytes()
                .chunks(4)
                .map(|group| core::str::from_utf8(group).unwrap())
                .collect::<Vec<_>>()
                .join(between)
        };
        let spellings: [Vec<u8>; 7] = [
            self.0.clone().into_bytes(),
            grouped(" ").into_bytes(),
            grouped("-").into_bytes(),
            self.number().to_be_bytes().to_vec(),
            (self.number() as f64).to_be_bytes().to_vec(),
            self.numeric().split_off(8),
            self.hex().into_bytes(),
        ];
        spellings.iter().any(|spelling| bytes.windows(spelling.len()).any(|window| window == spelling))
    }
}

/// A type's OID, and how a value of it is written: as text or in binary, around a card number or around none.
type Kind = (u32, fn(Option<&Card>, bool) -> Vec<u8>);

const KINDS: [Kind; 18] = [
    (25, |card, _| text(card)),
    (1043, |card, _| text(card)),
    (142, |card, _| [b"<v a='".to_vec(), text(card), b"'/>".to_vec()].concat()),
    (20, int8),
    (1700, numeric),
    (701, float8),
    (17, bytea),
    (114, |card, _| json(card)),
    (3802, |card, binary| [if binary { vec![1] } else { Vec::new() }, json(card)].concat()),
    (2950, |_, binary| if binary { vec![7; 16] } else { b"07070707-0707-0707-0707-070707070707".to_vec() }),
    (1009, |card, binary| array(25, &text(card), binary)),
    (1016, |card, binary| array(20, &int8(card, binary), binary)),
    (1231, |card, binary| array(1700, &numeric(card, binary), binary)),
    (199, |card, binary| array(114, &json(card), binary)),
    (2249, record),
    (2287, |card, binary| array(2249, &record(card, binary), binary)),
    (3926, range),
    (99_999, |card, binary| array(25, &text(card), binary)),
];

fn text(card: Option<&Card>) -> Vec<u8> {
    format!("paid, by {}", card.map_or("cash", |card| &card.0)).into_bytes()
}

fn json(card: Option<&Card>) -> Vec<u8> {
    card.map_or_else(
        || "{\"a\": [1, \"b\\n\"]}".to_owned(),
        |card| format!("{{\"a\": [{}, \"b\\n{}\"]}}", card.0, card.0),
    )
    .into_bytes()
}

fn int8(card: Option<&Card>, binary: bool) -> Vec<u8> {
    let number = card.map_or(42, Card::number);
    if binary { number.to_be_bytes().to_vec() } else { number.to_string().into_bytes() }
}

fn float8(card: Option<&Card>, binary: bool) -> Vec<u8> {
    let number = card.map_or(42, Card::number) as f64;
    if binary { number.to_be_bytes().to_vec() } else { format!("{number}").into_bytes() }
}

fn numeric(card: Option<&Card>, binary: bool) -> Vec<u8> {
    match (card, binary) {
        (Some(card), true) => card.numeric(),
        (None, true) => [1_u16, 0, 0, 0, 42].map(u16::to_be_bytes).concat(),
        (card, false) => int8(card, false),
    }
}

fn bytea(card: Option<&Card>, binary: bool) -> Vec<u8> {
    let plain = text(card);
    if binary {
        plain
    } else {
        plain.iter().fold(b"\\x".to_vec(), |hex, byte| [hex, format!("{byte:02x}").into()].concat())
    }
}

fn quoted(value: &[u8], escape: &str) -> Vec<u8> {
    let mut out = b"\"".to_vec();
    for byte in value {
        match byte {
            b'"' => out.extend(escape.as_bytes()),
            b'\\' => out.extend(b"\\\\"),
            other => out.push(*other),
        }
    }
    out.push(b'"');
    out
}

fn array(inner: u32, value: &[u8], binary: bool) -> Vec<u8> {
    if binary { element(inner, &[value, value]) } else { [b"{", &quoted(value, "\\\"")[..], b",NULL}"].concat() }
}

fn record(card: Option<&Card>, binary: bool) -> Vec<u8> {
    if !binary {
        return [b"(1,", &quoted(&text(card), "\"\"")[..], b",)"].concat();
    }
    let (words, number) = (text(card), int8(card, true));
    let length = |value: &[u8]| u32::try_from(value.len()).unwrap().to_be_bytes();
    [
        &2_u32.to_be_bytes()[..],
        &25_u32.to_be_bytes(),
        &length(&words),
        &words,
        &20_u32.to_be_bytes(),
        &length(&number),
        &number,
    ]
    .concat()
}

fn range(card: Option<&Card>, binary: bool) -> Vec<u8> {
    let bound = int8(card, binary);
    if binary {
        [&[2_u8][..], &8_u32.to_be_bytes(), &bound, &8_u32.to_be_bytes(), &bound].concat()
    } else {
        [b"[", &bound[..], b",", &bound, b")"].concat()
    }
}

const ACTIONS: [&str; 7] = ["redact", "partial", "token", "format-preserving", "null", "hash", "drop-row"];

fn rules() -> impl Strategy<Value = String> {
    prop::sample::select(ACTIONS.to_vec())
        .prop_map(|action| format!("rules = [{{ name = \"cards\", detector = \"pan\", action = \"{action}\" }}]"))
}

/// The kinds and formats of a table's columns, and for each row which card stands in which column.
type Table = (Vec<(usize, bool)>, Vec<Vec<Option<Card>>>);

fn table() -> impl Strategy<Value = Table> {
    prop::collection::vec((0..KINDS.len(), any::<bool>()), 1..6).prop_flat_map(|columns| {
        let row = prop::collection::vec(prop::option::of(card()), columns.len());
        (Just(columns), prop::collection::vec(row, 1..8))
    })
}

fn cards(table: &Table) -> impl Iterator<Item = &Card> {
    table.1.iter().flatten().flatten()
}

/// The values of each row, in the format of their columns or all in one.
fn values(table: &Table, binary: Option<bool>) -> Vec<Vec<Vec<u8>>> {
    let of = |(kind, own): &(usize, bool), card: &Option<Card>| (KINDS[*kind].1)(card.as_ref(), binary.unwrap_or(*own));
    table.1.iter().map(|row| table.0.iter().zip(row).map(|(column, card)| of(column, card)).collect()).collect()
}

/// Fields as lines of a copy.
fn lines(rows: &[Vec<Vec<u8>>], csv: bool) -> Vec<u8> {
    let field = |value: &Vec<u8>| {
        if csv {
            return String::from_utf8(value.clone()).unwrap().replace('"', "\"\"");
        }
        String::from_utf8(value.clone()).unwrap().replace('\\', "\\\\").replace('\n', "\\n")
    };
    let line = |row: &Vec<Vec<u8>>| {
        let fields = row.iter().map(|value| if csv { format!("\"{}\"", field(value)) } else { field(value) });
        fields.collect::<Vec<_>>().join(if csv { "," } else { "\t" }) + "\n"
    };
    rows.iter().map(line).collect::<String>().into_bytes()
}

proptest! {
    #[test]
    fn none_comes_back_in_rows(table in table(), rules in rules(), batch in 1_usize..5) {
        let mut mask = mask(&rules);
        let of = |(kind, binary): &(usize, bool)| (0, 0, KINDS[*kind].0, u16::from(*binary));
        let columns: Vec<Described> = table.0.iter().map(of).collect();
        mask.learn(Context::Opens { statement: 1, shown: true }).unwrap();
        frames(&mut mask, What::Columns, &description(&columns));
        let rows: Vec<Vec<u8>> = values(&table, None)
            .iter()
            .map(|values| row(&values.iter().map(|value| Some(&value[..])).collect::<Vec<_>>()))
            .collect();
        for batch in rows.chunks(batch) {
            let out = frames(&mut mask, What::Rows, &batch.concat());
            for card in cards(&table) {
                prop_assert!(!card.is_in(&out), "{card:?} in {}", String::from_utf8_lossy(&out));
            }
        }
    }

    #[test]
    fn none_comes_back_in_copies(
        table in table(),
        rules in rules(),
        format in 0_usize..3,
        told in any::<bool>(),
        seams in prop::collection::vec(0_usize..4000, 0..12),
    ) {
        let binary = format == 2;
        let values = values(&table, Some(binary));
        let (format, data) = match format {
            0 => (CopyFormat::Text { delimiter: b'\t' }, lines(&values, false)),
            1 => (CopyFormat::Csv { delimiter: b',', quote: b'"' }, lines(&values, true)),
            _ => {
                let tuple = |values: &Vec<Vec<u8>>| row(&values.iter().map(|value| Some(&value[..])).collect::<Vec<_>>())[5..].to_vec();
                let head = [b"PGCOPY\n\xff\r\n\0".as_slice(), &[0; 8]].concat();
                (CopyFormat::Binary, [head, values.iter().flat_map(tuple).collect(), vec![0xff, 0xff]].concat())
            }
        };
        let column = |(kind, _): &(usize, bool)| CopyColumn { table: 0, attribute: 0, type_id: KINDS[*kind].0 };
        let columns: Vec<CopyColumn> = if told { table.0.iter().map(column).collect() } else { Vec::new() };
        let out = copied(&rules, format, &columns, &data, &seams);
        for card in cards(&table) {
            prop_assert!(!card.is_in(&out), "{card:?} in {}", String::from_utf8_lossy(&out));
        }
    }
}
