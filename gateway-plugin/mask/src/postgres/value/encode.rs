//! Values of types in their two formats: read as text for the detectors, and made from what an action gives.

use core::fmt::Write as _;
use core::net::{Ipv4Addr, Ipv6Addr};

use crate::action::{Action, MaskKey, hex};
use crate::postgres::column::Column;
use crate::postgres::types::Class;

/// Appends a value as the text that detectors read. False where its bytes are what they read.
pub(super) fn text_of(column: &Column, value: &[u8], out: &mut Vec<u8>) -> bool {
    match (column.class, column.binary) {
        (Class::Bytes, false) => bytes_of(value).map(|bytes| out.extend_from_slice(&bytes)).is_some(),
        (Class::Integer(_), true) => integer_text(value, out),
        (Class::Float, true) => float(value, out).is_some(),
        (Class::Float, false) => written_float(value, out).is_some(),
        (Class::Numeric, true) => numeric(value, out).is_some(),
        (Class::Uuid, true) => uuid_text(value, out),
        (Class::Network, true) => network(value, out).is_some(),
        _ => false,
    }
}

/// Writes what an action gives for a whole value. False where it has no encoding in the type.
pub(super) fn whole(key: &MaskKey, column: &Column, action: Action, value: &[u8], out: &mut Vec<u8>) -> bool {
    let keyed = matches!(action, Action::Token | Action::Hash);
    if column.retyped {
        return as_text(key, column, action, value, out);
    }
    match column.class {
        Class::Text => key.apply(action, None, value, out),
        Class::Json { version } => {
            let versioned = version && column.binary;
            if versioned {
                out.push(1);
            }
            out.push(b'"');
            let applied = key.apply(action, None, value.get(usize::from(versioned)..).unwrap_or_default(), out);
            out.push(b'"');
            applied
        }
        Class::Integer(width) if action == Action::FormatPreserving => integer(key, width, column.binary, value, out),
        Class::Numeric if action == Action::FormatPreserving && !column.binary => key.apply(action, None, value, out),
        Class::Bytes if keyed || action == Action::Redact => {
            if column.binary {
                return key.apply(action, None, value, out);
            }
            let (Some(bytes), mut applied) = (bytes_of(value), Vec::new()) else { return false };
            if !key.apply(action, None, &bytes, &mut applied) {
                return false;
            }
            out.extend_from_slice(b"\\x");
            hex(&applied, out);
            true
        }
        Class::Uuid if keyed => uuid(key, column.binary, value, out),
        _ => false,
    }
}

/// What an action gives for the text that a value stands for. Where its binary form is not read as text, only what shows nothing
/// of it can be given.
fn as_text(key: &MaskKey, column: &Column, action: Action, value: &[u8], out: &mut Vec<u8>) -> bool {
    let mut shown = Vec::new();
    if !column.binary || action == Action::Redact {
        return key.apply(action, None, value, out);
    }
    if column.class == Class::Bytes {
        shown.extend_from_slice(b"\\x");
        hex(value, &mut shown);
    } else if !text_of(column, value, &mut shown) || shown.is_empty() {
        return false;
    }
    key.apply(action, None, &shown, out)
}

/// Appends the number that eight, four or two bytes are.
pub(super) fn integer_text(value: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(number) = signed(value) else { return false };
    display(number, out)
}

/// Appends what a value of a type that is not known is if it is a number; nothing, and false, where it cannot be one.
pub(super) fn number_text(class: Class, value: &[u8], out: &mut Vec<u8>) -> bool {
    match class {
        Class::Other => integer_text(value, out),
        Class::Unknown if integer_text(value, out) => {
            out.extend_from_slice(b"\n;\n");
            float(value, out).is_some() || value.len() == 2
        }
        _ => false,
    }
}

fn display(shown: impl core::fmt::Display, out: &mut Vec<u8>) -> bool {
    let mut text = String::new();
    let written = write!(text, "{shown}").is_ok();
    out.extend_from_slice(text.as_bytes());
    written
}

fn signed(value: &[u8]) -> Option<i64> {
    match value {
        [a, b] => Some(i16::from_be_bytes([*a, *b]).into()),
        [a, b, c, d] => Some(i32::from_be_bytes([*a, *b, *c, *d]).into()),
        _ => value.try_into().ok().map(i64::from_be_bytes),
    }
}

fn float(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match value.len() {
        4 => display(f32::from_be_bytes(value.try_into().ok()?), out),
        _ => display(f64::from_be_bytes(value.try_into().ok()?), out),
    }
    .then_some(())
}

/// A number that is written with an exponent, without it.
fn written_float(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let text = core::str::from_utf8(value).ok().filter(|text| text.contains('e'))?;
    let number = text.parse::<f64>().ok().filter(|number| number.abs() < 1e20)?;
    display(number, out).then_some(())
}

/// `NumericVar` as `numeric_send` writes it: digits to the base of ten thousand, a weight, a sign, a scale.
fn numeric(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    const NEGATIVE: u16 = 0x4000;
    let (head, digits) = value.split_first_chunk::<8>()?;
    let [c0, c1, w0, w1, s0, s1, d0, d1] = *head;
    let (count, weight) = (usize::from(u16::from_be_bytes([c0, c1])), i32::from(i16::from_be_bytes([w0, w1])));
    let (sign, scale) = (u16::from_be_bytes([s0, s1]), usize::from(u16::from_be_bytes([d0, d1])));
    let (groups, []) = digits.as_chunks::<2>() else { return None };
    if groups.len() != count {
        return None;
    }
    // What is too large or too small for any detector, and what is no number, is not written out.
    if !(-16..=16).contains(&weight) || count > 64 || sign & !NEGATIVE != 0 {
        return Some(());
    }
    if sign == NEGATIVE {
        out.push(b'-');
    }
    let group = |place: i32| {
        let group = usize::try_from(weight - place).ok().and_then(|index| groups.get(index));
        group.map_or(0, |group| u16::from_be_bytes(*group))
    };
    let mut text = format!("{}", if weight < 0 { 0 } else { group(weight) });
    (0..weight).rev().for_each(|place| text += &format!("{:04}", group(place)));
    if scale > 0 {
        let fraction: String = (1..=20).map(|place| format!("{:04}", group(-place))).collect();
        text.push('.');
        text.extend(fraction.chars().take(scale));
    }
    out.extend_from_slice(text.as_bytes());
    Some(())
}

fn network(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (_, address) = value.split_first_chunk::<4>()?;
    match address.len() {
        4 => display(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?), out),
        _ => display(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?), out),
    }
    .then_some(())
}

fn uuid_text(value: &[u8], out: &mut Vec<u8>) -> bool {
    let Ok(bytes) = <[u8; 16]>::try_from(value) else { return false };
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        hex(&[*byte], out);
    }
    true
}

/// A UUID of version 8 (RFC 9562) that stands for another.
fn uuid(key: &MaskKey, binary: bool, value: &[u8], out: &mut Vec<u8>) -> bool {
    let digits: Vec<u8> = value.iter().copied().filter(u8::is_ascii_hexdigit).collect();
    let plain = if binary { Some(value.to_vec()) } else { unhex(&digits) };
    let Some(plain) = plain.filter(|plain| plain.len() == 16) else { return false };
    // The bytes in hexadecimal, so that no UUID is taken for a number in its text.
    let mut text = b"u".to_vec();
    hex(&plain, &mut text);
    let mut made = key.sixteen(&text);
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut made;
    *version = *version & 0x0f | 0x80;
    *variant = *variant & 0x3f | 0x80;
    if binary {
        out.extend_from_slice(&made);
        return true;
    }
    uuid_text(&made, out)
}

/// Other digits in an integer, where the result fits its width.
fn integer(key: &MaskKey, width: usize, binary: bool, value: &[u8], out: &mut Vec<u8>) -> bool {
    let (mut plain, mut masked) = (Vec::new(), Vec::new());
    if binary {
        if value.len() != width || !integer_text(value, &mut plain) {
            return false;
        }
    } else {
        plain.extend_from_slice(value);
    }
    if !key.apply(Action::FormatPreserving, None, &plain, &mut masked) {
        return false;
    }
    let Some(number) = core::str::from_utf8(&masked).ok().and_then(|text| text.parse::<i64>().ok()) else {
        return false;
    };
    let made = match width {
        2 => i16::try_from(number).map(|number| number.to_be_bytes().to_vec()),
        4 => i32::try_from(number).map(|number| number.to_be_bytes().to_vec()),
        _ => Ok(number.to_be_bytes().to_vec()),
    };
    match made {
        Ok(bytes) if binary => out.extend_from_slice(&bytes),
        Ok(_) => return display(number, out),
        Err(_) => return false,
    }
    true
}

/// The bytes of a `bytea` in its text format of hexadecimal digits.
fn bytes_of(value: &[u8]) -> Option<Vec<u8>> {
    unhex(value.strip_prefix(b"\\x")?)
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}
