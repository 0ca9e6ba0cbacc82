//! What masking costs: rows without anything to mask, and rows with a little. Prints figures and asserts nothing. `rows` and `scan`
//! are for `bench/presidio.py`.

use std::hint::black_box;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use writ_mask::action::MaskKey;
use writ_mask::detect::{Detector, Scanner, Set};
use writ_mask::postgres::{NoCatalog, PostgresMask};
use writ_mask::rules::{MaskRules, RuleSet};
use writ_mask::statement::StatementMask;
use writ_mask::{Context, Mask as _, Masked, What};

type Failure = Box<dyn std::error::Error>;

/// Bytes that stay in the second cache.
const SIZE: usize = 256 << 10;
const ROUNDS: u32 = 9;
const LEAST: Duration = Duration::from_millis(120);

/// A row of an orders table as text: identifiers, names, amounts, times, a status and a remark.
fn row(number: u64) -> Vec<Vec<u8>> {
    const NAMES: [&str; 6] = ["Jane Doe", "Ravi Kumar", "Zoë Müller", "Ana Souza", "Li Wei", "Olga Petrova"];
    const NOTES: [&str; 4] = [
        "left at the reception, signed by a neighbour",
        "customer asked for a delivery after six in the evening",
        "gift wrapped; the invoice goes by post",
        "second attempt, the address was hard to find",
    ];
    let pick = |list: &[&str]| {
        list.iter()
            .cycle()
            .nth((number * 7919 % list.len() as u64) as usize)
            .map_or_else(Vec::new, |text| text.as_bytes().to_vec())
    };
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    vec![
        number.to_string().into_bytes(),
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            spread >> 32,
            spread >> 16 & 0xffff,
            spread & 0xfff,
            spread >> 7 & 0xfff,
            spread >> 16
        )
        .into_bytes(),
        pick(&NAMES),
        format!("{}.{:02}", spread % 10_000, spread % 100).into_bytes(),
        format!(
            "2026-{:02}-{:02} {:02}:{:02}:{:02}.{:06}+00",
            1 + spread % 12,
            1 + spread % 28,
            spread % 24,
            spread % 60,
            spread % 59,
            spread % 1_000_000
        )
        .into_bytes(),
        b"shipped".to_vec(),
        pick(&NOTES),
    ]
}

/// Frames of rows, with a card number in each `density`th where that is not 0.
fn frames(density: u64) -> (Vec<u8>, u64) {
    let (mut out, mut rows) = (Vec::with_capacity(SIZE + 512), 0);
    while out.len() < SIZE {
        rows += 1;
        let mut fields = row(rows);
        if density > 0 && rows % density == 0 {
            fields.truncate(5);
            fields.extend([b"4111111111111111".to_vec(), b"paid by card".to_vec()]);
        }
        let length: usize = fields.iter().map(|field| 4 + field.len()).sum();
        out.push(b'D');
        out.extend(((length + 6) as u32).to_be_bytes());
        out.extend((fields.len() as u16).to_be_bytes());
        for field in fields {
            out.extend((field.len() as u32).to_be_bytes());
            out.extend(field);
        }
    }
    (out, rows)
}

/// The processor time that this process has used: other processes may share the core.
fn used() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|field| field.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}

/// The median rate in GB/s of processor time.
fn rate(bytes: usize, mut work: impl FnMut()) -> f64 {
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (before, start, mut times) = (used(), Instant::now(), 0_u32);
            while start.elapsed() < LEAST {
                work();
                times += 1;
            }
            bytes as f64 * f64::from(times) / (used() - before) / 1e9
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates.into_iter().nth(ROUNDS as usize / 2).unwrap_or(f64::NAN)
}

/// A rule for each of these detectors.
fn rules(detectors: &[Detector]) -> Result<Arc<RuleSet>, Failure> {
    let rules = detectors.iter().filter_map(|detector| detector.name());
    let text: Vec<String> =
        rules.map(|name| format!("{{ name = \"{name}\", detector = \"{name}\", action = \"partial\" }}")).collect();
    let rules: MaskRules = toml::from_str(&format!("rules = [{}]", text.join(", ")))?;
    Ok(Arc::new(RuleSet::new(&rules)?))
}

/// A mask with a rule for each of these detectors, which was told of seven columns of text.
fn mask(detectors: &[Detector]) -> Result<PostgresMask, Failure> {
    let mut mask = PostgresMask::new(rules(detectors)?, Arc::new(MaskKey::derive(&[7; 32])), Arc::new(NoCatalog));
    mask.learn(Context::Query)?;
    let mut body = vec![0, 7];
    for _ in 0..7 {
        body.extend(b"c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
    }
    let mut frame = vec![b'T'];
    frame.extend((body.len() as u32 + 4).to_be_bytes());
    frame.extend(body);
    mask.frames(What::Columns, &frame, &mut Vec::new())?;
    Ok(mask)
}

/// Rows as lines of fields with tabs between them, with a card number in each thousandth.
fn lines(count: u64, out: &mut impl io::Write) -> Result<(), Failure> {
    for number in 1..=count {
        let mut fields = row(number);
        if number % 1000 == 0 {
            fields.pop();
            fields.push(b"4111111111111111".to_vec());
        }
        out.write_all(&fields.join(&b'\t'))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// The rate in bytes for each second at which the lines of a file pass a mask as rows, and how many values it changed.
fn scan(path: &str, detectors: &[Detector], out: &mut impl io::Write) -> Result<(), Failure> {
    let (text, mut frames, mut masked) = (std::fs::read(path)?, Vec::new(), Vec::new());
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b'\t').collect();
        let length: usize = fields.iter().map(|field| field.len()).sum();
        frames.push(b'D');
        frames.extend((length as u32 + 6 + 4 * 7).to_be_bytes());
        frames.extend(7_u16.to_be_bytes());
        for field in &fields {
            frames.extend((field.len() as u32).to_be_bytes());
            frames.extend(*field);
        }
        // Seven columns, of which the last may be NULL.
        frames.extend([0xff; 4].repeat(7_usize.saturating_sub(fields.len())));
    }
    let (mut mask, mut values) = (mask(detectors)?, 0);
    let found = rate(text.len(), || {
        masked.clear();
        if let Ok(Masked::Changed { marks }) = mask.frames(What::Rows, black_box(&frames), &mut masked) {
            values = marks.iter().map(|mark| mark.count).sum();
        }
    });
    writeln!(out, "{} {values}", found * 1e9)?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["rows", count, ..] => return lines(count.parse()?, &mut out),
        ["scan", path, "card", ..] => return scan(path, &[Detector::Pan], &mut out),
        ["scan", path, ..] => return scan(path, Detector::ALL, &mut out),
        _ => {}
    }
    let sql = b"select o.id, o.total, c.name from orders o join customers c on c.id = o.customer where o.status = 'open' and o.id = $1 limit 50";
    let mut statements =
        StatementMask::new(rules(Detector::ALL)?, Arc::new(MaskKey::derive(&[7; 32])), Arc::new(NoCatalog));
    let mut written = Vec::new();
    let found = rate(1, || {
        black_box(statements.statement(black_box(sql), &mut written));
    });
    writeln!(out, "all detectors, one statement of {} bytes without anything: {:.0} ns", sql.len(), 1.0 / found)?;
    let wanted = std::env::args().nth(1).filter(|argument| !argument.starts_with('-')).unwrap_or_default();
    for (name, detectors) in [("card numbers", &[Detector::Pan][..]), ("all detectors", Detector::ALL)] {
        if !name.contains(&wanted) {
            continue;
        }
        for (what, density) in [("no match", 0), ("a card in 1,000 rows", 1000), ("a card in 10 rows", 10)] {
            let (bytes, rows) = frames(density);
            let (mut mask, mut masked) = (mask(detectors)?, Vec::with_capacity(2 * SIZE));
            let found = rate(bytes.len(), || {
                masked.clear();
                black_box(mask.frames(What::Rows, black_box(&bytes), &mut masked)).ok();
            });
            writeln!(out, "{name}, rows, {what}: {found:.2} GB/s ({} bytes in a row)", bytes.len() as u64 / rows)?;
        }
        let set = detectors.iter().fold(Set::NONE, |set, detector| set.with(*detector));
        let text: Vec<u8> =
            frames(0).0.into_iter().map(|byte| if byte.is_ascii_alphabetic() { byte } else { b' ' }).collect();
        let (mut scanner, mut hits) = (Scanner::new(set, &[]), Vec::new());
        let found = rate(text.len(), || {
            hits.clear();
            scanner.find(black_box(&text), &mut hits);
            black_box(&hits);
        });
        writeln!(out, "{name}, one text of words: {found:.2} GB/s ({} hits)", hits.len())?;
    }
    Ok(())
}
