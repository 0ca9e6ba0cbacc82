//! What a constant of SQL stands for, and how another text is written in its place.

use writ_sql::Class;

use crate::action::REDACTED;

/// A constant that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    /// What it stands for. Where that depends on what the token does not say, all that it may stand for.
    pub(super) readings: Vec<Vec<u8>>,
    form: Form,
}

/// What becomes of a number of which something is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// A string.
    Quoted,
    /// A zero.
    Zero,
}

/// How it was written.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    String,
    /// With backslashes that escape.
    Escapes,
    /// With this before and behind it.
    Dollars(Vec<u8>),
    Identifier,
    Number,
    /// In a form of which nothing stays.
    Dressed,
    /// The same, where the mark before the quote stays: `UESCAPE` may follow.
    Unicode(u8),
}

impl Read {
    /// Reads a token; nothing where it is no constant and no identifier between quotes.
    pub(super) fn of(kind: Class, own: &[u8]) -> Option<Self> {
        let read = |readings: Vec<Vec<u8>>, form| Some(Self { readings, form });
        let inside = |quote: u8| own.iter().position(|byte| *byte == quote).and_then(|place| own.get(place + 1..));
        match kind {
            Class::String => match own {
                [b'$', ..] => {
                    let tag = own.iter().skip(1).position(|byte| *byte == b'$').and_then(|end| own.get(..end + 2))?;
                    let text = own.strip_prefix(tag)?.strip_suffix(tag)?;
                    read(vec![text.to_vec()], Form::Dollars(tag.to_vec()))
                }
                [b'e' | b'E', ..] => read(vec![unescaped(&segments(inside(b'\'')?, true))], Form::Escapes),
                [b'u' | b'U', b'&', ..] => read(unicode(segments(inside(b'\'')?, false)), Form::Unicode(b'\'')),
                _ => read(vec![segments(inside(b'\'')?, false)], Form::String),
            },
            Class::Bits => read(bits(own.first()?, &segments(inside(b'\'')?, false)), Form::Dressed),
            Class::Quoted => read(vec![identifier(inside(b'"')?)], Form::Identifier),
            Class::UnicodeQuoted => read(unicode(identifier(inside(b'"')?)), Form::Unicode(b'"')),
            Class::Integer | Class::Float => read(vec![number(own)], Form::Number),
            Class::Word | Class::Parameter | Class::Symbol => None,
        }
    }

    /// Writes what stands in its place.
    pub(super) fn write(&self, made: &[u8], numbers: Numbers, out: &mut Vec<u8>) {
        match &self.form {
            Form::Dollars(tag) if !made.windows(tag.len()).any(|part| part == tag) => {
                [tag, made, tag].into_iter().for_each(|part| out.extend_from_slice(part));
            }
            Form::Identifier => quoted(made, b'"', out),
            Form::Number if numbers == Numbers::Zero => out.push(b'0'),
            Form::Dressed if numbers == Numbers::Zero => out.extend_from_slice(b"X'00'"),
            Form::Escapes => {
                out.push(b'E');
                let escaped = made.iter().flat_map(|byte| [b'\\', *byte].into_iter().skip(usize::from(*byte != b'\\')));
                quoted(&escaped.collect::<Vec<u8>>(), b'\'', out);
            }
            Form::Dressed => quoted(REDACTED, b'\'', out),
            Form::Unicode(quote) => {
                out.extend_from_slice(b"U&");
                quoted(REDACTED, *quote, out);
            }
            Form::String | Form::Dollars(_) | Form::Number => quoted(made, b'\'', out),
        }
    }
}

fn quoted(text: &[u8], quote: u8, out: &mut Vec<u8>) {
    out.push(quote);
    for byte in text {
        if *byte == quote {
            out.push(quote);
        }
        out.push(*byte);
    }
    out.push(quote);
}

/// What stands between the quotes of a string and of those that continue it, two quotes as one. `escapes` are left as they are.
fn segments(rest: &[u8], escapes: bool) -> Vec<u8> {
    let (mut out, mut bytes) = (Vec::with_capacity(rest.len()), rest.iter().copied().peekable());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\'' if bytes.peek() == Some(&b'\'') => out.extend(bytes.next()),
            // The end of a segment: up to the quote that opens the next one, past comments.
            b'\'' => {
                while let Some(byte) = bytes.next().filter(|byte| *byte != b'\'') {
                    if byte == b'-' {
                        while bytes.next_if(|byte| !matches!(byte, b'\n' | b'\r')).is_some() {}
                    }
                }
            }
            b'\\' if escapes => {
                out.push(byte);
                out.extend(bytes.next());
            }
            other => out.push(other),
        }
    }
    out
}

/// What stands between an identifier's quotes, two as one.
fn identifier(rest: &[u8]) -> Vec<u8> {
    let inside = rest.strip_suffix(b"\"").unwrap_or(rest);
    let (mut out, mut second) = (Vec::with_capacity(inside.len()), false);
    for byte in inside {
        second = *byte == b'"' && !second;
        if !second {
            out.push(*byte);
        }
    }
    out
}

/// A number in the base, of at most so many digits, at the front; and how many there were.
fn digits(text: &[u8], base: u32, most: usize) -> (u32, usize) {
    let digits = text.iter().take(most).map_while(|byte| char::from(*byte).to_digit(base));
    digits.fold((0, 0), |(number, count), digit| (number.wrapping_mul(base).wrapping_add(digit), count + 1))
}

/// Backslash escapes as the bytes that they stand for.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((byte, after)) = rest.split_first() {
        let (b'\\', Some((letter, behind))) = (*byte, after.split_first()) else {
            out.push(*byte);
            rest = after;
            continue;
        };
        let (number, count) = match letter {
            b'0'..=b'7' => digits(after, 8, 3),
            b'x' => digits(behind, 16, 2),
            b'u' => digits(behind, 16, 4),
            b'U' => digits(behind, 16, 8),
            _ => (0, 0),
        };
        if count == 0 {
            out.push(match letter {
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                other => *other,
            });
            rest = behind;
            continue;
        }
        if matches!(letter, b'u' | b'U') {
            encode(number, &mut out);
        } else {
            out.push((number & 0xff) as u8);
        }
        rest = if letter.is_ascii_digit() { after } else { behind }.get(count..).unwrap_or_default();
    }
    out
}

fn encode(number: u32, out: &mut Vec<u8>) {
    let letter = char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A string with Unicode escapes: as it is written, and with any sign as the one that escapes, since `UESCAPE` stands behind it.
fn unicode(text: Vec<u8>) -> Vec<Vec<u8>> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), &text[..]);
    while let Some((byte, after)) = rest.split_first() {
        let (skipped, most) = if after.first() == Some(&b'+') { (1, 6) } else { (0, 4) };
        let (number, count) = digits(after.get(skipped..).unwrap_or_default(), 16, most);
        if count == most && !byte.is_ascii_alphanumeric() && *byte != b'+' {
            encode(number, &mut out);
            rest = after.get(skipped + most..).unwrap_or_default();
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    vec![text, out]
}

/// A string of bits: the bytes that they are, and the number.
fn bits(kind: &u8, inside: &[u8]) -> Vec<Vec<u8>> {
    let text: String = inside.iter().map(|byte| char::from(*byte)).collect();
    let base = if kind.eq_ignore_ascii_case(&b'x') { 16 } else { 2 };
    let width = if base == 16 { 2 } else { 8 };
    let bytes = inside.chunks(width).map(|part| (digits(part, base, width).0 & 0xff) as u8).collect();
    let number = u128::from_str_radix(&text, base).unwrap_or(0);
    vec![bytes, number.to_string().into_bytes(), inside.to_vec()]
}

/// A number without the signs that group its digits, to the base of ten.
fn number(own: &[u8]) -> Vec<u8> {
    let plain: String = own.iter().filter(|byte| **byte != b'_').map(|byte| char::from(*byte)).collect();
    let base = match own {
        [b'0', b'x' | b'X', ..] => 16,
        [b'0', b'o' | b'O', ..] => 8,
        [b'0', b'b' | b'B', ..] => 2,
        _ => return plain.into_bytes(),
    };
    let number = plain.get(2..).and_then(|digits| u128::from_str_radix(digits, base).ok());
    number.map_or(plain, |number| number.to_string()).into_bytes()
}
