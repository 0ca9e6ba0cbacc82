//! Addresses of people and machines.
//!
//! | detector | source | matched | not matched, deliberately |
//! |---|---|---|---|
//! | e-mail | RFC 5321 4.1.2 | a dot-string of up to 64 characters, `@`, a domain of two labels or more whose last is letters (or `xn--`), bytes above 127 allowed | quoted local parts, address literals, a host without a dot |
//! | phone | ITU-T E.164; North American, British and French national forms | `+` and 8 to 15 digits with single separators; `(415) 555-2671` and its kin with an area code and exchange from 2; `020 7946 0958`, `07700 900123`; `01 23 45 67 89` | plain digits without a plus sign, forms of other countries, extensions |
//! | IPv4 | RFC 791, RFC 6943 3.1.1 | four numbers of 0 to 255 without leading zeros | addresses within longer dotted numbers (versions, object identifiers) |
//! | IPv6 | RFC 4291 2.2 | what `std::net::Ipv6Addr` parses, in a run of hexadecimal digits, colons and points | `::` alone, MAC addresses, times |

use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::Range;

use super::text::{before, byte, closes, opens, run};
use super::{Detector, Hit};

/// The longest local part, RFC 5321 4.5.3.1.1.
const LOCAL: usize = 64;
/// The longest domain, RFC 5321 4.5.3.1.2.
const DOMAIN: usize = 255;

/// Appends the e-mail addresses in `text`.
pub(crate) fn emails(text: &[u8], hits: &mut Vec<Hit>) {
    let mut from = 0;
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b'@') {
        if let Some((start, end)) = email(text, from, at) {
            hits.push(Hit { start, end, detector: Detector::Email });
            from = end;
        }
    }
}

fn email(text: &[u8], from: usize, at: usize) -> Option<(usize, usize)> {
    let reach = text.get(from.max(at.saturating_sub(LOCAL))..at)?;
    let local = reach.iter().rev().take_while(|byte| is_local(**byte)).count();
    let dots = text.get(at - local..at)?.iter().take_while(|byte| **byte == b'.').count();
    let start = at - local + dots;
    if start == at || before(text, at) == b'.' {
        return None;
    }
    let domain = text.get(at + 1..)?;
    let domain = domain.get(..DOMAIN).unwrap_or(domain);
    let mut length = domain.iter().take_while(|byte| is_host(**byte) || **byte == b'.').count();
    while matches!(domain.get(..length)?.last(), Some(b'.' | b'-')) {
        length -= 1;
    }
    let domain = domain.get(..length)?;
    let mut labels = 0;
    for label in domain.split(|byte| *byte == b'.') {
        if label.is_empty() || label.len() > 63 || label.first() == Some(&b'-') {
            return None;
        }
        labels += 1;
    }
    let last = domain.rsplit(|byte| *byte == b'.').next()?;
    let top = last.starts_with(b"xn--") || last.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
    (labels >= 2 && last.len() >= 2 && top).then_some((start, at + 1 + length))
}

const fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || byte >= 0x80
        || matches!(byte, b'.' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'/' | b'=' | b'?' | b'^')
        || matches!(byte, b'_' | b'`' | b'{' | b'|' | b'}' | b'~' | b'-')
}

const fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte >= 0x80
}

/// Appends the telephone numbers in `text` that begin in a range.
pub(crate) fn phones(text: &[u8], near: Range<usize>, hits: &mut Vec<Hit>) {
    let mut at = near.start;
    while at < near.end {
        let found = match byte(text, at) {
            b'+' if !before(text, at).is_ascii_alphanumeric() => international(text, at),
            b'(' if opens(text, at) => american(text, at),
            b'0' if is_free(text, at) => british(text, at).or_else(|| french(text, at)),
            b'1'..=b'9' if is_free(text, at) => american(text, at),
            _ => None,
        };
        match found {
            Some(end) => {
                hits.push(Hit { start: at, end, detector: Detector::Phone });
                at = end;
            }
            None if byte(text, at).is_ascii_digit() => at += run(text, at, |byte| byte.is_ascii_digit()),
            None => at += 1,
        }
    }
}

/// Whether no number that goes on from before stands here.
fn is_free(text: &[u8], at: usize) -> bool {
    opens(text, at) && (!matches!(before(text, at), b'.' | b'-' | b'+' | b'/' | b':'))
}

/// Whether no number goes on behind here.
fn ends(text: &[u8], at: usize) -> bool {
    let goes_on = matches!(byte(text, at), b'.' | b'-' | b'/' | b':') && byte(text, at + 1).is_ascii_digit();
    closes(text, at) && !goes_on
}

fn international(text: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut digits, mut end) = (start + 1, 0, start + 1);
    if !matches!(byte(text, at), b'1'..=b'9') {
        return None;
    }
    while digits <= 15 {
        match byte(text, at) {
            b'0'..=b'9' => {
                digits += 1;
                at += 1;
                end = at;
            }
            b' ' | b'-' | b'.' if byte(text, at + 1).is_ascii_digit() => at += 1,
            _ => break,
        }
    }
    ((8..=15).contains(&digits) && closes(text, end)).then_some(end)
}

/// Reads `count` digits.
fn digits(text: &[u8], at: usize, count: usize) -> Option<usize> {
    (run(text, at, |byte| byte.is_ascii_digit()) == count).then_some(at + count)
}

/// An area code and an exchange that begin with 2 to 9, and four digits, as the North American Numbering Plan has them.
fn american(text: &[u8], start: usize) -> Option<usize> {
    let bracket = byte(text, start) == b'(';
    let area = start + usize::from(bracket);
    let at = digits(text, area, 3)?;
    let separator = byte(text, at);
    let exchange = match (bracket, separator) {
        (true, b')') => at + 1 + usize::from(byte(text, at + 1) == b' '),
        (false, b'-' | b'.' | b' ') => at + 1,
        _ => return None,
    };
    let at = digits(text, exchange, 3)?;
    let same = byte(text, at) == separator || bracket && byte(text, at) == b'-';
    if !same || !matches!(byte(text, area), b'2'..=b'9') || !matches!(byte(text, exchange), b'2'..=b'9') {
        return None;
    }
    digits(text, at + 1, 4).filter(|end| ends(text, *end))
}

/// `020 7946 0958`, `0161 496 0000`, `07700 900123`.
fn british(text: &[u8], start: usize) -> Option<usize> {
    let groups: &[usize] = match (byte(text, start + 1), run(text, start, |byte| byte.is_ascii_digit())) {
        (b'2', 3) => &[4, 4],
        (b'1', 4) => &[3, 4],
        (b'7', 5) => &[6],
        _ => return None,
    };
    let first = run(text, start, |byte| byte.is_ascii_digit());
    grouped(text, start + first, groups, b' ')
}

/// `01 23 45 67 89`, with points or hyphens too.
fn french(text: &[u8], start: usize) -> Option<usize> {
    let separator = byte(text, start + 2);
    let fits = matches!(byte(text, start + 1), b'1'..=b'9') && matches!(separator, b' ' | b'.' | b'-');
    if !fits {
        return None;
    }
    grouped(text, start + 2, &[2, 2, 2, 2], separator)
}

fn grouped(text: &[u8], mut at: usize, groups: &[usize], separator: u8) -> Option<usize> {
    for group in groups {
        if byte(text, at) != separator {
            return None;
        }
        at = digits(text, at + 1, *group)?;
    }
    ends(text, at).then_some(at)
}

/// Appends the IPv4 addresses in `text`.
pub(crate) fn ipv4(text: &[u8], hits: &mut Vec<Hit>) {
    words(
        text,
        15,
        |byte| byte.is_ascii_digit() || byte == b'.',
        |word| word.parse::<Ipv4Addr>().is_ok(),
        Detector::Ipv4,
        hits,
    );
}

/// Appends the IPv6 addresses in `text`.
pub(crate) fn ipv6(text: &[u8], hits: &mut Vec<Hit>) {
    let allowed = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    words(text, 45, allowed, |word| word != "::" && word.parse::<Ipv6Addr>().is_ok(), Detector::Ipv6, hits);
}

/// Hits for the runs of allowed bytes, without points at their end, that pass the test.
fn words(
    text: &[u8],
    longest: usize,
    allowed: impl Fn(u8) -> bool,
    test: impl Fn(&str) -> bool,
    detector: Detector,
    hits: &mut Vec<Hit>,
) {
    let mut at = 0;
    while at < text.len() {
        let word = run(text, at, &allowed);
        if word == 0 {
            at += 1;
            continue;
        }
        let bytes = text.get(at..at + word).unwrap_or_default();
        let trailing = bytes.iter().rev().take_while(|byte| **byte == b'.').count();
        let bytes = bytes.get(..word - trailing).unwrap_or_default();
        let whole = opens(text, at) && closes(text, at + word) && bytes.len() <= longest;
        if whole && core::str::from_utf8(bytes).is_ok_and(&test) {
            hits.push(Hit { start: at, end: at + bytes.len(), detector });
        }
        at += word;
    }
}

#[cfg(test)]
mod tests;
